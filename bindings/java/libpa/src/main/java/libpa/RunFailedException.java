package libpa;

/**
 * Something other than an item failed, and ended the run: what it threw is the cause. What was done until then is in {@link #results}.
 */
public final class RunFailedException extends RuntimeException {
  private static final long serialVersionUID = 1;

  /** Whose failure it was. */
  public enum Part {
    /** The iterator that the items came from. */
    SOURCE("the source of the items failed"),
    /** {@link Options#itemKey}. */
    KEY("the key function failed"),
    /** {@link Options#onProgress} or {@link Options#onResult}. */
    CALLBACK("a callback failed"),
    /** {@link Options#workerStart}. */
    WORKER_START("a worker could not start"),
    /** The memory of libpa. */
    MEMORY("libpa has run out of memory");

    private final String words;

    Part(String words) {
      this.words = words;
    }
  }

  /** Whose failure it was. */
  private final Part part;

  private final transient Results<?> results;

  RunFailedException(Part part, Throwable cause, Results<?> results) {
    super(cause == null ? part.words : part.words + ": " + Failures.words(cause), cause);
    this.part = part;
    this.results = results;
  }

  /**
   * What failed.
   *
   * @return one of several
   */
  public Part part() {
    return part;
  }

  /**
   * What was done until then; other items are {@link ItemState#ABORTED}.
   *
   * @return the outcomes, or {@code null} of a stream, which has handed them out
   */
  public Results<?> results() {
    return results;
  }
}
