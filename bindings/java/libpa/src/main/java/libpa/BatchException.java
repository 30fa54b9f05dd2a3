package libpa;

import java.util.List;

/**
 * Not every item succeeded. The message says first whether the run ended early, then how many items failed and why the first did.
 * The first failure is the cause, and the errors of all failed items are suppressed exceptions of this one, in the order of the items.
 */
public final class BatchException extends RuntimeException {
  private static final long serialVersionUID = 1;

  private final transient End end;
  private final transient List<? extends ItemResult<?>> failures;

  BatchException(Results<?> results) {
    this(words(results), results.end(), results.failures());
  }

  BatchException(String message, ItemResult<?> failure) {
    this(message, End.COMPLETED, List.of(failure));
  }

  private BatchException(String message, End end, List<? extends ItemResult<?>> failures) {
    super(message, failures.isEmpty() ? null : failures.get(0).error());
    this.end = end;
    this.failures = failures;
    for (ItemResult<?> failure : failures) Failures.suppress(this, failure.error());
  }

  /**
   * Why the run ended.
   *
   * @return {@link End#COMPLETED} if items failed, and none was left out
   */
  public End end() {
    return end;
  }

  /**
   * The items that did not succeed, in their order: those that failed, and those that were not done.
   *
   * @return a list that cannot be changed
   */
  public List<? extends ItemResult<?>> failures() {
    return failures;
  }

  private static String words(Results<?> results) {
    final List<? extends ItemResult<?>> failures = results.failures();
    final StringBuilder words = new StringBuilder();
    if (results.end() != End.COMPLETED) words.append("the run ").append(results.end().words).append("; ");
    words.append(failures.size()).append(" of ").append(results.size()).append(" items ");
    words.append(results.end() == End.COMPLETED ? "failed" : "failed or were not done");
    if (!failures.isEmpty()) {
      final ItemResult<?> first = failures.get(0);
      words.append("; the first, index ").append(first.index()).append(": ").append(Failures.words(first.error()));
    }
    return words.toString();
  }
}
