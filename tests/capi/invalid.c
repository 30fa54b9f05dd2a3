// Wrong arguments: PA_STATUS_INVALID before anything runs, and a message that names the field and its value.
#include <float.h>
#include <math.h>

#include "support.h"

enum { n = 5 };

static void* items[n];
static uint32_t ran;  // anything at all of the caller's

static int32_t run(void* ctx, void* item, void** value, pa_call* call) {
  (void)ctx, (void)item, (void)value, (void)call;
  COUNT_UP(ran);
  return 0;
}

static int32_t run_batch(void* ctx, void* const* of, size_t count, void** values, pa_call* call) {
  (void)ctx, (void)of, (void)count, (void)values, (void)call;
  COUNT_UP(ran);
  return 0;
}

static int32_t run_range(void* ctx, uint64_t first, uint64_t count, pa_call* call) {
  (void)ctx, (void)first, (void)count, (void)call;
  COUNT_UP(ran);
  return 0;
}

static int32_t run_next(void* ctx, void** into, size_t max, size_t* got) {
  (void)ctx, (void)into, (void)max;
  COUNT_UP(ran);
  *got = 0;
  return 0;
}

static int32_t run_key(void* ctx, void* item, pa_key* key) {
  (void)ctx, (void)item, (void)key;
  COUNT_UP(ran);
  return 0;
}

static void run_release(void* ctx, void* item) {
  (void)ctx, (void)item;
  COUNT_UP(ran);
}

static void run_end(void* ctx) {
  (void)ctx;
  COUNT_UP(ran);
}

static int32_t run_start(void* ctx) {
  (void)ctx;
  COUNT_UP(ran);
  return 0;
}

static pa_source new_source(void) {
  pa_source source;
  pa_source_init(&source, sizeof source);
  source.next = run_next;
  source.release_item = run_release;
  source.release = run_end;
  return source;
}

static pa_options watched_options(void) {
  pa_options options = defaults();
  options.release_item = run_release;
  options.on_quiescent = run_end;
  options.worker_start = run_start;
  return options;
}

#define NOT_NULL ((void*)items)

static void check_refusal(pa_status status, const pa_error* error, const void* handle, const char* field, const char* value,
                          int line) {
  if (!check_equal(status, PA_STATUS_INVALID, __FILE__, line, "status", "PA_STATUS_INVALID")) return;
  check_equal(error->status, PA_STATUS_INVALID, __FILE__, line, "error.status", "PA_STATUS_INVALID");
  check_true(handle == NULL, __FILE__, line, "*result or *pending == NULL");
  check_contains(error->message, field, __FILE__, line, "error.message");
  check_contains(error->message, value, __FILE__, line, "error.message");
  check_true(memchr(error->message, 0, sizeof error->message) != NULL, __FILE__, line, "the message is terminated");
  check_equal(LOAD(ran), 0, __FILE__, line, "callbacks that ran", "0");
}

// `refused` by every kind of map that the option means something to.
enum { array = 1, batch = 2, range = 4, source = 8, batch_source = 16, background = 32, sources = source | batch_source };
enum { all = array | batch | range | source | batch_source | background, not_sources = array | batch | background };

static void check_options(const pa_options* given, int kinds, const char* field, const char* value, int line) {
  for (int kind = array; kind <= background; kind *= 2) {
    if (!(kinds & kind)) continue;
    pa_options options = *given;
    // Options that these do not take are not what is being tested.
    if ((kind & (source | batch_source)) && !(kinds == sources)) options.release_item = NULL;
    if (kind == range && kinds != range) options.release_item = NULL;
    const pa_source from = new_source();
    pa_result* result = NOT_NULL;
    pa_pending* pending = NOT_NULL;
    pa_error error;
    memset(&error, 0x5a, sizeof error);
    STORE(ran, 0);
    pa_status status = 0;
    switch (kind) {
      case array:
        status = (pa_map)(run, NULL, items, n, &options, &result, &error);
        break;
      case batch:
        status = pa_map_batch(run_batch, NULL, items, n, &options, &result, &error);
        break;
      case range:
        status = pa_map_range(run_range, NULL, n, &options, &result, &error);
        break;
      case source:
        status = pa_map_source(run, NULL, &from, &options, &result, &error);
        break;
      case batch_source:
        status = pa_map_batch_source(run_batch, NULL, &from, &options, &result, &error);
        break;
      case background:
        status = pa_map_start(run, NULL, items, n, &options, &pending, &error);
        break;
    }
    const void* handle = kind == background ? (const void*)pending : (const void*)result;
    check_refusal(status, &error, handle, field, value, line);
    if (status < 0) continue;
    pa_result_free(kind == background ? NULL : result);
    pa_pending_free(kind == background ? pending : NULL);
  }
}

#define REFUSED(kinds, field, value, ...)                         \
  do {                                                            \
    pa_options options = watched_options();                       \
    __VA_ARGS__;                                                  \
    check_options(&options, (kinds), (field), (value), __LINE__); \
  } while (0)

// A limiter of the run's own with one wrong field.
#define RATE_REFUSED(field, value, ...) REFUSED(all, "options.rate." field, value, options.rate.count = 10; __VA_ARGS__)

TEST(a_struct_size_of_0) { REFUSED(all, "options.struct_size", "0", options.struct_size = 0); }

TEST(an_unknown_executor) {
  REFUSED(all, "options.executor", "7", options.executor = 7);
  REFUSED(all, "options.executor", "-1", options.executor = -1);
}

TEST(too_many_workers) {
  REFUSED(all, "options.workers", "65536", options.workers = PA_WORKERS_MAX + 1);
  REFUSED(all, "options.workers", "4294967295", options.workers = UINT32_MAX);
}

TEST(a_detach_that_is_neither_0_nor_1) { REFUSED(all, "options.detach", "2", options.detach = 2); }

TEST(batches_that_are_too_large_or_larger_than_the_window) {
  REFUSED(batch | batch_source, "options.batch.max_items", "1048577", options.batch.max_items = 1048577);
  REFUSED(batch | batch_source, "options.batch.max_items", "11", options.batch.max_items = 11; options.window = 10);
  REFUSED(batch | batch_source, "options.batch.max_items", "18446744073709551615", options.batch.max_items = UINT64_MAX);
}

TEST(batches_that_are_larger_than_a_chunk) {
  REFUSED(batch | batch_source, "options.batch.max_items", "9", options.batch.max_items = 9; options.batch_size = 8);
}

TEST(a_negative_linger) {
  REFUSED(batch | batch_source, "options.batch.linger_ns", "-1", options.batch.max_items = 5; options.batch.linger_ns = -1);
}

TEST(a_limiter_and_a_rate_together) {
  const pa_rate rate = {10, SECONDS, 1};
  pa_limiter* limiter;
  REQUIRE(pa_limiter_new(&rate, &limiter, NULL) == PA_STATUS_OK);
  REFUSED(all, "options.rate", "options.limiter", options.limiter = limiter; options.rate.count = 5);
  pa_limiter_release(limiter);
}

TEST(a_rate_that_is_not_finite_or_negative) {
  RATE_REFUSED("count", "-3", options.rate.count = -3);
  RATE_REFUSED("count", "nan", options.rate.count = NAN);
  RATE_REFUSED("count", "inf", options.rate.count = INFINITY);
  RATE_REFUSED("count", "-inf", options.rate.count = -INFINITY);
  RATE_REFUSED("count", "-0.5", options.rate.count = -0.5);
}

TEST(the_message_says_what_would_be_right) {
  pa_options options = defaults();
  options.rate.count = -3;
  pa_result* result;
  pa_error error;
  CHECK_STATUS(pa_map(run, NULL, items, n, &options, &result, &error), PA_STATUS_INVALID, &error);
  CHECK_STR(error.message, "options.rate.count must be finite and > 0, or 0 for no limit, got -3");
}

TEST(a_rate_that_is_too_fast_or_too_slow) {
  RATE_REFUSED("count", "2e+09", options.rate.count = 2e9);
  RATE_REFUSED("count", "1e+300", options.rate.count = 1e300);
  RATE_REFUSED("count", "2", options.rate.count = 2; options.rate.per_ns = 1);
  RATE_REFUSED("count", "1e-09", options.rate.count = 1e-9);
  RATE_REFUSED("count", "1", options.rate.count = 1; options.rate.per_ns = INT64_MAX);
}

TEST(a_rate_per_nothing) {
  RATE_REFUSED("per_ns", "0", options.rate.per_ns = 0);
  RATE_REFUSED("per_ns", "-5", options.rate.per_ns = -5);
}

TEST(a_burst_of_nothing_or_of_more_than_ten_years) {
  RATE_REFUSED("burst", "0", options.rate.burst = 0);
  RATE_REFUSED("burst", "1000000000000", options.rate.burst = 1000000000000);
  RATE_REFUSED("burst", "18446744073709551615", options.rate.burst = UINT64_MAX);
}

TEST(a_rate_cost_that_is_0_or_above_the_burst) {
  REFUSED(all, "options.rate_cost", "0", options.rate_cost = 0);
  REFUSED(all, "options.rate_cost", "6", options.rate.count = 1; options.rate.burst = 5; options.rate_cost = 6);
  const pa_rate rate = {10, SECONDS, 4};
  pa_limiter* limiter;
  REQUIRE(pa_limiter_new(&rate, &limiter, NULL) == PA_STATUS_OK);
  REFUSED(all, "options.rate_cost", "5", options.limiter = limiter; options.rate_cost = 5);
  pa_limiter_release(limiter);
}

TEST(a_retry_without_attempts_or_with_wrong_delays) {
  REFUSED(all, "options.retry.attempts", "0", options.retry.attempts = 0);
  REFUSED(all, "options.retry.jitter", "2", options.retry.jitter = 2);
  REFUSED(all, "options.retry.backoff_ns", "-1", options.retry.backoff_ns = -1);
  REFUSED(all, "options.retry.max_delay_ns", "-7", options.retry.max_delay_ns = -7);
  REFUSED(all, "options.retry.max_server_wait_ns", "-2", options.retry.max_server_wait_ns = -2);
}

TEST(timeouts_below_minus_1_and_an_item_timeout_of_0) {
  REFUSED(all, "options.timeout_ns", "-2", options.timeout_ns = -2);
  REFUSED(all, "options.timeout_ns", "-9223372036854775808", options.timeout_ns = INT64_MIN);
  REFUSED(all, "options.item_timeout_ns", "-2", options.item_timeout_ns = -2);
  REFUSED(all, "options.item_timeout_ns", "0", options.item_timeout_ns = 0);
}

TEST(a_release_of_items_for_a_range) {
  REFUSED(range, "options.release_item", "pa_map_range", options.release_item = run_release);
}

TEST(a_key_function_for_a_range) {
  REFUSED(range, "options.item_key", "pa_map_range", options.release_item = NULL; options.item_key = run_key);
}

TEST(a_release_of_items_that_a_source_delivers) {
  REFUSED(sources, "options.release_item", "release_item", options.release_item = run_release);
}

// ---- the other arguments of a map

#define ARGUMENT_REFUSED(handle, field, value, expression)               \
  do {                                                                   \
    pa_result* result = NOT_NULL;                                        \
    pa_pending* pending = NOT_NULL;                                      \
    pa_error error;                                                      \
    memset(&error, 0x5a, sizeof error);                                  \
    STORE(ran, 0);                                                       \
    const pa_status status = (expression);                               \
    check_refusal(status, &error, (handle), (field), (value), __LINE__); \
    (void)result, (void)pending;                                         \
  } while (0)

TEST(a_function_of_null) {
  const pa_source from = new_source();
  ARGUMENT_REFUSED(result, "fn", "NULL", (pa_map)(NULL, NULL, items, n, NULL, &result, &error));
  ARGUMENT_REFUSED(result, "fn", "NULL", pa_map(NULL, NULL, items, n, NULL, &result, &error));
  ARGUMENT_REFUSED(result, "fn", "NULL", pa_map_batch(NULL, NULL, items, n, NULL, &result, &error));
  ARGUMENT_REFUSED(result, "fn", "NULL", pa_map_range(NULL, NULL, n, NULL, &result, &error));
  ARGUMENT_REFUSED(result, "fn", "NULL", pa_map_source(NULL, NULL, &from, NULL, &result, &error));
  ARGUMENT_REFUSED(result, "fn", "NULL", pa_map_batch_source(NULL, NULL, &from, NULL, &result, &error));
  ARGUMENT_REFUSED(pending, "fn", "NULL", pa_map_start(NULL, NULL, items, n, NULL, &pending, &error));
  ARGUMENT_REFUSED(result, "fn", "NULL", (pa_map)(NULL, NULL, items, 0, NULL, &result, &error));
}

TEST(a_loop_of_null) {
  ARGUMENT_REFUSED(result, "loop", "NULL", pa_map_loop(NULL, run, NULL, items, n, NULL, &result, &error));
}

TEST(items_of_null) {
  ARGUMENT_REFUSED(result, "items", "NULL", (pa_map)(run, NULL, NULL, n, NULL, &result, &error));
  ARGUMENT_REFUSED(result, "items", "NULL", pa_map(run, NULL, NULL, n, NULL, &result, &error));
  ARGUMENT_REFUSED(result, "items", "NULL", pa_map_batch(run_batch, NULL, NULL, n, NULL, &result, &error));
  ARGUMENT_REFUSED(pending, "items", "NULL", pa_map_start(run, NULL, NULL, n, NULL, &pending, &error));
}

TEST(nowhere_to_put_the_result) {
  const pa_source from = new_source();
  ARGUMENT_REFUSED(NULL, "result", "NULL", (pa_map)(run, NULL, items, n, NULL, NULL, &error));
  ARGUMENT_REFUSED(NULL, "result", "NULL", pa_map(run, NULL, items, n, NULL, NULL, &error));
  ARGUMENT_REFUSED(NULL, "result", "NULL", pa_map_batch(run_batch, NULL, items, n, NULL, NULL, &error));
  ARGUMENT_REFUSED(NULL, "result", "NULL", pa_map_range(run_range, NULL, n, NULL, NULL, &error));
  ARGUMENT_REFUSED(NULL, "result", "NULL", pa_map_source(run, NULL, &from, NULL, NULL, &error));
  ARGUMENT_REFUSED(NULL, "result", "NULL", pa_map_batch_source(run_batch, NULL, &from, NULL, NULL, &error));
  ARGUMENT_REFUSED(NULL, "pending", "NULL", pa_map_start(run, NULL, items, n, NULL, NULL, &error));
}

TEST(a_source_of_null_or_without_next_or_size) {
  pa_source from = new_source();
  ARGUMENT_REFUSED(result, "source", "NULL", pa_map_source(run, NULL, NULL, NULL, &result, &error));
  ARGUMENT_REFUSED(result, "source", "NULL", pa_map_batch_source(run_batch, NULL, NULL, NULL, &result, &error));
  from.next = NULL;
  ARGUMENT_REFUSED(result, "source.next", "NULL", pa_map_source(run, NULL, &from, NULL, &result, &error));
  from = new_source();
  from.struct_size = 0;
  ARGUMENT_REFUSED(result, "source.struct_size", "0", pa_map_source(run, NULL, &from, NULL, &result, &error));
}

// What no memory can hold is refused in one way or the other, and nothing has run.
TEST(more_items_than_any_memory_holds) {
  const uint64_t counts[] = {UINT64_MAX, UINT64_MAX / 2 + 2, UINT64_C(1) << 61, UINT64_MAX / 8, UINT64_C(1) << 48};
  for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
    pa_result* result = NOT_NULL;
    pa_error error;
    STORE(ran, 0);
    pa_status status = pa_map(run, NULL, items, counts[i], NULL, &result, &error);
    CHECK(status == PA_STATUS_INVALID || status == PA_STATUS_NO_MEMORY);
    CHECK_EQ(error.status, status);
    CHECK(result == NULL);
    result = NOT_NULL;
    status = pa_map_range(run_range, NULL, counts[i], NULL, &result, &error);
    CHECK(status == PA_STATUS_INVALID || status == PA_STATUS_NO_MEMORY);
    CHECK(result == NULL);
    CHECK_EQ(ran, 0);
  }
}

TEST(wrong_arguments_are_refused_without_an_error_to_fill) {
  pa_result* result = NOT_NULL;
  CHECK_STATUS(pa_map(NULL, NULL, items, n, NULL, &result, NULL), PA_STATUS_INVALID, NULL);
  CHECK(result == NULL);
  pa_options options = defaults();
  options.workers = UINT32_MAX;
  CHECK_STATUS(pa_map(run, NULL, items, n, &options, &result, NULL), PA_STATUS_INVALID, NULL);
  CHECK_STATUS(pa_map(run, NULL, items, n, NULL, NULL, NULL), PA_STATUS_INVALID, NULL);
}

// ---- limiters

static void check_rate(pa_rate rate, const char* field, const char* value, int line) {
  pa_limiter* limiter = NOT_NULL;
  pa_error error;
  STORE(ran, 0);
  const pa_status status = pa_limiter_new(&rate, &limiter, &error);
  check_refusal(status, &error, limiter, field, value, line);
  const pa_rate right = {1, HOURS, 3};
  REQUIRE(pa_limiter_new(&right, &limiter, NULL) == PA_STATUS_OK);
  check_refusal(pa_limiter_set_rate(limiter, &rate, &error), &error, NULL, field, value, line);
  CHECK_STATUS(pa_limiter_try(limiter, 3, NULL, NULL), PA_STATUS_OK, NULL);  // and nothing has changed
  pa_limiter_release(limiter);
}

TEST(wrong_rates_of_a_limiter) {
  check_rate((pa_rate){0, SECONDS, 1}, "rate.count", "0", __LINE__);
  check_rate((pa_rate){-3, SECONDS, 1}, "rate.count", "-3", __LINE__);
  check_rate((pa_rate){NAN, SECONDS, 1}, "rate.count", "nan", __LINE__);
  check_rate((pa_rate){INFINITY, SECONDS, 1}, "rate.count", "inf", __LINE__);
  check_rate((pa_rate){-INFINITY, SECONDS, 1}, "rate.count", "-inf", __LINE__);
  check_rate((pa_rate){2e9, SECONDS, 1}, "rate.count", "2e+09", __LINE__);
  check_rate((pa_rate){DBL_MAX, 1, 1}, "rate.count", "e+308", __LINE__);
  check_rate((pa_rate){DBL_MIN, INT64_MAX, 1}, "rate.count", "e-308", __LINE__);
  check_rate((pa_rate){1, 2 * 366 * 24 * HOURS, 1}, "rate.count", "1", __LINE__);
  check_rate((pa_rate){1, 0, 1}, "rate.per_ns", "0", __LINE__);
  check_rate((pa_rate){1, -1, 1}, "rate.per_ns", "-1", __LINE__);
  check_rate((pa_rate){1, SECONDS, 0}, "rate.burst", "0", __LINE__);
  check_rate((pa_rate){1, SECONDS, UINT64_MAX}, "rate.burst", "18446744073709551615", __LINE__);
  check_rate((pa_rate){1, 24 * HOURS, 3661}, "rate.burst", "3661", __LINE__);
}

TEST(rates_at_the_limits_are_right) {
  const pa_rate rates[] = {
      {1e9, SECONDS, 1}, {1, 1, 1}, {1, 365 * 24 * HOURS, 1}, {1, 365 * 24 * HOURS, 10}, {1e9, SECONDS, 1000000}};
  for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
    pa_limiter* limiter = NULL;
    pa_error error;
    CHECK_STATUS(pa_limiter_new(&rates[i], &limiter, &error), PA_STATUS_OK, &error);
    CHECK_STATUS(pa_limiter_try(limiter, rates[i].burst, NULL, &error), PA_STATUS_OK, &error);
    pa_limiter_release(limiter);
  }
}

TEST(wrong_arguments_of_limiters) {
  const pa_rate rate = {1, HOURS, 3};
  pa_limiter* limiter = NOT_NULL;
  ARGUMENT_REFUSED(limiter, "rate", "NULL", pa_limiter_new(NULL, &limiter, &error));
  ARGUMENT_REFUSED(NULL, "limiter", "NULL", pa_limiter_new(&rate, NULL, &error));
  REQUIRE(pa_limiter_new(&rate, &limiter, NULL) == PA_STATUS_OK);
  ARGUMENT_REFUSED(NULL, "limiter", "NULL", pa_limiter_acquire(NULL, 1, 0, &error));
  ARGUMENT_REFUSED(NULL, "limiter", "NULL", pa_limiter_try(NULL, 1, NULL, &error));
  ARGUMENT_REFUSED(NULL, "limiter", "NULL", pa_limiter_pause(NULL, 1, &error));
  ARGUMENT_REFUSED(NULL, "limiter", "NULL", pa_limiter_set_rate(NULL, &rate, &error));
  ARGUMENT_REFUSED(NULL, "rate", "NULL", pa_limiter_set_rate(limiter, NULL, &error));
  ARGUMENT_REFUSED(NULL, "limiter", "NULL", pa_limiter_settle(NULL, 1, &error));
  ARGUMENT_REFUSED(NULL, "tokens", "0", pa_limiter_acquire(limiter, 0, 0, &error));
  ARGUMENT_REFUSED(NULL, "tokens", "4", pa_limiter_acquire(limiter, 4, -1, &error));
  ARGUMENT_REFUSED(NULL, "tokens", "18446744073709551615", pa_limiter_acquire(limiter, UINT64_MAX, -1, &error));
  ARGUMENT_REFUSED(NULL, "timeout_ns", "-2", pa_limiter_acquire(limiter, 1, -2, &error));
  ARGUMENT_REFUSED(NULL, "tokens", "0", pa_limiter_try(limiter, 0, NULL, &error));
  ARGUMENT_REFUSED(NULL, "tokens", "4", pa_limiter_try(limiter, 4, NULL, &error));
  CHECK_STATUS(pa_limiter_try(limiter, 3, NULL, NULL), PA_STATUS_OK, NULL);  // nothing was taken
  pa_limiter_release(limiter);
}

// ---- stop tokens, handles, results, the library

TEST(nowhere_to_put_a_stop_token) { ARGUMENT_REFUSED(NULL, "stop", "NULL", pa_stop_new(NULL, &error)); }

TEST(wrong_arguments_of_pending) {
  pa_result* taken = NOT_NULL;
  pa_pending* begun = NULL;
  ARGUMENT_REFUSED(NULL, "pending", "NULL", pa_pending_wait(NULL, 0, &error));
  ARGUMENT_REFUSED(taken, "pending", "NULL", pa_pending_take(NULL, &taken, &error));
  REQUIRE(pa_map_start(run, NULL, items, n, NULL, &begun, NULL) == PA_STATUS_OK);
  CHECK_STATUS(pa_pending_wait(begun, -1, NULL), PA_STATUS_OK, NULL);
  ARGUMENT_REFUSED(NULL, "timeout_ns", "-2", pa_pending_wait(begun, -2, &error));
  ARGUMENT_REFUSED(NULL, "result", "NULL", pa_pending_take(begun, NULL, &error));
  CHECK_STATUS(pa_pending_take(begun, &taken, NULL), PA_STATUS_OK, NULL);  // still there
  pa_result_free(taken);
  pa_pending_free(begun);
}

TEST(wrong_arguments_of_results) {
  pa_result* made = NULL;
  pa_outcome outcome;
  void* value = NULL;
  uint64_t cursor = 0;
  REQUIRE(pa_map(run, NULL, items, n, NULL, &made, NULL) == PA_STATUS_OK);
  ARGUMENT_REFUSED(NULL, "result", "NULL", pa_result_at(NULL, 0, &outcome, &error));
  ARGUMENT_REFUSED(NULL, "outcome", "NULL", pa_result_at(made, 0, NULL, &error));
  ARGUMENT_REFUSED(NULL, "index", "5", pa_result_at(made, 5, &outcome, &error));
  ARGUMENT_REFUSED(NULL, "index", "18446744073709551615", pa_result_at(made, UINT64_MAX, &outcome, &error));
  ARGUMENT_REFUSED(NULL, "result", "NULL", pa_result_take(NULL, 0, &value, &error));
  ARGUMENT_REFUSED(NULL, "value", "NULL", pa_result_take(made, 0, NULL, &error));
  ARGUMENT_REFUSED(NULL, "index", "5", pa_result_take(made, 5, &value, &error));
  ARGUMENT_REFUSED(NULL, "result", "NULL", pa_result_next_failure(NULL, &cursor, &outcome, &error));
  ARGUMENT_REFUSED(NULL, "cursor", "NULL", pa_result_next_failure(made, NULL, &outcome, &error));
  ARGUMENT_REFUSED(NULL, "outcome", "NULL", pa_result_next_failure(made, &cursor, NULL, &error));
  ARGUMENT_REFUSED(NULL, "result", "NULL", pa_result_check(NULL, &error));
  pa_result_free(made);
}

TEST(a_wrong_timeout_of_drain) { ARGUMENT_REFUSED(NULL, "timeout_ns", "-2", pa_drain(-2, &error)); }
