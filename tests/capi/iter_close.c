// Closing a stream, at any moment: what is released, what is waited for, and what is left to itself.
#include "streams.h"

static counter running = COUNTER_INIT;
static counter gate = COUNTER_INIT;

static void close_gate(void) {
  counter_reset(&running);
  counter_reset(&gate);
}

static int32_t wait_at_gate(void* ctx, void* item, void** value, pa_call* call) {
  counter_up(&running);
  counter_wait(&gate, 1);
  return store(ctx, item, value, call);
}

static int32_t wait_for_the_close(void* ctx, void* item, void** value, pa_call* call) {
  counter_up(&running);
  wait_until_stopped(call);
  return store(ctx, item, value, call);
}

TEST(null_is_no_stream) { pa_iter_close(NULL); }

TEST(a_stream_may_be_closed_before_anything_was_read) {
  for (int executor = PA_EXECUTOR_THREADS; executor <= PA_EXECUTOR_INLINE; executor++)
    for (uint32_t detach = 0; detach <= 1; detach++)
      for (int round = 0; round < 50; round++) {
        stream s;
        stream_init(&s, UINT64_MAX, round % 3);
        s.options.executor = executor;
        s.options.detach = detach;
        s.options.workers = 1 + (uint32_t)round % 4;
        stream_open(&s, store_and_fail_tenths);
        stream_close(&s);
      }
}

TEST(a_stream_may_be_closed_after_any_number_of_outcomes) {
  for (int executor = PA_EXECUTOR_THREADS; executor <= PA_EXECUTOR_INLINE; executor++)
    for (uint32_t ordered = 0; ordered <= 1; ordered++)
      for (uint64_t many = 1; many <= 20000; many = many * 5 / 2 + 1) {
        stream s;
        stream_init(&s, UINT64_MAX, 0);
        s.options.executor = executor;
        s.options.ordered = ordered;
        s.options.workers = 3;
        stream_open(&s, store_and_fail_tenths);
        while (s.count < many) CHECK_EQ(stream_next(&s), PA_STATUS_OK);
        CHECK_EQ(LOAD(s.from.released), 0);
        CHECK_EQ(LOAD(s.l.quiescent), 0);
        stream_close(&s);
      }
}

TEST(a_stream_may_be_closed_in_the_middle_of_a_batch) {
  for (size_t read = 0; read <= 100; read += 25) {
    stream s;
    stream_init(&s, 1000, 0);
    s.options.batch.max_items = 100;
    s.options.workers = 2;
    stream_open_batch(&s, store_batch);
    for (size_t i = 0; i < read; i++) CHECK_EQ(stream_next(&s), PA_STATUS_OK);
    stream_close(&s);
  }
}

TEST(a_stream_may_be_closed_when_all_has_been_run_and_nothing_read) {
  stream s;
  stream_init(&s, 50, 0);
  s.options.window = 50;
  s.options.workers = 2;
  stream_open(&s, store_and_fail_tenths);
  WAIT_UNTIL(ledger_total(s.l.calls, 50) == 50);
  stream_close(&s);
}

TEST(what_waits_for_a_retry_is_not_run_again_after_the_close) {
  stream s;
  stream_init(&s, 100, 0);
  s.options.workers = 2;
  s.options.retry.attempts = 5;
  s.options.retry.backoff_ns = HOURS;
  s.options.retry.max_delay_ns = HOURS;
  stream_open(&s, store_and_fail);
  WAIT_UNTIL(ledger_total(s.l.calls, 100) >= 10);
  pa_iter_close(s.iter);
  for (uint64_t i = 0; i < 100; i++) CHECK_LE(s.l.calls[i], 1);
  stream_check_released(&s);
  stream_free(&s);
}

TEST(close_waits_for_the_calls_that_run) {
  for (int round = 0; round < 20; round++) {
    close_gate();
    stream s;
    stream_init(&s, UINT64_MAX, 0);
    s.options.workers = 8;
    stream_open(&s, wait_for_the_close);
    counter_wait(&running, round % 2 ? 8 : 1);
    pa_iter_close(s.iter);
    const uint64_t calls = ledger_total(s.l.calls, s.l.n);
    CHECK_EQ(calls, counter_value(&running));  // those that had begun have ended,
    CHECK_LE(calls, 8);                        // and what was queued has not begun
    stream_check_released(&s);
    stream_free(&s);
  }
}

static void* open_gate_when_waited_for(void* ctx) {
  stream* s = ctx;
  for (int i = 0; i < 20; i++) nap();  // time enough for a close that does not wait
  CHECK_EQ(LOAD(s->l.quiescent), 0);
  counter_up(&gate);
  return NULL;
}

TEST(close_waits_for_calls_that_do_not_look_whether_they_should_stop) {
  close_gate();
  stream s;
  stream_init(&s, UINT64_MAX, 0);
  s.options.workers = 3;
  stream_open(&s, wait_at_gate);
  counter_wait(&running, 3);
  pthread_t opener;
  REQUIRE(pthread_create(&opener, NULL, open_gate_when_waited_for, &s) == 0);
  stream_close(&s);
  pthread_join(opener, NULL);
}

// ---- a source that blocks

static int32_t pull_two_then_wait_at_gate(void* ctx, void** items, size_t max, size_t* got) {
  stream* s = ctx;
  if (s->from.delivered >= 2) {
    counter_up(&running);
    counter_wait(&gate, 1);
  }
  (void)max;
  return stream_pull(ctx, items, 1, got);
}

TEST(close_waits_for_the_source) {
  close_gate();
  stream s;
  stream_init(&s, UINT64_MAX, 0);
  s.source.next = pull_two_then_wait_at_gate;
  s.options.workers = 2;
  stream_open(&s, store);
  counter_wait(&running, 1);
  pthread_t opener;
  REQUIRE(pthread_create(&opener, NULL, open_gate_when_waited_for, &s) == 0);
  stream_close(&s);
  pthread_join(opener, NULL);
  CHECK_EQ(counter_value(&running), 1);
}

TEST(with_detach_close_does_not_wait_for_the_source) {
  for (int read = 0; read <= 2; read++) {
    close_gate();
    stream s;
    stream_init(&s, UINT64_MAX, 0);
    s.source.next = pull_two_then_wait_at_gate;
    s.options.workers = 2;
    s.options.detach = 1;
    stream_open(&s, store);
    for (int i = 0; i < read; i++) CHECK_EQ(stream_next(&s), PA_STATUS_OK);
    counter_wait(&running, 1);
    pa_iter_close(s.iter);  // returns though the gate is closed
    CHECK_EQ(LOAD(s.l.quiescent), 0);
    CHECK_EQ(LOAD(s.from.released), 0);
    counter_up(&gate);
    WAIT_UNTIL(LOAD(s.l.quiescent));
    stream_check_released(&s);  // what was delivered too late, too
    CHECK_EQ(s.from.delivered, 3);
    CHECK_STATUS(pa_drain(-1, NULL), PA_STATUS_OK, NULL);
    stream_free(&s);
  }
}

// ---- detach

TEST(with_detach_close_returns_while_calls_are_running) {
  for (int round = 0; round < 10; round++) {
    close_gate();
    stream s;
    stream_init(&s, UINT64_MAX, 0);
    s.options.workers = 4;
    s.options.detach = 1;
    stream_open(&s, wait_at_gate);
    counter_wait(&running, 4);
    pa_iter_close(s.iter);
    CHECK_EQ(LOAD(s.l.quiescent), 0);
    CHECK_STATUS(pa_drain(0, NULL), PA_STATUS_TIMEOUT, NULL);
    counter_up(&gate);
    CHECK_STATUS(pa_drain(-1, NULL), PA_STATUS_OK, NULL);
    CHECK_EQ(ledger_total(s.l.calls, s.l.n), 4);
    stream_check_released(&s);
    stream_free(&s);
  }
}

static int32_t wait_at_gate_in_a_batch(void* ctx, void* const* items, size_t count, void** values, pa_call* call) {
  counter_up(&running);
  counter_wait(&gate, 1);
  store_batch(ctx, items, count, values, call);
  pa_call_fail_at(call, 0, 7, "this one");
  return 0;
}

TEST(all_values_of_a_batch_that_comes_too_late_are_released) {
  close_gate();
  stream s;
  stream_init(&s, UINT64_MAX, 0);
  s.options.workers = 2;
  s.options.detach = 1;
  s.options.batch.max_items = 4;
  stream_open_batch(&s, wait_at_gate_in_a_batch);
  counter_wait(&running, 2);
  pa_iter_close(s.iter);
  counter_up(&gate);
  WAIT_UNTIL(LOAD(s.l.quiescent));
  CHECK_EQ(ledger_total(s.l.values_stored, s.l.n), 8);
  CHECK_STATUS(pa_drain(-1, NULL), PA_STATUS_OK, NULL);
  stream_check_released(&s);
  stream_free(&s);
}

static void* stop_when_two_run(void* stop) {
  counter_wait(&running, 2);
  pa_stop_request(stop);
  return NULL;
}

TEST(with_detach_a_stop_ends_the_stream_while_calls_are_running) {
  for (uint32_t ordered = 0; ordered <= 1; ordered++) {
    close_gate();
    stream s;
    stream_init(&s, UINT64_MAX, 0);
    s.options.workers = 2;
    s.options.detach = 1;
    s.options.ordered = ordered;
    REQUIRE(pa_stop_new(&s.options.stop, NULL) == PA_STATUS_OK);
    pthread_t stopper;
    REQUIRE(pthread_create(&stopper, NULL, stop_when_two_run, s.options.stop) == 0);
    stream_open(&s, wait_at_gate);
    stream_read_to(&s, PA_STATUS_DONE, PA_END_CANCELLED);  // though the gate is closed
    pthread_join(stopper, NULL);
    CHECK_EQ(s.count, 0);
    CHECK_EQ(LOAD(s.l.quiescent), 0);
    pa_iter_close(s.iter);
    pa_stop_release(s.options.stop);
    CHECK_EQ(LOAD(s.l.quiescent), 0);
    counter_up(&gate);
    CHECK_STATUS(pa_drain(-1, NULL), PA_STATUS_OK, NULL);
    stream_check_released(&s);
    stream_free(&s);
  }
}

TEST(with_detach_a_timeout_ends_the_stream_while_calls_are_running) {
  int shown = 0;
  GROWING_TIMEOUT(timeout_ns, shown) {
    close_gate();
    stream s;
    stream_init(&s, UINT64_MAX, 0);
    s.options.workers = 2;
    s.options.detach = 1;
    s.options.timeout_ns = timeout_ns;
    stream_open(&s, wait_at_gate);
    stream_read_to(&s, PA_STATUS_DONE, PA_END_TIMED_OUT);
    CHECK_EQ(s.count, 0);
    counter_up(&gate);
    shown = counter_value(&running) > 0;
    stream_close(&s);
  }
  CHECK(shown);
}

static int32_t evens_wait_at_gate(void* ctx, void* item, void** value, pa_call* call) {
  if (number_of(item) % 2 == 0 && number_of(item) >= 100) {
    counter_up(&running);
    counter_wait(&gate, 1);
  }
  return store_and_fail_tenths(ctx, item, value, call);
}

TEST(what_was_done_before_a_detached_end_is_handed_out) {
  close_gate();
  stream s;
  stream_init(&s, UINT64_MAX, 0);
  s.options.workers = 2;
  s.options.detach = 1;
  s.options.ordered = 1;
  REQUIRE(pa_stop_new(&s.options.stop, NULL) == PA_STATUS_OK);
  s.options.window = 1000;
  stream_open(&s, evens_wait_at_gate);
  counter_wait(&running, 2);
  pa_stop_request(s.options.stop);
  const uint64_t done = ledger_total(s.l.calls, s.l.n);  // those at the gate not included
  stream_read_to(&s, PA_STATUS_DONE, PA_END_CANCELLED);
  CHECK_EQ(s.count, done);
  counter_up(&gate);
  stream_close(&s);
  pa_stop_release(s.options.stop);
}

TEST(a_detached_stream_that_completes_has_nothing_left_to_do) {
  stream s;
  stream_init(&s, 5000, 0);
  s.options.workers = 3;
  s.options.detach = 1;
  stream_open(&s, store_and_fail_tenths);
  stream_read_to(&s, PA_STATUS_DONE, PA_END_COMPLETED);
  CHECK_EQ(s.count, 5000);
  stream_close(&s);
}

// ---- who closes

static void* close_it(void* iter) {
  pa_iter_close(iter);
  return NULL;
}

TEST(any_thread_may_close) {
  for (int executor = PA_EXECUTOR_THREADS; executor <= PA_EXECUTOR_INLINE; executor++) {
    stream s;
    stream_init(&s, UINT64_MAX, 0);
    s.options.executor = executor;
    stream_open(&s, store);
    for (int i = 0; i < 100; i++) CHECK_EQ(stream_next(&s), PA_STATUS_OK);
    pthread_t closer;
    REQUIRE(pthread_create(&closer, NULL, close_it, s.iter) == 0);
    pthread_join(closer, NULL);
    stream_check_released(&s);
    stream_free(&s);
  }
}

TEST(many_streams_may_be_open_at_once) {
  enum { many = 20 };
  static stream s[many];
  for (int i = 0; i < many; i++) {
    stream_init(&s[i], UINT64_MAX, 0);
    s[i].options.workers = 3;
    stream_open(&s[i], store_and_fail_tenths);
  }
  for (int turn = 0; turn < 100; turn++)
    for (int i = 0; i < many; i++) CHECK_EQ(stream_next(&s[i]), PA_STATUS_OK);
  for (int i = 0; i < many; i++) stream_close(&s[i]);
}
