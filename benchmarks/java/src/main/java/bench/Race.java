package bench;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * Several ways to do the same work, timed in one JVM by turns: as the Race of harness.hpp. Each contender begins after a collection and a
 * rest, so that none pays for what another has left behind.
 */
final class Race {
  /** Work that is timed as a whole. */
  interface Work {
    Object run() throws Exception;
  }

  private final String title;
  private final Map<String, Work> contenders = new LinkedHashMap<>();
  private final Map<String, List<Double>> samples = new LinkedHashMap<>();
  private Object expected;

  Race(String title) {
    this.title = title;
  }

  Race add(String name, Work work) {
    contenders.put(name, work);
    samples.put(name, new ArrayList<>());
    return this;
  }

  /** The first one another in each round, after rounds that do not count, by which all is compiled. */
  void run(int warmUps, int rounds) throws Exception {
    final List<Map.Entry<String, Work>> turns = new ArrayList<>(contenders.entrySet());
    for (int round = -warmUps; round < rounds; round++)
      for (int turn = 0; turn < turns.size(); turn++) {
        final Map.Entry<String, Work> contender = turns.get(Math.floorMod(turn + round, turns.size()));
        System.gc();
        Thread.sleep(2);
        final long began = System.nanoTime();
        final Object result = contender.getValue().run();
        final double seconds = (System.nanoTime() - began) / 1e9;
        check(contender.getKey(), result);
        if (round >= 0) samples.get(contender.getKey()).add(seconds);
      }
  }

  /** A contender that computes something else must not be timed. */
  private void check(String name, Object result) {
    if (expected == null) expected = result;
    if (!expected.equals(result)) throw new IllegalStateException(title + ": " + name + " has another result");
  }

  double fastest(String name) {
    return samples.get(name).stream().mapToDouble(x -> x).min().orElseThrow();
  }

  List<String> json() {
    final List<String> lines = new ArrayList<>();
    samples.forEach((name, times) -> {
      final double[] sorted = times.stream().mapToDouble(x -> x).sorted().toArray();
      lines.add(String.format(Locale.ROOT,
          "{\"race\": \"%s\", \"unit\": \"s\", \"contender\": \"%s\", \"fastest\": %.9g, \"median\": %.9g, \"samples\": %s}",
          title, name, sorted[0], sorted[sorted.length / 2], Arrays.toString(times.toArray())));
    });
    return lines;
  }
}
