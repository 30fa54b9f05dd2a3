package libpa;

import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Runs that want to know when a stop token or a limiter changes. Both are made in Java, and changed in Java alone, so nobody needs to wait
 * on a descriptor of libpa or be called by it.
 */
final class Listeners {
  private final Set<Runnable> listeners = ConcurrentHashMap.newKeySet();

  void add(Runnable listener) {
    listeners.add(listener);
  }

  void remove(Runnable listener) {
    listeners.remove(listener);
  }

  void tell() {
    listeners.forEach(Runnable::run);
  }
}
