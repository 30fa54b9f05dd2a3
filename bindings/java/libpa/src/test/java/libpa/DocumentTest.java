package libpa;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.net.URI;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import javax.tools.JavaFileObject;
import javax.tools.SimpleJavaFileObject;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

/** Every example of docs/java.md compiles, runs, and prints what it says. */
class DocumentTest {
  private static final Pattern EXAMPLE = Pattern.compile("^```java\\n(.*?)^```", Pattern.MULTILINE | Pattern.DOTALL);
  private static final Pattern PROGRAM = Pattern.compile("^public class (\\w+)", Pattern.MULTILINE);
  private static final Pattern PRINTS = Pattern.compile("// prints: (.*)$", Pattern.MULTILINE);
  private static final List<String> IMPORTS = List.of(
      "java.io.*", "java.time.*", "java.util.*", "java.util.concurrent.*", "java.util.stream.*", "libpa.*");

  @TempDir static Path classes;

  @TestFactory
  List<DynamicTest> examples() throws IOException {
    final String text = Files.readString(Path.of(System.getProperty("libpa.root"), "docs", "java.md"));
    final List<DynamicTest> tests = new ArrayList<>();
    final Matcher matcher = EXAMPLE.matcher(text);
    while (matcher.find()) {
      final String example = matcher.group(1);
      if (example.contains("public class First")) continue; // tools/java.sh runs it as the page says
      final Matcher program = PROGRAM.matcher(example);
      if (program.find()) {
        tests.add(DynamicTest.dynamicTest(program.group(1), () -> assertEquals(printed(example), runProgram(program.group(1), example))));
        continue;
      }
      final String name = "Example" + tests.size();
      tests.add(DynamicTest.dynamicTest(example.lines().findFirst().orElseThrow(), () -> assertEquals(printed(example), run(name, example))));
    }
    assertTrue(tests.size() >= 8, "there are examples");
    return tests;
  }

  private static List<String> printed(String example) {
    return PRINTS.matcher(example).results().map(result -> result.group(1).strip()).toList();
  }

  private static List<String> run(String name, String example) throws Exception {
    final String imports = IMPORTS.stream().map(i -> "import " + i + ";\n").collect(Collectors.joining());
    compile(name, imports + "public class " + name + " { public static void main(String[] arguments) throws Exception {\n" + example + "}}");
    final ByteArrayOutputStream output = new ByteArrayOutputStream();
    final PrintStream before = System.out;
    try (URLClassLoader loader = new URLClassLoader(new URL[] {classes.toUri().toURL()}, DocumentTest.class.getClassLoader())) {
      System.setOut(new PrintStream(output, true, StandardCharsets.UTF_8));
      loader.loadClass(name).getMethod("main", String[].class).invoke(null, (Object) new String[0]);
    } finally {
      System.setOut(before);
    }
    return output.toString(StandardCharsets.UTF_8).lines().toList();
  }

  /** In a JVM of its own, which may be run again as a worker. */
  private static List<String> runProgram(String name, String example) throws Exception {
    compile(name, example);
    final Process process = new ProcessBuilder(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-Dlibpa.cache=" + System.getProperty("libpa.cache"),
            "-cp", classes + ":" + classPath(), name)
        .redirectError(ProcessBuilder.Redirect.DISCARD)
        .start();
    final List<String> output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8).lines().toList();
    assertEquals(0, process.waitFor());
    return output;
  }

  private static String classPath() {
    return System.getProperty("surefire.test.class.path", System.getProperty("java.class.path"));
  }

  private static void compile(String name, String source) {
    final JavaFileObject file = new SimpleJavaFileObject(URI.create("string:///" + name + ".java"), JavaFileObject.Kind.SOURCE) {
      @Override
      public CharSequence getCharContent(boolean ignoreEncodingErrors) {
        return source;
      }
    };
    final java.io.StringWriter complaints = new java.io.StringWriter();
    final List<String> options =
        List.of("-d", classes.toString(), "-cp", classPath());
    assertTrue(ToolProvider.getSystemJavaCompiler().getTask(complaints, null, null, options, null, List.of(file)).call(), complaints::toString);
  }
}
