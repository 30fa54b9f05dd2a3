// pa_map: one outcome for each input, in input order.
#include <sched.h>

#include "support.h"

TEST(every_item_has_one_outcome_in_input_order) {
  enum { n = 1000 };
  void** items = numbered(n);
  pa_options options = defaults();
  options.workers = 4;
  pa_result* result;
  pa_error error;
  REQUIRE_STATUS(pa_map(echo, NULL, items, n, &options, &result, &error), PA_STATUS_OK, &error);
  check_result(result);
  CHECK_EQ(pa_result_count(result), n);
  CHECK_EQ(pa_result_end(result), PA_END_COMPLETED);
  CHECK_EQ(pa_result_ok(result), 1);
  for (uint64_t i = 0; i < n; i++) {
    const pa_outcome outcome = outcome_at(result, i);
    CHECK_EQ(outcome.state, PA_ITEM_OK);
    CHECK(outcome.value == items[i]);
    CHECK_EQ(outcome.attempts, 1);
    CHECK_EQ(outcome.key.kind, PA_KEY_NONE);
  }
  pa_result_free(result);
  free(items);
}

static counter last_item_ran = COUNTER_INIT;

static int32_t first_waits_for_last(void* ctx, void* item, void** value, pa_call* call) {
  const uint64_t last = *(uint64_t*)ctx - 1;
  if (pa_call_index(call) == 0) counter_wait(&last_item_ran, 1);
  if (pa_call_index(call) == last) counter_up(&last_item_ran);
  *value = item;
  return 0;
}

TEST(results_are_in_input_order_whatever_the_order_of_completion) {
  uint64_t n = 50;
  void** items = numbered(n);
  pa_options options = defaults();
  options.workers = 2;
  pa_result* result;
  pa_error error;
  REQUIRE_STATUS(pa_map(first_waits_for_last, &n, items, n, &options, &result, &error), PA_STATUS_OK, &error);
  for (uint64_t i = 0; i < n; i++) CHECK(pa_result_value(result, i) == items[i]);
  pa_result_free(result);
  free(items);
}

static int32_t check_arguments(void* ctx, void* item, void** value, pa_call* call) {
  void** items = ctx;
  CHECK(item == items[pa_call_index(call)]);
  CHECK(*value == NULL);
  CHECK_EQ(pa_call_attempt(call), 1);
  return 0;
}

TEST(the_function_gets_ctx_item_index_and_an_empty_value) {
  enum { n = 300 };
  void** items = numbered(n);
  items[7] = NULL;
  pa_options options = defaults();
  options.workers = 3;
  pa_result* result;
  pa_error error;
  REQUIRE_STATUS(pa_map(check_arguments, items, items, n, &options, &result, &error), PA_STATUS_OK, &error);
  CHECK_EQ(pa_result_ok(result), 1);
  pa_result_free(result);
  free(items);
}

static int32_t null_value_or_failure(void* ctx, void* item, void** value, pa_call* call) {
  (void)ctx, (void)item;
  *value = NULL;
  return pa_call_index(call) == 1 ? pa_call_fail(call, 5, "five") : 0;
}

TEST(a_null_value_is_a_success_and_distinct_from_pending_and_failure) {
  void** items = numbered(3);
  pa_options options = defaults();
  options.executor = PA_EXECUTOR_INLINE;
  options.max_errors = 1;
  pa_result* result;
  pa_error error;
  REQUIRE_STATUS(pa_map(null_value_or_failure, NULL, items, 3, &options, &result, &error), PA_STATUS_OK, &error);
  check_result(result);
  CHECK_EQ(outcome_at(result, 0).state, PA_ITEM_OK);
  CHECK_EQ(outcome_at(result, 1).state, PA_ITEM_FAILED);
  CHECK_EQ(outcome_at(result, 2).state, PA_ITEM_ABORTED);
  CHECK(outcome_at(result, 0).value == NULL);
  pa_result_free(result);
  free(items);
}

TEST(an_empty_input_completes_and_runs_nothing) {
  uint32_t calls = 0;
  pa_result* result = NULL;
  pa_error error;
  REQUIRE_STATUS(pa_map(count_calls, &calls, NULL, 0, NULL, &result, &error), PA_STATUS_OK, &error);
  REQUIRE(result != NULL);
  check_result(result);
  CHECK_EQ(pa_result_count(result), 0);
  CHECK_EQ(pa_result_end(result), PA_END_COMPLETED);
  CHECK_EQ(pa_result_ok(result), 1);
  CHECK_STATUS(pa_result_check(result, &error), PA_STATUS_OK, &error);
  CHECK_EQ(calls, 0);
  pa_result_free(result);
}

static int32_t fail_every_third(void* ctx, void* item, void** value, pa_call* call) {
  (void)ctx;
  *value = item;
  const uint64_t index = pa_call_index(call);
  if (index % 3 != 2) return 0;
  char message[40];
  snprintf(message, sizeof message, "item %u is bad", (unsigned)index);
  return pa_call_fail(call, -(int32_t)index, message);
}

TEST(failed_items_are_data_and_not_an_error) {
  enum { n = 100 };
  void** items = numbered(n);
  pa_options options = defaults();
  options.workers = 3;
  pa_result* result;
  pa_error error;
  REQUIRE_STATUS(pa_map(fail_every_third, NULL, items, n, &options, &result, &error), PA_STATUS_OK, &error);
  check_result(result);
  CHECK_EQ(pa_result_end(result), PA_END_COMPLETED);
  CHECK_EQ(pa_result_failed(result), 33);
  for (uint64_t i = 0; i < n; i++) {
    const pa_outcome outcome = outcome_at(result, i);
    CHECK_EQ(outcome.state, i % 3 == 2 ? PA_ITEM_FAILED : PA_ITEM_OK);
    if (outcome.state == PA_ITEM_OK) continue;
    char message[40];
    snprintf(message, sizeof message, "item %u is bad", (unsigned)i);
    CHECK_STR(outcome.message, message);
    CHECK_EQ(outcome.code, -(int32_t)i);
    CHECK_EQ(outcome.attempts, 1);
  }
  pa_result_free(result);
  free(items);
}

TEST(the_exported_function_does_what_the_macro_does) {
  enum { n = 100 };
  void** items = numbered(n);
  pa_result* result;
  pa_error error;
  REQUIRE_STATUS((pa_map)(fail_every_third, NULL, items, n, NULL, &result, &error), PA_STATUS_OK, &error);
  check_result(result);
  CHECK_EQ(pa_result_failed(result), 33);
  CHECK_STR(outcome_at(result, 50).message, "item 50 is bad");
  for (uint64_t i = 0; i < n; i++) CHECK(pa_result_value(result, i) == (i % 3 == 2 ? NULL : items[i]));
  pa_result_free(result);
  free(items);
}

TEST(a_successful_call_leaves_the_error_alone) {
  pa_error error, before;
  memset(&error, 0x5a, sizeof error);
  before = error;
  pa_result* result;
  REQUIRE_STATUS(pa_map(fail_with_7, NULL, (void*[]){NULL}, 1, NULL, &result, &error), PA_STATUS_OK, &error);
  CHECK(memcmp(&error, &before, sizeof error) == 0);
  pa_result_free(result);
}

TEST(the_error_may_be_null) {
  pa_result* result;
  CHECK_STATUS(pa_map(return_0, NULL, (void*[]){NULL}, 1, NULL, &result, NULL), PA_STATUS_OK, NULL);
  CHECK_EQ(pa_result_ok(result), 1);
  pa_result_free(result);
}

TEST(an_argument_of_the_macro_may_hold_commas) {
  pa_result* result;
  int items[2] = {0, 0};
  REQUIRE(pa_map(echo, NULL, (void*[]){&items[0], &items[1]}, 2, NULL, &result, NULL) == PA_STATUS_OK);
  CHECK(pa_result_value(result, 0) == &items[0]);
  CHECK(pa_result_value(result, 1) == &items[1]);
  pa_result_free(result);
}

// ---- workers

typedef struct crowd {
  uint32_t now, most;
  counter arrived;
  uint64_t wait_for;
} crowd;

static int32_t join_the_crowd(void* ctx, void* item, void** value, pa_call* call) {
  (void)item, (void)value, (void)call;
  crowd* c = ctx;
  raise_to(&c->most, COUNT_UP(c->now));
  counter_up(&c->arrived);
  counter_wait(&c->arrived, c->wait_for);
  COUNT_DOWN(c->now);
  return 0;
}

static void run_crowd(uint32_t workers, uint64_t n, uint64_t wait_for) {
  crowd c = {0, 0, COUNTER_INIT, wait_for};
  void** items = numbered(n);
  pa_options options = defaults();
  options.workers = workers;
  pa_result* result;
  pa_error error;
  REQUIRE_STATUS(pa_map(join_the_crowd, &c, items, n, &options, &result, &error), PA_STATUS_OK, &error);
  CHECK_EQ(pa_result_ok(result), 1);
  CHECK_LE(c.most, workers);
  if (wait_for == workers) CHECK_EQ(c.most, workers);
  pa_result_free(result);
  free(items);
}

TEST(as_many_calls_as_workers_can_wait_for_each_other) {
  run_crowd(1, 1, 1);
  run_crowd(3, 3, 3);
  run_crowd(64, 64, 64);
}

// What a function cost last time must not decide whether others come to help it.
TEST(a_function_that_was_quick_before_may_wait_for_other_workers) {
  run_crowd(3, 3, 0);
  run_crowd(3, 3, 0);
  for (int i = 0; i < 20; i++) nap();  // the workers have gone to sleep
  run_crowd(3, 3, 3);
}

TEST(there_may_be_1000_sleepers) { run_crowd(1000, 1000, 1000); }

TEST(there_are_never_more_calls_at_a_time_than_workers) {
  run_crowd(1, 500, 0);
  run_crowd(3, 2000, 3);
  run_crowd(16, 500, 16);
}

static int32_t count_the_crowd(void* ctx, void* item, void** value, pa_call* call) {
  (void)item, (void)value, (void)call;
  crowd* c = ctx;
  raise_to(&c->most, COUNT_UP(c->now));
  sched_yield();
  COUNT_DOWN(c->now);
  return 0;
}

ROLE(on_one_cpu) {
  cpu_set_t one;
  CPU_ZERO(&one);
  cpu_set_t usable;
  REQUIRE(sched_getaffinity(0, sizeof usable, &usable) == 0);
  for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; cpu++)
    if (CPU_ISSET(cpu, &usable)) CPU_SET(cpu, &one);
  REQUIRE(sched_setaffinity(0, sizeof one, &one) == 0);
  crowd c = {0, 0, COUNTER_INIT, 0};
  void** items = numbered(2000);
  pa_result* result;
  pa_error error;
  REQUIRE_STATUS(pa_map(count_the_crowd, &c, items, 2000, NULL, &result, &error), PA_STATUS_OK, &error);
  CHECK_EQ(c.most, 1);
  pa_result_free(result);
  free(items);
}

TEST(workers_0_means_the_cpus_of_the_process_and_not_of_the_machine) { check_role("on_one_cpu"); }

// ---- the macro's loop

static uint32_t spans_run;

static void counting_loop(pa_span* span) {
  COUNT_UP(spans_run);
  CHECK(span->count >= 1);
  CHECK(span->at < span->count);
  pa_item_loop(span);
}

TEST(a_loop_of_the_callers_runs_every_span) {
  enum { n = 1000 };
  void** items = numbered(n);
  pa_options options = defaults();
  options.workers = 3;
  pa_result* result;
  pa_error error;
  spans_run = 0;
  REQUIRE_STATUS(pa_map_loop(counting_loop, fail_every_third, NULL, items, n, &options, &result, &error), PA_STATUS_OK,
                 &error);
  check_result(result);
  CHECK(spans_run > 0);
  CHECK_EQ(pa_result_failed(result), 333);
  for (uint64_t i = 0; i < n; i++) CHECK(pa_result_value(result, i) == (i % 3 == 2 ? NULL : items[i]));
  pa_result_free(result);
  free(items);
}
