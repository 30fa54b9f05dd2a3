package libpa;

import java.util.Arrays;
import java.util.Collections;
import java.util.List;

/** The user's function, in one of its three forms. */
abstract class Body {
  /**
   * Runs the items at {@code from}, ..., {@code to - 1}, up to the first that throws. What it threw is left in {@code worker.thrown}.
   * Returns how far it came: {@code to}, or the position of that item.
   */
  abstract int run(Run.Slab slab, int from, int to, Worker worker);

  /** Whether the call must be told of the index, attempt and time of each item. */
  abstract boolean wantsCall();

  boolean isBatch() {
    return false;
  }

  @SuppressWarnings("unchecked")
  static Body ofItem(Fn<?, ?> fn) {
    return new OfItem((Fn<Object, Object>) fn);
  }

  @SuppressWarnings("unchecked")
  static Body ofCall(CallFn<?, ?> fn) {
    return new OfCall((CallFn<Object, Object>) fn);
  }

  @SuppressWarnings("unchecked")
  static Body ofBatch(BatchFn<?, ?> fn) {
    return new OfBatch((BatchFn<Object, Object>) fn);
  }

  private static final class OfItem extends Body {
    private final Fn<Object, Object> fn;

    OfItem(Fn<Object, Object> fn) {
      this.fn = fn;
    }

    @Override
    int run(Run.Slab slab, int from, int to, Worker worker) {
      // The hot loop: the try is entered once for a run of good items, and everything is in locals.
      final Fn<Object, Object> fn = this.fn;
      final Object[] items = slab.items;
      final Object[] values = slab.values;
      int at = from;
      try {
        for (; at < to; at++) values[at] = fn.apply(items[at]);
      } catch (Throwable thrown) {
        worker.thrown = thrown;
      }
      return at;
    }

    @Override
    boolean wantsCall() {
      return false;
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
          slab.values[at] = fn.apply(slab.items[at], call);
        }
      } catch (Throwable thrown) {
        worker.thrown = thrown;
      }
      return at;
    }

    @Override
    boolean wantsCall() {
      return true;
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
      final List<Object> items = Collections.unmodifiableList(Arrays.asList(Arrays.copyOfRange(slab.items, from, to)));
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

    @Override
    boolean wantsCall() {
      return true;
    }

    @Override
    boolean isBatch() {
      return true;
    }
  }
}
