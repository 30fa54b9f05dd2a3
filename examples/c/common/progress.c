#define _POSIX_C_SOURCE 200809L
#include "progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { BAR_COLUMNS = 40 };
static const int64_t kSecond = 1000000000;
static const int64_t kRedraw = 50000000;      /* on a terminal: no faster than an eye can follow */
static const int64_t kPlainLine = 5000000000; /* elsewhere, when the total is unknown */

int64_t progress_now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * kSecond + now.tv_nsec;
}

void progress_begin(progress *bar, const char *noun, int total_known) {
  *bar = (progress){.noun = noun, .total_known = total_known};
  bar->on_terminal = isatty(STDERR_FILENO);
  bar->began_ns = progress_now_ns();
  bar->shown_ns = bar->began_ns;
}

static void draw_bar(const progress *bar, int64_t now_ns) {
  const double seconds = (double)(now_ns - bar->began_ns) / 1e9;
  const double per_second = seconds > 0 ? (double)bar->done / seconds : 0;
  char cells[BAR_COLUMNS + 1];
  if (!bar->total_known) {
    fprintf(stderr, "\r%" PRIu64 " %s  %.0f/s ", bar->done, bar->noun, per_second);
    return;
  }
  for (uint64_t i = 0; i < BAR_COLUMNS; i++) cells[i] = i * bar->total < bar->done * BAR_COLUMNS ? '#' : '.';
  cells[BAR_COLUMNS] = 0;
  fprintf(stderr, "\r[%s] %" PRIu64 " of %" PRIu64 " %s  %.0f/s ", cells, bar->done, bar->total, bar->noun, per_second);
}

static void print_line(const progress *bar) {
  if (bar->total_known)
    fprintf(stderr, "%" PRIu64 " of %" PRIu64 " %s\n", bar->done, bar->total, bar->noun);
  else
    fprintf(stderr, "%" PRIu64 " %s\n", bar->done, bar->noun);
}

static int is_due(const progress *bar, int64_t now_ns) {
  if (bar->on_terminal) return now_ns - bar->shown_ns >= kRedraw;
  if (!bar->total_known) return now_ns - bar->shown_ns >= kPlainLine;
  return bar->done * 10 / bar->total > bar->shown_done * 10 / bar->total; /* another tenth */
}

int32_t progress_show(void *ctx, uint64_t done, uint64_t total) {
  progress *bar = ctx;
  const int64_t now_ns = progress_now_ns();
  bar->done = done;
  bar->total = total;
  if (!is_due(bar, now_ns)) return 0;
  if (bar->on_terminal)
    draw_bar(bar, now_ns);
  else
    print_line(bar);
  bar->shown_ns = now_ns;
  bar->shown_done = done;
  return 0;
}

void progress_end(progress *bar) {
  if (!bar->on_terminal || bar->done == 0) return;
  draw_bar(bar, progress_now_ns());
  fputc('\n', stderr);
}
