package libpa;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;

/** The tasks of the tests, and what their workers run. */
public final class ProcessTasks {
  static final Task<String, String> OBEY = Task.registerWithCall("obey", Codecs.string(), Codecs.string(), ProcessTasks::obey);
  static final Task<Integer, Long> SQUARE = Task.register("square", Codecs.int32(), Codecs.int64(), x -> (long) x * x);
  static final Task<Integer, Integer> REFUSED = Task.register("refused", new Below(100), new Below(1000), x -> 10 * x);
  static final Task<String, Integer> LENGTHS = Task.registerBatch("lengths", Codecs.string(), Codecs.int32(), ProcessTasks::lengths);
  /** Of this program: no worker knows it. */
  static final Task<Integer, Integer> ONLY_HERE = isWorker() ? null : Task.register("only here", Codecs.int32(), Codecs.int32(), x -> x);

  private ProcessTasks() {}

  private static boolean isWorker() {
    return NativeTasks.isWorker();
  }

  /**
   * Workers that are this class. What a JVM was started with, they have as well; what surefire has set later, they have not. Standard output is
   * surefire's: what their JVMs have to say goes elsewhere.
   */
  static WorkerProcesses processes() {
    return WorkerProcesses.defaults().mainClass(ProcessTasks.class).jvmOptions(jvmOptions());
  }

  static String[] jvmOptions() {
    final Path library = Path.of(System.getProperty("libpa.natives"), "libpa", "native", NativeLibrary.platform(), "libpa_java.so");
    return new String[] {"-Dlibpa.library=" + library, "-XX:TieredStopAtLevel=1", "-XX:+DisplayVMOutputToStderr", "-Xmx64m"};
  }

  static Options options() {
    return Parallel.workers(2).processes(processes());
  }

  /**
   * A worker.
   *
   * @param arguments none
   */
  public static void main(String[] arguments) {
    Parallel.workerMain();
    throw new IllegalStateException("this program is only a worker");
  }

  /** Numbers up to a limit: others are refused, whichever way they go. */
  private record Below(int limit) implements Codec<Integer> {
    @Override
    public byte[] encode(Integer number) throws Exception {
      if (number % 7 == 3) throw new IOException(number + " is not encoded");
      return Codecs.int32().encode(number);
    }

    @Override
    public Integer decode(byte[] bytes) throws Exception {
      final int number = Codecs.int32().decode(bytes);
      if (number >= limit) throw new IOException(number + " is not decoded");
      return number;
    }
  }

  /** Asked to wait. */
  private static final class Busy extends IOException implements RetryAfter {
    private static final long serialVersionUID = 1;

    @Override
    public Duration retryAfter() {
      return Duration.ofMillis(20);
    }
  }

  private static String obey(String order, Call call) throws Exception {
    final String[] words = order.split(" ", 2);
    switch (words[0]) {
      case "say":
        return "said " + words[1];
      case "pid":
        return Long.toString(ProcessHandle.current().pid());
      case "call":
        return call.index() + " " + call.attempt() + " " + call.stopped() + " " + call.remaining().isPresent();
      case "null":
        return null;
      case "fail":
        throw new IOException(words[1]);
      case "fail-silently":
        throw new IOException();
      case "fail-at-length":
        throw new IOException("é".repeat(2000));
      case "error":
        throw new AssertionError("a bug");
      case "fail-twice":
        if (call.attempt() < 3) throw new IOException("not yet");
        return "at last";
      case "later":
        if (call.attempt() == 1) throw new RuntimeException(new Busy());
        return "now";
      case "crash-once":
        if (call.attempt() == 1) kill();
        return "at last";
      case "halt":
        Runtime.getRuntime().halt(Integer.parseInt(words[1]));
        return null;
      case "exit":
        System.exit(Integer.parseInt(words[1]));
        return null;
      case "kill":
        kill();
        return null;
      case "eat":
        return eat(words.length == 1 ? Integer.MAX_VALUE : 80); // or 640 MB
      case "overflow":
        return order + obey(order, call);
      case "hang":
        for (;;) Thread.sleep(1_000);
      case "hang-politely":
        if (words.length > 1) Files.writeString(Path.of(words[1]), "running");
        while (!call.stopped()) Thread.sleep(1);
        call.checkStopped();
        return null;
      case "large":
        return "x".repeat(Integer.parseInt(words[1]));
      case "interrupt":
        Thread.currentThread().interrupt();
        return "interrupted";
      case "interrupted":
        return Boolean.toString(Thread.currentThread().isInterrupted());
      case "blocks":
        return Long.toString(NativeTasks.liveBlocks());
      case "environment":
        return System.getenv("PA_TEST") + " " + System.getenv("PA_WORKER");
      case "directory":
        return Path.of("").toAbsolutePath().toString();
      case "input":
        return Integer.toString(System.in.read());
      default:
        throw new IllegalArgumentException(order);
    }
  }

  private static void kill() throws Exception {
    new ProcessBuilder("kill", "-9", Long.toString(ProcessHandle.current().pid())).start().waitFor();
    for (;;) Thread.sleep(1_000);
  }

  private static String eat(int pieces) {
    final List<long[]> eaten = new ArrayList<>();
    while (eaten.size() < pieces) eaten.add(new long[1 << 20]);
    return "eaten";
  }

  private static List<Integer> lengths(List<String> items, BatchCall<Integer> call) {
    IntStream.range(0, items.size()).filter(i -> items.get(i).equals("bad")).forEach(i -> call.fail(i, new IllegalStateException("bad item")));
    if (items.contains("die")) Runtime.getRuntime().halt(4);
    if (items.contains("throw")) throw new IllegalStateException("no batch");
    return items.stream().map(String::length).toList();
  }
}
