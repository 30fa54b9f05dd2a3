package libpa;

/**
 * A function of one item, as a lambda or a method reference. It may throw whatever it likes: what it throws is kept in the outcome
 * of its item, as the same object.
 *
 * <p>It is called on many threads at a time, so it must be safe to use from them.
 *
 * @param <T> what it takes
 * @param <R> what it returns; {@code null} is a value, too
 */
@FunctionalInterface
public interface Fn<T, R> {
  /**
   * Does the work.
   *
   * @param item one of the inputs
   * @return the value of the item
   * @throws Exception makes the item fail
   */
  R apply(T item) throws Exception;
}
