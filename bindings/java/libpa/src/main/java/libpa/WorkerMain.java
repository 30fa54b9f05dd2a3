package libpa;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CancellationException;

/** What a worker process does. All of it is on the thread that serves, one call at a time. */
final class WorkerMain {
  /** Bytes of a message that libpa keeps. */
  private static final int MESSAGE_MOST = 1023;
  /** As a JVM with -XX:+ExitOnOutOfMemoryError does it. */
  private static final int EXIT_FATAL = 3;

  private static volatile boolean asked;

  private WorkerMain() {}

  /** Whether this program can be its own worker. */
  static boolean isAsked() {
    return asked;
  }

  static void serveIfWorker() {
    asked = true;
    if (!NativeTasks.isWorker()) return;
    final Struct.Failure error = new Struct.Failure(); // NativeTasks has loaded the library
    NativeTasks.serve(error.address);
    if (error.status() != 0) System.err.println("libpa: a worker process could not serve: " + error.message());
    System.exit(error.status() == 0 ? 0 : 1);
  }

  static byte[] runItem(Task<?, ?> task, byte[] item, long index, int attempt, long address) {
    return runItem(task, item, new RemoteCall(address), index, attempt);
  }

  private static <T, R> byte[] runItem(Task<T, R> task, byte[] item, RemoteCall bounds, long index, int attempt) {
    final Call call = new Call(bounds, -1);
    call.index = index;
    call.attempt = attempt;
    try {
      return encode(task.values, task.fn.apply(decode(task.items, item), call));
    } catch (Throwable thrown) {
      fail(bounds, -1, thrown);
      return null;
    } finally {
      end(bounds);
    }
  }

  static byte[][] runBatch(Task<?, ?> task, byte[][] items, long index, int attempt, long address) {
    return runBatch(task, items, new RemoteCall(address), index, attempt);
  }

  private static <T, R> byte[][] runBatch(Task<T, R> task, byte[][] encoded, RemoteCall bounds, long index, int attempt) {
    final byte[][] values = new byte[encoded.length][];
    try {
      final List<T> items = new ArrayList<>(encoded.length);
      final int[] positions = new int[encoded.length]; // of those that could be decoded
      for (int i = 0; i < encoded.length; i++) {
        try {
          items.add(decode(task.items, encoded[i]));
          positions[items.size() - 1] = i;
        } catch (Throwable thrown) {
          fail(bounds, i, thrown);
        }
      }
      if (!items.isEmpty()) answer(task, items, positions, values, bounds, index, attempt);
    } finally {
      end(bounds);
    }
    return values;
  }

  private static <T, R> void answer(
      Task<T, R> task, List<T> items, int[] positions, byte[][] values, RemoteCall bounds, long index, int attempt) {
    final BatchCall<R> call = new BatchCall<>(bounds, -1);
    call.index = index + positions[0];
    call.attempt = attempt;
    call.begin(items.size());
    try {
      call.returned(task.batch.apply(Collections.unmodifiableList(items), call));
    } catch (Throwable thrown) {
      dieIfFatal(thrown);
      call.failed(thrown);
    }
    for (int at = 0; at < items.size(); at++) {
      if (!call.succeeded(at)) {
        fail(bounds, positions[at], call.errorAt(at));
        continue;
      }
      try {
        @SuppressWarnings("unchecked")
        final R value = (R) call.valueAt(at);
        values[positions[at]] = encode(task.values, value);
      } catch (Throwable thrown) {
        fail(bounds, positions[at], thrown);
      }
    }
  }

  private static <T> T decode(Codec<T> codec, byte[] bytes) throws Exception {
    return bytes == null ? null : codec.decode(bytes);
  }

  static <T> byte[] encode(Codec<T> codec, T object) throws Exception {
    return object == null ? null : Objects.requireNonNull(codec.encode(object), "the codec has returned no bytes");
  }

  private static void end(RemoteCall bounds) {
    bounds.address = 0;
    Thread.interrupted(); // an item may have left it behind
  }

  private static void fail(RemoteCall bounds, int position, Throwable thrown) {
    dieIfFatal(thrown);
    final boolean givesUp = (thrown instanceof CancellationException || thrown instanceof InterruptedException) && bounds.isOver(null);
    final int code = givesUp ? NativeTasks.GAVE_UP : thrown instanceof Exception ? NativeTasks.EXCEPTION : NativeTasks.ERROR;
    NativeTasks.fail(bounds.address, position, code, message(thrown), Failures.serverWait(thrown));
  }

  /** Whole characters, without the 0 that would end it. */
  private static byte[] message(Throwable thrown) {
    String told;
    try {
      told = WorkerException.tell(thrown);
    } catch (Throwable ofGetter) { // an exception of the user's, asked by a method of his
      told = thrown.getClass().getName();
    }
    final byte[] bytes = told.replace('\0', ' ').getBytes(StandardCharsets.UTF_8);
    if (bytes.length <= MESSAGE_MOST) return bytes;
    int end = MESSAGE_MOST;
    while ((bytes[end] & 0xC0) == 0x80) end--;
    return Arrays.copyOf(bytes, end);
  }

  /** A virtual machine at its end costs the item that runs; another process goes on with the rest. */
  private static void dieIfFatal(Throwable thrown) {
    if (!Failures.isFatal(thrown)) return;
    try {
      final Thread thread = Thread.currentThread();
      thread.getUncaughtExceptionHandler().uncaughtException(thread, thrown);
    } finally {
      Runtime.getRuntime().halt(EXIT_FATAL);
    }
  }

  /** The call of libpa that runs. */
  private static final class RemoteCall implements Bounds {
    /** 0 once it is over: then nobody may ask libpa any more. */
    private volatile long address;

    RemoteCall(long address) {
      this.address = address;
    }

    @Override
    public boolean isOver(Call call) {
      final long at = address;
      return at == 0 || NativeTasks.isStopped(at);
    }

    @Override
    public long timeLeft(Call call) {
      final long at = address;
      final long left = at == 0 ? 0 : NativeTasks.remaining(at);
      return left < 0 ? Long.MAX_VALUE : left;
    }
  }
}
