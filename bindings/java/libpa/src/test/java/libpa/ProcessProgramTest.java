package libpa;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.jar.Attributes;
import java.util.jar.JarOutputStream;
import java.util.jar.Manifest;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Programs that are their own workers, each in a JVM of its own, however it was started. */
@Timeout(value = 120, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class ProcessProgramTest {
  /** A program as a user would write it. */
  public static final class Program {
    private static final Task<Integer, String> DESCRIBE = Task.register("describe", Codecs.int32(), Codecs.string(), Program::describe);

    private Program() {}

    private static String describe(int x) {
      return x + " " + System.getProperty("given") + " " + ProcessHandle.current().pid() + " " + System.getenv("PA_WORKER");
    }

    /**
     * Prints what came of it.
     *
     * @param arguments "early": without the call that makes it its own worker; "late": ends while a worker is idle; "busy": while one runs
     * @throws InterruptedException never
     */
    public static void main(String[] arguments) throws InterruptedException {
      if (!List.of(arguments).contains("early")) Parallel.workerMain();
      try {
        final String[] words = DESCRIBE.map(List.of(7), Parallel.workers(1)).get(0).split(" ");
        System.out.println(words[0] + " " + words[1] + " " + (Long.parseLong(words[2]) != ProcessHandle.current().pid()));
        if (!words[3].equals("null")) System.out.println("what the worker starts would be taken for a worker");
      } catch (IllegalArgumentException refused) {
        System.out.println(refused.getMessage());
      }
      if (List.of(arguments).contains("busy")) begin();
      else if (!List.of(arguments).contains("late")) Parallel.drain(Duration.ofSeconds(60));
    }

    /** A run without end, of which a hundred items are done. */
    private static void begin() throws InterruptedException {
      final CountDownLatch some = new CountDownLatch(100);
      final Iterable<Integer> endless = () -> Stream.iterate(1, x -> x + 1).iterator();
      DESCRIBE.async(endless, Parallel.workers(2).onProgress((done, total) -> some.countDown()));
      some.await();
    }
  }

  @TempDir Path directory;

  private static String classPath() {
    return System.getProperty("surefire.test.class.path", System.getProperty("java.class.path"));
  }

  private String run(String... words) throws IOException, InterruptedException {
    final List<String> command = new ArrayList<>(List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-Xcheck:jni"));
    final String access = List.of(words).contains("-m") ? "libpa" : "ALL-UNNAMED";
    command.add("-Dgiven=here");
    if (Runtime.version().feature() >= 22) command.add("--enable-native-access=" + access); // they warn of what has not
    command.addAll(List.of(words));
    final ProcessBuilder builder = new ProcessBuilder(command).directory(directory.toFile()).redirectErrorStream(true);
    builder.environment().put("XDG_CACHE_HOME", directory.toString());
    final Process process = builder.start();
    final String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8).trim();
    assertEquals(0, process.waitFor(), output);
    return output;
  }

  @Test
  void fromTheClassPath() throws IOException, InterruptedException {
    assertEquals("7 here true", run("-cp", classPath(), Program.class.getName(), "an argument"));
  }

  /** Idle threads of libpa end with the program, whose JVM is gone by then. */
  @Test
  void aProgramEndsWhileWorkersAreIdle() throws IOException, InterruptedException {
    assertEquals("7 here true", run("-cp", classPath(), Program.class.getName(), "late"));
  }

  @Test
  void aProgramEndsWhileARunGoesOn() throws IOException, InterruptedException {
    assertEquals("7 here true", run("-cp", classPath(), Program.class.getName(), "busy"));
  }

  @Test
  void fromAJar() throws IOException, InterruptedException {
    final Path jar = directory.resolve("a program.jar");
    final Manifest manifest = new Manifest();
    final Attributes attributes = manifest.getMainAttributes();
    attributes.put(Attributes.Name.MANIFEST_VERSION, "1.0");
    attributes.put(Attributes.Name.MAIN_CLASS, Program.class.getName());
    final Stream<String> entries = Stream.of(classPath().split(":")).map(entry -> Path.of(entry).toUri().toString());
    attributes.put(Attributes.Name.CLASS_PATH, String.join(" ", entries.toList()));
    new JarOutputStream(Files.newOutputStream(jar), manifest).close();
    assertEquals("7 here true", run("-jar", jar.getFileName().toString(), "an", "argument"));
  }

  @Test
  void fromTheModulePath() throws IOException, InterruptedException {
    final Path classes = Files.createDirectories(directory.resolve("module/classes"));
    final Path source = directory.resolve("Main.java");
    Files.writeString(source, """
        package program;
        import java.util.List;
        import libpa.*;

        public class Main {
          static final Task<Integer, Integer> TWICE = Task.register("twice", Codecs.int32(), Codecs.int32(), x -> 2 * x);

          public static void main(String[] arguments) {
            Parallel.workerMain();
            System.out.println(TWICE.map(List.of(1, 2)) + " " + Main.class.getModule().isNamed());
          }
        }
        """);
    assertEquals(0, ToolProvider.getSystemJavaCompiler().run(null, null, null, "-d", classes.toString(), "-cp", classPath(), source.toString()));
    final Path modules = Files.createDirectories(directory.resolve("modules"));
    jar(modules.resolve("program.jar"), classes);
    jar(modules.resolve("libpa.jar"), Path.of(URI.create(Parallel.class.getProtectionDomain().getCodeSource().getLocation().toString())));
    final Path library = Path.of(System.getProperty("libpa.natives"), "libpa", "native", NativeLibrary.platform(), "libpa_java.so");
    final String[] natives = {"-Dlibpa.library=" + library, "-p", "modules", "--add-modules", "libpa", "-m", "program/program.Main"};
    assertEquals("[2, 4] true", run(natives));
  }

  /** An automatic module, by the name of the file. */
  private static void jar(Path file, Path classes) throws IOException {
    try (JarOutputStream jar = new JarOutputStream(Files.newOutputStream(file)); Stream<Path> all = Files.walk(classes)) {
      for (Path one : all.filter(path -> path.toString().endsWith(".class")).toList()) {
        jar.putNextEntry(new ZipEntry(classes.relativize(one).toString()));
        jar.write(Files.readAllBytes(one));
      }
    }
  }

  @Test
  void fromAFileOfSourceCode() throws IOException, InterruptedException {
    final Path source = directory.resolve("My Program.java");
    Files.writeString(source, """
        import java.util.List;
        import libpa.*;

        public class Source {
          static final Task<Integer, Integer> TWICE = Task.register("twice", Codecs.int32(), Codecs.int32(), x -> 2 * x);

          public static void main(String[] arguments) {
            Parallel.workerMain();
            System.out.println(TWICE.map(List.of(1, 2)) + " " + arguments.length);
          }
        }
        """);
    assertEquals("[2, 4] 1", run("-cp", classPath(), source.getFileName().toString(), "argument"));
  }

  @Test
  void oneThatNeverAskedIsToldSoBeforeAnythingRuns() throws IOException, InterruptedException {
    final String output = run("-cp", classPath(), Program.class.getName(), "early");
    assertTrue(output.startsWith("a program whose workers are this program itself must call Parallel.workerMain()"), output);
  }

  @Test
  void optionsOfDebuggersAreLeftOut() throws IOException, InterruptedException {
    final String output =
        run("-agentlib:jdwp=transport=dt_socket,server=y,suspend=n,address=127.0.0.1:0", "-cp", classPath(), Program.class.getName());
    assertTrue(output.endsWith("7 here true"), output);
    assertFalse(output.replaceFirst("Listening for transport", "").contains("Listening for transport"), output);
  }
}
