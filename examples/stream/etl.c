/* etl: extracts orders from a CSV file, transforms them, and loads them into another one, in the same order and in constant
 * memory, however large the file is.
 *
 *     etl generate [-r REPORT] FILE BYTES SEED                              writes a file of about so many bytes
 *     etl serial [-r REPORT] IN OUT                                         one loop: what the stream is compared with
 *     etl stream [-r REPORT] [-w WORKERS] [-m MEGABYTES] IN OUT             the same by libpa
 *
 * A row is checked (its checksum, each column), its time becomes UTC, its price euros and tax. A row that is invalid is an item
 * that failed: it is left out, counted, and the first few are listed on standard error with what is wrong with them.
 * REPORT gets name <tab> number on each line: rows, written, invalid, seconds, megabytes, and those of memory at most.
 *
 * An item is one line, because a line is what can fail by itself, and libpa costs little enough: lines lie in big blocks that are
 * read at once (lines.c), an item is a pointer to one, its value is the same line converted in place, and results come a lease at
 * a time by pa_iter_next_many. Nothing is copied or allocated for a line. Were a whole block the item, libpa would cost nothing
 * at all, but the program would have to keep account of its lines by itself.
 *
 * What to look at:
 *   stream_all     the options, and the loop over what comes out
 *   lines.c        the source, and how its blocks are used again
 *   convert_line   the function that the stream calls for each line
 *
 * Exit status: 0 done, also if rows were invalid; 2 it could not be done, 3 it took more than MEGABYTES (default: 64; 0: no
 * limit), 130 stopped by Ctrl-C: OUT then holds what came before. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pa/pa.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/progress.h"
#include "lines.h"
#include "orders.h"

enum { EXIT_DONE = 0, EXIT_CANNOT = 2, EXIT_TOO_LARGE = 3, EXIT_STOPPED = 130 };
enum { WINDOW_LINES = 16384, SERIAL_LINES = 1024, INVALID_SHOWN = 5, OUTPUT_BYTES = 256 * 1024, MEGABYTE = 1000000 };

/* ------------------------------------------------------------------ Ctrl-C */

static pa_stop *stop_token; /* where a signal handler can reach it */

static void on_signal(int signal_number) {
  (void)signal_number;
  pa_stop_request(stop_token);
}

static void stop_on_signals(void) {
  struct sigaction action = {.sa_handler = on_signal};
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
}

/* ------------------------------------------------------------------ the output */

typedef struct output {
  int file;
  int error; /* errno of the first write that failed */
  size_t used;
  uint64_t written; /* bytes in the file */
  char bytes[OUTPUT_BYTES];
} output;

static void output_flush(output *to) {
  for (size_t done = 0; done < to->used && !to->error;) {
    const ssize_t size = write(to->file, to->bytes + done, to->used - done);
    if (size >= 0)
      done += (size_t)size;
    else if (errno != EINTR)
      to->error = errno;
  }
  to->written += to->used;
  to->used = 0;
}

/* At most OUTPUT_BYTES - 1 of text. */
static void output_line(output *to, const char *text, size_t size) {
  if (size + 1 > sizeof to->bytes - to->used) output_flush(to);
  memcpy(to->bytes + to->used, text, size);
  to->bytes[to->used + size] = '\n';
  to->used += size + 1;
}

/* Returns 0 or errno. */
static int output_open(output *to, const char *path) {
  to->file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  to->used = 0;
  to->written = 0;
  to->error = to->file < 0 ? errno : 0;
  return to->error;
}

/* Returns 0 or errno. */
static int output_close(output *to) {
  if (to->file < 0) return to->error;
  output_flush(to);
  if (close(to->file) && !to->error) to->error = errno;
  return to->error;
}

static output sink; /* there is one in each mode */

/* ------------------------------------------------------------------ what became of the rows */

typedef struct totals {
  uint64_t rows, written;
  uint64_t invalid[ORDER_FAULTS]; /* by what is wrong */
  uint64_t bytes;                 /* that were read */
  double seconds;
} totals;

static uint64_t all_invalid(const totals *sum) {
  uint64_t all = 0;
  for (int fault = 0; fault < ORDER_FAULTS; fault++) all += sum->invalid[fault];
  return all;
}

static void count_valid(totals *sum, const line *row) {
  output_line(&sink, row->text, row->size);
  sum->rows++;
  sum->written++;
}

static void count_invalid(totals *sum, int fault, const char *why) {
  sum->rows++;
  if (all_invalid(sum) < INVALID_SHOWN)
    fprintf(stderr, "etl: line %" PRIu64 ": %s\n", sum->rows + 1, why); /* 1: the header */
  sum->invalid[fault > 0 && fault < ORDER_FAULTS ? fault : 0]++;
}

/* The most that this process has had resident so far, or 0 if the system does not say. Not getrusage: what that says begins with
 * the process that this one was forked from. */
static double peak_memory_megabytes(void) {
  char text[128];
  unsigned long kilobytes = 0;
  FILE *status = fopen("/proc/self/status", "r");
  if (!status) return 0;
  while (fgets(text, sizeof text, status) && sscanf(text, "VmHWM: %lu kB", &kilobytes) != 1) continue;
  fclose(status);
  return (double)kilobytes * 1024 / MEGABYTE;
}

static void print_summary(const char *mode, const totals *sum, double memory) {
  const double megabytes = (double)sum->bytes / MEGABYTE;
  const char *separator = " (";
  printf("%s: %" PRIu64 " rows, %" PRIu64 " written, %" PRIu64 " invalid", mode, sum->rows, sum->written, all_invalid(sum));
  for (int fault = 0; fault < ORDER_FAULTS; fault++) {
    if (!sum->invalid[fault]) continue;
    printf("%s%s %" PRIu64, separator, order_fault_name(fault), sum->invalid[fault]);
    separator = ", ";
  }
  printf("%s; %.0f MB in %.2f s, %.0f MB/s; at most %.1f MB of memory\n", all_invalid(sum) ? ")" : "", megabytes,
         sum->seconds, sum->seconds > 0 ? megabytes / sum->seconds : 0, memory);
}

/* Returns 0, or -1 with errno. */
static int write_report(const char *path, const totals *sum, double memory) {
  FILE *report = fopen(path, "w");
  if (!report) return -1;
  fprintf(report, "rows\t%" PRIu64 "\nwritten\t%" PRIu64 "\ninvalid\t%" PRIu64 "\n", sum->rows, sum->written,
          all_invalid(sum));
  fprintf(report, "seconds\t%.3f\nmegabytes\t%.1f\nmemory\t%.1f\n", sum->seconds, (double)sum->bytes / MEGABYTE, memory);
  const int incomplete = ferror(report);
  return fclose(report) || incomplete ? -1 : 0;
}

static int cannot(const char *what, const char *why) {
  fprintf(stderr, "etl: %s: %s\n", what, why);
  return EXIT_CANNOT;
}

/* ------------------------------------------------------------------ serial and stream */

typedef struct settings {
  const char *in, *out, *report;
  uint32_t workers;
  double memory_max; /* megabytes; 0: no limit */
} settings;

static void show_progress(progress *bar, uint64_t bytes, uint64_t total) {
  if (bar->on_terminal) progress_show(bar, bytes / MEGABYTE, total / MEGABYTE);
}

/* errno, of lines_open and lines_next */
static int cannot_read(int error) {
  const char *why = strerror(error);
  if (error == EINVAL) why = "its first line is not \"" ORDERS_HEADER_IN "\"";
  if (error == EMSGSIZE) why = "a line is too long";
  return cannot("the input can't be read", why);
}

static int cannot_write(int error) { return cannot("the output can't be written", strerror(error)); }

static int serial_all(lines *from, const settings *how, progress *bar, totals *sum) {
  void *items[SERIAL_LINES];
  size_t got;
  int error;
  (void)how;
  while ((error = lines_next(from, items, SERIAL_LINES, &got)) == 0 && got > 0) {
    for (size_t i = 0; i < got; i++) {
      char why[ORDER_WHY_SIZE];
      line *row = items[i];
      const int fault = order_convert(row->text, &row->size, why);
      if (fault)
        count_invalid(sum, fault, why);
      else
        count_valid(sum, row);
    }
    if (sink.error) return cannot_write(sink.error);
    if (pa_stop_requested(stop_token)) return EXIT_STOPPED;
    sum->bytes = lines_retire(from, sum->rows);
    show_progress(bar, sum->bytes, (uint64_t)from->size);
  }
  return error ? cannot_read(error) : EXIT_DONE;
}

/* A pa_fn. */
static int32_t convert_line(void *ctx, void *item, void **value, pa_call *call) {
  char why[ORDER_WHY_SIZE];
  line *row = item;
  const int fault = order_convert(row->text, &row->size, why);
  (void)ctx;
  *value = row;
  return fault ? pa_call_fail(call, fault, why) : 0;
}

static int stream_all(lines *from, const settings *how, progress *bar, totals *sum) {
  pa_source source;
  pa_source_init(&source, sizeof source);
  source.next = lines_next;
  source.ctx = from;

  pa_options options;
  pa_options_init(&options, sizeof options);
  options.workers = how->workers; /* 0: the CPUs that this process may use */
  options.ordered = 1;
  options.window = WINDOW_LINES; /* bounds the blocks in use: of lines of ORDER_SIZE_MAX there are 66, or 26 MB */
  options.stop = stop_token;

  pa_iter *iter;
  pa_error error;
  if (pa_iter_open(convert_line, NULL, &source, &options, &iter, &error))
    return cannot("the stream can't begin", error.message);

  pa_outcome first;
  void **values;
  size_t count;
  pa_status status;
  while ((status = pa_iter_next_many(iter, &first, &values, &count, &error)) == PA_STATUS_OK) {
    if (first.index != sum->rows) continue; /* stopped: rows before this one never ran, and OUT gets no gap */
    if (first.state == PA_ITEM_OK)
      for (size_t i = 0; i < count; i++) count_valid(sum, values[i]);
    else
      count_invalid(sum, first.code, first.message);
    if (sink.error) break;
    sum->bytes = lines_retire(from, sum->rows);
    show_progress(bar, sum->bytes, (uint64_t)from->size);
  }
  const int32_t end = pa_iter_end(iter);
  pa_iter_close(iter);
  if (sink.error) return cannot_write(sink.error);
  if (status == PA_STATUS_SOURCE) return cannot_read(error.detail);
  if (status < 0) return cannot(pa_status_name(status), error.message);
  return end == PA_END_COMPLETED ? EXIT_DONE : EXIT_STOPPED;
}

typedef int (*run_fn)(lines *from, const settings *how, progress *bar, totals *sum);

/* Between the two headers. Returns the exit status. */
static int run_file(run_fn run, const settings *how, lines *from, totals *sum) {
  progress bar;
  if (output_open(&sink, how->out)) return cannot(how->out, strerror(sink.error));
  output_line(&sink, ORDERS_HEADER_OUT, sizeof ORDERS_HEADER_OUT - 1);
  progress_begin(&bar, "MB", 1);
  int code = run(from, how, &bar, sum);
  sum->bytes = lines_retire(from, sum->rows);
  progress_end(&bar);
  if (output_close(&sink) && code != EXIT_CANNOT) code = cannot_write(sink.error);
  sum->seconds = (double)(progress_now_ns() - bar.began_ns) / 1e9;
  return code;
}

static int convert(const char *mode, run_fn run, const settings *how) {
  lines from;
  totals sum = {0};
  int code = lines_open(&from, how->in, ORDERS_HEADER_IN, ORDER_SIZE_MAX);
  code = code ? cannot_read(code) : run_file(run, how, &from, &sum);
  lines_close(&from);
  if (code == EXIT_CANNOT) return code;

  const double memory = peak_memory_megabytes();
  print_summary(mode, &sum, memory);
  if (how->report && write_report(how->report, &sum, memory)) return cannot(how->report, strerror(errno));
  if (how->memory_max > 0 && (memory == 0 || memory > how->memory_max)) {
    fprintf(stderr, "etl: %.1f MB of memory were resident, more than %.1f\n", memory, how->memory_max);
    return EXIT_TOO_LARGE;
  }
  return code;
}

/* ------------------------------------------------------------------ generate */

static int generate(const settings *how, uint64_t bytes, uint64_t seed) {
  progress bar;
  totals sum = {0};
  if (output_open(&sink, how->out)) return cannot(how->out, strerror(sink.error));
  progress_begin(&bar, "MB", 1);
  output_line(&sink, ORDERS_HEADER_IN, sizeof ORDERS_HEADER_IN - 1);
  while (sink.written + sink.used < bytes && !sink.error && !pa_stop_requested(stop_token)) {
    char row[ORDER_SIZE_MAX];
    int fault;
    output_line(&sink, row, order_generate(&seed, sum.rows++, row, &fault));
    sum.invalid[fault] += fault != ORDER_VALID;
    if (sum.rows % 4096 == 0) show_progress(&bar, sink.written, bytes);
  }
  progress_end(&bar);
  sum.seconds = (double)(progress_now_ns() - bar.began_ns) / 1e9;
  sum.bytes = sink.written + sink.used;
  sum.written = sum.rows;
  if (output_close(&sink)) return cannot(how->out, strerror(sink.error));
  if (how->report && write_report(how->report, &sum, peak_memory_megabytes())) return cannot(how->report, strerror(errno));
  printf("generate: %" PRIu64 " rows, %" PRIu64 " of them invalid; %.0f MB in %.2f s\n", sum.rows, all_invalid(&sum),
         (double)sum.bytes / MEGABYTE, sum.seconds);
  return pa_stop_requested(stop_token) ? EXIT_STOPPED : EXIT_DONE;
}

/* ------------------------------------------------------------------ the program */

static int usage(void) {
  fputs(
      "usage: etl generate [-r REPORT] FILE BYTES SEED\n"
      "       etl serial [-r REPORT] [-m MEGABYTES] IN OUT\n"
      "       etl stream [-r REPORT] [-m MEGABYTES] [-w WORKERS] IN OUT\n",
      stderr);
  return EXIT_CANNOT;
}

/* Reads the options behind the mode. Returns 1 if they are right, and as many words as are `wanted` follow. */
static int read_options(int argc, char **argv, int wanted, settings *how) {
  int option;
  while ((option = getopt(argc, argv, "r:m:w:")) != -1) {
    if (option == 'r')
      how->report = optarg;
    else if (option == 'm')
      how->memory_max = strtod(optarg, NULL);
    else if (option == 'w')
      how->workers = (uint32_t)strtoul(optarg, NULL, 10);
    else
      return 0;
  }
  return argc - optind == wanted;
}

int main(int argc, char **argv) {
  const char *mode = argc > 1 ? argv[1] : "";
  const int generates = strcmp(mode, "generate") == 0;
  const run_fn run = strcmp(mode, "serial") == 0 ? serial_all : strcmp(mode, "stream") == 0 ? stream_all : NULL;
  settings how = {.memory_max = 64};
  pa_error error;
  if (argc < 2 || !read_options(argc - 1, argv + 1, generates ? 3 : 2, &how) || (!run && !generates)) return usage();
  char **const word = argv + 1 + optind;

  if (pa_stop_new(&stop_token, &error)) return cannot("pa_stop_new", error.message);
  stop_on_signals(); /* stop_token is kept: a signal may come until the end */
  if (generates) {
    how.out = word[0];
    return generate(&how, strtoull(word[1], NULL, 10), strtoull(word[2], NULL, 10));
  }
  how.in = word[0];
  how.out = word[1];
  return convert(mode, run, &how);
}
