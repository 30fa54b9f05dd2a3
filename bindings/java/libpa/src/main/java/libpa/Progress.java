package libpa;

/** How far a run is: {@link Options#onProgress}. */
@FunctionalInterface
public interface Progress {
  /**
   * Called after each item that was done.
   *
   * @param done how many are; counts up by one
   * @param total how many inputs there are; where that is not known, how many were pulled so far
   * @throws Exception ends the run with {@link End#FAILED}
   */
  void update(long done, long total) throws Exception;
}
