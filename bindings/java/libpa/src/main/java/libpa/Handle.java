package libpa;

import java.lang.ref.Cleaner;
import java.util.function.LongConsumer;

/** A handle of libpa, dropped when its owner is no longer reachable. */
final class Handle {
  private static final Cleaner CLEANER = Cleaner.create();

  private Handle() {}

  /** The action must not reach the owner: so it is made here, of what it is given. */
  static void dropWith(Object owner, long handle, LongConsumer drop) {
    CLEANER.register(owner, () -> drop.accept(handle));
  }

  static Cleaner.Cleanable register(Object owner, Runnable action) {
    return CLEANER.register(owner, action);
  }
}
