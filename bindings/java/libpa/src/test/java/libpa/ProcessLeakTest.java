package libpa;

import static libpa.MapTest.numbers;
import static libpa.ProcessTasks.OBEY;
import static libpa.ProcessTasks.REFUSED;
import static libpa.ProcessTasks.SQUARE;
import static libpa.ProcessTasks.options;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.Collections;
import java.util.Iterator;
import java.util.List;
import libpa.low.palow;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** After hundreds of thousands of items of worker processes, that succeed, fail, are cancelled and closed on, nothing is left. */
@Timeout(value = 120, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class ProcessLeakTest {
  @Test
  void noBlockHandleReferenceThreadOrProcessIsLeft() throws Exception {
    trouble(1);
    assertTrue(Parallel.drain(Duration.ofSeconds(60)));
    LeakTest.settle();
    final int references = LeakTest.globalReferences();
    trouble(10);
    assertEquals(Collections.nCopies(20, "1"), OBEY.map(Collections.nCopies(20, "blocks"), options()), "in a worker there is the item that runs");
    assertTrue(Parallel.drain(Duration.ofSeconds(60)));
    LeakTest.settle();
    for (int tries = 0; tries < 1_000 && NativeTasks.liveBlocks() > 0; tries++) { // an abandoned stream is closed by another thread
      System.gc();
      Thread.sleep(5);
    }
    assertEquals(0, NativeTasks.liveBlocks(), "blocks");
    assertEquals(0, palow.live_handles(), "handles");
    assertTrue(Parallel.drain(Duration.ofSeconds(60)));
    assertEquals(0, ProcessHandle.current().children().count(), "processes");
    assertEquals(0, Thread.getAllStackTraces().keySet().stream().filter(thread -> thread.getName().startsWith("libpa-")).count(), "threads");
    assertTrue(LeakTest.globalReferences() < references + 10, references + " global references were " + LeakTest.globalReferences());
  }

  private static void trouble(int rounds) {
    for (int round = 0; round < rounds; round++) {
      assertEquals(10_000, SQUARE.map(numbers(10_000), options()).size());
      REFUSED.run(numbers(2_000), options().retry(Retry.attempts(2).backoff(Duration.ZERO).retryIf(error -> error instanceof WorkerException)));
      cancelled(round);
      closed(round);
      failing();
      SQUARE.stream(numbers(1_000), options().window(10)).iterator().next(); // abandoned
    }
    assertThrows(RunFailedException.class, () -> OBEY.run(List.of("halt 3"), options().processes(ProcessTasks.processes().maxCrashes(1))));
  }

  private static void cancelled(int round) {
    final StopToken stop = new StopToken();
    final Options options = options().stop(stop).detach(round % 2 == 0).itemKey((Integer x) -> "key");
    SQUARE.run(numbers(10_000), options.onProgress((done, total) -> {
      if (done == 100 * round) stop.request();
    }));
  }

  private static void closed(int round) {
    try (ResultStream<Long> stream = SQUARE.stream(numbers(10_000), options().ordered(round % 2 == 0))) {
      final Iterator<ItemResult<Long>> results = stream.iterator();
      for (int i = 0; i < 20 * round; i++) results.next();
    }
  }

  private static void failing() {
    final Iterable<Integer> source = () -> numbers(5_000).stream().map(x -> {
      if (x == 3_000) throw new IllegalStateException("the file is gone");
      return x;
    }).iterator();
    assertThrows(RunFailedException.class, () -> SQUARE.run(source, options()));
    assertThrows(IllegalArgumentException.class, () -> SQUARE.run(source, options().workers(70_000)));
  }
}
