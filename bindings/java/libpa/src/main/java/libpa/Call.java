package libpa;

import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CancellationException;

/**
 * One call of a function: which item it is for, and how long it may take. Valid only until the function returns, on its thread.
 */
public class Call {
  private final Bounds bounds;
  private final long itemTimeoutNanos;
  long index;
  int attempt;
  /** On the clock of System.nanoTime; only looked at with an item timeout. */
  long started;
  /** Who runs a lease, and holds the job; null otherwise. Others who ask have kept a call that is not theirs any more. */
  Thread thread;

  /** itemTimeoutNanos is -1 where there is none, or where it is the bounds' affair. */
  Call(Bounds bounds, long itemTimeoutNanos) {
    this.bounds = bounds;
    this.itemTimeoutNanos = itemTimeoutNanos;
  }

  /**
   * The index of the item that is being run; of the first one for a batch.
   *
   * @return from 0
   */
  public long index() {
    return index;
  }

  /**
   * Which attempt at this item this is.
   *
   * @return from 1
   */
  public int attempt() {
    return attempt;
  }

  /**
   * Whether the run has ended or must end, or this attempt has outrun {@link Options#itemTimeout}. A long function that looks at it now and
   * then, and returns early, makes stops prompt.
   *
   * @return true once it is time to give up
   */
  public boolean stopped() {
    return bounds.isOver(this);
  }

  /**
   * Gives up if it is time to: where {@link #stopped} holds, throws an exception that makes the item not done, rather than failed.
   *
   * @throws CancellationException to be passed on. (One that a function throws by itself, or an {@link InterruptedException}, means the
   *     same once the run has ended.)
   */
  public void checkStopped() {
    if (stopped()) throw new CancellationException("the run or the attempt is over");
  }

  /**
   * The time until the run's or the attempt's deadline, whichever is first: to be handed on as the timeout of what the function calls.
   *
   * @return zero when it has passed or the run has ended; empty when there is no deadline
   */
  public Optional<Duration> remaining() {
    if (stopped()) return Optional.of(Duration.ZERO);
    final long left = bounds.timeLeft(this);
    return left == Long.MAX_VALUE ? Optional.empty() : Optional.of(Duration.ofNanos(Math.max(0, left)));
  }

  final boolean late(long now) {
    return itemTimeoutNanos >= 0 && now - started >= itemTimeoutNanos;
  }

  /** Of the attempt. */
  final long timeLeft(long now) {
    return itemTimeoutNanos < 0 ? Long.MAX_VALUE : itemTimeoutNanos - (now - started);
  }
}
