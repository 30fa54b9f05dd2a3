package libpa;

import libpa.low.palowConstants;

/** Why a run ended. Exactly one reason holds; of several the first wins, and a stop wins over a timeout. */
public enum End {
  /** Every input was run to its end. */
  COMPLETED("completed"),
  /** {@link Options#timeout} passed. */
  TIMED_OUT("timed out"),
  /** {@link Options#maxErrors} items had failed. */
  ABORTED("was aborted after too many failures"),
  /** It was stopped: by a {@link StopToken}, an interrupt of the calling thread, or the cancelling of its future. */
  CANCELLED("was stopped"),
  /** A source, key function, callback or worker start failed: see {@link RunFailedException}. */
  FAILED("failed");

  final String words;

  End(String words) {
    this.words = words;
  }

  static End of(int code) {
    return switch (code) {
      case palowConstants.PA_END_COMPLETED -> COMPLETED;
      case palowConstants.PA_END_TIMED_OUT -> TIMED_OUT;
      case palowConstants.PA_END_ABORTED -> ABORTED;
      case palowConstants.PA_END_CANCELLED -> CANCELLED;
      case palowConstants.PA_END_FAILED -> FAILED;
      default -> throw new IllegalStateException("libpa ended a run for the unknown reason " + code);
    };
  }
}
