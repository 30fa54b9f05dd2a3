package libpa;

import java.io.File;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** How this JVM was started, to start it again. */
final class JvmCommand {
  /** Of debuggers and of remote management: their ports are taken. And what is said below in another way. */
  private static final List<String> LEFT_OUT = List.of(
      "-agentlib:jdwp", "-Xrunjdwp", "-Xdebug", "-Dcom.sun.management.jmxremote", "-Djdk.module.main", "--module-path=", "-Djava.class.path");
  /** The program that runs a file of source code: its name differs from one JVM to another. */
  private static final String SOURCE_LAUNCHER = "jdk.compiler/com.sun.tools.javac.launcher.";

  private JvmCommand() {}

  /** Null for the main class: that of this program. */
  static List<String> of(String mainClass, List<String> more) {
    final List<String> command = new ArrayList<>();
    command.add(program());
    for (String option : options()) if (LEFT_OUT.stream().noneMatch(option::startsWith)) command.add(option);
    command.addAll(more);
    final String modules = System.getProperty("jdk.module.path", "");
    if (!modules.isEmpty()) command.addAll(List.of("-p", absolute(modules)));
    if (mainClass != null) command.addAll(List.of("-cp", absolute(classPath()), mainClass));
    else command.addAll(main());
    return command;
  }

  private static String program() {
    final Path java = Path.of(System.getProperty("java.home"), "bin", "java");
    if (Files.isExecutable(java)) return java.toString();
    return ProcessHandle.current().info().command().orElseThrow(() -> unknown("there is no " + java));
  }

  private static List<String> options() {
    try {
      return ManagementFactory.getRuntimeMXBean().getInputArguments();
    } catch (LinkageError missing) {
      throw unknown("the module java.management, which knows them, is missing");
    }
  }

  private static List<String> main() {
    final String started = System.getProperty("sun.java.command", "");
    final String first = started.split(" ", 2)[0];
    final String module = System.getProperty("jdk.module.main");
    final String path = classPath();
    if (first.startsWith(SOURCE_LAUNCHER)) return List.of("-cp", absolute(path), absolute(sourceFile(started)));
    if (module != null) {
      final String type = System.getProperty("jdk.module.main.class");
      final String main = type == null ? module : module + "/" + type;
      return path.isEmpty() ? List.of("-m", main) : List.of("-cp", absolute(path), "-m", main);
    }
    // Of a jar the class path is the jar alone, and its name may have blanks.
    if (path.endsWith(".jar") && (started.equals(path) || started.startsWith(path + " "))) return List.of("-jar", absolute(path));
    if (first.isEmpty()) throw unknown("it was not started by the program java");
    return List.of("-cp", absolute(path), first);
  }

  /** Its name may have blanks, and arguments follow. */
  private static String sourceFile(String started) {
    for (int end = started.indexOf(' '); end >= 0; ) {
      end = started.indexOf(' ', end + 1);
      final String name = started.substring(started.indexOf(' ') + 1, end < 0 ? started.length() : end);
      if (Files.isRegularFile(Path.of(name))) return name;
    }
    throw unknown("the file that it was started from is gone");
  }

  private static String classPath() {
    return System.getProperty("java.class.path", "");
  }

  /** A worker may have another working directory. An empty entry is the working directory. */
  private static String absolute(String path) {
    return Stream.of(path.split(File.pathSeparator, -1))
        .map(entry -> Path.of(entry).toAbsolutePath().toString())
        .collect(Collectors.joining(File.pathSeparator));
  }

  private static IllegalArgumentException unknown(String why) {
    return new IllegalArgumentException("how this JVM was started is not known, as " + why + ": say it by WorkerProcesses.command");
  }
}
