// Callbacks may call the library: no lock is held, and nested maps do not deadlock.
#include "support.h"

static void map_inside(uint32_t workers, uint64_t n) {
  uint32_t calls = 0;
  void** items = numbered(n);
  pa_options options = defaults();
  options.workers = workers;
  pa_result* result = NULL;
  pa_error error;
  REQUIRE_STATUS(pa_map(count_calls, &calls, items, n, &options, &result, &error), PA_STATUS_OK, &error);
  CHECK_EQ(calls, n);
  CHECK_EQ(pa_result_ok(result), 1);
  pa_result_free(result);
  free(items);
}

static uint32_t deepest;

typedef struct level {
  uint32_t depth, workers;
} level;

static int32_t go_deeper(void* ctx, void* item, void** value, pa_call* call) {
  const level* at = ctx;
  (void)item, (void)value, (void)call;
  raise_to(&deepest, at->depth);
  if (at->depth == 4) return 0;
  level below = {at->depth + 1, at->workers};
  void** items = numbered(4);
  pa_options options = defaults();
  options.workers = at->workers;
  pa_result* result = NULL;
  pa_error error;
  if (CHECK_STATUS(pa_map(go_deeper, &below, items, 4, &options, &result, &error), PA_STATUS_OK, &error))
    CHECK_EQ(pa_result_ok(result), 1);
  pa_result_free(result);
  free(items);
  return 0;
}

TEST(maps_nest_to_any_depth_whatever_the_number_of_workers) {
  for (uint32_t workers = 1; workers <= 4; workers++) {
    level top = {1, workers};
    deepest = 0;
    go_deeper(&top, NULL, NULL, NULL);
    CHECK_EQ(deepest, 4);
  }
}

static counter all_inside = COUNTER_INIT;

static int32_t map_when_all_are_inside(void* ctx, void* item, void** value, pa_call* call) {
  (void)ctx, (void)item, (void)value, (void)call;
  counter_up(&all_inside);
  counter_wait(&all_inside, 8);  // every worker is busy
  map_inside(8, 100);
  return 0;
}

TEST(a_nested_map_needs_no_idle_worker) {
  void** items = numbered(8);
  counter_reset(&all_inside);
  pa_options options = defaults();
  options.workers = 8;
  pa_result* result;
  pa_error error;
  REQUIRE_STATUS(pa_map(map_when_all_are_inside, NULL, items, 8, &options, &result, &error), PA_STATUS_OK, &error);
  CHECK_EQ(pa_result_ok(result), 1);
  pa_result_free(result);
  free(items);
}

// ---- from every other callback

static uint32_t nested;

static void map_now_and_then(void) {
  if (COUNT_UP(nested) % 8 == 1) map_inside(2, 20);
}

static int32_t map_in_next(void* ctx, void** items, size_t max, size_t* got) {
  map_now_and_then();
  return numbers_next(ctx, items, max, got);
}

static void map_in_release_of_item(void* ctx, void* item) {
  map_now_and_then();
  numbers_release_item(ctx, item);
}

static void map_in_release(void* ctx) {
  map_now_and_then();
  numbers_release(ctx);
}

static int32_t map_in_progress(void* ctx, uint64_t done, uint64_t total) {
  (void)ctx, (void)done, (void)total;
  map_now_and_then();
  return 0;
}

static int32_t map_in_result(void* ctx, const pa_outcome* outcome) {
  (void)ctx, (void)outcome;
  map_now_and_then();
  return 0;
}

static int32_t map_in_key(void* ctx, void* item, pa_key* key) {
  (void)ctx, (void)item, (void)key;
  map_now_and_then();
  return 0;
}

static void map_in_release_of_value(void* ctx, void* value) {
  (void)ctx, (void)value;
  map_now_and_then();
}

static int32_t map_in_retry_if(void* ctx, const pa_outcome* failure) {
  (void)ctx, (void)failure;
  map_now_and_then();
  return 1;
}

static int32_t map_in_start(void* ctx) {
  (void)ctx;
  map_inside(2, 20);
  return 0;
}

static void map_in_end(void* ctx) {
  (void)ctx;
  map_inside(2, 20);
}

static int32_t fail_at_first(void* ctx, void* item, void** value, pa_call* call) {
  (void)ctx;
  *value = item;
  return pa_call_attempt(call) == 1 ? 1 : 0;
}

TEST(every_callback_may_start_a_map) {
  for (int executor = PA_EXECUTOR_THREADS; executor <= PA_EXECUTOR_INLINE; executor++) {
    numbers from = {100, 3, 0, 0, 0, 0, 0, NULL};
    pa_source source = numbers_source(&from);
    source.next = map_in_next;
    source.release_item = map_in_release_of_item;
    source.release = map_in_release;
    pa_options options = defaults();
    options.executor = executor;
    options.workers = 3;
    options.retry.attempts = 2;
    options.retry.backoff_ns = 0;
    options.retry.retry_if = map_in_retry_if;
    options.on_progress = map_in_progress;
    options.on_result = map_in_result;
    options.item_key = map_in_key;
    options.release_value = map_in_release_of_value;
    options.worker_start = map_in_start;
    options.worker_stop = map_in_end;
    options.on_quiescent = map_in_end;
    pa_result* result = NULL;
    pa_error error;
    REQUIRE_STATUS(pa_map_source(fail_at_first, NULL, &source, &options, &result, &error), PA_STATUS_OK, &error);
    CHECK_EQ(pa_result_ok(result), 1);
    CHECK_EQ(pa_result_count(result), 100);
    CHECK_EQ(from.items_released, 100);
    pa_result_free(result);
  }
}

typedef struct tools {
  pa_limiter* limiter;
  pa_stop* stop;
} tools;

static int32_t use_tools(void* ctx, void* item, void** value, pa_call* call) {
  tools* t = ctx;
  const pa_rate rate = {1e6, SECONDS, 100};
  (void)item, (void)value;
  CHECK_STATUS(pa_limiter_acquire(t->limiter, 1, -1, NULL), PA_STATUS_OK, NULL);
  CHECK(pa_limiter_try(t->limiter, 1, NULL, NULL) >= 0);
  CHECK_STATUS(pa_limiter_pause(t->limiter, MICROSECONDS, NULL), PA_STATUS_OK, NULL);
  CHECK_STATUS(pa_limiter_settle(t->limiter, -1, NULL), PA_STATUS_OK, NULL);
  CHECK_STATUS(pa_limiter_set_rate(t->limiter, &rate, NULL), PA_STATUS_OK, NULL);
  CHECK_EQ(pa_stop_requested(t->stop), pa_call_stopped(call));
  if (pa_call_index(call) == 50) pa_stop_request(t->stop);
  return 0;
}

TEST(a_function_may_use_the_limiter_and_the_stop_token_of_its_own_run) {
  const pa_rate rate = {1e6, SECONDS, 100};
  tools t;
  REQUIRE(pa_limiter_new(&rate, &t.limiter, NULL) == PA_STATUS_OK);
  REQUIRE(pa_stop_new(&t.stop, NULL) == PA_STATUS_OK);
  void** items = numbered(100);
  pa_options options = defaults();
  options.executor = PA_EXECUTOR_INLINE;
  options.limiter = t.limiter;
  options.stop = t.stop;
  pa_result* result;
  pa_error error;
  REQUIRE_STATUS(pa_map(use_tools, &t, items, 100, &options, &result, &error), PA_STATUS_OK, &error);
  CHECK_EQ(pa_result_end(result), PA_END_CANCELLED);
  CHECK_EQ(count_state(result, PA_ITEM_OK), 51);
  pa_result_free(result);
  pa_limiter_release(t.limiter);
  pa_stop_release(t.stop);
  free(items);
}

static int32_t start_and_wait(void* ctx, void* item, void** value, pa_call* call) {
  (void)ctx, (void)item, (void)value, (void)call;
  void** items = numbered(20);
  pa_pending* pending = NULL;
  pa_result* result = NULL;
  if (CHECK_STATUS(pa_map_start(echo, NULL, items, 20, NULL, &pending, NULL), PA_STATUS_OK, NULL)) {
    CHECK_STATUS(pa_pending_wait(pending, -1, NULL), PA_STATUS_OK, NULL);
    CHECK_STATUS(pa_pending_take(pending, &result, NULL), PA_STATUS_OK, NULL);
    CHECK_EQ(pa_result_ok(result), 1);
  }
  pa_result_free(result);
  pa_pending_free(pending);
  free(items);
  return 0;
}

TEST(a_function_may_start_a_run_in_the_background_and_wait_for_it) {
  void** items = numbered(20);
  pa_options options = defaults();
  options.workers = 3;
  pa_result* result;
  REQUIRE(pa_map(start_and_wait, NULL, items, 20, &options, &result, NULL) == PA_STATUS_OK);
  CHECK_EQ(pa_result_ok(result), 1);
  pa_result_free(result);
  free(items);
}
