/* multi: gets many pages over HTTP with up to a thousand transfers at once, in ONE thread: an event loop of epoll and libcurl,
 * whose policy (rate, retries, Retry-After, stop) is a job of libpa. libpa makes no thread and runs nothing.
 *
 *     multi [-w TRANSFERS] [-r REQUESTS_PER_SECOND] [-b BURST] [-a ATTEMPTS] URLS REPORT
 *     multi [...] -n PAGES BASE_URL REPORT
 *
 * URLS is a file with one address on each line; with -n, the addresses are BASE_URL/0001.txt and so on. REPORT gets one line for
 * each address, in the same order, with these fields between tabs: state, attempts, how many of them were answered 429, SHA-256
 * of the body, address, why it failed. The last line on standard output, "totals", is for programs.
 *
 * What to look at:
 *   go_on       a taker asks for work: it gets a page to fetch, is parked, or is done
 *   settle      a transfer is over: what libpa is told, and whom it says to wake
 *   run         the event loop
 *   look_outside, on_signal   Ctrl-C
 *
 * Exit status: 0 all pages are there, 1 some are not, 2 it could not begin, 3 a page does not have exactly one outcome (a bug),
 * 130 stopped by Ctrl-C. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <inttypes.h>
#include <pa/pa.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/progress.h"
#include "curl_loop.h"
#include "fetch/addresses.h"
#include "page.h"

enum { EXIT_ALL_FETCHED = 0, EXIT_SOME_FAILED = 1, EXIT_CANNOT_BEGIN = 2, EXIT_UNACCOUNTED = 3, EXIT_STOPPED = 130 };

/* A taker of the job: one call, that is one transfer, at a time. */
typedef struct transfer {
  pa_lease lease;
  page_transfer page;
  int running;
  int64_t due_ns; /* parked: when it looks again by itself, or -1 */
} transfer;

/* What became of a page. */
typedef struct outcome {
  uint32_t times; /* that it was given one: must be 1 */
  int32_t state;  /* PA_ITEM_* */
  uint32_t attempts;
  uint64_t size_bytes;
  char sha256[SHA256_HEX_SIZE];
  char message[64];
} outcome;

typedef struct settings {
  uint32_t transfers;
  uint32_t attempts;
  uint64_t burst;
  double requests_per_second;
} settings;

static pa_job* job;
static curl_loop loop;
static address_list pages;
static outcome* outcomes;

static transfer* transfers;
static uint32_t transfer_count, gone, running, most_running;
static transfer **ready, **parked; /* who is to ask for work, and who waits to be woken */
static uint32_t ready_count, parked_count;

/* ------------------------------------------------------------------ who waits, who goes on */

/* libpa names a number, never a taker: any that is parked will do. */
static void wake(uint32_t count) {
  for (; count && parked_count; count--) ready[ready_count++] = parked[--parked_count];
}

static void park(transfer* t) {
  t->due_ns = t->lease.wait_ns < 0 ? -1 : progress_now_ns() + t->lease.wait_ns;
  parked[parked_count++] = t;
}

/* As a rule one parked taker keeps the time for all. Returns when the first is due, or -1. */
static int64_t next_due(void) {
  int64_t due_ns = -1;
  for (uint32_t i = 0; i < parked_count; i++)
    if (parked[i]->due_ns >= 0 && (due_ns < 0 || parked[i]->due_ns < due_ns)) due_ns = parked[i]->due_ns;
  return due_ns;
}

static void wake_due(void) {
  const int64_t now_ns = progress_now_ns();
  for (uint32_t i = 0; i < parked_count;) {
    if (parked[i]->due_ns < 0 || parked[i]->due_ns > now_ns) {
      i++;
      continue;
    }
    ready[ready_count++] = parked[i];
    parked[i] = parked[--parked_count];
  }
}

/* ------------------------------------------------------------------ one transfer */

static void note_outcome(uint64_t index, int32_t state, uint32_t attempts, const char* message) {
  outcome* o = &outcomes[index];
  o->times++;
  o->state = state;
  o->attempts = attempts;
  snprintf(o->message, sizeof o->message, "%s", message);
}

static void note_page(uint64_t index, const transfer* t) {
  note_outcome(index, PA_ITEM_OK, t->lease.attempt, "");
  outcomes[index].size_bytes = t->page.size_bytes;
  memcpy(outcomes[index].sha256, t->page.sha256, SHA256_HEX_SIZE);
}

/* Tells libpa how the attempt at the only page of the lease ended. After each call it says who may go on. */
static void answer(transfer* t, const page_answer* answer) {
  const uint64_t index = t->lease.first;
  const uint32_t attempt = t->lease.attempt;
  if (answer->code == 429) pages.all[index].refused++;
  if (answer->code == 0) {
    note_page(index, t);
  } else {
    const pa_status verdict =
        pa_job_fail(job, &t->lease, index, answer->fail_flags, answer->retry_after_ns, answer->code, answer->message);
    const int32_t state = answer->fail_flags & PA_FAIL_TIMED_OUT ? PA_ITEM_TIMED_OUT : PA_ITEM_FAILED;
    if (verdict == PA_STATUS_FINAL) note_outcome(index, state, attempt, answer->message);
    wake(t->lease.wake);
  }
  pa_job_complete(job, &t->lease, t->lease.count);
  wake(t->lease.wake);
  ready[ready_count++] = t;
}

static void begin(transfer* t) {
  if (!page_begin(&t->page, pages.all[t->lease.first].url)) {
    const page_answer impossible = page_end(&t->page, CURLE_FAILED_INIT);
    answer(t, &impossible);
    return;
  }
  curl_loop_add(&loop, t->page.curl);
  t->running = 1;
  if (++running > most_running) most_running = running;
}

static void take_back(transfer* t) {
  curl_loop_remove(&loop, t->page.curl);
  t->running = 0;
  running--;
}

static void settle(transfer* t, CURLcode result) {
  take_back(t);
  const page_answer how = page_end(&t->page, result);
  answer(t, &how);
}

static void go_on(transfer* t) {
  const pa_status status = pa_job_take(job, &t->lease);
  wake(t->lease.wake);
  if (status == PA_STATUS_OK)
    begin(t);
  else if (status == PA_STATUS_AGAIN)
    park(t);
  else
    gone++; /* PA_STATUS_DONE */
}

/* ------------------------------------------------------------------ the event loop */

static pa_stop* stop_token; /* where a signal handler can reach it */

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

/* The job's descriptor was readable. If the job has ended, transfers under way are given up: their pages are not done. */
static void look_outside(void) {
  static const page_answer gave_up = {.code = PA_CODE_STOPPED, .fail_flags = PA_FAIL_STOPPED, .retry_after_ns = -1};
  pa_progress progress;
  pa_job_poll(job, &progress);
  wake(UINT32_MAX);
  if (progress.end == PA_END_NONE) return;
  for (uint32_t i = 0; i < transfer_count; i++) {
    if (!transfers[i].running) continue;
    take_back(&transfers[i]);
    answer(&transfers[i], &gave_up);
  }
}

static void run(void) {
  CURL* finished;
  CURLcode result;
  for (uint32_t i = 0; i < transfer_count; i++) ready[ready_count++] = &transfers[i];
  for (;;) {
    while (ready_count) go_on(ready[--ready_count]);
    if (gone == transfer_count) return;
    if (curl_loop_wait(&loop, next_due())) look_outside();
    wake_due();
    while ((finished = curl_loop_finished(&loop, &result))) settle(page_owner(finished), result);
  }
}

/* What never came to its end; after this each page has its outcome. */
static void drain(void) {
  pa_chunk chunk;
  while (pa_job_drain(job, &chunk) == PA_STATUS_OK)
    for (uint64_t i = chunk.first; i < chunk.first + chunk.count; i++)
      note_outcome(i, chunk.state, chunk.attempts, "not done");
}

/* ------------------------------------------------------------------ what became of them */

static const char* state_name(int32_t state) {
  switch (state) {
    case PA_ITEM_OK:
      return "ok";
    case PA_ITEM_FAILED:
      return "failed";
    case PA_ITEM_TIMED_OUT:
      return "timed out";
    default:
      return "cancelled";
  }
}

static int write_report(const char* path) {
  FILE* report = fopen(path, "w");
  if (!report) return -1;
  for (uint64_t i = 0; i < pages.count; i++) {
    const outcome* o = &outcomes[i];
    fprintf(report, "%s\t%" PRIu32 "\t%" PRIu32 "\t%s\t%s\t%s\n", state_name(o->state), o->attempts, pages.all[i].refused,
            o->state == PA_ITEM_OK ? o->sha256 : "-", pages.all[i].url, o->message);
  }
  const int incomplete = ferror(report);
  return fclose(report) || incomplete ? -1 : 0;
}

/* Prints what became of the pages, and returns the exit status. */
static int summarise(int64_t duration_ns) {
  uint64_t fetched = 0, failed = 0, not_done = 0, unaccounted = 0, attempts = 0, refused = 0, size_bytes = 0;
  for (uint64_t i = 0; i < pages.count; i++) {
    const outcome* o = &outcomes[i];
    unaccounted += o->times != 1;
    fetched += o->state == PA_ITEM_OK;
    failed += o->state == PA_ITEM_FAILED || o->state == PA_ITEM_TIMED_OUT;
    not_done += o->state == PA_ITEM_CANCELLED;
    attempts += o->attempts;
    refused += pages.all[i].refused;
    size_bytes += o->size_bytes;
  }
  const double seconds = (double)duration_ns / 1e9;
  printf("%8s %8s %8s %8s %10s %10s %10s %9s %8s\n", "pages", "fetched", "failed", "not done", "attempts", "429 seen",
         "at once", "MB", "seconds");
  printf("%8" PRIu64 " %8" PRIu64 " %8" PRIu64 " %8" PRIu64 " %10" PRIu64 " %10" PRIu64 " %10" PRIu32 " %9.1f %8.2f\n",
         pages.count, fetched, failed, not_done, attempts, refused, most_running, (double)size_bytes / 1e6, seconds);
  printf("totals pages=%" PRIu64 " ok=%" PRIu64 " failed=%" PRIu64 " not_done=%" PRIu64 " unaccounted=%" PRIu64
         " attempts=%" PRIu64 " refused=%" PRIu64 " at_once=%" PRIu32 " seconds=%.3f\n",
         pages.count, fetched, failed, not_done, unaccounted, attempts, refused, most_running, seconds);
  if (unaccounted) return EXIT_UNACCOUNTED;
  if (pa_job_end(job) == PA_END_CANCELLED) return EXIT_STOPPED;
  return fetched == pages.count ? EXIT_ALL_FETCHED : EXIT_SOME_FAILED;
}

/* ------------------------------------------------------------------ the program */

static int cannot_begin(const char* what, const char* why) {
  fprintf(stderr, "multi: %s: %s\n", what, why);
  return EXIT_CANNOT_BEGIN;
}

static pa_status open_job(const settings* how, pa_error* error) {
  pa_options options;
  pa_options_init(&options, sizeof options);
  options.workers = how->transfers;
  options.batch.max_items = 1; /* a lease is one page */
  options.rate.count = how->requests_per_second;
  options.rate.burst = how->burst;
  options.retry.attempts = how->attempts;
  options.retry.backoff_ns = 200000000; /* when the server names no time */
  options.stop = stop_token;
  return pa_job_open(&options, pages.count, 0, &job, error);
}

static int make_transfers(uint32_t count) {
  outcomes = calloc(pages.count + 1, sizeof *outcomes);
  transfers = calloc(count, sizeof *transfers);
  ready = calloc(count, sizeof(transfer*));
  parked = calloc(count, sizeof(transfer*));
  if (!outcomes || !transfers || !ready || !parked) return -1;
  for (; transfer_count < count; transfer_count++)
    if (page_open(&transfers[transfer_count].page, &transfers[transfer_count])) return -1;
  return 0;
}

static void free_transfers(void) {
  for (uint32_t i = 0; i < transfer_count; i++) page_close(&transfers[i].page);
  free(parked);
  free(ready);
  free(transfers);
  free(outcomes);
}

/* Each transfer needs a socket. */
static void allow_many_files(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit)) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

static int fetch_all(const settings* how, const char* report) {
  pa_error error;
  if (make_transfers(how->transfers) || curl_loop_open(&loop)) return cannot_begin("setting up", strerror(errno));
  if (open_job(how, &error)) return cannot_begin("pa_job_open", error.message);
  const int32_t descriptor = pa_job_fd(job, &error);
  if (descriptor < 0) return cannot_begin("pa_job_fd", error.message);
  if (curl_loop_watch(&loop, descriptor)) return cannot_begin("epoll", strerror(errno));

  const int64_t began_ns = progress_now_ns();
  run();
  drain();
  const int code = summarise(progress_now_ns() - began_ns);
  return write_report(report) ? cannot_begin(report, strerror(errno)) : code;
}

static int usage(void) {
  fputs("usage: multi [-w TRANSFERS] [-r REQUESTS_PER_SECOND] [-b BURST] [-a ATTEMPTS] {URLS | -n PAGES BASE_URL} REPORT\n",
        stderr);
  return EXIT_CANNOT_BEGIN;
}

int main(int argc, char** argv) {
  settings how = {.transfers = 1000, .attempts = 5, .burst = 1, .requests_per_second = 10};
  uint64_t numbered = 0;
  pa_error error;
  int option;
  while ((option = getopt(argc, argv, "w:r:b:a:n:")) != -1) {
    if (option == 'w')
      how.transfers = (uint32_t)strtoul(optarg, NULL, 10);
    else if (option == 'r')
      how.requests_per_second = strtod(optarg, NULL);
    else if (option == 'b')
      how.burst = strtoull(optarg, NULL, 10);
    else if (option == 'a')
      how.attempts = (uint32_t)strtoul(optarg, NULL, 10);
    else if (option == 'n')
      numbered = strtoull(optarg, NULL, 10);
    else
      return usage();
  }
  if (argc - optind != 2 || how.transfers == 0) return usage();

  const char* from = argv[optind];
  if (numbered ? addresses_number(&pages, from, numbered) : addresses_read(&pages, from))
    return cannot_begin(from, strerror(errno));
  if (pa_stop_new(&stop_token, &error)) return cannot_begin("pa_stop_new", error.message);
  stop_on_signals();
  allow_many_files();
  curl_global_init(CURL_GLOBAL_DEFAULT);
  const int code = fetch_all(&how, argv[optind + 1]);
  pa_job_free(job);
  free_transfers();
  curl_loop_close(&loop);
  addresses_free(&pages);
  curl_global_cleanup();
  return code; /* stop_token is kept: a signal may still come */
}
