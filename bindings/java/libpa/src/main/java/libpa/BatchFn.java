package libpa;

import java.util.List;

/**
 * A function of several items, where one statement, request or native call can do many.
 *
 * <p>It returns the values in the order of the items. Items that it answers by {@link BatchCall#fail} or {@link BatchCall#ok} have that
 * answer instead, whatever it returns or throws. If it throws, all others fail with what it threw; if it returns fewer values than
 * it got items, or more, all others fail as well, since nobody knows which item each value is of. Items that failed are retried one by
 * one, each as a batch of one.
 *
 * @param <T> what it takes
 * @param <R> the values
 */
@FunctionalInterface
public interface BatchFn<T, R> {
  /**
   * Does the work.
   *
   * @param items at least one, with consecutive indices; cannot be changed, and may be kept
   * @param call this call; not to be used after it has returned
   * @return a value for each item
   * @throws Exception makes those items fail that were not answered by {@code call}
   */
  List<? extends R> apply(List<T> items, BatchCall<R> call) throws Exception;
}
