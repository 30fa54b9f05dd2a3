// No thread can be made: this program's pthread_create refuses when it is told to.
#include <dlfcn.h>
#include <errno.h>

#include "support.h"

static int64_t may_be_made = INT64_MAX;

int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*body)(void*), void* ctx) {
  int (*real)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  if (COUNT_DOWN(may_be_made) < 0) return EAGAIN;
  *(void**)(&real) = dlsym(RTLD_NEXT, "pthread_create");
  return real(thread, attributes, body, ctx);
}

static void allow(int64_t count) {
  STORE(may_be_made, INT64_MAX);
  CHECK_STATUS(pa_drain(-1, NULL), PA_STATUS_OK, NULL);  // threads that are there already would help
  STORE(may_be_made, count);
}

static void map_all(const pa_options* options) {
  uint32_t calls = 0;
  void** items = numbered(200);
  pa_result* result = NULL;
  pa_error error;
  REQUIRE_STATUS(pa_map(count_calls, &calls, items, 200, options, &result, &error), PA_STATUS_OK, &error);
  CHECK_EQ(calls, 200);
  CHECK_EQ(pa_result_ok(result), 1);
  pa_result_free(result);
  free(items);
}

static int32_t count_progress(void* ctx, uint64_t done, uint64_t total) {
  (void)ctx, (void)done, (void)total;
  return 0;
}

TEST(a_map_runs_on_the_calling_thread_then) {
  for (int64_t count = 0; count <= 2; count++) {
    pa_options options = defaults();
    options.workers = 8;
    allow(count);
    map_all(&options);
    options.timeout_ns = HOURS;
    allow(count);
    map_all(&options);
    options.on_progress = count_progress;
    allow(count);
    map_all(&options);
    options.retry.attempts = 3;
    options.rate.count = 1e6;
    allow(count);
    map_all(&options);
  }
  allow(INT64_MAX / 2);
}

TEST(a_source_runs_on_the_calling_thread_then) {
  allow(0);
  numbers from = {100, 3, 0, 0, 0, 0, 0, NULL};
  const pa_source source = numbers_source(&from);
  pa_result* result = NULL;
  pa_error error;
  REQUIRE_STATUS(pa_map_source(echo, NULL, &source, NULL, &result, &error), PA_STATUS_OK, &error);
  CHECK_EQ(pa_result_count(result), 100);
  CHECK_EQ(pa_result_ok(result), 1);
  pa_result_free(result);
  allow(INT64_MAX / 2);
}

TEST(a_run_in_the_background_says_that_the_system_refused) {
  ledger l;
  ledger_init(&l, 10);
  void** items = numbered(10);
  pa_options options = defaults();
  ledger_watch(&l, &options);
  allow(0);
  pa_pending* pending = (pa_pending*)items;
  pa_error error;
  CHECK_STATUS(pa_map_start(return_0, NULL, items, 10, &options, &pending, &error), PA_STATUS_SYSTEM, &error);
  CHECK(pending == NULL);
  CHECK_EQ(error.detail, EAGAIN);
  ledger_check_released(&l, 0);
  CHECK_EQ(l.quiescent, 0);
  allow(INT64_MAX / 2);
  ledger_free(&l);
  free(items);
}

static void not_called(void* ctx) { (void)ctx; }

TEST(a_job_goes_on_without_notify_then) {
  pa_options options = defaults();
  pa_job* job = NULL;
  pa_lease lease = {0};
  pa_error error;
  options.batch.max_items = 1;
  REQUIRE_STATUS(pa_job_open(&options, 1, 0, &job, &error), PA_STATUS_OK, &error);
  allow(0);
  CHECK_STATUS(pa_job_notify(job, not_called, NULL, &error), PA_STATUS_SYSTEM, &error);
  CHECK_EQ(error.detail, EAGAIN);
  CHECK_STATUS(pa_job_take(job, &lease), PA_STATUS_OK, NULL);
  CHECK_STATUS(pa_job_complete(job, &lease, 1), PA_STATUS_OK, NULL);
  CHECK_STATUS(pa_job_take(job, &lease), PA_STATUS_DONE, NULL);
  allow(INT64_MAX / 2);
  CHECK_STATUS(pa_job_notify(job, not_called, NULL, &error), PA_STATUS_OK, &error);
  pa_job_free(job);
}
