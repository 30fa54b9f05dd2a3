package libpa;

import java.time.Duration;

/**
 * What became of one item.
 *
 * @param index the position of the input, from 0
 * @param state whether it succeeded
 * @param value what the function returned; {@code null} unless {@code state} is {@link ItemState#OK}, where it may be {@code null}
 *     as well
 * @param error what the function threw in the last attempt, the same object; for an item that timed out, a
 *     {@link java.util.concurrent.TimeoutException}; for one that never failed and was not done, a {@link NotDoneException};
 *     of a {@link Task} a {@link WorkerException} or a {@link WorkerCrashedException} stands for what stayed in the worker;
 *     {@code null} for {@link ItemState#OK}
 * @param attempts how many attempts were started; 0: it never ran
 * @param duration from the start of the first attempt to the end of the last, waits between them included. Short items that ran
 *     one after the other share their average. Zero: it never ran, or was too short to tell
 * @param key what {@link Options#itemKey} gave, or {@code null}
 * @param <R> the type of the value
 */
public record ItemResult<R>(
    long index, ItemState state, R value, Throwable error, int attempts, Duration duration, Object key) {
  /**
   * Whether the item succeeded.
   *
   * @return {@code state() == ItemState.OK}
   */
  public boolean ok() {
    return state == ItemState.OK;
  }

  /**
   * The value of an item that must have succeeded.
   *
   * @return the value
   * @throws BatchException if the item did not succeed; {@link #error} is its cause
   */
  public R orThrow() {
    if (ok()) return value;
    throw new BatchException("item " + index + ": " + Failures.words(error), this);
  }
}
