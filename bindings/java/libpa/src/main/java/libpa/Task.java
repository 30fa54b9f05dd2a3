package libpa;

import java.nio.charset.StandardCharsets;
import java.util.Collection;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;

/**
 * A function that worker processes run, where a crash, a leak or a hang costs one item. Workers are this program itself, run again: it
 * makes the same tasks known in both, before {@link Parallel#workerMain}, which a worker does not leave.
 *
 * <pre>{@code
 * static final Task<String, byte[]> THUMBNAIL =
 *     Task.register("thumbnail", Codecs.string(), Codecs.bytes(), path -> Picture.read(path).thumbnail());   // may crash
 *
 * public static void main(String[] arguments) {
 *   Parallel.workerMain();                                         // before anything else is done
 *   Results<byte[]> thumbnails = THUMBNAIL.run(List.of(arguments), Parallel.workers(4).itemTimeout(Duration.ofSeconds(5)));
 * }
 * }</pre>
 *
 * <p>Items and values cross the border as bytes, by a {@link Codec}; {@code null} crosses by itself. Options, retries, callbacks and keys are
 * those of every run, and all policy stays in this program. What differs:
 *
 * <ul>
 *   <li>What the function throws stays in the worker: the error of the item is a {@link WorkerException} that tells its class and message.
 *       {@link RetryAfter} works as ever. What a codec throws in this program is the error itself; values are decoded last, so that one that
 *       is refused is neither repeated nor counted by {@link Options#maxErrors}.
 *   <li>{@link Options#itemTimeout} ends what hangs: the worker is killed.
 *   <li>An item whose worker died is {@link ItemState#CRASHED}, with a {@link WorkerCrashedException}. A {@link VirtualMachineError} that the
 *       function throws, but for a {@link StackOverflowError}, ends its worker with status 3.
 *   <li>The function shares nothing with this program, and a worker runs one item at a time, on its main thread.
 *   <li>{@link Options#workerStart}, {@code workerStop}, {@code inline} and {@code threads} are refused.
 * </ul>
 *
 * @param <T> the type of the items
 * @param <R> the type of the values
 */
public final class Task<T, R> {
  /** Natives know them by their position, from 1. Added to under the lock of the class. */
  private static final List<Task<?, ?>> ALL = new CopyOnWriteArrayList<>();

  private final String name;
  final Codec<T> items;
  final Codec<R> values;
  /** One of the two. */
  final CallFn<? super T, ? extends R> fn;

  final BatchFn<T, R> batch;

  private Task(String name, Codec<T> items, Codec<R> values, CallFn<? super T, ? extends R> fn, BatchFn<T, R> batch) {
    this.name = Objects.requireNonNull(name, "name");
    this.items = Objects.requireNonNull(items, "items");
    this.values = Objects.requireNonNull(values, "values");
    this.fn = fn;
    this.batch = batch;
  }

  /**
   * Makes a function known by a name, for good.
   *
   * @param name 1 to 255 bytes; each task has its own
   * @param items how inputs cross
   * @param values how values cross
   * @param fn the function
   * @param <T> the type of the items
   * @param <R> the type of the values
   * @return to be kept in a static field, as a rule
   * @throws IllegalArgumentException if the name is empty, too long or taken
   */
  public static <T, R> Task<T, R> register(String name, Codec<T> items, Codec<R> values, Fn<? super T, ? extends R> fn) {
    Objects.requireNonNull(fn, "fn");
    return registered(new Task<>(name, items, values, (item, call) -> fn.apply(item), null));
  }

  /**
   * Like {@link #register}, for a function that looks at the call.
   *
   * @param name 1 to 255 bytes; each task has its own
   * @param items how inputs cross
   * @param values how values cross
   * @param fn the function
   * @param <T> the type of the items
   * @param <R> the type of the values
   * @return to be kept in a static field, as a rule
   * @throws IllegalArgumentException if the name is empty, too long or taken
   */
  public static <T, R> Task<T, R> registerWithCall(String name, Codec<T> items, Codec<R> values, CallFn<? super T, ? extends R> fn) {
    return registered(new Task<>(name, items, values, Objects.requireNonNull(fn, "fn"), null));
  }

  /**
   * Like {@link #register}, for a function that takes several items in one call: {@link Options#batchItems}.
   *
   * @param name 1 to 255 bytes; each task has its own
   * @param items how inputs cross
   * @param values how values cross
   * @param fn the function
   * @param <T> the type of the items
   * @param <R> the type of the values
   * @return to be kept in a static field, as a rule
   * @throws IllegalArgumentException if the name is empty, too long or taken
   */
  public static <T, R> Task<T, R> registerBatch(String name, Codec<T> items, Codec<R> values, BatchFn<T, R> fn) {
    return registered(new Task<>(name, items, values, null, Objects.requireNonNull(fn, "fn")));
  }

  private static synchronized <T, R> Task<T, R> registered(Task<T, R> task) {
    NativeLibrary.load();
    final Struct.Failure error = new Struct.Failure();
    if (task.name.indexOf('\0') >= 0) throw new IllegalArgumentException("name must not contain a character 0");
    NativeTasks.register(task.name.getBytes(StandardCharsets.UTF_8), ALL.size() + 1, task.isBatch(), error.address);
    error.check(error.status());
    ALL.add(task);
    return task;
  }

  static Task<?, ?> numbered(int number) {
    return ALL.get(number - 1);
  }

  boolean isBatch() {
    return batch != null;
  }

  /**
   * What it is known by.
   *
   * @return the name it was registered with
   */
  public String name() {
    return name;
  }

  /**
   * Runs it for every item, and returns the values in input order.
   *
   * @param items the inputs
   * @return a list that cannot be changed
   * @throws BatchException if not every item succeeded
   * @see #run(Iterable, Options)
   */
  public List<R> map(Iterable<? extends T> items) {
    return map(items, Options.DEFAULTS);
  }

  /**
   * Runs it for every item, and returns the values in input order.
   *
   * @param items the inputs
   * @param options how to run
   * @return a list that cannot be changed
   * @throws BatchException if not every item succeeded
   * @see #run(Iterable, Options)
   */
  public List<R> map(Iterable<? extends T> items, Options options) {
    return run(items, options).values();
  }

  /**
   * Runs it for every item, and returns one outcome for each.
   *
   * @param items the inputs
   * @return the outcomes
   * @see #run(Iterable, Options)
   */
  public Results<R> run(Iterable<? extends T> items) {
    return run(items, Options.DEFAULTS);
  }

  /**
   * Runs it for every item, and returns one outcome for each: failed items are data.
   *
   * @param items the inputs, which must not be changed meanwhile; pulled as they are needed, one call at a time, on a thread of libpa
   * @param options how to run; {@link Options#processes} says how the workers do
   * @return also when items failed, or the run ended early by a timeout, a stop, or too many failures
   * @throws RunFailedException if the source, a callback or the worker processes failed
   * @throws IllegalArgumentException if an option is wrong, or this program can't be its own worker
   */
  public Results<R> run(Iterable<? extends T> items, Options options) {
    return open(items, options).collect();
  }

  /**
   * Runs it for every item, and hands out the outcomes one by one.
   *
   * @param items the inputs
   * @return to be closed; it has begun
   * @see #stream(Iterable, Options)
   */
  public ResultStream<R> stream(Iterable<? extends T> items) {
    return stream(items, Options.DEFAULTS);
  }

  /**
   * Runs it for every item, and hands out the outcomes one by one while others are made, in constant memory.
   *
   * @param items the inputs, of any length: pulled as they are needed, one call at a time, on a thread of libpa, and never beyond the window
   * @param options how to run
   * @return to be closed; it has begun
   * @throws IllegalArgumentException if an option is wrong, or this program can't be its own worker
   */
  public ResultStream<R> stream(Iterable<? extends T> items, Options options) {
    return new ResultStream<>(open(items, options));
  }

  /**
   * Does in the background what {@link #run(Iterable, Options)} does. Callbacks are called on a thread of libpa.
   *
   * @param items the inputs
   * @param options how to run
   * @return completed with the outcomes, or exceptionally by what {@code run} would have thrown; cancelling it stops the run
   * @throws IllegalArgumentException if an option is wrong, or this program can't be its own worker
   */
  public CompletableFuture<Results<R>> async(Iterable<? extends T> items, Options options) {
    final ProcessRun<R> run = open(items, options);
    return Threads.inBackground(run::stop, run::collect);
  }

  private ProcessRun<R> open(Iterable<? extends T> items, Options options) {
    final Settings settings = options.settings();
    final long hint = items instanceof Collection<?> all ? all.size() : settings.sizeHint;
    return new ProcessRun<>(settings, this, items.iterator(), hint);
  }
}
