// Streams inside maps, maps inside streams, streams inside streams; and functions that C++ exceptions leave.
#include "streams.h"

int32_t throw_from_item(void* ctx, void* item, void** value, pa_call* call);
int32_t throw_from_batch(void* ctx, void* const* items, size_t count, void** values, pa_call* call);

static void map_inside(void) {
  uint32_t calls = 0;
  void** items = numbered(50);
  pa_options options = defaults();
  options.workers = 3;
  pa_result* result = NULL;
  pa_error error;
  REQUIRE_STATUS(pa_map(count_calls, &calls, items, 50, &options, &result, &error), PA_STATUS_OK, &error);
  CHECK_EQ(calls, 50);
  pa_result_free(result);
  free(items);
}

static void stream_inside(void) {
  stream s;
  stream_init(&s, 200, 3);
  s.options.workers = 3;
  s.options.ordered = 1;
  stream_open(&s, store_and_fail_tenths);
  stream_read_to(&s, PA_STATUS_DONE, PA_END_COMPLETED);
  CHECK_EQ(s.count, 200);
  stream_close(&s);
}

static counter inside = COUNTER_INIT;

static int32_t map_in_function(void* ctx, void* item, void** value, pa_call* call) {
  map_inside();
  return store(ctx, item, value, call);
}

static int32_t stream_in_function(void* ctx, void* item, void** value, pa_call* call) {
  stream_inside();
  return store(ctx, item, value, call);
}

TEST(the_function_of_a_stream_may_map_and_stream) {
  for (int executor = PA_EXECUTOR_THREADS; executor <= PA_EXECUTOR_INLINE; executor++)
    for (int streams = 0; streams <= 1; streams++) {
      stream s;
      stream_init(&s, 40, 0);
      s.options.executor = executor;
      s.options.workers = 4;
      stream_open(&s, streams ? stream_in_function : map_in_function);
      stream_read_to(&s, PA_STATUS_DONE, PA_END_COMPLETED);
      CHECK_EQ(s.count, 40);
      stream_close(&s);
    }
}

static int32_t stream_when_all_are_inside(void* ctx, void* item, void** value, pa_call* call) {
  (void)ctx, (void)item, (void)value, (void)call;
  counter_up(&inside);
  counter_wait(&inside, 8);  // every worker is busy
  stream_inside();
  return 0;
}

TEST(a_stream_inside_a_map_needs_no_idle_worker) {
  void** items = numbered(8);
  counter_reset(&inside);
  pa_options options = defaults();
  options.workers = 8;
  pa_result* result;
  pa_error error;
  REQUIRE_STATUS(pa_map(stream_when_all_are_inside, NULL, items, 8, &options, &result, &error), PA_STATUS_OK, &error);
  CHECK_EQ(pa_result_ok(result), 1);
  pa_result_free(result);
  free(items);
}

// ---- from every other callback

static uint32_t nested;

static void map_now_and_then(void) {
  if (COUNT_UP(nested) % 16 == 1) map_inside();
}

static int32_t map_in_next(void* ctx, void** items, size_t max, size_t* got) {
  map_now_and_then();
  return stream_pull(ctx, items, max, got);
}

static void map_in_release_of_item(void* ctx, void* item) {
  map_now_and_then();
  numbers_release_item(&((stream*)ctx)->from, item);
}

static void map_in_release(void* ctx) {
  map_inside();
  numbers_release(&((stream*)ctx)->from);
}

static void map_in_release_of_value(void* ctx, void* value) {
  map_now_and_then();
  ledger_release_value(ctx, value);
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

static int32_t map_in_start(void* ctx) {
  (void)ctx;
  map_inside();
  return 0;
}

static void map_in_stop(void* ctx) {
  (void)ctx;
  map_inside();
}

static void map_in_quiescent(void* ctx) {
  map_inside();
  ledger_quiescent(ctx);
}

TEST(every_callback_of_a_stream_may_start_a_map) {
  for (int executor = PA_EXECUTOR_THREADS; executor <= PA_EXECUTOR_INLINE; executor++)
    for (uint64_t read = 50; read <= 1000; read += 950) {
      stream s;
      stream_init(&s, 100, 3);
      s.source.next = map_in_next;
      s.source.release_item = map_in_release_of_item;
      s.source.release = map_in_release;
      s.options.executor = executor;
      s.options.workers = 3;
      s.options.on_progress = map_in_progress;
      s.options.on_result = map_in_result;
      s.options.item_key = map_in_key;
      s.options.release_value = map_in_release_of_value;
      s.options.worker_start = map_in_start;
      s.options.worker_stop = map_in_stop;
      s.options.on_quiescent = map_in_quiescent;
      stream_open(&s, store_and_fail_tenths);
      while (s.count < read && stream_next(&s) == PA_STATUS_OK) continue;
      CHECK_EQ(s.count, read < 100 ? read : 100);
      stream_close(&s);
    }
}

// ---- exceptions

static uint32_t released;

static void count_release(void* ctx, void* value) {
  (void)ctx, (void)value;
  COUNT_UP(released);
}

TEST(an_exception_makes_its_item_fail_and_the_stream_goes_on) {
  for (int executor = PA_EXECUTOR_THREADS; executor <= PA_EXECUTOR_INLINE; executor++) {
    numbers from = {600, 0, 0, 0, 0, 0, 0, NULL};
    const pa_source source = numbers_source(&from);
    pa_options options = defaults();
    options.executor = executor;
    options.workers = 3;
    options.release_value = count_release;
    released = 0;
    pa_iter* iter;
    pa_error error;
    REQUIRE_STATUS(pa_iter_open(throw_from_item, NULL, &source, &options, &iter, &error), PA_STATUS_OK, &error);
    pa_outcome outcome;
    uint64_t count = 0;
    for (; pa_iter_next(iter, &outcome, &error) == PA_STATUS_OK; count++) {
      CHECK_EQ(outcome.state, outcome.index % 2 ? PA_ITEM_OK : PA_ITEM_FAILED);
      CHECK_EQ(outcome.code, outcome.index % 2 ? 0 : PA_CODE_EXCEPTION);
      if (outcome.index % 6 == 0) CHECK_STR(outcome.message, "it broke");
      if (outcome.index % 6 == 4) CHECK_STR(outcome.message, "it was wrong");
    }
    CHECK_EQ(count, 600);
    CHECK_EQ(pa_iter_end(iter), PA_END_COMPLETED);
    pa_iter_close(iter);
    CHECK_EQ(released, 300);  // what had been stored before the exception
  }
}

TEST(an_exception_in_a_batch_fails_its_unanswered_items) {
  numbers from = {500, 0, 0, 0, 0, 0, 0, NULL};
  const pa_source source = numbers_source(&from);
  pa_options options = defaults();
  options.workers = 2;
  options.batch.max_items = 5;
  pa_iter* iter;
  pa_error error;
  REQUIRE_STATUS(pa_iter_open_batch(throw_from_batch, NULL, &source, &options, &iter, &error), PA_STATUS_OK, &error);
  pa_outcome outcome;
  uint64_t count = 0;
  for (; pa_iter_next(iter, &outcome, &error) == PA_STATUS_OK; count++)
    CHECK_EQ(outcome.code, outcome.index % 5 == 0 ? 0 : PA_CODE_EXCEPTION);
  CHECK_EQ(count, 500);
  pa_iter_close(iter);
}
