package libpa;

import static libpa.MapTest.numbers;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.time.Duration;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

class ErrorsTest {
  private static final Retry TWICE = Retry.attempts(2).backoff(Duration.ZERO);

  @Test
  void whatAFunctionThrowsIsItsItemsErrorAndTheSameObject() {
    final IOException checked = new IOException("checked");
    final Results<Integer> results = Parallel.workers(2).run(numbers(3), x -> {
      if (x == 1) throw checked;
      return x;
    });
    assertEquals(End.COMPLETED, results.end());
    assertFalse(results.ok());
    assertSame(checked, results.get(1).error());
    assertEquals(ItemState.FAILED, results.get(1).state());
    assertNull(results.get(1).value());
    assertEquals(2, results.successes().size());
  }

  @Test
  void anErrorIsItsItemsErrorAndTheOthersGoOn() {
    final Results<Integer> results = Parallel.workers(2).run(numbers(100), x -> {
      if (x == 50) throw new AssertionError("broken");
      if (x == 51) return overflow(0);
      return x;
    });
    assertEquals(2, results.failures().size());
    assertTrue(results.get(50).error() instanceof AssertionError);
    assertTrue(results.get(51).error() instanceof StackOverflowError);
  }

  private static int overflow(int depth) {
    return overflow(depth + 1) + 1;
  }

  @Test
  void whatNoProgramShouldOutliveEndsTheRunAndIsThrown() {
    final OutOfMemoryError error = new OutOfMemoryError("as if");
    final Fn<Integer, Integer> fn = x -> {
      if (x == 10) throw error;
      return x;
    };
    assertSame(error, assertThrows(OutOfMemoryError.class, () -> Parallel.workers(2).run(numbers(1000), fn)));
    assertSame(error, assertThrows(OutOfMemoryError.class, () -> {
      try (ResultStream<Integer> stream = Parallel.workers(2).stream(numbers(1000), fn)) {
        stream.forEach(result -> {});
      }
    }));
  }

  @Test
  void valuesOfARunThatFailedThrowAllFailuresInOne() {
    final Results<Integer> results = Parallel.workers(2).run(numbers(10), x -> {
      if (x % 5 == 3) throw new Exception("bad " + x);
      return x;
    });
    final BatchException thrown = assertThrows(BatchException.class, results::values);
    assertEquals("2 of 10 items failed; the first, index 3: bad 3", thrown.getMessage());
    assertSame(results.get(3).error(), thrown.getCause());
    assertArrayEquals(new Throwable[] {results.get(3).error(), results.get(8).error()}, thrown.getSuppressed());
    assertEquals(List.of(3L, 8L), thrown.failures().stream().map(ItemResult::index).toList());
    assertEquals(End.COMPLETED, thrown.end());
    assertThrows(BatchException.class, () -> results.get(3).orThrow());
  }

  @Test
  void truncationIsToldBeforeFailures() {
    final BatchException thrown = assertThrows(BatchException.class, () -> Parallel.workers(1).maxErrors(1).map(numbers(3), x -> {
      throw new Exception("always");
    }));
    assertEquals(End.ABORTED, thrown.end());
    assertTrue(thrown.getMessage().startsWith("the run was aborted after too many failures; 3 of 3 items"), thrown.getMessage());
  }

  @Test
  void wrongOptionsAreRefusedWithLibpasMessageBeforeAnythingRuns() {
    final AtomicInteger calls = new AtomicInteger();
    final IllegalArgumentException thrown = assertThrows(
        IllegalArgumentException.class,
        () -> Parallel.options().rate(Double.NaN, Duration.ofSeconds(1)).map(numbers(3), x -> calls.incrementAndGet()));
    assertEquals("options.rate.count must be finite and > 0, or 0 for no limit, got nan", thrown.getMessage());
    assertThrows(IllegalArgumentException.class, () -> Parallel.workers(-1));
    assertThrows(IllegalArgumentException.class, () -> Parallel.workers(65536).stream(numbers(3), x -> calls.incrementAndGet()));
    assertThrows(IllegalArgumentException.class, () -> Parallel.workers(65536).async(numbers(3), x -> calls.incrementAndGet()));
    assertThrows(NullPointerException.class, () -> Parallel.map(null, x -> calls.incrementAndGet()));
    assertEquals(0, calls.get());
  }

  @Test
  void aRateOfNothingIsRefusedAndNotTakenForNoLimit() {
    final AtomicInteger calls = new AtomicInteger();
    final IllegalArgumentException thrown = assertThrows(
        IllegalArgumentException.class, () -> Parallel.options().rate(Rate.perSecond(0)).map(numbers(3), x -> calls.incrementAndGet()));
    assertEquals("options.rate.count must be finite and > 0, got 0", thrown.getMessage());
    assertEquals(0, calls.get());
  }

  @Test
  void aMissingFunctionIsRefusedAndDoesNotFailTheItems() {
    assertThrows(NullPointerException.class, () -> Parallel.run(numbers(3), (Fn<Integer, Integer>) null));
    assertThrows(NullPointerException.class, () -> Parallel.options().runWithCall(numbers(3), (CallFn<Integer, Integer>) null));
    assertThrows(NullPointerException.class, () -> Parallel.mapBatch(numbers(3), (BatchFn<Integer, Integer>) null));
    assertThrows(NullPointerException.class, () -> Parallel.stream(numbers(3), (Fn<Integer, Integer>) null));
  }

  @Test
  void whatASourceThrowsIsTheCauseAndWhatWasDoneIsKept() {
    final IllegalStateException cause = new IllegalStateException("the file is gone");
    final RunFailedException thrown = assertThrows(RunFailedException.class, () -> Parallel.workers(2).run(() -> failing(5, cause), (Integer x) -> x));
    assertEquals(RunFailedException.Part.SOURCE, thrown.part());
    assertSame(cause, thrown.getCause());
    assertEquals(5, thrown.results().size());
    assertEquals(End.FAILED, thrown.results().end());
  }

  @Test
  void aSourceThatTimesOutItselfIsNoRunThatTimedOut() {
    final RuntimeException cause = new RuntimeException(new TimeoutException("the cursor waited too long"));
    final RunFailedException thrown = assertThrows(
        RunFailedException.class, () -> Parallel.workers(2).timeout(Duration.ofHours(1)).run(() -> failing(2, cause), (Integer x) -> x));
    assertSame(cause, thrown.getCause());
    assertEquals(End.FAILED, thrown.results().end());
  }

  @Test
  void aSecondRunTakesWhatFailed() {
    final List<String> inputs = List.of("1", "2a", "3", "4a");
    final Results<Integer> first = Parallel.run(inputs, Integer::parseInt);
    final List<String> failed = first.failures().stream().map(failure -> inputs.get((int) failure.index())).toList();
    assertEquals(List.of("2a", "4a"), failed);
    assertEquals(List.of(2, 4), Parallel.map(failed, text -> Integer.parseInt(text.replace("a", ""))));
  }

  static Iterator<Integer> failing(int after, RuntimeException error) {
    return new Iterator<>() {
      private int next;

      @Override
      public boolean hasNext() {
        return true;
      }

      @Override
      public Integer next() {
        if (next == after) throw error;
        return next++;
      }
    };
  }

  @Test
  void whatACallbackThrowsIsTheCauseAndNoItemIsLost() {
    final IllegalStateException cause = new IllegalStateException("callback");
    final RunFailedException thrown = assertThrows(RunFailedException.class, () -> Parallel.workers(2).onResult(result -> {
      throw cause;
    }).run(numbers(100), x -> x));
    assertSame(cause, thrown.getCause());
    assertEquals(100, thrown.results().size());
    for (ItemResult<?> result : thrown.results()) assertTrue(result.ok() || result.state() == ItemState.ABORTED, result.toString());
    assertTrue(thrown.results().stream().anyMatch(ItemResult::ok));
  }

  @Test
  void aWorkerThatCannotStartEndsTheRun() {
    final Exception cause = new Exception("no connection");
    final RunFailedException thrown = assertThrows(RunFailedException.class, () -> Parallel.workers(2).workerStart(() -> {
      throw cause;
    }).run(numbers(100), x -> x));
    assertEquals(RunFailedException.Part.WORKER_START, thrown.part());
    assertSame(cause, thrown.getCause());
    assertEquals(100, thrown.results().failures().size());
  }

  @Test
  void exceptionsAreRetriedAndErrorsOnlyWhereThePolicySaysSo() {
    final Fn<Integer, Integer> throwing = x -> {
      if (x == 0) throw new IllegalStateException("an exception");
      throw new AssertionError("an error");
    };
    final Results<Integer> byDefault = Parallel.workers(1).retry(TWICE).run(numbers(2), throwing);
    assertEquals(List.of(2, 1), byDefault.stream().map(ItemResult::attempts).toList());
    final Results<Integer> both = Parallel.workers(1).retry(TWICE.on(Throwable.class)).run(numbers(2), throwing);
    assertEquals(List.of(2, 2), both.stream().map(ItemResult::attempts).toList());
    final Results<Integer> some = Parallel.workers(1).retry(TWICE.on(IOException.class, AssertionError.class)).run(numbers(2), throwing);
    assertEquals(List.of(1, 2), some.stream().map(ItemResult::attempts).toList());
  }

  @Test
  void aRetryPredicateSeesWhatWasThrown() {
    final Results<Integer> results = Parallel.workers(1).retry(TWICE.retryIf(error -> error.getMessage().equals("again"))).run(numbers(2), x -> {
      throw new Exception(x == 0 ? "again" : "never");
    });
    assertEquals(List.of(2, 1), results.stream().map(ItemResult::attempts).toList());
  }

  @Test
  void aRetryPredicateThatThrowsLeavesTheItemItsOwnError() {
    final Results<Integer> results = Parallel.workers(1).retry(TWICE.retryIf(error -> {
      throw new IllegalStateException("the predicate");
    })).run(numbers(1), x -> {
      throw new Exception("its own");
    });
    assertEquals("its own", results.get(0).error().getMessage());
    assertEquals("the predicate", results.get(0).error().getSuppressed()[0].getMessage());
    assertEquals(1, results.get(0).attempts());
  }

  @Test
  void anAttemptThatOutrunsItsTimeHasTimedOutWhateverItReturns() {
    final Results<Integer> results = Parallel.workers(2).itemTimeout(Duration.ofMillis(5)).runWithCall(numbers(3), (x, call) -> {
      while (x == 1 && !call.stopped()) Thread.onSpinWait();
      return x;
    });
    assertEquals(List.of(ItemState.OK, ItemState.TIMED_OUT, ItemState.OK), results.stream().map(ItemResult::state).toList());
    assertTrue(results.get(1).error() instanceof TimeoutException);
    assertEquals(End.COMPLETED, results.end());
  }

  @Test
  void whatEarlierAttemptsThrewIsForgottenOnceOneSucceeds() {
    final Results<Integer> results = Parallel.workers(2).retry(TWICE).runWithCall(numbers(100), (x, call) -> {
      if (call.attempt() == 1) throw new Exception("once");
      return x;
    });
    assertTrue(results.ok());
    assertEquals(numbers(100), results.values());
    assertNull(results.get(7).error());
    assertEquals(2, results.get(7).attempts());
  }
}
