package libpa;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** How the native library is found; each in a JVM of its own, since one loads it once. */
class LoaderTest {
  /** What those JVMs run. */
  public static final class Program {
    private Program() {}

    /**
     * Says what came of it.
     *
     * @param arguments none
     */
    public static void main(String[] arguments) {
      try {
        System.out.println(Parallel.map(List.of(2, 3), x -> x * x));
      } catch (UnsatisfiedLinkError error) {
        System.out.println(error.getMessage());
      }
    }
  }

  @TempDir Path directory;

  private String run(boolean natives, String... options) throws IOException, InterruptedException {
    final List<String> command = new ArrayList<>(List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString()));
    command.addAll(List.of(options));
    final String path = Stream.of(System.getProperty("surefire.test.class.path", System.getProperty("java.class.path")).split(":"))
        .filter(entry -> natives || !entry.contains("libpa-native"))
        .reduce((a, b) -> a + ":" + b)
        .orElseThrow();
    command.addAll(List.of("-cp", path, Program.class.getName()));
    final Process process = new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.DISCARD).start();
    final String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8).trim();
    assertEquals(0, process.waitFor());
    return output;
  }

  private static Path library() {
    return Path.of(System.getProperty("libpa.natives"), "libpa", "native", NativeLibrary.platform(), "libpa_java.so");
  }

  @Test
  void anExplicitPathComesFirst() throws IOException, InterruptedException {
    assertEquals("[4, 9]", run(false, "-Dlibpa.library=" + library()));
    final String wrong = run(true, "-Dlibpa.library=/nowhere/libpa_java.so");
    assertTrue(wrong.contains("libpa.library=/nowhere/libpa_java.so"), wrong);
  }

  @Test
  void theLibraryPathOfTheJvmComesNext() throws IOException, InterruptedException {
    assertEquals("[4, 9]", run(false, "-Djava.library.path=" + library().getParent()));
  }

  @Test
  void theJarOfNativesIsExtractedOnceIntoTheCache() throws IOException, InterruptedException {
    assertEquals("[4, 9]", run(true, "-Dlibpa.cache=" + directory));
    final List<Path> extracted = files();
    assertEquals(1, extracted.size());
    final Object key = Files.readAttributes(extracted.get(0), java.nio.file.attribute.BasicFileAttributes.class).fileKey();
    assertEquals("[4, 9]", run(true, "-Dlibpa.cache=" + directory));
    assertEquals(extracted, files());
    assertEquals(key, Files.readAttributes(extracted.get(0), java.nio.file.attribute.BasicFileAttributes.class).fileKey());
  }

  @Test
  void aFileInTheCacheThatWasCutOffIsReplaced() throws IOException, InterruptedException {
    run(true, "-Dlibpa.cache=" + directory);
    Files.write(files().get(0), new byte[] {1, 2, 3});
    assertEquals("[4, 9]", run(true, "-Dlibpa.cache=" + directory));
  }

  @Test
  void whereNothingIsFoundTheErrorSaysWhatWasTried() throws IOException, InterruptedException {
    final String message = run(false, "-Djava.library.path=" + directory);
    assertTrue(message.startsWith("libpa_java.so was not found. Tried: java.library.path=" + directory), message);
    assertTrue(message.contains("/libpa/native/" + NativeLibrary.platform() + "/libpa_java.so"), message);
    assertFalse(message.contains("libpa.library"), message);
  }

  private List<Path> files() throws IOException {
    try (Stream<Path> all = Files.walk(directory)) {
      return all.filter(Files::isRegularFile).toList();
    }
  }
}
