package fetch;

import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;

/** How far a run is: a bar on a terminal, a plain line for each tenth elsewhere. */
final class Bar implements AutoCloseable {
  private final String noun;
  /** Null where there is no terminal. */
  private final ProgressBar bar;

  Bar(String noun, long total) {
    this.noun = noun;
    bar = System.console() == null
        ? null
        : new ProgressBarBuilder().setTaskName(noun).setInitialMax(total).setStyle(ProgressBarStyle.ASCII).setUpdateIntervalMillis(50).build();
  }

  /** Called after every page, so most calls draw nothing. */
  void show(long done, long total) {
    if (bar != null) bar.stepTo(done);
    else if (done * 10 / total > (done - 1) * 10 / total) System.err.println(done + " of " + total + " " + noun);
  }

  @Override
  public void close() {
    if (bar != null) bar.close();
  }
}
