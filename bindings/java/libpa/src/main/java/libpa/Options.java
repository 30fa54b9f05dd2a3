package libpa;

import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ThreadFactory;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.Supplier;

/**
 * How to run, and the calls that do. Immutable: each method returns other options, so that they can be kept, shared between threads and
 * used for any number of runs. What is not said has its default. {@link Parallel} is where they come from.
 *
 * <pre>{@code
 * Options polite = Parallel.workers(64).rate(Rate.perSecond(100)).retry(Retry.attempts(3));
 * Results<Page> pages = polite.run(urls, Page::fetch);
 * }</pre>
 *
 * <p>An option that libpa refuses makes the call that runs throw an {@link IllegalArgumentException} with libpa's message, before anything
 * has run.
 *
 * <p><b>Interrupts.</b> Interrupting the thread that called stops the run: what is running is waited for, and can see
 * {@link Call#stopped}; the end is {@link End#CANCELLED}, and the thread is left interrupted.
 *
 * <p><b>Errors.</b> What the function throws is its item's error, {@link Error}s included. Only where the virtual machine itself is at its end
 * (an {@link OutOfMemoryError} or another {@link VirtualMachineError}, but for a {@link StackOverflowError}) the run is ended, and the call
 * throws that error.
 */
public final class Options {
  static final Options DEFAULTS = new Options(new Settings());

  private final Settings settings;

  private Options(Settings settings) {
    this.settings = settings;
  }

  /** A copy. */
  Settings settings() {
    return settings.copy();
  }

  private Options with(Consumer<Settings> change) {
    final Settings changed = settings.copy();
    change.accept(changed);
    return new Options(changed);
  }

  private static void notNegative(String name, long value) {
    if (value < 0) throw new IllegalArgumentException("options." + name + " must be >= 0, got " + value);
  }

  // ---------------------------------------------------------------- what is run when

  /**
   * Calls at a time.
   *
   * @param workers at most 65535; 0, the default: the processors that this JVM may use
   * @return other options
   */
  public Options workers(int workers) {
    notNegative("workers", workers);
    return with(s -> s.workers = workers);
  }

  /**
   * Bounds the items that are pulled from the input and not done; of a stream, not handed out.
   *
   * @param items 0, the default: automatic, which is no bound for collections, and otherwise a little more than the workers need
   * @return other options
   */
  public Options window(long items) {
    notNegative("window", items);
    return with(s -> s.window = items);
  }

  /**
   * How many inputs there will be, where they are no {@link Collection}, which knows: for progress, and for the length of the outcomes of
   * a run that ends early. There may be more or fewer.
   *
   * @param items 0 or more
   * @return other options
   */
  public Options sizeHint(long items) {
    notNegative("size_hint", items);
    return with(s -> s.sizeHint = items);
  }

  /**
   * Admits inputs in chunks, each of which is finished before the next is admitted. (How many items a call of a batch function gets is
   * {@link #batchItems}.)
   *
   * @param items 0, the default: no chunks
   * @return other options
   */
  public Options batchSize(long items) {
    notNegative("batch_size", items);
    return with(s -> s.batchSize = items);
  }

  /**
   * How many items one call of a batch function gets, but for the last.
   *
   * @param items at most 1048576, and at most {@code window} and {@code batchSize} where those are set; 0, the default: libpa finds a
   *     number that pays
   * @return other options
   */
  public Options batchItems(long items) {
    notNegative("batch.max_items", items);
    return with(s -> s.batchItems = items);
  }

  /**
   * With a source that delivers slowly, and {@link #batchItems}: how long the first item of a batch waits for others to fill it.
   *
   * @param time zero, the default: until the iterator has delivered them, since it cannot say whether there is one without waiting
   * @return other options
   */
  public Options batchLinger(Duration time) {
    Objects.requireNonNull(time, "time");
    return with(s -> s.linger = time);
  }

  /**
   * A limiter that may be shared with other runs.
   *
   * @param limiter or {@code null}, the default; not together with {@link #rate(Rate)}
   * @return other options
   */
  public Options limiter(Limiter limiter) {
    return with(s -> s.limiter = limiter);
  }

  /**
   * A rate of each run's own.
   *
   * @param rate or {@code null}, the default: no limit
   * @return other options
   */
  public Options rate(Rate rate) {
    return with(s -> s.rate = rate);
  }

  /**
   * A rate of each run's own, with a burst of 1.
   *
   * @param count how many calls
   * @param per in which time
   * @return other options
   */
  public Options rate(double count, Duration per) {
    return rate(Rate.of(count, per));
  }

  /**
   * Tokens that an attempt takes from the limiter; a batch, once for each call.
   *
   * @param tokens 1, the default, to the burst
   * @return other options
   */
  public Options rateCost(long tokens) {
    notNegative("rate_cost", tokens);
    return with(s -> s.rateCost = tokens);
  }

  /**
   * Whether and when failed attempts are repeated.
   *
   * @param retry {@code Retry.attempts(1)} is the default: never
   * @return other options
   */
  public Options retry(Retry retry) {
    Objects.requireNonNull(retry, "retry");
    return with(s -> s.retry = retry);
  }

  // ---------------------------------------------------------------- when it ends

  /**
   * For the whole run, from the call on.
   *
   * @param time zero: nothing runs; {@code null}, the default: none
   * @return other options
   */
  public Options timeout(Duration time) {
    return with(s -> s.timeout = time);
  }

  /**
   * For each attempt: when it has passed, {@link Call#stopped} is true, and the attempt has timed out, whatever it returns. The call is
   * not interrupted.
   *
   * @param time above zero; {@code null}, the default: none
   * @return other options
   */
  public Options itemTimeout(Duration time) {
    return with(s -> s.itemTimeout = time);
  }

  /**
   * Ends the run when so many items have failed for good; calls that are running then may add to it.
   *
   * @param errors 1 is fail-fast; 0, the default: never
   * @return other options
   */
  public Options maxErrors(long errors) {
    notNegative("max_errors", errors);
    return with(s -> s.maxErrors = errors);
  }

  /**
   * Ends the run when it is requested.
   *
   * @param token or {@code null}, the default
   * @return other options
   */
  public Options stop(StopToken token) {
    return with(s -> s.stop = token);
  }

  /**
   * Returns at once when the run ends early, and leaves the calls that are running behind: they count as not done, and what they return is
   * dropped.
   *
   * @param detach false, the default: they are waited for, and keep their real outcome
   * @return other options
   */
  public Options detach(boolean detach) {
    return with(s -> s.detach = detach);
  }

  /**
   * Called once for each run when nothing of it will be called any more: with {@link #detach} possibly later, on another thread.
   *
   * @param action what to do; must not throw; {@code null}, the default: nothing
   * @return other options
   */
  public Options onQuiescent(Runnable action) {
    return with(s -> s.onQuiescent = action);
  }

  // ---------------------------------------------------------------- who is told

  /**
   * Called after each item that was done, by the thread that called, never twice at a time. One that throws ends the run with
   * {@link RunFailedException}.
   *
   * @param progress or {@code null}, the default
   * @return other options
   */
  public Options onProgress(Progress progress) {
    return with(s -> s.onProgress = progress);
  }

  /**
   * Called with the outcome of each item that was done, as they finish, before {@link #onProgress}, and like it.
   *
   * @param consumer or {@code null}, the default
   * @return other options
   */
  public Options onResult(Consumer<? super ItemResult<?>> consumer) {
    return with(s -> s.onResult = consumer);
  }

  /**
   * Names an item: {@link ItemResult#key}. Called once for each input when it is pulled, one call at a time, on any thread. One that
   * throws ends the run with {@link RunFailedException}. Keys label outcomes, may repeat, and never affect order.
   *
   * <pre>{@code
   * Parallel.workers(8).itemKey((Url url) -> url.host())
   * }</pre>
   *
   * @param key gives the name; {@code null}, the default: none
   * @param <T> the type of the items, which must be that of the run
   * @return other options
   */
  @SuppressWarnings("unchecked")
  public <T> Options itemKey(Function<? super T, ?> key) {
    return with(s -> s.itemKey = (Function<Object, ?>) key);
  }

  // ---------------------------------------------------------------- where it runs

  /**
   * Called on each thread that runs items of a run, before its first item: for connections and other state of a thread. One that throws ends
   * the run with {@link RunFailedException}.
   *
   * @param action or {@code null}, the default
   * @return other options
   */
  public Options workerStart(Action action) {
    return with(s -> s.workerStart = action);
  }

  /**
   * Called on each thread on which {@link #workerStart} succeeded, after its last item of the run. What it throws goes to the thread's
   * {@linkplain Thread#getUncaughtExceptionHandler() handler}.
   *
   * @param action or {@code null}, the default
   * @return other options
   */
  public Options workerStop(Action action) {
    return with(s -> s.workerStop = action);
  }

  /**
   * Hands out the outcomes of a stream in the order of the inputs: one that takes long holds up those behind it.
   *
   * @param ordered false, the default: as items finish
   * @return other options
   */
  public Options ordered(boolean ordered) {
    return with(s -> s.ordered = ordered);
  }

  /**
   * Runs everything on the calling thread, one by one, in input order: for debugging, and for programs that want no threads.
   *
   * @param inline false by default
   * @return other options
   */
  public Options inline(boolean inline) {
    return with(s -> s.inline = inline);
  }

  /**
   * The threads that run items, one for each worker, made for each run.
   *
   * @param factory {@code null}, the default: daemon threads of a pool that all runs share; the thread that called then helps them
   * @return other options
   */
  public Options threads(ThreadFactory factory) {
    return with(s -> s.threads = factory);
  }

  /**
   * Runs items on virtual threads: {@code workers} may then be many thousands.
   *
   * @return other options
   * @throws UnsupportedOperationException if this JVM is older than 21 and has none
   */
  public Options virtualThreads() {
    final ThreadFactory factory = Threads.virtual();
    if (factory == null) throw new UnsupportedOperationException("this JVM has no virtual threads: they came with Java 21");
    return threads(factory);
  }

  /**
   * How the worker processes of a {@link Task} are run. Only for tasks.
   *
   * @param processes {@code null}, the default: as {@link WorkerProcesses#defaults} says
   * @return other options
   */
  public Options processes(WorkerProcesses processes) {
    return with(s -> s.processes = processes);
  }

  // ---------------------------------------------------------------- all at once

  /**
   * Applies a function to every item, and returns the values in input order.
   *
   * @param items the inputs, which must not be changed meanwhile; what is no {@link Collection} is pulled as it is needed
   * @param fn the function
   * @param <T> the type of the items
   * @param <R> the type of the values
   * @return a list that cannot be changed
   * @throws BatchException if not every item succeeded
   * @throws RunFailedException if the source, a callback or a worker's start failed
   */
  public <T, R> List<R> map(Iterable<? extends T> items, Fn<? super T, ? extends R> fn) {
    return this.<T, R>run(items, fn).values();
  }

  /**
   * Like {@link #map(Iterable, Fn)}, for a function that looks at the call.
   *
   * @param items the inputs
   * @param fn the function
   * @param <T> the type of the items
   * @param <R> the type of the values
   * @return a list that cannot be changed
   */
  public <T, R> List<R> mapWithCall(Iterable<? extends T> items, CallFn<? super T, ? extends R> fn) {
    return this.<T, R>runWithCall(items, fn).values();
  }

  /**
   * Applies a function to every item, and returns one outcome for each: failed items are data.
   *
   * @param items the inputs, which must not be changed meanwhile; what is no {@link Collection} is pulled as it is needed, one call at a
   *     time, on any thread
   * @param fn the function
   * @param <T> the type of the items
   * @param <R> the type of the values
   * @return also when items failed, or the run ended early by a timeout, a stop, or too many failures
   * @throws RunFailedException if the source, a callback or a worker's start failed
   */
  public <T, R> Results<R> run(Iterable<? extends T> items, Fn<? super T, ? extends R> fn) {
    return run(items, Body.ofItem(fn));
  }

  /**
   * Like {@link #run(Iterable, Fn)}, for a function that looks at the call.
   *
   * @param items the inputs
   * @param fn the function
   * @param <T> the type of the items
   * @param <R> the type of the values
   * @return the outcomes
   */
  public <T, R> Results<R> runWithCall(Iterable<? extends T> items, CallFn<? super T, ? extends R> fn) {
    return run(items, Body.ofCall(fn));
  }

  /**
   * Like {@link #run(Iterable, Fn)}, for a function that takes several items in one call.
   *
   * @param items the inputs
   * @param fn the function
   * @param <T> the type of the items
   * @param <R> the type of the values
   * @return the outcomes
   */
  public <T, R> Results<R> runBatch(Iterable<? extends T> items, BatchFn<T, R> fn) {
    return run(items, Body.ofBatch(fn));
  }

  /**
   * Like {@link #map(Iterable, Fn)}, for a function that takes several items in one call.
   *
   * @param items the inputs
   * @param fn the function
   * @param <T> the type of the items
   * @param <R> the type of the values
   * @return a list that cannot be changed
   */
  public <T, R> List<R> mapBatch(Iterable<? extends T> items, BatchFn<T, R> fn) {
    return runBatch(items, fn).values();
  }

  private <R> Results<R> run(Iterable<?> items, Body body) {
    return this.<R>prepare(items, body).work().get();
  }

  /** A run that has been checked, and not begun. */
  private <R> Prepared<R> prepare(Iterable<?> items, Body body) {
    final Settings s = settings.copy();
    s.detach &= !s.inline; // nothing runs behind the only thread
    if (items instanceof Collection<?> all && !s.hasCallbacks() && s.itemKey == null && !s.detach) {
      final MapRun run = new MapRun(s, body, all);
      return new Prepared<>(run, run::run);
    }
    final StreamRun<R> run = open(s, items, body);
    return new Prepared<>(run, run::collect);
  }

  private record Prepared<R>(Run run, Supplier<Results<R>> work) {}

  private static <R> StreamRun<R> open(Settings settings, Iterable<?> items, Body body) {
    final long hint = items instanceof Collection<?> all ? all.size() : settings.sizeHint;
    return new StreamRun<>(settings, body, items.iterator(), hint);
  }

  // ---------------------------------------------------------------- one by one

  /**
   * Applies a function to every item, and hands out the outcomes one by one while others are made, in constant memory.
   *
   * @param items the inputs, of any length: pulled as they are needed, one call at a time, on any thread, and never beyond the window
   * @param fn the function
   * @param <T> the type of the items
   * @param <R> the type of the values
   * @return to be closed; it has begun
   */
  public <T, R> ResultStream<R> stream(Iterable<? extends T> items, Fn<? super T, ? extends R> fn) {
    return stream(items, Body.ofItem(fn));
  }

  /**
   * Like {@link #stream(Iterable, Fn)}, for a function that looks at the call.
   *
   * @param items the inputs
   * @param fn the function
   * @param <T> the type of the items
   * @param <R> the type of the values
   * @return to be closed; it has begun
   */
  public <T, R> ResultStream<R> streamWithCall(Iterable<? extends T> items, CallFn<? super T, ? extends R> fn) {
    return stream(items, Body.ofCall(fn));
  }

  /**
   * Like {@link #stream(Iterable, Fn)}, for a function that takes several items in one call.
   *
   * @param items the inputs
   * @param fn the function
   * @param <T> the type of the items
   * @param <R> the type of the values
   * @return to be closed; it has begun
   */
  public <T, R> ResultStream<R> streamBatch(Iterable<? extends T> items, BatchFn<T, R> fn) {
    return stream(items, Body.ofBatch(fn));
  }

  private <R> ResultStream<R> stream(Iterable<?> items, Body body) {
    final Settings s = settings.copy();
    s.detach &= !s.inline;
    final StreamRun<R> run = open(s, items, body);
    run.begin();
    return new ResultStream<>(run);
  }

  // ---------------------------------------------------------------- in the background

  /**
   * Does in the background what {@link #run(Iterable, Fn)} does. Callbacks are called on a thread of libpa.
   *
   * @param items the inputs
   * @param fn the function
   * @param <T> the type of the items
   * @param <R> the type of the values
   * @return completed with the outcomes, or exceptionally by what {@code run} would have thrown; cancelling it stops the run
   * @throws IllegalArgumentException if an option is wrong
   */
  public <T, R> CompletableFuture<Results<R>> async(Iterable<? extends T> items, Fn<? super T, ? extends R> fn) {
    return async(items, Body.ofItem(fn));
  }

  /**
   * Like {@link #async(Iterable, Fn)}, for a function that looks at the call.
   *
   * @param items the inputs
   * @param fn the function
   * @param <T> the type of the items
   * @param <R> the type of the values
   * @return completed with the outcomes
   */
  public <T, R> CompletableFuture<Results<R>> asyncWithCall(Iterable<? extends T> items, CallFn<? super T, ? extends R> fn) {
    return async(items, Body.ofCall(fn));
  }

  private <R> CompletableFuture<Results<R>> async(Iterable<?> items, Body body) {
    final Prepared<R> prepared = prepare(items, body);
    return Threads.inBackground(prepared.run()::stop, prepared.work());
  }
}
