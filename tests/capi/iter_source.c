// Where the inputs of a stream come from: sources that are endless, slow, blocked, failing.
#include "streams.h"

static int32_t no_progress(void* ctx, uint64_t done, uint64_t total) {
  (void)ctx, (void)done, (void)total;
  return 0;
}

TEST(a_source_may_deliver_any_number_at_a_time) {
  const uint64_t sizes[] = {1, 2, 3, 100, 5000};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    stream s;
    stream_init(&s, 20000, sizes[i]);
    s.options.workers = 3;
    stream_open(&s, store_and_fail_tenths);
    stream_read_to(&s, PA_STATUS_DONE, PA_END_COMPLETED);
    CHECK_EQ(s.count, 20000);
    stream_close(&s);
  }
}

TEST(a_hint_may_be_too_small_or_too_large) {
  const uint64_t hints[] = {0, 1, 99, 100, 101, 1000000};
  for (size_t i = 0; i < sizeof hints / sizeof hints[0]; i++) {
    stream s;
    stream_init(&s, 100, 0);
    s.source.size_hint = hints[i];
    stream_open(&s, store);
    stream_read_to(&s, PA_STATUS_DONE, PA_END_COMPLETED);
    CHECK_EQ(s.count, 100);
    stream_close(&s);
  }
}

TEST(an_endless_source_is_read_for_as_long_as_one_likes) {
  for (uint32_t ordered = 0; ordered <= 1; ordered++) {
    stream s;
    stream_init(&s, UINT64_MAX, 0);
    s.options.ordered = ordered;
    s.options.workers = 3;
    s.options.window = 10000;
    stream_open(&s, store);
    while (s.count < 50000 && stream_next(&s) == PA_STATUS_OK) continue;
    CHECK_EQ(s.count, 50000);
    stream_close(&s);
  }
}

TEST(a_source_needs_no_release_callbacks) {
  stream s;
  stream_init(&s, 1000, 0);
  s.source.release = NULL;
  s.source.release_item = NULL;
  stream_open(&s, store);
  stream_read_to(&s, PA_STATUS_DONE, PA_END_COMPLETED);
  CHECK_EQ(s.count, 1000);
  pa_iter_close(s.iter);
  CHECK_EQ(s.l.quiescent, 1);
  stream_free(&s);
}

// ---- sources that wait

static int32_t pull_what_was_fed(void* ctx, void** items, size_t max, size_t* got) {
  stream* s = ctx;
  (void)max;
  WAIT_UNTIL(LOAD(s->count) >= s->from.delivered || LOAD(s->closed));
  return stream_pull(s, items, 1, got);
}

// As a crawler does, whose results are its further inputs: the consumer must not wait in the source for himself.
TEST(a_source_may_wait_for_the_consumer) {
  for (uint32_t workers = 1; workers <= 3; workers++) {
    stream s;
    stream_init(&s, 2000, 1);
    s.source.next = pull_what_was_fed;
    s.options.workers = workers;
    stream_open(&s, store);
    stream_read_to(&s, PA_STATUS_DONE, PA_END_COMPLETED);
    CHECK_EQ(s.count, 2000);
    stream_close(&s);
  }
}

static counter supply = COUNTER_INIT;

static int32_t pull_when_supplied(void* ctx, void** items, size_t max, size_t* got) {
  stream* s = ctx;
  counter_wait(&supply, s->from.pulls + 1);
  return stream_pull(s, items, max, got);
}

TEST(a_source_that_blocks_holds_up_no_outcome) {
  for (uint32_t ordered = 0; ordered <= 1; ordered++) {
    counter_reset(&supply);
    stream s;
    stream_init(&s, 3000, 10);
    s.source.next = pull_when_supplied;
    s.options.workers = 1;
    s.options.ordered = ordered;
    stream_open(&s, store);
    while (s.count < 3000) {
      counter_up(&supply);
      const uint64_t before = s.count;
      while (s.count == before)
        if (!CHECK_EQ(stream_next(&s), PA_STATUS_OK)) return;  // though the source does not return until more is asked for
      while (stream_next_timeout(&s, 0) == PA_STATUS_OK) continue;
    }
    counter_up(&supply);
    CHECK_EQ(stream_next(&s), PA_STATUS_DONE);
    stream_close(&s);
  }
}

static int32_t fail_first_attempt(void* ctx, void* item, void** value, pa_call* call) {
  store(ctx, item, value, call);
  return pa_call_attempt(call) == 1 ? 1 : 0;
}

TEST(a_source_that_blocks_holds_up_no_retry) {
  counter_reset(&supply);
  stream s;
  stream_init(&s, 500, 1);
  s.source.next = pull_when_supplied;
  s.options.workers = 1;
  s.options.retry.attempts = 2;
  s.options.retry.backoff_ns = 10 * MICROSECONDS;
  stream_open(&s, fail_first_attempt);
  for (uint64_t i = 0; i < 500; i++) {
    counter_up(&supply);
    if (!CHECK_EQ(stream_next(&s), PA_STATUS_OK)) break;
    CHECK_EQ(s.outcome.attempts, 2);
  }
  counter_up(&supply);
  CHECK_EQ(stream_next(&s), PA_STATUS_DONE);
  stream_close(&s);
}

// ---- sources that fail

static int32_t pull_or_fail_at_100(void* ctx, void** items, size_t max, size_t* got) {
  stream* s = ctx;
  if (s->from.delivered >= 100) {
    STORE(s->closed, 1);  // it must not be asked again
    items[0] = &supply;   // not to be looked at
    *got = 1;
    return -77;
  }
  return stream_pull(s, items, max, got);
}

TEST(when_a_source_fails_all_that_was_done_is_handed_out_and_then_its_code) {
  for (int executor = PA_EXECUTOR_THREADS; executor <= PA_EXECUTOR_INLINE; executor++)
    for (uint32_t ordered = 0; ordered <= 1; ordered++) {
      stream s;
      stream_init(&s, UINT64_MAX, 10);
      s.source.next = pull_or_fail_at_100;
      s.options.executor = executor;
      s.options.ordered = ordered;
      s.options.workers = 3;
      stream_open(&s, store);
      stream_read_to(&s, PA_STATUS_SOURCE, PA_END_FAILED);
      CHECK_EQ(s.error.status, PA_STATUS_SOURCE);
      CHECK_EQ(s.error.detail, -77);
      CHECK_CONTAINS(s.error.message, "source.next returned -77");
      for (uint64_t i = 0; i < s.from.delivered; i++) CHECK_EQ(s.given[i], s.l.calls[i]);
      if (executor == PA_EXECUTOR_INLINE) CHECK_EQ(s.count, s.from.delivered);
      stream_close(&s);
    }
}

TEST(a_source_that_fails_at_once_gives_nothing_but_its_code) {
  stream s;
  stream_init(&s, UINT64_MAX, 10);
  s.from.delivered = 100;
  s.source.next = pull_or_fail_at_100;
  s.source.release_item = NULL;
  stream_open(&s, store);
  stream_read_to(&s, PA_STATUS_SOURCE, PA_END_FAILED);
  CHECK_EQ(s.count, 0);
  pa_iter_close(s.iter);
  CHECK_EQ(s.from.released, 1);
  CHECK_EQ(s.l.quiescent, 1);
  stream_free(&s);
}

static int32_t say_too_many(void* ctx, void** items, size_t max, size_t* got) {
  (void)ctx, (void)items;
  *got = max + 1;
  return 0;
}

TEST(a_source_that_says_it_stored_more_than_there_was_room_for_has_failed) {
  stream s;
  stream_init(&s, 10, 0);
  s.source.next = say_too_many;
  stream_open(&s, store);
  stream_read_to(&s, PA_STATUS_SOURCE, PA_END_FAILED);
  CHECK_CONTAINS(s.error.message, "source.next must store at most");
  stream_close(&s);
}

// ---- after a stop

static int32_t pull_and_stop_at_500(void* ctx, void** items, size_t max, size_t* got) {
  stream* s = ctx;
  const int32_t code = stream_pull(ctx, items, max, got);
  if (s->from.delivered < 500) return code;
  pa_stop_request(s->options.stop);
  STORE(s->closed, 1);
  return code;
}

TEST(the_source_is_not_touched_after_a_stop) {
  for (uint32_t workers = 1; workers <= 4; workers++) {
    stream s;
    stream_init(&s, UINT64_MAX, 7);
    s.source.next = pull_and_stop_at_500;
    s.options.workers = workers;
    REQUIRE(pa_stop_new(&s.options.stop, NULL) == PA_STATUS_OK);
    stream_open(&s, store);
    stream_read_to(&s, PA_STATUS_DONE, PA_END_CANCELLED);
    CHECK_LE(s.from.delivered, 506);
    stream_close(&s);
    pa_stop_release(s.options.stop);
  }
}

// ---- what callbacks are told of it

static uint64_t last_done, last_total;

static int32_t note_progress(void* ctx, uint64_t done, uint64_t total) {
  stream* s = ctx;
  CHECK_EQ(done, last_done + 1);
  CHECK_LE(done, total);
  if (s->source.size_hint == PA_UNSIZED) CHECK_LE(total, LOAD(s->from.delivered));
  last_done = done;
  last_total = total;
  return 0;
}

TEST(the_total_is_the_hint_or_what_was_admitted_so_far) {
  const uint64_t hints[] = {PA_UNSIZED, 1000, 400, 5000};
  for (int i = 0; i < 4; i++) {
    last_done = last_total = 0;
    stream s;
    stream_init(&s, 1000, 0);
    s.source.size_hint = hints[i];
    s.options.on_progress = note_progress;
    s.options.progress_ctx = &s;
    stream_open(&s, store_and_fail_tenths);
    while (stream_next(&s) == PA_STATUS_OK) CHECK_EQ(last_done, s.count);
    CHECK_EQ(s.count, 1000);
    CHECK_EQ(last_total, hints[i] == 5000 ? 5000 : 1000);
    stream_close(&s);
  }
}

TEST(a_slow_source_with_callbacks_delivers_each_outcome_before_the_next_input) {
  stream s;
  stream_init(&s, 300, 1);
  s.source.next = pull_what_was_fed;
  s.options.on_progress = no_progress;
  stream_open(&s, store);
  stream_read_to(&s, PA_STATUS_DONE, PA_END_COMPLETED);
  CHECK_EQ(s.count, 300);
  stream_close(&s);
}
