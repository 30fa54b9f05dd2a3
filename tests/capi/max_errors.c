// options.max_errors: the run ends when so many items have failed for good.
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

static pa_options with_max_errors(uint64_t max_errors, uint32_t workers) {
  pa_options options = defaults();
  options.max_errors = max_errors;
  options.workers = workers;
  return options;
}

TEST(the_run_is_aborted_after_so_many_failures) {
  for (int executor = PA_EXECUTOR_THREADS; executor <= PA_EXECUTOR_INLINE; executor++) {
    pa_options options = with_max_errors(3, 1);
    options.executor = executor;
    pa_result* result = map(fail_with_7, NULL, 100, &options);
    CHECK_EQ(pa_result_end(result), PA_END_ABORTED);
    CHECK_EQ(pa_result_count(result), 100);
    CHECK_EQ(count_state(result, PA_ITEM_FAILED), 3);
    CHECK_EQ(count_state(result, PA_ITEM_ABORTED), 97);
    CHECK_EQ(outcome_at(result, 99).attempts, 0);
    pa_result_free(result);
  }
}

TEST(the_placeholders_say_why) {
  const pa_options options = with_max_errors(3, 1);
  pa_result* result = map(fail_with_7, NULL, 100, &options);
  CHECK_CONTAINS(outcome_at(result, 99).message, "3");
  CHECK_CONTAINS(outcome_at(result, 99).message, "max_errors");
  pa_result_free(result);
}

TEST(a_limit_of_1_is_fail_fast) {
  const pa_options options = with_max_errors(1, 1);
  pa_result* result = map(fail_with_7, NULL, 100, &options);
  CHECK_EQ(count_state(result, PA_ITEM_FAILED), 1);
  pa_result_free(result);
}

TEST(a_limit_of_0_is_never_reached) {
  const pa_options options = with_max_errors(0, 2);
  pa_result* result = map(fail_with_7, NULL, 1000, &options);
  CHECK_EQ(pa_result_end(result), PA_END_COMPLETED);
  CHECK_EQ(count_state(result, PA_ITEM_FAILED), 1000);
  pa_result_free(result);
}

TEST(more_than_there_are_items_never_fires) {
  const pa_options options = with_max_errors(11, 2);
  pa_result* result = map(fail_with_7, NULL, 10, &options);
  CHECK_EQ(pa_result_end(result), PA_END_COMPLETED);
  pa_result_free(result);
}

TEST(the_last_failure_allowed_on_the_last_item_aborts) {
  for (uint32_t workers = 1; workers <= 3; workers++)
    for (int round = 0; round < 50; round++) {
      const pa_options options = with_max_errors(10, workers);
      pa_result* result = map(fail_with_7, NULL, 10, &options);
      CHECK_EQ(pa_result_end(result), PA_END_ABORTED);
      CHECK_EQ(count_state(result, PA_ITEM_FAILED), 10);
      pa_result_free(result);
    }
}

typedef struct crew {
  counter running;
  uint32_t finished;
} crew;

static int32_t one_fails_others_wait(void* ctx, void* item, void** value, pa_call* call) {
  crew* c = ctx;
  *value = item;
  if (pa_call_index(call) == 0) {
    counter_wait(&c->running, 3);
    COUNT_UP(c->finished);
    return 1;
  }
  counter_up(&c->running);
  wait_until_stopped(call);
  COUNT_UP(c->finished);
  return 0;
}

TEST(calls_that_were_running_keep_their_real_outcome) {
  crew c = {COUNTER_INIT, 0};
  const pa_options options = with_max_errors(1, 4);
  pa_result* result = map(one_fails_others_wait, &c, 1000, &options);
  CHECK_EQ(pa_result_end(result), PA_END_ABORTED);
  CHECK_EQ(count_state(result, PA_ITEM_FAILED), 1);
  CHECK_EQ(count_state(result, PA_ITEM_OK), 3);
  CHECK_EQ(c.finished, 4);
  CHECK_EQ(count_state(result, PA_ITEM_ABORTED), 996);
  pa_result_free(result);
}

TEST(no_more_calls_than_failures_and_what_was_leased) {
  for (int round = 0; round < 50; round++) {
    const pa_options options = with_max_errors(5, 4);
    pa_result* result = map(fail_with_7, NULL, 10000, &options);
    CHECK_EQ(pa_result_end(result), PA_END_ABORTED);
    CHECK(count_state(result, PA_ITEM_FAILED) >= 5);
    CHECK_LE(count_state(result, PA_ITEM_FAILED), 5 + 4);
    pa_result_free(result);
  }
}

static int32_t first_waits_for_retry(void* ctx, void* item, void** value, pa_call* call) {
  (void)ctx, (void)item, (void)value;
  return pa_call_fail(call, pa_call_index(call) == 0 ? 503 : 404, "no");
}

static int32_t only_503(void* ctx, const pa_outcome* failure) {
  (void)ctx;
  return failure->code == 503;
}

TEST(an_item_that_waits_for_its_retry_is_aborted_and_keeps_its_attempts) {
  pa_options options = with_max_errors(2, 1);
  options.retry.attempts = 2;
  options.retry.backoff_ns = HOURS;
  options.retry.max_delay_ns = HOURS;
  options.retry.retry_if = only_503;
  pa_result* result = map(first_waits_for_retry, NULL, 10, &options);
  CHECK_EQ(pa_result_end(result), PA_END_ABORTED);
  CHECK_EQ(outcome_at(result, 0).state, PA_ITEM_ABORTED);
  CHECK_EQ(outcome_at(result, 0).attempts, 1);
  CHECK_EQ(outcome_at(result, 0).code, 503);
  CHECK_EQ(count_state(result, PA_ITEM_FAILED), 2);
  pa_result_free(result);
}

static int32_t fail_the_batch(void* ctx, void* const* items, size_t count, void** values, pa_call* call) {
  (void)ctx, (void)items, (void)count, (void)values, (void)call;
  return 1;
}

TEST(the_items_of_a_failed_batch_count_one_by_one) {
  void** items = numbered(100);
  pa_options options = with_max_errors(15, 1);
  options.batch.max_items = 10;
  pa_result* result;
  pa_error error;
  REQUIRE_STATUS(pa_map_batch(fail_the_batch, NULL, items, 100, &options, &result, &error), PA_STATUS_OK, &error);
  check_result(result);
  CHECK_EQ(pa_result_end(result), PA_END_ABORTED);
  CHECK_EQ(count_state(result, PA_ITEM_FAILED), 20);  // the call that reached the limit keeps its real outcome
  pa_result_free(result);
  free(items);
}
