package libpa;

import static libpa.MapTest.numbers;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Iterator;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

class StreamTest {
  /** 0, 1, 2, ... without end; counts. */
  private static Iterable<Integer> endless(AtomicLong pulled) {
    return () -> Stream.iterate(0, x -> x + 1).peek(x -> pulled.incrementAndGet()).iterator();
  }

  @Test
  void handsOutOneOutcomeForEachItem() {
    try (ResultStream<Integer> stream = Parallel.workers(3).stream(numbers(10_000), x -> 2 * x)) {
      final boolean[] seen = new boolean[10_000];
      for (ItemResult<Integer> result : stream) {
        assertFalse(seen[(int) result.index()], "twice");
        seen[(int) result.index()] = true;
        assertEquals(2 * result.index(), result.orThrow().longValue());
      }
      assertEquals(10_000, IntStream.range(0, 10_000).filter(i -> seen[i]).count());
      assertEquals(End.COMPLETED, stream.end());
    }
  }

  @Test
  void inOrderIndicesComeOneAfterTheOther() {
    try (ResultStream<Integer> stream = Parallel.workers(4).ordered(true).retry(Retry.attempts(2).backoff(Duration.ZERO)).streamWithCall(numbers(5_000), (x, call) -> {
      if (x % 100 == 0 && call.attempt() == 1) throw new Exception("once");
      return x;
    })) {
      int next = 0;
      for (ItemResult<Integer> result : stream) assertEquals(next++, result.index());
      assertEquals(5_000, next);
    }
  }

  @Test
  void asTheyComeAStragglerHoldsUpNobody() {
    final CountDownLatch others = new CountDownLatch(100);
    try (ResultStream<Integer> stream = Parallel.workers(2).stream(numbers(101), x -> {
      if (x == 0) others.await(); // for ever, if it held up the consumer
      return x;
    })) {
      long last = -1;
      for (ItemResult<Integer> result : stream) {
        others.countDown();
        last = result.index();
      }
      assertEquals(0, last);
    }
  }

  @Test
  void anEndlessSourceIsReadForAsLongAsOneLikesAndNoFurtherThanTheWindow() {
    final AtomicLong pulled = new AtomicLong();
    try (ResultStream<Integer> stream = Parallel.workers(2).window(10).stream(endless(pulled), x -> x)) {
      final Iterator<ItemResult<Integer>> results = stream.iterator();
      for (int i = 1; i <= 1_000; i++) {
        results.next();
        assertTrue(pulled.get() <= i + 10, pulled + " pulled, " + i + " handed out");
      }
    }
    final long then = pulled.get();
    assertTrue(then <= 1_010);
    assertEquals(then, pulled.get(), "it is not touched after close");
  }

  @Test
  void itIsAStreamOfJavaThatClosesIt() {
    final AtomicLong pulled = new AtomicLong();
    final ResultStream<Integer> results = Parallel.workers(2).ordered(true).window(100).stream(endless(pulled), x -> x * x);
    try (Stream<ItemResult<Integer>> stream = results.stream()) {
      assertEquals(List.of(0, 1, 4, 9, 16), stream.map(ItemResult::orThrow).limit(5).toList());
    }
    assertEquals(End.CANCELLED, results.end());
    assertThrows(NoSuchElementException.class, () -> results.iterator().next());
  }

  @Test
  void pollWaitsNoLongerThanItIsTold() {
    final CountDownLatch release = new CountDownLatch(1);
    try (ResultStream<Integer> stream = Parallel.workers(1).stream(List.of(7), x -> {
      release.await();
      return x;
    })) {
      assertEquals(Optional.empty(), stream.poll(Duration.ZERO));
      assertEquals(Optional.empty(), stream.poll(Duration.ofMillis(2)));
      assertNull(stream.end());
      release.countDown();
      assertEquals(7, stream.poll(Duration.ofHours(1)).orElseThrow().value());
      assertEquals(Optional.empty(), stream.poll(Duration.ofHours(1)));
      assertEquals(End.COMPLETED, stream.end());
    }
  }

  /** Each of its items comes in a pull of its own, as those of a queue or a socket do. */
  private static Iterable<Integer> slow(int count) {
    return () -> IntStream.range(0, count).peek(x -> {
      for (final long began = System.nanoTime(); System.nanoTime() - began < 100_000; ) Thread.onSpinWait();
    }).iterator();
  }

  @Test
  void aBatchThatLingersIsFilledFromSeveralPulls() {
    for (final int workers : new int[] {1, 3}) {
      final List<Integer> sizes = Collections.synchronizedList(new ArrayList<>());
      final Options options = Parallel.workers(workers).batchItems(4).batchLinger(Duration.ofHours(1)).itemKey(x -> x);
      try (ResultStream<Integer> stream = options.streamBatch(slow(42), (items, call) -> {
        sizes.add(items.size());
        return items.stream().map(x -> x * x).toList();
      })) {
        final List<Integer> indices = new ArrayList<>();
        for (ItemResult<Integer> result : stream) {
          indices.add((int) result.index());
          assertEquals(result.index() * result.index(), (long) result.value());
          assertEquals((int) result.index(), result.key());
        }
        indices.sort(null);
        assertEquals(numbers(42), indices);
      }
      sizes.sort(null);
      assertEquals(List.of(2, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4), sizes, workers + " workers");
    }
  }

  @Test
  void aBatchThatLingeredLongEnoughRunsWhileTheSourceBlocks() {
    final CountDownLatch ran = new CountDownLatch(1);
    final Iterable<Integer> source = () -> IntStream.range(0, 3).peek(x -> {
      if (x == 1) awaitQuietly(ran); // for ever, if item 0 waited for this one
    }).iterator();
    try (ResultStream<Integer> stream =
        Parallel.workers(1).batchItems(2).batchLinger(Duration.ofMillis(1)).streamBatch(source, (items, call) -> {
          ran.countDown();
          return items;
        })) {
      assertEquals(3, stream.stream().filter(ItemResult::ok).count());
    }
  }

  private static void awaitQuietly(CountDownLatch latch) {
    try {
      latch.await();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  @Test
  void whatASourceThrowsComesAfterWhatWasDoneAndAtEachLaterCall() {
    final IllegalStateException cause = new IllegalStateException("the file is gone");
    try (ResultStream<Integer> stream = Parallel.workers(2).stream(() -> ErrorsTest.failing(1_000, cause), x -> x)) {
      final Iterator<ItemResult<Integer>> results = stream.iterator();
      final List<Integer> got = new ArrayList<>();
      final RunFailedException thrown = assertThrows(RunFailedException.class, () -> {
        while (results.hasNext()) got.add(results.next().orThrow());
      });
      assertSame(cause, thrown.getCause());
      assertFalse(got.isEmpty());
      assertThrows(RunFailedException.class, results::hasNext);
      assertEquals(End.FAILED, stream.end());
    }
  }

  @Test
  void closingInTheMidstWaitsForCallsThatRun() {
    final AtomicInteger running = new AtomicInteger();
    final CountDownLatch begun = new CountDownLatch(2);
    final ResultStream<Integer> stream = Parallel.workers(2).streamWithCall(numbers(100), (x, call) -> {
      running.incrementAndGet();
      begun.countDown();
      while (!call.stopped()) Thread.onSpinWait();
      running.decrementAndGet();
      return x;
    });
    try {
      begun.await();
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
    stream.close();
    assertEquals(0, running.get());
    assertEquals(End.CANCELLED, stream.end());
    stream.close();
  }

  @Test
  void aCloseFromAnotherThreadEndsAWait() throws InterruptedException {
    final CountDownLatch waiting = new CountDownLatch(1);
    final ResultStream<Integer> stream = Parallel.workers(1).streamWithCall(List.of(1), (x, call) -> {
      waiting.countDown();
      while (!call.stopped()) Thread.sleep(1);
      return x;
    });
    final Thread closer = new Thread(() -> {
      try {
        waiting.await();
      } catch (InterruptedException e) {
        return;
      }
      stream.close();
    });
    closer.start();
    stream.forEach(result -> {}); // returns
    closer.join();
  }

  @Test
  void interruptingTheConsumerStopsTheStreamAndLeavesHimInterrupted() throws InterruptedException {
    final CountDownLatch running = new CountDownLatch(1);
    final AtomicInteger handedOut = new AtomicInteger();
    final End[] end = new End[1];
    final boolean[] interrupted = new boolean[1];
    final Thread consumer = new Thread(() -> {
      try (ResultStream<Integer> stream = Parallel.workers(1).streamWithCall(numbers(10), (x, call) -> {
        running.countDown();
        while (!call.stopped()) Thread.sleep(1);
        return x;
      })) {
        stream.forEach(result -> handedOut.incrementAndGet());
        end[0] = stream.end();
        interrupted[0] = Thread.currentThread().isInterrupted();
      }
    });
    consumer.start();
    running.await();
    consumer.interrupt();
    consumer.join();
    assertEquals(End.CANCELLED, end[0]);
    assertEquals(1, handedOut.get(), "what was running is handed out");
    assertTrue(interrupted[0]);
  }

  @Test
  void wrongOptionsAreRefusedWhenItIsOpened() {
    assertThrows(IllegalArgumentException.class, () -> Parallel.options().itemTimeout(Duration.ZERO).stream(numbers(3), x -> x));
    assertThrows(IllegalArgumentException.class, () -> Parallel.options().rateCost(2).rate(Rate.perSecond(1)).stream(numbers(3), x -> x));
  }

  @Test
  void inlineNothingIsRunBeforeItIsAskedForAndAllOnTheConsumersThread() {
    final List<String> order = new ArrayList<>();
    try (ResultStream<Integer> stream = Parallel.options().inline(true).stream(List.of(1, 2, 3), x -> {
      order.add("run " + x + " " + Thread.currentThread().getName());
      return x;
    })) {
      order.add("opened");
      for (ItemResult<Integer> result : stream) order.add("got " + result.value());
    }
    final String me = Thread.currentThread().getName();
    assertEquals(List.of("opened", "run 1 " + me, "got 1", "run 2 " + me, "got 2", "run 3 " + me, "got 3"), order);
  }

  @Test
  void aBatchFunctionAnswersForEachItem() {
    final Results<Integer> results = Parallel.workers(2).batchItems(10).retry(Retry.attempts(2).backoff(Duration.ZERO)).runBatch(
        numbers(95), (List<Integer> items, BatchCall<Integer> call) -> {
          assertTrue(items.size() <= 10);
          for (int i = 0; i < items.size(); i++)
            if (items.get(i) % 10 == 3) call.fail(i, new Exception("three"));
          return items.stream().map(x -> -x).toList();
        });
    assertEquals(10, results.batchSize());
    assertEquals(10, results.failures().size());
    for (ItemResult<Integer> result : results) {
      assertEquals(result.index() % 10 != 3, result.ok());
      assertEquals(result.ok() ? 1 : 2, result.attempts());
      if (result.ok()) assertEquals(-result.index(), result.value().longValue());
      else assertEquals("three", result.error().getMessage());
    }
  }

  @Test
  void aBatchThatThrowsFailsWhatItDidNotAnswer() {
    final Results<String> results = Parallel.workers(1).batchItems(3).runBatch(numbers(3), (List<Integer> items, BatchCall<String> call) -> {
      call.ok(1, "answered");
      throw new Exception("all others");
    });
    assertEquals("answered", results.get(1).value());
    assertEquals("all others", results.get(0).error().getMessage());
    assertSame(results.get(0).error(), results.get(2).error());
    final BatchException thrown = assertThrows(BatchException.class, results::values);
    assertEquals(2, thrown.failures().size());
  }

  @Test
  void aBatchOfTheWrongNumberOfValuesFails() {
    for (int wrong : new int[] {2, 4}) {
      final Results<Integer> results = Parallel.workers(1).batchItems(3).runBatch(numbers(3), (items, call) -> numbers(wrong));
      assertEquals("the batch function returned " + wrong + " values for 3 items", results.get(0).error().getMessage());
      assertEquals(3, results.failures().size());
    }
  }

  @Test
  void aStreamOfBatchesHandsOutSingleOutcomes() {
    try (ResultStream<Integer> stream = Parallel.workers(2).ordered(true).streamBatch(numbers(1_000), (items, call) -> items)) {
      int next = 0;
      for (ItemResult<Integer> result : stream) assertEquals(next++, result.orThrow());
      assertEquals(1_000, next);
      assertTrue(stream.batchSize() >= 1);
    }
    assertEquals(numbers(100), Parallel.mapBatch(numbers(100), (List<Integer> items, BatchCall<Integer> call) -> items));
  }
}
