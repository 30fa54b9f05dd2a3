package bench;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Function;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import libpa.Fn;
import libpa.Options;
import libpa.Parallel;

/** libpa against what a Java program would use instead: {@code Bench [--quick] ROW OUTPUT.json}, each row in a JVM of its own. */
public final class Bench {
  private static final int THREADS = 2;
  private static final int SLEEPERS = 1_000;
  private static final long SLEEP_NANOS = 100_000;

  private final boolean quick;
  private final List<String> rows = new ArrayList<>();
  private final List<String> contenders = new ArrayList<>();

  private Bench(boolean quick) {
    this.quick = quick;
  }

  // ---------------------------------------------------------------- bodies

  private static Long square(Long x) {
    return x * x;
  }

  /** About a microsecond of arithmetic. */
  private static Long microsecond(Long x) {
    long value = x;
    for (int i = 0; i < 700; i++) value = value * 6364136223846793005L + 1442695040888963407L;
    return value;
  }

  private static Integer sleep(Integer x) {
    LockSupport.parkNanos(SLEEP_NANOS);
    return x;
  }

  // ---------------------------------------------------------------- rows

  private void computing(String row, String work, int count, Fn<Long, Long> fn, Function<Long, Long> same) throws Exception {
    final List<Long> items = Arrays.asList(LongStream.range(0, count).boxed().toArray(Long[]::new));
    final Options two = Parallel.workers(THREADS);
    final ExecutorService other = Executors.newSingleThreadExecutor();
    final Race race = new Race(work)
        .add("parallelStream", () -> items.parallelStream().map(same).toList())
        .add("pa_map", () -> two.map(items, fn))
        .add("two threads by hand", () -> byHand(items, fn, other));
    race.run(quick ? 10 : 20, quick ? 15 : 31);
    other.shutdown();
    report(row, race, "pa_map", "two threads by hand", "parallelStream");
  }

  /** Chunks of a counter, as a loop for exactly this work would be written. */
  private static List<Long> byHand(List<Long> items, Fn<Long, Long> fn, ExecutorService other) throws Exception {
    final Object[] from = items.toArray();
    final Long[] to = new Long[from.length];
    final AtomicInteger next = new AtomicInteger();
    final int chunk = Math.max(1, from.length / 64);
    final Callable<Void> loop = () -> {
      for (int first; (first = next.getAndAdd(chunk)) < from.length; )
        for (int i = first; i < Math.min(from.length, first + chunk); i++) to[i] = fn.apply((Long) from[i]);
      return null;
    };
    final Future<Void> half = other.submit(loop);
    loop.call();
    half.get();
    return Arrays.asList(to);
  }

  private void sleeping(String row) throws Exception {
    final List<Integer> items = IntStream.range(0, quick ? 4 * SLEEPERS : 10 * SLEEPERS).boxed().toList();
    final Options many = Parallel.workers(SLEEPERS);
    final ExecutorService executor = Executors.newFixedThreadPool(SLEEPERS);
    final Race race = new Race("sleeps of 100 us over 1,000 threads")
        .add("invokeAll", () -> {
          final List<Callable<Integer>> calls = new ArrayList<>(items.size());
          for (Integer item : items) calls.add(() -> sleep(item));
          final List<Integer> values = new ArrayList<>(items.size());
          for (Future<Integer> future : executor.invokeAll(calls)) values.add(future.get());
          return values;
        })
        .add("pa_map", () -> many.map(items, Bench::sleep))
        .add("1,000 threads by hand", () -> sleepByHand(items, executor));
    race.run(quick ? 10 : 40, quick ? 15 : 31);
    executor.shutdown();
    report(row, race, "pa_map", "1,000 threads by hand", "invokeAll");
  }

  private static List<Integer> sleepByHand(List<Integer> items, ExecutorService executor) throws Exception {
    final Integer[] to = new Integer[items.size()];
    final AtomicInteger next = new AtomicInteger();
    final List<Future<?>> loops = new ArrayList<>();
    for (int thread = 0; thread < SLEEPERS && next.get() < to.length; thread++)
      loops.add(executor.submit(() -> {
        for (int i; (i = next.getAndIncrement()) < to.length; ) to[i] = sleep(items.get(i));
      }));
    for (Future<?> loop : loops) loop.get();
    return Arrays.asList(to);
  }

  // ---------------------------------------------------------------- report

  private void report(String row, Race race, String ours, String bare, String theirs) {
    row(row, race.fastest(ours) / race.fastest(theirs));
    row("bare_" + row, race.fastest(bare) / race.fastest(theirs));
    contenders.addAll(race.json());
  }

  private void row(String name, double ratio) {
    System.out.printf(Locale.ROOT, "  %-28s %.4f%n", name, ratio);
    rows.add(String.format(Locale.ROOT, "\"%s\": %.9g", name, ratio));
  }

  private void run(String row) throws Exception {
    switch (row) {
      case "java_sq_parallel" -> computing(row, "x*x of boxed numbers in Java", quick ? 500_000 : 2_000_000, Bench::square, Bench::square);
      case "java_1us_parallel" -> computing(row, "bodies of 1 us in Java", quick ? 10_000 : 50_000, Bench::microsecond, Bench::microsecond);
      case "java_sleep_invokeall" -> sleeping(row);
      default -> throw new IllegalArgumentException("there is no row " + row);
    }
  }

  /**
   * Measures one row.
   *
   * @param arguments [--quick] ROW OUTPUT.json
   * @throws Exception if a contender fails
   */
  public static void main(String[] arguments) throws Exception {
    final boolean quick = arguments[0].equals("--quick");
    final Bench bench = new Bench(quick);
    bench.run(arguments[quick ? 1 : 0]);
    final String json =
        "{\"rows\": {\n  " + String.join(",\n  ", bench.rows) + "\n},\n\"contenders\": [\n  " + String.join(",\n  ", bench.contenders) + "\n]}\n";
    Files.writeString(Path.of(arguments[quick ? 2 : 1]), json);
  }
}
