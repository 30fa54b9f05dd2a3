// options.window and options.batch_size: how far ahead of the work inputs are admitted.
#include "support.h"

typedef struct watched {
  numbers numbers;
  uint64_t window;
  uint64_t finished;  // counted before an item is done: at least what the library knows
  uint64_t most_ahead;
} watched;

static int32_t watched_next(void* ctx, void** items, size_t max, size_t* got) {
  watched* w = ctx;
  const uint64_t ahead = w->numbers.delivered + max - LOAD(w->finished);
  if (w->most_ahead < ahead) w->most_ahead = ahead;
  return numbers_next(&w->numbers, items, max, got);
}

static int32_t finish(void* ctx, void* item, void** value, pa_call* call) {
  watched* w = ctx;
  *value = item;
  const int32_t code = pa_call_index(call) % 10 == 9 ? 1 : 0;
  COUNT_UP(w->finished);
  return code;
}

TEST(a_source_is_never_pulled_beyond_the_window) {
  const uint64_t windows[] = {1, 2, 3, 10, 100};
  for (size_t i = 0; i < sizeof windows / sizeof windows[0]; i++)
    for (uint32_t workers = 1; workers <= 4; workers += 3) {
      watched w = {{1000, 0, 0, 0, 0, 0, 0, NULL}, windows[i], 0, 0};
      pa_source source = numbers_source(&w.numbers);
      source.next = watched_next;
      source.ctx = &w;
      source.release_item = NULL;
      source.release = NULL;
      pa_options options = defaults();
      options.workers = workers;
      options.window = windows[i];
      pa_result* result;
      pa_error error;
      REQUIRE_STATUS(pa_map_source(finish, &w, &source, &options, &result, &error), PA_STATUS_OK, &error);
      check_result(result);
      CHECK_EQ(pa_result_count(result), 1000);
      CHECK_EQ(pa_result_failed(result), 100);
      CHECK_LE(w.most_ahead, windows[i]);
      pa_result_free(result);
    }
}

static uint32_t tries;

static int32_t fail_at_first(void* ctx, void* item, void** value, pa_call* call) {
  watched* w = ctx;
  (void)item, (void)value;
  if (pa_call_attempt(call) == 1) return 1;
  COUNT_UP(tries);
  COUNT_UP(w->finished);
  return 0;
}

TEST(an_item_that_waits_for_its_retry_stays_in_the_window) {
  watched w = {{200, 0, 0, 0, 0, 0, 0, NULL}, 4, 0, 0};
  pa_source source = numbers_source(&w.numbers);
  source.next = watched_next;
  source.ctx = &w;
  source.release_item = NULL;
  source.release = NULL;
  pa_options options = defaults();
  options.workers = 2;
  options.window = 4;
  options.retry.attempts = 2;
  options.retry.backoff_ns = 10 * MICROSECONDS;
  pa_result* result;
  pa_error error;
  REQUIRE_STATUS(pa_map_source(fail_at_first, &w, &source, &options, &result, &error), PA_STATUS_OK, &error);
  CHECK_EQ(pa_result_ok(result), 1);
  CHECK_EQ(tries, 200);
  CHECK_LE(w.most_ahead, 4);
  pa_result_free(result);
}

// Item 0 holds the window's only other place: with a window of 2 and item 0 waiting, 1 is done before 2 starts, and so on.
static uint64_t done_before[100];
static counter last_done = COUNTER_INIT;

static int32_t one_after_the_other(void* ctx, void* item, void** value, pa_call* call) {
  (void)ctx, (void)item, (void)value;
  const uint64_t index = pa_call_index(call);
  if (index == 0) {
    counter_wait(&last_done, 1);
    return 0;
  }
  for (uint64_t i = 1; i < index; i++) CHECK(LOAD(done_before[i]));
  STORE(done_before[index], 1);
  if (index == 99) counter_up(&last_done);
  return 0;
}

TEST(the_window_holds_for_arrays_too) {
  void** items = numbered(100);
  pa_options options = defaults();
  options.workers = 4;
  options.window = 2;
  pa_result* result;
  pa_error error;
  REQUIRE_STATUS(pa_map(one_after_the_other, NULL, items, 100, &options, &result, &error), PA_STATUS_OK, &error);
  CHECK_EQ(pa_result_ok(result), 1);
  pa_result_free(result);
  free(items);
}

// ---- chunks

static int32_t chunk_next(void* ctx, void** items, size_t max, size_t* got) {
  watched* w = ctx;
  CHECK_LE(w->numbers.delivered % 10 + max, 10);
  if (w->numbers.delivered % 10 == 0) CHECK_EQ(LOAD(w->finished), w->numbers.delivered);
  return numbers_next(&w->numbers, items, max, got);
}

static int32_t count_finished(void* ctx, void* item, void** value, pa_call* call) {
  watched* w = ctx;
  (void)item, (void)value;
  if (pa_call_attempt(call) == 1 && pa_call_index(call) % 3 == 0) return 1;
  COUNT_UP(w->finished);
  return 0;
}

TEST(with_batch_size_each_chunk_is_finished_before_the_next_is_pulled) {
  for (uint32_t workers = 1; workers <= 4; workers += 3) {
    watched w = {{95, 4, 0, 0, 0, 0, 0, NULL}, 0, 0, 0};
    pa_source source = numbers_source(&w.numbers);
    source.next = chunk_next;
    source.ctx = &w;
    source.release_item = NULL;
    source.release = NULL;
    pa_options options = defaults();
    options.workers = workers;
    options.batch_size = 10;
    options.retry.attempts = 2;
    options.retry.backoff_ns = 0;
    pa_result* result;
    pa_error error;
    REQUIRE_STATUS(pa_map_source(count_finished, &w, &source, &options, &result, &error), PA_STATUS_OK, &error);
    CHECK_EQ(pa_result_count(result), 95);
    CHECK_EQ(pa_result_ok(result), 1);
    pa_result_free(result);
  }
}

static uint64_t finished_of_array;

static int32_t in_chunks_of_7(void* ctx, void* item, void** value, pa_call* call) {
  (void)ctx, (void)item, (void)value;
  const uint64_t chunk = pa_call_index(call) / 7;
  CHECK(LOAD(finished_of_array) >= chunk * 7);
  COUNT_UP(finished_of_array);
  return 0;
}

TEST(with_batch_size_arrays_are_run_chunk_by_chunk_too) {
  void** items = numbered(100);
  pa_options options = defaults();
  options.workers = 4;
  options.batch_size = 7;
  pa_result* result;
  pa_error error;
  REQUIRE_STATUS(pa_map(in_chunks_of_7, NULL, items, 100, &options, &result, &error), PA_STATUS_OK, &error);
  CHECK_EQ(pa_result_ok(result), 1);
  pa_result_free(result);
  free(items);
}

// Chunks must not restart the clock: 4,000 items of a quarter millisecond outlast any of the timeouts tried.
static int32_t a_quarter_millisecond(void* ctx, void* item, void** value, pa_call* call) {
  (void)ctx, (void)item, (void)value, (void)call;
  wait_until_ns(now_ns() + 250 * MICROSECONDS);
  return 0;
}

TEST(a_timeout_is_for_the_whole_run_and_not_for_each_chunk) {
  void** items = numbered(4000);
  pa_options options = defaults();
  options.workers = 1;
  options.batch_size = 1;
  options.timeout_ns = 20 * MILLISECONDS;
  pa_result* result;
  pa_error error;
  REQUIRE_STATUS(pa_map(a_quarter_millisecond, NULL, items, 4000, &options, &result, &error), PA_STATUS_OK, &error);
  check_result(result);
  CHECK_EQ(pa_result_end(result), PA_END_TIMED_OUT);
  CHECK(count_state(result, PA_ITEM_TIMED_OUT) > 0);
  pa_result_free(result);
  free(items);
}

// ---- without a window

static counter busy = COUNTER_INIT;

static int32_t stay_busy(void* ctx, void* item, void** value, pa_call* call) {
  (void)ctx, (void)item, (void)value;
  counter_up(&busy);
  wait_until_stopped(call);
  return 0;
}

static void* stop_after_a_while(void* stop) {
  counter_wait(&busy, 2);
  for (int i = 0; i < 50; i++) nap();  // time enough to pull a great deal
  pa_stop_request(stop);
  return NULL;
}

TEST(an_endless_source_is_pulled_only_a_little_ahead_of_busy_workers) {
  numbers from = {UINT64_MAX, 0, 0, 0, 0, 0, 0, NULL};
  const pa_source source = numbers_source(&from);
  pa_options options = defaults();
  options.workers = 2;
  pa_error error;
  REQUIRE_STATUS(pa_stop_new(&options.stop, &error), PA_STATUS_OK, &error);
  pthread_t stopper;
  REQUIRE(pthread_create(&stopper, NULL, stop_after_a_while, options.stop) == 0);
  pa_result* result;
  REQUIRE_STATUS(pa_map_source(stay_busy, NULL, &source, &options, &result, &error), PA_STATUS_OK, &error);
  pthread_join(stopper, NULL);
  CHECK_LE(from.delivered, 16);
  CHECK_EQ(from.items_released, from.delivered);
  pa_result_free(result);
  pa_stop_release(options.stop);
}
