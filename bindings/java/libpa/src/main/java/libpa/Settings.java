package libpa;

import java.time.Duration;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.concurrent.ThreadFactory;
import java.lang.ref.Reference;
import libpa.low.palow;
import libpa.low.palowConstants;

/** What Options hold, and how libpa is told. */
final class Settings implements Cloneable {
  int workers;
  long window;
  long batchSize;
  long batchItems;
  Duration linger = Duration.ZERO;
  Limiter limiter;
  Rate rate;
  long rateCost = 1;
  Retry retry = Retry.NONE;
  Duration timeout;
  Duration itemTimeout;
  long maxErrors;
  long sizeHint = -1;
  StopToken stop;
  Progress onProgress;
  Consumer<? super ItemResult<?>> onResult;
  Function<Object, ?> itemKey;
  Action workerStart;
  Action workerStop;
  boolean ordered;
  boolean inline;
  boolean detach;
  Runnable onQuiescent;
  ThreadFactory threads;
  /** Null: none were asked for, which is all defaults for a task. */
  WorkerProcesses processes;

  Settings copy() {
    try {
      return (Settings) clone();
    } catch (CloneNotSupportedException cannotBe) {
      throw new IllegalStateException(cannotBe);
    }
  }

  /** Calls at a time. What the JVM may use, where nothing was said: it knows of affinity, quotas and its own options. */
  int workers() {
    if (inline) return 1;
    return workers == 0 ? Runtime.getRuntime().availableProcessors() : workers;
  }

  WorkerProcesses processes() {
    return processes == null ? WorkerProcesses.defaults() : processes;
  }

  boolean hasCallbacks() {
    return onProgress != null || onResult != null;
  }

  /**
   * Opens a job by these settings.
   *
   * @throws IllegalArgumentException with libpa's message
   */
  long open(long count, int flags) {
    NativeLibrary.load();
    if (processes != null) throw new IllegalArgumentException("options.processes is for tasks: a function of this program needs none");
    if (itemTimeout != null && (itemTimeout.isNegative() || itemTimeout.isZero()))
      throw new IllegalArgumentException("options.item_timeout_ns must be > 0, got " + Nanos.of(itemTimeout));
    final Struct options = write((flags & palowConstants.PA_JOB_BATCH) != 0);
    final Struct.Failure error = new Struct.Failure();
    final long job = palow.job_new(options.address, count, flags, error.address);
    Reference.reachabilityFence(options);
    Reference.reachabilityFence(limiter); // the job is an owner of both by now
    Reference.reachabilityFence(stop);
    if (job == 0) error.check(error.status());
    return job;
  }

  /** A pa_options, but for what differs between those who run items. */
  Struct write(boolean batch) {
    if (timeout != null && timeout.isNegative())
      throw new IllegalArgumentException("options.timeout_ns must be >= 0, got " + Nanos.of(timeout));
    final Struct options = new Struct(palowConstants.SIZEOF_OPTIONS);
    write(options.address, batch);
    return options;
  }

  private void write(long at, boolean batch) {
    palow.pa_options_init(at, palowConstants.SIZEOF_OPTIONS);
    palow.pa_options_workers_set(at, inline ? 1 : workers());
    palow.pa_options_window_set(at, inline ? serialWindow(batch) : window);
    palow.pa_options_batch_size_set(at, batchSize);
    final long batchAt = palow.pa_options_batch_get(at);
    if (batch) {
      palow.pa_batch_max_items_set(batchAt, batchItems);
      palow.pa_batch_linger_ns_set(batchAt, Nanos.of(linger));
    }
    if (limiter != null) palow.pa_options_limiter_set(at, limiter.handle);
    // Zero is "no limit" in C; here that is no rate, and a rate of nothing a mistake.
    if (rate != null && rate.count() == 0) throw new IllegalArgumentException("options.rate.count must be finite and > 0, got 0");
    if (rate != null) rate.write(palow.pa_options_rate_get(at));
    palow.pa_options_rate_cost_set(at, rateCost);
    retry.write(palow.pa_options_retry_get(at));
    if (timeout != null) palow.pa_options_timeout_ns_set(at, Nanos.of(timeout));
    palow.pa_options_max_errors_set(at, maxErrors);
    if (stop != null) palow.pa_options_stop_set(at, stop.handle);
    palow.pa_options_ordered_set(at, ordered ? 1 : 0);
  }

  /** One by one: nothing is admitted, and so nothing overtakes, before what was admitted is done. */
  private long serialWindow(boolean batch) {
    return batch ? Math.max(1, batchItems) : 1;
  }
}
