package libpa;

import static libpa.MapTest.numbers;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.time.Instant;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.Test;

class LimiterTest {
  private static final class Busy extends Exception implements RetryAfter {
    private static final long serialVersionUID = 1;
    private final Duration wait;

    Busy(Duration wait) {
      this.wait = wait;
    }

    @Override
    public Duration retryAfter() {
      return wait;
    }
  }

  @Test
  void theRateOfARunIsKept() {
    final long began = System.nanoTime();
    Parallel.workers(2).rate(Rate.perSecond(1_000)).map(numbers(21), x -> x);
    assertTrue(System.nanoTime() - began >= 20_000_000, "20 intervals of 1 ms");
  }

  @Test
  void aLimiterIsSharedByRunsAndThreads() throws InterruptedException {
    final Limiter limiter = new Limiter(Rate.of(1, Duration.ofHours(1)).burst(3));
    limiter.acquire();
    assertEquals(End.COMPLETED, Parallel.workers(2).limiter(limiter).run(numbers(2), x -> x).end());
    assertFalse(limiter.tryAcquire(), "the burst is used up");
    assertFalse(limiter.tryAcquire(1, Duration.ofMinutes(1)), "at once, since the wait would be longer");
    final Results<Integer> late = Parallel.workers(2).limiter(limiter).timeout(Duration.ofMillis(10)).run(numbers(1), x -> x);
    assertEquals(End.TIMED_OUT, late.end());
  }

  @Test
  void aNewRateWakesARunThatWaits() throws InterruptedException {
    final Limiter limiter = new Limiter(Rate.of(1, Duration.ofHours(1)));
    limiter.acquire();
    final CountDownLatch began = new CountDownLatch(1);
    final CompletableFuture<Results<Integer>> run = Parallel.workers(2).limiter(limiter).onQuiescent(began::countDown).async(numbers(3), x -> x);
    limiter.setRate(Rate.perSecond(1_000_000));
    assertTrue(run.join().ok());
    began.await();
  }

  @Test
  void tokensThatAreGivenBackWakeThoseWhoWait() throws InterruptedException {
    final Limiter limiter = new Limiter(Rate.of(1, Duration.ofHours(1)));
    limiter.acquire();
    final CompletableFuture<Void> waiter = CompletableFuture.runAsync(() -> {
      try {
        limiter.acquire();
      } catch (InterruptedException e) {
        throw new CompletionException(e);
      }
    });
    limiter.settle(-1);
    waiter.join();
    limiter.settle(5);
    assertFalse(limiter.tryAcquire(), "a debt");
  }

  @Test
  void nothingPassesWhileItIsPaused() {
    final Limiter limiter = new Limiter(Rate.perSecond(1_000_000).burst(100));
    limiter.pause(Duration.ofHours(1));
    assertFalse(limiter.tryAcquire());
    limiter.pause(Duration.ofHours(-1));
    assertFalse(limiter.tryAcquire(), "of several pauses the one that ends last holds");
  }

  @Test
  void aWaitForATokenCanBeInterrupted() throws InterruptedException {
    final Limiter limiter = new Limiter(Rate.of(1, Duration.ofHours(1)));
    limiter.acquire();
    Thread.currentThread().interrupt();
    assertThrows(InterruptedException.class, limiter::acquire);
    assertFalse(Thread.interrupted());
  }

  @Test
  void rejectsWhatIsNoRate() {
    for (Rate rate : new Rate[] {
        Rate.perSecond(Double.NaN), Rate.perSecond(-1), Rate.perSecond(Double.POSITIVE_INFINITY), Rate.perSecond(0),
        Rate.of(1, Duration.ZERO), Rate.perSecond(1).burst(0), Rate.perSecond(1).burst(-1)})
      assertThrows(IllegalArgumentException.class, () -> new Limiter(rate), rate.toString());
    final Limiter limiter = new Limiter(Rate.perSecond(1));
    assertThrows(IllegalArgumentException.class, () -> limiter.setRate(Rate.perSecond(Double.NaN)));
    assertThrows(IllegalArgumentException.class, () -> limiter.acquire(2));
    assertThrows(IllegalArgumentException.class, () -> limiter.tryAcquire(1, Duration.ofSeconds(-1)));
  }

  @Test
  void retryAfterReplacesTheBackoffAlsoThroughACause() {
    final Retry hour = Retry.attempts(2).backoff(Duration.ofHours(1));
    final Results<Integer> results = Parallel.workers(2).retry(hour).runWithCall(numbers(4), (x, call) -> {
      final Busy busy = new Busy(Duration.ofMillis(1));
      if (call.attempt() == 1) throw x % 2 == 0 ? busy : new CompletionException(busy);
      return x;
    });
    assertTrue(results.ok());
  }

  @Test
  void retryAfterPausesTheLimiterAlsoOnTheLastAttempt() {
    final Limiter limiter = new Limiter(Rate.perSecond(1_000_000).burst(1_000));
    Parallel.workers(1).limiter(limiter).run(numbers(1), x -> {
      throw new Busy(Duration.ofHours(1));
    });
    assertFalse(limiter.tryAcquire());
  }

  @Test
  void aServersWaitHasACap() {
    final Retry capped = Retry.attempts(2).maxServerWait(Duration.ofMillis(1));
    final Results<Integer> results = Parallel.workers(1).retry(capped).runWithCall(numbers(2), (x, call) -> {
      if (call.attempt() == 1) throw new Busy(Duration.ofDays(100_000_000));
      return x;
    });
    assertTrue(results.ok());
  }

  @Test
  void aHeaderIsANumberOrADate() {
    assertEquals(Optional.of(Duration.ofSeconds(120)), RetryAfter.parse("120"));
    assertEquals(Optional.of(Duration.ofMillis(1500)), RetryAfter.parse(" 1.5 "));
    assertEquals(Optional.of(Duration.ofSeconds(7)), RetryAfter.parse("Fri, 31 Dec 1999 23:59:59 GMT", Instant.ofEpochSecond(946684792)));
    assertEquals(Optional.empty(), RetryAfter.parse("soon"));
    assertEquals(Optional.empty(), RetryAfter.parse("-1"));
    assertEquals(Optional.empty(), RetryAfter.parse(null));
  }
}
