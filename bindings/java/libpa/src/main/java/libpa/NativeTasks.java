package libpa;

/** What tasks.c has, and what it calls in a worker: bytes and integers alone go through. Addresses are of structs and handles of C. */
final class NativeTasks {
  /** Codes of items that failed; tasks.c names them, too. */
  static final int GAVE_UP = 0;

  static final int EXCEPTION = 1;
  static final int ERROR = 2;

  /** What may be repeated. */
  static final int RETRY_EXCEPTION = 1;

  static final int RETRY_ERROR = 2;
  static final int RETRY_TIMED_OUT = 4;
  static final int RETRY_CRASHED = 8;

  /** Sizes of items that have no bytes, in what {@link ProcessRun#pull} returns. */
  static final int PACKED_NULL = -1;

  static final int PACKED_REFUSED = -2;

  /** Where {@link #next} writes, each a long. */
  static final int FACT_STATUS = 0;

  static final int FACT_INDEX = 1;
  static final int FACT_STATE = 2;
  static final int FACT_CODE = 3;
  static final int FACT_ATTEMPTS = 4;
  static final int FACT_DURATION = 5;
  static final int FACT_SIGNAL = 6;
  static final int FACT_EXIT = 7;
  static final int FACTS = 8;

  static {
    NativeLibrary.load();
  }

  private NativeTasks() {}

  /** Runs, items and values of C that were made and not yet dropped. */
  static native long liveBlocks();

  /** Number is from 1; the status is that of the error. */
  static native void register(byte[] name, int number, boolean batch, long error);

  static native boolean isWorker();

  static native void serve(long error);

  /** Returns 0 where it failed, and has then filled the error. {@code numbers} are those of a pa_process. */
  static native long open(
      ProcessRun<?> run,
      long options,
      long sizeHint,
      byte[] task,
      boolean batch,
      boolean startsWorkers,
      int retries,
      boolean asks,
      long[] numbers,
      byte[][] command,
      byte[][] environment,
      byte[] directory,
      long error);

  /** The next outcome: fills the facts, and returns its value, or its message where it has none. */
  static native byte[] next(long iter, long timeoutNanos, long facts, long error);

  /** The same of an item that was not handed out, once the stream is over. */
  static native byte[] remnant(long iter, long facts, long error);

  static native int end(long iter);

  static native long batchSize(long iter);

  static native void close(long iter);

  static native int drain(long timeoutNanos);

  /** Why the call that runs fails; the position is -1 but for an item of a batch. */
  static native void fail(long call, int position, int code, byte[] message, long serverWaitNanos);

  static native boolean isStopped(long call);

  /** -1: for ever. */
  static native long remaining(long call);

  // Called by tasks.c, by name.

  static byte[] runItem(int task, byte[] item, long index, int attempt, long call) {
    return WorkerMain.runItem(Task.numbered(task), item, index, attempt, call);
  }

  static byte[][] runBatch(int task, byte[][] items, long index, int attempt, long call) {
    return WorkerMain.runBatch(Task.numbered(task), items, index, attempt, call);
  }
}
