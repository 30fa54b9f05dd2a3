package fetch;

import java.io.IOException;
import java.net.http.HttpResponse;
import java.time.Duration;
import libpa.RetryAfter;

/** The server answered, but not with the page. It may have said when to come back: that pauses the limiter, and with it all workers. */
final class Refusal extends IOException implements RetryAfter {
  private static final long serialVersionUID = 1;

  private final int status;
  private final Duration wait;

  Refusal(HttpResponse<?> response) {
    super("the server answered " + response.statusCode());
    status = response.statusCode();
    final boolean asks = status == 429 || status == 503;
    wait = asks ? response.headers().firstValue("Retry-After").flatMap(RetryAfter::parse).orElse(null) : null;
  }

  boolean isTemporary() {
    return status == 429 || status == 502 || status == 503 || status == 504;
  }

  @Override
  public Duration retryAfter() {
    return wait;
  }
}
