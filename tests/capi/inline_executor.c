// PA_EXECUTOR_INLINE: the calling thread alone, in input order, with everything else as it is.
#include "support.h"

static pthread_t caller;
static uint64_t next_index;
static uint32_t busy;

static int32_t in_order_on_the_caller(void* ctx, void* item, void** value, pa_call* call) {
  (void)ctx;
  CHECK(pthread_equal(pthread_self(), caller));
  CHECK_EQ(COUNT_UP(busy), 1);
  CHECK_EQ(pa_call_index(call), next_index);
  CHECK_EQ(number_of(item), next_index);
  next_index++;
  *value = item;
  COUNT_DOWN(busy);
  return 0;
}

static pa_options inline_options(void) {
  caller = pthread_self();
  next_index = 0;
  pa_options options = defaults();
  options.executor = PA_EXECUTOR_INLINE;
  return options;
}

static void run(const pa_options* options) {
  next_index = 0;
  void** items = numbered(300);
  pa_result* result = NULL;
  pa_error error;
  REQUIRE_STATUS(pa_map(in_order_on_the_caller, NULL, items, 300, options, &result, &error), PA_STATUS_OK, &error);
  check_result(result);
  CHECK_EQ(pa_result_ok(result), 1);
  CHECK_EQ(next_index, 300);
  for (uint64_t i = 0; i < 300; i++) CHECK(pa_result_value(result, i) == items[i]);
  pa_result_free(result);
  free(items);
}

TEST(items_run_one_by_one_in_input_order_on_the_calling_thread) {
  const pa_options options = inline_options();
  run(&options);
}

TEST(no_thread_is_made) {
  CHECK_STATUS(pa_drain(-1, NULL), PA_STATUS_OK, NULL);
  const uint64_t before = settled_thread_count();
  pa_options options = inline_options();
  options.timeout_ns = HOURS;
  REQUIRE(pa_stop_new(&options.stop, NULL) == PA_STATUS_OK);
  run(&options);
  CHECK_LE(thread_count(), before);
  pa_stop_release(options.stop);
}

TEST(workers_window_and_batch_size_change_nothing) {
  pa_options options = inline_options();
  options.workers = 100;
  run(&options);
  options.window = 1;
  run(&options);
  options.window = 50;
  options.batch_size = 7;
  run(&options);
}

TEST(limiter_and_item_timeout_hold) {
  pa_options options = inline_options();
  options.rate.count = 100000;
  options.rate.burst = 10;
  options.item_timeout_ns = HOURS;
  const int64_t before = now_ns();
  run(&options);
  CHECK(now_ns() - before >= 290 * 10 * MICROSECONDS);
}

static uint32_t order[40];
static uint32_t order_length;

static int32_t fail_at_first_and_note_order(void* ctx, void* item, void** value, pa_call* call) {
  (void)ctx, (void)item, (void)value;
  order[order_length++] = (uint32_t)pa_call_index(call);
  return pa_call_attempt(call) < 3 ? 1 : 0;
}

TEST(retries_of_an_item_come_before_the_next_item) {
  const pa_options base = inline_options();
  pa_options options = base;
  options.retry.attempts = 3;
  options.retry.backoff_ns = MICROSECONDS;
  order_length = 0;
  void** items = numbered(10);
  pa_result* result;
  pa_error error;
  REQUIRE_STATUS(pa_map(fail_at_first_and_note_order, NULL, items, 10, &options, &result, &error), PA_STATUS_OK, &error);
  CHECK_EQ(pa_result_ok(result), 1);
  CHECK_EQ(order_length, 30);
  for (uint32_t i = 0; i < 30; i++) CHECK_EQ(order[i], i / 3);
  pa_result_free(result);
  free(items);
}

static uint32_t pulled, run_so_far;

static int32_t pull_one_ahead_at_most(void* ctx, void** items, size_t max, size_t* got) {
  (void)ctx, (void)max;
  CHECK(pthread_equal(pthread_self(), caller));
  *got = pulled < 20;
  if (*got) items[0] = NULL, pulled++;
  return 0;
}

static int32_t count_run(void* ctx, void* item, void** value, pa_call* call) {
  (void)ctx, (void)item, (void)value, (void)call;
  run_so_far++;
  return 0;
}

TEST(a_source_is_pulled_on_the_calling_thread) {
  const pa_options options = inline_options();
  pulled = run_so_far = 0;
  pa_source source;
  pa_source_init(&source, sizeof source);
  source.next = pull_one_ahead_at_most;
  pa_result* result;
  pa_error error;
  REQUIRE_STATUS(pa_map_source(count_run, NULL, &source, &options, &result, &error), PA_STATUS_OK, &error);
  CHECK_EQ(pa_result_count(result), 20);
  CHECK_EQ(run_so_far, 20);
  pa_result_free(result);
}

TEST(with_a_timeout_of_0_nothing_is_pulled) {
  pa_options options = inline_options();
  options.timeout_ns = 0;
  pulled = run_so_far = 0;
  pa_source source;
  pa_source_init(&source, sizeof source);
  source.next = pull_one_ahead_at_most;
  pa_result* result;
  pa_error error;
  REQUIRE_STATUS(pa_map_source(count_run, NULL, &source, &options, &result, &error), PA_STATUS_OK, &error);
  CHECK_EQ(pulled, 0);
  CHECK_EQ(run_so_far, 0);
  CHECK_EQ(pa_result_end(result), PA_END_TIMED_OUT);
  pa_result_free(result);
}

static int32_t wait_for_the_deadline(void* ctx, void* item, void** value, pa_call* call) {
  (void)item, (void)value;
  COUNT_UP(*(uint32_t*)ctx);
  wait_until_stopped(call);
  return 0;
}

TEST(a_timeout_is_seen_between_items) {
  uint32_t calls = 0;
  GROWING_TIMEOUT(timeout_ns, calls) {
    pa_options options = inline_options();
    options.timeout_ns = timeout_ns;
    void** items = numbered(5);
    pa_result* result;
    REQUIRE(pa_map(wait_for_the_deadline, &calls, items, 5, &options, &result, NULL) == PA_STATUS_OK);
    CHECK_EQ(pa_result_end(result), PA_END_TIMED_OUT);
    CHECK_EQ(count_state(result, PA_ITEM_OK), calls);
    CHECK_EQ(count_state(result, PA_ITEM_TIMED_OUT), 5 - calls);
    pa_result_free(result);
    free(items);
  }
  CHECK_EQ(calls, 1);
}

static int32_t whole_batch(void* ctx, void* const* items, size_t count, void** values, pa_call* call) {
  (void)ctx;
  CHECK(pthread_equal(pthread_self(), caller));
  CHECK_EQ(pa_call_index(call), next_index);
  for (size_t i = 0; i < count; i++) values[i] = items[i];
  next_index += count;
  return 0;
}

TEST(batches_run_in_input_order) {
  const pa_options options = inline_options();
  void** items = numbered(500);
  pa_result* result;
  REQUIRE(pa_map_batch(whole_batch, NULL, items, 500, &options, &result, NULL) == PA_STATUS_OK);
  CHECK_EQ(pa_result_ok(result), 1);
  CHECK_EQ(next_index, 500);
  pa_result_free(result);
  free(items);
}
