package libpa;

import java.time.Duration;

/** Durations as libpa counts them. */
final class Nanos {
  private Nanos() {}

  /** Of 292 years and more: as long as a long can say. */
  static long of(Duration duration) {
    try {
      return duration.toNanos();
    } catch (ArithmeticException tooLong) {
      return duration.isNegative() ? Long.MIN_VALUE : Long.MAX_VALUE;
    }
  }
}
