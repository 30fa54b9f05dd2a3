package libpa;

import java.util.Iterator;

/** A run whose outcomes are handed out one by one. */
interface Walk<R> extends Iterator<ItemResult<R>> {
  /** Returns the next outcome, or null when nothing came in time or nothing will come. */
  ItemResult<R> poll(long nanos);

  /** Null as long as it goes on. */
  End endOrNull();

  int batchSize();

  void close();
}
