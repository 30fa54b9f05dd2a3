package libpa;

import static libpa.MapTest.numbers;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.AbstractList;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ThreadFactory;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import libpa.low.palow;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What others do wrong is told to them, and harms nobody else. */
@Timeout(value = 60, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class MisuseTest {
  private static <T> Iterable<T> source(List<T> items) {
    return items::iterator;
  }

  @Test
  void aListOfValuesThatIsShorterThanItSaysFailsItsItems() {
    final Results<Integer> results = Parallel.workers(1).batchItems(3).runBatch(numbers(3), (items, call) -> new AbstractList<>() {
      @Override
      public Integer get(int index) {
        return index;
      }

      @Override
      public int size() {
        return 3;
      }

      @Override
      public Iterator<Integer> iterator() {
        return List.of(7, 8).iterator();
      }
    });
    assertFalse(results.ok());
    assertEquals(ItemState.FAILED, results.get(2).state());
    assertTrue(results.get(2).error() instanceof IllegalStateException);
  }

  @Test
  void aFactoryThatMakesNoThreadIsAnErrorThatLeavesNothingBehind() {
    final long handles = palow.live_handles();
    for (int i = 0; i < 3; i++)
      assertThrows(NullPointerException.class, () -> Parallel.workers(2).threads(task -> null).run(numbers(10), x -> x));
    assertTrue(palow.live_handles() <= handles);
  }

  @Test
  void aFactoryThatMakesNoMoreThreadsLimitsTheWorkersAndNothingElse() {
    final AtomicInteger made = new AtomicInteger();
    final ThreadFactory one = task -> made.incrementAndGet() == 1 ? new Thread(task) : null;
    assertEquals(numbers(1000), Parallel.workers(4).threads(one).map(numbers(1000), x -> x));
    made.set(0);
    assertEquals(numbers(1000), Parallel.workers(4).threads(one).map(source(numbers(1000)), x -> x));
  }

  @Test
  void aCallThatIsKeptSaysThatItIsOver() throws InterruptedException {
    final List<Call> kept = Collections.synchronizedList(new ArrayList<>());
    for (int i = 0; i < 50; i++)
      Parallel.workers(2).runWithCall(numbers(100), (x, call) -> {
        kept.add(call);
        return x;
      });
    final AtomicInteger stopped = new AtomicInteger();
    final Runnable look = () -> kept.forEach(call -> {
      if (call.stopped() && call.remaining().equals(Optional.of(Duration.ZERO))) stopped.incrementAndGet();
    });
    look.run();
    final Thread other = new Thread(look);
    other.start();
    other.join();
    assertEquals(2 * kept.size(), stopped.get());
  }

  @Test
  void whateverARetryPredicateThrowsTheItemKeepsItsOwnError() {
    for (Throwable odd : List.of(new NoClassDefFoundError("odd"), new Exception("checked"))) {
      final Exception own = new Exception("own");
      final Retry retry = Retry.attempts(3).backoff(Duration.ZERO).retryIf(error -> {
        throw Failures.<RuntimeException>rethrow(odd);
      });
      final Results<Integer> results = Parallel.workers(2).retry(retry).run(numbers(1), x -> {
        throw own;
      });
      assertSame(own, results.get(0).error());
      assertSame(odd, own.getSuppressed()[0]);
    }
  }

  @Test
  void anErrorThatThrowsWhenItIsAskedIsStillThatOfItsItem() {
    final class Odd extends Exception {
      private static final long serialVersionUID = 1;

      @Override
      public synchronized Throwable getCause() {
        throw new IllegalStateException("odd");
      }
    }
    final Odd own = new Odd();
    final Results<Integer> results = Parallel.workers(2).run(numbers(2), x -> {
      if (x == 1) throw own;
      return x;
    });
    assertSame(own, results.get(1).error());
    assertEquals(End.COMPLETED, results.end());
  }

  @Test
  void aHandlerThatThrowsDoesNotKeepARunFromReturning() {
    final ThreadFactory odd = task -> {
      final Thread thread = new Thread(task);
      thread.setUncaughtExceptionHandler((dying, error) -> {
        throw new IllegalStateException("odd");
      });
      return thread;
    };
    final Options options = Parallel.workers(2).threads(odd).workerStop(() -> {
      throw new Exception("stop");
    });
    assertEquals(numbers(10), options.map(numbers(10), x -> x));
  }

  @Test
  void aHugeSizeHintCostsNothing() {
    final Options options = Parallel.workers(1).sizeHint(Long.MAX_VALUE / 4).maxErrors(1);
    final Results<Integer> results = options.run(source(numbers(10)), x -> {
      throw new Exception("fails");
    });
    assertEquals(End.ABORTED, results.end());
    assertEquals(Integer.MAX_VALUE, results.size());
    assertEquals(ItemState.FAILED, results.get(0).state());
    assertEquals(ItemState.ABORTED, results.get(Integer.MAX_VALUE - 1).state());
  }

  @Test
  void aWindowMayBeLargerThanAnInt() {
    for (long window : new long[] {1L << 31, 1L << 32, 1L << 61})
      assertEquals(numbers(1000), Parallel.workers(2).window(window).map(source(numbers(1000)), x -> x));
  }

  @Test
  void aLargeBatchFromASourceIsFilled() {
    final AtomicInteger calls = new AtomicInteger();
    Parallel.workers(1).batchItems(100_000).runBatch(source(numbers(100_000)), (items, call) -> {
      calls.incrementAndGet();
      return items;
    });
    assertEquals(1, calls.get());
  }

  @Test
  void inlineAFatalErrorOfAPredicateEndsTheStream() {
    final InternalError fatal = new InternalError("fatal");
    final Retry retry = Retry.attempts(3).backoff(Duration.ZERO).retryIf(error -> {
      throw fatal;
    });
    try (ResultStream<Integer> stream = Parallel.options().inline(true).retry(retry).stream(numbers(3), x -> {
      throw new Exception("fails");
    })) {
      assertSame(fatal, assertThrows(InternalError.class, () -> stream.forEach(result -> {})));
    }
  }

  @Test
  void aStreamMayBeClosedFromWithinItsFunction() {
    for (boolean inline : new boolean[] {true, false}) {
      final AtomicReference<ResultStream<Integer>> own = new AtomicReference<>();
      final AtomicInteger calls = new AtomicInteger();
      try (ResultStream<Integer> stream = Parallel.workers(2).inline(inline).stream(numbers(1000), x -> {
        calls.incrementAndGet();
        while (own.get() == null) Thread.onSpinWait();
        own.get().close();
        return x;
      })) {
        own.set(stream);
        for (ResultStream<Integer> results = stream; results.poll(Duration.ofDays(1)).isPresent(); ) assertTrue(calls.get() > 0);
        assertEquals(End.CANCELLED, stream.end());
      }
      assertTrue(calls.get() < 1000);
    }
  }

  @Test
  void inlineAFunctionCannotWalkItsOwnStream() {
    final AtomicReference<ResultStream<Long>> own = new AtomicReference<>();
    try (ResultStream<Long> stream = Parallel.options().inline(true).stream(numbers(3), x -> own.get().iterator().next().index())) {
      own.set(stream);
      final ItemResult<Long> first = stream.iterator().next();
      assertTrue(first.error() instanceof IllegalStateException, first.toString());
    }
  }

  @Test
  void aPollOfANegativeTimeOnlyLooks() {
    final CountDownLatch polled = new CountDownLatch(1);
    try (ResultStream<Integer> stream = Parallel.workers(1).stream(numbers(1), x -> {
      polled.await();
      return x;
    })) {
      assertTrue(stream.poll(Duration.ofSeconds(Long.MIN_VALUE)).isEmpty());
      polled.countDown();
    }
  }

  @Test
  void aServerMayAskForLongerThanALongCounts() {
    final class Never extends Exception implements RetryAfter {
      private static final long serialVersionUID = 1;

      @Override
      public Duration retryAfter() {
        return Duration.ofSeconds(Long.MAX_VALUE);
      }
    }
    final Options options = Parallel.workers(2).retry(Retry.attempts(3).maxServerWait(null)).timeout(Duration.ofMillis(50));
    final Results<Integer> results = options.run(numbers(2), x -> {
      throw new Never();
    });
    assertEquals(End.TIMED_OUT, results.end());
    assertEquals(1, results.get(0).attempts());
  }
}
