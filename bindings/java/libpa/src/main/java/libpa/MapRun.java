package libpa;

import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.Queue;
import java.util.RandomAccess;
import java.util.concurrent.ConcurrentLinkedQueue;
import libpa.low.palow;
import libpa.low.palowConstants;

/**
 * Items that are all there, outcomes that are all kept, nobody to be told meanwhile: the job hands out indices of two arrays, and the
 * calling thread is one of the workers.
 */
final class MapRun extends Run {
  private final Slab slab;
  private final Queue<Worker> workers = new ConcurrentLinkedQueue<>();
  /** By index, where anything is not OK. */
  private ItemState[] states;
  /** Of items that were not done: attempts, by index. */
  private int[] attempts;

  MapRun(Settings settings, Body body, Collection<?> items) {
    this(settings, body, items instanceof List<?> list && list instanceof RandomAccess ? new Slab(list) : copy(items.toArray()));
  }

  private MapRun(Settings settings, Body body, Slab slab) {
    super(settings, body, slab.values.length, 0);
    this.slab = slab;
  }

  private static Slab copy(Object[] items) {
    return new Slab(0, items, items.length, null);
  }

  @Override
  Slab slab(long cookie) {
    return slab;
  }

  @Override
  int pull(Worker worker) {
    throw new IllegalStateException("libpa asked for inputs that it has");
  }

  @Override
  boolean isStream() {
    return false;
  }

  /** A thread that was made for this is another one than the caller's, and may be of another kind. */
  @Override
  boolean helpedByCaller() {
    return settings.inline || settings.threads == null;
  }

  @Override
  Worker worker(boolean isCaller) {
    final Worker worker = new Worker(this, isCaller);
    workers.add(worker);
    return worker;
  }

  <R> Results<R> run() {
    boolean interrupted = Thread.interrupted();
    if (interrupted) stop();
    try {
      final int takers = Math.max(1, Math.min(settings.workers(), slab.values.length));
      start(helpedByCaller() ? takers - 1 : takers);
      if (helpedByCaller()) interrupted |= help();
    } catch (Throwable error) {
      awaitWorkers();
      drop();
      throw error;
    } finally {
      interrupted |= awaitWorkers();
      if (interrupted) Thread.currentThread().interrupt();
    }
    try {
      drain();
      final Results<R> results = results();
      check(results);
      return results;
    } finally {
      drop();
    }
  }

  private boolean help() {
    enter();
    final Worker worker = worker(true);
    helpedBy(Thread.currentThread());
    try {
      worker.run();
    } finally {
      helpedBy(null);
    }
    return worker.takeInterrupt();
  }

  /** Workers are gone: what they wrote is here, and what they left is told. */
  private void drain() {
    final Struct.Chunk chunk = new Struct.Chunk();
    while (palow.pa_job_drain(job, chunk.address) == palowConstants.PA_STATUS_OK) {
      if (states == null) {
        states = new ItemState[slab.values.length];
        attempts = new int[slab.values.length];
      }
      final int first = (int) chunk.first();
      final ItemState state = unrun(chunk.state());
      for (int i = first; i < first + chunk.longCount(); i++) {
        states[i] = state;
        attempts[i] = chunk.attempts();
        slab.values[i] = null;
      }
    }
  }

  private <R> Results<R> results() {
    boolean ok = states == null && end() == End.COMPLETED;
    for (Note note : notes.values()) ok &= note.error == null;
    return new Results<>(new Outcomes<R>(), end(), ok, batchSize);
  }

  /** Made when they are looked at: most never are. */
  private final class Outcomes<R> implements Results.Outcomes<R> {
    private Durations.Index durations;

    @Override
    public int size() {
      return slab.values.length;
    }

    @Override
    @SuppressWarnings("unchecked")
    public R value(int index) {
      return (R) slab.values[index];
    }

    @Override
    public ItemState state(int index) {
      if (states != null && states[index] != null) return states[index];
      final Note note = notes.isEmpty() ? null : notes.get((long) index);
      if (note == null || note.error == null) return ItemState.OK;
      return note.timedOut ? ItemState.TIMED_OUT : ItemState.FAILED;
    }

    @Override
    public ItemResult<R> get(int index) {
      final ItemState state = state(index);
      final Note note = notes.isEmpty() ? null : notes.get((long) index);
      final boolean unrun = states != null && states[index] != null;
      final Throwable error = state == ItemState.OK ? null : note != null && note.error != null ? note.error : state.notDone();
      final int tried = unrun ? attempts[index] : note != null ? note.attempts : 1;
      final long nanos = note != null ? note.ended - note.started : unrun ? 0 : durations().of(index);
      return new ItemResult<>(index, state, value(index), error, tried, Duration.ofNanos(nanos), null);
    }

    private synchronized Durations.Index durations() {
      if (durations == null) durations = new Durations.Index(workers.stream().map(worker -> worker.durations).toList());
      return durations;
    }
  }
}
