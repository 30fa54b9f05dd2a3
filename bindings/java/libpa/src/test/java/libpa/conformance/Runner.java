package libpa.conformance;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.function.BiFunction;
import java.util.function.Function;
import java.util.Map;
import libpa.End;
import libpa.ItemResult;
import libpa.Limiter;
import libpa.Options;
import libpa.Parallel;
import libpa.Rate;
import libpa.ResultStream;
import libpa.Results;
import libpa.Retry;
import libpa.RunFailedException;
import libpa.StopToken;

/** Runs a case by one of the calls that it names. */
final class Runner {
  private final String call;
  private final Inputs inputs;
  private final JsonObject function;
  private final JsonObject wanted;
  private final StopToken stop = new StopToken();
  private final Observed seen = new Observed();
  private final Program program;

  Runner(JsonObject testCase, String call) {
    this.call = call;
    inputs = new Inputs(testCase.get("inputs"));
    function = testCase.getAsJsonObject("function");
    wanted = testCase.has("options") ? testCase.getAsJsonObject("options") : new JsonObject();
    program = new Program(function, stop, seen);
  }

  @SuppressWarnings("unchecked") // the results of this run are of its type
  Observed run() {
    try {
      start(options());
    } catch (IllegalArgumentException refused) {
      seen.error = "INVALID";
      seen.message = refused.getMessage();
    } catch (RunFailedException failed) {
      seen.error = failed.part().name();
      seen.message = failed.getMessage();
      seen.cause = failed.getCause().getMessage();
      seen.end = End.FAILED.name();
      if (failed.results() != null) note((Results<Long>) failed.results());
    }
    return seen;
  }

  // ---------------------------------------------------------------- options

  private Options options() {
    Options options = Parallel.options().onQuiescent(seen.quiescent::incrementAndGet);
    if (inputs.hint >= 0) options = options.sizeHint(inputs.hint);
    if (isFinal() && !wanted.has("retry")) throw new IllegalStateException("a retry policy without retries");
    for (Map.Entry<String, JsonElement> option : wanted.entrySet()) options = set(options, option.getKey(), option.getValue());
    return options;
  }

  private boolean isFinal() {
    return function.get("name").getAsString().equals("fail_for_good_on_odd");
  }

  private Options set(Options options, String name, JsonElement value) {
    return switch (name) {
      case "workers" -> options.workers(value.getAsInt());
      case "window" -> options.window(value.getAsLong());
      case "batch_size" -> options.batchSize(value.getAsLong());
      case "batch" -> batch(options, value.getAsJsonObject());
      case "rate" -> options.rate(rate(value.getAsJsonObject()));
      case "limiter" -> options.limiter(new Limiter(rate(value.getAsJsonObject())));
      case "rate_cost" -> options.rateCost(value.getAsLong());
      case "retry" -> options.retry(retry(value.getAsJsonObject()));
      case "timeout_ns" -> options.timeout(duration(value));
      case "item_timeout_ns" -> options.itemTimeout(duration(value));
      case "max_errors" -> options.maxErrors(value.getAsLong());
      case "stop" -> stop(options, value);
      case "on_progress" -> onProgress(options, failsAt(value));
      case "on_result" -> onResult(options, failsAt(value));
      case "item_key" -> options.itemKey(key(value));
      case "worker_start" -> workerStart(options, value.isJsonObject());
      case "inline" -> options.inline(value.getAsBoolean());
      default -> throw new IllegalStateException("nobody knows the option " + name);
    };
  }

  private static Options batch(Options options, JsonObject batch) {
    Fields.check(batch, "batch", "max_items", "linger_ns");
    final Options sized = batch.has("max_items") ? options.batchItems(batch.get("max_items").getAsLong()) : options;
    return batch.has("linger_ns") ? sized.batchLinger(duration(batch.get("linger_ns"))) : sized;
  }

  private static Rate rate(JsonObject rate) {
    Fields.check(rate, "rate", "count", "per_ns", "burst");
    return new Rate(rate.get("count").getAsDouble(), duration(rate.get("per_ns")), rate.get("burst").getAsLong());
  }

  private static Duration duration(JsonElement nanos) {
    return Duration.ofNanos(nanos.getAsLong());
  }

  private Retry retry(JsonObject from) {
    Fields.check(from, "retry", "attempts", "backoff_ns", "max_delay_ns", "jitter", "max_server_wait_ns");
    Retry retry = Retry.attempts(from.get("attempts").getAsInt());
    if (from.has("backoff_ns")) retry = retry.backoff(duration(from.get("backoff_ns")));
    if (from.has("max_delay_ns")) retry = retry.maxDelay(duration(from.get("max_delay_ns")));
    if (from.has("jitter")) retry = retry.jitter(from.get("jitter").getAsBoolean());
    if (from.has("max_server_wait_ns")) retry = retry.maxServerWait(duration(from.get("max_server_wait_ns")));
    return isFinal() ? retry.retryIf(error -> !(error instanceof Program.Final)) : retry;
  }

  private Options stop(Options options, JsonElement value) {
    if (value.getAsString().equals("requested")) stop.request();
    return options.stop(stop);
  }

  private static long failsAt(JsonElement value) {
    return value.isJsonObject() ? value.getAsJsonObject().get("fails_at").getAsLong() : -1;
  }

  private Options onProgress(Options options, long failsAt) {
    return options.onProgress((done, total) -> {
      seen.lastDone = done;
      seen.lastTotal = total;
      if (++seen.progressCalls == failsAt) throw new IllegalStateException("callback failed");
    });
  }

  private Options onResult(Options options, long failsAt) {
    return options.onResult(result -> {
      if (++seen.results == failsAt) throw new IllegalStateException("callback failed");
    });
  }

  private static Function<Long, Object> key(JsonElement value) {
    if (value.isJsonObject()) {
      final long failsAt = failsAt(value);
      return x -> {
        if (x == failsAt) throw new IllegalStateException("key failed");
        return x;
      };
    }
    return switch (value.getAsString()) {
      case "int" -> x -> x;
      case "string" -> x -> "k" + x;
      case "mixed" -> x -> x % 3 == 0 ? x : x % 3 == 1 ? x.toString() : x.toString().getBytes(StandardCharsets.UTF_8);
      default -> throw new IllegalStateException("nobody knows the key " + value);
    };
  }

  private Options workerStart(Options options, boolean fails) {
    return options
        .workerStart(() -> {
          if (fails) throw new IllegalStateException("worker failed");
          seen.workersStarted.incrementAndGet();
        })
        .workerStop(seen.workersStopped::incrementAndGet);
  }

  // ---------------------------------------------------------------- calls

  private void start(Options options) {
    switch (call) {
      case "map" -> note(options.<Long, Long>runWithCall(inputs.items, program::item));
      case "source" -> note(options.<Long, Long>runWithCall(inputs.source(seen), program::item));
      case "batch" -> note(options.<Long, Long>runBatch(inputs.items, program::batch));
      case "batch_source" -> note(options.<Long, Long>runBatch(inputs.source(seen), program::batch));
      case "stream" -> read((o, source) -> o.<Long, Long>streamWithCall(source, program::item), options);
      case "ordered" -> read((o, source) -> o.<Long, Long>streamWithCall(source, program::item), options.ordered(true));
      case "batch_stream" -> read((o, source) -> o.<Long, Long>streamBatch(source, program::batch), options);
      case "batch_ordered" -> read((o, source) -> o.<Long, Long>streamBatch(source, program::batch), options.ordered(true));
      default -> throw new IllegalStateException("nobody knows the call " + call);
    }
  }

  private void note(Results<Long> results) {
    seen.end = results.end().name();
    seen.ok = results.ok();
    results.forEach(seen.outcomes::add);
  }

  private void read(BiFunction<Options, Iterable<Long>, ResultStream<Long>> open, Options options) {
    seen.isStream = true;
    try (ResultStream<Long> stream = open.apply(options, inputs.source(seen))) {
      long last = -1;
      for (ItemResult<Long> result : stream) {
        if (result.index() < last) seen.inOrder = false;
        last = result.index();
        seen.outcomes.add(result);
      }
      seen.end = stream.end().name();
      seen.ok = stream.end() == End.COMPLETED && seen.outcomes.stream().allMatch(ItemResult::ok);
    }
  }
}
