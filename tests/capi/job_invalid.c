// Wrong arguments to pa_job_*: each is refused, and has no effect.
#include "pull.h"

static void refuse(const pa_options* options, uint32_t flags, const char* part) {
  pa_job* job = (pa_job*)1;
  pa_error error = {0, 0, ""};
  CHECK_STATUS(pa_job_open(options, 3, flags, &job, &error), PA_STATUS_INVALID, &error);
  CHECK(job == NULL);
  CHECK_CONTAINS(error.message, part);
  CHECK_STATUS(pa_job_open(options, 3, flags, &job, NULL), PA_STATUS_INVALID, NULL);
}

static void any_function(void) {}
static void nothing(void* ctx) { (void)ctx; }

#define REFUSE_CALLBACK(field)                           \
  do {                                                   \
    pa_options with = defaults();                        \
    with.field = (__typeof__(with.field))any_function;   \
    refuse(&with, 0, "options." #field " must be NULL"); \
  } while (0)

TEST(a_job_calls_nothing) {
  REFUSE_CALLBACK(retry.retry_if);
  REFUSE_CALLBACK(on_progress);
  REFUSE_CALLBACK(on_result);
  REFUSE_CALLBACK(item_key);
  REFUSE_CALLBACK(release_value);
  REFUSE_CALLBACK(release_item);
  REFUSE_CALLBACK(worker_start);
  REFUSE_CALLBACK(worker_stop);
  REFUSE_CALLBACK(on_quiescent);
}

TEST(a_job_watches_no_call) {
  pa_options options = defaults();
  options.item_timeout_ns = 5;
  refuse(&options, 0, "options.item_timeout_ns must be -1 for pa_job_open, got 5");
  options = defaults();
  options.executor = PA_EXECUTOR_INLINE;
  refuse(&options, 0, "options.executor must be PA_EXECUTOR_THREADS for pa_job_open, got 1");
  options = defaults();
  options.detach = 1;
  refuse(&options, 0, "options.detach must be 0 for pa_job_open, got 1");
}

TEST(options_are_checked_as_elsewhere) {
  pa_options options = defaults();
  options.retry.attempts = 0;
  refuse(&options, 0, "options.retry.attempts");
  options = defaults();
  options.ordered = 2;
  refuse(&options, PA_JOB_STREAM, "options.ordered must be 0 or 1, got 2");
  options = defaults();
  options.rate.count = -1;
  refuse(&options, 0, "options.rate.count");
}

TEST(flags_are_known_and_fit_together) {
  refuse(NULL, 16, "flags must be made of PA_JOB_*, got 0x10");
  refuse(NULL, UINT32_MAX, "flags must be made of PA_JOB_*");
  refuse(NULL, PA_JOB_PULL | PA_JOB_PUSH, "flags must not have both PA_JOB_PULL and PA_JOB_PUSH, got 0x6");
}

TEST(a_job_needs_a_place_to_go) {
  pa_error error;
  CHECK_STATUS(pa_job_open(NULL, 1, 0, NULL, &error), PA_STATUS_INVALID, &error);
  CHECK_CONTAINS(error.message, "job must not be NULL");
}

TEST(null_is_refused_everywhere) {
  pa_job* job = job_of(NULL, 3, PA_JOB_STREAM);
  pa_lease lease = {0};
  pa_chunk chunk;
  pa_progress progress;
  pa_error error;
  CHECK_STATUS(pa_job_take(NULL, &lease), PA_STATUS_INVALID, NULL);
  CHECK_STATUS(pa_job_take(job, NULL), PA_STATUS_INVALID, NULL);
  CHECK_STATUS(pa_job_supply(NULL, &lease, 0, 0), PA_STATUS_INVALID, NULL);
  CHECK_STATUS(pa_job_supply(job, NULL, 0, 0), PA_STATUS_INVALID, NULL);
  CHECK_STATUS(pa_job_step(NULL, &lease, 0), PA_STATUS_INVALID, NULL);
  CHECK_STATUS(pa_job_step(job, NULL, 0), PA_STATUS_INVALID, NULL);
  CHECK_STATUS(pa_job_fail(NULL, &lease, 0, 0, -1, 1, NULL), PA_STATUS_INVALID, NULL);
  CHECK_STATUS(pa_job_fail(job, NULL, 0, 0, -1, 1, NULL), PA_STATUS_INVALID, NULL);
  CHECK_STATUS(pa_job_complete(NULL, &lease, 0), PA_STATUS_INVALID, NULL);
  CHECK_STATUS(pa_job_complete_and_take(NULL, &lease), PA_STATUS_INVALID, NULL);
  CHECK_STATUS(pa_job_complete(job, NULL, 0), PA_STATUS_INVALID, NULL);
  CHECK_STATUS(pa_job_complete_and_take(job, NULL), PA_STATUS_INVALID, NULL);
  CHECK_STATUS(pa_job_leave(NULL, &lease), PA_STATUS_INVALID, NULL);
  CHECK_STATUS(pa_job_leave(job, NULL), PA_STATUS_INVALID, NULL);
  CHECK_STATUS(pa_job_next(NULL, &chunk), PA_STATUS_INVALID, NULL);
  CHECK_STATUS(pa_job_next(job, NULL), PA_STATUS_INVALID, NULL);
  CHECK_STATUS(pa_job_drain(NULL, &chunk), PA_STATUS_INVALID, NULL);
  CHECK_STATUS(pa_job_drain(job, NULL), PA_STATUS_INVALID, NULL);
  CHECK_EQ(pa_job_room(NULL), 0);
  CHECK_STATUS(pa_job_admit(NULL, 1, 0, &progress), PA_STATUS_INVALID, NULL);
  CHECK_STATUS(pa_job_end_input(NULL, &progress), PA_STATUS_INVALID, NULL);
  CHECK_STATUS(pa_job_poll(NULL, &progress), PA_STATUS_INVALID, NULL);
  CHECK_STATUS(pa_job_poll(job, NULL), PA_STATUS_INVALID, NULL);
  CHECK_STATUS(pa_job_progress(NULL, &progress), PA_STATUS_INVALID, NULL);
  CHECK_STATUS(pa_job_progress(job, NULL), PA_STATUS_INVALID, NULL);
  CHECK_STATUS(pa_job_notify(NULL, nothing, NULL, &error), PA_STATUS_INVALID, &error);
  CHECK_CONTAINS(error.message, "job must not be NULL");
  CHECK_EQ(pa_job_fd(NULL, &error), PA_STATUS_INVALID);
  CHECK_STATUS(pa_job_stop(NULL), PA_STATUS_INVALID, NULL);
  CHECK_EQ(pa_job_end(NULL), PA_END_NONE);
  CHECK_STATUS(pa_job_close(NULL), PA_STATUS_INVALID, NULL);
  pa_job_free(NULL);
  CHECK_EQ(progress_of(job).end, PA_END_NONE);
  pa_job_free(job);
}

TEST(a_taker_without_a_lease_can_settle_nothing) {
  pa_options options = defaults();
  options.workers = 1;
  pa_job* job = job_of(&options, 3, 0);
  pa_lease fresh = {0}, holder = {0}, parked = {0};
  take_expecting(job, &holder, PA_STATUS_OK);
  take_expecting(job, &parked, PA_STATUS_AGAIN);
  pa_lease* const without[] = {&fresh, &parked};
  for (int i = 0; i < 2; i++) {
    CHECK_STATUS(pa_job_step(job, without[i], 0), PA_STATUS_INVALID, NULL);
    CHECK_STATUS(pa_job_fail(job, without[i], 0, 0, -1, 1, NULL), PA_STATUS_INVALID, NULL);
    CHECK_STATUS(pa_job_complete(job, without[i], 0), PA_STATUS_INVALID, NULL);
    CHECK_STATUS(pa_job_supply(job, without[i], 1, 0), PA_STATUS_INVALID, NULL);
  }
  CHECK_STATUS(pa_job_leave(job, &fresh), PA_STATUS_OK, NULL);  // it never came
  CHECK_EQ(progress_of(job).done, 0);
  CHECK_STATUS(pa_job_complete(job, &holder, 1), PA_STATUS_OK, NULL);
  CHECK_STATUS(pa_job_complete(job, &holder, 0), PA_STATUS_INVALID, NULL);  // not twice
  CHECK_EQ(progress_of(job).done, 1);
  pa_job_leave(job, &holder);
  pa_job_leave(job, &parked);
  pa_job_free(job);
}

TEST(nothing_beyond_the_lease_can_be_settled) {
  pa_options options = defaults();
  options.batch.max_items = 3;
  options.workers = 2;
  pa_job* job = job_of(&options, 9, 0);
  pa_lease before = {0}, lease = {0};
  take_expecting(job, &before, PA_STATUS_OK);
  take_expecting(job, &lease, PA_STATUS_OK);
  CHECK_EQ(lease.first, 3);
  CHECK_STATUS(pa_job_step(job, &lease, 4), PA_STATUS_INVALID, NULL);
  CHECK_STATUS(pa_job_complete(job, &lease, 4), PA_STATUS_INVALID, NULL);
  CHECK_STATUS(pa_job_complete(job, &lease, UINT64_MAX), PA_STATUS_INVALID, NULL);
  CHECK_STATUS(pa_job_fail(job, &lease, 2, 0, -1, 1, NULL), PA_STATUS_INVALID, NULL);
  CHECK_STATUS(pa_job_fail(job, &lease, 6, 0, -1, 1, NULL), PA_STATUS_INVALID, NULL);
  CHECK_STATUS(pa_job_fail(job, &lease, 3, 8, -1, 1, NULL), PA_STATUS_INVALID, NULL);
  CHECK_EQ(progress_of(job).done, 0);
  lease.first = 0;  // what the caller writes there is not believed
  lease.count = 100;
  CHECK_STATUS(pa_job_step(job, &lease, 4), PA_STATUS_INVALID, NULL);
  CHECK_STATUS(pa_job_fail(job, &lease, 1, 0, -1, 1, NULL), PA_STATUS_INVALID, NULL);
  CHECK_STATUS(pa_job_fail(job, &lease, 4, 0, -1, 1, NULL), PA_STATUS_FINAL, NULL);
  CHECK_STATUS(pa_job_fail(job, &lease, 4, 0, -1, 1, NULL), PA_STATUS_INVALID, NULL);  // it has failed already
  CHECK_EQ(lease.first, 5);
  CHECK_EQ(lease.count, 1);
  CHECK_EQ(progress_of(job).done, 2);
  pa_job_leave(job, &before);
  pa_job_leave(job, &lease);
  pa_job_free(job);
}

TEST(a_lease_of_another_job_is_refused) {
  pa_job* job = job_of(NULL, 3, PA_JOB_PULL);
  pa_job* other = job_of(NULL, 3, 0);
  pa_lease lease = {0}, garbage;
  memset(&garbage, 0x5a, sizeof garbage);
  take_expecting(other, &lease, PA_STATUS_OK);
  CHECK_STATUS(pa_job_take(job, &lease), PA_STATUS_INVALID, NULL);
  CHECK_STATUS(pa_job_step(job, &lease, 0), PA_STATUS_INVALID, NULL);
  CHECK_STATUS(pa_job_leave(job, &lease), PA_STATUS_INVALID, NULL);
  CHECK_STATUS(pa_job_take(job, &garbage), PA_STATUS_INVALID, NULL);
  CHECK_STATUS(pa_job_complete(job, &garbage, 0), PA_STATUS_INVALID, NULL);
  CHECK_STATUS(pa_job_complete(other, &lease, 1), PA_STATUS_OK, NULL);
  pa_job_leave(other, &lease);
  pa_job_free(job);
  pa_job_free(other);
}

TEST(a_pull_is_answered_by_a_supply_that_fits) {
  pa_options options = defaults();
  options.batch.max_items = 2;
  pa_job* job = job_of(&options, PA_UNSIZED, PA_JOB_PULL);
  pa_lease lease = {0};
  take_expecting(job, &lease, PA_STATUS_PULL);
  CHECK_EQ(lease.count, 2);
  CHECK_STATUS(pa_job_take(job, &lease), PA_STATUS_INVALID, NULL);
  CHECK_STATUS(pa_job_complete(job, &lease, 0), PA_STATUS_INVALID, NULL);
  CHECK_STATUS(pa_job_complete_and_take(job, &lease), PA_STATUS_INVALID, NULL);
  CHECK_STATUS(pa_job_fail(job, &lease, 0, 0, -1, 1, NULL), PA_STATUS_INVALID, NULL);
  CHECK_STATUS(pa_job_supply(job, &lease, 3, 0), PA_STATUS_INVALID, NULL);
  CHECK_STATUS(pa_job_supply(job, &lease, 2, 2), PA_STATUS_INVALID, NULL);
  CHECK_STATUS(pa_job_supply(job, &lease, 2, -1), PA_STATUS_INVALID, NULL);
  CHECK_EQ(progress_of(job).admitted, 0);
  CHECK_STATUS(pa_job_supply(job, &lease, 2, 1), PA_STATUS_OK, NULL);
  CHECK_STATUS(pa_job_supply(job, &lease, 2, 1), PA_STATUS_INVALID, NULL);
  CHECK_EQ(progress_of(job).admitted, 2);
  pa_job_leave(job, &lease);
  pa_job_free(job);
}

TEST(a_function_for_another_kind_of_job_is_refused) {
  pa_job* plain = job_of(NULL, 3, 0);
  pa_job* push = job_of(NULL, PA_UNSIZED, PA_JOB_PUSH);
  pa_chunk chunk;
  pa_progress progress;
  CHECK_STATUS(pa_job_next(plain, &chunk), PA_STATUS_INVALID, NULL);
  CHECK_EQ(pa_job_room(plain), 0);
  CHECK_STATUS(pa_job_admit(plain, 1, 0, &progress), PA_STATUS_INVALID, NULL);
  CHECK_STATUS(pa_job_end_input(plain, &progress), PA_STATUS_INVALID, NULL);
  CHECK_STATUS(pa_job_admit(push, 1, 0, NULL), PA_STATUS_INVALID, NULL);
  CHECK_STATUS(pa_job_end_input(push, NULL), PA_STATUS_INVALID, NULL);
  CHECK_STATUS(pa_job_admit(push, UINT64_MAX, 0, &progress), PA_STATUS_INVALID, NULL);  // indices would wrap around
  CHECK_EQ(progress_of(push).admitted, 0);
  pa_job_free(plain);
  pa_job_free(push);
}
