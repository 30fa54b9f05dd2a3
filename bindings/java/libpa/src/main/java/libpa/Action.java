package libpa;

/** Something to do that may throw: {@link Options#workerStart} and {@link Options#workerStop}. */
@FunctionalInterface
public interface Action {
  /**
   * Does it.
   *
   * @throws Exception if it cannot be done
   */
  void run() throws Exception;
}
