// Allocation torture of the pull interface: every allocation of the library fails in turn, once alone and once with all that
// follow. Each time the job opens or says PA_STATUS_NO_MEMORY, nothing is leaked, and each index is accounted for once.
#include "allocations.h"
#include "pull.h"

enum { n = 30, attempts = 2 };

typedef struct trial {
  pa_options options;
  uint64_t count;
  uint32_t flags;
  books all;
  uint64_t done, failed;  // of a job without a stream: what its taker was told
  uint64_t admitted;
  uint32_t refused;  // inputs, for lack of memory
} trial;

static const char why[] = "a long message that says why, which no small buffer inside a string would hold";

static int fails(uint64_t index, uint32_t attempt) { return index % 5 == 2 || (index % 5 == 1 && attempt == 1); }

static void run_lease(trial* t, pa_job* job, pa_lease* lease) {
  pa_status status = PA_STATUS_OK;
  for (uint64_t i = lease->first, end = i + lease->count; i < end && status != PA_STATUS_STOPPED; i++) {
    if (!fails(i, lease->attempt)) continue;
    const uint64_t before = i - lease->first;
    status = pa_job_fail(job, lease, i, 0, 0, 50 + (int32_t)i, why);
    t->done += before + (status == PA_STATUS_FINAL);
    t->failed += status == PA_STATUS_FINAL;
  }
  const uint64_t rest = lease->count;
  if (pa_job_complete(job, lease, rest) == PA_STATUS_OK) t->done += rest;
}

static pa_status supply_some(trial* t, pa_job* job, pa_lease* lease) {
  const uint64_t left = n - t->admitted, got = left < lease->count ? left : lease->count;
  t->admitted += got;
  lease->cookie = t->admitted;
  return pa_job_supply(job, lease, got, got == 0);
}

static void push_some(trial* t, pa_job* job) {
  pa_progress progress;
  const uint64_t got = t->admitted + 3 <= n ? 3 : n - t->admitted;
  if (!got) {
    pa_job_end_input(job, &progress);
    return;
  }
  const pa_status status = pa_job_admit(job, got, t->admitted, &progress);
  if (status == PA_STATUS_OK) t->admitted += got;
  if (status == PA_STATUS_NO_MEMORY && t->refused++) pa_job_stop(job);  // again: there will be none
}

static void hand_out(trial* t, pa_job* job) {
  pa_chunk chunk;
  while (pa_job_next(job, &chunk) == PA_STATUS_OK) {
    books_next(&t->all, &chunk);
    if (chunk.state == PA_ITEM_FAILED && pa_job_end(job) != PA_END_FAILED) CHECK_STR(chunk.message, why);
  }
}

// Three takers by turns, on one thread.
static void run_job(trial* t, pa_job* job) {
  pa_lease takers[3] = {{0}, {0}, {0}};
  int over[3] = {0, 0, 0};
  while (!over[0] || !over[1] || !over[2]) {
    for (int i = 0; i < 3; i++) {
      if (over[i]) continue;
      pa_status status = pa_job_take(job, &takers[i]);
      while (status == PA_STATUS_PULL) status = supply_some(t, job, &takers[i]);
      over[i] = status == PA_STATUS_DONE;
      if (status == PA_STATUS_OK) run_lease(t, job, &takers[i]);
    }
    if (t->flags & PA_JOB_STREAM) hand_out(t, job);
    if (t->flags & PA_JOB_PUSH) push_some(t, job);
  }
  if (t->flags & PA_JOB_STREAM) hand_out(t, job);
}

static void check_accounts(trial* t, pa_job* job) {
  const int32_t end = pa_job_end(job);
  CHECK(end == PA_END_COMPLETED || end == PA_END_FAILED || (end == PA_END_CANCELLED && t->refused));
  const uint64_t drained = drain_all(job, &t->all);
  if (end == PA_END_COMPLETED) CHECK_EQ(drained, 0);
  if (t->flags & PA_JOB_STREAM)
    books_check(&t->all, progress_of(job).admitted);
  else
    CHECK_EQ(drained + t->done, n);
  if (end == PA_END_COMPLETED) CHECK_EQ(progress_of(job).failed, n / 5);
}

static void nothing(void* ctx) { (void)ctx; }

static uint64_t try_once(void (*set)(trial*), uint64_t which, int how) {
  static trial t;
  pa_error error;
  pa_job* job = NULL;
  memset(&t, 0, sizeof t);
  t.options = defaults();
  t.options.workers = 2;
  t.options.retry.attempts = attempts;
  t.options.retry.backoff_ns = 0;
  t.count = n;
  set(&t);
  allocations_fail(which, how);
  const pa_status status = pa_job_open(&t.options, t.count, t.flags, &job, &error);
  if (job) {
    const pa_status notified = pa_job_notify(job, nothing, NULL, &error);
    CHECK(notified == PA_STATUS_OK || notified == PA_STATUS_NO_MEMORY);
    run_job(&t, job);
  }
  const uint64_t failed = allocations_stop();
  CHECK_EQ(status, job ? PA_STATUS_OK : PA_STATUS_NO_MEMORY);
  if (job) check_accounts(&t, job);
  pa_job_free(job);
  return failed;
}

static void torture(void (*set)(trial*)) {
  static int watching;
  int failures = check_failures();
  if (!watching++) allocations_watch();
  try_once(set, 0, fail_once);  // nothing fails: what stays allocated after this is no leak
  const uint64_t held = allocations_held();
  for (int how = fail_once; how <= fail_from_then_on; how++) {
    uint64_t which = 1;
    for (int shown = 0; try_once(set, which, how) && shown < 5; which++) {
      CHECK_LE(allocations_held(), held);
      if (check_failures() == failures) continue;
      fprintf(stderr, "  with allocation %d failing%s\n", (int)which, how == fail_once ? "" : ", and all after it");
      failures = check_failures();
      shown++;
    }
    CHECK(which > 1);  // there was something to fail
  }
}

static void plain(trial* t) { t->options.batch.max_items = 4; }
static void with_a_rate(trial* t) {
  t->options.rate.count = 1e6;
  t->options.rate.burst = 10;
}
static void stream(trial* t) { t->flags = PA_JOB_STREAM; }
static void ordered_stream(trial* t) {
  t->flags = PA_JOB_STREAM;
  t->options.ordered = 1;
  t->options.window = 8;
}
static void pulled_stream(trial* t) {
  t->flags = PA_JOB_STREAM | PA_JOB_PULL;
  t->count = PA_UNSIZED;
  t->options.window = 8;
}
static void pushed_stream(trial* t) {
  t->flags = PA_JOB_STREAM | PA_JOB_PUSH;
  t->count = PA_UNSIZED;
}

TEST(a_job_survives_each_failed_allocation) { torture(plain); }
TEST(a_job_with_a_rate_survives_each_failed_allocation) { torture(with_a_rate); }
TEST(a_stream_survives_each_failed_allocation) { torture(stream); }
TEST(an_ordered_stream_survives_each_failed_allocation) { torture(ordered_stream); }
TEST(a_pulled_stream_survives_each_failed_allocation) { torture(pulled_stream); }
TEST(a_pushed_stream_survives_each_failed_allocation) { torture(pushed_stream); }

static void turn_over(pa_job* job, uint64_t items) {
  pa_lease lease = {0};
  pa_chunk chunk;
  for (uint64_t i = 0; i < items; i++) {
    pa_status status = pa_job_take(job, &lease);
    if (status == PA_STATUS_PULL) status = pa_job_supply(job, &lease, 1, 0);
    CHECK_STATUS(status, PA_STATUS_OK, NULL);
    if (lease.first % 3 || lease.attempt > 1)
      pa_job_complete(job, &lease, 1);
    else
      pa_job_fail(job, &lease, lease.first, lease.first % 2 ? PA_FAIL_FINAL : 0, 0, 1, why);
    while (pa_job_next(job, &chunk) == PA_STATUS_OK) continue;
  }
  pa_job_leave(job, &lease);
}

TEST(a_stream_needs_constant_memory_whatever_fails) {
  pa_options options = defaults();
  options.batch.max_items = 1;
  options.retry.attempts = 2;
  options.retry.backoff_ns = 0;
  allocations_watch();
  pa_job* job = job_of(&options, PA_UNSIZED, PA_JOB_STREAM);
  turn_over(job, 1000);
  const uint64_t held = allocations_held();
  turn_over(job, 20000);
  CHECK_LE(allocations_held(), held + 2);  // an item may be between its attempts
  pa_job_free(job);
}
