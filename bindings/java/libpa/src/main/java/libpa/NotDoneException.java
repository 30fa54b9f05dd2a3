package libpa;

/** The error of an item that the run did not get to, or did not finish. It has no stack trace: nothing threw it. */
public final class NotDoneException extends Exception {
  private static final long serialVersionUID = 1;

  NotDoneException(String message) {
    super(message, null, true, false);
  }
}
