package libpa;

import static libpa.MapTest.numbers;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.management.ManagementFactory;
import java.lang.ref.WeakReference;
import java.time.Duration;
import java.util.Iterator;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.management.ObjectName;
import libpa.low.palow;
import org.junit.jupiter.api.Test;

/** After a million items that succeed, fail, crash, are cancelled and closed on, nothing is left. */
class LeakTest {
  private static final int ITEMS = 1_000_000;

  @Test
  void afterAMillionItemsNoThreadHandleOrReferenceIsLeft() throws Exception {
    closedStreams(); // what the JVM itself makes for the first of everything is no leak
    settle();
    final int references = globalReferences();
    assertTrue(Parallel.drain(Duration.ofSeconds(60)));
    final int threads = liveThreads();
    mapWithFailures();
    cancelledMaps();
    closedStreams();
    abandonedStreams();
    settle();
    assertEquals(0, palow.live_handles(), "handles");
    assertTrue(Parallel.drain(Duration.ofSeconds(60)));
    assertEquals(threads, liveThreads(), "threads");
    // The JVM makes some of its own, for a thread of its compiler, say; one for each run or item would be hundreds.
    assertTrue(globalReferences() < references + 10, references + " global references were " + globalReferences());
  }

  private static void mapWithFailures() {
    final Limiter limiter = new Limiter(Rate.perSecond(1e9).burst(1_000_000));
    final Results<Integer> results =
        Parallel.workers(3).limiter(limiter).retry(Retry.attempts(2).backoff(Duration.ZERO)).runWithCall(numbers(ITEMS / 2), (x, call) -> {
          if (x % 101 == 0) throw new Exception("fails");
          if (x % 103 == 0 && call.attempt() == 1) throw new Exception("once");
          if (x % 107 == 0) throw new AssertionError("crashes");
          return x;
        });
    assertEquals(ITEMS / 2, results.size());
    assertEquals(numbers(ITEMS / 2).stream().filter(x -> x % 101 == 0 || x % 107 == 0).count(), results.failures().size());
  }

  private static void cancelledMaps() {
    for (int round = 0; round < 100; round++) {
      final StopToken stop = new StopToken();
      final int at = 1000 * (round % 5);
      final Options options = Parallel.workers(3).stop(stop).detach(round % 2 == 0);
      final Results<Integer> results = options.run(numbers(2_500), x -> {
        if (x == at) stop.request();
        return x;
      });
      assertEquals(2_500, results.size());
    }
  }

  private static void closedStreams() {
    for (int round = 0; round < 100; round++) {
      try (ResultStream<Integer> stream = Parallel.workers(2).window(500).stream(numbers(2_500), x -> x)) {
        final Iterator<ItemResult<Integer>> results = stream.iterator();
        for (int i = 0; i < 20 * round; i++) results.next();
      }
    }
  }

  private static void abandonedStreams() {
    for (int round = 0; round < 10; round++)
      Parallel.workers(2).window(10).stream(numbers(1_000), x -> x).iterator().next();
  }

  @Test
  void aStreamKeepsNeitherItemsNorValuesThatWereHandedOut() {
    final List<WeakReference<Object>> seen = new java.util.ArrayList<>();
    try (ResultStream<Object> stream = Parallel.workers(2).window(50).stream(() -> java.util.stream.IntStream.range(0, 10_000).<Object>mapToObj(x -> new Object()).iterator(), x -> new Object())) {
      for (ItemResult<Object> result : stream) seen.add(new WeakReference<>(result.value()));
    }
    for (int tries = 0; tries < 100 && seen.stream().anyMatch(reference -> reference.get() != null); tries++) System.gc();
    assertTrue(seen.stream().noneMatch(reference -> reference.get() != null));
  }

  /** Waits until what nobody can reach any more has been dropped. */
  static void settle() throws InterruptedException {
    for (int tries = 0; tries < 1_000 && palow.live_handles() > 0; tries++) {
      System.gc();
      Thread.sleep(5); // the thread of the cleaner has no event to wait for
    }
  }

  private static int liveThreads() {
    return (int) Thread.getAllStackTraces().keySet().stream().filter(thread -> thread.getName().startsWith("libpa-")).count();
  }

  static int globalReferences() throws Exception {
    final Object[] arguments = {new String[0]};
    final String[] signature = {String[].class.getName()};
    final String dump = (String) ManagementFactory.getPlatformMBeanServer()
        .invoke(new ObjectName("com.sun.management:type=DiagnosticCommand"), "threadPrint", arguments, signature);
    final Matcher matcher = Pattern.compile("JNI global refs: (\\d+)").matcher(dump);
    assertTrue(matcher.find(), "this JVM tells how many global references there are");
    return Integer.parseInt(matcher.group(1));
  }
}
