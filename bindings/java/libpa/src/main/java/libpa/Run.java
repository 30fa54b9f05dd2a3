package libpa;

import java.util.List;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executor;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.ReentrantLock;
import libpa.low.palow;
import libpa.low.palowConstants;

/**
 * A job of libpa with its workers, who take leases of it, and its owner, who waits for them. What may run when is the job's affair; here are
 * items, values and errors, and the threads that sleep and wake.
 */
abstract class Run implements Bounds {
  /** Items that are held together: what one pull has fetched, or all of an array. */
  static final class Slab {
    final long first;
    /** Of an array or a list the other is null. */
    final Object[] items;
    final List<?> list;
    final Object[] values;
    /** Null without a key function. */
    final Object[] keys;
    /** How many there are so far. The puller's. */
    private int count;
    /** How many have not been handed out, and one while others may be added. */
    private final AtomicInteger left;

    Slab(long first, Object[] items, int count, Object[] keys) {
      this(first, items, null, count, keys);
      this.count = count;
      left.set(count);
    }

    /** One that has no items yet, but room. */
    Slab(long first, int capacity, boolean hasKeys) {
      this(first, new Object[capacity], null, capacity, hasKeys ? new Object[capacity] : null);
    }

    /** Of a list whose elements can be had in any order: a copy would cost as much as a small function. */
    Slab(List<?> list) {
      this(0, null, list, list.size(), null);
    }

    private Slab(long first, Object[] items, List<?> list, int capacity, Object[] keys) {
      this.first = first;
      this.items = items;
      this.list = list;
      this.values = new Object[capacity];
      this.keys = keys;
      this.left = new AtomicInteger(1);
    }

    boolean hasRoomFor(int more) {
      return more <= values.length - count;
    }

    void add(Object[] items, Object[] keys, int more) {
      System.arraycopy(items, 0, this.items, count, more);
      if (keys != null) System.arraycopy(keys, 0, this.keys, count, more);
      count += more;
      left.addAndGet(more);
    }

    /** So many were handed out; or, with 1, no more will be added. Returns whether nobody needs it any more. */
    boolean isDoneAfter(int handedOut) {
      return left.addAndGet(-handedOut) == 0;
    }

    Object item(int at) {
      return list == null ? items[at] : list.get(at);
    }
  }

  /** What there is to remember of an item that has failed at least once. Written by whoever holds it. */
  static final class Note {
    final long started;
    Throwable error;
    int attempts;
    long ended;
    boolean timedOut;

    Note(long started) {
      this.started = started;
    }
  }

  /** Why a run was broken off from outside. */
  record Breach(RunFailedException.Part part, Throwable cause) {}

  private static final int SPARES = 8;
  private static final int PROCESSORS = Runtime.getRuntime().availableProcessors();

  final Settings settings;
  final Body body;
  final long job;
  final Parking takers = new Parking();
  final Parking owner = new Parking();
  final ConcurrentHashMap<Long, Note> notes = new ConcurrentHashMap<>();
  final long itemTimeoutNanos;
  private final long deadline;
  private final boolean hasDeadline;

  private final AtomicInteger working = new AtomicInteger();
  private final AtomicInteger unstarted = new AtomicInteger();
  private final AtomicReference<Breach> breach = new AtomicReference<>();
  private final AtomicReference<Throwable> fatal = new AtomicReference<>();
  private volatile boolean stopping;
  /** The calling thread while it runs items: nobody is there to hear an interrupt but the calls, which look at {@link Call#stopped}. */
  private volatile Thread helper;
  /** A stop may come from anywhere, at any time. */
  private final ReentrantLock life = new ReentrantLock();

  private boolean dropped;
  /** Set when the owner is done. */
  private volatile End end;
  private volatile boolean ownerDone;
  private final AtomicBoolean released = new AtomicBoolean();
  /** Nothing is left for workers who have not begun. */
  volatile boolean exhausted;
  /** A worker had nothing to do and went: those that are missing are started when there is work for them. */
  private volatile boolean enough;
  /** The calling thread is at it. */
  private volatile boolean starting;

  private final Runnable wake = this::wakeEverybody;
  private final Runnable stopNoted = this::noteStop;

  /** Opens the job: nothing has run where this throws. */
  Run(Settings settings, Body body, long count, int flags) {
    this.settings = settings;
    this.body = body;
    itemTimeoutNanos = settings.itemTimeout == null ? -1 : Nanos.of(settings.itemTimeout);
    job = settings.open(count, flags | (body.isBatch() ? palowConstants.PA_JOB_BATCH : 0));
    hasDeadline = settings.timeout != null;
    deadline = hasDeadline ? System.nanoTime() + Math.min(Nanos.of(settings.timeout), Long.MAX_VALUE / 2) : 0;
    if (settings.stop != null) settings.stop.listeners.add(stopNoted);
    if (settings.limiter != null) settings.limiter.listeners.add(wake);
  }

  /** The owner is done with the job, and with all that is the user's. */
  final void drop() {
    if (settings.stop != null) settings.stop.listeners.remove(stopNoted);
    if (settings.limiter != null) settings.limiter.listeners.remove(wake);
    end = end();
    ownerDone = true;
    takers.wakeAll();
    release();
  }

  /** By the owner or the last worker, whoever is later: one that was left behind may not have asked the job for anything yet. */
  private void release() {
    if (!ownerDone || isBusy() || !released.compareAndSet(false, true)) return;
    life.lock();
    try {
      dropped = true;
      palow.job_drop(job);
    } finally {
      life.unlock();
    }
    if (settings.onQuiescent != null) settings.onQuiescent.run();
  }

  // ---------------------------------------------------------------- what kinds of runs differ in

  /** Where the items of a lease are. */
  abstract Slab slab(long cookie);

  /** Fetches inputs, and supplies them: returns what pa_job_supply did. */
  abstract int pull(Worker worker);

  /** Whether outcomes go through a consumer, who is told durations by libpa. */
  abstract boolean isStream();

  /** The largest batch so far. */
  volatile int batchSize;

  final void ranBatch(int count) {
    if (count > batchSize) batchSize = count;
  }

  // ---------------------------------------------------------------- workers

  /**
   * Starts so many workers, or as many as there is something for. Those that are there go first: of many workers for short items, a few
   * have done the work before the others have begun.
   */
  final void start(int most) {
    unstarted.set(most);
    starting = true;
    try {
      for (int i = 0; i < most && !exhausted && !enough; i++) {
        startNext();
        if (i >= PROCESSORS) Thread.yield();
      }
    } catch (Throwable none) {
      unstarted.set(0);
      if (isBusy() || exhausted || helpedByCaller()) return; // there are others to do the work, or have done it
      stop();
      throw none;
    } finally {
      starting = false;
    }
  }

  /** A worker has found work: one who sleeps must be there, to be woken for what comes next, as long as there may be more. */
  final void keepSpare() {
    if (starting || unstarted.get() == 0 || takers.sleepers() > 0) return;
    try {
      startNext();
    } catch (Throwable noThread) { // those who are there do the work
      unstarted.set(0);
    }
  }

  /**
   * Whether a worker that finds nothing may go, since enough others sleep: many that sleep are dear to wake, and at the end all are. It is
   * started again when there is work for it; so not where starting one means a new thread or a connection.
   */
  final boolean isTooMany() {
    if (isStream() || settings.threads != null || settings.workerStart != null || settings.workerStop != null) return false;
    if (takers.sleepers() < SPARES) return false;
    enough = true;
    unstarted.incrementAndGet();
    return true;
  }

  private void startNext() {
    if (exhausted || unstarted.getAndUpdate(left -> Math.max(0, left - 1)) == 0) return;
    final Executor executor = settings.threads == null ? Threads.pool() : Threads.of(settings.threads);
    final Worker worker = worker(false);
    working.incrementAndGet();
    try {
      executor.execute(worker);
    } catch (Throwable none) {
      left();
      throw none;
    }
  }

  /** Whether there is a worker besides those that are started: the calling thread. */
  abstract boolean helpedByCaller();

  Worker worker(boolean isCaller) {
    return new Worker(this, isCaller);
  }

  final void enter() {
    working.incrementAndGet();
  }

  /** A worker's last words. */
  final void left() {
    if (working.decrementAndGet() > 0) return;
    release();
    owner.wakeAll();
  }

  final boolean isBusy() {
    return working.get() > 0;
  }

  /** Returns whether the calling thread was interrupted meanwhile; the run is then stopped. */
  final boolean awaitWorkers() {
    boolean interrupted = false;
    while (isBusy()) {
      final long seen = owner.epoch();
      if (!isBusy()) break;
      try {
        owner.parkLightly(seen, -1);
      } catch (InterruptedException e) {
        interrupted = true;
        stop();
      }
    }
    return interrupted;
  }

  /** After every call of the job: others may have something to do now. */
  final void passOn(Lease lease) {
    takers.wake(lease.wake());
    if (lease.wakesConsumer()) owner.wakeAll();
  }

  private void wakeEverybody() {
    takers.wakeAll();
    owner.wakeAll();
  }

  // ---------------------------------------------------------------- ends

  /** The job sees the token by itself; workers in the midst of a lease look at this. */
  private void noteStop() {
    stopping = true;
    wakeEverybody();
  }

  /** Whether somebody has asked for a stop: costs nothing to look at. */
  final boolean isStopping() {
    return stopping;
  }

  /** Ends the run with CANCELLED, unless it has ended. */
  final void stop() {
    stopping = true;
    life.lock();
    try {
      if (!dropped) palow.pa_job_stop(job);
    } finally {
      life.unlock();
    }
    wakeEverybody();
  }

  /** The first one is the run's failure. */
  final void breakOff(RunFailedException.Part part, Throwable cause) {
    if (Failures.isFatal(cause)) fatal.compareAndSet(null, cause);
    else breach.compareAndSet(null, new Breach(part, cause));
    stop();
  }

  /** To be thrown by the call, whatever else there is. */
  final void die(Throwable error) {
    fatal.compareAndSet(null, error);
    stop();
  }

  final Throwable fatal() {
    return fatal.get();
  }

  final Breach breach() {
    return breach.get();
  }

  /** Whoever runs items from now on as the calling thread; null: it has gone. */
  final void helpedBy(Thread thread) {
    helper = thread;
  }

  /** It stays interrupted: the thread takes that up itself, behind its lease. */
  private boolean isHelperInterrupted() {
    final Thread thread = helper;
    if (thread == null || !thread.isInterrupted()) return false;
    stop();
    return true;
  }

  /** Only for those who hold the job. */
  final boolean isOver() {
    return mustEnd() || palow.pa_job_end(job) != palowConstants.PA_END_NONE;
  }

  /** For anybody, at any time: the job may be gone. */
  final boolean isOverOrDropped() {
    if (mustEnd()) return true;
    life.lock();
    try {
      return dropped || palow.pa_job_end(job) != palowConstants.PA_END_NONE;
    } finally {
      life.unlock();
    }
  }

  private boolean mustEnd() {
    return stopping
        || isHelperInterrupted()
        || (hasDeadline && System.nanoTime() - deadline >= 0)
        || (settings.stop != null && settings.stop.requested());
  }

  @Override
  public final boolean isOver(Call call) {
    final boolean over = call.thread == Thread.currentThread() ? isOver() : isOverOrDropped();
    return over || call.late(System.nanoTime());
  }

  @Override
  public final long timeLeft(Call call) {
    final long now = System.nanoTime();
    return Math.min(hasDeadline ? deadline - now : Long.MAX_VALUE, call.timeLeft(now));
  }

  /** Once the job has ended; also after it was dropped. */
  final End end() {
    if (end != null) return end;
    if (breach.get() != null) return End.FAILED;
    return End.of(palow.pa_job_end(job));
  }

  /** What becomes of items that the run did not get to. */
  final ItemState unrun(ItemState ofJob) {
    return end() == End.FAILED && ofJob == ItemState.CANCELLED ? ItemState.ABORTED : ofJob;
  }

  final ItemState unrun() {
    return unrun(end());
  }

  static ItemState unrun(End end) {
    return switch (end) {
      case TIMED_OUT -> ItemState.TIMED_OUT;
      case CANCELLED -> ItemState.CANCELLED;
      default -> ItemState.ABORTED;
    };
  }

  /** Throws what ended the run from outside, if anything did. */
  final void check(Results<?> results) {
    final Throwable fatal = this.fatal.get();
    if (fatal != null) throw Failures.<RuntimeException>rethrow(fatal);
    final Breach breach = this.breach.get();
    if (breach != null) throw new RunFailedException(breach.part(), breach.cause(), results);
    if (end() == End.FAILED)
      throw new RunFailedException(RunFailedException.Part.MEMORY, (Throwable) null, results);
  }
}
