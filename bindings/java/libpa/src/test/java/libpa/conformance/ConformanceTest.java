package libpa.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.google.gson.JsonPrimitive;
import java.io.IOException;
import java.io.Reader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import libpa.ItemResult;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/** Every case of conformance/cases, by every call that it names. */
class ConformanceTest {
  private static final Map<String, String> CAUSES =
      Map.of("SOURCE", "source failed", "CALLBACK", "callback failed", "KEY", "key failed", "WORKER_START", "worker failed");

  @TestFactory
  List<DynamicTest> cases() throws IOException {
    final List<DynamicTest> tests = new ArrayList<>();
    try (Stream<Path> files = Files.list(Path.of(System.getProperty("libpa.root"), "conformance", "cases"))) {
      for (Path file : files.filter(path -> path.toString().endsWith(".json")).sorted().toList()) {
        try (Reader reader = Files.newBufferedReader(file, StandardCharsets.UTF_8)) {
          for (JsonElement element : JsonParser.parseReader(reader).getAsJsonArray()) add(tests, element.getAsJsonObject());
        }
      }
    }
    assertTrue(tests.size() > 100, "there are cases");
    return tests;
  }

  private static void add(List<DynamicTest> tests, JsonObject testCase) {
    final String name = testCase.get("name").getAsString();
    for (JsonElement call : testCase.getAsJsonArray("calls"))
      tests.add(DynamicTest.dynamicTest(name + " (" + call.getAsString() + ")", () -> run(testCase, call.getAsString())));
  }

  private static void run(JsonObject testCase, String call) {
    Fields.check(testCase, "a case", "name", "row", "calls", "inputs", "function", "options", "expect", "not");
    final JsonObject not = testCase.getAsJsonObject("not");
    Assumptions.assumeFalse(not != null && not.has("java"), () -> "not applicable: " + not.get("java").getAsString());
    final Observed seen = new Runner(testCase, call).run();
    final JsonObject expect = testCase.getAsJsonObject("expect");
    for (String field : expect.keySet()) judge(field, expect, seen);
    if (!expect.has("error")) assertEquals("", seen.error, seen.message);
    assertEquals(seen.workersStarted.get(), seen.workersStopped.get(), "each worker that was started is stopped");
    assertEquals(seen.error.equals("INVALID") ? 0 : 1, seen.quiescent.get(), "onQuiescent comes once");
  }

  private static void judge(String field, JsonObject expect, Observed seen) {
    final JsonElement wanted = expect.get(field);
    switch (field) {
      case "error" -> error(wanted.getAsString(), seen);
      case "message_has" -> has(seen.message, wanted.getAsString());
      case "end" -> assertEquals(wanted.getAsString(), seen.end);
      case "ok" -> assertEquals(wanted.getAsBoolean(), seen.ok, "ok");
      case "count" -> assertEquals(forStreams("stream_count", wanted, expect, seen).getAsLong(), seen.outcomes.size(), "count");
      case "states" -> states(forStreams("stream_states", wanted, expect, seen), seen);
      case "stream_count", "stream_states" -> {} // see the two above
      case "values" -> {
        for (ItemResult<Long> result : seen.outcomes)
          assertEquals(at(wanted, result), result.value() == null ? JsonNull.INSTANCE : new JsonPrimitive(result.value()), where(result));
      }
      case "messages" -> messages(wanted.getAsJsonObject(), seen);
      case "attempts" -> {
        for (ItemResult<Long> result : seen.outcomes)
          assertEquals((wanted.isJsonArray() ? at(wanted, result) : wanted).getAsInt(), result.attempts(), where(result));
      }
      case "keys" -> {
        for (ItemResult<Long> result : seen.outcomes) assertEquals(at(wanted, result), key(result.key()), where(result));
      }
      case "calls" -> assertEquals(wanted.getAsLong(), seen.calls.get(), field);
      case "calls_at_most" -> atMost(wanted, seen.calls.get(), field);
      case "calls_at_least" -> atLeast(wanted, seen.calls.get(), field);
      case "most_at_once" -> atMost(wanted, seen.mostAtOnce.get(), field);
      case "delivered_at_most" -> atMost(wanted, seen.delivered.get(), field);
      case "progress" ->
          assertEquals(wanted.toString(), "[" + seen.progressCalls + "," + seen.lastDone + "," + seen.lastTotal + "]");
      case "results" -> assertEquals(wanted.getAsLong(), seen.results, field);
      case "in_order" -> assertEquals(wanted.getAsBoolean(), seen.inOrder, field);
      case "workers_started_at_most" -> atMost(wanted, seen.workersStarted.get(), field);
      case "workers_started_at_least" -> atLeast(wanted, seen.workersStarted.get(), field);
      default -> throw new IllegalStateException("nobody knows the expectation " + field);
    }
  }

  private static JsonElement forStreams(String field, JsonElement otherwise, JsonObject expect, Observed seen) {
    return seen.isStream && expect.has(field) ? expect.get(field) : otherwise;
  }

  private static JsonElement at(JsonElement list, ItemResult<Long> result) {
    return list.getAsJsonArray().get((int) result.index());
  }

  private static String where(ItemResult<Long> result) {
    return "of item " + result.index();
  }

  private static void error(String wanted, Observed seen) {
    assertEquals(wanted, seen.error, seen.message);
    if (CAUSES.containsKey(wanted)) assertEquals(CAUSES.get(wanted), seen.cause, "what was thrown is the cause");
    if (wanted.equals("INVALID")) assertEquals("", seen.end);
  }

  private static void states(JsonElement wanted, Observed seen) {
    if (wanted instanceof JsonArray states) {
      for (ItemResult<Long> result : seen.outcomes) assertEquals(states.get((int) result.index()).getAsString(), result.state().name(), where(result));
      return;
    }
    final Map<String, Long> counts = new TreeMap<>();
    for (ItemResult<Long> result : seen.outcomes) counts.merge(result.state().name(), 1L, Long::sum);
    final Map<String, Long> expected = new TreeMap<>();
    wanted.getAsJsonObject().entrySet().forEach(entry -> expected.put(entry.getKey(), entry.getValue().getAsLong()));
    assertEquals(expected, counts);
  }

  private static void messages(JsonObject wanted, Observed seen) {
    for (Map.Entry<String, JsonElement> message : wanted.entrySet()) {
      final long index = Long.parseLong(message.getKey());
      final ItemResult<Long> result = seen.outcomes.stream().filter(r -> r.index() == index).findAny().orElseThrow();
      has(result.error().getMessage(), message.getValue().getAsString());
    }
  }

  private static JsonElement key(Object key) {
    if (key == null) return JsonNull.INSTANCE;
    if (key instanceof Long number) return new JsonPrimitive(number);
    if (key instanceof String text) return new JsonPrimitive(text);
    final JsonObject bytes = new JsonObject();
    bytes.addProperty("bytes", new String((byte[]) key, StandardCharsets.UTF_8));
    return bytes;
  }

  private static void has(String text, String part) {
    assertTrue(text.contains(part), text + " does not contain " + part);
  }

  private static void atMost(JsonElement wanted, long got, String field) {
    assertTrue(got <= wanted.getAsLong(), field + " " + wanted + ", got " + got);
  }

  private static void atLeast(JsonElement wanted, long got, String field) {
    assertTrue(got >= wanted.getAsLong(), field + " " + wanted + ", got " + got);
  }
}
