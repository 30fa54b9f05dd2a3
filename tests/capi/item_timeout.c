// options.item_timeout_ns: a deadline for each attempt.
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

static int32_t outrun_and_succeed(void* ctx, void* item, void** value, pa_call* call) {
  ledger* l = ctx;
  ledger_call(l, item);
  ledger_store(l, item, value);
  wait_until_stopped(call);
  return 0;
}

TEST(an_attempt_that_outran_its_time_has_timed_out_whatever_it_returned) {
  for (int executor = PA_EXECUTOR_THREADS; executor <= PA_EXECUTOR_INLINE; executor++) {
    ledger l;
    ledger_init(&l, 6);
    pa_options options = defaults();
    options.executor = executor;
    options.item_timeout_ns = MILLISECONDS;
    ledger_watch(&l, &options);
    pa_result* result = map(outrun_and_succeed, &l, 6, &options);
    CHECK_EQ(pa_result_end(result), PA_END_COMPLETED);
    CHECK_EQ(pa_result_ok(result), 0);
    for (uint64_t i = 0; i < 6; i++) {
      const pa_outcome outcome = outcome_at(result, i);
      CHECK_EQ(outcome.state, PA_ITEM_TIMED_OUT);
      CHECK_EQ(outcome.attempts, 1);
      CHECK(outcome.duration_ns >= MILLISECONDS);
      CHECK_EQ(l.values_released[i], 1);  // at once
    }
    pa_result_free(result);
    ledger_check_released(&l, 1);
    ledger_free(&l);
  }
}

static int32_t slow_at_first(void* ctx, void* item, void** value, pa_call* call) {
  (void)ctx;
  if (pa_call_attempt(call) == 1) wait_until_stopped(call);
  *value = item;
  return 0;
}

// The second attempts must be quicker than the timeout: a slow machine may need a longer one.
TEST(an_attempt_that_timed_out_is_retried_with_a_new_deadline) {
  int shown = 0;
  GROWING_TIMEOUT(timeout_ns, shown) {
    pa_options options = defaults();
    options.workers = 2;
    options.item_timeout_ns = timeout_ns;
    options.retry.attempts = 2;
    options.retry.backoff_ns = 0;
    pa_result* result = map(slow_at_first, NULL, 5, &options);
    CHECK_EQ(pa_result_end(result), PA_END_COMPLETED);
    for (uint64_t i = 0; i < 5; i++) CHECK_EQ(outcome_at(result, i).attempts, 2);
    shown = pa_result_ok(result);
    pa_result_free(result);
  }
  CHECK(shown);
}

static int32_t note_timeouts(void* ctx, const pa_outcome* failure) {
  CHECK_EQ(failure->state, PA_ITEM_TIMED_OUT);
  COUNT_UP(*(uint32_t*)ctx);
  return 0;
}

TEST(the_predicate_sees_that_an_attempt_timed_out) {
  ledger l;
  ledger_init(&l, 3);
  uint32_t asked = 0;
  pa_options options = defaults();
  options.item_timeout_ns = MILLISECONDS;
  options.retry.attempts = 5;
  options.retry.backoff_ns = 0;
  options.retry.retry_if = note_timeouts;
  options.retry.retry_ctx = &asked;
  pa_result* result = map(outrun_and_succeed, &l, 3, &options);
  CHECK_EQ(asked, 3);
  CHECK_EQ(count_state(result, PA_ITEM_TIMED_OUT), 3);
  pa_result_free(result);
  ledger_free(&l);
}

static int32_t outrun_and_fail(void* ctx, void* item, void** value, pa_call* call) {
  (void)ctx, (void)item, (void)value;
  wait_until_stopped(call);
  return pa_call_fail(call, 5, "I noticed");
}

TEST(max_errors_counts_items_that_timed_out) {
  pa_options options = defaults();
  options.executor = PA_EXECUTOR_INLINE;
  options.item_timeout_ns = MILLISECONDS;
  options.max_errors = 2;
  pa_result* result = map(outrun_and_fail, NULL, 10, &options);
  CHECK_EQ(pa_result_end(result), PA_END_ABORTED);
  CHECK_EQ(count_state(result, PA_ITEM_TIMED_OUT), 2);
  CHECK_EQ(count_state(result, PA_ITEM_ABORTED), 8);
  pa_result_free(result);
}

static int32_t outrun_range(void* ctx, uint64_t first, uint64_t count, pa_call* call) {
  (void)ctx, (void)first, (void)count;
  wait_until_stopped(call);
  return 0;
}

TEST(a_range_that_outran_its_time_has_timed_out) {
  pa_options options = defaults();
  options.item_timeout_ns = MILLISECONDS;
  options.workers = 2;
  pa_result* result;
  pa_error error;
  REQUIRE_STATUS(pa_map_range(outrun_range, NULL, 4, &options, &result, &error), PA_STATUS_OK, &error);
  check_result(result);
  CHECK_EQ(count_state(result, PA_ITEM_TIMED_OUT), 4);
  pa_result_free(result);
}

static int32_t outrun_batch(void* ctx, void* const* items, size_t count, void** values, pa_call* call) {
  (void)ctx;
  for (size_t i = 0; i < count; i++) values[i] = items[i];
  wait_until_stopped(call);
  return 0;
}

TEST(a_batch_that_outran_its_time_has_timed_out) {
  void** items = numbered(6);
  pa_options options = defaults();
  options.item_timeout_ns = MILLISECONDS;
  options.batch.max_items = 3;
  pa_result* result;
  pa_error error;
  REQUIRE_STATUS(pa_map_batch(outrun_batch, NULL, items, 6, &options, &result, &error), PA_STATUS_OK, &error);
  check_result(result);
  CHECK_EQ(count_state(result, PA_ITEM_TIMED_OUT), 6);
  pa_result_free(result);
  free(items);
}

TEST(attempts_that_are_quick_enough_are_not_touched) {
  void** items = numbered(1000);
  pa_options options = defaults();
  options.item_timeout_ns = HOURS;
  pa_result* result;
  REQUIRE(pa_map(echo, NULL, items, 1000, &options, &result, NULL) == PA_STATUS_OK);
  CHECK_EQ(pa_result_ok(result), 1);
  pa_result_free(result);
  free(items);
}
