package libpa;

import java.util.Arrays;
import java.util.List;
import java.util.Objects;

/**
 * One call of a {@link BatchFn}, by which it can answer for each item on its own. A position is that in the list that the function
 * got. The last answer wins.
 *
 * @param <R> the values
 */
public final class BatchCall<R> extends Call {
  /** By position: null, or OK, or the error. */
  private Object[] answers = new Object[0];

  private Object[] values = new Object[0];

  private static final Object OK = new Object();

  BatchCall(Bounds bounds, long itemTimeoutNanos) {
    super(bounds, itemTimeoutNanos);
  }

  /**
   * The item succeeded.
   *
   * @param position from 0
   * @param value its value
   */
  public void ok(int position, R value) {
    answers[Objects.checkIndex(position, answers.length)] = OK;
    values[position] = value;
  }

  /**
   * The item failed.
   *
   * @param position from 0
   * @param error why
   */
  public void fail(int position, Throwable error) {
    Objects.requireNonNull(error, "error");
    answers[Objects.checkIndex(position, answers.length)] = error;
  }

  void begin(int count) {
    answers = new Object[count];
    values = new Object[count];
  }

  boolean succeeded(int position) {
    return answers[position] == OK;
  }

  Throwable errorAt(int position) {
    return answers[position] instanceof Throwable error ? error : null;
  }

  Object valueAt(int position) {
    return values[position];
  }

  /** What the function returned, for the items that were not answered. */
  void returned(List<? extends R> returned) {
    final int got = returned == null ? 0 : returned.size();
    if (got == answers.length) {
      int position = 0;
      for (R value : returned) {
        if (position < got && answers[position] == null) ok(position, value);
        position++;
      }
      if (position != got) failed(new IllegalStateException("a list of " + got + " values had " + position));
    } else if (Arrays.stream(answers).anyMatch(Objects::isNull)) { // which item is each value of? nobody knows
      failed(new IllegalStateException("the batch function returned " + got + " values for " + answers.length + " items"));
    }
  }

  /** What the function threw, for the items that were not answered. */
  void failed(Throwable error) {
    for (int i = 0; i < answers.length; i++) if (answers[i] == null) answers[i] = error;
  }
}
