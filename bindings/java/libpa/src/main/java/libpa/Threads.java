package libpa;

import java.lang.reflect.InvocationTargetException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.ThreadFactory;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Supplier;
import libpa.low.palowConstants;

/** The threads that run items. */
final class Threads {
  /** Idle ones end after so long. */
  private static final long IDLE_SECONDS = 5;

  private static final long GLANCE_NANOS = 20_000_000;

  private static final AtomicLong number = new AtomicLong();
  /** Those of the pool that may be alive; under its own lock. */
  private static final List<Thread> made = new ArrayList<>();

  private static int pruneAt = 64;

  private static final ThreadPoolExecutor POOL =
      new ThreadPoolExecutor(0, Integer.MAX_VALUE, IDLE_SECONDS, TimeUnit.SECONDS, new SynchronousQueue<>(), Threads::daemon);

  private Threads() {}

  private static Thread daemon(Runnable task) {
    final Thread thread = new Thread(task, "libpa-" + number.incrementAndGet());
    thread.setDaemon(true); // the exit of a program does not wait for what was detached
    synchronized (made) {
      if (made.size() >= pruneAt) {
        made.removeIf(old -> old.getState() == Thread.State.TERMINATED);
        pruneAt = Math.max(64, 2 * made.size());
      }
      made.add(thread);
    }
    return thread;
  }

  /** Persistent platform threads, that are shared by all runs. */
  static Executor pool() {
    return POOL;
  }

  static Executor of(ThreadFactory factory) {
    return task -> factory.newThread(task).start();
  }

  /** Completed with what the work returns or throws; cancelling it calls stop. */
  static <V> CompletableFuture<V> inBackground(Runnable stop, Supplier<V> work) {
    final CompletableFuture<V> future = new CompletableFuture<>();
    future.whenComplete((value, error) -> {
      if (future.isCancelled()) stop.run();
    });
    POOL.execute(() -> {
      try {
        future.complete(work.get());
      } catch (Throwable error) {
        future.completeExceptionally(error);
      }
    });
    return future;
  }

  /** Null where this JVM has no virtual threads: this is compiled for one that has not. */
  static ThreadFactory virtual() {
    return Virtual.FACTORY;
  }

  private static final class Virtual {
    static final ThreadFactory FACTORY = find();

    private static ThreadFactory find() {
      try {
        final Object builder = Thread.class.getMethod("ofVirtual").invoke(null);
        final Class<?> type = Class.forName("java.lang.Thread$Builder");
        type.getMethod("name", String.class, long.class).invoke(builder, "libpa-virtual-", 0L);
        return (ThreadFactory) type.getMethod("factory").invoke(builder);
      } catch (NoSuchMethodException | ClassNotFoundException | IllegalAccessException | InvocationTargetException older) {
        return null; // before 21; in 19 and 20 they had to be enabled
      }
    }
  }

  /** Ends the idle threads of the pool, those of libpa, and idle workers. Returns whether none is left. */
  static boolean drain(long timeoutNanos) throws InterruptedException {
    final long began = System.nanoTime();
    return drainPool(timeoutNanos) && drainLibpa(timeoutNanos, began);
  }

  /** libpa waits in native code, which no interrupt reaches: so it waits a little at a time. */
  private static boolean drainLibpa(long timeoutNanos, long began) throws InterruptedException {
    if (!ProcessRun.hasBegun()) return true;
    for (;;) {
      if (Thread.interrupted()) throw new InterruptedException();
      final long left = Math.max(0, timeoutNanos - (System.nanoTime() - began));
      if (NativeTasks.drain(Math.min(left, GLANCE_NANOS)) == palowConstants.PA_STATUS_OK) return true;
      if (left == 0) return false;
    }
  }

  private static boolean drainPool(long timeoutNanos) throws InterruptedException {
    final long began = System.nanoTime();
    final List<Thread> alive;
    synchronized (made) {
      alive = new ArrayList<>(made);
    }
    POOL.setKeepAliveTime(1, TimeUnit.NANOSECONDS); // wakes those who are idle
    try {
      for (Thread thread : alive) {
        final long left = timeoutNanos - (System.nanoTime() - began);
        if (thread.isAlive() && left > 0) TimeUnit.NANOSECONDS.timedJoin(thread, left);
        if (thread.isAlive()) return false;
      }
      return true;
    } finally {
      POOL.setKeepAliveTime(IDLE_SECONDS, TimeUnit.SECONDS);
    }
  }
}
