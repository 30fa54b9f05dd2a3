package libpa.conformance;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import libpa.ItemResult;

/** What a run of a case came to. */
final class Observed {
  boolean isStream;
  /** As libpa names the status; empty: none. */
  String error = "";
  String message = "";
  /** Of what the source, a callback and so on threw. */
  String cause = "";
  /** Empty where there is no result. */
  String end = "";
  boolean ok;
  boolean inOrder = true;
  final List<ItemResult<Long>> outcomes = new ArrayList<>();
  final AtomicLong calls = new AtomicLong();
  final AtomicLong now = new AtomicLong();
  final AtomicLong mostAtOnce = new AtomicLong();
  final AtomicLong delivered = new AtomicLong();
  final AtomicLong workersStarted = new AtomicLong();
  final AtomicLong workersStopped = new AtomicLong();
  final AtomicLong quiescent = new AtomicLong();
  long progressCalls;
  long lastDone;
  long lastTotal;
  long results;
}
