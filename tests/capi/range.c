// pa_map_range: a function over ranges of indices, whose inputs and outputs are the caller's own arrays.
#include "support.h"

enum { n = 100000 };

typedef struct arrays {
  uint32_t in[n], out[n], runs[n];
} arrays;

static arrays data;

static arrays* fresh(void) {
  memset(&data, 0, sizeof data);
  for (uint32_t i = 0; i < n; i++) data.in[i] = i;
  return &data;
}

static int32_t square(void* ctx, uint64_t first, uint64_t count, pa_call* call) {
  arrays* a = ctx;
  CHECK(count >= 1);
  CHECK(first + count <= n);
  CHECK_EQ(pa_call_index(call), first);
  for (uint64_t i = first; i < first + count; i++) {
    a->out[i] = a->in[i] * a->in[i];
    a->runs[i]++;
  }
  return 0;
}

TEST(ranges_cover_every_index_exactly_once) {
  for (uint32_t workers = 1; workers <= 4; workers++) {
    arrays* a = fresh();
    pa_options options = defaults();
    options.workers = workers;
    pa_result* result;
    pa_error error;
    REQUIRE_STATUS(pa_map_range(square, a, n, &options, &result, &error), PA_STATUS_OK, &error);
    CHECK_EQ(pa_result_count(result), n);
    CHECK_EQ(pa_result_ok(result), 1);
    for (uint32_t i = 0; i < n; i++)
      if (!CHECK_EQ(a->out[i], i * i) || !CHECK_EQ(a->runs[i], 1)) break;
    pa_result_free(result);
  }
}

TEST(ranges_run_in_order_with_the_inline_executor) {
  arrays* a = fresh();
  pa_options options = defaults();
  options.executor = PA_EXECUTOR_INLINE;
  pa_result* result;
  pa_error error;
  REQUIRE_STATUS(pa_map_range(square, a, n, &options, &result, &error), PA_STATUS_OK, &error);
  check_result(result);
  for (uint32_t i = 0; i < n; i++)
    if (!CHECK_EQ(a->runs[i], 1)) break;
  pa_result_free(result);
}

TEST(an_empty_range_completes) {
  pa_result* result;
  pa_error error;
  REQUIRE_STATUS(pa_map_range(square, NULL, 0, NULL, &result, &error), PA_STATUS_OK, &error);
  CHECK_EQ(pa_result_count(result), 0);
  CHECK_EQ(pa_result_ok(result), 1);
  pa_result_free(result);
}

TEST(a_range_has_states_and_errors_but_no_values) {
  arrays* a = fresh();
  pa_result* result;
  pa_error error;
  REQUIRE_STATUS(pa_map_range(square, a, 100, NULL, &result, &error), PA_STATUS_OK, &error);
  check_result(result);
  for (uint64_t i = 0; i < 100; i++) CHECK(pa_result_value(result, i) == NULL);
  void* value = a;
  CHECK_STATUS(pa_result_take(result, 5, &value, &error), PA_STATUS_OK, &error);
  CHECK(value == NULL);
  CHECK_EQ(pa_result_batch_size(result), 0);
  pa_result_free(result);
}

static int32_t answer(void* ctx, uint64_t first, uint64_t count, pa_call* call) {
  for (uint64_t i = 0; i < count; i++) {
    switch ((first + i) % 5) {
      case 1:
        pa_call_fail_at(call, (size_t)i, 11, "named");
        break;
      case 2:
        pa_call_ok_at(call, (size_t)i);
        break;
    }
  }
  pa_call_fail_at(call, (size_t)count, 5, "nobody");
  return *(int32_t*)ctx;
}

static void check_answers(int32_t code) {
  pa_options options = defaults();
  options.workers = 2;
  pa_result* result;
  pa_error error;
  REQUIRE_STATUS(pa_map_range(answer, &code, 5000, &options, &result, &error), PA_STATUS_OK, &error);
  check_result(result);
  for (uint64_t i = 0; i < 5000; i++) {
    const pa_outcome outcome = outcome_at(result, i);
    const int failed = i % 5 == 1 || (code != 0 && i % 5 != 2);
    if (!CHECK_EQ(outcome.state, failed ? PA_ITEM_FAILED : PA_ITEM_OK)) break;
    if (failed) CHECK_EQ(outcome.code, i % 5 == 1 ? 11 : code);
    if (i % 5 == 1) CHECK_STR(outcome.message, "named");
  }
  pa_result_free(result);
}

TEST(answers_work_as_for_a_batch) {
  check_answers(0);
  check_answers(42);
}

static uint32_t attempts_at[1000];

static int32_t sevenths_fail_at_first(void* ctx, uint64_t first, uint64_t count, pa_call* call) {
  (void)ctx;
  if (pa_call_attempt(call) > 1) CHECK_EQ(count, 1);
  for (uint64_t i = 0; i < count; i++) {
    CHECK_EQ(COUNT_UP(attempts_at[first + i]), pa_call_attempt(call));
    if ((first + i) % 7 == 0 && pa_call_attempt(call) == 1) pa_call_fail_at(call, (size_t)i, 1, "once");
  }
  return 0;
}

TEST(only_failed_indices_are_retried) {
  pa_options options = defaults();
  options.workers = 2;
  options.retry.attempts = 2;
  options.retry.backoff_ns = 0;
  pa_result* result;
  pa_error error;
  REQUIRE_STATUS(pa_map_range(sevenths_fail_at_first, NULL, 1000, &options, &result, &error), PA_STATUS_OK, &error);
  check_result(result);
  CHECK_EQ(pa_result_ok(result), 1);
  for (uint64_t i = 0; i < 1000; i++) CHECK_EQ(attempts_at[i], i % 7 == 0 ? 2 : 1);
  pa_result_free(result);
}

static uint64_t indices_run;

static int32_t count_indices(void* ctx, uint64_t first, uint64_t count, pa_call* call) {
  (void)ctx, (void)first, (void)call;
  __atomic_fetch_add(&indices_run, count, __ATOMIC_SEQ_CST);
  return 0;
}

TEST(a_range_costs_one_token_for_each_index) {
  const pa_rate rate = {1, HOURS, 100};
  pa_options options = defaults();
  pa_error error;
  options.rate_cost = 2;
  options.workers = 2;
  REQUIRE_STATUS(pa_limiter_new(&rate, &options.limiter, &error), PA_STATUS_OK, &error);
  pa_result* result;
  REQUIRE_STATUS(pa_map_range(count_indices, NULL, 49, &options, &result, &error), PA_STATUS_OK, &error);
  CHECK_EQ(indices_run, 49);
  CHECK_STATUS(pa_limiter_try(options.limiter, 3, NULL, &error), PA_STATUS_AGAIN, &error);
  CHECK_STATUS(pa_limiter_try(options.limiter, 2, NULL, &error), PA_STATUS_OK, &error);
  pa_result_free(result);
  pa_limiter_release(options.limiter);
}

// Some indices around the borders of 32 bits, which fail.
static const uint64_t marked[] = {
    0, UINT32_MAX - UINT64_C(1), UINT32_MAX, UINT64_C(1) << 32, (UINT64_C(1) << 32) + 1, (UINT64_C(1) << 32) + 999999};
enum { marks = sizeof marked / sizeof marked[0] };
static uint32_t mark_runs[marks];

static int32_t fail_marked(void* ctx, uint64_t first, uint64_t count, pa_call* call) {
  __atomic_fetch_add((uint64_t*)ctx, count, __ATOMIC_SEQ_CST);
  for (int i = 0; i < marks; i++) {
    if (marked[i] < first || marked[i] >= first + count) continue;
    COUNT_UP(mark_runs[i]);
    pa_call_fail_at(call, (size_t)(marked[i] - first), i + 1, "marked");
  }
  return 0;
}

TEST(indices_go_beyond_32_bits) {
  const uint64_t many = (UINT64_C(1) << 32) + 1000000;
  uint64_t run = 0;
  pa_options options = defaults();
  options.workers = 3;
  pa_result* result;
  pa_error error;
  REQUIRE_STATUS(pa_map_range(fail_marked, &run, many, &options, &result, &error), PA_STATUS_OK, &error);
  CHECK_EQ(pa_result_count(result), many);
  CHECK_EQ(run, many);
  CHECK_EQ(pa_result_failed(result), marks);
  for (int i = 0; i < marks; i++) {
    CHECK_EQ(mark_runs[i], 1);
    CHECK_EQ(outcome_at(result, marked[i]).state, PA_ITEM_FAILED);
    CHECK_EQ(outcome_at(result, marked[i]).code, i + 1);
  }
  CHECK_EQ(outcome_at(result, (UINT64_C(1) << 32) + 2).state, PA_ITEM_OK);
  CHECK_EQ(outcome_at(result, many - 2).state, PA_ITEM_OK);
  pa_result_free(result);
}

static counter others = COUNTER_INIT;

static int32_t the_first_waits(void* ctx, uint64_t first, uint64_t count, pa_call* call) {
  (void)ctx, (void)call;
  if (first == 0)
    counter_wait(&others, 1000 - count);
  else
    for (uint64_t i = 0; i < count; i++) counter_up(&others);
  return 0;
}

TEST(a_worker_that_waits_holds_up_no_index_but_its_own) {
  pa_options options = defaults();
  options.workers = 2;
  pa_result* result;
  pa_error error;
  REQUIRE_STATUS(pa_map_range(the_first_waits, NULL, 1000, &options, &result, &error), PA_STATUS_OK, &error);
  CHECK_EQ(pa_result_ok(result), 1);
  pa_result_free(result);
}
