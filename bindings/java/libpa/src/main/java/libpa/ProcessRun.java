package libpa;

import java.lang.ref.Reference;
import java.nio.channels.AsynchronousCloseException;
import java.nio.channels.spi.AbstractInterruptibleChannel;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.ReentrantLock;
import libpa.low.palow;
import libpa.low.palowConstants;

/**
 * A stream of libpa (pa_iter) whose items run in worker processes. Threads of libpa see to those, and ask Java for inputs; the thread that
 * asks for outcomes waits in libpa. What runs when is libpa's affair.
 */
final class ProcessRun<R> implements Walk<R> {
  /** An iterator that is slow is asked no further than this ahead of those who wait for its items: about what it costs to be asked. */
  private static final long PULL_NANOS = 100_000;

  /** Those whose inputs this thread is asked for: to wait for them would be to wait for itself. */
  private static final ThreadLocal<ProcessRun<?>> PULLED = new ThreadLocal<>();

  private static volatile boolean begun;

  private final Settings settings;
  private final Codec<Object> items;
  private final Codec<R> values;
  private final boolean fillsBatches;
  private final Iterator<?> source;
  /** How many inputs there are, or -1, which is PA_UNSIZED. */
  private final long hint;

  /** By index, until the item is handed out; null without a key function. */
  private final Map<Long, Object> keys;
  /** By index: what libpa knows only the code of. */
  private final Map<Long, Throwable> errors = new ConcurrentHashMap<>();

  private final AtomicReference<Run.Breach> breach = new AtomicReference<>();
  private final AtomicReference<Throwable> fatal = new AtomicReference<>();
  private final Runnable stopNoted = this::stop;

  // The puller's: one at a time.
  private final Packed packed = new Packed();
  private Run.Breach nextBreach;
  private volatile long pulled;

  /** A stop may come from anywhere, at any time. */
  private final ReentrantLock life = new ReentrantLock();

  private long stop;

  // The owner's, under this lock: a close may come from another thread.
  private final ReentrantLock owning = new ReentrantLock();
  private final Struct facts = new Struct(NativeTasks.FACTS * Long.BYTES);
  private final Struct.Failure failure = new Struct.Failure();
  private final Waiting waiting = new Waiting();
  private long iter;
  private ItemResult<R> next;
  private long handedOut;
  private boolean interrupted;
  private volatile int batchSize;
  private volatile boolean closing;
  /** Null unless each item is to have its outcome. */
  private List<ItemResult<R>> remnants;

  /** What libpa itself ended the run with, 0: nothing. */
  private int failed;
  /** Null as long as it goes on. */
  private volatile End end;

  /** Opens the stream, which begins: nothing has run where this throws. */
  @SuppressWarnings("unchecked")
  ProcessRun(Settings settings, Task<?, R> task, Iterator<?> source, long hint) {
    refuse(settings);
    begun = true;
    this.settings = settings;
    this.items = (Codec<Object>) task.items;
    this.values = task.values;
    this.fillsBatches = task.isBatch() && settings.batchItems > 0 && settings.linger.isZero();
    this.source = source;
    this.hint = hint;
    keys = settings.itemKey == null ? null : new ConcurrentHashMap<>();
    NativeLibrary.load();
    stop = palow.stop_new(failure.address);
    if (stop == 0) failure.check(failure.status());
    if (settings.stop != null) {
      settings.stop.listeners.add(stopNoted);
      if (settings.stop.requested()) stop();
    }
    if (Thread.currentThread().isInterrupted()) stop();
    try {
      iter = open(task);
    } catch (Throwable none) {
      drop();
      throw none;
    }
  }

  /** Whether libpa may have threads, or workers that are idle. */
  static boolean hasBegun() {
    return begun;
  }

  private static void refuse(Settings settings) {
    if (settings.inline) throw new IllegalArgumentException("options.inline is not for tasks, which run in worker processes");
    if (settings.threads != null) throw new IllegalArgumentException("options.threads is not for tasks, which run in worker processes");
  }

  private long open(Task<?, R> task) {
    final WorkerProcesses processes = settings.processes();
    final Struct options = settings.write(task.isBatch());
    palow.pa_options_stop_set(options.address, stop);
    palow.pa_options_detach_set(options.address, settings.detach ? 1 : 0);
    if (settings.itemTimeout != null) palow.pa_options_item_timeout_ns_set(options.address, Nanos.of(settings.itemTimeout));
    final boolean startsWorkers = settings.workerStart != null || settings.workerStop != null;
    final long opened = NativeTasks.open(
        this, options.address, hint, task.name().getBytes(StandardCharsets.UTF_8), task.isBatch(), startsWorkers, retries(),
        settings.retry.hasPredicate(), processes.numbers(), processes.nativeCommand(), processes.nativeEnvironment(),
        processes.nativeDirectory(), failure.address);
    Reference.reachabilityFence(options);
    Reference.reachabilityFence(settings.limiter); // the stream is an owner of it by now
    if (opened == 0) failure.check(failure.status());
    return opened;
  }

  private int retries() {
    final Retry retry = settings.retry;
    return (retry.allowsType(WorkerException.class) ? NativeTasks.RETRY_EXCEPTION : 0)
        | (retry.allowsType(Error.class) ? NativeTasks.RETRY_ERROR : 0)
        | (retry.allowsType(TimeoutException.class) ? NativeTasks.RETRY_TIMED_OUT : 0)
        | (retry.allowsType(WorkerCrashedException.class) ? NativeTasks.RETRY_CRASHED : 0);
  }

  // ---------------------------------------------------------------- called by libpa: see tasks.c

  /** Up to so many inputs, packed; none: there are no more; null: it failed. One call at a time, on any thread. */
  byte[] pull(int most) {
    final ProcessRun<?> outer = PULLED.get();
    PULLED.set(this);
    try {
      return fill(most);
    } catch (Throwable error) { // of ours: memory is short, say
      die(error);
      return null;
    } finally {
      if (outer == null) PULLED.remove();
      else PULLED.set(outer);
    }
  }

  private byte[] fill(int most) {
    if (nextBreach != null) return breakOff(nextBreach);
    packed.begin();
    final long began = System.nanoTime();
    int got = 0;
    Run.Breach broken = null;
    while (got < most && broken == null) {
      final Object item;
      try {
        if (!source.hasNext()) break;
        item = source.next();
      } catch (Throwable error) {
        broken = new Run.Breach(RunFailedException.Part.SOURCE, error);
        break;
      }
      broken = name(item);
      if (broken != null) break;
      pack(item);
      got++;
      pulled++;
      if (packed.isFull() || (!fillsBatches && System.nanoTime() - began > PULL_NANOS)) break;
    }
    if (broken != null && got == 0) return breakOff(broken);
    nextBreach = broken; // what came before it is not lost: the next pull tells
    return packed.finish(got);
  }

  private Run.Breach name(Object item) {
    if (keys == null) return null;
    try {
      final Object key = settings.itemKey.apply(item);
      if (key != null) keys.put(pulled, key);
      return null;
    } catch (Throwable error) {
      return new Run.Breach(RunFailedException.Part.KEY, error);
    }
  }

  private void pack(Object item) {
    byte[] bytes = null;
    try {
      bytes = WorkerMain.encode(items, item);
    } catch (Throwable error) {
      if (Failures.isFatal(error)) throw Failures.<RuntimeException>rethrow(error);
      errors.put(pulled, error);
    }
    if (bytes != null) packed.add(bytes);
    else packed.add(item == null ? NativeTasks.PACKED_NULL : NativeTasks.PACKED_REFUSED);
  }

  private byte[] breakOff(Run.Breach broken) {
    if (Failures.isFatal(broken.cause())) fatal.compareAndSet(null, broken.cause());
    else breach.compareAndSet(null, broken);
    return null;
  }

  /** What the predicate says. Called on threads of libpa, several at a time. */
  boolean mayRetry(long index, int state, int code, byte[] message) {
    try {
      final Throwable error = errorOf(ItemState.of(state), code, message, -1, -1);
      final boolean accepts = settings.retry.accepts(error);
      if (error.getSuppressed().length > 0) errors.put(index, error); // what the predicate threw
      return accepts;
    } catch (Throwable error) {
      die(error);
      return false;
    }
  }

  /** Nothing of the run will be called any more. */
  void quiescent() {
    if (settings.onQuiescent != null) settings.onQuiescent.run();
  }

  // ---------------------------------------------------------------- the consumer

  @Override
  public boolean hasNext() {
    return fetch(Long.MAX_VALUE) != null;
  }

  @Override
  public ItemResult<R> next() {
    final ItemResult<R> result = fetch(Long.MAX_VALUE);
    if (result == null) throw new NoSuchElementException("the stream is over");
    next = null;
    return result;
  }

  @Override
  public ItemResult<R> poll(long nanos) {
    final ItemResult<R> result = fetch(nanos);
    next = null;
    return result;
  }

  private ItemResult<R> fetch(long nanos) {
    owning.lock();
    try {
      if (next == null && end == null) next = outcome(nanos);
      if (next == null && end != null && !closing) check(null);
      return next;
    } finally {
      owning.unlock();
      restoreInterrupt();
    }
  }

  private void restoreInterrupt() {
    if (!interrupted) return;
    interrupted = false;
    Thread.currentThread().interrupt();
  }

  /** Waits for it. Null when it did not come in time, or the stream is over. */
  private ItemResult<R> outcome(long nanos) {
    if (closing) {
      finish();
      return null;
    }
    final byte[] bytes;
    try {
      bytes = take(nanos);
    } catch (OutOfMemoryError error) {
      die(error);
      throw error;
    }
    switch ((int) fact(NativeTasks.FACT_STATUS)) {
      case palowConstants.PA_STATUS_OK -> {
        return tell(result(bytes));
      }
      case palowConstants.PA_STATUS_TIMEOUT -> {
        return null;
      }
      case palowConstants.PA_STATUS_DONE -> {}
      default -> failed = (int) fact(NativeTasks.FACT_STATUS);
    }
    finish();
    return null;
  }

  private byte[] take(long nanos) {
    if (!Thread.currentThread().isInterrupted()) {
      final byte[] bytes = NativeTasks.next(iter, 0, facts.address, failure.address);
      if (nanos <= 0 || fact(NativeTasks.FACT_STATUS) != palowConstants.PA_STATUS_TIMEOUT) return bytes;
    }
    return waiting.take(nanos == Long.MAX_VALUE ? -1 : Math.max(0, nanos));
  }

  private long fact(int which) {
    return facts.bytes.getLong(which * Long.BYTES);
  }

  /** libpa knows nothing of Java's interrupts. What may block in native code, and is told of one, is a channel. */
  private final class Waiting extends AbstractInterruptibleChannel {
    byte[] take(long nanos) {
      begin();
      try {
        return NativeTasks.next(iter, nanos, facts.address, failure.address);
      } finally {
        try {
          end(true);
        } catch (AsynchronousCloseException byInterrupt) {
          interrupted = Thread.interrupted();
        }
      }
    }

    /** By who interrupts. */
    @Override
    protected void implCloseChannel() {
      stop();
    }
  }

  private ItemResult<R> result(byte[] bytes) {
    final long index = fact(NativeTasks.FACT_INDEX);
    ItemState state = ItemState.of((int) fact(NativeTasks.FACT_STATE));
    R value = null;
    Throwable error = null;
    if (state != ItemState.OK) {
      error = errors.remove(index);
      final int code = (int) fact(NativeTasks.FACT_CODE);
      if (error == null) error = errorOf(state, code, bytes, (int) fact(NativeTasks.FACT_SIGNAL), (int) fact(NativeTasks.FACT_EXIT));
    } else if (bytes != null) {
      try {
        value = values.decode(bytes);
      } catch (Throwable ofCodec) {
        if (Failures.isFatal(ofCodec)) {
          die(ofCodec);
          throw Failures.<RuntimeException>rethrow(ofCodec);
        }
        state = ItemState.FAILED;
        error = ofCodec;
      }
    }
    final Object key = keys == null ? null : keys.remove(index);
    final Duration duration = Duration.ofNanos(fact(NativeTasks.FACT_DURATION));
    return new ItemResult<>(index, state, value, error, (int) fact(NativeTasks.FACT_ATTEMPTS), duration, key);
  }

  private Throwable errorOf(ItemState state, int code, byte[] message, int signal, int exitCode) {
    final String text = new String(message, StandardCharsets.UTF_8);
    final boolean thrown = code == NativeTasks.EXCEPTION || code == NativeTasks.ERROR;
    final WorkerException own = thrown ? WorkerException.of(text, code == NativeTasks.ERROR) : WorkerException.ofLibpa(text);
    switch (state) {
      case CRASHED -> {
        return new WorkerCrashedException(text, signal, exitCode);
      }
      case TIMED_OUT -> {
        final TimeoutException late = new TimeoutException("the attempt took longer than " + settings.itemTimeout);
        late.addSuppressed(own);
        return late;
      }
      default -> {
        return own;
      }
    }
  }

  /** Callbacks come before the outcome is handed out, and no more once one has failed. */
  private ItemResult<R> tell(ItemResult<R> result) {
    handedOut++;
    if (!settings.hasCallbacks() || breach.get() != null) return result;
    try {
      if (settings.onResult != null) settings.onResult.accept(result);
      if (settings.onProgress != null) settings.onProgress.update(handedOut, hint < 0 ? pulled : Math.max(hint, pulled));
    } catch (Throwable error) {
      breakOff(new Run.Breach(RunFailedException.Part.CALLBACK, error));
      stop();
    }
    return result;
  }

  // ---------------------------------------------------------------- ends

  /** Ends the run with CANCELLED, unless it has ended. */
  void stop() {
    life.lock();
    try {
      if (stop != 0) palow.pa_stop_request(stop);
    } finally {
      life.unlock();
    }
  }

  /** To be thrown by the call, whatever else there is. */
  private void die(Throwable error) {
    fatal.compareAndSet(null, error);
    stop();
  }

  /** Waits for the calls that are running, unless they are left behind. */
  private void finish() {
    if (end != null) return;
    batchSize = (int) NativeTasks.batchSize(iter);
    final int ofLibpa = NativeTasks.end(iter);
    final boolean broken = breach.get() != null || ofLibpa == palowConstants.PA_END_FAILED;
    final End why = broken ? End.FAILED : ofLibpa == palowConstants.PA_END_NONE ? End.CANCELLED : End.of(ofLibpa);
    try {
      if (remnants != null && fatal.get() == null) gatherRemnants(why);
    } finally {
      NativeTasks.close(iter);
      end = why;
      drop();
    }
  }

  /** What became of the items that were not handed out: some were done. */
  private void gatherRemnants(End why) {
    while (true) {
      final byte[] bytes = NativeTasks.remnant(iter, facts.address, failure.address);
      if (fact(NativeTasks.FACT_STATUS) != palowConstants.PA_STATUS_OK) return;
      final ItemState state = ItemState.of((int) fact(NativeTasks.FACT_STATE));
      final boolean outranItsTime = state == ItemState.TIMED_OUT && why != End.TIMED_OUT;
      final boolean wasDone = state == ItemState.OK || state == ItemState.FAILED || state == ItemState.CRASHED || outranItsTime;
      remnants.add(wasDone ? result(bytes) : unrun(Run.unrun(why), bytes));
    }
  }

  private ItemResult<R> unrun(ItemState state, byte[] message) {
    final long index = fact(NativeTasks.FACT_INDEX);
    final int code = (int) fact(NativeTasks.FACT_CODE);
    Throwable error = errors.remove(index);
    if (error == null) error = code == 0 ? state.notDone() : errorOf(ItemState.FAILED, code, message, -1, -1);
    final Object key = keys == null ? null : keys.remove(index);
    final Duration duration = Duration.ofNanos(fact(NativeTasks.FACT_DURATION));
    return new ItemResult<>(index, state, null, error, (int) fact(NativeTasks.FACT_ATTEMPTS), duration, key);
  }

  private void drop() {
    if (settings.stop != null) settings.stop.listeners.remove(stopNoted);
    life.lock();
    try {
      palow.stop_drop(stop);
      stop = 0;
    } finally {
      life.unlock();
    }
  }

  @Override
  public End endOrNull() {
    return end;
  }

  @Override
  public int batchSize() {
    return batchSize;
  }

  /** Ends the stream at any moment, from any thread. */
  @Override
  public void close() {
    closing = true;
    stop();
    if (PULLED.get() == this) return; // who walks it sees to the rest
    owning.lock();
    try {
      finish();
    } finally {
      owning.unlock();
      next = null;
    }
    restoreInterrupt();
  }

  /** Throws what ended the run from outside, if anything did. */
  private void check(Results<?> results) {
    final Throwable error = fatal.get();
    if (error != null) throw Failures.<RuntimeException>rethrow(error);
    final Run.Breach broken = breach.get();
    if (broken != null) throw new RunFailedException(broken.part(), broken.cause(), results);
    if (failed != 0) throw new RunFailedException(part(), failure.message(), results);
  }

  private RunFailedException.Part part() {
    return switch (failed) {
      case palowConstants.PA_STATUS_WORKER_START -> RunFailedException.Part.WORKER_START;
      case palowConstants.PA_STATUS_WORKERS_LOST, palowConstants.PA_STATUS_SYSTEM -> RunFailedException.Part.WORKERS;
      default -> RunFailedException.Part.MEMORY;
    };
  }

  // ---------------------------------------------------------------- collecting

  /** All outcomes, those that were not done included. */
  Results<R> collect() {
    final List<ItemResult<R>> all = new ArrayList<>();
    boolean ok = true;
    remnants = new ArrayList<>();
    try {
      for (ItemResult<R> result = collectNext(); result != null; result = collectNext()) {
        put(all, result);
        ok &= result.ok();
      }
    } finally {
      close();
    }
    for (ItemResult<R> result : remnants) put(all, result);
    final long size = end == End.COMPLETED ? all.size() : Math.max(Math.max(hint, pulled), all.size());
    final ItemState unseen = Run.unrun(end);
    final Map<Long, Object> left = keys == null ? Map.of() : keys;
    final Collected<R> collected = new Collected<>(all, left, (int) Math.min(size, Integer.MAX_VALUE), unseen);
    final Results<R> results = new Results<>(collected, end, ok && end == End.COMPLETED, batchSize);
    check(results);
    return results;
  }

  private static <R> void put(List<ItemResult<R>> all, ItemResult<R> result) {
    while (all.size() <= result.index()) all.add(null);
    all.set((int) result.index(), result);
  }

  /** An interrupt is kept until all is collected. */
  private ItemResult<R> collectNext() {
    owning.lock();
    try {
      return end == null ? outcome(Long.MAX_VALUE) : null;
    } finally {
      owning.unlock();
    }
  }

  /** Inputs that were not done are no more than their keys. */
  private record Collected<R>(List<ItemResult<R>> all, Map<Long, Object> keys, int size, ItemState unseen) implements Results.Outcomes<R> {
    private ItemResult<R> seen(int index) {
      return index < all.size() ? all.get(index) : null;
    }

    @Override
    public ItemState state(int index) {
      final ItemResult<R> result = seen(index);
      return result == null ? unseen : result.state();
    }

    @Override
    public R value(int index) {
      final ItemResult<R> result = seen(index);
      return result == null ? null : result.value();
    }

    @Override
    public ItemResult<R> get(int index) {
      final ItemResult<R> result = seen(index);
      if (result != null) return result;
      return new ItemResult<>(index, unseen, null, unseen.notDone(), 0, Duration.ZERO, keys.get((long) index));
    }
  }
}
