/* files: the SHA-256 of every file below a directory, in parallel, with OpenSSL and libpa.
 *
 *     files [-w WORKERS] DIRECTORY REPORT
 *
 * REPORT gets one record for each file, in the order of the walk, ended by a zero byte (a name may hold anything else):
 *     ok <tab> SHA-256 <space> <space> PATH             as sha256sum --zero writes it, behind the tab
 *     failed <tab> why <tab> PATH                       it could not be read
 *     cancelled <tab> why <tab> PATH                    Ctrl-C came first
 * Files and directories that cannot be read, and symbolic links that lead nowhere, are items that failed. Other symbolic
 * links, and sockets, pipes and devices, are skipped and counted.
 *
 * What to look at:
 *   walk.c      the source: a directory walk that is never more than WINDOW_ITEMS ahead of the work
 *   hash_file   the function that pa_map_source calls for each file
 *   name_item   the path as the item's key, which outlives the item
 *   hash_all    the options, and the call of pa_map_source
 *
 * Exit status: 0 all files were read, 1 some were not, 2 it could not begin, 130 stopped by Ctrl-C. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pa/pa.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/progress.h"
#include "common/sha256.h"
#include "files/walk.h"

enum { EXIT_ALL_READ = 0, EXIT_SOME_FAILED = 1, EXIT_CANNOT_BEGIN = 2, EXIT_STOPPED = 130 };
enum { WINDOW_ITEMS = 1024, READ_BYTES = 65536, FAILURES_SHOWN = 20 };

/* A value. */
typedef struct digest {
  uint64_t size_bytes;
  char sha256[SHA256_HEX_SIZE];
} digest;

/* ------------------------------------------------------------------ one file */

/* Reads to the end of the file, or until the run is stopped. Returns 0, errno or PA_CODE_STOPPED. */
static int hash_open_file(int file, EVP_MD_CTX *hash, digest *into, const pa_call *call) {
  unsigned char bytes[READ_BYTES];
  struct stat about;
  if (fstat(file, &about)) return errno;
  if (!S_ISREG(about.st_mode)) return EINVAL; /* it was one when the walk came by */
  if (!sha256_begin(hash)) return ENOMEM;
  for (;;) {
    if (pa_call_stopped(call)) return PA_CODE_STOPPED;
    const ssize_t size = read(file, bytes, sizeof bytes);
    if (size < 0) return errno;
    if (size == 0) return sha256_finish(hash, into->sha256) ? 0 : ENOMEM;
    if (!EVP_DigestUpdate(hash, bytes, (size_t)size)) return ENOMEM;
    into->size_bytes += (uint64_t)size;
  }
}

/* Returns 0, errno or PA_CODE_STOPPED. */
static int hash_path(const char *path, digest *into, const pa_call *call) {
  /* O_NONBLOCK: if a pipe took the file's place, opening it must not wait for a writer. */
  const int file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  if (file < 0) return errno;
  EVP_MD_CTX *hash = EVP_MD_CTX_new();
  const int error = hash ? hash_open_file(file, hash, into, call) : ENOMEM;
  EVP_MD_CTX_free(hash);
  close(file);
  return error;
}

/* Fails with errno as the code. */
static int32_t fail_with_errno(pa_call *call, int error) {
  char message[256];
  if (strerror_r(error, message, sizeof message)) snprintf(message, sizeof message, "error %d", error);
  return pa_call_fail(call, error, message);
}

/* A pa_fn. */
static int32_t hash_file(void *ctx, void *item, void **value, pa_call *call) {
  (void)ctx;
  const entry *file = item;
  if (file->error) return fail_with_errno(call, file->error);
  digest *made = calloc(1, sizeof *made);
  if (!made) return fail_with_errno(call, ENOMEM);
  *value = made; /* from here on libpa releases it, also if this call fails */
  const int error = hash_path(file->path, made, call);
  return error > 0 ? fail_with_errno(call, error) : error;
}

/* A pa_options.release_value. */
static void release_digest(void *ctx, void *value) {
  (void)ctx;
  free(value);
}

/* A pa_options.item_key. The source releases an item as soon as it is done; its key stays with the outcome. */
static int32_t name_item(void *ctx, void *item, pa_key *key) {
  (void)ctx;
  const entry *file = item;
  key->kind = PA_KEY_BYTES; /* not PA_KEY_STRING: a path need not be UTF-8 */
  key->data = file->path;
  key->size = strlen(file->path);
  return 0;
}

/* ------------------------------------------------------------------ all files */

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

static pa_status hash_all(walk *files, uint32_t workers, pa_result **result, pa_error *error) {
  progress bar;
  pa_source source;
  pa_source_init(&source, sizeof source);
  source.next = walk_next;
  source.release_item = walk_release_item;
  source.ctx = files;

  pa_options options;
  pa_options_init(&options, sizeof options);
  options.workers = workers; /* 0: the CPUs that this process may use */
  options.window = WINDOW_ITEMS;
  options.stop = stop_token;
  options.item_key = name_item;
  options.release_value = release_digest;
  options.on_progress = progress_show;
  options.progress_ctx = &bar;

  progress_begin(&bar, "files", 0);
  const pa_status status = pa_map_source(hash_file, NULL, &source, &options, result, error);
  progress_end(&bar);
  return status;
}

/* ------------------------------------------------------------------ what became of them */

typedef struct totals {
  uint64_t hashed, failed, not_done, size_bytes;
} totals;

static int was_not_done(const pa_outcome *outcome) {
  return outcome->state == PA_ITEM_CANCELLED || outcome->state == PA_ITEM_ABORTED;
}

static void report_record(FILE *report, const pa_outcome *outcome, totals *sum) {
  if (outcome->state == PA_ITEM_OK) {
    const digest *made = outcome->value;
    fprintf(report, "ok\t%s  ", made->sha256);
    sum->hashed++;
    sum->size_bytes += made->size_bytes;
  } else if (was_not_done(outcome)) {
    fprintf(report, "cancelled\t%s\t", outcome->message);
    sum->not_done++;
  } else {
    fprintf(report, "failed\t%s\t", outcome->message);
    if (sum->failed++ < FAILURES_SHOWN)
      fprintf(stderr, "files: %.*s: %s\n", (int)outcome->key.size, (const char *)outcome->key.data, outcome->message);
  }
  fwrite(outcome->key.data, 1, outcome->key.size, report);
  fputc(0, report);
}

/* Writes the report. Returns 0, or -1 with errno if that failed. */
static int report_all(const pa_result *result, const char *path, totals *sum) {
  FILE *report = fopen(path, "w");
  if (!report) return -1;
  for (uint64_t i = 0; i < pa_result_count(result); i++) {
    pa_outcome outcome;
    pa_result_at(result, i, &outcome, NULL);
    report_record(report, &outcome, sum);
  }
  if (sum->failed > FAILURES_SHOWN) fprintf(stderr, "files: ... and %" PRIu64 " more\n", sum->failed - FAILURES_SHOWN);
  const int incomplete = ferror(report);
  return fclose(report) || incomplete ? -1 : 0;
}

static void print_summary(const totals *sum, const walk *files, int64_t duration_ns) {
  const double seconds = (double)duration_ns / 1e9, megabytes = (double)sum->size_bytes / 1e6;
  printf("%" PRIu64 " files hashed (%.1f MB), %" PRIu64 " failed, %" PRIu64 " not done; skipped: %" PRIu64 " links, %" PRIu64
         " sockets, pipes and devices; %.2f s, %.0f MB/s\n",
         sum->hashed, megabytes, sum->failed, sum->not_done, files->links_skipped, files->special_skipped, seconds,
         seconds > 0 ? megabytes / seconds : 0);
}

/* ------------------------------------------------------------------ the program */

static int cannot_begin(const char *what, const char *why) {
  fprintf(stderr, "files: %s: %s\n", what, why);
  return EXIT_CANNOT_BEGIN;
}

/* Reports what became of the files, and returns the exit status. */
static int conclude(const pa_result *result, const walk *files, const char *report, int64_t duration_ns) {
  totals sum = {0};
  if (report_all(result, report, &sum)) return cannot_begin(report, strerror(errno));
  print_summary(&sum, files, duration_ns);
  if (pa_result_end(result) == PA_END_CANCELLED) return EXIT_STOPPED;
  return pa_result_ok(result) ? EXIT_ALL_READ : EXIT_SOME_FAILED;
}

static int hash_tree(char *directory, const char *report, uint32_t workers) {
  walk files;
  pa_result *result = NULL;
  pa_error error;
  int code = walk_open(&files, directory);
  if (code) return cannot_begin(directory, strerror(code));

  const int64_t began_ns = progress_now_ns();
  const pa_status status = hash_all(&files, workers, &result, &error);
  if (result) code = conclude(result, &files, report, progress_now_ns() - began_ns); /* also if the run broke off */
  if (status) code = cannot_begin(pa_status_name(status), error.message);
  pa_result_free(result);
  walk_close(&files);
  return code;
}

static int usage(void) {
  fputs("usage: files [-w WORKERS] DIRECTORY REPORT\n", stderr);
  return EXIT_CANNOT_BEGIN;
}

int main(int argc, char **argv) {
  uint32_t workers = 0;
  pa_error error;
  int option;
  while ((option = getopt(argc, argv, "w:")) != -1) {
    if (option != 'w') return usage();
    workers = (uint32_t)strtoul(optarg, NULL, 10);
  }
  if (argc - optind != 2) return usage();

  if (pa_stop_new(&stop_token, &error)) return cannot_begin("pa_stop_new", error.message);
  stop_on_signals();
  const int code = hash_tree(argv[optind], argv[optind + 1], workers);
  pa_drain(-1, NULL); /* ends the threads, so that OpenSSL frees what it keeps for each of them */
  return code;        /* stop_token is kept: a signal may still come */
}
