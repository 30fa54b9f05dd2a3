package libpa;

/** What a call may ask about the run that it is of. */
interface Bounds {
  /** Whether the run has ended, or must end, or the attempt has outrun its time. */
  boolean isOver(Call call);

  /** How many nanoseconds the run and the attempt have left, where neither is over; Long.MAX_VALUE: any. */
  long timeLeft(Call call);
}
