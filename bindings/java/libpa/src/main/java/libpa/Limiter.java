package libpa;

import java.lang.ref.Reference;
import java.time.Duration;
import libpa.low.palow;
import libpa.low.palowConstants;

/**
 * A token bucket that any number of runs and threads share. A token is taken just before a call starts, by every attempt. May be used by
 * any thread, and needs not be closed.
 *
 * <pre>{@code
 * Limiter quota = new Limiter(Rate.perSecond(100).burst(10));
 * Results<Page> pages = Parallel.workers(64).limiter(quota).run(urls, Page::fetch);
 * }</pre>
 */
public final class Limiter {
  final long handle;
  final Listeners listeners = new Listeners();
  private final Parking waiters = new Parking();

  /**
   * Makes a limiter with a full bucket.
   *
   * @param rate how often
   * @throws IllegalArgumentException if it is out of range
   */
  public Limiter(Rate rate) {
    NativeLibrary.load();
    final Struct.Failure error = new Struct.Failure();
    final Struct struct = struct(rate);
    handle = palow.limiter_new(struct.address, error.address);
    Reference.reachabilityFence(struct);
    if (handle == 0) error.check(error.status());
    Handle.dropWith(this, handle, palow::limiter_drop);
    listeners.add(waiters::wakeAll);
  }

  private static Struct struct(Rate rate) {
    final Struct struct = new Struct(palowConstants.SIZEOF_RATE);
    rate.write(struct.address);
    return struct;
  }

  /**
   * Waits until a token can be taken, and takes it: for calls that are not made through libpa but count against the same quota.
   *
   * @throws InterruptedException if the thread was interrupted; nothing was taken
   */
  public void acquire() throws InterruptedException {
    acquire(1);
  }

  /**
   * Waits until so many tokens can be taken, and takes them. Waiters are served in no particular order.
   *
   * @param tokens 1 to the burst
   * @throws InterruptedException if the thread was interrupted; nothing was taken
   * @throws IllegalArgumentException if there can never be so many
   */
  public void acquire(long tokens) throws InterruptedException {
    if (Thread.interrupted()) throw new InterruptedException();
    take(tokens, Long.MAX_VALUE);
  }

  /**
   * Takes a token if there is one.
   *
   * @return false: there is none, and nothing was taken
   */
  public boolean tryAcquire() {
    return Tries.once(this, 1) == 0;
  }

  /**
   * Waits for tokens for a while. Where they would come too late it does not wait at all.
   *
   * @param tokens 1 to the burst
   * @param timeout how long at most; zero only tries
   * @return false: nothing was taken
   * @throws InterruptedException if the thread was interrupted; nothing was taken
   * @throws IllegalArgumentException if there can never be so many, or the time is negative
   */
  public boolean tryAcquire(long tokens, Duration timeout) throws InterruptedException {
    if (timeout.isNegative()) throw new IllegalArgumentException("timeout must be >= 0, got " + timeout);
    if (Thread.interrupted()) throw new InterruptedException();
    return take(tokens, Nanos.of(timeout));
  }

  private boolean take(long tokens, long timeoutNanos) throws InterruptedException {
    final long began = System.nanoTime();
    for (;;) {
      final long seen = waiters.epoch();
      final long wait = Tries.once(this, tokens);
      if (wait == 0) return true;
      if (timeoutNanos != Long.MAX_VALUE && wait > timeoutNanos - (System.nanoTime() - began)) return false;
      waiters.park(seen, wait);
    }
  }

  /** Asks for tokens; the answer needs a place to stand. */
  private static final class Tries {
    /** Returns 0 if they were taken, else in how many nanoseconds to ask again, at least 1. */
    static long once(Limiter limiter, long tokens) {
      final Struct wait = new Struct(Long.BYTES);
      final Struct.Failure error = new Struct.Failure();
      final int status = palow.pa_limiter_try(limiter.handle, tokens, wait.address, error.address);
      Reference.reachabilityFence(limiter);
      error.check(status);
      return status == palowConstants.PA_STATUS_OK ? 0 : Math.max(1, wait.bytes.getLong(0));
    }
  }

  /**
   * Lets nothing through from now on for a while. Of several pauses the one that ends last holds. When it ends, at most one token is there,
   * so that calls resume at the set pace and not as a herd.
   *
   * @param wait zero or negative: nothing happens
   */
  public void pause(Duration wait) {
    final Struct.Failure error = new Struct.Failure();
    error.check(palow.pa_limiter_pause(handle, Nanos.of(wait), error.address));
    Reference.reachabilityFence(this);
  }

  /**
   * Changes the rate from now on. Tokens in the bucket stay, up to the new burst.
   *
   * @param rate how often
   * @throws IllegalArgumentException if it is out of range; the old one then stays
   */
  public void setRate(Rate rate) {
    final Struct.Failure error = new Struct.Failure();
    final Struct struct = struct(rate);
    error.check(palow.pa_limiter_set_rate(handle, struct.address, error.address));
    Reference.reachabilityFence(struct);
    Reference.reachabilityFence(this);
    listeners.tell();
  }

  /**
   * Corrects what calls have cost, once it is known.
   *
   * @param tokens above 0: charges more, and later calls wait for it; below 0: gives back, never above the burst, and nothing while
   *     the limiter is paused
   */
  public void settle(long tokens) {
    final Struct.Failure error = new Struct.Failure();
    error.check(palow.pa_limiter_settle(handle, tokens, error.address));
    Reference.reachabilityFence(this);
    if (tokens < 0) listeners.tell();
  }
}
