// pa_job: what a taker is told, and what becomes of what it says. One thread plays all takers.
#include "pull.h"

static books all;

static pa_options one_by_one(uint32_t workers) {
  pa_options options = defaults();
  options.workers = workers;
  options.batch.max_items = 1;
  options.retry.backoff_ns = 0;
  return options;
}

static void reset_books(void) { memset(&all, 0, sizeof all); }

// ---- leases

TEST(every_index_is_leased_once_and_in_order) {
  const pa_options options = one_by_one(1);
  pa_job* job = job_of(&options, 5, 0);
  pa_lease lease = {0};
  for (uint64_t i = 0; i < 5; i++) {
    take_index(job, &lease, i);
    CHECK_EQ(lease.attempt, 1);
    CHECK_EQ(lease.cookie, 0);
    CHECK_STATUS(pa_job_complete(job, &lease, 1), PA_STATUS_OK, NULL);
    CHECK_EQ(lease.count, 0);
  }
  take_expecting(job, &lease, PA_STATUS_DONE);
  CHECK_EQ(pa_job_end(job), PA_END_COMPLETED);
  reset_books();
  CHECK_EQ(drain_all(job, &all), 0);
  FREE_WITH(job, &lease);
}

TEST(a_job_of_nothing_is_done_at_once) {
  pa_job* job = job_of(NULL, 0, 0);
  pa_lease lease = {0};
  take_expecting(job, &lease, PA_STATUS_DONE);
  CHECK_EQ(pa_job_end(job), PA_END_COMPLETED);
  FREE_WITH(job, &lease);
}

TEST(leases_have_the_size_that_max_items_says) {
  pa_options options = one_by_one(2);
  options.batch.max_items = 4;
  pa_job* job = job_of(&options, 10, 0);
  pa_lease lease = {0};
  const uint64_t sizes[] = {4, 4, 2};
  for (int i = 0; i < 3; i++) {
    take_expecting(job, &lease, PA_STATUS_OK);
    CHECK_EQ(lease.count, sizes[i]);
    pa_job_complete(job, &lease, lease.count);
  }
  take_expecting(job, &lease, PA_STATUS_DONE);
  FREE_WITH(job, &lease);
}

TEST(complete_and_take_is_both) {
  const pa_options options = one_by_one(1);
  pa_job* job = job_of(&options, 3, 0);
  pa_lease lease = {0}, waiting = {0};
  CHECK_STATUS(pa_job_complete_and_take(job, &lease), PA_STATUS_OK, NULL);  // it held nothing: this is take
  CHECK_EQ(lease.first, 0);
  take_expecting(job, &waiting, PA_STATUS_AGAIN);
  CHECK_STATUS(pa_job_complete_and_take(job, &lease), PA_STATUS_OK, NULL);
  CHECK_EQ(lease.first, 1);
  CHECK_EQ(lease.count, 1);
  CHECK_STATUS(pa_job_fail(job, &lease, 1, PA_FAIL_FINAL, -1, 6, "six"), PA_STATUS_FINAL, NULL);
  CHECK_STATUS(pa_job_complete_and_take(job, &lease), PA_STATUS_OK, NULL);  // nothing was left of it
  CHECK_EQ(lease.first, 2);
  CHECK_STATUS(pa_job_complete_and_take(job, &lease), PA_STATUS_DONE, NULL);
  CHECK_EQ(lease.wake, UINT32_MAX);  // that the last one was completed is what the other waits for
  take_expecting(job, &waiting, PA_STATUS_DONE);
  CHECK_EQ(pa_job_end(job), PA_END_COMPLETED);
  pa_progress progress;
  CHECK_STATUS(pa_job_progress(job, &progress), PA_STATUS_OK, NULL);
  CHECK_EQ(progress.done, 3);
  FREE_WITH(job, &lease, &waiting);
}

TEST(an_attempt_that_succeeds_after_others_may_be_completed_so_as_well) {
  pa_options options = one_by_one(1);
  options.retry.attempts = 2;
  options.retry.backoff_ns = 0;
  pa_job* job = job_of(&options, 1, 0);
  pa_lease lease = {0};
  take_index(job, &lease, 0);
  CHECK_STATUS(pa_job_fail(job, &lease, 0, 0, -1, 6, "six"), PA_STATUS_RETRY, NULL);
  CHECK_STATUS(pa_job_complete_and_take(job, &lease), PA_STATUS_OK, NULL);
  CHECK_EQ(lease.attempt, 2);
  CHECK_STATUS(pa_job_complete_and_take(job, &lease), PA_STATUS_DONE, NULL);
  reset_books();
  CHECK_EQ(drain_all(job, &all), 0);
  FREE_WITH(job, &lease);
}

TEST(takers_beyond_workers_wait_until_one_is_done) {
  const pa_options options = one_by_one(2);
  pa_job* job = job_of(&options, 10, 0);
  pa_lease a = {0}, b = {0}, c = {0};
  take_index(job, &a, 0);
  take_index(job, &b, 1);
  take_expecting(job, &c, PA_STATUS_AGAIN);
  CHECK_EQ(c.wait_ns, -1);
  CHECK_EQ(c.count, 0);
  pa_job_complete(job, &a, 1);
  CHECK_EQ(a.wake, 1);
  take_index(job, &c, 2);
  FREE_WITH(job, &a, &b, &c);
}

TEST(what_a_taker_completes_is_done_and_the_rest_goes_back) {
  pa_options options = one_by_one(1);
  options.batch.max_items = 4;
  pa_job* job = job_of(&options, 4, 0);
  pa_lease lease = {0};
  take_expecting(job, &lease, PA_STATUS_OK);
  CHECK_STATUS(pa_job_complete(job, &lease, 1), PA_STATUS_OK, NULL);
  CHECK_EQ(progress_of(job).done, 1);
  take_expecting(job, &lease, PA_STATUS_OK);
  CHECK_EQ(lease.first, 1);
  CHECK_EQ(lease.count, 3);
  CHECK_EQ(lease.attempt, 1);
  pa_job_complete(job, &lease, 3);
  take_expecting(job, &lease, PA_STATUS_DONE);
  FREE_WITH(job, &lease);
}

TEST(a_step_moves_the_lease_on_and_is_seen_by_others) {
  pa_options options = one_by_one(1);
  options.batch.max_items = 5;
  pa_job* job = job_of(&options, 5, 0);
  pa_lease lease = {0};
  take_expecting(job, &lease, PA_STATUS_OK);
  CHECK_STATUS(pa_job_step(job, &lease, 2), PA_STATUS_OK, NULL);
  CHECK_EQ(lease.first, 2);
  CHECK_EQ(lease.count, 3);
  CHECK_EQ(progress_of(job).done, 2);
  CHECK_STATUS(pa_job_step(job, &lease, 0), PA_STATUS_OK, NULL);
  CHECK_EQ(lease.count, 3);
  FREE_WITH(job, &lease);
}

TEST(a_taker_that_asks_again_gets_what_is_left_of_its_lease) {
  pa_options options = one_by_one(1);
  options.batch.max_items = 3;
  pa_job* job = job_of(&options, 6, 0);
  pa_lease lease = {0};
  take_expecting(job, &lease, PA_STATUS_OK);
  CHECK_STATUS(pa_job_fail(job, &lease, 0, 0, -1, 9, NULL), PA_STATUS_FINAL, NULL);
  take_expecting(job, &lease, PA_STATUS_OK);
  CHECK_EQ(lease.first, 1);
  CHECK_EQ(lease.count, 2);
  CHECK_STATUS(pa_job_fail(job, &lease, 2, 0, -1, 9, NULL), PA_STATUS_FINAL, NULL);
  take_expecting(job, &lease, PA_STATUS_OK);  // nothing was left: the next one
  CHECK_EQ(lease.first, 3);
  CHECK_EQ(progress_of(job).done, 3);
  FREE_WITH(job, &lease);
}

TEST(a_batch_costs_once_and_is_not_divided) {
  pa_options options = one_by_one(2);
  options.batch.max_items = 5;
  options.rate.count = 1;
  options.rate.per_ns = HOURS;
  options.rate.burst = 2;
  pa_job* job = job_of(&options, 20, PA_JOB_BATCH);
  pa_lease a = {0}, b = {0}, c = {0};
  take_expecting(job, &a, PA_STATUS_OK);
  take_expecting(job, &b, PA_STATUS_OK);
  CHECK_EQ(a.count, 5);
  CHECK_EQ(b.count, 5);
  pa_job_complete(job, &a, 5);
  pa_job_complete(job, &b, 5);
  take_expecting(job, &c, PA_STATUS_AGAIN);  // two tokens, two leases
  FREE_WITH(job, &a, &b, &c);
}

TEST(the_window_bounds_what_is_not_done) {
  pa_options options = one_by_one(8);
  options.window = 2;
  options.retry.attempts = 2;
  options.retry.backoff_ns = HOURS;
  pa_job* job = job_of(&options, 10, 0);
  pa_lease a = {0}, b = {0}, c = {0};
  take_index(job, &a, 0);
  take_index(job, &b, 1);
  take_expecting(job, &c, PA_STATUS_AGAIN);
  CHECK_STATUS(pa_job_fail(job, &a, 0, 0, -1, 1, NULL), PA_STATUS_RETRY, NULL);
  pa_job_complete(job, &a, 0);
  take_expecting(job, &a, PA_STATUS_AGAIN);  // an item that waits counts
  pa_job_complete(job, &b, 1);
  CHECK(b.wake >= 1);
  take_index(job, &a, 2);
  FREE_WITH(job, &a, &b, &c);
}

// ---- failures

TEST(a_failed_item_is_leased_again_until_no_attempt_is_left) {
  pa_options options = one_by_one(1);
  options.retry.attempts = 3;
  pa_job* job = job_of(&options, 1, 0);
  pa_lease lease = {0};
  for (uint32_t attempt = 1; attempt <= 3; attempt++) {
    take_index(job, &lease, 0);
    CHECK_EQ(lease.attempt, attempt);
    CHECK_STATUS(pa_job_fail(job, &lease, 0, 0, -1, 5, "five"), attempt < 3 ? PA_STATUS_RETRY : PA_STATUS_FINAL, NULL);
    CHECK_STATUS(pa_job_complete(job, &lease, 0), PA_STATUS_OK, NULL);
  }
  take_expecting(job, &lease, PA_STATUS_DONE);
  CHECK_EQ(progress_of(job).failed, 1);
  CHECK_EQ(pa_job_end(job), PA_END_COMPLETED);
  FREE_WITH(job, &lease);
}

TEST(a_failure_that_is_final_is_not_retried) {
  pa_options options = one_by_one(1);
  options.retry.attempts = 3;
  pa_job* job = job_of(&options, 1, 0);
  pa_lease lease = {0};
  take_index(job, &lease, 0);
  CHECK_STATUS(pa_job_fail(job, &lease, 0, PA_FAIL_FINAL, -1, 404, "gone"), PA_STATUS_FINAL, NULL);
  pa_job_complete(job, &lease, 0);
  take_expecting(job, &lease, PA_STATUS_DONE);
  FREE_WITH(job, &lease);
}

TEST(what_the_server_asked_for_replaces_the_backoff) {
  pa_options options = one_by_one(1);
  options.retry.attempts = 2;
  options.retry.backoff_ns = HOURS;
  options.retry.max_delay_ns = HOURS;
  options.retry.jitter = 0;
  pa_job* job = job_of(&options, 2, 0);
  pa_lease lease = {0};
  take_index(job, &lease, 0);
  CHECK_STATUS(pa_job_fail(job, &lease, 0, 0, 0, 503, NULL), PA_STATUS_RETRY, NULL);  // at once, says the server
  pa_job_complete(job, &lease, 0);
  take_index(job, &lease, 0);
  CHECK_EQ(lease.attempt, 2);
  pa_job_complete(job, &lease, 1);
  take_index(job, &lease, 1);
  CHECK_STATUS(pa_job_fail(job, &lease, 1, 0, -1, 503, NULL), PA_STATUS_RETRY, NULL);  // it named no time
  pa_job_complete(job, &lease, 0);
  take_expecting(job, &lease, PA_STATUS_AGAIN);
  CHECK(lease.wait_ns > HOURS / 2);
  FREE_WITH(job, &lease);
}

TEST(what_the_server_asked_for_pauses_the_limiter) {
  const pa_rate rate = {1e6, SECONDS, 100};
  pa_options options = one_by_one(2);
  options.retry.attempts = 2;
  options.retry.max_server_wait_ns = -1;
  CHECK_STATUS(pa_limiter_new(&rate, &options.limiter, NULL), PA_STATUS_OK, NULL);
  pa_job* job = job_of(&options, 3, 0);
  pa_lease a = {0}, b = {0};
  take_index(job, &a, 0);
  CHECK_STATUS(pa_job_fail(job, &a, 0, 0, HOURS, 429, NULL), PA_STATUS_RETRY, NULL);
  take_expecting(job, &b, PA_STATUS_AGAIN);
  CHECK(b.wait_ns > HOURS / 2);
  CHECK_STATUS(pa_limiter_try(options.limiter, 1, NULL, NULL), PA_STATUS_AGAIN, NULL);
  pa_limiter_release(options.limiter);
  FREE_WITH(job, &a, &b);
}

TEST(a_pause_takes_back_what_a_lease_still_holds) {
  const pa_rate rate = {1e6, SECONDS, 100};
  pa_options options = one_by_one(1);
  options.batch.max_items = 4;
  CHECK_STATUS(pa_limiter_new(&rate, &options.limiter, NULL), PA_STATUS_OK, NULL);
  pa_job* job = job_of(&options, 4, 0);
  pa_lease lease = {0};
  take_expecting(job, &lease, PA_STATUS_OK);
  CHECK_EQ(lease.count, 4);
  pa_limiter_pause(options.limiter, HOURS, NULL);
  CHECK_STATUS(pa_job_step(job, &lease, 1), PA_STATUS_STOPPED, NULL);
  CHECK_EQ(lease.count, 0);
  take_expecting(job, &lease, PA_STATUS_AGAIN);
  CHECK_EQ(progress_of(job).done, 1);
  reset_books();
  pa_job_stop(job);
  CHECK_EQ(drain_all(job, &all), 3);
  CHECK_EQ(all.drained[1] + all.drained[2] + all.drained[3], 3);
  pa_limiter_release(options.limiter);
  FREE_WITH(job, &lease);
}

TEST(max_errors_ends_the_job_and_what_never_ran_is_aborted) {
  pa_options options = one_by_one(1);
  options.max_errors = 2;
  pa_job* job = job_of(&options, 10, 0);
  pa_lease lease = {0};
  pa_chunk chunk;
  for (uint64_t i = 0; i < 2; i++) {
    take_index(job, &lease, i);
    CHECK_STATUS(pa_job_fail(job, &lease, i, 0, -1, 1, NULL), PA_STATUS_FINAL, NULL);
  }
  take_expecting(job, &lease, PA_STATUS_DONE);
  CHECK_EQ(pa_job_end(job), PA_END_ABORTED);
  reset_books();
  while (pa_job_drain(job, &chunk) == PA_STATUS_OK) {
    CHECK_EQ(chunk.state, PA_ITEM_ABORTED);
    CHECK_EQ(chunk.attempts, 0);
    books_drain(&all, &chunk);
  }
  CHECK_EQ(all.drained_count, 8);
  CHECK_EQ(all.drained[0] + all.drained[1], 0);
  FREE_WITH(job, &lease);
}

// ---- the end

TEST(a_timeout_of_zero_runs_nothing) {
  pa_options options = one_by_one(1);
  options.timeout_ns = 0;
  pa_job* job = job_of(&options, 3, 0);
  pa_lease lease = {0};
  pa_chunk chunk;
  take_expecting(job, &lease, PA_STATUS_DONE);
  CHECK_EQ(pa_job_end(job), PA_END_TIMED_OUT);
  CHECK_STATUS(pa_job_drain(job, &chunk), PA_STATUS_OK, NULL);
  CHECK_EQ(chunk.state, PA_ITEM_TIMED_OUT);
  CHECK_EQ(chunk.first, 0);
  CHECK_EQ(chunk.count, 3);
  CHECK_STATUS(pa_job_drain(job, &chunk), PA_STATUS_DONE, NULL);
  FREE_WITH(job, &lease);
}

TEST(poll_lets_the_timeout_take_effect_and_wakes_all) {
  pa_options options = one_by_one(1);
  options.retry.attempts = 2;
  options.retry.backoff_ns = options.retry.max_delay_ns = SECONDS;
  options.retry.jitter = 0;
  options.timeout_ns = 20 * MILLISECONDS;
  pa_job* job = job_of(&options, 2, 0);
  pa_lease a = {0}, b = {0};
  pa_progress progress;
  const pa_status first = pa_job_take(job, &a);
  pa_job_take(job, &b);
  do {
    CHECK_STATUS(pa_job_poll(job, &progress), PA_STATUS_OK, NULL);
    if (progress.end != PA_END_NONE) break;
    CHECK(progress.wait_ns >= 0);
    wait_until_ns(now_ns() + progress.wait_ns);
  } while (1);
  CHECK_EQ(progress.end, PA_END_TIMED_OUT);
  CHECK_EQ(progress.wait_ns, -1);
  if (first == PA_STATUS_OK) CHECK_EQ(progress.wake, UINT32_MAX);
  if (first == PA_STATUS_OK) CHECK_STATUS(pa_job_complete(job, &a, 1), PA_STATUS_OK, NULL);  // it counts
  reset_books();
  CHECK_EQ(drain_all(job, &all), first == PA_STATUS_OK ? 1 : 2);
  FREE_WITH(job, &a, &b);
}

TEST(after_a_stop_what_is_leased_may_still_be_settled) {
  pa_options options = one_by_one(3);
  options.retry.attempts = 2;
  pa_job* job = job_of(&options, 10, 0);
  pa_lease a = {0}, b = {0}, c = {0};
  pa_chunk chunk;
  take_index(job, &a, 0);
  take_index(job, &b, 1);
  take_index(job, &c, 2);
  CHECK_STATUS(pa_job_stop(job), PA_STATUS_OK, NULL);
  CHECK_EQ(pa_job_end(job), PA_END_CANCELLED);
  reset_books();
  CHECK_STATUS(pa_job_drain(job, &chunk), PA_STATUS_OK, NULL);  // those that were never taken
  books_drain(&all, &chunk);
  CHECK_STATUS(pa_job_drain(job, &chunk), PA_STATUS_AGAIN, NULL);
  CHECK_STATUS(pa_job_complete(job, &a, 1), PA_STATUS_OK, NULL);
  CHECK_STATUS(pa_job_fail(job, &b, 1, 0, -1, 7, "seven"), PA_STATUS_STOPPED, NULL);  // an attempt was left
  CHECK_EQ(b.count, 0);
  CHECK_STATUS(pa_job_fail(job, &c, 2, PA_FAIL_FINAL, -1, 8, NULL), PA_STATUS_FINAL, NULL);
  take_expecting(job, &c, PA_STATUS_DONE);
  CHECK_STATUS(pa_job_drain(job, &chunk), PA_STATUS_OK, NULL);
  books_drain(&all, &chunk);
  CHECK_EQ(chunk.first, 1);
  CHECK_EQ(chunk.state, PA_ITEM_CANCELLED);
  CHECK_EQ(chunk.attempts, 1);
  CHECK_EQ(chunk.code, 7);
  CHECK_STR(chunk.message, "seven");
  CHECK_STATUS(pa_job_drain(job, &chunk), PA_STATUS_DONE, NULL);
  CHECK_EQ(all.drained_count, 8);
  CHECK_EQ(progress_of(job).done, 2);
  FREE_WITH(job, &a, &b, &c);
}

TEST(a_call_that_gave_up_because_of_the_stop_did_not_fail) {
  pa_options options = one_by_one(1);
  pa_job* job = job_of(&options, 2, 0);
  pa_lease lease = {0};
  pa_chunk chunk;
  take_index(job, &lease, 0);
  CHECK_STATUS(pa_job_fail(job, &lease, 0, PA_FAIL_STOPPED, -1, 3, "too early"), PA_STATUS_FINAL, NULL);
  take_index(job, &lease, 1);
  pa_job_stop(job);
  CHECK_STATUS(pa_job_fail(job, &lease, 1, PA_FAIL_STOPPED, -1, 3, "told to"), PA_STATUS_STOPPED, NULL);
  CHECK_STATUS(pa_job_drain(job, &chunk), PA_STATUS_OK, NULL);
  CHECK_EQ(chunk.first, 1);
  CHECK_EQ(chunk.code, 0);
  CHECK_STR(chunk.message, "");
  CHECK_EQ(progress_of(job).failed, 1);
  FREE_WITH(job, &lease);
}

TEST(close_takes_back_what_takers_hold) {
  pa_options options = one_by_one(3);
  options.batch.max_items = 4;
  pa_job* job = job_of(&options, 20, 0);
  pa_lease a = {0}, b = {0}, c = {0}, d = {0};
  take_expecting(job, &a, PA_STATUS_OK);
  take_expecting(job, &b, PA_STATUS_OK);
  take_expecting(job, &c, PA_STATUS_OK);
  take_expecting(job, &d, PA_STATUS_AGAIN);
  CHECK_STATUS(pa_job_step(job, &a, 1), PA_STATUS_OK, NULL);
  CHECK_STATUS(pa_job_close(job), PA_STATUS_OK, NULL);
  reset_books();
  CHECK_EQ(drain_all(job, &all), 19);
  CHECK_EQ(all.drained[0], 0);
  CHECK_STATUS(pa_job_complete(job, &a, 3), PA_STATUS_STOPPED, NULL);
  CHECK_EQ(a.count, 0);
  CHECK_STATUS(pa_job_fail(job, &b, 5, 0, -1, 1, "late"), PA_STATUS_STOPPED, NULL);
  CHECK_STATUS(pa_job_complete(job, &b, 0), PA_STATUS_STOPPED, NULL);
  CHECK_STATUS(pa_job_step(job, &c, 2), PA_STATUS_STOPPED, NULL);
  CHECK_EQ(drain_all(job, &all), 0);
  CHECK_EQ(progress_of(job).done, 1);
  take_expecting(job, &a, PA_STATUS_DONE);
  take_expecting(job, &b, PA_STATUS_DONE);
  take_expecting(job, &c, PA_STATUS_DONE);
  take_expecting(job, &d, PA_STATUS_DONE);
  CHECK_STATUS(pa_job_close(job), PA_STATUS_OK, NULL);
  FREE_WITH(job, &a, &b, &c, &d);
}

TEST(what_close_took_back_says_how_often_it_was_started) {
  pa_options options = one_by_one(1);
  options.batch.max_items = 3;
  options.retry.attempts = 3;
  pa_job* job = job_of(&options, 3, 0);
  pa_lease lease = {0};
  pa_chunk chunk;
  uint32_t attempts[3] = {9, 9, 9};
  take_expecting(job, &lease, PA_STATUS_OK);
  CHECK_STATUS(pa_job_fail(job, &lease, 0, 0, -1, 6, "six"), PA_STATUS_RETRY, NULL);
  pa_job_close(job);
  while (pa_job_drain(job, &chunk) == PA_STATUS_OK)
    for (uint64_t i = 0; i < chunk.count; i++) attempts[chunk.first + i] = chunk.attempts;
  CHECK_EQ(attempts[0], 1);
  CHECK_EQ(attempts[1], 1);  // the first of what the lease still held is running
  CHECK_EQ(attempts[2], 0);
  CHECK_STATUS(pa_job_complete(job, &lease, 2), PA_STATUS_STOPPED, NULL);
  pa_job_leave(job, &lease);
  FREE_WITH(job, &lease);
}

// ---- coming and going

TEST(calls_after_free_are_harmless) {
  const pa_options options = one_by_one(4);
  pa_job* job = job_of(&options, 4, 0);
  pa_lease completing = {0}, failing = {0}, leaving = {0}, taking = {0}, parked = {0};
  take_index(job, &completing, 0);
  take_index(job, &failing, 1);
  take_index(job, &leaving, 2);
  take_index(job, &taking, 3);
  take_expecting(job, &parked, PA_STATUS_AGAIN);
  pa_job_free(job);
  CHECK_STATUS(pa_job_complete(job, &completing, 1), PA_STATUS_STOPPED, NULL);
  CHECK_STATUS(pa_job_complete_and_take(job, &completing), PA_STATUS_DONE, NULL);
  CHECK_STATUS(pa_job_fail(job, &failing, 1, 0, -1, 1, "late"), PA_STATUS_STOPPED, NULL);
  take_expecting(job, &failing, PA_STATUS_DONE);
  CHECK_STATUS(pa_job_leave(job, &leaving), PA_STATUS_OK, NULL);
  take_expecting(job, &parked, PA_STATUS_DONE);
  CHECK_STATUS(pa_job_complete_and_take(job, &taking), PA_STATUS_DONE, NULL);  // the last one frees the job
}

TEST(what_a_taker_held_when_it_left_is_leased_again) {
  pa_options options = one_by_one(2);
  options.batch.max_items = 3;
  pa_job* job = job_of(&options, 3, 0);
  pa_lease dead = {0}, heir = {0};
  take_expecting(job, &dead, PA_STATUS_OK);
  pa_job_step(job, &dead, 1);
  take_expecting(job, &heir, PA_STATUS_AGAIN);
  CHECK_STATUS(pa_job_leave(job, &dead), PA_STATUS_OK, NULL);
  CHECK_EQ(dead.wake, 1);
  take_expecting(job, &heir, PA_STATUS_OK);
  CHECK_EQ(heir.first, 1);
  CHECK_EQ(heir.count, 2);
  CHECK_EQ(heir.attempt, 1);
  pa_job_complete(job, &heir, 2);
  CHECK_STATUS(pa_job_leave(job, &dead), PA_STATUS_OK, NULL);  // it is not there any more
  pa_job_free(job);
  take_expecting(job, &heir, PA_STATUS_DONE);
}

TEST(a_parked_taker_that_leaves_names_somebody_in_its_place) {
  pa_options options = one_by_one(4);
  options.retry.attempts = 2;
  options.retry.backoff_ns = options.retry.max_delay_ns = HOURS;
  pa_job* job = job_of(&options, 1, 0);
  pa_lease keeper = {0}, other = {0};
  take_index(job, &keeper, 0);
  CHECK_STATUS(pa_job_fail(job, &keeper, 0, 0, -1, 1, NULL), PA_STATUS_RETRY, NULL);
  take_expecting(job, &keeper, PA_STATUS_AGAIN);
  CHECK(keeper.wait_ns > 0);
  take_expecting(job, &other, PA_STATUS_AGAIN);
  CHECK_EQ(other.wait_ns, -1);  // somebody keeps the time already
  pa_job_leave(job, &keeper);
  CHECK_EQ(keeper.wake, 1);
  take_expecting(job, &other, PA_STATUS_AGAIN);
  CHECK(other.wait_ns > 0);
  FREE_WITH(job, &keeper, &other);
}

TEST(a_lease_may_be_used_for_one_job_after_the_other) {
  const pa_options options = one_by_one(1);
  pa_lease lease = {0};
  for (int round = 0; round < 3; round++) {
    pa_job* job = job_of(&options, 1, 0);
    take_index(job, &lease, 0);
    pa_job_complete(job, &lease, 1);
    take_expecting(job, &lease, PA_STATUS_DONE);
    pa_job_free(job);
  }
}

TEST(progress_says_how_far_a_job_is_and_changes_nothing) {
  pa_options options = one_by_one(1);
  options.timeout_ns = HOURS;
  pa_job* job = job_of(&options, 3, 0);
  pa_lease lease = {0};
  take_index(job, &lease, 0);
  pa_job_complete(job, &lease, 1);
  take_index(job, &lease, 1);
  pa_job_fail(job, &lease, 1, 0, -1, 1, NULL);
  const pa_progress progress = progress_of(job);
  CHECK_EQ(progress.admitted, 2);
  CHECK_EQ(progress.done, 2);
  CHECK_EQ(progress.failed, 1);
  CHECK_EQ(progress.end, PA_END_NONE);
  CHECK(progress.wait_ns > HOURS / 2);
  FREE_WITH(job, &lease);
}
