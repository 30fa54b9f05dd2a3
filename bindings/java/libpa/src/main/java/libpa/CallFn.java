package libpa;

/**
 * A function of one item that also looks at the {@link Call}: which attempt this is, whether the run has ended, how much time is left.
 *
 * @param <T> what it takes
 * @param <R> what it returns; {@code null} is a value, too
 * @see Fn
 */
@FunctionalInterface
public interface CallFn<T, R> {
  /**
   * Does the work.
   *
   * @param item one of the inputs
   * @param call this call; not to be used after it has returned
   * @return the value of the item
   * @throws Exception makes the item fail
   */
  R apply(T item, Call call) throws Exception;
}
