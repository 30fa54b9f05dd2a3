package libpa.conformance;

import com.google.gson.JsonObject;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import libpa.BatchCall;
import libpa.Call;
import libpa.RetryAfter;
import libpa.StopToken;

/** The functions that cases name. */
final class Program {
  /** An error that the retry policy of the runner does not repeat. */
  static final class Final extends Exception {
    private static final long serialVersionUID = 1;

    Final(String message) {
      super(message);
    }
  }

  private static final class Throttled extends Exception implements RetryAfter {
    private static final long serialVersionUID = 1;
    private final long waitNanos;

    Throttled(long waitNanos) {
      super("throttled");
      this.waitNanos = waitNanos;
    }

    @Override
    public Duration retryAfter() {
      return Duration.ofNanos(waitNanos);
    }
  }

  private final JsonObject function;
  private final String name;
  private final StopToken stop;
  private final Observed seen;

  Program(JsonObject function, StopToken stop, Observed seen) {
    Fields.check(function, "function", "name", "times", "x", "wait_ns", "missing");
    this.function = function;
    this.name = function.get("name").getAsString();
    this.stop = stop;
    this.seen = seen;
  }

  private long number(String field) {
    return function.get(field).getAsLong();
  }

  Long item(long x, Call call) throws Exception {
    enter();
    try {
      return answer(name, x, call);
    } finally {
      seen.now.decrementAndGet();
    }
  }

  List<Long> batch(List<Long> items, BatchCall<Long> call) throws Exception {
    enter();
    try {
      if (name.equals("short")) return items.stream().limit(items.size() - number("missing")).map(x -> x * x).toList();
      if (name.equals("fail_always") || name.equals("crash_on_odd") || name.equals("until_stopped")) {
        final List<Long> values = new ArrayList<>();
        for (long x : items) values.add(answer(name, x, call));
        return values;
      }
      for (int i = 0; i < items.size(); i++) {
        try {
          call.ok(i, answer(name, items.get(i), call));
        } catch (Exception error) {
          call.fail(i, error);
        }
      }
      return null; // all have answers
    } finally {
      seen.now.decrementAndGet();
    }
  }

  private void enter() {
    seen.calls.incrementAndGet();
    final long now = seen.now.incrementAndGet();
    seen.mostAtOnce.accumulateAndGet(now, Math::max);
  }

  private Long answer(String rule, long x, Call call) throws Exception {
    final boolean odd = x % 2 != 0;
    switch (rule) {
      case "square" -> {}
      case "nothing" -> {
        return null;
      }
      case "fail_on_odd" -> {
        if (odd) throw new Exception("odd: " + x);
      }
      case "fail_always" -> throw new Exception("always");
      case "fail_times" -> {
        if (call.attempt() <= number("times")) throw new Exception("attempt " + call.attempt());
      }
      case "fail_for_good_on_odd" -> {
        if (odd) throw new Final("final: " + x);
        if (call.attempt() == 1) throw new Exception("once");
      }
      case "throttle" -> {
        if (call.attempt() <= number("times")) throw new Throttled(number("wait_ns"));
      }
      case "crash_on_odd" -> {
        if (odd) throw new AssertionError("crash: " + x);
      }
      case "stop_at" -> {
        if (x == number("x")) stop.request();
      }
      case "until_stopped" -> untilStopped(call, true);
      case "until_stopped_ok" -> untilStopped(call, false);
      case "until_stopped_at" -> {
        if (x == number("x")) untilStopped(call, true);
      }
      default -> throw new IllegalArgumentException("nobody knows the function " + rule);
    }
    return x * x;
  }

  private static void untilStopped(Call call, boolean givesUp) throws InterruptedException {
    while (!call.stopped()) Thread.sleep(1);
    if (givesUp) call.checkStopped();
  }
}
