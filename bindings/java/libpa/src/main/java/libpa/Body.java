package libpa;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Objects;

/** The user's function, in one of its three forms. */
abstract class Body {
  /**
   * Runs the items at {@code from}, ..., {@code to - 1}, at most {@link Worker#LONGEST_BLOCK}, up to the first that throws. What it threw
   * is left in {@code worker.thrown}. Returns how far it came: {@code to}, or the position of that item.
   */
  abstract int run(Run.Slab slab, int from, int to, Worker worker);

  boolean isBatch() {
    return false;
  }

  @SuppressWarnings("unchecked")
  static Body ofItem(Fn<?, ?> fn) {
    return new OfItem((Fn<Object, Object>) Objects.requireNonNull(fn, "fn"));
  }

  @SuppressWarnings("unchecked")
  static Body ofCall(CallFn<?, ?> fn) {
    return new OfCall((CallFn<Object, Object>) Objects.requireNonNull(fn, "fn"));
  }

  @SuppressWarnings("unchecked")
  static Body ofBatch(BatchFn<?, ?> fn) {
    return new OfBatch((BatchFn<Object, Object>) Objects.requireNonNull(fn, "fn"));
  }

  private static final class OfItem extends Body {
    private final Fn<Object, Object> fn;

    OfItem(Fn<Object, Object> fn) {
      this.fn = fn;
    }

    @Override
    int run(Run.Slab slab, int from, int to, Worker worker) {
      // The hot loop: the try is entered once for a run of good items, and everything is in locals. Values go to an array of this thread
      // first, and then over all at once: a reference that is stored marks a byte of the collector's card table, and neighbouring leases,
      // on other processors, share its cache lines.
      final Fn<Object, Object> fn = this.fn;
      final Object[] items = slab.items;
      final Object[] values = worker.scratch(to - from);
      final int count = Math.min(to - from, values.length);
      int done = 0;
      try {
        if (items != null) for (; done < count; done++) values[done] = fn.apply(items[from + done]);
        else for (final List<?> list = slab.list; done < count; done++) values[done] = fn.apply(list.get(from + done));
      } catch (Throwable thrown) {
        worker.thrown = thrown;
      }
      System.arraycopy(values, 0, slab.values, from, done);
      return from + done;
    }
  }

  private static final class OfCall extends Body {
    private final CallFn<Object, Object> fn;

    OfCall(CallFn<Object, Object> fn) {
      this.fn = fn;
    }

    @Override
    int run(Run.Slab slab, int from, int to, Worker worker) {
      final Call call = worker.call;
      int at = from;
      try {
        for (; at < to; at++) {
          call.index = slab.first + at;
          slab.values[at] = fn.apply(slab.item(at), call);
        }
      } catch (Throwable thrown) {
        worker.thrown = thrown;
      }
      return at;
    }
  }

  /** All at once: answers are left in the worker's call. */
  static final class OfBatch extends Body {
    private final BatchFn<Object, Object> fn;

    OfBatch(BatchFn<Object, Object> fn) {
      this.fn = fn;
    }

    @Override
    int run(Run.Slab slab, int from, int to, Worker worker) {
      final BatchCall<Object> call = worker.batchCall();
      final List<Object> items = Collections.unmodifiableList(copy(slab, from, to));
      call.index = slab.first + from;
      call.begin(to - from);
      try {
        call.returned(fn.apply(items, call));
      } catch (Throwable thrown) {
        worker.thrown = thrown;
        call.failed(thrown);
      }
      return to;
    }

    private static List<Object> copy(Run.Slab slab, int from, int to) {
      if (slab.list != null) return new ArrayList<>(slab.list.subList(from, to));
      return Arrays.asList(Arrays.copyOfRange(slab.items, from, to));
    }

    @Override
    boolean isBatch() {
      return true;
    }
  }
}
