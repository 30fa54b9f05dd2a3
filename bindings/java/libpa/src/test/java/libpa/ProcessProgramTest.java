package libpa;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.jar.Attributes;
import java.util.jar.JarOutputStream;
import java.util.jar.Manifest;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Programs that are their own workers, each in a JVM of its own, however it was started. */
@Timeout(value = 120, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class ProcessProgramTest {
  /** A program as a user would write it. */
  public static final class Program {
    private static final Task<Integer, String> DESCRIBE = Task.register(
        "describe", Codecs.int32(), Codecs.string(), x -> x + " " + System.getProperty("given") + " " + ProcessHandle.current().pid());

    private Program() {}

    /**
     * Prints what came of it.
     *
     * @param arguments "early": without the call that makes it its own worker; "late": ends while a worker is idle
     * @throws InterruptedException never
     */
    public static void main(String[] arguments) throws InterruptedException {
      if (!List.of(arguments).contains("early")) Parallel.workerMain();
      try {
        final String[] words = DESCRIBE.map(List.of(7), Parallel.workers(1)).get(0).split(" ");
        System.out.println(words[0] + " " + words[1] + " " + (Long.parseLong(words[2]) != ProcessHandle.current().pid()));
      } catch (IllegalArgumentException refused) {
        System.out.println(refused.getMessage());
      }
      if (!List.of(arguments).contains("late")) Parallel.drain(Duration.ofSeconds(60));
    }
  }

  @TempDir Path directory;

  private static String classPath() {
    return System.getProperty("surefire.test.class.path", System.getProperty("java.class.path"));
  }

  private String run(String... words) throws IOException, InterruptedException {
    final List<String> command = new ArrayList<>(List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-Xcheck:jni"));
    command.addAll(List.of("-Dgiven=here", "-Dlibpa.cache=" + directory));
    if (Runtime.version().feature() >= 22) command.add("--enable-native-access=ALL-UNNAMED"); // they warn of what has not
    command.addAll(List.of(words));
    final Process process = new ProcessBuilder(command).directory(directory.toFile()).redirectErrorStream(true).start();
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
