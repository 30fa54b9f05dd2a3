package libpa;

import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Where threads sleep until there may be something for them. The epoch is read before the job is asked: if it has moved by the time the
 * answer is "not now", that answer is out of date. No monitor is held, so that a virtual thread leaves its carrier.
 */
final class Parking {
  private static final int EVERYBODY = -1;
  /** About what it costs to be woken. */
  private static final long SPIN_NANOS = 50_000;
  private static final boolean MAY_SPIN = Runtime.getRuntime().availableProcessors() > 1;

  private final ReentrantLock lock = new ReentrantLock();
  private final Condition changed = lock.newCondition();
  private volatile long epoch;
  /** How many are in here; changed under the lock. */
  private volatile int asleep;

  long epoch() {
    return epoch;
  }

  /** As {@link #park}, but first awake for a moment: for the thread that all the others work for. */
  void parkLightly(long seen, long nanos) throws InterruptedException {
    final long began = System.nanoTime();
    while (MAY_SPIN && nanos != 0 && epoch == seen && System.nanoTime() - began < SPIN_NANOS) Thread.onSpinWait();
    park(seen, nanos);
  }

  /** Until woken, or for so long at most; a negative time is for ever. */
  void park(long seen, long nanos) throws InterruptedException {
    lock.lockInterruptibly();
    try {
      if (epoch != seen) return;
      asleep++;
      try {
        if (nanos < 0) changed.await();
        else if (changed.awaitNanos(nanos) <= 0) return;
      } finally {
        asleep--;
      }
    } finally {
      lock.unlock();
    }
  }

  int sleepers() {
    return asleep;
  }

  /** As many as libpa said, as an unsigned number: any of them will do. */
  void wake(int count) {
    if (count == 0) return;
    lock.lock();
    try {
      epoch++;
      if (asleep == 0) return;
      if (count == EVERYBODY || Integer.compareUnsigned(count, asleep) >= 0) changed.signalAll();
      else for (int i = 0; i < count; i++) changed.signal();
    } finally {
      lock.unlock();
    }
  }

  void wakeAll() {
    wake(EVERYBODY);
  }
}
