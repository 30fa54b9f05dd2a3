package libpa;

import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;

/**
 * Applies one function to many inputs, in parallel, with one outcome for every input.
 *
 * <pre>{@code
 * List<Page> pages = Parallel.map(urls, Page::fetch);              // throws BatchException if any failed
 *
 * Results<Page> results = Parallel.workers(64)
 *     .rate(Rate.perSecond(100))
 *     .retry(Retry.attempts(3).on(IOException.class))
 *     .run(urls, Page::fetch);                                     // failed items are data
 * for (ItemResult<Page> failure : results.failures()) log(failure.index(), failure.error());
 * }</pre>
 *
 * <p>The calls here have all defaults; {@link #options} and {@link #workers} begin {@link Options}, which have the same calls.
 */
public final class Parallel {
  private Parallel() {}

  /**
   * All defaults.
   *
   * @return options to start from
   */
  public static Options options() {
    return Options.DEFAULTS;
  }

  /**
   * So many calls at a time.
   *
   * @param workers see {@link Options#workers}
   * @return options to go on with
   */
  public static Options workers(int workers) {
    return options().workers(workers);
  }

  /**
   * Applies a function to every item, and returns the values in input order.
   *
   * @param items the inputs
   * @param fn the function
   * @param <T> the type of the items
   * @param <R> the type of the values
   * @return a list that cannot be changed
   * @throws BatchException if not every item succeeded
   * @see Options#map(Iterable, Fn)
   */
  public static <T, R> List<R> map(Iterable<? extends T> items, Fn<? super T, ? extends R> fn) {
    return options().<T, R>map(items, fn);
  }

  /**
   * Applies a function to every item, and returns one outcome for each.
   *
   * @param items the inputs
   * @param fn the function
   * @param <T> the type of the items
   * @param <R> the type of the values
   * @return the outcomes
   * @see Options#run(Iterable, Fn)
   */
  public static <T, R> Results<R> run(Iterable<? extends T> items, Fn<? super T, ? extends R> fn) {
    return options().<T, R>run(items, fn);
  }

  /**
   * Applies a function that takes several items in one call.
   *
   * @param items the inputs
   * @param fn the function
   * @param <T> the type of the items
   * @param <R> the type of the values
   * @return a list that cannot be changed
   * @throws BatchException if not every item succeeded
   * @see Options#mapBatch
   */
  public static <T, R> List<R> mapBatch(Iterable<? extends T> items, BatchFn<T, R> fn) {
    return options().mapBatch(items, fn);
  }

  /**
   * Applies a function to every item, and hands out the outcomes one by one.
   *
   * @param items the inputs
   * @param fn the function
   * @param <T> the type of the items
   * @param <R> the type of the values
   * @return to be closed; it has begun
   * @see Options#stream(Iterable, Fn)
   */
  public static <T, R> ResultStream<R> stream(Iterable<? extends T> items, Fn<? super T, ? extends R> fn) {
    return options().<T, R>stream(items, fn);
  }

  /**
   * Applies a function to every item in the background.
   *
   * @param items the inputs
   * @param fn the function
   * @param <T> the type of the items
   * @param <R> the type of the values
   * @return completed with the outcomes
   * @see Options#async(Iterable, Fn)
   */
  public static <T, R> CompletableFuture<Results<R>> async(Iterable<? extends T> items, Fn<? super T, ? extends R> fn) {
    return options().<T, R>async(items, fn);
  }

  /**
   * To be called at the beginning of {@code main}, once all tasks are registered, by a program that runs a {@link Task}: it is its own
   * worker. In a process that was started to be a worker this serves, and then ends the process by {@link System#exit}, so that shutdown
   * hooks run; elsewhere it returns at once.
   */
  public static void workerMain() {
    WorkerMain.serveIfWorker();
  }

  /**
   * Ends the idle threads that are kept between runs, and idle worker processes. They end by themselves after a few seconds.
   *
   * @param timeout how long to wait for those that are running
   * @return whether no thread of libpa is left, and no worker process
   * @throws InterruptedException if the thread was interrupted
   */
  public static boolean drain(Duration timeout) throws InterruptedException {
    return Threads.drain(Nanos.of(timeout));
  }
}
