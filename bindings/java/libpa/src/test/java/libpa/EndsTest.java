package libpa;

import static libpa.MapTest.numbers;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

class EndsTest {
  /** Runs until it is told to stop; says first that it runs. */
  private static CallFn<Integer, Integer> untilStopped(CountDownLatch running) {
    return (x, call) -> {
      running.countDown();
      while (!call.stopped()) Thread.sleep(1);
      call.checkStopped();
      return x;
    };
  }

  @Test
  void aRequestedStopCancelsEveryRun() {
    final StopToken stop = new StopToken();
    stop.request();
    assertTrue(stop.requested());
    final AtomicInteger calls = new AtomicInteger();
    final Results<Integer> results = Parallel.workers(2).stop(stop).run(numbers(10), x -> calls.incrementAndGet());
    assertEquals(End.CANCELLED, results.end());
    assertEquals(0, calls.get());
    assertTrue(results.stream().allMatch(result -> result.state() == ItemState.CANCELLED && result.error() instanceof NotDoneException));
  }

  @Test
  void aStopReachesCallsThatAreRunning() throws InterruptedException {
    final StopToken stop = new StopToken();
    final CountDownLatch running = new CountDownLatch(2);
    final Thread stopper = new Thread(() -> {
      try {
        running.await();
      } catch (InterruptedException e) {
        return;
      }
      stop.request();
    });
    stopper.start();
    final Results<Integer> results = Parallel.workers(2).stop(stop).runWithCall(numbers(10), untilStopped(running));
    stopper.join();
    assertEquals(End.CANCELLED, results.end());
    assertEquals(10, results.failures().size());
    assertTrue(results.stream().allMatch(result -> result.state() == ItemState.CANCELLED), "what gave up is not done, and has not failed");
  }

  @Test
  void aStopReachesThoseWhoWaitForARetry() throws InterruptedException {
    final StopToken stop = new StopToken();
    final Thread stopper = new Thread(stop::request);
    final Results<Integer> results = Parallel.workers(2).stop(stop).retry(Retry.attempts(2).backoff(Duration.ofHours(1))).runWithCall(numbers(2), (x, call) -> {
      if (call.index() == 1) stopper.start();
      throw new Exception("wait an hour");
    });
    stopper.join();
    assertEquals(End.CANCELLED, results.end());
    assertTrue(results.failures().stream().anyMatch(failure -> "wait an hour".equals(failure.error().getMessage())), "the last error is kept");
  }

  @Test
  void interruptingTheCallerStopsTheRunAndLeavesItInterrupted() throws InterruptedException {
    for (Options options : List.of(
        Parallel.workers(2), Parallel.workers(2).onProgress((done, total) -> {}), Parallel.workers(1).inline(true),
        Parallel.workers(2).threads(Thread::new))) {
      final CountDownLatch running = new CountDownLatch(1);
      final CompletableFuture<Boolean> wasInterrupted = new CompletableFuture<>();
      final CompletableFuture<Results<Integer>> results = new CompletableFuture<>();
      final Thread caller = new Thread(() -> {
        results.complete(options.runWithCall(numbers(10), untilStopped(running)));
        wasInterrupted.complete(Thread.currentThread().isInterrupted());
      });
      caller.start();
      running.await();
      caller.interrupt();
      assertEquals(End.CANCELLED, results.join().end());
      assertTrue(wasInterrupted.join(), "the interrupt is not lost");
      caller.join();
    }
  }

  @Test
  void anInterruptIsSeenByCallsThatOnlyLookAtTheCall() throws InterruptedException {
    final Options two = Parallel.workers(2);
    final Options inline = Parallel.workers(1).inline(true);
    for (Options options : List.of(two, inline, inline.onProgress((done, total) -> {}))) {
      final CountDownLatch running = new CountDownLatch(options == two ? 2 : 1);
      final CompletableFuture<Results<Integer>> results = new CompletableFuture<>();
      final Thread caller = new Thread(() -> results.complete(options.runWithCall(numbers(10), (x, call) -> {
        running.countDown();
        while (!call.stopped()) Thread.onSpinWait(); // the calling thread is in here as well, and nothing in here hears an interrupt
        return x;
      })));
      caller.start();
      running.await();
      caller.interrupt();
      assertEquals(End.CANCELLED, results.join().end());
      caller.join();
    }
  }

  @Test
  void aStopInsideAKeyFunctionLeavesItsItemItsKey() {
    final StopToken stop = new StopToken();
    final AtomicInteger calls = new AtomicInteger();
    final Results<Integer> results = Parallel.workers(1).inline(true).stop(stop).itemKey((Integer x) -> {
      if (x == 2) stop.request();
      return "key " + x;
    }).run(List.of(2, 3), x -> calls.incrementAndGet());
    assertEquals(End.CANCELLED, results.end());
    assertEquals(0, calls.get());
    assertEquals("key 2", results.get(0).key());
    assertEquals(ItemState.CANCELLED, results.get(0).state());
  }

  @Test
  void aRunEndsOnceHoweverManyReasonsThereAre() {
    final Results<Integer> results = Parallel.workers(2).maxErrors(1).timeout(Duration.ofMillis(1)).runWithCall(numbers(100), (x, call) -> {
      while (!call.remaining().orElseThrow().isZero()) Thread.onSpinWait();
      throw new Exception("too late, and too many");
    });
    assertTrue(results.end() == End.ABORTED || results.end() == End.TIMED_OUT);
    final ItemState unrun = results.end() == End.ABORTED ? ItemState.ABORTED : ItemState.TIMED_OUT;
    assertEquals(100, results.size());
    assertTrue(results.failures().stream().allMatch(failure -> failure.state() == ItemState.FAILED || failure.state() == unrun));
  }

  @Test
  void oneThatIsInterruptedAlreadyRunsNothing() {
    final AtomicInteger calls = new AtomicInteger();
    Thread.currentThread().interrupt();
    final Results<Integer> results = Parallel.workers(2).run(numbers(10), x -> calls.incrementAndGet());
    assertTrue(Thread.interrupted());
    assertEquals(End.CANCELLED, results.end());
    assertEquals(0, calls.get());
  }

  @Test
  void aTimeoutOfZeroRunsNothing() {
    final Results<Integer> results = Parallel.options().timeout(Duration.ZERO).run(numbers(3), x -> x);
    assertEquals(End.TIMED_OUT, results.end());
    assertEquals(3, results.failures().size());
  }

  @Test
  void aTimeoutIsSeenByCallsAsTheTimeThatIsLeft() {
    final Results<Integer> results = Parallel.workers(2).timeout(Duration.ofMillis(20)).runWithCall(numbers(2), (x, call) -> {
      assertTrue(call.remaining().orElseThrow().compareTo(Duration.ofMillis(20)) <= 0);
      while (!call.stopped()) Thread.sleep(1);
      assertEquals(Duration.ZERO, call.remaining().orElseThrow());
      return x;
    });
    assertEquals(End.TIMED_OUT, results.end(), "though all items were done in the end");
    assertEquals(List.of(ItemState.OK, ItemState.OK), results.stream().map(ItemResult::state).toList());
    assertFalse(results.ok());
  }

  @Test
  void afterAnEarlyEndEachInputHasItsOutcome() {
    for (Options options : List.of(Parallel.workers(3), Parallel.workers(3).onResult(result -> {}))) {
      final StopToken stop = new StopToken();
      final AtomicInteger calls = new AtomicInteger();
      final Results<Integer> results = options.stop(stop).run(numbers(10_000), x -> {
        if (calls.incrementAndGet() == 100) stop.request();
        return x;
      });
      assertEquals(10_000, results.size());
      assertEquals(calls.get(), results.successes().size());
      assertEquals(10_000 - calls.get(), results.failures().size());
      for (ItemResult<Integer> success : results.successes()) assertEquals((int) success.index(), success.value());
    }
  }

  @Test
  void aDetachedRunReturnsWhileCallsAreRunning() throws InterruptedException {
    final CountDownLatch running = new CountDownLatch(1);
    final CountDownLatch release = new CountDownLatch(1);
    final CountDownLatch quiescent = new CountDownLatch(1);
    final StopToken stop = new StopToken();
    final Thread stopper = new Thread(() -> {
      try {
        running.await();
      } catch (InterruptedException e) {
        return;
      }
      stop.request();
    });
    stopper.start();
    final Results<Integer> results = Parallel.workers(2).detach(true).stop(stop).onQuiescent(quiescent::countDown).run(numbers(4), x -> {
      running.countDown();
      release.await();
      return x;
    });
    assertEquals(End.CANCELLED, results.end());
    assertEquals(4, results.failures().size(), "those that run count as not done");
    assertEquals(1, quiescent.getCount(), "calls are still running");
    release.countDown();
    quiescent.await();
    assertEquals(4, results.failures().size(), "what they return comes too late");
    stopper.join();
  }

  @Test
  void aDetachedRunTimesOutWhileCallsAreRunning() throws InterruptedException {
    final CountDownLatch release = new CountDownLatch(1);
    final CountDownLatch quiescent = new CountDownLatch(1);
    final Results<Integer> results =
        Parallel.workers(2).detach(true).timeout(Duration.ofMillis(10)).onQuiescent(quiescent::countDown).run(numbers(4), x -> {
          release.await();
          return x;
        });
    assertEquals(End.TIMED_OUT, results.end());
    assertEquals(2, results.stream().filter(result -> result.attempts() == 1).count(), "those that run have an attempt");
    release.countDown();
    quiescent.await();
  }

  @Test
  void theExitOfTheJvmWaitsForNoThreadOfLibpa() {
    assertEquals(List.of(true, true), Parallel.async(List.of(1, 2), x -> Thread.currentThread().isDaemon()).join().values());
  }

  @Test
  void aFutureIsCompletedWithTheOutcomes() throws ExecutionException, InterruptedException {
    assertEquals(List.of(2, 4), Parallel.async(List.of(1, 2), x -> 2 * x).get().values());
    final CompletableFuture<Results<Integer>> failed = Parallel.options().workerStart(() -> {
      throw new Exception("no");
    }).async(List.of(1, 2), x -> x);
    assertTrue(assertThrows(ExecutionException.class, failed::get).getCause() instanceof RunFailedException);
  }

  @Test
  void cancellingAFutureStopsItsRun() throws InterruptedException {
    final CountDownLatch running = new CountDownLatch(2);
    final CountDownLatch quiescent = new CountDownLatch(1);
    final CompletableFuture<Results<Integer>> future =
        Parallel.workers(2).onQuiescent(quiescent::countDown).asyncWithCall(numbers(10), untilStopped(running));
    running.await();
    future.cancel(false);
    assertThrows(CancellationException.class, future::join);
    quiescent.await();
  }

  @Test
  void noAttemptIsMadeAfterARunHasReturned() {
    final AtomicInteger calls = new AtomicInteger();
    final Results<Integer> results = Parallel.workers(4)
        .timeout(Duration.ofMillis(20))
        .retry(Retry.attempts(1_000_000).backoff(Duration.ofNanos(1)))
        .run(numbers(4), x -> {
          calls.incrementAndGet();
          throw new Exception("again");
        });
    final int then = calls.get();
    assertEquals(End.TIMED_OUT, results.end());
    assertEquals(then, Stream.of(results).flatMap(Results::stream).mapToInt(ItemResult::attempts).sum());
    assertEquals(then, calls.get());
  }
}
