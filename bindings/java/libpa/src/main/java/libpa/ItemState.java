package libpa;

import libpa.low.palowConstants;

/** What became of an item. */
public enum ItemState {
  /** The function succeeded. */
  OK,
  /** The last attempt failed. */
  FAILED,
  /** The last attempt outran {@link Options#itemTimeout}, or the run timed out before the item was done. */
  TIMED_OUT,
  /** The run was aborted, or failed, before the item was done. */
  ABORTED,
  /** The run was stopped before the item was done. */
  CANCELLED,
  /** Its worker process died while it ran: see {@link WorkerCrashedException}. Only of a {@link Task}. */
  CRASHED;

  static ItemState of(int code) {
    return switch (code) {
      case palowConstants.PA_ITEM_OK -> OK;
      case palowConstants.PA_ITEM_FAILED -> FAILED;
      case palowConstants.PA_ITEM_TIMED_OUT -> TIMED_OUT;
      case palowConstants.PA_ITEM_ABORTED -> ABORTED;
      case palowConstants.PA_ITEM_CANCELLED -> CANCELLED;
      case palowConstants.PA_ITEM_CRASHED -> CRASHED;
      default -> throw new IllegalStateException("libpa left an item in the unknown state " + code);
    };
  }

  /** Why an item of this state was not done. */
  NotDoneException notDone() {
    return new NotDoneException(
        switch (this) {
          case TIMED_OUT -> "the run timed out before this item was done";
          case ABORTED -> "the run ended by errors before this item was done";
          default -> "the run was stopped before this item was done";
        });
  }
}
