package libpa;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.Iterator;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.locks.ReentrantLock;
import libpa.low.palow;
import libpa.low.palowConstants;

/**
 * Items that are pulled from an iterator, and outcomes that are handed out one by one, by the thread that asks for them. A map that has
 * somebody to tell of each item, a key function, or calls to leave behind is one of these, too, whose owner collects it.
 */
final class StreamRun<R> extends Run implements Walk<R> {
  private static final int MOST_AT_ONCE = 1 << 16;
  /** What a call is given is supplied at once, but for batches that linger. */
  private static final int MOST_IN_A_BATCH = 1 << 20;
  /** An iterator that is slow is asked no further than this ahead of those who wait for its items. */
  private static final long PULL_NANOS = 15_000;

  private final Iterator<?> source;
  /** How many inputs there are, or -1, which is PA_UNSIZED. */
  private final long hint;

  private final ConcurrentHashMap<Long, Slab> slabs = new ConcurrentHashMap<>();

  // The puller's: one at a time.
  private long cookies;
  /** Where a batch that lingers is gathered. Null at first, and for others. */
  private Slab gathering;
  private Throwable sourceError;
  private volatile long pulled;

  // The owner's, under this lock: a close may come from another thread.
  private final ReentrantLock owning = new ReentrantLock();
  private final Struct.Chunk chunk = new Struct.Chunk();
  private final Struct progress = new Struct(palowConstants.SIZEOF_PROGRESS);
  private Slab current;
  private int position;
  private int inChunk;
  private ItemResult<R> next;
  private long handedOut;
  private boolean finished;
  private volatile boolean closing;
  private List<ItemResult<R>> leftovers;
  private Worker inlineWorker;
  private boolean interrupted;

  StreamRun(Settings settings, Body body, Iterator<?> source, long hint) {
    super(settings, body, hint, palowConstants.PA_JOB_STREAM | palowConstants.PA_JOB_PULL);
    this.source = source;
    this.hint = hint;
  }

  /** Starts the workers: one more than may run items, since one may have to wait for the source. */
  void begin() {
    try {
      if (settings.inline) {
        inlineWorker = worker(true);
        enter();
      } else {
        start(settings.workers() + 1);
      }
    } catch (Throwable error) {
      close();
      throw error;
    }
  }

  @Override
  boolean helpedByCaller() {
    return false;
  }

  @Override
  boolean isStream() {
    return true;
  }

  @Override
  Slab slab(long cookie) {
    return slabs.get(cookie);
  }

  // ---------------------------------------------------------------- the source

  @Override
  int pull(Worker worker) {
    final Lease lease = worker.lease();
    final int most = (int) Math.min(body.isBatch() ? MOST_IN_A_BATCH : MOST_AT_ONCE, lease.longCount());
    if (sourceError != null) {
      breakOff(RunFailedException.Part.SOURCE, sourceError);
      return palow.pa_job_supply(job, lease.address, 0, 1);
    }
    Object[] items = new Object[Math.min(most, 16)];
    Object[] keys = settings.itemKey == null ? null : new Object[items.length];
    int got = 0;
    boolean end = false;
    boolean broken = false;
    // An iterator can't say whether it would have to wait: a batch that is not told to linger is filled by asking on.
    final boolean full = body.isBatch() && settings.batchItems > 0 && settings.linger.isZero();
    final long began = System.nanoTime();
    try {
      while (got < most && !(end = !source.hasNext())) {
        if (got == items.length) {
          items = Arrays.copyOf(items, Math.min(most, 4 * got));
          if (keys != null) keys = Arrays.copyOf(keys, items.length);
        }
        final Object item = source.next();
        items[got++] = item;
        if (!full && System.nanoTime() - began > PULL_NANOS) break;
      }
    } catch (Throwable error) {
      if (Failures.isFatal(error)) die(error);
      sourceError = error; // what came before it is not lost: the next pull tells
      if (got == 0) {
        breakOff(RunFailedException.Part.SOURCE, error);
        end = true;
      }
    }
    if (keys != null) broken = !name(items, keys, got);
    if (got > 0) {
      keep(lease.first(), most, items, keys, got);
      lease.cookie(cookies);
    }
    pulled += got;
    return palow.pa_job_supply(job, lease.address, got, end || broken ? 1 : 0);
  }

  /**
   * Until they are handed out, under the last of the cookies. A call is given what has the same cookie: so what comes bit by bit for a batch
   * that lingers lies together. libpa asks for as many as are missing, and for a whole batch if the last one did not wait any longer.
   */
  private void keep(long first, int asked, Object[] items, Object[] keys, int got) {
    final boolean gathers = body.isBatch() && settings.batchItems > 0 && !settings.linger.isZero();
    if (!gathers) {
      slabs.put(++cookies, new Slab(first, items, got, keys));
      return;
    }
    if (gathering == null || !gathering.hasRoomFor(asked)) {
      if (gathering != null && gathering.isDoneAfter(1)) slabs.remove(cookies);
      gathering = new Slab(first, (int) settings.batchItems, keys != null);
      slabs.put(++cookies, gathering);
    }
    gathering.add(items, keys, got);
  }

  /** One at a time, when it is admitted. */
  private boolean name(Object[] items, Object[] keys, int count) {
    for (int i = 0; i < count; i++) {
      try {
        keys[i] = settings.itemKey.apply(items[i]);
      } catch (Throwable error) {
        breakOff(RunFailedException.Part.KEY, error);
        return false;
      }
    }
    return true;
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
      if (next == null && !finished && (position < inChunk || nextChunk(nanos))) next = tell(outcome());
      if (next == null && finished && !closing) check(null);
      return next;
    } finally {
      owning.unlock();
      if (interrupted) {
        interrupted = false;
        Thread.currentThread().interrupt();
      }
    }
  }

  /** Waits for it. False when it did not come in time, or the stream is over. */
  private boolean nextChunk(long nanos) {
    final long began = System.nanoTime();
    if (inlineWorker != null && Worker.isWithin(this)) throw new IllegalStateException("a function walks the stream that it is of");
    release();
    while (!closing) {
      final long seen = owner.epoch();
      final int status = palow.pa_job_next(job, chunk.address);
      takers.wake(chunk.wake());
      if (status == palowConstants.PA_STATUS_OK) {
        take();
        return true;
      }
      if (status != palowConstants.PA_STATUS_AGAIN) {
        finish();
        return false;
      }
      if (settings.detach && palow.pa_job_end(job) != palowConstants.PA_END_NONE) {
        palow.pa_job_close(job); // those who still run are left behind
        takers.wakeAll();
        finish();
        return false;
      }
      long left = chunk.waitNanos();
      if (nanos != Long.MAX_VALUE) {
        final long ofCaller = nanos - (System.nanoTime() - began);
        if (ofCaller <= 0) return false;
        left = left < 0 ? ofCaller : Math.min(left, ofCaller);
      }
      if (inlineWorker != null) workInline();
      else await(seen, left);
    }
    endNow();
    return false;
  }

  private void endNow() {
    if (finished) return;
    palow.pa_job_close(job);
    finish();
  }

  private void await(long seen, long nanos) {
    try {
      owner.park(seen, nanos);
    } catch (InterruptedException e) {
      interrupted = true;
      stop();
    }
    // The workers may all be busy: somebody must look at the clock, and at the stop token.
    palow.pa_job_poll(job, progress.address);
    takers.wake(progress.bytes.getInt(palowConstants.PROGRESS_WAKE));
  }

  private void workInline() {
    if (Thread.interrupted()) {
      interrupted = true;
      stop();
    }
    helpedBy(Thread.currentThread());
    try {
      if (!inlineWorker.turnInline() && fatal() != null) palow.pa_job_close(job); // what it held is not done, or it would be run again
    } finally {
      helpedBy(null);
    }
    interrupted |= inlineWorker.takeInterrupt();
  }

  private void take() {
    current = slabs.get(chunk.cookie());
    position = 0;
    inChunk = chunk.count();
  }

  /** The consumer has come back: what the chunk before held is nobody's any more. */
  private void release() {
    if (current == null) return;
    if (current.isDoneAfter(inChunk)) slabs.remove(chunk.cookie());
    current = null;
    inChunk = 0;
    position = 0;
  }

  private ItemResult<R> outcome() {
    final ItemResult<R> result = outcome(current, chunk.first() + position, chunk.state());
    position++;
    return result;
  }

  @SuppressWarnings("unchecked")
  private ItemResult<R> outcome(Slab slab, long index, ItemState state) {
    final int at = (int) (index - slab.first);
    final boolean mayHaveNote = state != ItemState.OK || chunk.attempts() > 1;
    final Note note = mayHaveNote ? notes.remove(index) : null;
    final Throwable error = state == ItemState.OK ? null : note != null && note.error != null ? note.error : state.notDone();
    final R value = state == ItemState.OK ? (R) slab.values[at] : null;
    slab.values[at] = null;
    slab.items[at] = null;
    final Object key = slab.keys == null ? null : slab.keys[at];
    return new ItemResult<>(index, state, value, error, chunk.attempts(), Duration.ofNanos(chunk.durationNanos()), key);
  }

  /** Callbacks come before the outcome is handed out, and no more once one has failed. */
  private ItemResult<R> tell(ItemResult<R> result) {
    handedOut++;
    if (!settings.hasCallbacks() || breach() != null) return result;
    try {
      if (settings.onResult != null) settings.onResult.accept(result);
      if (settings.onProgress != null) settings.onProgress.update(handedOut, hint < 0 ? pulled : Math.max(hint, pulled));
    } catch (Throwable error) {
      breakOff(RunFailedException.Part.CALLBACK, error);
    }
    return result;
  }

  // ---------------------------------------------------------------- the end

  /** All was handed out. Waits for workers on their way out, unless they were left behind. */
  private void finish() {
    if (inlineWorker != null) inlineWorker.finish();
    takers.wakeAll();
    final boolean leave = settings.detach && palow.pa_job_end(job) != palowConstants.PA_END_COMPLETED;
    if (!leave) interrupted |= awaitWorkers();
    while (palow.pa_job_drain(job, chunk.address) == palowConstants.PA_STATUS_OK) keepLeftovers();
    finished = true;
    drop();
  }

  private void keepLeftovers() {
    final Slab slab = slabs.get(chunk.cookie());
    if (leftovers == null || slab == null) return;
    final ItemState ofJob = chunk.state();
    // An item that outran its own time was done; one that the run's end kept from it was not.
    final boolean done = ofJob == ItemState.OK || ofJob == ItemState.FAILED || (ofJob == ItemState.TIMED_OUT && end() != End.TIMED_OUT);
    for (long index = chunk.first(); index < chunk.first() + chunk.longCount(); index++) {
      final ItemResult<R> result = outcome(slab, index, unrun(ofJob));
      leftovers.add(done ? tell(result) : result);
    }
  }

  @Override
  public End endOrNull() {
    return finished ? end() : null;
  }

  @Override
  public int batchSize() {
    return batchSize;
  }

  /** Ends the stream at any moment, from any thread. Waits for the calls that are running, unless they are left behind. */
  @Override
  public void close() {
    closing = true;
    if (!finished) stop();
    if (Worker.isWithin(this)) return; // who walks it sees to the rest
    owning.lock();
    try {
      endNow();
    } finally {
      owning.unlock();
      next = null;
      if (!isBusy()) slabs.clear();
    }
    if (interrupted) {
      interrupted = false;
      Thread.currentThread().interrupt();
    }
  }

  // ---------------------------------------------------------------- collecting

  /** All outcomes, those that were not done included. */
  Results<R> collect() {
    leftovers = new ArrayList<>();
    final List<ItemResult<R>> all = new ArrayList<>();
    if (Thread.interrupted()) {
      interrupted = true;
      stop();
    }
    try {
      begin();
      for (;;) {
        owning.lock();
        try {
          if (position < inChunk || nextChunk(Long.MAX_VALUE)) all.add(tell(outcome()));
          else break;
        } finally {
          owning.unlock();
        }
      }
    } finally {
      close();
      if (interrupted) Thread.currentThread().interrupt();
    }
    all.addAll(leftovers);
    final Results<R> results = new Results<>(inOrder(all), end(), isOk(all), batchSize);
    check(results);
    return results;
  }

  private boolean isOk(List<ItemResult<R>> all) {
    return end() == End.COMPLETED && all.stream().allMatch(ItemResult::ok);
  }

  /** By index; what a run that ended early was not asked for by then has an outcome, too. */
  private Collected<R> inOrder(List<ItemResult<R>> all) {
    final long size = end() == End.COMPLETED ? all.size() : Math.max(hint, all.size());
    all.sort(Comparator.comparingLong(ItemResult::index));
    return new Collected<>(all, (int) Math.min(size, Integer.MAX_VALUE), unrun());
  }

  /** Inputs that were never pulled are no more than a number: the hint may be any. */
  private record Collected<R>(List<ItemResult<R>> all, int size, ItemState unseen) implements Results.Outcomes<R> {
    @Override
    public ItemState state(int index) {
      return index < all.size() ? all.get(index).state() : unseen;
    }

    @Override
    public R value(int index) {
      return index < all.size() ? all.get(index).value() : null;
    }

    @Override
    public ItemResult<R> get(int index) {
      return index < all.size() ? all.get(index) : new ItemResult<>(index, unseen, null, unseen.notDone(), 0, Duration.ZERO, null);
    }
  }
}
