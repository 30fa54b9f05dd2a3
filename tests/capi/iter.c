// pa_iter: outcomes that are handed out one by one, in either order.
#include "streams.h"

static void check_complete(stream* s, uint64_t n) {
  stream_read_to(s, PA_STATUS_DONE, PA_END_COMPLETED);
  CHECK_EQ(s->count, n);
  for (uint64_t i = 0; i < n; i++)
    if (!CHECK_EQ(s->given[i], 1)) break;
}

// ---- each input one outcome

TEST(each_input_has_its_outcome_whatever_the_order_and_the_number_of_workers) {
  for (uint32_t ordered = 0; ordered <= 1; ordered++)
    for (uint32_t workers = 1; workers <= 8; workers *= 2)
      for (uint64_t n = 0; n <= 10000; n = n ? n * 10 : 1) {
        stream s;
        stream_init(&s, n, 0);
        s.options.ordered = ordered;
        s.options.workers = workers;
        stream_open(&s, store_and_fail_tenths);
        check_complete(&s, n);
        CHECK_EQ(s.failed, n / 10);
        stream_close(&s);
      }
}

TEST(without_options_every_default_holds) {
  numbers from = {1000, 7, 0, 0, 0, 0, 0, NULL};
  const pa_source source = numbers_source(&from);
  pa_iter* iter;
  pa_error error;
  REQUIRE_STATUS(pa_iter_open(echo, NULL, &source, NULL, &iter, &error), PA_STATUS_OK, &error);
  uint64_t sum = 0;
  pa_outcome outcome;
  while (pa_iter_next(iter, &outcome, &error) == PA_STATUS_OK) {
    CHECK_EQ(number_of(outcome.value), outcome.index);
    sum += outcome.index;
  }
  CHECK_EQ(sum, 1000 * 999 / 2);
  CHECK_EQ(pa_iter_end(iter), PA_END_COMPLETED);
  pa_iter_close(iter);
  CHECK_EQ(from.released, 1);
  CHECK_EQ(from.items_released, 1000);
}

TEST(the_function_is_the_same_as_the_macro) {
  numbers from = {100, 7, 0, 0, 0, 0, 0, NULL};
  const pa_source source = numbers_source(&from);
  pa_iter* iter;
  pa_error error;
  REQUIRE_STATUS((pa_iter_open)(echo, NULL, &source, NULL, &iter, &error), PA_STATUS_OK, &error);
  pa_outcome outcome;
  uint64_t count = 0;
  while (pa_iter_next(iter, &outcome, &error) == PA_STATUS_OK) count++;
  CHECK_EQ(count, 100);
  pa_iter_close(iter);
}

TEST(source_and_options_are_copied) {
  stream s;
  stream_init(&s, 500, 3);
  stream_open(&s, store);
  memset(&s.source, 0xff, sizeof s.source);
  memset(&s.options, 0xff, sizeof s.options);
  s.options.ordered = s.options.detach = 0;  // for the test's own checks
  check_complete(&s, 500);
  stream_close(&s);
}

static int32_t store_null(void* ctx, void* item, void** value, pa_call* call) {
  (void)ctx, (void)item, (void)value, (void)call;
  return 0;
}

TEST(null_is_a_value_too) {
  stream s;
  stream_init(&s, 100, 0);
  stream_open(&s, store_null);
  while (stream_next(&s) == PA_STATUS_OK) {
    CHECK_EQ(s.outcome.state, PA_ITEM_OK);
    CHECK(s.outcome.value == NULL);
  }
  CHECK_EQ(s.count, 100);
  stream_close(&s);
}

TEST(the_end_is_none_until_the_stream_is_over) {
  stream s;
  stream_init(&s, 3, 0);
  stream_open(&s, store);
  WAIT_UNTIL(ledger_total(s.l.calls, 3) == 3);
  for (int i = 0; i < 3; i++) {
    CHECK_EQ(pa_iter_end(s.iter), PA_END_NONE);
    CHECK_EQ(stream_next(&s), PA_STATUS_OK);
  }
  CHECK_EQ(pa_iter_end(s.iter), PA_END_NONE);
  CHECK_EQ(stream_next(&s), PA_STATUS_DONE);
  CHECK_EQ(pa_iter_end(s.iter), PA_END_COMPLETED);
  stream_close(&s);
}

// ---- order

static counter gate = COUNTER_INIT;

static int32_t first_waits_at_gate(void* ctx, void* item, void** value, pa_call* call) {
  if (number_of(item) == 0) counter_wait(&gate, 1);
  return store(ctx, item, value, call);
}

TEST(in_completion_order_a_straggler_holds_up_nobody) {
  counter_reset(&gate);
  stream s;
  stream_init(&s, 1000, 0);
  s.options.workers = 2;
  stream_open(&s, first_waits_at_gate);
  for (int i = 1; i < 1000; i++) {
    if (!CHECK_EQ(stream_next(&s), PA_STATUS_OK)) break;
    CHECK(s.outcome.index != 0);
  }
  CHECK_STATUS(stream_next_timeout(&s, 0), PA_STATUS_TIMEOUT, &s.error);
  counter_up(&gate);
  CHECK_EQ(stream_next(&s), PA_STATUS_OK);
  CHECK_EQ(s.outcome.index, 0);
  CHECK_EQ(stream_next(&s), PA_STATUS_DONE);
  stream_close(&s);
}

TEST(in_input_order_all_wait_for_the_straggler) {
  counter_reset(&gate);
  stream s;
  stream_init(&s, 1000, 0);
  s.options.workers = 2;
  s.options.ordered = 1;
  s.options.window = 50;
  stream_open(&s, first_waits_at_gate);
  WAIT_UNTIL(ledger_total(s.l.calls, 1000) >= 30);
  CHECK_STATUS(stream_next_timeout(&s, 0), PA_STATUS_TIMEOUT, &s.error);
  CHECK_STATUS(stream_next_timeout(&s, MILLISECONDS), PA_STATUS_TIMEOUT, &s.error);
  counter_up(&gate);
  for (uint64_t i = 0; i < 1000; i++) {
    if (!CHECK_EQ(stream_next(&s), PA_STATUS_OK)) break;
    CHECK_EQ(s.outcome.index, i);
  }
  CHECK_EQ(stream_next(&s), PA_STATUS_DONE);
  stream_close(&s);
}

static int32_t tenths_fail_twice(void* ctx, void* item, void** value, pa_call* call) {
  store(ctx, item, value, call);
  return number_of(item) % 10 == 9 && pa_call_attempt(call) < 3 ? pa_call_fail(call, 9, "not yet") : 0;
}

TEST(in_input_order_a_retried_item_keeps_its_place) {
  stream s;
  stream_init(&s, 2000, 0);
  s.options.workers = 4;
  s.options.ordered = 1;
  s.options.retry.attempts = 3;
  s.options.retry.backoff_ns = 10 * MICROSECONDS;
  stream_open(&s, tenths_fail_twice);
  for (uint64_t i = 0; i < 2000; i++) {
    if (!CHECK_EQ(stream_next(&s), PA_STATUS_OK)) break;
    CHECK_EQ(s.outcome.index, i);
    CHECK_EQ(s.outcome.attempts, i % 10 == 9 ? 3 : 1);
    CHECK_EQ(s.outcome.state, PA_ITEM_OK);
  }
  CHECK_EQ(stream_next(&s), PA_STATUS_DONE);
  stream_close(&s);
}

// ---- a time limit for next

static int32_t all_wait_at_gate(void* ctx, void* item, void** value, pa_call* call) {
  counter_wait(&gate, number_of(item) + 1);
  return store(ctx, item, value, call);
}

TEST(next_with_a_timeout_returns_without_an_outcome_and_the_stream_goes_on) {
  counter_reset(&gate);
  stream s;
  stream_init(&s, 20, 0);
  s.options.workers = 2;
  s.options.window = 2;  // one item for each lease
  stream_open(&s, all_wait_at_gate);
  for (uint64_t i = 0; i < 20; i++) {
    CHECK_STATUS(stream_next_timeout(&s, 0), PA_STATUS_TIMEOUT, &s.error);
    CHECK_STATUS(stream_next_timeout(&s, MICROSECONDS), PA_STATUS_TIMEOUT, &s.error);
    CHECK_STATUS(stream_next_timeout(&s, 100 * MICROSECONDS), PA_STATUS_TIMEOUT, &s.error);
    CHECK_EQ(pa_iter_end(s.iter), PA_END_NONE);
    counter_up(&gate);
    CHECK_STATUS(stream_next_timeout(&s, HOURS), PA_STATUS_OK, &s.error);
    CHECK_EQ(s.outcome.index, i);
  }
  CHECK_STATUS(stream_next_timeout(&s, HOURS), PA_STATUS_DONE, &s.error);
  stream_close(&s);
}

static int32_t one_waits_at_gate(void* ctx, void* item, void** value, pa_call* call) {
  if (number_of(item) == 10000) counter_wait(&gate, 1);
  return store(ctx, item, value, call);
}

// Short items first: the consumer must not be found running the long one.
TEST(next_with_a_timeout_returns_also_where_items_were_short_before) {
  for (int round = 0; round < 10; round++) {
    counter_reset(&gate);
    stream s;
    stream_init(&s, 11000, 0);
    s.options.workers = 1;
    stream_open(&s, one_waits_at_gate);
    while (stream_next_timeout(&s, 10 * MILLISECONDS) == PA_STATUS_OK || !LOAD(s.l.calls[9999])) continue;
    CHECK_EQ(LOAD(s.l.values_stored[10000]), 0);
    counter_up(&gate);
    CHECK_STATUS(stream_read(&s), PA_STATUS_DONE, &s.error);
    CHECK_EQ(s.count, 11000);
    stream_close(&s);
  }
}

TEST(a_loop_of_short_timeouts_loses_nothing) {
  stream s;
  stream_init(&s, 20000, 0);
  s.options.workers = 3;
  stream_open(&s, store_and_fail_tenths);
  pa_status status;
  do status = stream_next_timeout(&s, s.count % 3 ? 0 : MICROSECONDS);
  while (status == PA_STATUS_OK || status == PA_STATUS_TIMEOUT);
  CHECK_EQ(status, PA_STATUS_DONE);
  CHECK_EQ(s.count, 20000);
  stream_close(&s);
}

// ---- several at once

static pa_status next_many(stream* s, size_t* count) {
  pa_outcome first;
  void** values = NULL;
  *count = 0;
  STORE(s->came_back, s->count);
  const pa_status status = pa_iter_next_many(s->iter, &first, &values, count, &s->error);
  if (status != PA_STATUS_OK) return status;
  CHECK(*count >= 1);
  CHECK(values != NULL);
  CHECK(values[0] == first.value);
  if (first.state != PA_ITEM_OK) CHECK_EQ(*count, 1);
  for (size_t i = 0; i < *count; i++) {
    pa_outcome outcome = first;
    outcome.index = first.index + i;
    outcome.value = values[i];
    stream_note(s, &outcome);
  }
  return status;
}

TEST(next_many_hands_out_neighbours_and_failures_alone) {
  for (uint32_t ordered = 0; ordered <= 1; ordered++) {
    stream s;
    stream_init(&s, 50000, 0);
    s.options.workers = 3;
    s.options.ordered = ordered;
    stream_open(&s, store_and_fail_tenths);
    pa_status status;
    size_t count;
    while ((status = next_many(&s, &count)) == PA_STATUS_OK) {
      if (s.outcome.state == PA_ITEM_OK) CHECK_LE(count, 9);
      CHECK_EQ(s.outcome.index % 10 == 9, s.outcome.state == PA_ITEM_FAILED);
    }
    CHECK_STATUS(status, PA_STATUS_DONE, &s.error);
    CHECK_EQ(s.count, 50000);
    CHECK_EQ(s.failed, 5000);
    CHECK_EQ(pa_iter_end(s.iter), PA_END_COMPLETED);
    stream_close(&s);
  }
}

TEST(next_many_and_next_may_take_turns) {
  stream s;
  stream_init(&s, 20000, 0);
  s.options.workers = 2;
  s.options.ordered = 1;
  stream_open(&s, store);
  pa_status status = PA_STATUS_OK;
  size_t count;
  for (int turn = 0; status == PA_STATUS_OK; turn++) status = turn % 3 ? stream_next(&s) : next_many(&s, &count);
  CHECK_STATUS(status, PA_STATUS_DONE, &s.error);
  CHECK_EQ(s.count, 20000);
  stream_close(&s);
}

TEST(next_many_hands_out_a_whole_batch) {
  stream s;
  stream_init(&s, 1000, 0);
  s.options.executor = PA_EXECUTOR_INLINE;
  s.options.batch.max_items = 100;
  stream_open_batch(&s, store_batch);
  size_t count;
  while (next_many(&s, &count) == PA_STATUS_OK) CHECK_EQ(count, 100);
  CHECK_EQ(s.count, 1000);
  stream_close(&s);
}

static int32_t key_is_number(void* ctx, void* item, pa_key* key) {
  (void)ctx;
  CHECK_EQ(key->kind, PA_KEY_NONE);
  key->kind = PA_KEY_INT;
  key->number = (int64_t)number_of(item) * 3;
  return 0;
}

TEST(with_keys_next_many_hands_out_one_at_a_time) {
  stream s;
  stream_init(&s, 3000, 0);
  s.options.item_key = key_is_number;
  stream_open(&s, store);
  size_t count;
  while (next_many(&s, &count) == PA_STATUS_OK) {
    CHECK_EQ(count, 1);
    CHECK_EQ(s.outcome.key.kind, PA_KEY_INT);
    CHECK_EQ(s.outcome.key.number, s.outcome.index * 3);
  }
  CHECK_EQ(s.count, 3000);
  stream_close(&s);
}

static uint64_t reported;

static int32_t count_report(void* ctx, uint64_t done, uint64_t total) {
  (void)ctx, (void)total;
  CHECK_EQ(done, ++reported);
  return 0;
}

TEST(with_callbacks_next_many_reports_each_item) {
  reported = 0;
  stream s;
  stream_init(&s, 3000, 0);
  s.options.on_progress = count_report;
  stream_open(&s, store_and_fail_tenths);
  size_t count;
  while (next_many(&s, &count) == PA_STATUS_OK) CHECK_EQ(s.count, reported);
  CHECK_EQ(s.count, 3000);
  stream_close(&s);
}

// ---- who consumes

static void* read_a_hundred(void* ctx) {
  stream* s = ctx;
  for (int i = 0; i < 100; i++) CHECK_EQ(stream_next(s), PA_STATUS_OK);
  return NULL;
}

TEST(several_threads_may_consume_one_after_the_other) {
  for (int executor = PA_EXECUTOR_THREADS; executor <= PA_EXECUTOR_INLINE; executor++) {
    stream s;
    stream_init(&s, 2000, 0);
    s.options.executor = executor;
    stream_open(&s, store);
    for (int i = 0; i < 20; i++) {
      pthread_t thread;
      REQUIRE(pthread_create(&thread, NULL, read_a_hundred, &s) == 0);
      pthread_join(thread, NULL);
    }
    CHECK_EQ(stream_next(&s), PA_STATUS_DONE);
    stream_close(&s);
  }
}

static void* open_and_leave(void* ctx) {
  stream_open(ctx, store);
  return NULL;
}

TEST(the_thread_that_opened_a_stream_may_end) {
  stream s;
  stream_init(&s, 1000, 0);
  pthread_t thread;
  REQUIRE(pthread_create(&thread, NULL, open_and_leave, &s) == 0);
  pthread_join(thread, NULL);
  check_complete(&s, 1000);
  stream_close(&s);
}

// A consumer who takes his time between two calls: workers that left for his sake come back.
TEST(a_slow_consumer_has_all_outcomes) {
  stream s;
  stream_init(&s, 3000, 0);
  s.options.workers = 2;
  stream_open(&s, store);
  while (stream_next(&s) == PA_STATUS_OK) {
    if (s.count % 100 == 0) wait_until_ns(now_ns() + 2 * MILLISECONDS);
    if (s.count % 7 == 0) nap();
  }
  CHECK_EQ(s.count, 3000);
  CHECK_EQ(pa_iter_end(s.iter), PA_END_COMPLETED);
  stream_close(&s);
}
