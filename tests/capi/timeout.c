// options.timeout_ns: a deadline for the whole run.
#include "support.h"

static pa_result* map(pa_fn fn, void* ctx, uint64_t n, const pa_options* options) {
  void** items = numbered(n);
  pa_result* result = NULL;
  pa_error error;
  CHECK_STATUS(pa_map(fn, ctx, items, n, options, &result, &error), PA_STATUS_OK, &error);
  free(items);
  if (!result) abort();
  check_result(result);
  return result;
}

TEST(with_a_timeout_of_0_nothing_runs) {
  for (int executor = PA_EXECUTOR_THREADS; executor <= PA_EXECUTOR_INLINE; executor++) {
    pa_options options = defaults();
    options.executor = executor;
    options.timeout_ns = 0;
    uint32_t calls = 0;
    pa_result* result = map(count_calls, &calls, 50, &options);
    CHECK_EQ(calls, 0);
    CHECK_EQ(pa_result_end(result), PA_END_TIMED_OUT);
    CHECK_EQ(pa_result_count(result), 50);
    for (uint64_t i = 0; i < 50; i++) {
      const pa_outcome outcome = outcome_at(result, i);
      CHECK_EQ(outcome.state, PA_ITEM_TIMED_OUT);
      CHECK_EQ(outcome.attempts, 0);
      CHECK_EQ(outcome.code, 0);
    }
    pa_result_free(result);
  }
}

static uint32_t calls_made, calls_finished;

static int32_t run_until_stopped(void* ctx, void* item, void** value, pa_call* call) {
  (void)ctx;
  COUNT_UP(calls_made);
  *value = item;
  wait_until_stopped(call);
  COUNT_UP(calls_finished);
  return 0;
}

TEST(calls_that_are_running_are_waited_for_and_keep_their_real_outcome) {
  for (int executor = PA_EXECUTOR_THREADS; executor <= PA_EXECUTOR_INLINE; executor++) {
    calls_made = calls_finished = 0;
    GROWING_TIMEOUT(timeout_ns, LOAD(calls_made)) {
      pa_options options = defaults();
      options.executor = executor;
      options.workers = 2;
      options.timeout_ns = timeout_ns;
      pa_result* result = map(run_until_stopped, NULL, 20, &options);
      CHECK_EQ(LOAD(calls_made), LOAD(calls_finished));
      CHECK_EQ(pa_result_end(result), PA_END_TIMED_OUT);
      CHECK_EQ(pa_result_count(result), 20);
      CHECK_EQ(count_state(result, PA_ITEM_OK), LOAD(calls_made));
      CHECK_EQ(count_state(result, PA_ITEM_TIMED_OUT), 20 - LOAD(calls_made));
      for (uint64_t i = 0; i < 20; i++)
        if (outcome_at(result, i).state == PA_ITEM_OK) CHECK_EQ(number_of(pa_result_value(result, i)), i);
      pa_result_free(result);
    }
    CHECK(calls_made > 0);
  }
}

static int32_t fail_once(void* ctx, void* item, void** value, pa_call* call) {
  (void)ctx, (void)item, (void)value;
  COUNT_UP(calls_made);
  return pa_call_fail(call, 503, "unavailable");
}

TEST(an_item_with_attempts_left_when_time_is_up_keeps_its_attempts_and_its_last_error) {
  for (int executor = PA_EXECUTOR_THREADS; executor <= PA_EXECUTOR_INLINE; executor++) {
    calls_made = 0;
    GROWING_TIMEOUT(timeout_ns, LOAD(calls_made)) {
      pa_options options = defaults();
      options.executor = executor;
      options.timeout_ns = timeout_ns;
      options.retry.attempts = 3;
      options.retry.backoff_ns = HOURS;
      options.retry.max_delay_ns = HOURS;
      pa_result* result = map(fail_once, NULL, 1, &options);
      CHECK_EQ(pa_result_end(result), PA_END_TIMED_OUT);
      const pa_outcome outcome = outcome_at(result, 0);
      CHECK_EQ(outcome.state, PA_ITEM_TIMED_OUT);
      CHECK_EQ(outcome.attempts, LOAD(calls_made));
      CHECK_EQ(outcome.code, LOAD(calls_made) ? 503 : 0);
      if (LOAD(calls_made)) CHECK(outcome.duration_ns > 0);
      pa_result_free(result);
    }
    CHECK_EQ(calls_made, 1);
  }
}

TEST(no_attempt_is_made_after_a_run_that_timed_out_has_returned) {
  calls_made = 0;
  GROWING_TIMEOUT(timeout_ns, LOAD(calls_made)) {
    pa_options options = defaults();
    options.workers = 3;
    options.timeout_ns = timeout_ns;
    options.retry.attempts = 1000000;
    options.retry.backoff_ns = 50 * MICROSECONDS;
    options.retry.max_delay_ns = 50 * MICROSECONDS;
    pa_result* result = map(fail_once, NULL, 20, &options);
    const uint32_t at_return = LOAD(calls_made);
    CHECK_EQ(pa_result_end(result), PA_END_TIMED_OUT);
    CHECK_EQ(count_state(result, PA_ITEM_TIMED_OUT), 20);
    uint64_t attempts = 0;
    for (uint64_t i = 0; i < 20; i++) attempts += outcome_at(result, i).attempts;
    CHECK_EQ(attempts, at_return);
    CHECK_STATUS(pa_drain(-1, NULL), PA_STATUS_OK, NULL);
    CHECK_EQ(LOAD(calls_made), at_return);
    pa_result_free(result);
  }
  CHECK(calls_made > 0);
}

static int64_t key_started, key_waits_ns;

static int32_t key_that_takes_longer_than_the_run(void* ctx, void* item, pa_key* key) {
  (void)ctx;
  key_started = now_ns();
  wait_until_ns(key_started + key_waits_ns);
  key->kind = PA_KEY_INT;
  key->number = (int64_t)number_of(item) + 40;
  return 0;
}

TEST(a_deadline_that_passes_inside_a_key_function_leaves_the_item_with_its_key_and_not_run) {
  for (int executor = PA_EXECUTOR_THREADS; executor <= PA_EXECUTOR_INLINE; executor++) {
    key_started = 0;
    GROWING_TIMEOUT(timeout_ns, key_started) {
      key_waits_ns = timeout_ns;
      pa_options options = defaults();
      options.executor = executor;
      options.timeout_ns = timeout_ns;
      options.item_key = key_that_takes_longer_than_the_run;
      uint32_t calls = 0;
      pa_result* result = map(count_calls, &calls, 3, &options);
      CHECK_EQ(calls, 0);
      CHECK_EQ(pa_result_end(result), PA_END_TIMED_OUT);
      CHECK_EQ(count_state(result, PA_ITEM_TIMED_OUT), 3);
      if (key_started) CHECK_EQ(outcome_at(result, 0).key.kind, PA_KEY_INT);
      if (key_started) CHECK_EQ(outcome_at(result, 0).key.number, 40);
      CHECK_EQ(outcome_at(result, 2).key.kind, PA_KEY_NONE);
      pa_result_free(result);
    }
    CHECK(key_started != 0);
  }
}

// Which of the two ends the run is a matter of chance; that it is exactly one, and that every item agrees, is not.
TEST(abort_and_deadline_together_give_exactly_one_end) {
  for (int round = 0; round < 300; round++) {
    pa_options options = defaults();
    options.workers = 3;
    options.timeout_ns = (round % 30) * 10 * MICROSECONDS;
    options.max_errors = 3;
    pa_result* result = map(fail_with_7, NULL, 50, &options);
    const int32_t end = pa_result_end(result);
    CHECK(end == PA_END_TIMED_OUT || end == PA_END_ABORTED);
    const uint64_t failed = count_state(result, PA_ITEM_FAILED);
    CHECK_EQ(failed + count_state(result, end == PA_END_TIMED_OUT ? PA_ITEM_TIMED_OUT : PA_ITEM_ABORTED), 50);
    if (end == PA_END_ABORTED) CHECK(failed >= 3);
    pa_result_free(result);
  }
}

TEST(the_longest_timeout_does_not_overflow) {
  pa_options options = defaults();
  options.timeout_ns = INT64_MAX;
  options.item_timeout_ns = INT64_MAX;
  pa_result* result = map(return_0, NULL, 10, &options);
  CHECK_EQ(pa_result_ok(result), 1);
  pa_result_free(result);
}
