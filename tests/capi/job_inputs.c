// pa_job with inputs that are fetched (PA_JOB_PULL) or brought (PA_JOB_PUSH). One thread plays all parts.
#include "pull.h"

static books all;

static pa_options one_by_one(uint32_t workers) {
  pa_options options = defaults();
  options.workers = workers;
  options.batch.max_items = 1;
  options.retry.backoff_ns = 0;
  memset(&all, 0, sizeof all);
  return options;
}

static pa_status supply(pa_job* job, pa_lease* lease, uint64_t got, uint64_t cookie, int32_t end) {
  lease->cookie = cookie;
  return pa_job_supply(job, lease, got, end);
}

static pa_progress admit(pa_job* job, uint64_t got, uint64_t cookie, pa_status want) {
  pa_progress progress;
  CHECK_STATUS(pa_job_admit(job, got, cookie, &progress), want, NULL);
  return progress;
}

static void end_input(pa_job* job) {
  pa_progress progress;
  CHECK_STATUS(pa_job_end_input(job, &progress), PA_STATUS_OK, NULL);
}

// ---- pull

TEST(inputs_are_pulled_leased_and_come_back_with_their_cookie) {
  const pa_options options = one_by_one(1);
  pa_job* job = job_of(&options, PA_UNSIZED, 0);  // PA_JOB_PULL is implied
  pa_lease lease = {0};
  for (uint64_t i = 0; i < 5; i++) {
    take_expecting(job, &lease, PA_STATUS_PULL);
    CHECK_EQ(lease.first, i);
    CHECK_EQ(lease.count, 1);
    CHECK_STATUS(supply(job, &lease, 1, 100 + i, 0), PA_STATUS_OK, NULL);
    CHECK_EQ(lease.first, i);
    CHECK_EQ(lease.cookie, 100 + i);
    CHECK_STATUS(pa_job_complete(job, &lease, 1), PA_STATUS_OK, NULL);
  }
  take_expecting(job, &lease, PA_STATUS_PULL);
  CHECK_STATUS(supply(job, &lease, 0, 0, 1), PA_STATUS_DONE, NULL);
  CHECK_EQ(pa_job_end(job), PA_END_COMPLETED);
  CHECK_EQ(progress_of(job).admitted, 5);
  FREE_WITH(job, &lease);
}

TEST(retries_and_chunks_carry_the_cookie) {
  pa_options options = one_by_one(1);
  options.retry.attempts = 2;
  pa_job* job = job_of(&options, PA_UNSIZED, PA_JOB_PULL | PA_JOB_STREAM);
  pa_lease lease = {0};
  pa_chunk chunk;
  take_expecting(job, &lease, PA_STATUS_PULL);
  CHECK_STATUS(supply(job, &lease, 1, 77, 1), PA_STATUS_OK, NULL);
  CHECK_STATUS(pa_job_fail(job, &lease, 0, 0, -1, 1, NULL), PA_STATUS_RETRY, NULL);
  pa_job_complete(job, &lease, 0);
  take_index(job, &lease, 0);
  CHECK_EQ(lease.cookie, 77);
  CHECK_EQ(lease.attempt, 2);
  pa_job_complete(job, &lease, 1);
  CHECK_STATUS(pa_job_next(job, &chunk), PA_STATUS_OK, NULL);
  CHECK_EQ(chunk.cookie, 77);
  CHECK_EQ(chunk.attempts, 2);
  FREE_WITH(job, &lease);
}

TEST(no_lease_spans_two_supplies) {
  pa_options options = one_by_one(1);
  options.batch.max_items = 4;
  pa_job* job = job_of(&options, PA_UNSIZED, PA_JOB_PULL);
  pa_lease a = {0}, b = {0};
  take_expecting(job, &a, PA_STATUS_PULL);
  CHECK_EQ(a.count, 4);
  CHECK_STATUS(supply(job, &a, 3, 1, 0), PA_STATUS_OK, NULL);
  CHECK_EQ(a.count, 3);
  pa_job_complete(job, &a, 1);  // two are left of the first supply
  take_expecting(job, &b, PA_STATUS_OK);
  CHECK_EQ(b.count, 2);
  CHECK_EQ(b.cookie, 1);
  FREE_WITH(job, &a, &b);
}

TEST(one_taker_pulls_at_a_time) {
  const pa_options options = one_by_one(4);
  pa_job* job = job_of(&options, PA_UNSIZED, PA_JOB_PULL);
  pa_lease a = {0}, b = {0};
  take_expecting(job, &a, PA_STATUS_PULL);
  take_expecting(job, &b, PA_STATUS_AGAIN);
  CHECK_STATUS(supply(job, &a, 1, 0, 0), PA_STATUS_OK, NULL);
  CHECK_EQ(a.wake, 1);
  take_expecting(job, &b, PA_STATUS_PULL);
  pa_job_leave(job, &b);  // and nobody is left who would
  CHECK_EQ(pa_job_end(job), PA_END_NONE);
  pa_job_complete(job, &a, 1);
  take_expecting(job, &a, PA_STATUS_PULL);
  CHECK_EQ(a.first, 1);
  CHECK_STATUS(supply(job, &a, 0, 0, 1), PA_STATUS_DONE, NULL);
  FREE_WITH(job, &a, &b);
}

TEST(inputs_are_pulled_no_further_than_the_window) {
  pa_options options = one_by_one(8);
  options.window = 3;
  pa_job* job = job_of(&options, PA_UNSIZED, PA_JOB_PULL | PA_JOB_STREAM);
  pa_lease lease[3] = {{0}, {0}, {0}}, more = {0};
  pa_chunk chunk;
  for (uint64_t i = 0; i < 3; i++) {
    take_expecting(job, &lease[i], PA_STATUS_PULL);
    CHECK_STATUS(supply(job, &lease[i], 1, i, 0), PA_STATUS_OK, NULL);
  }
  take_expecting(job, &more, PA_STATUS_AGAIN);
  pa_job_complete(job, &lease[1], 1);
  take_expecting(job, &more, PA_STATUS_AGAIN);
  CHECK_STATUS(pa_job_next(job, &chunk), PA_STATUS_OK, NULL);
  CHECK_EQ(chunk.cookie, 1);
  CHECK_STATUS(pa_job_next(job, &chunk), PA_STATUS_AGAIN, NULL);
  CHECK_EQ(chunk.wake, 1);
  take_expecting(job, &more, PA_STATUS_PULL);
  pa_job_free(job);
  CHECK_STATUS(supply(job, &more, 1, 9, 0), PA_STATUS_STOPPED, NULL);
  pa_job_leave(job, &more);
  for (uint64_t i = 0; i < 3; i++) pa_job_leave(job, &lease[i]);
}

TEST(a_source_that_fails_stops_the_job) {
  const pa_options options = one_by_one(2);
  pa_job* job = job_of(&options, PA_UNSIZED, PA_JOB_PULL | PA_JOB_STREAM);
  pa_lease lease = {0}, fetching = {0};
  pa_chunk chunk;
  take_expecting(job, &lease, PA_STATUS_PULL);
  CHECK_STATUS(supply(job, &lease, 1, 0, 0), PA_STATUS_OK, NULL);
  take_expecting(job, &fetching, PA_STATUS_PULL);
  pa_job_stop(job);
  CHECK_STATUS(supply(job, &fetching, 0, 0, 1), PA_STATUS_DONE, NULL);
  CHECK_EQ(pa_job_end(job), PA_END_CANCELLED);
  pa_job_complete(job, &lease, 1);
  CHECK_STATUS(pa_job_next(job, &chunk), PA_STATUS_OK, NULL);
  books_next(&all, &chunk);
  CHECK_STATUS(pa_job_next(job, &chunk), PA_STATUS_DONE, NULL);
  CHECK_EQ(drain_all(job, &all), 0);
  books_check(&all, 1);
  FREE_WITH(job, &lease, &fetching);
}

TEST(inputs_that_come_after_the_end_are_drained) {
  pa_options options = one_by_one(2);
  options.batch.max_items = 4;
  pa_job* job = job_of(&options, PA_UNSIZED, PA_JOB_PULL);
  pa_lease lease = {0};
  pa_chunk chunk;
  take_expecting(job, &lease, PA_STATUS_PULL);
  pa_job_stop(job);
  CHECK_STATUS(pa_job_drain(job, &chunk), PA_STATUS_AGAIN, NULL);  // more may come
  CHECK_STATUS(supply(job, &lease, 4, 5, 0), PA_STATUS_DONE, NULL);
  CHECK_STATUS(pa_job_drain(job, &chunk), PA_STATUS_OK, NULL);
  books_drain(&all, &chunk);
  CHECK_EQ(chunk.cookie, 5);
  CHECK_EQ(chunk.state, PA_ITEM_CANCELLED);
  CHECK_EQ(drain_all(job, &all), 0);
  books_check(&all, 4);
  FREE_WITH(job, &lease);
}

TEST(inputs_that_come_after_close_are_no_part_of_the_job) {
  const pa_options options = one_by_one(2);
  pa_job* job = job_of(&options, PA_UNSIZED, PA_JOB_PULL);
  pa_lease lease = {0};
  take_expecting(job, &lease, PA_STATUS_PULL);
  pa_job_close(job);
  CHECK_EQ(drain_all(job, &all), 0);
  CHECK_STATUS(supply(job, &lease, 1, 0, 0), PA_STATUS_STOPPED, NULL);
  CHECK_EQ(drain_all(job, &all), 0);
  take_expecting(job, &lease, PA_STATUS_DONE);
  FREE_WITH(job, &lease);
}

// ---- push

TEST(pushed_inputs_are_leased_when_they_come) {
  pa_options options = one_by_one(2);
  options.window = 3;
  pa_job* job = job_of(&options, PA_UNSIZED, PA_JOB_PUSH);
  pa_lease lease = {0};
  take_expecting(job, &lease, PA_STATUS_AGAIN);
  CHECK_EQ(pa_job_room(job), 3);
  CHECK_EQ(admit(job, 2, 50, PA_STATUS_OK).wake, 1);
  CHECK_EQ(pa_job_room(job), 1);
  take_index(job, &lease, 0);
  CHECK_EQ(lease.cookie, 50);
  CHECK_EQ(admit(job, 3, 51, PA_STATUS_OK).admitted, 5);  // more than there is room for
  CHECK_EQ(pa_job_room(job), 0);
  for (uint64_t i = 1; i <= 5; i++) {
    CHECK_STATUS(pa_job_complete(job, &lease, 1), PA_STATUS_OK, NULL);
    if (i == 5) break;
    take_index(job, &lease, i);
    CHECK_EQ(lease.cookie, i < 2 ? 50 : 51);
  }
  CHECK_EQ(pa_job_room(job), 3);
  take_expecting(job, &lease, PA_STATUS_AGAIN);
  end_input(job);
  CHECK_EQ(pa_job_end(job), PA_END_COMPLETED);
  CHECK_EQ(pa_job_room(job), 0);
  take_expecting(job, &lease, PA_STATUS_DONE);
  FREE_WITH(job, &lease);
}

TEST(the_end_of_the_input_wakes_everybody) {
  const pa_options options = one_by_one(4);
  pa_job* job = job_of(&options, PA_UNSIZED, PA_JOB_PUSH | PA_JOB_STREAM);
  pa_lease a = {0}, b = {0};
  pa_chunk chunk;
  pa_progress progress;
  take_expecting(job, &a, PA_STATUS_AGAIN);
  take_expecting(job, &b, PA_STATUS_AGAIN);
  CHECK_STATUS(pa_job_next(job, &chunk), PA_STATUS_AGAIN, NULL);
  CHECK_STATUS(pa_job_end_input(job, &progress), PA_STATUS_OK, NULL);
  CHECK_EQ(progress.wake, UINT32_MAX);
  CHECK_EQ(progress.wake_consumer, 1);
  CHECK_EQ(progress.end, PA_END_COMPLETED);
  CHECK_STATUS(pa_job_next(job, &chunk), PA_STATUS_DONE, NULL);
  take_expecting(job, &a, PA_STATUS_DONE);
  take_expecting(job, &b, PA_STATUS_DONE);
  FREE_WITH(job, &a, &b);
}

TEST(nothing_is_admitted_after_the_end) {
  const pa_options options = one_by_one(1);
  pa_job* job = job_of(&options, PA_UNSIZED, PA_JOB_PUSH | PA_JOB_STREAM);
  admit(job, 3, 0, PA_STATUS_OK);
  pa_job_stop(job);
  CHECK_EQ(admit(job, 1, 0, PA_STATUS_STOPPED).admitted, 3);
  CHECK_EQ(pa_job_room(job), 0);
  CHECK_EQ(drain_all(job, &all), 3);
  books_check(&all, 3);
  pa_job_free(job);
}

TEST(nothing_is_admitted_after_the_end_of_the_input) {
  const pa_options options = one_by_one(1);
  pa_job* job = job_of(&options, PA_UNSIZED, PA_JOB_PUSH);
  pa_progress progress;
  admit(job, 1, 0, PA_STATUS_OK);
  end_input(job);
  admit(job, 1, 0, PA_STATUS_STOPPED);
  CHECK_STATUS(pa_job_end_input(job, &progress), PA_STATUS_STOPPED, NULL);
  CHECK_EQ(pa_job_end(job), PA_END_NONE);  // one is still to be run
  pa_job_free(job);
}

TEST(a_pushed_stream_makes_room_when_its_consumer_comes_back) {
  pa_options options = one_by_one(1);
  options.window = 1;
  pa_job* job = job_of(&options, PA_UNSIZED, PA_JOB_PUSH | PA_JOB_STREAM);
  pa_lease lease = {0};
  pa_chunk chunk;
  admit(job, 1, 0, PA_STATUS_OK);
  take_index(job, &lease, 0);
  pa_job_complete(job, &lease, 1);
  CHECK_EQ(pa_job_room(job), 0);
  CHECK_STATUS(pa_job_next(job, &chunk), PA_STATUS_OK, NULL);
  CHECK_EQ(pa_job_room(job), 0);
  CHECK_STATUS(pa_job_next(job, &chunk), PA_STATUS_AGAIN, NULL);
  CHECK_EQ(pa_job_room(job), 1);
  FREE_WITH(job, &lease);
}
