package libpa;

/**
 * What a task threw in a worker process. The object itself stays there; its class and its message are told. A {@link Retry} sees this
 * exception, so types of your own are told apart by {@link #remoteClassName}.
 */
public final class WorkerException extends Exception {
  private static final long serialVersionUID = 1;

  /** What was thrown. */
  private final String remoteClassName;

  /** What it said. */
  private final String remoteMessage;

  /** It was no {@link Exception} in the worker, and is repeated only where errors are. */
  private final boolean error;

  private WorkerException(String remoteClassName, String remoteMessage, boolean error) {
    super(words(remoteClassName, remoteMessage), null, true, false); // where it was thrown is not known here
    this.remoteClassName = remoteClassName;
    this.remoteMessage = remoteMessage;
    this.error = error;
  }

  private static String words(String className, String message) {
    if (className.isEmpty()) return message;
    return message == null ? className : className + ": " + message;
  }

  /** Of what {@link #tell} wrote. */
  static WorkerException of(String told, boolean error) {
    final int end = told.indexOf('\n');
    if (end < 0) return new WorkerException(told, null, error);
    return new WorkerException(told.substring(0, end), told.substring(end + 1), error);
  }

  /** What no function threw, but a worker of libpa has found. */
  static WorkerException ofLibpa(String message) {
    return new WorkerException("", message, false);
  }

  /** As a worker tells it: the name, and the message, if there is one, in the next line. */
  static String tell(Throwable thrown) {
    final String message = thrown.getMessage();
    return message == null ? thrown.getClass().getName() : thrown.getClass().getName() + "\n" + message;
  }

  boolean isError() {
    return error;
  }

  /**
   * The class of what was thrown in the worker.
   *
   * @return such as {@code java.io.IOException}; empty where libpa itself could not run the item
   */
  public String remoteClassName() {
    return remoteClassName;
  }

  /**
   * The message of what was thrown in the worker; the first thousand bytes of it.
   *
   * @return {@code null} if it had none
   */
  public String remoteMessage() {
    return remoteMessage;
  }
}
