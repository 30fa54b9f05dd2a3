package libpa;

import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Where threads sleep until there may be something for them. The epoch is read before the job is asked: if it has moved by the time the
 * answer is "not now", that answer is out of date. No monitor is held, so that a virtual thread leaves its carrier.
 */
final class Parking {
  private static final int EVERYBODY = -1;

  private final ReentrantLock lock = new ReentrantLock();
  private final Condition changed = lock.newCondition();
  private volatile long epoch;
  /** How many are in here; changed under the lock. */
  private volatile int asleep;

  long epoch() {
    return epoch;
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
