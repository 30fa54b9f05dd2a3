package libpa;

import java.lang.ref.Reference;
import libpa.low.palow;

/**
 * A latch that ends runs: once requested it stays so. Any number of runs may share it; one that is started with a requested token runs
 * nothing. May be used by any thread, and needs not be closed.
 *
 * <pre>{@code
 * StopToken stop = new StopToken();
 * Runtime.getRuntime().addShutdownHook(new Thread(stop::request));
 * Results<Page> pages = Parallel.workers(64).stop(stop).run(urls, Page::fetch);
 * }</pre>
 */
public final class StopToken {
  final long handle;
  final Listeners listeners = new Listeners();

  /** Makes a token that was not requested. */
  public StopToken() {
    NativeLibrary.load();
    final Struct.Failure error = new Struct.Failure();
    handle = palow.stop_new(error.address);
    if (handle == 0) error.check(error.status());
    Handle.dropWith(this, handle, palow::stop_drop);
  }

  /**
   * Ends every run that uses this token: nothing new starts, and calls that are running see {@link Call#stopped}. Does not wait.
   */
  public void request() {
    palow.pa_stop_request(handle);
    listeners.tell();
    Reference.reachabilityFence(this);
  }

  /**
   * Whether {@link #request} was called.
   *
   * @return true from then on
   */
  public boolean requested() {
    final boolean requested = palow.pa_stop_requested(handle) != 0;
    Reference.reachabilityFence(this);
    return requested;
  }
}
