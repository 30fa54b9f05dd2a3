package libpa;

import java.lang.ref.Reference;
import java.util.concurrent.CancellationException;
import java.util.concurrent.TimeoutException;
import libpa.low.palow;
import libpa.low.palowConstants;

/** A taker: a thread that takes leases of a run and runs what they name, until there are no more. */
final class Worker implements Runnable {
  /** Items are run in blocks of about this; behind each, the clock is looked at. */
  private static final long BLOCK_NANOS = 10_000;
  /** A lease that takes longer is shown to the job now and then, so that others see progress, and a stop or a pause takes effect. */
  private static final long STEP_NANOS = 200_000;

  static final int LONGEST_BLOCK = 1 << 10;
  /** Items that failed have one code: what they threw is what counts. */
  private static final int CODE = 1;

  private final Run run;
  /** Runs on the thread that called, which may be interrupted to stop the run, and gets its interrupt back. */
  private final boolean isCaller;

  private final Lease lease = Lease.get();
  final Call call;
  private Object[] scratch = new Object[1];
  /** What the last item threw. */
  Throwable thrown;
  /** Of the array map: how long items took. */
  final Durations durations = new Durations();

  /** Those that are running on this thread; maps may nest. */
  private static final ThreadLocal<Worker> CURRENT = new ThreadLocal<>();

  private Worker outer;
  private boolean begun;
  /** All of the lease was run, and the job is told when it is asked for the next one. */
  private boolean isComplete;
  /** Until it is told that the job is over: from then on the job may be gone. */
  private boolean holdsJob = true;
  private int block = 1;
  private boolean interrupted;

  Worker(Run run, boolean isCaller) {
    this.run = run;
    this.isCaller = isCaller;
    call = run.body.isBatch() ? new BatchCall<>(run, run.itemTimeoutNanos) : new Call(run, run.itemTimeoutNanos);
  }

  @SuppressWarnings("unchecked")
  BatchCall<Object> batchCall() {
    return (BatchCall<Object>) call;
  }

  /** For so many values on their way, at most LONGEST_BLOCK. A thousand workers whose items are long need no more than one each. */
  Object[] scratch(int count) {
    if (scratch.length < count) scratch = new Object[LONGEST_BLOCK];
    return scratch;
  }

  @Override
  public void run() {
    enter();
    try {
      for (boolean goesOn = true; goesOn; ) goesOn = turn();
    } finally {
      try {
        finish();
      } finally {
        exit();
      }
    }
  }

  /** Whether the caller was interrupted since the last time it was asked. */
  boolean takeInterrupt() {
    final boolean was = interrupted;
    interrupted = false;
    return was;
  }

  /** Whether this thread is in code that a run calls: waiting for its workers would be waiting for itself. */
  static boolean isWithin(Run run) {
    for (Worker worker = CURRENT.get(); worker != null; worker = worker.outer) if (worker.run == run) return true;
    return false;
  }

  private void enter() {
    outer = CURRENT.get();
    CURRENT.set(this);
    call.thread = Thread.currentThread();
  }

  private void exit() {
    call.thread = null;
    if (outer == null) CURRENT.remove();
    else CURRENT.set(outer);
  }

  /** Looks for work once, and does it, or sleeps. Returns false when there will be none any more. */
  boolean turnInline() {
    enter();
    try {
      return turn();
    } finally {
      exit();
    }
  }

  private boolean turn() {
    try {
      long seen = run.takers.epoch();
      int status = take();
      while (status == palowConstants.PA_STATUS_PULL) {
        seen = run.takers.epoch();
        status = run.pull(this);
        run.passOn(lease);
      }
      switch (status) {
        case palowConstants.PA_STATUS_OK -> runLease();
        case palowConstants.PA_STATUS_AGAIN -> {
          if (!isCaller && run.takers.epoch() == seen && run.isTooMany()) return false;
          park(seen);
        }
        case palowConstants.PA_STATUS_STOPPED -> {}
        default -> {
          holdsJob = false;
          run.exhausted = true;
          return false;
        }
      }
    } catch (Throwable error) { // of ours: memory is short, say
      run.die(error);
      return false;
    }
    return true;
  }

  private int take() {
    final boolean hadLease = isComplete;
    isComplete = false;
    final int status =
        hadLease ? palow.pa_job_complete_and_take(run.job, lease.address) : palow.pa_job_take(run.job, lease.address);
    run.passOn(lease);
    return status;
  }

  /** After the last turn, on the thread that made it. */
  void finish() {
    if (holdsJob) {
      if (isComplete) complete(lease.count());
      palow.pa_job_leave(run.job, lease.address);
      run.passOn(lease);
    }
    call.thread = null; // the job may be gone from now on
    lease.recycle();
    try {
      if (begun && run.settings.workerStop != null) stopWorker();
    } finally {
      run.left();
    }
  }

  private void stopWorker() {
    try {
      run.settings.workerStop.run();
    } catch (Throwable error) {
      // It can't undo what was done; but it is not to be lost either.
      final Thread thread = Thread.currentThread();
      thread.getUncaughtExceptionHandler().uncaughtException(thread, error);
    }
  }

  private void park(long seen) {
    try {
      if (isCaller) run.takers.parkLightly(seen, lease.waitNanos());
      else run.takers.park(seen, lease.waitNanos());
    } catch (InterruptedException e) {
      if (isCaller) interrupt(); // others: an item left it behind
    }
  }

  private void interrupt() {
    interrupted = true;
    run.stop();
  }

  // ---------------------------------------------------------------- a lease

  private void runLease() {
    if (!begun && !begin()) return;
    run.keepSpare();
    final Run.Slab slab = run.slab(lease.cookie());
    final int from = (int) (lease.first() - slab.first);
    call.attempt = lease.attempt();
    if (run.body.isBatch()) runBatch(slab, from, from + lease.count());
    else runItems(slab, from, from + lease.count());
    Reference.reachabilityFence(lease);
    if (Thread.interrupted() && isCaller) interrupt();
  }

  private boolean begin() {
    if (run.settings.workerStart != null) {
      try {
        run.settings.workerStart.run();
      } catch (Throwable error) {
        run.breakOff(RunFailedException.Part.WORKER_START, error);
        complete(0);
        return false;
      }
    }
    begun = true;
    return true;
  }

  private void runItems(Run.Slab slab, int from, int end) {
    int to = end;
    final boolean timed = run.itemTimeoutNanos >= 0;
    int settled = from; // what lies before it is known to the job
    int at = from;
    long blockBegan = System.nanoTime();
    long since = blockBegan; // the job heard of us
    while (at < to) {
      call.started = blockBegan;
      final int blockEnd = timed ? at + 1 : Math.min(to, at + block);
      final int reached = run.body.run(slab, at, blockEnd, this);
      final long now = System.nanoTime();
      final boolean late = timed && call.late(now);
      if (reached < blockEnd || late) {
        final int failed = late ? at : reached;
        if (!run.isStream()) durations.add(slab.first + settled, failed - settled, now - since);
        if (!fail(slab, failed, blockBegan, now, late)) return;
        at = settled = failed + 1;
        blockBegan = since = System.nanoTime();
        continue;
      }
      adapt(reached - at, now - blockBegan);
      at = reached;
      blockBegan = now;
      if (at < to && (now - since > STEP_NANOS || run.isStopping())) {
        if (!run.isStream()) durations.add(slab.first + settled, at - settled, now - since);
        if (!step(at - settled)) return;
        to = at + lease.count(); // others may have been given some of it
        settled = at;
        blockBegan = since = System.nanoTime();
      }
    }
    if (lease.attempt() > 1 && settled < to) succeededAtLast(slab.first + settled, blockBegan);
    else if (!run.isStream()) durations.add(slab.first + settled, to - settled, blockBegan - since);
    completeAll();
  }

  /** So that a block takes about as long as it should, whatever an item costs. */
  private void adapt(int ran, long nanos) {
    if (nanos < BLOCK_NANOS / 2) {
      if (ran == block) block = Math.min(2 * block, LONGEST_BLOCK);
    } else if (nanos > 2 * BLOCK_NANOS) {
      block = (int) Math.max(1, ran * BLOCK_NANOS / nanos);
    }
  }

  private void runBatch(Run.Slab slab, int from, int to) {
    final long began = System.nanoTime();
    call.started = began;
    run.body.run(slab, from, to, this);
    final long now = System.nanoTime();
    final BatchCall<Object> answers = batchCall();
    final boolean late = run.itemTimeoutNanos >= 0 && call.late(now);
    run.ranBatch(to - from);
    int settled = from;
    for (int at = from; at < to; at++) {
      if (!late && answers.succeeded(at - from)) {
        slab.values[at] = answers.valueAt(at - from);
        continue;
      }
      thrown = answers.errorAt(at - from);
      if (!run.isStream()) durations.addEach(slab.first + settled, at - settled, now - began);
      settled = at + 1;
      if (!fail(slab, at, began, now, late)) return;
    }
    if (lease.attempt() > 1 && settled < to) succeededAtLast(slab.first + settled, now);
    else if (!run.isStream()) durations.addEach(slab.first + settled, to - settled, now - began);
    completeAll();
  }

  /** An item that is tried again is leased alone. */
  private void succeededAtLast(long index, long now) {
    final Run.Note note = run.notes.get(index);
    if (note == null) return;
    note.error = null;
    note.attempts = lease.attempt();
    note.ended = now;
  }

  // ---------------------------------------------------------------- what the job is told

  private boolean step(int done) {
    final int status = palow.pa_job_step(run.job, lease.address, done);
    run.passOn(lease);
    return status == palowConstants.PA_STATUS_OK;
  }

  /** Of what is left of the lease. Who works for himself alone asks for no other one before he has seen what came of this. */
  private void completeAll() {
    if (run.settings.inline) complete(lease.count());
    else isComplete = true;
  }

  private void complete(int done) {
    palow.pa_job_complete(run.job, lease.address, done);
    run.passOn(lease);
  }

  /** Returns whether the lease goes on behind the item. */
  private boolean fail(Run.Slab slab, int position, long began, long now, boolean late) {
    final long index = slab.first + position;
    final Throwable error = late ? tooLate() : thrown;
    thrown = null;
    slab.values[position] = null;
    if (Failures.isFatal(error)) run.die(error);
    if (isCaller && error instanceof InterruptedException) interrupt();

    final boolean gaveUp = !late && isGivingUp(error) && run.isOver();
    final long serverWait = Failures.serverWait(error);
    int flags = late ? palowConstants.PA_FAIL_TIMED_OUT : 0;
    if (gaveUp) flags |= palowConstants.PA_FAIL_STOPPED;
    else if (!mayRetry(error, serverWait)) flags |= palowConstants.PA_FAIL_FINAL;
    if (!gaveUp) note(index, began, now, error, late); // before the job knows: its consumer may be quick

    final int status = palow.pa_job_fail(run.job, lease.address, index, flags, serverWait, CODE, null);
    run.passOn(lease);
    return status == palowConstants.PA_STATUS_FINAL || status == palowConstants.PA_STATUS_RETRY;
  }

  private void note(long index, long began, long now, Throwable error, boolean late) {
    final Run.Note note = run.notes.computeIfAbsent(index, any -> new Run.Note(began));
    note.error = error;
    note.attempts = lease.attempt();
    note.ended = now;
    note.timedOut = late;
  }

  /** After the last attempt it only matters whether the limiter hears of what the server asked for. */
  private boolean mayRetry(Throwable error, long serverWait) {
    final boolean attemptsLeft = lease.attempt() < run.settings.retry.attempts;
    return (!attemptsLeft && serverWait < 0) || run.settings.retry.allows(error);
  }

  private Throwable tooLate() {
    final TimeoutException error = new TimeoutException("the attempt took longer than " + run.settings.itemTimeout);
    if (thrown != null) error.addSuppressed(thrown);
    return error;
  }

  /** What a function throws that was told to stop. */
  private static boolean isGivingUp(Throwable error) {
    return error instanceof CancellationException || error instanceof InterruptedException;
  }

  Lease lease() {
    return lease;
  }
}
