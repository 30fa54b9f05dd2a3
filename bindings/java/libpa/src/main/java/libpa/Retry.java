package libpa;

import java.time.Duration;
import java.util.List;
import java.util.Objects;
import java.util.function.Predicate;
import libpa.low.palow;

/**
 * Whether and when failed attempts are repeated. An item that waits for its next attempt occupies no thread. Immutable: each method
 * returns another.
 *
 * <pre>{@code
 * Retry.attempts(5).backoff(Duration.ofMillis(200)).on(IOException.class)
 * }</pre>
 *
 * <p>By default every {@link Exception} is repeated, checked or not, and no {@link Error}; {@link #on} says otherwise.
 *
 * <p>Of a {@link Task} the exceptions of the program count: a {@link WorkerException} for what was thrown in a worker process, a
 * {@link WorkerCrashedException} for one that died. A {@code WorkerException} for what was an error there counts as an {@code Error}.
 */
public final class Retry {
  static final Retry NONE = new Retry(1, Duration.ofSeconds(1), Duration.ofSeconds(60), true, Duration.ofSeconds(600), List.of(Exception.class), null);

  final int attempts;
  private final Duration backoff;
  private final Duration maxDelay;
  private final boolean jitter;
  private final Duration maxServerWait;
  private final List<Class<? extends Throwable>> types;
  private final Predicate<? super Throwable> predicate;

  private Retry(
      int attempts,
      Duration backoff,
      Duration maxDelay,
      boolean jitter,
      Duration maxServerWait,
      List<Class<? extends Throwable>> types,
      Predicate<? super Throwable> predicate) {
    this.attempts = attempts;
    this.backoff = backoff;
    this.maxDelay = maxDelay;
    this.jitter = jitter;
    this.maxServerWait = maxServerWait;
    this.types = types;
    this.predicate = predicate;
  }

  /**
   * So many attempts in all, the first included.
   *
   * @param attempts at least 1; 1: no retry
   * @return with a backoff of 1 s, at most 60 s, with jitter
   */
  public static Retry attempts(int attempts) {
    return new Retry(attempts, NONE.backoff, NONE.maxDelay, NONE.jitter, NONE.maxServerWait, NONE.types, null);
  }

  /**
   * The delay before the second attempt, which doubles each time.
   *
   * @param backoff 0 or more; 1 s by default
   * @return another policy
   */
  public Retry backoff(Duration backoff) {
    Objects.requireNonNull(backoff, "backoff");
    return new Retry(attempts, backoff, maxDelay, jitter, maxServerWait, types, predicate);
  }

  /**
   * The longest delay, before jitter.
   *
   * @param maxDelay 0 or more; 60 s by default
   * @return another policy
   */
  public Retry maxDelay(Duration maxDelay) {
    Objects.requireNonNull(maxDelay, "maxDelay");
    return new Retry(attempts, backoff, maxDelay, jitter, maxServerWait, types, predicate);
  }

  /**
   * Whether each delay is multiplied by a random factor of 0.5 to 1.5.
   *
   * @param jitter true by default
   * @return another policy
   */
  public Retry jitter(boolean jitter) {
    return new Retry(attempts, backoff, maxDelay, jitter, maxServerWait, types, predicate);
  }

  /**
   * The longest wait that a server can ask for by {@link RetryAfter}.
   *
   * @param maxServerWait 0 or more, 600 s by default; {@code null}: any
   * @return another policy
   */
  public Retry maxServerWait(Duration maxServerWait) {
    return new Retry(attempts, backoff, maxDelay, jitter, maxServerWait, types, predicate);
  }

  /**
   * Repeats only what is an instance of one of these.
   *
   * @param types exceptions, or errors
   * @return another policy
   */
  @SafeVarargs
  @SuppressWarnings("varargs") // List.of copies it
  public final Retry on(Class<? extends Throwable>... types) {
    return new Retry(attempts, backoff, maxDelay, jitter, maxServerWait, List.of(types), predicate);
  }

  /**
   * Repeats only what this accepts, and the types of {@link #on} allow. If it throws, the item is not repeated and keeps its own error, to
   * which what was thrown is added as suppressed.
   *
   * @param predicate called on the threads that run items, several at a time
   * @return another policy
   */
  public Retry retryIf(Predicate<? super Throwable> predicate) {
    Objects.requireNonNull(predicate, "predicate");
    return new Retry(attempts, backoff, maxDelay, jitter, maxServerWait, types, predicate);
  }

  /** An item that outran its time is repeated by default, as its error is an exception. */
  boolean allows(Throwable error) {
    return allowsType(error.getClass()) && accepts(error);
  }

  boolean allowsType(Class<? extends Throwable> type) {
    return types.stream().anyMatch(allowed -> allowed.isAssignableFrom(type));
  }

  boolean hasPredicate() {
    return predicate != null;
  }

  /** What the predicate says where the types allow it. What it throws, if that is not fatal, is suppressed by the error. */
  boolean accepts(Throwable error) {
    if (predicate == null) return true;
    try {
      return predicate.test(error);
    } catch (Throwable ofPredicate) {
      if (Failures.isFatal(ofPredicate)) throw ofPredicate;
      Failures.suppress(error, ofPredicate);
      return false;
    }
  }

  void write(long address) {
    if (attempts < 0) throw new IllegalArgumentException("options.retry.attempts must be >= 1, got " + attempts);
    palow.pa_retry_attempts_set(address, attempts);
    palow.pa_retry_jitter_set(address, jitter ? 1 : 0);
    palow.pa_retry_backoff_ns_set(address, Nanos.of(backoff));
    palow.pa_retry_max_delay_ns_set(address, Nanos.of(maxDelay));
    palow.pa_retry_max_server_wait_ns_set(address, maxServerWait == null ? -1 : serverWait());
  }

  private long serverWait() {
    if (maxServerWait.isNegative())
      throw new IllegalArgumentException("options.retry.max_server_wait_ns must be >= 0, got " + Nanos.of(maxServerWait));
    return Nanos.of(maxServerWait);
  }
}
