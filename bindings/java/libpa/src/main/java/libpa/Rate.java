package libpa;

import java.time.Duration;
import java.util.Objects;
import libpa.low.palow;

/**
 * How often: at most {@code count} calls per {@code per}, spread evenly, of which up to {@code burst} may come at once after idling.
 *
 * <p>What is out of range is refused by what the rate is handed to: {@link Limiter}, or the call that runs.
 *
 * @param count how many; finite and above 0, at most 1e9 a second and at least one a year
 * @param per in which time; above 0
 * @param burst at least 1
 */
public record Rate(double count, Duration per, long burst) {
  /**
   * Checks that there is a time.
   *
   * @param count how many
   * @param per in which time
   * @param burst how many at once
   */
  public Rate {
    Objects.requireNonNull(per, "per");
  }

  /**
   * A rate with a burst of 1.
   *
   * @param count how many
   * @param per in which time
   * @return the rate
   */
  public static Rate of(double count, Duration per) {
    return new Rate(count, per, 1);
  }

  /**
   * So many a second, with a burst of 1.
   *
   * @param count how many
   * @return the rate
   */
  public static Rate perSecond(double count) {
    return of(count, Duration.ofSeconds(1));
  }

  /**
   * So many a minute, with a burst of 1.
   *
   * @param count how many
   * @return the rate
   */
  public static Rate perMinute(double count) {
    return of(count, Duration.ofMinutes(1));
  }

  /**
   * The same rate with another burst.
   *
   * @param burst how many calls may come at once after idling; at least 1
   * @return the rate
   */
  public Rate burst(long burst) {
    return new Rate(count, per, burst);
  }

  void write(long address) {
    palow.pa_rate_count_set(address, count);
    palow.pa_rate_per_ns_set(address, Nanos.of(per));
    palow.pa_rate_burst_set(address, burst);
  }
}
