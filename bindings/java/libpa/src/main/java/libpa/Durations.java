package libpa;

import java.util.Arrays;
import java.util.List;

/** How long items took, lease by lease, as one worker saw it. */
final class Durations {
  private static final int FIRST = 0;
  private static final int COUNT = 1;
  private static final int EACH = 2;
  private static final int FIELDS = 3;

  private long[] spans = new long[FIELDS * 16];
  private int used;

  /** Of items that took so long together. */
  void add(long first, int count, long nanos) {
    if (count > 0) append(first, count, nanos / count);
  }

  /** Of items that each took so long, since they were one call. */
  void addEach(long first, int count, long nanos) {
    if (count > 0) append(first, count, nanos);
  }

  private void append(long first, int count, long each) {
    if (used == spans.length) spans = Arrays.copyOf(spans, 2 * used);
    spans[used + FIRST] = first;
    spans[used + COUNT] = count;
    spans[used + EACH] = each;
    used += FIELDS;
  }

  /** All of them, to be looked up. */
  static final class Index {
    private final long[] firsts;
    private final long[] counts;
    private final long[] each;

    Index(List<Durations> workers) {
      int total = 0;
      for (Durations worker : workers) total += worker.used / FIELDS;
      final long[][] spans = new long[total][];
      int at = 0;
      for (Durations worker : workers)
        for (int i = 0; i < worker.used; i += FIELDS) spans[at++] = Arrays.copyOfRange(worker.spans, i, i + FIELDS);
      Arrays.sort(spans, (a, b) -> Long.compare(a[FIRST], b[FIRST]));
      firsts = Arrays.stream(spans).mapToLong(span -> span[FIRST]).toArray();
      counts = Arrays.stream(spans).mapToLong(span -> span[COUNT]).toArray();
      each = Arrays.stream(spans).mapToLong(span -> span[EACH]).toArray();
    }

    /** In nanoseconds; 0 of an item that is in none. */
    long of(long index) {
      final int found = Arrays.binarySearch(firsts, index);
      final int at = found >= 0 ? found : -found - 2;
      return at >= 0 && index < firsts[at] + counts[at] ? each[at] : 0;
    }
  }
}
