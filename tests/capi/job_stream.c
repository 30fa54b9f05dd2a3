// Streams of the pull interface: what is done, handed to one consumer. One thread plays all parts, so order is known.
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

static pa_chunk next_expecting(pa_job* job, pa_status want) {
  pa_chunk chunk;
  memset(&chunk, 0xff, sizeof chunk);
  CHECK_STATUS(pa_job_next(job, &chunk), want, NULL);
  if (want == PA_STATUS_OK) books_next(&all, &chunk);
  return chunk;
}

static void next_index(pa_job* job, uint64_t index, int32_t state) {
  const pa_chunk chunk = next_expecting(job, PA_STATUS_OK);
  CHECK_EQ(chunk.first, index);
  CHECK_EQ(chunk.count, 1);
  CHECK_EQ(chunk.state, state);
}

static void complete_one(pa_job* job, pa_lease* lease) { CHECK_STATUS(pa_job_complete(job, lease, 1), PA_STATUS_OK, NULL); }

static void fail_one(pa_job* job, pa_lease* lease, pa_status want) {
  CHECK_STATUS(pa_job_fail(job, lease, lease->first, 0, -1, 40 + (int32_t)lease->first, "it failed"), want, NULL);
  CHECK_STATUS(pa_job_complete(job, lease, 0), PA_STATUS_OK, NULL);
}

TEST(outcomes_come_as_items_finish) {
  const pa_options options = one_by_one(3);
  pa_job* job = job_of(&options, 3, PA_JOB_STREAM);
  pa_lease lease[3] = {{0}, {0}, {0}};
  for (uint64_t i = 0; i < 3; i++) take_index(job, &lease[i], i);
  next_expecting(job, PA_STATUS_AGAIN);
  complete_one(job, &lease[2]);
  CHECK_EQ(lease[2].wake_consumer, 1);
  next_index(job, 2, PA_ITEM_OK);
  fail_one(job, &lease[0], PA_STATUS_FINAL);
  complete_one(job, &lease[1]);
  const pa_chunk failed = next_expecting(job, PA_STATUS_OK);
  CHECK_EQ(failed.first, 0);
  CHECK_EQ(failed.state, PA_ITEM_FAILED);
  CHECK_EQ(failed.code, 40);
  CHECK_STR(failed.message, "it failed");
  next_index(job, 1, PA_ITEM_OK);
  next_expecting(job, PA_STATUS_DONE);
  CHECK_EQ(drain_all(job, &all), 0);
  books_check(&all, 3);
  CHECK_EQ(pa_job_end(job), PA_END_COMPLETED);
  FREE_WITH(job, &lease[0], &lease[1], &lease[2]);
}

TEST(ordered_outcomes_come_in_the_order_of_the_inputs) {
  pa_options options = one_by_one(3);
  options.ordered = 1;
  pa_job* job = job_of(&options, 3, PA_JOB_STREAM);
  pa_lease lease[3] = {{0}, {0}, {0}};
  for (uint64_t i = 0; i < 3; i++) take_index(job, &lease[i], i);
  next_expecting(job, PA_STATUS_AGAIN);
  complete_one(job, &lease[2]);
  CHECK_EQ(lease[2].wake_consumer, 0);  // it is not its turn
  fail_one(job, &lease[1], PA_STATUS_FINAL);
  next_expecting(job, PA_STATUS_AGAIN);
  complete_one(job, &lease[0]);
  CHECK_EQ(lease[0].wake_consumer, 1);
  next_index(job, 0, PA_ITEM_OK);
  next_index(job, 1, PA_ITEM_FAILED);
  next_index(job, 2, PA_ITEM_OK);
  next_expecting(job, PA_STATUS_DONE);
  books_check(&all, 3);
  FREE_WITH(job, &lease[0], &lease[1], &lease[2]);
}

TEST(the_window_counts_what_the_consumer_has_not_come_back_from) {
  pa_options options = one_by_one(4);
  options.window = 2;
  pa_job* job = job_of(&options, 10, PA_JOB_STREAM);
  pa_lease a = {0}, b = {0}, c = {0};
  take_index(job, &a, 0);
  take_index(job, &b, 1);
  take_expecting(job, &c, PA_STATUS_AGAIN);
  complete_one(job, &a);
  take_expecting(job, &a, PA_STATUS_AGAIN);  // done, but not handed out
  next_index(job, 0, PA_ITEM_OK);
  take_expecting(job, &a, PA_STATUS_AGAIN);               // handed out, but he is not back
  CHECK(next_expecting(job, PA_STATUS_AGAIN).wake >= 1);  // now he is
  take_index(job, &a, 2);
  take_expecting(job, &c, PA_STATUS_AGAIN);
  FREE_WITH(job, &a, &b, &c);
}

TEST(an_ordered_window_holds_up_admission_behind_a_slow_item) {
  pa_options options = one_by_one(8);
  options.ordered = 1;
  options.window = 4;
  pa_job* job = job_of(&options, 100, PA_JOB_STREAM);
  pa_lease slow = {0}, fast = {0};
  take_index(job, &slow, 0);
  for (uint64_t i = 1; i < 4; i++) {
    take_index(job, &fast, i);
    complete_one(job, &fast);
  }
  take_expecting(job, &fast, PA_STATUS_AGAIN);
  next_expecting(job, PA_STATUS_AGAIN);
  complete_one(job, &slow);
  for (uint64_t i = 0; i < 4; i++) next_index(job, i, PA_ITEM_OK);
  next_expecting(job, PA_STATUS_AGAIN);
  for (uint64_t i = 4; i < 8; i++) {
    take_index(job, &fast, i);
    complete_one(job, &fast);
  }
  take_expecting(job, &fast, PA_STATUS_AGAIN);
  FREE_WITH(job, &slow, &fast);
}

TEST(items_of_a_lease_with_one_outcome_come_together) {
  pa_options options = one_by_one(1);
  options.batch.max_items = 6;
  pa_job* job = job_of(&options, 6, PA_JOB_STREAM);
  pa_lease lease = {0};
  take_expecting(job, &lease, PA_STATUS_OK);
  CHECK_STATUS(pa_job_fail(job, &lease, 3, 0, -1, 1, NULL), PA_STATUS_FINAL, NULL);
  CHECK_STATUS(pa_job_complete(job, &lease, 2), PA_STATUS_OK, NULL);
  pa_chunk chunk = next_expecting(job, PA_STATUS_OK);
  CHECK_EQ(chunk.first, 0);
  CHECK_EQ(chunk.count, 3);
  next_index(job, 3, PA_ITEM_FAILED);
  chunk = next_expecting(job, PA_STATUS_OK);
  CHECK_EQ(chunk.first, 4);
  CHECK_EQ(chunk.count, 2);
  next_expecting(job, PA_STATUS_DONE);
  books_check(&all, 6);
  FREE_WITH(job, &lease);
}

TEST(a_stream_ends_after_the_failure_that_reaches_max_errors_is_handed_out) {
  pa_options options = one_by_one(5);
  options.max_errors = 2;
  pa_job* job = job_of(&options, 100, PA_JOB_STREAM);
  pa_lease lease[5] = {{0}, {0}, {0}, {0}, {0}};
  pa_chunk chunk;
  for (uint64_t i = 0; i < 5; i++) take_index(job, &lease[i], i);
  fail_one(job, &lease[1], PA_STATUS_FINAL);
  complete_one(job, &lease[2]);
  fail_one(job, &lease[3], PA_STATUS_FINAL);
  CHECK_EQ(pa_job_end(job), PA_END_ABORTED);
  complete_one(job, &lease[0]);  // it was running, and counts, but comes too late for the stream
  next_index(job, 1, PA_ITEM_FAILED);
  next_index(job, 2, PA_ITEM_OK);
  next_index(job, 3, PA_ITEM_FAILED);
  next_expecting(job, PA_STATUS_DONE);
  CHECK_STATUS(pa_job_drain(job, &chunk), PA_STATUS_OK, NULL);
  books_drain(&all, &chunk);
  CHECK_EQ(chunk.first, 0);
  CHECK_EQ(chunk.state, PA_ITEM_OK);
  CHECK_EQ(chunk.attempts, 1);
  CHECK_STATUS(pa_job_drain(job, &chunk), PA_STATUS_AGAIN, NULL);  // the last lease is out
  fail_one(job, &lease[4], PA_STATUS_FINAL);
  CHECK_EQ(lease[4].wake_consumer, 1);
  CHECK_STATUS(pa_job_drain(job, &chunk), PA_STATUS_OK, NULL);
  books_drain(&all, &chunk);
  CHECK_EQ(chunk.state, PA_ITEM_FAILED);
  CHECK_EQ(chunk.code, 44);
  CHECK_STR(chunk.message, "it failed");
  CHECK_EQ(drain_all(job, &all), 0);
  books_check(&all, 5);  // those that were never taken are no part of it
  pa_job_free(job);
  for (uint64_t i = 0; i < 5; i++) take_expecting(job, &lease[i], PA_STATUS_DONE);
}

TEST(an_ordered_stream_hands_out_all_before_the_failure_that_ends_it) {
  pa_options options = one_by_one(4);
  options.max_errors = 1;
  options.ordered = 1;
  pa_job* job = job_of(&options, 100, PA_JOB_STREAM);
  pa_lease lease[4] = {{0}, {0}, {0}, {0}};
  for (uint64_t i = 0; i < 4; i++) take_index(job, &lease[i], i);
  complete_one(job, &lease[3]);
  fail_one(job, &lease[2], PA_STATUS_FINAL);
  next_expecting(job, PA_STATUS_AGAIN);
  complete_one(job, &lease[1]);
  complete_one(job, &lease[0]);
  next_index(job, 0, PA_ITEM_OK);
  next_index(job, 1, PA_ITEM_OK);
  next_index(job, 2, PA_ITEM_FAILED);
  next_expecting(job, PA_STATUS_DONE);
  CHECK_EQ(drain_all(job, &all), 1);
  CHECK_EQ(all.drained[3], 1);
  books_check(&all, 4);
  FREE_WITH(job, &lease[0], &lease[1], &lease[2], &lease[3]);
}

TEST(after_a_stop_what_is_done_is_handed_out_and_gaps_are_skipped) {
  pa_options options = one_by_one(4);
  options.ordered = 1;
  options.retry.attempts = 2;
  options.retry.backoff_ns = options.retry.max_delay_ns = HOURS;
  pa_job* job = job_of(&options, 100, PA_JOB_STREAM);
  pa_lease lease[3] = {{0}, {0}, {0}};
  for (uint64_t i = 0; i < 3; i++) take_index(job, &lease[i], i);
  fail_one(job, &lease[0], PA_STATUS_RETRY);
  complete_one(job, &lease[2]);
  pa_job_stop(job);
  next_expecting(job, PA_STATUS_AGAIN);
  complete_one(job, &lease[1]);
  CHECK_EQ(lease[1].wake_consumer, 1);
  next_index(job, 1, PA_ITEM_OK);
  next_index(job, 2, PA_ITEM_OK);
  next_expecting(job, PA_STATUS_DONE);
  pa_chunk chunk;
  CHECK_STATUS(pa_job_drain(job, &chunk), PA_STATUS_OK, NULL);
  books_drain(&all, &chunk);
  CHECK_EQ(chunk.first, 0);
  CHECK_EQ(chunk.state, PA_ITEM_CANCELLED);
  CHECK_EQ(chunk.attempts, 1);
  CHECK_EQ(chunk.code, 40);
  CHECK_EQ(drain_all(job, &all), 0);
  books_check(&all, 3);
  FREE_WITH(job, &lease[0], &lease[1], &lease[2]);
}

TEST(a_message_lives_until_the_next_call) {
  const pa_options options = one_by_one(1);
  pa_job* job = job_of(&options, 2, PA_JOB_STREAM);
  pa_lease lease = {0};
  char text[] = "copied";
  take_index(job, &lease, 0);
  pa_job_fail(job, &lease, 0, PA_FAIL_TIMED_OUT, -1, 0, text);
  memset(text, 'x', sizeof text - 1);
  pa_job_complete(job, &lease, 0);
  const pa_chunk chunk = next_expecting(job, PA_STATUS_OK);
  CHECK_STR(chunk.message, "copied");
  CHECK_EQ(chunk.state, PA_ITEM_TIMED_OUT);
  CHECK_EQ(chunk.code, -1);  // 0 is no code
  take_index(job, &lease, 1);
  complete_one(job, &lease);
  CHECK_STR(chunk.message, "copied");
  next_index(job, 1, PA_ITEM_OK);
  FREE_WITH(job, &lease);
}

TEST(a_long_message_is_cut) {
  const pa_options options = one_by_one(1);
  pa_job* job = job_of(&options, 1, PA_JOB_STREAM);
  pa_lease lease = {0};
  char text[5000];
  memset(text, 'm', sizeof text - 1);
  text[sizeof text - 1] = 0;
  take_index(job, &lease, 0);
  pa_job_fail(job, &lease, 0, 0, -1, 1, text);
  CHECK_EQ(strlen(next_expecting(job, PA_STATUS_OK).message), PA_MESSAGE_MAX);
  FREE_WITH(job, &lease);
}

TEST(an_item_that_succeeds_at_last_has_no_error) {
  pa_options options = one_by_one(1);
  options.retry.attempts = 3;
  pa_job* job = job_of(&options, 1, PA_JOB_STREAM);
  pa_lease lease = {0};
  for (int i = 0; i < 2; i++) {
    take_index(job, &lease, 0);
    fail_one(job, &lease, PA_STATUS_RETRY);
  }
  take_index(job, &lease, 0);
  complete_one(job, &lease);
  const pa_chunk chunk = next_expecting(job, PA_STATUS_OK);
  CHECK_EQ(chunk.state, PA_ITEM_OK);
  CHECK_EQ(chunk.attempts, 3);
  next_expecting(job, PA_STATUS_DONE);
  FREE_WITH(job, &lease);
}

TEST(what_a_closed_stream_had_not_handed_out_is_drained_as_what_it_is) {
  const pa_options options = one_by_one(4);
  pa_job* job = job_of(&options, 3, PA_JOB_STREAM);
  pa_lease lease[3] = {{0}, {0}, {0}};
  int32_t states[3] = {-1, -1, -1};
  pa_chunk chunk;
  for (uint64_t i = 0; i < 3; i++) take_index(job, &lease[i], i);
  complete_one(job, &lease[0]);
  fail_one(job, &lease[1], PA_STATUS_FINAL);
  pa_job_close(job);
  next_expecting(job, PA_STATUS_DONE);
  while (pa_job_drain(job, &chunk) == PA_STATUS_OK) {
    books_drain(&all, &chunk);
    states[chunk.first] = chunk.state;
    CHECK_STR(chunk.message, chunk.first == 1 ? "it failed" : "");
  }
  books_check(&all, 3);
  CHECK_EQ(states[0], PA_ITEM_OK);
  CHECK_EQ(states[1], PA_ITEM_FAILED);
  CHECK_EQ(states[2], PA_ITEM_CANCELLED);
  CHECK_STATUS(pa_job_complete(job, &lease[2], 1), PA_STATUS_STOPPED, NULL);
  pa_job_leave(job, &lease[2]);
  FREE_WITH(job, &lease[0], &lease[1], &lease[2]);
}

TEST(a_batch_larger_than_the_automatic_window_is_leased) {
  pa_options options = one_by_one(1);
  options.batch.max_items = 1000;
  pa_job* job = job_of(&options, 2500, PA_JOB_STREAM);
  pa_lease lease = {0};
  for (int i = 0; i < 3; i++) {
    take_expecting(job, &lease, PA_STATUS_OK);
    CHECK_EQ(lease.count, i < 2 ? 1000 : 500);
    pa_job_complete(job, &lease, lease.count);
    next_expecting(job, PA_STATUS_OK);
    pa_chunk chunk;
    CHECK(pa_job_next(job, &chunk) != PA_STATUS_OK);
  }
  books_check(&all, 2500);
  FREE_WITH(job, &lease);
}

TEST(a_consumer_with_a_timeout_is_told_when_to_come_back) {
  pa_options options = one_by_one(1);
  options.timeout_ns = HOURS;
  pa_job* job = job_of(&options, 1, PA_JOB_STREAM);
  const pa_chunk chunk = next_expecting(job, PA_STATUS_AGAIN);
  CHECK(chunk.wait_ns > HOURS / 2);
  pa_job_free(job);
}
