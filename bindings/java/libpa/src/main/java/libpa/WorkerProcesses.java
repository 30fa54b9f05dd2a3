package libpa;

import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Stream;

/**
 * How the worker processes of a {@link Task} are run: {@link Options#processes}. Immutable: each method returns others.
 *
 * <pre>{@code
 * Parallel.workers(4).processes(WorkerProcesses.defaults().maxItems(1000).jvmOptions("-Xmx256m"))
 * }</pre>
 *
 * <p>A worker is this program, run again: the same JVM with the same options, class path or module path, and main class, without arguments.
 * Left out are the options of debuggers (jdwp) and of remote management, whose ports are taken. {@link #mainClass} and {@link #command} say
 * otherwise. Workers outlive the run, and serve the next one that wants the same kind; they end after ten idle seconds, by
 * {@link Parallel#drain}, and with this program, however it ends.
 */
public final class WorkerProcesses {
  private static final WorkerProcesses DEFAULTS =
      new WorkerProcesses(3, 0, 0, 64, Duration.ofSeconds(30), null, null, null, null, List.of());

  private final int crashAttempts;
  private final long maxItems;
  private final long memoryLimit;
  private final long maxCrashes;
  private final Duration startTimeout;
  private final Path directory;
  private final Map<String, String> environment;
  private final List<String> command;
  private final String mainClass;
  private final List<String> jvmOptions;

  private WorkerProcesses(
      int crashAttempts,
      long maxItems,
      long memoryLimit,
      long maxCrashes,
      Duration startTimeout,
      Path directory,
      Map<String, String> environment,
      List<String> command,
      String mainClass,
      List<String> jvmOptions) {
    this.crashAttempts = crashAttempts;
    this.maxItems = maxItems;
    this.memoryLimit = memoryLimit;
    this.maxCrashes = maxCrashes;
    this.startTimeout = startTimeout;
    this.directory = directory;
    this.environment = environment;
    this.command = command;
    this.mainClass = mainClass;
    this.jvmOptions = jvmOptions;
  }

  /**
   * All defaults.
   *
   * @return to start from
   */
  public static WorkerProcesses defaults() {
    return DEFAULTS;
  }

  private static void notNegative(String name, long value) {
    if (value < 0) throw new IllegalArgumentException("options.process->" + name + " must be >= 0, got " + value);
  }

  /**
   * An item whose attempts have cost so many workers has crashed for good, even if attempts are left.
   *
   * @param workers at least 1; 3 by default
   * @return others
   */
  public WorkerProcesses crashAttempts(int workers) {
    notNegative("crash_attempts", workers);
    return new WorkerProcesses(
        workers, maxItems, memoryLimit, maxCrashes, startTimeout, directory, environment, command, mainClass, jvmOptions);
  }

  /**
   * Replaces a worker that has run so many items: for functions that leak.
   *
   * @param items 0, the default: never
   * @return others
   */
  public WorkerProcesses maxItems(long items) {
    notNegative("max_items", items);
    return new WorkerProcesses(
        crashAttempts, items, memoryLimit, maxCrashes, startTimeout, directory, environment, command, mainClass, jvmOptions);
  }

  /**
   * How much private memory a worker may have (RLIMIT_DATA). All of its JVM counts, of which the heap is a part, and a JVM may end when it gets
   * no more: to bound the heap alone say {@code jvmOptions("-Xmx256m")}.
   *
   * @param bytes 0, the default: no limit
   * @return others
   */
  public WorkerProcesses memoryLimit(long bytes) {
    notNegative("memory_limit", bytes);
    return new WorkerProcesses(
        crashAttempts, maxItems, bytes, maxCrashes, startTimeout, directory, environment, command, mainClass, jvmOptions);
  }

  /**
   * When so many workers died in a row, and no item was done in between, the run fails.
   *
   * @param workers at least 1; 64 by default
   * @return others
   */
  public WorkerProcesses maxCrashes(long workers) {
    notNegative("max_crashes", workers);
    return new WorkerProcesses(
        crashAttempts, maxItems, memoryLimit, workers, startTimeout, directory, environment, command, mainClass, jvmOptions);
  }

  /**
   * A worker that does not serve by then could not be started.
   *
   * @param time above zero; 30 seconds by default
   * @return others
   */
  public WorkerProcesses startTimeout(Duration time) {
    Objects.requireNonNull(time, "time");
    return new WorkerProcesses(
        crashAttempts, maxItems, memoryLimit, maxCrashes, time, directory, environment, command, mainClass, jvmOptions);
  }

  /**
   * The working directory of the workers.
   *
   * @param directory or {@code null}, the default: that of this program
   * @return others
   */
  public WorkerProcesses directory(Path directory) {
    return new WorkerProcesses(
        crashAttempts, maxItems, memoryLimit, maxCrashes, startTimeout, directory, environment, command, mainClass, jvmOptions);
  }

  /**
   * The environment of the workers, all of it.
   *
   * @param environment or {@code null}, the default: that of this program
   * @return others
   */
  public WorkerProcesses environment(Map<String, String> environment) {
    final Map<String, String> copy = environment == null ? null : Map.copyOf(environment);
    return new WorkerProcesses(
        crashAttempts, maxItems, memoryLimit, maxCrashes, startTimeout, directory, copy, command, mainClass, jvmOptions);
  }

  /**
   * The program that is the worker, with its arguments. It must register the task, and call {@link Parallel#workerMain}.
   *
   * @param words a program, with a path or found by PATH, and its arguments
   * @return others
   */
  public WorkerProcesses command(List<String> words) {
    return new WorkerProcesses(
        crashAttempts, maxItems, memoryLimit, maxCrashes, startTimeout, directory, environment, List.copyOf(words), null, List.of());
  }

  /**
   * The class whose {@code main} a worker runs instead of that of this program, which may be a server or a runner of tests. It must register
   * the task, as its initializer may do, and call {@link Parallel#workerMain}.
   *
   * @param type found on the class path
   * @return others
   */
  public WorkerProcesses mainClass(Class<?> type) {
    return new WorkerProcesses(
        crashAttempts, maxItems, memoryLimit, maxCrashes, startTimeout, directory, environment, null, type.getName(), jvmOptions);
  }

  /**
   * Options of the workers' JVMs, behind those of this one: of two that contradict each other the last one holds. Not together with
   * {@link #command}.
   *
   * @param options such as {@code -Xmx256m}
   * @return others
   */
  public WorkerProcesses jvmOptions(String... options) {
    return new WorkerProcesses(
        crashAttempts, maxItems, memoryLimit, maxCrashes, startTimeout, directory, environment, null, mainClass, List.of(options));
  }

  // ---------------------------------------------------------------- for tasks.c

  long[] numbers() {
    return new long[] {crashAttempts, maxItems, memoryLimit, maxCrashes, Nanos.of(startTimeout)};
  }

  byte[][] nativeCommand() {
    if (command == null && mainClass == null && !WorkerMain.isAsked())
      throw new IllegalArgumentException(
          "a program whose workers are this program itself must call Parallel.workerMain() at the beginning of main; "
              + "WorkerProcesses.mainClass and command name another one");
    return encode((command != null ? command : JvmCommand.of(mainClass, jvmOptions)).stream());
  }

  byte[][] nativeEnvironment() {
    if (environment == null) return null;
    return encode(environment.entrySet().stream().map(entry -> entry.getKey() + "=" + entry.getValue()));
  }

  byte[] nativeDirectory() {
    return directory == null ? null : encode(directory.toString());
  }

  private static byte[][] encode(Stream<String> words) {
    return words.map(WorkerProcesses::encode).toArray(byte[][]::new);
  }

  /** As this JVM has decoded what it was given. */
  private static byte[] encode(String word) {
    if (word.indexOf('\0') >= 0)
      throw new IllegalArgumentException("options.process: \"" + word.replace('\0', ' ') + "\" contains a character 0");
    final String charset = System.getProperty("sun.jnu.encoding");
    return word.getBytes(charset == null ? StandardCharsets.UTF_8 : Charset.forName(charset));
  }
}
