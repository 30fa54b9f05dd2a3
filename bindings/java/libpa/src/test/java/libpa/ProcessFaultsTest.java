package libpa;

import static libpa.ProcessTasks.LENGTHS;
import static libpa.ProcessTasks.OBEY;
import static libpa.ProcessTasks.options;
import static libpa.ProcessTasks.processes;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.OptionalInt;
import java.util.concurrent.TimeoutException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Worker processes that crash, hang, or don't come. */
@Timeout(value = 120, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class ProcessFaultsTest {
  private static final int COUNT = 21;
  private static final int BAD = 8;
  private static final Retry AT_ONCE = Retry.attempts(2).backoff(Duration.ZERO);

  /** One bad item among good ones, which it does not harm. */
  private static ItemResult<String> amongOthers(String bad, Options options) {
    final List<String> orders = new ArrayList<>(Collections.nCopies(COUNT, "say 1"));
    orders.set(BAD, bad);
    final Results<String> results = OBEY.run(orders, options);
    for (ItemResult<String> result : results) if (result.index() != BAD) assertEquals("said 1", result.orThrow());
    assertEquals(End.COMPLETED, results.end());
    return results.get(BAD);
  }

  private static WorkerCrashedException crash(ItemResult<String> result) {
    assertEquals(ItemState.CRASHED, result.state());
    return (WorkerCrashedException) result.error();
  }

  @Test
  void aKillCostsOneItemAndIsToldByItsSignal() {
    final ItemResult<String> result = amongOthers("kill", options());
    assertEquals(OptionalInt.of(9), crash(result).signal());
    assertEquals(OptionalInt.empty(), crash(result).exitCode());
    assertTrue(crash(result).getMessage().contains("killed by signal 9"), crash(result).getMessage());
    assertEquals(1, result.attempts());
  }

  @Test
  void anExitCostsOneItemAndIsToldByItsStatus() {
    assertEquals(OptionalInt.of(3), crash(amongOthers("halt 3", options())).exitCode());
    final WorkerCrashedException exited = crash(amongOthers("exit 0", options()));
    assertEquals(OptionalInt.of(0), exited.exitCode());
    assertEquals(OptionalInt.empty(), exited.signal());
  }

  @Test
  void aHeapThatIsFullCostsOneItem() {
    assertEquals(OptionalInt.of(3), crash(amongOthers("eat", options())).exitCode());
  }

  @Test
  void aMemoryLimitIsKept(@TempDir Path directory) {
    final List<String> jvmOptions = new ArrayList<>(List.of(ProcessTasks.jvmOptions()));
    jvmOptions.addAll(List.of("-XX:+UseSerialGC", "-Xms16m", "-Xmx8g")); // the heap alone would let it eat
    final List<String> command = new ArrayList<>(List.of("sh", "-c", "exec \"$0\" \"$@\" >&2")); // standard output is surefire's
    command.addAll(JvmCommand.of(ProcessTasks.class.getName(), jvmOptions));
    final WorkerProcesses limited = processes().command(command).memoryLimit(512L << 20).directory(directory);
    assertEquals(ItemState.CRASHED, amongOthers("eat a little", options().processes(limited)).state());
    assertEquals("eaten", amongOthers("eat a little", options().processes(limited.memoryLimit(0))).orThrow());
  }

  @Test
  void aCrashIsRepeatedLikeAnyFailureAndTheRetrySaysWhich() {
    final ItemResult<String> result = amongOthers("crash-once", options().retry(AT_ONCE));
    assertEquals("at last", result.orThrow());
    assertEquals(2, result.attempts());
    assertEquals(1, amongOthers("halt 3", options().retry(AT_ONCE.on(WorkerException.class))).attempts());
    assertEquals(2, amongOthers("halt 3", options().retry(AT_ONCE.on(WorkerCrashedException.class))).attempts());
  }

  @Test
  void anItemThatHasCostManyWorkersIsGivenUp() {
    final Options options = options().retry(Retry.attempts(100).backoff(Duration.ZERO)).processes(processes().crashAttempts(2));
    final ItemResult<String> result = amongOthers("halt 3", options);
    assertEquals(ItemState.CRASHED, result.state());
    assertEquals(2, result.attempts());
  }

  @Test
  void whatHangsIsKilled() {
    Duration timeout = Duration.ofMillis(100);
    Results<String> results;
    do { // on a busy machine others take long, too
      timeout = timeout.multipliedBy(2);
      results = OBEY.run(List.of("say 1", "hang", "say 1"), options().itemTimeout(timeout));
    } while (results.successes().size() < 2);
    final ItemResult<String> hung = results.get(1);
    assertEquals(ItemState.TIMED_OUT, hung.state());
    assertEquals(TimeoutException.class, hung.error().getClass());
    assertTrue(hung.error().getSuppressed()[0].getMessage().contains("its worker process was killed"));
  }

  @Test
  void whatNoticesItsTimeoutIsNotKilled() {
    final ItemResult<String> result = OBEY.run(List.of("hang-politely"), options().itemTimeout(Duration.ofMillis(20))).get(0);
    assertEquals(ItemState.TIMED_OUT, result.state());
    assertEquals(TimeoutException.class, result.error().getClass());
  }

  @Test
  void aBatchThatCrashesIsFoundOutByRetries() {
    final List<String> items = new ArrayList<>(Collections.nCopies(COUNT, "abc"));
    items.set(BAD, "die");
    final Results<Integer> results = LENGTHS.run(items, options().batchItems(5).retry(AT_ONCE));
    assertEquals(COUNT - 1, results.successes().size());
    assertEquals(ItemState.CRASHED, results.get(BAD).state());
    assertEquals(OptionalInt.of(4), ((WorkerCrashedException) results.get(BAD).error()).exitCode());
  }

  @Test
  void aStormOfCrashesEndsTheRun() {
    final Options options = options().processes(processes().maxCrashes(4));
    final RunFailedException thrown = assertThrows(RunFailedException.class, () -> OBEY.run(Collections.nCopies(100, "halt 3"), options));
    assertEquals(RunFailedException.Part.WORKERS, thrown.part());
    assertTrue(thrown.getMessage().contains("worker processes died in a row"), thrown.getMessage());
    assertEquals(End.FAILED, thrown.results().end());
    assertEquals(100, thrown.results().size());
    assertTrue(thrown.results().stream().allMatch(result -> result.state() == ItemState.CRASHED || result.state() == ItemState.ABORTED));
  }

  // ---- workers that can't be started

  private static RunFailedException lost(WorkerProcesses workers) {
    final RunFailedException thrown = assertThrows(RunFailedException.class, () -> OBEY.run(List.of("say 1", "say 2"), options().processes(workers)));
    assertEquals(RunFailedException.Part.WORKERS, thrown.part());
    assertTrue(thrown.results().stream().allMatch(result -> result.state() == ItemState.ABORTED && result.attempts() == 0));
    return thrown;
  }

  @Test
  void aProgramThatIsNotThere() {
    assertTrue(lost(processes().command(List.of("/nowhere/worker"))).getMessage().contains("/nowhere/worker"));
  }

  @Test
  void aProgramThatIsNoWorker() {
    assertTrue(lost(processes().command(List.of("true"))).getMessage().contains("exited with status 0 before"));
    final WorkerProcesses hasty = processes().command(List.of("sleep", "1000")).startTimeout(Duration.ofMillis(50));
    assertTrue(lost(hasty).getMessage().contains("start_timeout_ns"));
    try (ResultStream<String> stream = OBEY.stream(List.of("say 1"), options().processes(hasty))) {
      assertThrows(RunFailedException.class, () -> stream.forEach(result -> {}));
      assertEquals(End.FAILED, stream.end());
    }
  }
}
