package libpa;

import java.util.OptionalInt;

/** The worker process of an item died while it ran: {@link ItemState#CRASHED}. It has no stack trace: nothing threw it. */
public final class WorkerCrashedException extends Exception {
  private static final long serialVersionUID = 1;

  private static final int NONE = -1;

  /** Or NONE. */
  private final int signal;

  /** Or NONE. */
  private final int exitCode;

  WorkerCrashedException(String message, int signal, int exitCode) {
    super(message, null, true, false);
    this.signal = signal;
    this.exitCode = exitCode;
  }

  /**
   * The signal that killed it. A JVM that finds a fault in native code ends itself with 6, SIGABRT.
   *
   * @return such as 9 for SIGKILL; empty if it was not killed
   */
  public OptionalInt signal() {
    return signal == NONE ? OptionalInt.empty() : OptionalInt.of(signal);
  }

  /**
   * What it exited with.
   *
   * @return the status, 0 also where nobody knows; empty if it did not exit
   */
  public OptionalInt exitCode() {
    return exitCode == NONE ? OptionalInt.empty() : OptionalInt.of(exitCode);
  }
}
