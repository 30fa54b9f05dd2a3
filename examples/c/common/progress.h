/* One line that says how far a run is: a bar on a terminal, a plain line now and then elsewhere. */
#ifndef EXAMPLES_PROGRESS_H
#define EXAMPLES_PROGRESS_H

#include <stdint.h>

typedef struct progress {
  const char *noun; /* what is counted: "pages" */
  int total_known;  /* 0: only what is done is shown */
  int on_terminal;
  uint64_t done;
  uint64_t total;
  uint64_t shown_done; /* what the last line said */
  int64_t shown_ns;    /* and when */
  int64_t began_ns;
} progress;

/* Monotonic time, for durations. */
int64_t progress_now_ns(void);

void progress_begin(progress *bar, const char *noun, int total_known);

/* A pa_options.on_progress; ctx is the progress. libpa calls it after every item, so most calls draw nothing. */
int32_t progress_show(void *ctx, uint64_t done, uint64_t total);

/* Shows how far it came, and leaves the line. */
void progress_end(progress *bar);

#endif
