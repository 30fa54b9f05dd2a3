package libpa;

import java.time.Duration;
import java.time.Instant;
import java.util.Optional;
import libpa.low.palow;

/**
 * To be implemented by an exception that knows how long a server asked to be left alone (HTTP 429 or 503 with a Retry-After header).
 * When a function throws it, or something that it is a cause of, the wait replaces the backoff, without jitter and up to
 * {@link Retry#maxServerWait}, and pauses the run's limiter, and so every run that shares it, even if no attempt is left.
 *
 * <pre>{@code
 * final class Busy extends IOException implements RetryAfter {
 *   private final Duration wait;
 *   Busy(HttpResponse<?> response) {
 *     super("the server answered " + response.statusCode());
 *     wait = response.headers().firstValue("Retry-After").flatMap(RetryAfter::parse).orElse(null);
 *   }
 *   public Duration retryAfter() { return wait; }
 * }
 * }</pre>
 */
public interface RetryAfter {
  /**
   * How long the server asked to wait.
   *
   * @return the time to wait; zero: the next attempt may come at once; {@code null} or negative: it did not ask
   */
  Duration retryAfter();

  /**
   * Reads the value of a Retry-After header (RFC 9110, section 10.2.3): a number of seconds, or a date.
   *
   * @param header the value of the header, or {@code null}
   * @return how long to wait from now on, zero for a date in the past; empty if it is neither number nor date
   */
  static Optional<Duration> parse(String header) {
    return parse(header, -1);
  }

  /**
   * Like {@link #parse(String)}, with a clock of one's own.
   *
   * @param header the value of the header, or {@code null}
   * @param now to which a date is compared
   * @return how long to wait from {@code now} on
   */
  static Optional<Duration> parse(String header, Instant now) {
    return parse(header, now.getEpochSecond());
  }

  private static Optional<Duration> parse(String header, long nowSeconds) {
    NativeLibrary.load();
    final long nanos = header == null ? -1 : palow.pa_parse_retry_after(header, nowSeconds);
    return nanos < 0 ? Optional.empty() : Optional.of(Duration.ofNanos(nanos));
  }
}
