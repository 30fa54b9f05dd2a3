// pa_iter_drain: what a stream that ended early did not hand out. Each input that was pulled has one outcome.
#include "streams.h"

#include <string.h>

// Drains the next one.
static pa_status drain_next(stream* s) {
  const pa_status status = pa_iter_drain(s->iter, &s->outcome, &s->error);
  if (status != PA_STATUS_OK || !CHECK(s->outcome.index < s->l.n)) return status;
  CHECK_EQ(COUNT_UP(s->given[s->outcome.index]), 1);
  CHECK_EQ(s->outcome.value != NULL, s->outcome.state == PA_ITEM_OK);
  CHECK_EQ(*s->outcome.message != 0, s->outcome.state != PA_ITEM_OK);
  if (s->outcome.value) ledger_release_value(&s->l, s->outcome.value);  // it is the consumer's
  return status;
}

// Drains all, and checks that together with what was handed out each input that was pulled has one outcome.
static uint64_t drain_all(stream* s, uint64_t* not_done) {
  uint64_t done = 0;
  *not_done = 0;
  pa_status status;
  while ((status = drain_next(s)) == PA_STATUS_OK) {
    if (s->outcome.state == PA_ITEM_OK || s->outcome.state == PA_ITEM_FAILED)
      done++;
    else if (++*not_done)
      CHECK(s->outcome.attempts <= 1);
  }
  CHECK_EQ(status, PA_STATUS_DONE);
  CHECK_EQ(drain_next(s), PA_STATUS_DONE);
  for (uint64_t i = 0; i < s->from.delivered; i++) CHECK_EQ(s->given[i], 1);
  return done;
}

TEST(not_before_the_end) {
  stream s;
  stream_init(&s, 10, 0);
  stream_open(&s, store);
  CHECK_STATUS(pa_iter_drain(s.iter, &s.outcome, &s.error), PA_STATUS_INVALID, &s.error);
  CHECK_CONTAINS(s.error.message, "over");
  CHECK_STATUS(pa_iter_drain(NULL, &s.outcome, &s.error), PA_STATUS_INVALID, &s.error);
  CHECK_STATUS(pa_iter_drain(s.iter, NULL, &s.error), PA_STATUS_INVALID, &s.error);
  stream_read_to(&s, PA_STATUS_DONE, PA_END_COMPLETED);
  uint64_t not_done;
  CHECK_EQ(drain_all(&s, &not_done), 0);
  CHECK_EQ(not_done, 0);
  stream_close(&s);
}

static counter second_began = COUNTER_INIT;

// Item 0 fails, and the run with it, while item 1 is running, which succeeds.
static int32_t fail_first(void* ctx, void* item, void** value, pa_call* call) {
  if (pa_call_index(call) == 0) {
    counter_wait(&second_began, 1);
    return 7;
  }
  if (pa_call_index(call) == 1) {
    counter_up(&second_began);
    wait_until_stopped(call);
  }
  return store(ctx, item, value, call);
}

TEST(what_was_running_when_too_many_had_failed_keeps_its_outcome) {
  counter_reset(&second_began);
  stream s;
  stream_init(&s, 100, 0);
  s.options.workers = 2;
  s.options.max_errors = 1;
  s.options.batch_size = 2;
  stream_open(&s, fail_first);
  stream_read_to(&s, PA_STATUS_DONE, PA_END_ABORTED);
  CHECK_EQ(s.given[0], 1);
  uint64_t not_done;
  drain_all(&s, &not_done);
  CHECK_EQ(s.given[1], 1);
  stream_close(&s);
}

static int32_t fail_for_now(void* ctx, void* item, void** value, pa_call* call) {
  stream* s = ctx;
  (void)item, (void)value;
  if (pa_call_index(call) == 3) pa_stop_request(s->options.stop);
  return pa_call_fail(call, 11, "for now");
}

TEST(an_item_that_waits_for_its_retry_keeps_its_attempts_and_its_last_error) {
  stream s;
  stream_init(&s, 4, 0);
  s.options.workers = 1;
  s.options.retry.attempts = 9;
  s.options.retry.backoff_ns = INT64_C(3600) * 1000000000;
  REQUIRE_STATUS(pa_stop_new(&s.options.stop, &s.error), PA_STATUS_OK, &s.error);
  pa_stop* stop = s.options.stop;
  stream_open(&s, fail_for_now);
  stream_read_to(&s, PA_STATUS_DONE, PA_END_CANCELLED);
  for (int i = 0; i < 4; i++) {
    REQUIRE_STATUS(drain_next(&s), PA_STATUS_OK, &s.error);
    CHECK_EQ(s.outcome.state, PA_ITEM_CANCELLED);
    CHECK_EQ(s.outcome.attempts, 1);
    CHECK_EQ(s.outcome.code, 11);
    CHECK_STR(s.outcome.message, "for now");
  }
  CHECK_EQ(drain_next(&s), PA_STATUS_DONE);
  stream_close(&s);
  pa_stop_release(stop);
}

static int32_t name(void* ctx, void* item, pa_key* key) {
  (void)ctx;
  key->kind = PA_KEY_INT;
  key->number = (int64_t)(uintptr_t)item;
  return 0;
}

TEST(a_stop_in_the_middle_leaves_an_outcome_for_all_that_was_pulled) {
  for (int ordered = 0; ordered < 2; ordered++)
    for (uint64_t taken = 0; taken < 300; taken += 60) {
      stream s;
      stream_init(&s, UINT64_MAX, 0);
      s.options.workers = 2;
      s.options.window = 256;
      s.options.ordered = (uint32_t)ordered;
      s.options.item_key = name;
      REQUIRE_STATUS(pa_stop_new(&s.options.stop, &s.error), PA_STATUS_OK, &s.error);
      pa_stop* stop = s.options.stop;
      stream_open(&s, store_and_fail_tenths);
      for (uint64_t i = 0; i < taken; i++) REQUIRE(stream_next(&s) == PA_STATUS_OK);
      pa_stop_request(stop);
      stream_read_to(&s, PA_STATUS_DONE, PA_END_CANCELLED);
      while (drain_next(&s) == PA_STATUS_OK)
        if (s.outcome.key.kind) CHECK_EQ((uint64_t)s.outcome.key.number, s.outcome.index + 1);
      for (uint64_t i = 0; i < s.from.delivered; i++) CHECK_EQ(s.given[i], 1);
      stream_close(&s);
      pa_stop_release(stop);
    }
}

TEST(a_close_releases_what_was_not_drained) {
  stream s;
  stream_init(&s, UINT64_MAX, 0);
  s.options.max_errors = 3;
  stream_open(&s, store_and_fail_tenths);
  stream_read_to(&s, PA_STATUS_DONE, PA_END_ABORTED);
  for (int i = 0; i < 2; i++) drain_next(&s);
  stream_close(&s);
}

static counter began = COUNTER_INIT, go_on = COUNTER_INIT;
static int32_t wait_to_go_on(void* ctx, void* item, void** value, pa_call* call) {
  counter_up(&began);
  counter_wait(&go_on, 1);
  return store(ctx, item, value, call);
}

TEST(what_a_detached_stream_leaves_running_was_not_done) {
  counter_reset(&began);
  counter_reset(&go_on);
  stream s;
  stream_init(&s, 2, 0);
  s.options.workers = 2;
  s.options.detach = 1;
  REQUIRE_STATUS(pa_stop_new(&s.options.stop, &s.error), PA_STATUS_OK, &s.error);
  pa_stop* stop = s.options.stop;
  stream_open(&s, wait_to_go_on);
  counter_wait(&began, 2);
  pa_stop_request(stop);
  stream_read_to(&s, PA_STATUS_DONE, PA_END_CANCELLED);
  uint64_t not_done;
  CHECK_EQ(drain_all(&s, &not_done), 0);
  CHECK_EQ(not_done, 2);
  counter_up(&go_on);
  stream_close(&s);
  pa_stop_release(stop);
}
