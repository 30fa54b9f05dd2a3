// options.window of a stream: how many inputs are out that the consumer has not come back from.
#include "streams.h"

static int32_t no_progress(void* ctx, uint64_t done, uint64_t total) {
  (void)ctx, (void)done, (void)total;
  return 0;
}

static const uint64_t windows[] = {1, 2, 3, 10, 100};
enum { n_windows = sizeof windows / sizeof windows[0] };

TEST(a_source_is_never_asked_beyond_the_window) {
  for (int executor = PA_EXECUTOR_THREADS; executor <= PA_EXECUTOR_INLINE; executor++)
    for (int i = 0; i < n_windows; i++)
      for (uint32_t ordered = 0; ordered <= 1; ordered++)
        for (uint32_t workers = 1; workers <= 4; workers += 3) {
          stream s;
          stream_init(&s, 2000, 0);
          s.options.executor = executor;
          s.options.window = windows[i];
          s.options.ordered = ordered;
          s.options.workers = workers;
          stream_open(&s, store_and_fail_tenths);
          stream_read_to(&s, PA_STATUS_DONE, PA_END_COMPLETED);
          CHECK_EQ(s.count, 2000);
          CHECK_LE(s.most_ahead, windows[i]);
          stream_close(&s);
        }
}

TEST(the_window_holds_with_retries_callbacks_and_next_many) {
  for (int i = 0; i < n_windows; i++)
    for (uint32_t ordered = 0; ordered <= 1; ordered++) {
      stream s;
      stream_init(&s, 1000, 3);
      s.options.window = windows[i];
      s.options.ordered = ordered;
      s.options.workers = 3;
      s.options.retry.attempts = 2;
      s.options.retry.backoff_ns = 10 * MICROSECONDS;
      if (ordered) s.options.on_progress = no_progress;
      stream_open(&s, store_and_fail_tenths);
      pa_outcome first;
      void** values;
      size_t count;
      while (pa_iter_next_many(s.iter, &first, &values, &count, &s.error) == PA_STATUS_OK) {
        for (size_t k = 0; k < count; k++) {
          pa_outcome outcome = first;
          outcome.index += k;
          outcome.value = values[k];
          stream_note(&s, &outcome);
        }
        STORE(s.came_back, s.count);
      }
      CHECK_EQ(s.count, 1000);
      CHECK_LE(s.most_ahead, windows[i]);
      stream_close(&s);
    }
}

TEST(batches_stay_inside_the_window) {
  for (int i = 0; i < n_windows; i++) {
    stream s;
    stream_init(&s, 2000, 0);
    s.options.window = windows[i];
    s.options.workers = 3;
    s.options.batch.max_items = windows[i] < 3 ? windows[i] : 3;
    stream_open_batch(&s, store_batch);
    stream_read_to(&s, PA_STATUS_DONE, PA_END_COMPLETED);
    CHECK_EQ(s.count, 2000);
    CHECK_LE(s.most_ahead, windows[i]);
    stream_close(&s);
  }
}

TEST(while_the_consumer_stalls_the_window_fills_and_no_more) {
  for (int i = 0; i < n_windows; i++)
    for (uint32_t ordered = 0; ordered <= 1; ordered++) {
      stream s;
      stream_init(&s, UINT64_MAX, 0);
      s.options.window = windows[i];
      s.options.ordered = ordered;
      s.options.workers = 2;
      stream_open(&s, store);
      for (uint64_t stall = 1; stall <= 5; stall++) {
        WAIT_UNTIL(ledger_total(s.l.calls, 1000) >= windows[i]);
        for (int k = 0; k < 5; k++) nap();  // time enough to pull more
        CHECK_LE(LOAD(s.from.delivered), s.came_back + windows[i]);
        CHECK_EQ(stream_next(&s), PA_STATUS_OK);
      }
      CHECK_LE(s.most_ahead, windows[i]);
      stream_close(&s);
    }
}

// What was handed out is counted until the consumer comes back.
TEST(with_a_window_of_1_the_next_input_is_pulled_when_the_consumer_comes_back) {
  stream s;
  stream_init(&s, UINT64_MAX, 0);
  s.options.window = 1;
  s.options.workers = 4;
  stream_open(&s, store);
  for (uint64_t i = 0; i < 100; i++) {
    CHECK_EQ(stream_next(&s), PA_STATUS_OK);
    CHECK_EQ(s.outcome.index, i);
    CHECK_EQ(LOAD(s.from.delivered), i + 1);
  }
  stream_close(&s);
}

static counter gate = COUNTER_INIT;

static int32_t first_waits_at_gate(void* ctx, void* item, void** value, pa_call* call) {
  if (number_of(item) == 0) counter_wait(&gate, 1);
  return store(ctx, item, value, call);
}

TEST(in_input_order_a_straggler_holds_up_admission) {
  for (int i = 1; i < n_windows; i++) {
    counter_reset(&gate);
    stream s;
    stream_init(&s, 1000, 1);
    s.options.window = windows[i];
    s.options.ordered = 1;
    s.options.workers = 2;
    stream_open(&s, first_waits_at_gate);
    WAIT_UNTIL(LOAD(s.from.delivered) == windows[i]);
    CHECK_STATUS(stream_next_timeout(&s, MILLISECONDS), PA_STATUS_TIMEOUT, &s.error);
    CHECK_EQ(LOAD(s.from.delivered), windows[i]);
    counter_up(&gate);
    stream_read_to(&s, PA_STATUS_DONE, PA_END_COMPLETED);
    CHECK_EQ(s.count, 1000);
    CHECK_LE(s.most_ahead, windows[i]);
    stream_close(&s);
  }
}

TEST(in_completion_order_a_straggler_takes_one_place_of_the_window) {
  counter_reset(&gate);
  stream s;
  stream_init(&s, 1000, 1);
  s.options.window = 4;
  s.options.workers = 2;
  s.options.on_progress = no_progress;  // the consumer does not run the straggler
  stream_open(&s, first_waits_at_gate);
  for (int i = 1; i < 1000; i++) CHECK_EQ(stream_next(&s), PA_STATUS_OK);
  CHECK_LE(s.most_ahead, 4);
  counter_up(&gate);
  CHECK_EQ(stream_next(&s), PA_STATUS_OK);
  CHECK_EQ(s.outcome.index, 0);
  stream_close(&s);
}

TEST(chunks_of_batch_size_are_finished_one_after_the_other) {
  for (uint32_t ordered = 0; ordered <= 1; ordered++) {
    stream s;
    stream_init(&s, 1003, 4);
    s.options.batch_size = 10;
    s.options.ordered = ordered;
    s.options.workers = 3;
    stream_open(&s, store_and_fail_tenths);
    uint64_t chunk = 0;
    while (stream_next(&s) == PA_STATUS_OK) {
      CHECK(s.outcome.index / 10 >= chunk);
      chunk = s.outcome.index / 10;
    }
    CHECK_EQ(s.count, 1003);
    stream_close(&s);
  }
}

// ---- without a window

static int32_t stay_busy(void* ctx, void* item, void** value, pa_call* call) {
  wait_until_stopped(call);
  return store(ctx, item, value, call);
}

TEST(without_a_window_an_endless_source_is_pulled_only_a_little_ahead) {
  stream s;
  stream_init(&s, UINT64_MAX, 0);
  s.options.workers = 2;
  stream_open(&s, stay_busy);
  WAIT_UNTIL(LOAD(s.from.delivered) >= 2);
  for (int i = 0; i < 50; i++) nap();
  CHECK_LE(LOAD(s.from.delivered), 32);  // 16 leases of one for each worker
  stream_close(&s);
}

// ---- constant memory

typedef struct living {
  uint64_t n, delivered;
  int64_t items, values, most_items, most_values;
} living;

static void raise_most(int64_t* most, int64_t seen) {
  int64_t before = LOAD(*most);
  while (before < seen && !__atomic_compare_exchange_n(most, &before, seen, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) continue;
}

static int32_t bear_items(void* ctx, void** items, size_t max, size_t* got) {
  living* l = ctx;
  size_t count = 0;
  for (; count < max && l->delivered < l->n; count++) items[count] = (void*)(uintptr_t)++l->delivered;
  raise_most(&l->most_items, __atomic_add_fetch(&l->items, (int64_t)count, __ATOMIC_SEQ_CST));
  *got = count;
  return 0;
}

static void bury_item(void* ctx, void* item) {
  (void)item;
  COUNT_DOWN(((living*)ctx)->items);
}

static void bury_value(void* ctx, void* value) {
  (void)value;
  COUNT_DOWN(((living*)ctx)->values);
}

static int32_t bear_value(void* ctx, void* item, void** value, pa_call* call) {
  living* l = ctx;
  raise_most(&l->most_values, COUNT_UP(l->values));
  *value = item;
  return number_of(item) % 10 == 9 && pa_call_attempt(call) == 1 ? pa_call_fail(call, 1, "at first") : 0;
}

static void run_living(uint64_t n, uint64_t window, uint32_t ordered, int64_t most) {
  living l = {n, 0, 0, 0, 0, 0};
  pa_source source;
  pa_source_init(&source, sizeof source);
  source.next = bear_items;
  source.ctx = &l;
  source.release_item = bury_item;
  pa_options options = defaults();
  options.window = window;
  options.ordered = ordered;
  options.workers = 2;
  options.release_value = bury_value;
  options.release_ctx = &l;
  options.retry.attempts = 2;
  options.retry.backoff_ns = 0;
  pa_iter* iter;
  pa_error error;
  REQUIRE_STATUS(pa_iter_open(bear_value, &l, &source, &options, &iter, &error), PA_STATUS_OK, &error);
  pa_outcome outcome;
  uint64_t count = 0;
  for (; pa_iter_next(iter, &outcome, &error) == PA_STATUS_OK; count++) bury_value(&l, outcome.value);
  CHECK_EQ(count, n);
  pa_iter_close(iter);
  CHECK_EQ(l.items, 0);
  CHECK_EQ(l.values, 0);
  CHECK_LE(l.most_items, most);
  CHECK_LE(l.most_values, most);
}

TEST(a_million_items_live_in_a_window) {
  for (uint32_t ordered = 0; ordered <= 1; ordered++) {
    run_living(1000000, 0, ordered, 262144 + 1);  // what was handed out first is buried after the next is pulled
    run_living(100000, 100, ordered, 100 + 1);
  }
}
