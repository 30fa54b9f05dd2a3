package libpa;

import static libpa.MapTest.numbers;
import static libpa.ProcessTasks.LENGTHS;
import static libpa.ProcessTasks.OBEY;
import static libpa.ProcessTasks.ONLY_HERE;
import static libpa.ProcessTasks.REFUSED;
import static libpa.ProcessTasks.SQUARE;
import static libpa.ProcessTasks.options;
import static libpa.ProcessTasks.processes;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Worker processes: what goes right, and what is refused. */
@Timeout(value = 120, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class ProcessTest {
  private static final List<Long> SQUARES = IntStream.range(0, 20_000).mapToObj(x -> (long) x * x).toList();

  private static <T> Iterable<T> source(List<T> items) {
    return items::iterator;
  }

  private static Iterable<Integer> failingAt(int index) {
    return () -> IntStream.range(0, 10).map(x -> Math.floorMod(x, x < index ? 10 : 0)).iterator();
  }

  @Test
  void valuesComeInInputOrder() {
    assertEquals(SQUARES, SQUARE.map(numbers(20_000), options()));
    assertEquals(SQUARES, SQUARE.map(source(numbers(20_000)), options()));
    assertEquals(List.of(), SQUARE.map(List.of(), options()));
    assertEquals("square", SQUARE.name());
  }

  @Test
  void nullCrossesByItselfAsItemAndAsValue() {
    final Task<String, String> task = OBEY;
    final Results<String> results = task.run(Arrays.asList("null", "say 1", null), options());
    assertEquals(ItemState.OK, results.get(0).state());
    assertNull(results.get(0).value());
    assertEquals("said 1", results.get(1).value());
    final WorkerException ofNull = (WorkerException) results.get(2).error();
    assertEquals("java.lang.NullPointerException", ofNull.remoteClassName());
  }

  @Test
  void largeItemsAndValuesCross() {
    final String large = "say " + "y".repeat(3_000_000);
    final List<String> values = OBEY.map(List.of("large 3000000", large, "large 3"), options().workers(1));
    assertEquals(3_000_000, values.get(0).length());
    assertEquals("said " + large.substring(4), values.get(1));
    assertEquals("xxx", values.get(2));
  }

  @Test
  void whatAFunctionThrowsIsToldByClassAndMessage() {
    final Results<String> results = OBEY.run(List.of("fail gone", "error", "fail-silently", "fail-at-length", "overflow"), options());
    final WorkerException gone = (WorkerException) results.get(0).error();
    assertEquals("java.io.IOException", gone.remoteClassName());
    assertEquals("gone", gone.remoteMessage());
    assertEquals("java.io.IOException: gone", gone.getMessage());
    assertEquals("java.lang.AssertionError: a bug", results.get(1).error().getMessage());
    final WorkerException silent = (WorkerException) results.get(2).error();
    assertEquals("java.io.IOException", silent.getMessage());
    assertNull(silent.remoteMessage());
    final String cut = ((WorkerException) results.get(3).error()).remoteMessage();
    assertEquals("é".repeat(cut.length()), cut, "no character is cut in two");
    assertEquals((1023 - "java.io.IOException\n".length()) / 2, cut.length());
    assertEquals("java.lang.StackOverflowError", ((WorkerException) results.get(4).error()).remoteClassName());
    assertTrue(results.stream().allMatch(result -> result.state() == ItemState.FAILED && result.attempts() == 1));
    assertEquals(End.COMPLETED, results.end());
  }

  @Test
  void theCallKnowsIndexAttemptAndTime() {
    final Options retried = options().retry(Retry.attempts(3).backoff(Duration.ofMillis(1)));
    assertEquals(List.of("at last", "1 1 false false"), OBEY.map(List.of("fail-twice", "call"), retried));
    assertEquals(List.of("0 1 false true"), OBEY.map(List.of("call"), options().timeout(Duration.ofHours(1))));
    assertEquals(List.of("0 1 false true"), OBEY.map(List.of("call"), options().itemTimeout(Duration.ofHours(1))));
  }

  @Test
  void theWaitThatAServerAsksForReplacesTheBackoff() {
    assertEquals(List.of("now"), OBEY.map(List.of("later"), options().retry(Retry.attempts(2).backoff(Duration.ofHours(1)))));
  }

  @Test
  void errorsOfAWorkerAreRepeatedOnlyWhereErrorsAre() {
    final Retry retry = Retry.attempts(2).backoff(Duration.ZERO);
    assertEquals(1, OBEY.run(List.of("error"), options().retry(retry)).get(0).attempts());
    assertEquals(2, OBEY.run(List.of("fail x"), options().retry(retry)).get(0).attempts());
    assertEquals(2, OBEY.run(List.of("error"), options().retry(retry.on(Throwable.class))).get(0).attempts());
    assertEquals(1, OBEY.run(List.of("fail x"), options().retry(retry.on(IOException.class))).get(0).attempts());
  }

  @Test
  void aPredicateSeesTheExceptionOfTheProgram() {
    final List<Throwable> seen = Collections.synchronizedList(new ArrayList<>());
    final Retry retry = Retry.attempts(2).backoff(Duration.ZERO).retryIf(error -> {
      seen.add(error);
      return ((WorkerException) error).remoteMessage().equals("again");
    });
    final Results<String> results = OBEY.run(List.of("fail again", "fail for good"), options().retry(retry));
    assertEquals(2, results.get(0).attempts());
    assertEquals(1, results.get(1).attempts());
    assertTrue(seen.stream().anyMatch(error -> ((WorkerException) error).remoteClassName().equals("java.io.IOException")));
  }

  @Test
  void whateverAPredicateThrowsTheItemKeepsItsOwnError() {
    final IllegalStateException odd = new IllegalStateException("odd");
    final Retry retry = Retry.attempts(3).backoff(Duration.ZERO).retryIf(error -> {
      throw odd;
    });
    final ItemResult<String> result = OBEY.run(List.of("fail x"), options().retry(retry)).get(0);
    assertEquals("java.io.IOException: x", result.error().getMessage());
    assertSame(odd, result.error().getSuppressed()[0]);
    assertEquals(1, result.attempts());
    final InternalError fatal = new InternalError("fatal");
    final Retry ends = Retry.attempts(3).backoff(Duration.ZERO).retryIf(error -> {
      throw fatal;
    });
    assertSame(fatal, assertThrows(InternalError.class, () -> OBEY.run(List.of("fail x"), options().retry(ends))));
  }

  @Test
  void whatACodecRefusesFailsAlone() {
    final Results<Integer> results = REFUSED.run(numbers(120), options().retry(Retry.attempts(2).backoff(Duration.ZERO)));
    for (ItemResult<Integer> result : results) {
      final int number = (int) result.index();
      if (number % 7 == 3) assertRefused(result, IOException.class, number + " is not encoded", 1); // here, as an item
      else if (number >= 100) assertRefused(result, WorkerException.class, "java.io.IOException: " + number + " is not decoded", 2);
      else if (10 * number % 7 == 3) assertRefused(result, WorkerException.class, "java.io.IOException: " + 10 * number + " is not encoded", 2);
      else assertEquals(10 * number, result.value());
    }
    assertEquals(End.COMPLETED, results.end());
  }

  private static void assertRefused(ItemResult<?> result, Class<?> type, String message, int attempts) {
    assertEquals(ItemState.FAILED, result.state());
    assertSame(type, result.error().getClass());
    assertEquals(message, result.error().getMessage());
    assertEquals(attempts, result.attempts());
  }

  @Test
  void aValueThatIsNotDecodedFailsItsItem() {
    final Results<Integer> results = ProcessCodecs.NARROW.run(List.of(1, 2, 3), options().processes(ProcessCodecs.processes()));
    assertEquals(10, results.get(0).value());
    assertRefused(results.get(1), IllegalStateException.class, "20 is not for this program", 1);
    assertEquals(30, results.get(2).value());
    assertFalse(results.ok());
    final Options options = options().processes(ProcessCodecs.processes());
    final InternalError fatal = assertThrows(InternalError.class, () -> ProcessCodecs.NARROW.run(List.of(4), options));
    assertEquals("40", fatal.getMessage());
  }

  @Test
  void keysCallbacksAndProgressAreThoseOfTheProgram() {
    final List<String> seen = new ArrayList<>();
    final Thread caller = Thread.currentThread();
    final Results<Long> results = SQUARE.run(List.of(4, 5), options().workers(1).itemKey((Integer x) -> "key " + x).onResult(result -> {
      assertSame(caller, Thread.currentThread());
      seen.add(result.key() + "=" + result.value());
    }).onProgress((done, total) -> seen.add(done + "/" + total)));
    assertEquals(List.of("key 4=16", "1/2", "key 5=25", "2/2"), seen);
    assertEquals("key 5", results.get(1).key());
  }

  @Test
  void whatKeySourceOrCallbackThrowsEndsTheRun() {
    final RunFailedException ofKey = assertThrows(RunFailedException.class, () -> SQUARE.run(numbers(5), options().itemKey((Integer x) -> {
      if (x == 3) throw new IllegalStateException("no key");
      return x;
    })));
    assertEquals(RunFailedException.Part.KEY, ofKey.part());
    assertEquals("no key", ofKey.getCause().getMessage());
    final RunFailedException ofSource = assertThrows(RunFailedException.class, () -> SQUARE.run(failingAt(4), options()));
    assertEquals(RunFailedException.Part.SOURCE, ofSource.part());
    assertEquals(ArithmeticException.class, ofSource.getCause().getClass());
    assertEquals(4, ofSource.results().size());
    final Options failing = options().onProgress((done, total) -> {
      if (done == 2) throw new IllegalStateException("no more");
    });
    final RunFailedException ofCallback = assertThrows(RunFailedException.class, () -> SQUARE.run(numbers(1000), failing));
    assertEquals(RunFailedException.Part.CALLBACK, ofCallback.part());
    assertEquals(1000, ofCallback.results().size());
    assertEquals(End.FAILED, ofCallback.results().end());
  }

  @Test
  void anItemWithAttemptsLeftAtTheEndKeepsItsAttemptsAndItsLastError() {
    final StopToken stop = new StopToken();
    final Retry patient = Retry.attempts(5).backoff(Duration.ofHours(1)).retryIf(error -> {
      stop.request();
      return true;
    });
    final ItemResult<String> waiting = OBEY.run(List.of("fail x"), options().retry(patient).stop(stop)).get(0);
    assertEquals(ItemState.CANCELLED, waiting.state());
    assertEquals(1, waiting.attempts());
    assertInstanceOf(WorkerException.class, waiting.error());
  }

  @Test
  void theLimiterAndMaxErrorsAreThoseOfTheProgram() {
    assertEquals(SQUARES.subList(0, 1000), SQUARE.map(numbers(1000), options().limiter(new Limiter(Rate.perSecond(1e6).burst(10)))));
    final Results<String> results = OBEY.run(Collections.nCopies(100, "fail x"), options().maxErrors(5));
    assertEquals(End.ABORTED, results.end());
    assertEquals(100, results.size());
    assertTrue(results.stream().allMatch(result -> result.state() == ItemState.FAILED || result.state() == ItemState.ABORTED));
  }

  @Test
  void batchesAnswerForEach() {
    final Results<Integer> results = LENGTHS.run(List.of("a", "bad", "ccc", "dddd"), options().batchItems(2));
    assertEquals(1, results.get(0).value());
    assertEquals("java.lang.IllegalStateException: bad item", results.get(1).error().getMessage());
    assertEquals(List.of(3, 4), List.of(results.get(2).value(), results.get(3).value()));
    assertEquals(2, results.batchSize());
    final Results<Integer> thrown = LENGTHS.run(List.of("a", "throw"), options().batchItems(2));
    assertEquals(2, thrown.failures().size());
  }

  @Test
  void aStreamComesInOrderOrAsItemsFinish() {
    try (ResultStream<Long> stream = SQUARE.stream(numbers(20_000), options().ordered(true))) {
      final List<Long> values = new ArrayList<>();
      for (ItemResult<Long> result : stream) values.add(result.orThrow());
      assertEquals(SQUARES, values);
      assertEquals(End.COMPLETED, stream.end());
    }
    try (ResultStream<Long> stream = SQUARE.stream(numbers(20_000), options())) {
      assertEquals(SQUARES, stream.stream().map(ItemResult::orThrow).sorted().toList());
    }
  }

  @Test
  void aWindowBoundsHowFarAnEndlessSourceIsPulled() {
    final AtomicInteger pulled = new AtomicInteger();
    final Iterable<Integer> endless = () -> IntStream.generate(pulled::incrementAndGet).iterator();
    try (ResultStream<Long> stream = SQUARE.stream(endless, options().window(7))) {
      int handedOut = 0;
      for (ItemResult<Long> result : stream) {
        assertTrue(pulled.get() - handedOut <= 7 + 1, "an iterator looks one ahead");
        if (++handedOut == 300) break;
      }
    }
  }

  @Test
  void aStreamCanBeClosedAtAnyMomentAndPolled() {
    final ResultStream<Long> stream = SQUARE.stream(numbers(20_000), options());
    while (stream.poll(Duration.ofMillis(1)).isEmpty()) assertNull(stream.end());
    stream.close();
    assertEquals(End.CANCELLED, stream.end());
    assertFalse(stream.iterator().hasNext());
    stream.close();
    final ResultStream<String> waits = OBEY.stream(List.of("hang-politely"), options());
    final Thread closer = new Thread(waits::close);
    closer.start();
    waits.forEach(result -> {});
    assertEquals(End.CANCELLED, waits.end());
  }

  @Test
  void aCallbackMayCloseItsStream() {
    final AtomicInteger seen = new AtomicInteger();
    final List<ResultStream<Long>> self = new ArrayList<>();
    final Iterable<Integer> closing = () -> IntStream.range(0, 100_000).map(x -> {
      if (x == 50_000) self.get(0).close(); // on a thread of libpa
      return x;
    }).iterator();
    self.add(SQUARE.stream(closing, options().onResult(result -> seen.incrementAndGet())));
    self.get(0).forEach(result -> {});
    assertEquals(End.CANCELLED, self.get(0).end());
    self.set(0, SQUARE.stream(numbers(1000), options().onResult(result -> self.get(0).close())));
    self.get(0).forEach(result -> {});
    assertEquals(End.CANCELLED, self.get(0).end());
  }

  @Test
  void aStopReachesTheCallsInTheWorkers(@TempDir Path directory) throws InterruptedException {
    final StopToken stop = new StopToken();
    final Path running = directory.resolve("running");
    final Thread stopper = new Thread(() -> {
      while (!Files.exists(running)) Thread.onSpinWait();
      stop.request();
    });
    stopper.start();
    final List<String> orders = Collections.nCopies(10, "hang-politely " + running);
    final Results<String> results = OBEY.run(orders, options().stop(stop));
    stopper.join();
    assertEquals(End.CANCELLED, results.end());
    assertEquals(10, results.size());
    assertTrue(results.stream().allMatch(result -> result.state() == ItemState.CANCELLED && result.error() instanceof NotDoneException));
    assertEquals(End.CANCELLED, OBEY.run(List.of("say 1"), options().stop(stop)).end(), "a requested stop runs nothing");
  }

  @Test
  void aDeadlineReachesTheCallsInTheWorkers() {
    final Results<String> results = OBEY.run(List.of("hang-politely", "hang-politely"), options().timeout(Duration.ofMillis(50)));
    assertEquals(End.TIMED_OUT, results.end());
    assertTrue(results.stream().allMatch(result -> result.state() == ItemState.TIMED_OUT));
    assertEquals(End.TIMED_OUT, OBEY.run(List.of("say 1"), options().timeout(Duration.ZERO)).end());
  }

  @Test
  void anInterruptStopsTheRunAndIsKept() throws InterruptedException {
    final Results<String> none;
    Thread.currentThread().interrupt();
    none = OBEY.run(List.of("say 1"), options());
    assertTrue(Thread.interrupted());
    assertEquals(End.CANCELLED, none.end());
    final CompletableFuture<Results<String>> results = new CompletableFuture<>();
    final CompletableFuture<Boolean> wasInterrupted = new CompletableFuture<>();
    final CompletableFuture<Void> running = new CompletableFuture<>();
    final Thread caller = new Thread(() -> {
      results.complete(OBEY.run(List.of("say 1", "hang-politely"), options().onResult(result -> running.complete(null))));
      wasInterrupted.complete(Thread.currentThread().isInterrupted());
    });
    caller.start();
    running.join();
    caller.interrupt();
    assertEquals(End.CANCELLED, results.join().end());
    assertTrue(wasInterrupted.join());
    caller.join();
  }

  @Test
  void anInterruptThatAnItemLeavesBehindIsNotForTheNext() {
    assertEquals(List.of("interrupted", "false"), OBEY.map(List.of("interrupt", "interrupted"), options().workers(1).ordered(true)));
  }

  @Test
  void aDetachedRunReturnsWhileWorkersAreRunning() {
    final CompletableFuture<Void> quiescent = new CompletableFuture<>();
    final Results<String> results = OBEY.run(
        List.of("hang-politely", "hang-politely"),
        options().detach(true).timeout(Duration.ofMillis(20)).onQuiescent(() -> quiescent.complete(null)));
    assertEquals(End.TIMED_OUT, results.end());
    quiescent.join();
  }

  @Test
  void inTheBackground() {
    assertEquals(SQUARES.subList(0, 10), SQUARE.async(numbers(10), options()).join().values());
    final CompletableFuture<Void> quiescent = new CompletableFuture<>();
    final CompletableFuture<Results<String>> cancelled =
        OBEY.async(List.of("hang-politely"), options().onQuiescent(() -> quiescent.complete(null)));
    cancelled.cancel(false);
    quiescent.join();
    assertThrows(IllegalArgumentException.class, () -> SQUARE.async(numbers(1), options().workers(70_000)));
    final CompletionException thrown = assertThrows(CompletionException.class, () -> SQUARE.async(failingAt(0), options()).join());
    assertEquals(RunFailedException.class, thrown.getCause().getClass());
  }

  @Test
  void workersOutliveTheRunAreReplacedAfterMaxItemsAndEndWithDrain() throws InterruptedException {
    final Options one = options().workers(1).processes(processes().environment(Map.of("PA_TEST", "warm")));
    final Set<String> warm = new HashSet<>();
    for (int run = 0; run < 5; run++) warm.addAll(OBEY.map(List.of("pid"), one));
    assertTrue(warm.size() <= 2, "one more than workers may come");
    assertTrue(warm.stream().allMatch(ProcessTest::isAlive));
    assertTrue(Parallel.drain(Duration.ofSeconds(60)));
    assertTrue(warm.stream().noneMatch(ProcessTest::isAlive));
    final List<String> workers = OBEY.map(Collections.nCopies(10, "pid"), one.processes(processes().maxItems(3)));
    assertTrue(workers.stream().allMatch(pid -> Collections.frequency(workers, pid) <= 3), workers::toString);
  }

  private static boolean isAlive(String pid) {
    return ProcessHandle.of(Long.parseLong(pid)).isPresent();
  }

  @Test
  void environmentDirectoryAndInput() {
    final Options elsewhere = options().workers(1).processes(processes().directory(Path.of("/")).environment(Map.of("PA_TEST", "from here")));
    final List<String> values = OBEY.map(List.of("environment", "directory", "input"), elsewhere);
    assertEquals("from here null", values.get(0), "what a worker starts is no worker");
    assertEquals("/", values.get(1));
    assertEquals("-1", values.get(2));
  }

  // ---- what is refused

  private static void refuse(Options options, String words) {
    final String message = assertThrows(IllegalArgumentException.class, () -> SQUARE.run(numbers(3), options)).getMessage();
    assertTrue(message.contains(words), message);
  }

  @Test
  void wrongOptionsAreRefusedBeforeAnythingRuns() {
    refuse(options().processes(processes().crashAttempts(0)), "crash_attempts");
    refuse(options().processes(processes().maxCrashes(0)), "max_crashes");
    refuse(options().processes(processes().startTimeout(Duration.ZERO)), "start_timeout_ns");
    refuse(options().processes(processes().directory(Path.of("/nowhere"))), "/nowhere");
    refuse(options().processes(processes().command(List.of())), "command");
    refuse(options().processes(processes().command(List.of("a\0b"))), "character 0");
    refuse(options().workerStart(() -> {}), "worker_start");
    refuse(options().workerStop(() -> {}), "worker_start");
    refuse(options().inline(true), "inline");
    refuse(options().threads(Thread::new), "threads");
    refuse(options().timeout(Duration.ofSeconds(-1)), "timeout_ns");
    refuse(options().itemTimeout(Duration.ZERO), "item_timeout_ns");
    refuse(options().workers(70_000), "options.workers");
    refuse(Parallel.options(), "Parallel.workerMain()");
    assertThrows(IllegalArgumentException.class, () -> processes().maxItems(-1));
    assertThrows(IllegalArgumentException.class, () -> processes().memoryLimit(-1));
    final String message = assertThrows(IllegalArgumentException.class, () -> options().run(numbers(3), x -> x)).getMessage();
    assertTrue(message.contains("options.processes"), message);
  }

  @Test
  void tasksThatCanNotBe() {
    final Codec<Integer> codec = Codecs.int32();
    final String taken = assertThrows(IllegalArgumentException.class, () -> Task.register("square", codec, codec, x -> x)).getMessage();
    assertTrue(taken.contains("another task"), taken);
    assertThrows(IllegalArgumentException.class, () -> Task.register("", codec, codec, x -> x));
    assertThrows(IllegalArgumentException.class, () -> Task.register("n".repeat(256), codec, codec, x -> x));
    assertThrows(IllegalArgumentException.class, () -> Task.register("a\0", codec, codec, x -> x));
    assertThrows(NullPointerException.class, () -> Task.<Integer, Integer>register("x", null, codec, x -> x));
    assertThrows(NullPointerException.class, () -> Task.register("x", codec, codec, (Fn<Integer, Integer>) null));
  }

  @Test
  void aTaskThatTheWorkerDoesNotKnowFailsTheRun() {
    final RunFailedException thrown = assertThrows(RunFailedException.class, () -> ONLY_HERE.run(numbers(3), options()));
    assertEquals(RunFailedException.Part.WORKER_START, thrown.part());
    assertTrue(thrown.getMessage().contains("no task of that name"), thrown.getMessage());
    assertTrue(thrown.results().stream().allMatch(result -> result.state() == ItemState.ABORTED));
  }
}
