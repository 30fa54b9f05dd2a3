package libpa;

import java.util.concurrent.ConcurrentLinkedDeque;
import java.util.concurrent.atomic.AtomicInteger;
import libpa.low.palowConstants;

/** A pa_lease: a taker, and what it holds. libpa fills it; reading it costs no call. */
final class Lease extends Struct {
  private static final int KEPT = 4096;
  private static final ConcurrentLinkedDeque<Lease> free = new ConcurrentLinkedDeque<>();
  private static final AtomicInteger freeCount = new AtomicInteger();

  private Lease() {
    super(palowConstants.SIZEOF_LEASE);
  }

  /** A zeroed one. Direct memory is dear to allocate, and dearer to have collected. */
  static Lease get() {
    final Lease lease = free.pollFirst();
    if (lease == null) return new Lease();
    freeCount.decrementAndGet();
    return lease;
  }

  /** The taker was told that the job is over, or has left: nobody in libpa knows this address any more. */
  void recycle() {
    if (freeCount.incrementAndGet() > KEPT) {
      freeCount.decrementAndGet();
      return;
    }
    for (int at = 0; at < bytes.capacity(); at += Long.BYTES) bytes.putLong(at, 0);
    free.addFirst(this);
  }

  long first() {
    return bytes.getLong(palowConstants.LEASE_FIRST);
  }

  /** A lease is never longer than an int. */
  int count() {
    return (int) bytes.getLong(palowConstants.LEASE_COUNT);
  }

  /** Of inputs that may be pulled there can be more. */
  long longCount() {
    return bytes.getLong(palowConstants.LEASE_COUNT);
  }

  long cookie() {
    return bytes.getLong(palowConstants.LEASE_COOKIE);
  }

  void cookie(long cookie) {
    bytes.putLong(palowConstants.LEASE_COOKIE, cookie);
  }

  int attempt() {
    return bytes.getInt(palowConstants.LEASE_ATTEMPT);
  }

  int wake() {
    return bytes.getInt(palowConstants.LEASE_WAKE);
  }

  boolean wakesConsumer() {
    return bytes.getInt(palowConstants.LEASE_WAKE_CONSUMER) != 0;
  }

  long waitNanos() {
    return bytes.getLong(palowConstants.LEASE_WAIT_NS);
  }
}
