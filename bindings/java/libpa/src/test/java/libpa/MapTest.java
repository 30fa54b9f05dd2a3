package libpa;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class MapTest {
  static List<Integer> numbers(int count) {
    return IntStream.range(0, count).boxed().toList();
  }

  @Test
  void valuesComeInInputOrder() {
    assertEquals(List.of(9, 1, 4), Parallel.map(List.of(3, 1, 2), x -> x * x));
    final List<Integer> many = numbers(100_000);
    assertEquals(many.stream().map(x -> x + 1).toList(), Parallel.workers(4).map(many, x -> x + 1));
  }

  @Test
  void ofNothingIsOk() {
    final Results<Integer> results = Parallel.run(List.<Integer>of(), x -> x);
    assertTrue(results.ok());
    assertEquals(0, results.size());
    assertEquals(List.of(), results.values());
  }

  @Test
  void nullIsAnItemAndAValue() {
    final Results<Object> results = Parallel.run(Arrays.asList(1, null, 3), x -> null);
    assertTrue(results.ok());
    assertEquals(ItemState.OK, results.get(1).state());
    assertNull(results.get(1).value());
    assertNull(results.get(1).error());
    assertEquals(Arrays.asList(null, null, null), results.values());
  }

  @Test
  void aSourceThatIsNoCollectionIsPulled() {
    final Results<Integer> results = Parallel.workers(3).run(() -> IntStream.range(0, 1000).iterator(), (Integer x) -> 2 * x);
    assertEquals(1000, results.size());
    assertEquals(numbers(1000).stream().map(x -> 2 * x).toList(), results.values());
  }

  @Test
  void callsRunAtTheSameTime() throws InterruptedException {
    final CountDownLatch met = new CountDownLatch(3);
    Parallel.workers(3).map(numbers(3), x -> {
      met.countDown();
      met.await(); // for ever, if there were fewer
      return x;
    });
    assertEquals(0, met.getCount());
  }

  @Test
  void thereMayBe1000Sleepers() {
    final CountDownLatch all = new CountDownLatch(1000);
    final Results<Integer> results = Parallel.workers(1000).run(numbers(1000), x -> {
      all.countDown();
      all.await();
      return x;
    });
    assertTrue(results.ok());
  }

  @Test
  void inlineItRunsOnTheCallingThreadInInputOrder() {
    final List<Integer> order = new ArrayList<>(); // not safe for threads
    final Set<Thread> threads = ConcurrentHashMap.newKeySet();
    Parallel.options().inline(true).map(numbers(100), x -> {
      threads.add(Thread.currentThread());
      return order.add(x);
    });
    assertEquals(numbers(100), order);
    assertEquals(Set.of(Thread.currentThread()), threads);
  }

  @Test
  void inlineAnItemIsRetriedBeforeTheNextBegins() {
    final List<String> order = new ArrayList<>();
    Parallel.options().inline(true).retry(Retry.attempts(2).backoff(java.time.Duration.ZERO)).mapWithCall(List.of("a", "b"), (x, call) -> {
      order.add(x + call.attempt());
      if (call.attempt() == 1) throw new Exception("once");
      return x;
    });
    assertEquals(List.of("a1", "a2", "b1", "b2"), order);
  }

  @Test
  void mapsNest() {
    final List<Integer> sums =
        Parallel.workers(2).map(numbers(8), x -> Parallel.workers(2).map(numbers(8), y -> x * y).stream().mapToInt(y -> y).sum());
    assertEquals(numbers(8).stream().map(x -> 28 * x).toList(), sums);
  }

  @Test
  void everyOutcomeTellsItsIndexAttemptsAndDuration() {
    final Results<Integer> results = Parallel.workers(2).run(numbers(50), x -> {
      Thread.sleep(1);
      return x;
    });
    int index = 0;
    for (ItemResult<Integer> result : results) {
      assertEquals(index, result.index());
      assertEquals(1, result.attempts());
      assertTrue(result.duration().toMillis() >= 1, "a sleep of 1 ms took " + result.duration());
      assertEquals(index++, result.orThrow());
    }
    assertEquals(50, index);
    assertEquals(50, results.stream().filter(ItemResult::ok).count());
  }

  @Test
  void theCallTellsIndexAndAttempt() {
    final List<String> told = Parallel.workers(2)
        .retry(Retry.attempts(2).backoff(java.time.Duration.ZERO))
        .mapWithCall(List.of("a", "b", "c"), (item, call) -> {
          if (call.attempt() == 1) throw new Exception("once");
          return item + call.index() + call.attempt() + call.remaining().isEmpty() + call.stopped();
        });
    assertEquals(List.of("a02truefalse", "b12truefalse", "c22truefalse"), told);
  }

  @Test
  void valuesCannotBeChanged() {
    final List<Integer> values = Parallel.map(List.of(1), x -> x);
    assertThrows(UnsupportedOperationException.class, () -> values.set(0, 2));
    assertThrows(UnsupportedOperationException.class, () -> values.add(2));
  }

  @Test
  void optionsAreNotChangedByOthersThatAreMadeOfThem() {
    final Options one = Parallel.workers(1);
    final Options failFast = one.maxErrors(1);
    final Fn<Integer, Integer> fails = x -> {
      throw new Exception("always");
    };
    assertEquals(End.ABORTED, failFast.run(numbers(3), fails).end());
    assertEquals(End.COMPLETED, one.run(numbers(3), fails).end());
  }

  @Test
  void keysNameOutcomes() {
    final Results<Integer> results = Parallel.workers(2).itemKey((String s) -> "key of " + s).run(List.of("a", "bb", "a"), String::length);
    assertEquals(List.of("key of a", "key of bb", "key of a"), results.stream().map(ItemResult::key).toList());
  }

  @Test
  void workersAreStartedAndStoppedInPairs() {
    final AtomicInteger started = new AtomicInteger();
    final AtomicInteger stopped = new AtomicInteger();
    final ThreadLocal<String> connection = new ThreadLocal<>();
    final Results<String> results = Parallel.workers(3)
        .workerStart(() -> {
          started.incrementAndGet();
          connection.set("open");
        })
        .workerStop(() -> {
          stopped.incrementAndGet();
          connection.remove();
        })
        .run(numbers(500), x -> connection.get());
    assertTrue(results.values().stream().allMatch("open"::equals));
    assertTrue(started.get() >= 1 && started.get() <= 3, started + " workers");
    assertEquals(started.get(), stopped.get());
  }

  @Test
  void progressAndResultsComeOnTheCallingThreadOneByOne() {
    final List<String> told = new ArrayList<>(); // not safe for threads
    final Set<Thread> threads = ConcurrentHashMap.newKeySet();
    final Results<Integer> results = Parallel.workers(4)
        .onResult(result -> {
          told.add("result");
          threads.add(Thread.currentThread());
        })
        .onProgress((done, total) -> {
          told.add(done + " of " + total);
          threads.add(Thread.currentThread());
        })
        .run(numbers(200), x -> x);
    assertTrue(results.ok());
    assertEquals(400, told.size());
    assertEquals("result", told.get(398));
    assertEquals("200 of 200", told.get(399));
    assertEquals(Set.of(Thread.currentThread()), threads);
  }

  @Test
  void threadsOfOnesOwnRunTheItems() {
    final AtomicInteger made = new AtomicInteger();
    final CountDownLatch both = new CountDownLatch(2);
    final Options own = Parallel.workers(2).threads(task -> new Thread(task, "mine-" + made.incrementAndGet()));
    final List<String> names = own.map(numbers(100), x -> {
      both.countDown();
      both.await(); // else one of them may have done it all before the other is made
      return Thread.currentThread().getName();
    });
    assertTrue(names.stream().allMatch(name -> name.startsWith("mine-")));
    assertEquals(2, made.get());
  }

  @Test
  void whereNoMoreThreadsCanBeMadeThoseThatAreThereDoItAll() {
    final CountDownLatch refused = new CountDownLatch(1);
    final AtomicInteger made = new AtomicInteger();
    final Options options = Parallel.workers(4).threads(action -> {
      if (made.incrementAndGet() == 1) return new Thread(action);
      refused.countDown();
      throw new OutOfMemoryError("unable to create native thread");
    });
    assertEquals(numbers(100), options.map(numbers(100), x -> {
      refused.await();
      return x;
    }));
  }

  @Test
  void resultsSayInWordsHowManyThereAreAndHowTheyEnded() {
    assertEquals("Results[2 items, ok]", Parallel.run(numbers(2), x -> x).toString());
    assertEquals("Results[2 items, TIMED_OUT, 2 without a value]", Parallel.options().timeout(Duration.ZERO).run(numbers(2), x -> x).toString());
  }

  @Test
  void virtualThreadsRunTheItemsWhereTheJvmHasThem() {
    if (Runtime.version().feature() < 21) {
      assertThrows(UnsupportedOperationException.class, () -> Parallel.options().virtualThreads());
      return;
    }
    final CountDownLatch all = new CountDownLatch(10_000);
    final List<Boolean> virtual = Parallel.workers(10_000).virtualThreads().map(numbers(10_000), x -> {
      all.countDown();
      all.await(); // 10,000 at a time
      return Thread.currentThread().getName().startsWith("libpa-virtual-");
    });
    assertFalse(virtual.contains(false));
  }

  @Test
  void theSameObjectsComeOutThatTheFunctionReturned() {
    final List<Object> objects = List.of(new Object(), new Object());
    final List<Object> values = Parallel.map(objects, x -> x);
    assertSame(objects.get(0), values.get(0));
    assertSame(objects.get(1), values.get(1));
  }
}
