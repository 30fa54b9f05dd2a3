// Streams of a batch function: how many items a call gets.
#include "streams.h"

typedef struct calls {
  stream s;          // first: it is the ctx
  uint32_t smaller;  // calls of fewer than max_items
  uint32_t largest;
} calls;

static int32_t store_and_note_size(void* ctx, void* const* items, size_t count, void** values, pa_call* call) {
  calls* c = ctx;
  if (count < c->s.options.batch.max_items) COUNT_UP(c->smaller);
  raise_to(&c->largest, (uint32_t)count);
  for (size_t i = 0; i < count; i++) CHECK(values[i] == NULL);
  return store_batch(&c->s, items, count, values, call);
}

static void run_full(uint64_t n, uint64_t max_items, uint64_t at_a_time, uint32_t workers, uint64_t window, int executor) {
  calls c;
  memset(&c, 0, sizeof c);
  stream_init(&c.s, n, at_a_time);
  c.s.options.executor = executor;
  c.s.options.workers = workers;
  c.s.options.window = window;
  c.s.options.batch.max_items = max_items;
  c.s.options.batch.linger_ns = at_a_time ? HOURS : 0;
  stream_open_batch(&c.s, store_and_note_size);
  stream_read_to(&c.s, PA_STATUS_DONE, PA_END_COMPLETED);
  CHECK_EQ(c.s.count, n);
  CHECK_EQ(c.smaller, n % max_items ? 1 : 0);
  CHECK_EQ(c.largest, max_items);
  CHECK_EQ(pa_iter_batch_size(c.s.iter), max_items);
  stream_close(&c.s);
}

TEST(all_batches_but_the_last_are_full) {
  const uint64_t sizes[] = {1, 3, 7, 1000, 4096, 5000};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
    for (uint32_t workers = 1; workers <= 3; workers += 2) run_full(20000, sizes[i], 0, workers, 0, PA_EXECUTOR_THREADS);
}

TEST(with_linger_batches_are_full_also_where_the_source_delivers_little_at_a_time) {
  const uint64_t sizes[] = {3, 1000, 5000};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
    for (uint64_t at_a_time = 1; at_a_time <= 7; at_a_time += 6)
      run_full(20000, sizes[i], at_a_time, 3, 0, PA_EXECUTOR_THREADS);
}

TEST(batches_are_full_with_the_inline_executor) {
  run_full(20000, 1000, 0, 1, 0, PA_EXECUTOR_INLINE);
  run_full(2000, 3, 0, 1, 0, PA_EXECUTOR_INLINE);
}

TEST(with_linger_batches_are_full_with_the_inline_executor) {
  run_full(2000, 3, 1, 1, 0, PA_EXECUTOR_INLINE);
  run_full(2000, 1000, 7, 1, 0, PA_EXECUTOR_INLINE);
}

TEST(batches_are_full_whatever_the_window) {
  const uint64_t windows[] = {3, 4, 5, 10, 100};
  for (size_t i = 0; i < sizeof windows / sizeof windows[0]; i++)
    for (uint64_t at_a_time = 0; at_a_time <= 2; at_a_time++)
      run_full(2000, 3, at_a_time, 3, windows[i], PA_EXECUTOR_THREADS);
}

static int32_t fail_sevenths(void* ctx, void* const* items, size_t count, void** values, pa_call* call) {
  store_and_note_size(ctx, items, count, values, call);
  for (size_t i = 0; i < count; i++)
    if (number_of(items[i]) % 7 == 3) pa_call_fail_at(call, i, 3, "a seventh");
  return 0;
}

// Failures are handed out alone: what the consumer comes back from is less than a batch.
TEST(batches_are_full_also_where_items_fail) {
  for (uint64_t window = 0; window <= 100; window += 50) {
    calls c;
    memset(&c, 0, sizeof c);
    stream_init(&c.s, 5000, 0);
    c.s.options.workers = 2;
    c.s.options.window = window;
    c.s.options.batch.max_items = 20;
    stream_open_batch(&c.s, fail_sevenths);
    stream_read_to(&c.s, PA_STATUS_DONE, PA_END_COMPLETED);
    CHECK_EQ(c.s.count, 5000);
    CHECK_EQ(c.smaller, 0);
    stream_close(&c.s);
  }
}

TEST(no_batch_lingers_at_the_end_of_a_chunk) {
  for (int executor = PA_EXECUTOR_THREADS; executor <= PA_EXECUTOR_INLINE; executor++) {
    calls c;
    memset(&c, 0, sizeof c);
    stream_init(&c.s, 1000, 1);
    c.s.options.executor = executor;
    c.s.options.workers = 2;
    c.s.options.batch_size = 10;
    c.s.options.batch.max_items = 3;
    c.s.options.batch.linger_ns = HOURS;
    stream_open_batch(&c.s, store_and_note_size);
    stream_read_to(&c.s, PA_STATUS_DONE, PA_END_COMPLETED);
    CHECK_EQ(c.s.count, 1000);
    CHECK_EQ(c.smaller, 100);
    stream_close(&c.s);
  }
}

TEST(without_linger_a_call_gets_what_is_there) {
  calls c;
  memset(&c, 0, sizeof c);
  stream_init(&c.s, 1000, 1);
  c.s.options.batch.max_items = 100;
  c.s.options.workers = 2;
  stream_open_batch(&c.s, store_and_note_size);
  stream_read_to(&c.s, PA_STATUS_DONE, PA_END_COMPLETED);
  CHECK_EQ(c.s.count, 1000);
  stream_close(&c.s);
}

static counter supply = COUNTER_INIT;

static int32_t pull_when_supplied(void* ctx, void** items, size_t max, size_t* got) {
  stream* s = ctx;
  counter_wait(&supply, s->from.pulls + 1);
  return stream_pull(s, items, max, got);
}

TEST(a_batch_that_lingered_long_enough_runs_while_the_source_blocks) {
  counter_reset(&supply);
  stream s;
  stream_init(&s, 5, 1);
  s.source.next = pull_when_supplied;
  s.options.batch.max_items = 100;
  s.options.batch.linger_ns = MILLISECONDS;
  s.options.workers = 1;
  stream_open_batch(&s, store_batch);
  for (int i = 0; i < 5; i++) {
    counter_up(&supply);
    CHECK_EQ(stream_next(&s), PA_STATUS_OK);
  }
  counter_up(&supply);
  CHECK_EQ(stream_next(&s), PA_STATUS_DONE);
  stream_close(&s);
}

TEST(an_automatic_size_grows_and_is_reported) {
  for (uint32_t ordered = 0; ordered <= 1; ordered++) {
    calls c;
    memset(&c, 0, sizeof c);
    stream_init(&c.s, 100000, 0);
    c.s.options.ordered = ordered;
    c.s.options.workers = 2;
    stream_open_batch(&c.s, store_and_note_size);
    CHECK_EQ(pa_iter_batch_size(NULL), 0);
    stream_read_to(&c.s, PA_STATUS_DONE, PA_END_COMPLETED);
    CHECK_EQ(c.s.count, 100000);
    CHECK(pa_iter_batch_size(c.s.iter) >= 1);
    CHECK_LE(pa_iter_batch_size(c.s.iter), 8192); /* what it has settled on need not have been run yet */
    CHECK_LE(c.largest, 8192);
    stream_close(&c.s);
  }
}

TEST(streams_of_single_items_have_no_batch_size) {
  stream s;
  stream_init(&s, 100, 0);
  stream_open(&s, store);
  stream_read_to(&s, PA_STATUS_DONE, PA_END_COMPLETED);
  CHECK_EQ(pa_iter_batch_size(s.iter), 0);
  stream_close(&s);
}

static int32_t fail_fifths_at_first(void* ctx, void* const* items, size_t count, void** values, pa_call* call) {
  store_batch(ctx, items, count, values, call);
  if (pa_call_attempt(call) > 1) CHECK_EQ(count, 1);
  for (size_t i = 0; i < count; i++) {
    if (number_of(items[i]) % 10 == 9) pa_call_fail_at(call, i, 9, "always");
    if (number_of(items[i]) % 10 == 4 && pa_call_attempt(call) == 1) pa_call_fail_at(call, i, 4, "at first");
  }
  return 0;
}

TEST(failed_items_of_a_batch_are_retried_and_handed_out_alone) {
  for (uint32_t ordered = 0; ordered <= 1; ordered++) {
    stream s;
    stream_init(&s, 5000, 13);
    s.options.ordered = ordered;
    s.options.workers = 3;
    s.options.retry.attempts = 2;
    s.options.retry.backoff_ns = 0;
    s.options.batch.max_items = 11;
    stream_open_batch(&s, fail_fifths_at_first);
    while (stream_next(&s) == PA_STATUS_OK) {
      CHECK_EQ(s.outcome.state, s.outcome.index % 10 == 9 ? PA_ITEM_FAILED : PA_ITEM_OK);
      CHECK_EQ(s.outcome.attempts, s.outcome.index % 5 == 4 ? 2 : 1);
      if (s.outcome.state != PA_ITEM_OK) CHECK_STR(s.outcome.message, "always");
    }
    CHECK_EQ(s.count, 5000);
    CHECK_EQ(s.failed, 500);
    stream_close(&s);
  }
}

static int32_t key_is_number(void* ctx, void* item, pa_key* key) {
  (void)ctx;
  key->kind = PA_KEY_INT;
  key->number = (int64_t)number_of(item);
  return 0;
}

TEST(items_of_a_batch_have_their_keys) {
  stream s;
  stream_init(&s, 12000, 0);
  s.options.batch.max_items = 5000;
  s.options.item_key = key_is_number;
  stream_open_batch(&s, store_batch);
  while (stream_next(&s) == PA_STATUS_OK) CHECK_EQ(s.outcome.key.number, s.outcome.index);
  CHECK_EQ(s.count, 12000);
  stream_close(&s);
}
