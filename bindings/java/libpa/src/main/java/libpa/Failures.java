package libpa;

/** What may be done with a Throwable that somebody else made. */
final class Failures {
  private Failures() {}

  /**
   * What no program should go on after: the virtual machine is at its end, not one item. A stack that overflows is a matter of its item
   * alone.
   */
  static boolean isFatal(Throwable error) {
    return error instanceof VirtualMachineError && !(error instanceof StackOverflowError);
  }

  static void suppress(Throwable into, Throwable what) {
    if (into != what) into.addSuppressed(what);
  }

  /** As one writes an exception in a sentence: its message, or its name where it has none. */
  static String words(Throwable error) {
    final String message = error.getMessage();
    return message == null || message.isEmpty() ? error.getClass().getName() : message;
  }

  /** What the server asked for, in nanoseconds; -1: nothing. Looks through wrappers, such as CompletionException. */
  static long serverWait(Throwable error) {
    int depth = 0;
    try {
      for (Throwable cause = error; cause != null && depth < 16; cause = cause.getCause(), depth++)
        if (cause instanceof RetryAfter asking) return serverWait(asking);
    } catch (Throwable ofGetter) { // an exception of the user's, asked by a method of his
      if (isFatal(ofGetter)) throw ofGetter;
      suppress(error, ofGetter);
    }
    return -1;
  }

  private static long serverWait(RetryAfter asking) {
    final java.time.Duration wait = asking.retryAfter();
    return wait == null || wait.isNegative() ? -1 : Nanos.of(wait);
  }

  /** Throws it again, whatever it is: it was thrown by code that was allowed to. */
  @SuppressWarnings("unchecked")
  static <E extends Throwable> RuntimeException rethrow(Throwable error) throws E {
    throw (E) error;
  }
}
