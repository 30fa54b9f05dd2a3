package libpa;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import libpa.low.palow;
import libpa.low.palowConstants;

/**
 * Finds libpa_java.so, once: by the system property {@code libpa.library} (a path), then in {@code java.library.path}, then in a jar of natives
 * (libpa-native), from which it is extracted into a cache of this user (the system property {@code libpa.cache}, XDG_CACHE_HOME, or
 * ~/.cache).
 */
final class NativeLibrary {
  private static final String FILE = "libpa_java.so";

  private NativeLibrary() {}

  /** To be called before anything of libpa.low is. */
  static void load() {
    Loaded.touch();
  }

  /** The virtual machine runs its initializer once, whoever comes first. */
  private static final class Loaded {
    static {
      find();
      checkVersion();
    }

    static void touch() {}
  }

  private static void find() {
    final List<String> tried = new ArrayList<>();
    final String explicit = System.getProperty("libpa.library");
    if (explicit != null) {
      if (attempt(tried, "libpa.library=" + explicit, () -> System.load(Path.of(explicit).toAbsolutePath().toString()))) return;
    } else {
      final String path = "java.library.path=" + System.getProperty("java.library.path");
      if (attempt(tried, path, () -> System.loadLibrary("pa_java"))) return;
      final String resource = "/libpa/native/" + platform() + "/" + FILE;
      if (attempt(tried, "the class path: " + resource, () -> System.load(extract(resource).toString()))) return;
    }
    throw new UnsatisfiedLinkError("libpa_java.so was not found. Tried: " + String.join("; ", tried));
  }

  private interface Attempt {
    void run() throws IOException;
  }

  private static boolean attempt(List<String> tried, String where, Attempt attempt) {
    try {
      attempt.run();
      return true;
    } catch (IOException | UnsatisfiedLinkError why) {
      tried.add(where + " (" + why.getMessage() + ")");
      return false;
    }
  }

  /** As jars of natives name it: linux-x86-64, linux-aarch64. */
  static String platform() {
    final String system = System.getProperty("os.name").toLowerCase(Locale.ROOT);
    final String machine = System.getProperty("os.arch");
    return system + "-" + (machine.equals("amd64") || machine.equals("x86_64") ? "x86-64" : machine);
  }

  /** Its name in the cache holds what is in it: another version is another file, and one that was cut off is not taken for whole. */
  private static Path extract(String resource) throws IOException {
    final byte[] library;
    try (InputStream in = NativeLibrary.class.getResourceAsStream(resource)) {
      if (in == null) throw new IOException("no such resource; is libpa-native for this platform missing?");
      library = in.readAllBytes();
    }
    final String digest = sha256(library);
    final Path directory = cache().resolve("libpa").resolve(digest.substring(0, 32));
    final Path file = directory.resolve(FILE);
    if (Files.isRegularFile(file) && sha256(Files.readAllBytes(file)).equals(digest)) return file;
    Files.createDirectories(directory, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
    final Path part = Files.createTempFile(directory, FILE, ".part");
    try {
      Files.write(part, library);
      Files.move(part, file, StandardCopyOption.ATOMIC_MOVE);
    } finally {
      Files.deleteIfExists(part);
    }
    return file;
  }

  private static Path cache() {
    final String property = System.getProperty("libpa.cache");
    if (property != null) return Path.of(property).toAbsolutePath();
    final String xdg = environment("XDG_CACHE_HOME");
    if (xdg != null && Path.of(xdg).isAbsolute()) return Path.of(xdg);
    return Path.of(System.getProperty("user.home"), ".cache").toAbsolutePath();
  }

  /**
   * System.getenv makes a copy of the environment, for good: in a worker process that would still hold the variable that made it one, which the
   * library takes away once it is loaded, and hand it on to what the worker starts.
   */
  private static String environment(String name) {
    try {
      final String all = new String(Files.readAllBytes(Path.of("/proc/self/environ")), StandardCharsets.UTF_8);
      final String begin = name + "=";
      for (String entry : all.split("\0")) if (entry.startsWith(begin)) return entry.substring(begin.length());
      return null;
    } catch (IOException notThere) {
      return System.getenv(name);
    }
  }

  private static String sha256(byte[] bytes) {
    try {
      return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
    } catch (NoSuchAlgorithmException cannotBe) {
      throw new IllegalStateException(cannotBe); // every JVM has it
    }
  }

  private static void checkVersion() {
    final long loaded = palow.pa_version();
    final long wanted = palowConstants.PA_VERSION_MAJOR * 1_000_000L + palowConstants.PA_VERSION_MINOR * 1_000L;
    if (loaded / 1_000 != wanted / 1_000)
      throw new UnsatisfiedLinkError("libpa_java.so is of version " + loaded + ", and these classes want " + wanted);
  }
}
