// release_item, release_value and on_quiescent: exactly once on every path.
#include "support.h"

static int32_t store_and_fail_fourths(void* ctx, void* item, void** value, pa_call* call) {
  ledger* l = ctx;
  ledger_call(l, item);
  ledger_store(l, item, value);
  return pa_call_index(call) % 4 == 3 ? 1 : 0;
}

static pa_result* map(pa_fn fn, ledger* l, const pa_options* options) {
  void** items = numbered(l->n);
  pa_result* result = NULL;
  pa_error error;
  CHECK_STATUS(pa_map(fn, l, items, l->n, options, &result, &error), PA_STATUS_OK, &error);
  free(items);
  if (!result) abort();
  check_result(result);
  return result;
}

TEST(items_are_released_before_map_returns_and_values_with_the_result) {
  for (int executor = PA_EXECUTOR_THREADS; executor <= PA_EXECUTOR_INLINE; executor++) {
    ledger l;
    ledger_init(&l, 100);
    pa_options options = defaults();
    options.executor = executor;
    options.workers = 3;
    ledger_watch(&l, &options);
    pa_result* result = map(store_and_fail_fourths, &l, &options);
    CHECK_EQ(ledger_total(l.items_released, 100), 100);
    CHECK_EQ(ledger_total(l.values_released, 100), 25);  // what failing calls stored
    CHECK_EQ(l.quiescent, 1);
    pa_result_free(result);
    ledger_check_released(&l, 1);
    CHECK_EQ(l.quiescent, 1);
    ledger_free(&l);
  }
}

static int32_t previous_was_released(void* ctx, void* item, void** value, pa_call* call) {
  ledger* l = ctx;
  const uint64_t number = number_of(item);
  if (number > 0) CHECK_EQ(LOAD(l->values_released[number - 1]), 1);
  ledger_store(l, item, value);
  return pa_call_fail(call, 1, "none is kept");
}

TEST(what_a_failing_call_stored_is_released_at_once) {
  ledger l;
  ledger_init(&l, 20);
  pa_options options = defaults();
  options.executor = PA_EXECUTOR_INLINE;
  ledger_watch(&l, &options);
  pa_result* result = map(previous_was_released, &l, &options);
  ledger_check_released(&l, 1);
  pa_result_free(result);
  ledger_check_released(&l, 1);
  ledger_free(&l);
}

static int32_t store_at_each_attempt(void* ctx, void* item, void** value, pa_call* call) {
  ledger* l = ctx;
  CHECK(*value == NULL);
  CHECK_EQ(LOAD(l->values_released[number_of(item)]), pa_call_attempt(call) - 1);
  ledger_store(l, item, value);
  return pa_call_attempt(call) < 3 ? 1 : 0;
}

TEST(what_each_failed_attempt_stored_is_released_before_the_next) {
  ledger l;
  ledger_init(&l, 60);
  pa_options options = defaults();
  options.workers = 3;
  options.retry.attempts = 3;
  options.retry.backoff_ns = 0;
  ledger_watch(&l, &options);
  pa_result* result = map(store_at_each_attempt, &l, &options);
  CHECK_EQ(pa_result_ok(result), 1);
  CHECK_EQ(ledger_total(l.values_released, 60), 120);
  CHECK_EQ(ledger_total(l.items_released, 60), 60);
  pa_result_free(result);
  ledger_check_released(&l, 1);
  ledger_free(&l);
}

TEST(items_that_were_never_run_are_released_too) {
  ledger l;
  ledger_init(&l, 100);
  pa_options options = defaults();
  options.timeout_ns = 0;
  ledger_watch(&l, &options);
  pa_result* result = map(store_and_fail_fourths, &l, &options);
  CHECK_EQ(ledger_total(l.calls, 100), 0);
  ledger_check_released(&l, 1);
  CHECK_EQ(l.quiescent, 1);
  pa_result_free(result);
  ledger_free(&l);
}

TEST(items_of_an_aborted_run_are_released) {
  for (uint32_t workers = 1; workers <= 4; workers++) {
    ledger l;
    ledger_init(&l, 500);
    pa_options options = defaults();
    options.workers = workers;
    options.max_errors = 5;
    ledger_watch(&l, &options);
    pa_result* result = map(store_and_fail_fourths, &l, &options);
    CHECK_EQ(ledger_total(l.items_released, 500), 500);
    pa_result_free(result);
    ledger_check_released(&l, 1);
    CHECK_EQ(l.quiescent, 1);
    ledger_free(&l);
  }
}

static int32_t refuse_start(void* ctx) {
  (void)ctx;
  return 1;
}

TEST(items_of_a_run_that_failed_are_released) {
  ledger l;
  ledger_init(&l, 50);
  pa_options options = defaults();
  options.worker_start = refuse_start;
  ledger_watch(&l, &options);
  void** items = numbered(50);
  pa_result* result = NULL;
  pa_error error;
  CHECK_STATUS(pa_map(store_and_fail_fourths, &l, items, 50, &options, &result, &error), PA_STATUS_WORKER_START, &error);
  ledger_check_released(&l, 1);
  CHECK_EQ(l.quiescent, 1);
  pa_result_free(result);
  ledger_free(&l);
  free(items);
}

TEST(nothing_is_released_when_the_arguments_were_wrong) {
  ledger l;
  ledger_init(&l, 50);
  pa_options options = defaults();
  ledger_watch(&l, &options);
  options.executor = 99;
  void** items = numbered(50);
  pa_result* result;
  CHECK_STATUS(pa_map(store_and_fail_fourths, &l, items, 50, &options, &result, NULL), PA_STATUS_INVALID, NULL);
  ledger_check_released(&l, 0);
  CHECK_EQ(l.quiescent, 0);
  ledger_free(&l);
  free(items);
}

TEST(an_empty_input_is_quiescent_at_once) {
  ledger l;
  ledger_init(&l, 0);
  pa_options options = defaults();
  ledger_watch(&l, &options);
  pa_result* result = map(store_and_fail_fourths, &l, &options);
  CHECK_EQ(l.quiescent, 1);
  pa_result_free(result);
  ledger_free(&l);
}

static int32_t store_null(void* ctx, void* item, void** value, pa_call* call) {
  (void)ctx, (void)item, (void)call;
  *value = NULL;
  return 0;
}

TEST(null_values_are_not_released) {
  ledger l;
  ledger_init(&l, 50);
  pa_options options = defaults();
  ledger_watch(&l, &options);
  pa_result* result = map(store_null, &l, &options);
  pa_result_free(result);
  CHECK_EQ(ledger_total(l.values_released, 50), 0);
  ledger_free(&l);
}

static uint32_t running;

static int32_t run_alone(void* ctx, void* item, void** value, pa_call* call) {
  (void)ctx, (void)item, (void)value, (void)call;
  COUNT_UP(running);
  COUNT_DOWN(running);
  return 0;
}

static void nothing_runs(void* ctx) {
  CHECK_EQ(LOAD(running), 0);
  CHECK_EQ(LOAD(*(uint32_t*)ctx), 200);
}

static void count_item(void* ctx, void* item) {
  (void)item;
  COUNT_UP(*(uint32_t*)ctx);
}

TEST(quiescence_comes_after_the_last_call_and_the_last_item) {
  for (int round = 0; round < 100; round++) {
    uint32_t released = 0;
    void** items = numbered(200);
    pa_options options = defaults();
    options.workers = 4;
    options.release_item = count_item;
    options.release_ctx = &released;
    options.on_quiescent = nothing_runs;
    options.quiescent_ctx = &released;
    pa_result* result;
    REQUIRE(pa_map(run_alone, NULL, items, 200, &options, &result, NULL) == PA_STATUS_OK);
    CHECK_EQ(released, 200);
    pa_result_free(result);
    free(items);
  }
}
