package libpa;

/**
 * Something other than an item failed, and ended the run: what it threw is the cause, if it threw anything. What was done until then is in
 * {@link #results}.
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
    /** {@link Options#workerStart}; or a worker process can't run the task. */
    WORKER_START("a worker could not start"),
    /** Worker processes: none can be started, or they don't come to serve, or they die one after the other. */
    WORKERS("the worker processes failed"),
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

  /** What libpa itself has found, in its own words. */
  RunFailedException(Part part, String message, Results<?> results) {
    super(part.words + ": " + message);
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
