/* fetch: gets many pages over HTTP, in parallel and politely, with libcurl and libpa.
 *
 *     fetch [-w WORKERS] [-r REQUESTS_PER_SECOND] [-a ATTEMPTS] URLS REPORT
 *
 * URLS is a file with one address on each line. REPORT gets one line for each address, in the same order, with these
 * fields between tabs: state, attempts, how many of them were answered 429, SHA-256 of the body, address, why it failed.
 *
 * What to look at:
 *   fetch_page       the function that pa_map calls for each address
 *   connection_open  one connection for each worker, used again and again
 *   worth_retrying   which failures are repeated
 *   on_signal        Ctrl-C
 *   run_all          the options, and the call of pa_map
 *
 * Exit status: 0 all pages are there, 1 some are not, 2 it could not begin, 130 stopped by Ctrl-C. */
#define _POSIX_C_SOURCE 200809L
#include <curl/curl.h>
#include <errno.h>
#include <inttypes.h>
#include <pa/pa.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/progress.h"
#include "common/sha256.h"
#include "fetch/addresses.h"

enum { EXIT_ALL_FETCHED = 0, EXIT_SOME_FAILED = 1, EXIT_CANNOT_BEGIN = 2, EXIT_STOPPED = 130 };
enum { FAILURES_SHOWN = 10 };

/* A value: what there is to know about a page. The body itself is hashed as it comes in, and not kept. */
typedef struct page {
  uint64_t size_bytes;
  char sha256[SHA256_HEX_SIZE];
} page;

/* ------------------------------------------------------------------ a connection for each worker */

/* A curl handle keeps its connection open between requests, but only one thread at a time may use it. */
typedef struct connection {
  CURL *curl;
  EVP_MD_CTX *digest;
  uint64_t size_bytes; /* of the body, so far */
} connection;

static _Thread_local connection mine;

static size_t receive(char *data, size_t size, size_t count, void *ctx) {
  connection *c = ctx;
  c->size_bytes += size * count;
  return EVP_DigestUpdate(c->digest, data, size * count) ? size * count : 0; /* less than it was given: an error */
}

/* curl asks now and then whether to go on. pa_call_stopped says no after Ctrl-C, and after item_timeout_ns. */
static int interrupted(void *ctx, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d) {
  (void)a, (void)b, (void)c, (void)d;
  return pa_call_stopped(ctx);
}

/* A pa_options.worker_stop. */
static void connection_close(void *ctx) {
  (void)ctx;
  curl_easy_cleanup(mine.curl);
  EVP_MD_CTX_free(mine.digest);
  mine = (connection){0};
}

/* A pa_options.worker_start. */
static int32_t connection_open(void *ctx) {
  (void)ctx;
  mine.curl = curl_easy_init();
  mine.digest = EVP_MD_CTX_new();
  if (!mine.curl || !mine.digest) {
    connection_close(NULL);
    return ENOMEM;
  }
  curl_easy_setopt(mine.curl, CURLOPT_NOSIGNAL, 1L); /* signals and threads do not mix */
  curl_easy_setopt(mine.curl, CURLOPT_WRITEFUNCTION, receive);
  curl_easy_setopt(mine.curl, CURLOPT_WRITEDATA, &mine);
  curl_easy_setopt(mine.curl, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(mine.curl, CURLOPT_XFERINFOFUNCTION, interrupted);
  return 0;
}

/* ------------------------------------------------------------------ one page */

/* Codes of failures: the HTTP status, or the CURLcode made negative where there was no answer. */

static int32_t fail_with_status(pa_call *call, long status) {
  char message[64];
  snprintf(message, sizeof message, "the server answered %ld", status);
  return pa_call_fail(call, (int32_t)status, message);
}

static int32_t fail_with_curl(pa_call *call, CURLcode code) {
  return pa_call_fail(call, -(int32_t)code, curl_easy_strerror(code));
}

/* Tells libpa how long the server wants to be left alone. That pauses the limiter, and with it all workers. */
static void honour_retry_after(pa_call *call) {
  struct curl_header *header = NULL;
  if (curl_easy_header(mine.curl, "Retry-After", 0, CURLH_HEADER, -1, &header) == CURLHE_OK)
    pa_call_retry_after(call, pa_parse_retry_after(header->value, -1));
}

/* A pa_fn. */
static int32_t fetch_page(void *ctx, void *item, void **value, pa_call *call) {
  (void)ctx;
  address *from = item;
  if (!sha256_begin(mine.digest)) return fail_with_curl(call, CURLE_FAILED_INIT);
  mine.size_bytes = 0;
  curl_easy_setopt(mine.curl, CURLOPT_URL, from->url);
  curl_easy_setopt(mine.curl, CURLOPT_XFERINFODATA, call);
  const CURLcode got = curl_easy_perform(mine.curl);
  if (got == CURLE_ABORTED_BY_CALLBACK) return PA_CODE_STOPPED; /* not done, rather than failed */
  if (got != CURLE_OK) return fail_with_curl(call, got);

  long status = 0;
  curl_easy_getinfo(mine.curl, CURLINFO_RESPONSE_CODE, &status);
  if (status == 429) from->refused++;
  if (status == 429 || status == 503) honour_retry_after(call);
  if (status != 200) return fail_with_status(call, status);

  page *fetched = malloc(sizeof *fetched);
  if (!fetched) return fail_with_curl(call, CURLE_OUT_OF_MEMORY);
  fetched->size_bytes = mine.size_bytes;
  *value = fetched; /* from here on libpa releases it, also if this call fails */
  return sha256_finish(mine.digest, fetched->sha256) ? 0 : fail_with_curl(call, CURLE_WRITE_ERROR);
}

/* A pa_options.release_value. */
static void release_page(void *ctx, void *value) {
  (void)ctx;
  free(value);
}

/* A pa_retry.retry_if: an address that is wrong stays wrong, a server that is busy may have time later. */
static int32_t worth_retrying(void *ctx, const pa_outcome *failure) {
  (void)ctx;
  if (failure->state == PA_ITEM_TIMED_OUT) return 1;
  switch (failure->code) {
    case 429: /* too many requests */
    case 502: /* bad gateway */
    case 503: /* service unavailable */
    case 504: /* gateway timeout */
    case -(int32_t)CURLE_COULDNT_CONNECT:
    case -(int32_t)CURLE_GOT_NOTHING:
    case -(int32_t)CURLE_PARTIAL_FILE:
    case -(int32_t)CURLE_SEND_ERROR:
    case -(int32_t)CURLE_RECV_ERROR:
      return 1;
    default:
      return 0;
  }
}

/* ------------------------------------------------------------------ all pages */

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

typedef struct settings {
  uint32_t workers;
  uint32_t attempts;
  double requests_per_second;
} settings;

static pa_status run_all(const address_list *from, const settings *how, pa_result **result, pa_error *error) {
  progress bar;
  pa_limiter *limiter = NULL; /* any number of runs could share it, and so one quota */
  const pa_rate rate = {.count = how->requests_per_second, .per_ns = 1000000000, .burst = 1};
  pa_status status = pa_limiter_new(&rate, &limiter, error);
  if (status) return status;

  pa_options options;
  pa_options_init(&options, sizeof options);
  options.workers = how->workers;
  options.limiter = limiter;
  options.stop = stop_token;
  options.item_timeout_ns = 30000000000; /* a server that says nothing for 30 s has failed this attempt */
  options.retry.attempts = how->attempts;
  options.retry.backoff_ns = 200000000; /* when the server names no time */
  options.retry.retry_if = worth_retrying;
  options.worker_start = connection_open;
  options.worker_stop = connection_close;
  options.release_value = release_page;
  options.on_progress = progress_show;
  options.progress_ctx = &bar;

  progress_begin(&bar, "pages", 1);
  status = pa_map(fetch_page, NULL, from->items, from->count, &options, result, error);
  progress_end(&bar);
  pa_limiter_release(limiter);
  return status;
}

/* ------------------------------------------------------------------ what became of them */

static const char *state_name(int32_t state) {
  switch (state) {
    case PA_ITEM_OK:
      return "ok";
    case PA_ITEM_FAILED:
      return "failed";
    case PA_ITEM_TIMED_OUT:
      return "timed out";
    case PA_ITEM_ABORTED:
      return "aborted";
    case PA_ITEM_CANCELLED:
      return "cancelled";
    default:
      return "unknown";
  }
}

static void report_line(FILE *report, const pa_outcome *outcome, const address *from) {
  const page *fetched = outcome->value;
  fprintf(report, "%s\t%" PRIu32 "\t%" PRIu32 "\t%s\t%s\t%s\n", state_name(outcome->state), outcome->attempts, from->refused,
          fetched ? fetched->sha256 : "-", from->url, outcome->message);
}

/* Writes the report, and a summary to standard output. Returns 0, or -1 if the report could not be written. */
static int report_all(const pa_result *result, const address_list *from, const char *path, int64_t duration_ns) {
  FILE *report = fopen(path, "w");
  uint64_t fetched = 0, not_done = 0, attempts = 0, refused = 0, size_bytes = 0;
  if (!report) return -1;
  for (uint64_t i = 0; i < pa_result_count(result); i++) {
    pa_outcome outcome;
    pa_result_at(result, i, &outcome, NULL);
    report_line(report, &outcome, &from->all[i]);
    attempts += outcome.attempts;
    refused += from->all[i].refused;
    if (outcome.state == PA_ITEM_OK) {
      fetched++;
      size_bytes += ((const page *)outcome.value)->size_bytes;
    } else if (outcome.state == PA_ITEM_CANCELLED || outcome.state == PA_ITEM_ABORTED) {
      not_done++;
    }
  }
  printf("%" PRIu64 " pages: %" PRIu64 " fetched (%.1f MB), %" PRIu64 " failed, %" PRIu64 " not done; %" PRIu64
         " attempts, of which %" PRIu64 " were answered 429; %.2f s\n",
         pa_result_count(result), fetched, (double)size_bytes / 1e6, pa_result_failed(result) - not_done, not_done, attempts,
         refused, (double)duration_ns / 1e9);
  const int incomplete = ferror(report);
  return fclose(report) || incomplete ? -1 : 0;
}

static void show_first_failures(const pa_result *result, const address_list *from) {
  uint64_t cursor = 0, shown = 0;
  pa_outcome outcome;
  while (shown < FAILURES_SHOWN && pa_result_next_failure(result, &cursor, &outcome, NULL) == PA_STATUS_OK) {
    if (outcome.state != PA_ITEM_FAILED && outcome.state != PA_ITEM_TIMED_OUT) continue;
    fprintf(stderr, "fetch: %s: %s (%" PRIu32 " attempts)\n", from->all[outcome.index].url, outcome.message,
            outcome.attempts);
    shown++;
  }
}

/* ------------------------------------------------------------------ the program */

static int cannot_begin(const char *what, const char *why) {
  fprintf(stderr, "fetch: %s: %s\n", what, why);
  return EXIT_CANNOT_BEGIN;
}

/* Reports what became of the addresses, and returns the exit status. */
static int conclude(const pa_result *result, const address_list *from, const char *report, int64_t duration_ns) {
  if (report_all(result, from, report, duration_ns)) return cannot_begin(report, strerror(errno));
  show_first_failures(result, from);
  if (pa_result_end(result) == PA_END_CANCELLED) return EXIT_STOPPED;
  return pa_result_ok(result) ? EXIT_ALL_FETCHED : EXIT_SOME_FAILED;
}

static int fetch_all(const address_list *from, const char *report, const settings *how) {
  pa_result *result = NULL;
  pa_error error;
  const int64_t began_ns = progress_now_ns();
  const pa_status status = run_all(from, how, &result, &error);
  int code = EXIT_CANNOT_BEGIN;
  if (result) code = conclude(result, from, report, progress_now_ns() - began_ns); /* also if the run broke off */
  if (status) code = cannot_begin(pa_status_name(status), error.message);
  pa_result_free(result);
  return code;
}

static int usage(void) {
  fputs("usage: fetch [-w WORKERS] [-r REQUESTS_PER_SECOND] [-a ATTEMPTS] URLS REPORT\n", stderr);
  return EXIT_CANNOT_BEGIN;
}

int main(int argc, char **argv) {
  settings how = {.workers = 8, .attempts = 5, .requests_per_second = 10};
  address_list from;
  pa_error error;
  int option, code;
  while ((option = getopt(argc, argv, "w:r:a:")) != -1) {
    if (option == 'w')
      how.workers = (uint32_t)strtoul(optarg, NULL, 10);
    else if (option == 'r')
      how.requests_per_second = strtod(optarg, NULL);
    else if (option == 'a')
      how.attempts = (uint32_t)strtoul(optarg, NULL, 10);
    else
      return usage();
  }
  if (argc - optind != 2) return usage();

  if (pa_stop_new(&stop_token, &error)) return cannot_begin("pa_stop_new", error.message);
  stop_on_signals();
  curl_global_init(CURL_GLOBAL_DEFAULT); /* before there are threads */
  if (addresses_read(&from, argv[optind]))
    code = cannot_begin(argv[optind], strerror(errno));
  else
    code = fetch_all(&from, argv[optind + 1], &how);
  addresses_free(&from);
  pa_drain(-1, NULL); /* ends the threads, so that OpenSSL frees what it keeps for each of them */
  curl_global_cleanup();
  return code; /* stop_token is kept: a signal may still come */
}
