// How a stream ends: by its failures, its timeout, its stop, its callbacks; and what is handed out until then.
#include "streams.h"

// ---- max_errors

TEST(a_stream_ends_with_the_failure_that_reaches_max_errors) {
  const uint64_t limits[] = {1, 2, 7, 100};
  for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++)
    for (uint32_t ordered = 0; ordered <= 1; ordered++)
      for (uint32_t workers = 1; workers <= 4; workers += 3) {
        stream s;
        stream_init(&s, UINT64_MAX, 0);
        s.options.ordered = ordered;
        s.options.workers = workers;
        s.options.max_errors = limits[i];
        stream_open(&s, store_and_fail_tenths);
        stream_read_to(&s, PA_STATUS_DONE, PA_END_ABORTED);
        CHECK_EQ(s.failed, limits[i]);
        CHECK_EQ(s.outcome.state, PA_ITEM_FAILED);
        if (workers == 1) CHECK_EQ(s.outcome.index, 10 * limits[i] - 1);
        if (workers == 1) CHECK_EQ(s.count, 10 * limits[i]);
        stream_close(&s);
      }
}

TEST(the_last_inputs_failure_may_be_the_one) {
  for (int executor = PA_EXECUTOR_THREADS; executor <= PA_EXECUTOR_INLINE; executor++) {
    stream s;
    stream_init(&s, 100, 0);
    s.options.executor = executor;
    s.options.workers = 1;  // with several, what is queued before the last may never run
    s.options.max_errors = 10;
    stream_open(&s, store_and_fail_tenths);
    stream_read_to(&s, PA_STATUS_DONE, PA_END_ABORTED);
    CHECK_EQ(s.count, 100);
    stream_close(&s);
  }
}

TEST(fewer_failures_end_nothing) {
  stream s;
  stream_init(&s, 100, 0);
  s.options.max_errors = 11;
  stream_open(&s, store_and_fail_tenths);
  stream_read_to(&s, PA_STATUS_DONE, PA_END_COMPLETED);
  CHECK_EQ(s.failed, 10);
  stream_close(&s);
}

static counter gate = COUNTER_INIT;
static counter running = COUNTER_INIT;

static int32_t second_fails_first_waits(void* ctx, void* item, void** value, pa_call* call) {
  store(ctx, item, value, call);
  if (number_of(item) == 0) {
    counter_up(&running);
    counter_wait(&gate, 1);
    return 0;
  }
  counter_wait(&running, 1);
  return pa_call_fail(call, 1, "not the first");
}

TEST(in_completion_order_the_end_is_not_held_up_by_a_call_that_runs) {
  counter_reset(&gate);
  counter_reset(&running);
  stream s;
  stream_init(&s, UINT64_MAX, 1);
  s.options.workers = 2;
  s.options.max_errors = 3;
  stream_open(&s, second_fails_first_waits);
  stream_read_to(&s, PA_STATUS_DONE, PA_END_ABORTED);  // though the gate is closed
  CHECK_EQ(s.count, 3);
  counter_up(&gate);
  stream_close(&s);  // releases what came too late
}

TEST(in_input_order_what_comes_before_the_last_failure_is_waited_for) {
  counter_reset(&gate);
  counter_reset(&running);
  stream s;
  stream_init(&s, UINT64_MAX, 1);
  s.options.workers = 2;
  s.options.ordered = 1;
  s.options.max_errors = 3;
  stream_open(&s, second_fails_first_waits);
  CHECK_STATUS(stream_next_timeout(&s, MILLISECONDS), PA_STATUS_TIMEOUT, &s.error);
  counter_up(&gate);
  stream_read_to(&s, PA_STATUS_DONE, PA_END_ABORTED);
  CHECK_EQ(s.count, 4);
  CHECK_EQ(s.outcome.index, 3);
  stream_close(&s);
}

// ---- stop

static int32_t stop_at_1000(void* ctx, void* item, void** value, pa_call* call) {
  stream* s = ctx;
  if (number_of(item) == 1000) pa_stop_request(s->options.stop);
  return store_and_fail_tenths(ctx, item, value, call);
}

TEST(after_a_stop_all_that_was_done_is_handed_out) {
  for (int executor = PA_EXECUTOR_THREADS; executor <= PA_EXECUTOR_INLINE; executor++)
    for (uint32_t ordered = 0; ordered <= 1; ordered++)
      for (uint32_t workers = 1; workers <= 8; workers *= 2) {
        stream s;
        stream_init(&s, UINT64_MAX, 0);
        s.options.executor = executor;
        s.options.ordered = ordered;
        s.options.workers = workers;
        REQUIRE(pa_stop_new(&s.options.stop, NULL) == PA_STATUS_OK);
        stream_open(&s, stop_at_1000);
        stream_read_to(&s, PA_STATUS_DONE, PA_END_CANCELLED);
        for (uint64_t i = 0; i < s.from.delivered; i++)
          if (!CHECK_EQ(s.given[i], s.l.calls[i])) break;
        stream_close(&s);
        pa_stop_release(s.options.stop);
      }
}

TEST(a_stop_that_was_requested_before_runs_nothing) {
  for (int executor = PA_EXECUTOR_THREADS; executor <= PA_EXECUTOR_INLINE; executor++) {
    stream s;
    stream_init(&s, 100, 0);
    s.options.executor = executor;
    s.options.timeout_ns = 0;  // the stop is looked at first
    REQUIRE(pa_stop_new(&s.options.stop, NULL) == PA_STATUS_OK);
    pa_stop_request(s.options.stop);
    stream_open(&s, store);
    stream_read_to(&s, PA_STATUS_DONE, PA_END_CANCELLED);
    CHECK_EQ(s.count, 0);
    CHECK_EQ(s.from.pulls, 0);
    stream_close(&s);
    pa_stop_release(s.options.stop);
  }
}

static int32_t run_until_stopped(void* ctx, void* item, void** value, pa_call* call) {
  counter_up(&running);
  wait_until_stopped(call);
  return store(ctx, item, value, call);
}

static void* stop_when_running(void* stop) {
  counter_wait(&running, 1);
  pa_stop_request(stop);
  return NULL;
}

TEST(a_stop_while_next_waits_ends_the_stream_and_what_runs_keeps_its_outcome) {
  for (int executor = PA_EXECUTOR_THREADS; executor <= PA_EXECUTOR_INLINE; executor++) {
    counter_reset(&running);
    stream s;
    stream_init(&s, UINT64_MAX, 0);
    s.options.executor = executor;
    s.options.workers = 2;
    REQUIRE(pa_stop_new(&s.options.stop, NULL) == PA_STATUS_OK);
    pthread_t stopper;
    REQUIRE(pthread_create(&stopper, NULL, stop_when_running, s.options.stop) == 0);
    stream_open(&s, run_until_stopped);
    stream_read_to(&s, PA_STATUS_DONE, PA_END_CANCELLED);
    pthread_join(stopper, NULL);
    CHECK(s.count >= 1);
    CHECK_LE(s.count, 2);
    CHECK_EQ(s.count, ledger_total(s.l.calls, s.l.n));
    stream_close(&s);
    pa_stop_release(s.options.stop);
  }
}

static int32_t pull_until_stopped(void* ctx, void** items, size_t max, size_t* got) {
  stream* s = ctx;
  counter_up(&running);
  (void)items, (void)max;
  WAIT_UNTIL(pa_stop_requested(s->options.stop));
  *got = 0;
  return 0;
}

TEST(a_stop_ends_a_stream_whose_source_blocks) {
  for (int executor = PA_EXECUTOR_THREADS; executor <= PA_EXECUTOR_INLINE; executor++) {
    counter_reset(&running);
    stream s;
    stream_init(&s, 10, 0);
    s.source.next = pull_until_stopped;
    s.options.executor = executor;
    REQUIRE(pa_stop_new(&s.options.stop, NULL) == PA_STATUS_OK);
    pthread_t stopper;
    REQUIRE(pthread_create(&stopper, NULL, stop_when_running, s.options.stop) == 0);
    stream_open(&s, store);
    stream_read_to(&s, PA_STATUS_DONE, PA_END_CANCELLED);
    pthread_join(stopper, NULL);
    CHECK_EQ(s.count, 0);
    stream_close(&s);
    pa_stop_release(s.options.stop);
  }
}

static int32_t always_fails(void* ctx, void* item, void** value, pa_call* call) {
  counter_up(&running);
  return store_and_fail(ctx, item, value, call);
}

TEST(an_item_that_waits_for_a_retry_when_the_stop_comes_has_no_outcome) {
  for (int executor = PA_EXECUTOR_THREADS; executor <= PA_EXECUTOR_INLINE; executor++) {
    counter_reset(&running);
    stream s;
    stream_init(&s, 1, 0);
    s.options.executor = executor;
    s.options.retry.attempts = 2;
    s.options.retry.backoff_ns = HOURS;
    s.options.retry.max_delay_ns = HOURS;
    REQUIRE(pa_stop_new(&s.options.stop, NULL) == PA_STATUS_OK);
    pthread_t stopper;
    REQUIRE(pthread_create(&stopper, NULL, stop_when_running, s.options.stop) == 0);
    stream_open(&s, always_fails);
    stream_read_to(&s, PA_STATUS_DONE, PA_END_CANCELLED);
    pthread_join(stopper, NULL);
    CHECK_EQ(s.count, 0);
    stream_close(&s);
    pa_stop_release(s.options.stop);
  }
}

TEST(a_stop_ends_a_stream_that_waits_for_tokens) {
  for (int executor = PA_EXECUTOR_THREADS; executor <= PA_EXECUTOR_INLINE; executor++) {
    counter_reset(&running);
    stream s;
    stream_init(&s, 10, 0);
    s.options.executor = executor;
    s.options.rate.count = 1;
    s.options.rate.per_ns = HOURS;
    REQUIRE(pa_stop_new(&s.options.stop, NULL) == PA_STATUS_OK);
    pthread_t stopper;
    REQUIRE(pthread_create(&stopper, NULL, stop_when_running, s.options.stop) == 0);
    stream_open(&s, always_fails);
    stream_read_to(&s, PA_STATUS_DONE, PA_END_CANCELLED);
    pthread_join(stopper, NULL);
    CHECK_EQ(s.count, 1);  // the bucket's first token
    stream_close(&s);
    pa_stop_release(s.options.stop);
  }
}

// ---- timeout

TEST(with_a_timeout_of_0_nothing_runs) {
  for (int executor = PA_EXECUTOR_THREADS; executor <= PA_EXECUTOR_INLINE; executor++) {
    stream s;
    stream_init(&s, 100, 0);
    s.options.executor = executor;
    s.options.timeout_ns = 0;
    stream_open(&s, store);
    stream_read_to(&s, PA_STATUS_DONE, PA_END_TIMED_OUT);
    CHECK_EQ(s.count, 0);
    CHECK_EQ(s.from.pulls, 0);
    stream_close(&s);
  }
}

TEST(after_a_timeout_all_that_was_done_is_handed_out) {
  for (int executor = PA_EXECUTOR_THREADS; executor <= PA_EXECUTOR_INLINE; executor++)
    for (uint32_t ordered = 0; ordered <= 1; ordered++) {
      int shown = 0;
      GROWING_TIMEOUT(timeout_ns, shown) {
        stream s;
        stream_init(&s, UINT64_MAX, 0);
        s.source.release_item = NULL;
        s.options.executor = executor;
        s.options.ordered = ordered;
        s.options.workers = 2;
        s.options.window = 100;
        s.options.timeout_ns = timeout_ns;
        stream_open(&s, store);
        while (s.count < ENDLESS - 200 && stream_next(&s) == PA_STATUS_OK) continue;
        if (pa_iter_end(s.iter) != PA_END_NONE) CHECK_EQ(pa_iter_end(s.iter), PA_END_TIMED_OUT);
        if (pa_iter_end(s.iter) != PA_END_NONE) CHECK_EQ(s.count, ledger_total(s.l.calls, s.l.n));
        shown = s.count > 0;
        pa_iter_close(s.iter);
        CHECK_EQ(s.l.quiescent, 1);
        stream_free(&s);
      }
      CHECK(shown);
    }
}

TEST(a_timeout_ends_a_stream_whose_consumer_waits) {
  for (int executor = PA_EXECUTOR_THREADS; executor <= PA_EXECUTOR_INLINE; executor++) {
    stream s;
    stream_init(&s, 10, 0);
    s.options.executor = executor;
    s.options.workers = 2;
    s.options.timeout_ns = 5 * MILLISECONDS;
    stream_open(&s, run_until_stopped);
    stream_read_to(&s, PA_STATUS_DONE, PA_END_TIMED_OUT);
    CHECK_LE(s.count, 2);
    stream_close(&s);
  }
}

// The window is full, nothing runs, nobody asks: the deadline holds all the same.
TEST(a_timeout_that_passes_while_the_consumer_is_away_is_the_end) {
  stream s;
  stream_init(&s, UINT64_MAX, 0);
  s.options.workers = 2;
  s.options.window = 10;
  s.options.timeout_ns = 5 * MILLISECONDS;
  const int64_t opened = now_ns();
  stream_open(&s, store);
  wait_until_ns(opened + 6 * MILLISECONDS);
  stream_read_to(&s, PA_STATUS_DONE, PA_END_TIMED_OUT);
  CHECK_LE(s.from.delivered, 10);
  CHECK_EQ(s.count, ledger_total(s.l.calls, s.l.n));
  stream_close(&s);
}

// ---- callbacks

typedef struct reporter {
  stream s;  // first: it is the ctx
  pthread_t consumer;
  uint64_t results, reports;
  uint64_t fail_result_at, fail_progress_at;  // how many have been reported by then
} reporter;

static int32_t report_result(void* ctx, const pa_outcome* outcome) {
  reporter* r = ctx;
  CHECK(pthread_equal(pthread_self(), r->consumer));
  CHECK_EQ(r->results, r->reports);  // the result first, then the progress
  CHECK_EQ(r->s.count, r->results);  // before it is handed out
  CHECK_EQ(r->s.given[outcome->index], 0);
  if (outcome->state == PA_ITEM_OK) CHECK(outcome->value != NULL);
  return ++r->results == r->fail_result_at ? 31 : 0;
}

static int32_t report_progress(void* ctx, uint64_t done, uint64_t total) {
  reporter* r = ctx;
  CHECK(pthread_equal(pthread_self(), r->consumer));
  CHECK_EQ(done, ++r->reports);
  CHECK_EQ(r->results, r->reports);
  CHECK_LE(done, total);
  return done == r->fail_progress_at ? 32 : 0;
}

static void reporter_init(reporter* r, uint64_t n) {
  memset(r, 0, sizeof *r);
  stream_init(&r->s, n, 0);
  r->consumer = pthread_self();
  r->s.options.on_result = report_result;
  r->s.options.result_ctx = r;
  r->s.options.on_progress = report_progress;
  r->s.options.progress_ctx = r;
}

TEST(callbacks_are_called_for_each_item_before_it_is_handed_out) {
  for (int executor = PA_EXECUTOR_THREADS; executor <= PA_EXECUTOR_INLINE; executor++)
    for (uint32_t ordered = 0; ordered <= 1; ordered++) {
      reporter r;
      reporter_init(&r, 3000);
      r.s.options.executor = executor;
      r.s.options.ordered = ordered;
      r.s.options.workers = 3;
      stream_open(&r.s, store_and_fail_tenths);
      stream_read_to(&r.s, PA_STATUS_DONE, PA_END_COMPLETED);
      CHECK_EQ(r.results, 3000);
      CHECK_EQ(r.reports, 3000);
      stream_close(&r.s);
    }
}

static void run_failing_callback(uint64_t n, uint64_t at, int result, int executor, uint32_t ordered) {
  reporter r;
  reporter_init(&r, n);
  r.s.options.executor = executor;
  r.s.options.ordered = ordered;
  r.s.options.workers = 2;
  if (result)
    r.fail_result_at = at;
  else
    r.fail_progress_at = at;
  stream_open(&r.s, store_and_fail_tenths);
  stream_read_to(&r.s, PA_STATUS_CALLBACK, PA_END_FAILED);
  CHECK_EQ(r.s.error.detail, result ? 31 : 32);
  CHECK_CONTAINS(r.s.error.message, result ? "on_result returned 31 for index" : "on_progress returned 32 after");
  CHECK_EQ(r.results, at);  // none is called after one has failed
  CHECK_EQ(r.reports, result ? at - 1 : at);
  CHECK_EQ(r.s.count, ledger_total(r.s.l.calls, r.s.l.n));  // what was done is handed out all the same
  stream_close(&r.s);
}

TEST(a_callback_that_fails_ends_the_stream_and_what_was_done_is_handed_out) {
  for (int executor = PA_EXECUTOR_THREADS; executor <= PA_EXECUTOR_INLINE; executor++)
    for (uint32_t ordered = 0; ordered <= 1; ordered++)
      for (int result = 0; result <= 1; result++) {
        run_failing_callback(UINT64_MAX, 1, result, executor, ordered);
        run_failing_callback(UINT64_MAX, 10, result, executor, ordered);  // of a failed item
        run_failing_callback(UINT64_MAX, 777, result, executor, ordered);
      }
}

TEST(a_callback_that_fails_for_the_last_item_is_no_success) {
  for (int executor = PA_EXECUTOR_THREADS; executor <= PA_EXECUTOR_INLINE; executor++)
    for (int result = 0; result <= 1; result++)
      for (uint64_t at = 95; at <= 100; at++) run_failing_callback(100, at, result, executor, 0);
}

// The first reason holds: what is handed out after a stop does not turn it into a failure.
TEST(a_callback_that_fails_after_a_stop_changes_nothing) {
  reporter r;
  reporter_init(&r, 100);
  r.fail_result_at = 50;
  REQUIRE(pa_stop_new(&r.s.options.stop, NULL) == PA_STATUS_OK);
  r.s.options.workers = 2;
  r.s.options.window = 60;
  stream_open(&r.s, store);
  WAIT_UNTIL(ledger_total(r.s.l.calls, 100) == 60);
  pa_stop_request(r.s.options.stop);
  stream_read_to(&r.s, PA_STATUS_DONE, PA_END_CANCELLED);
  CHECK_EQ(r.s.count, 60);
  CHECK_EQ(r.results, 50);
  stream_close(&r.s);
  pa_stop_release(r.s.options.stop);
}

// ---- keys and workers that fail

static int32_t no_key_for_1000(void* ctx, void* item, pa_key* key) {
  (void)ctx, (void)key;
  return number_of(item) == 1000 ? -5 : 0;
}

TEST(a_key_that_fails_ends_the_stream_with_its_code) {
  stream s;
  stream_init(&s, UINT64_MAX, 0);
  s.options.item_key = no_key_for_1000;
  stream_open(&s, store);
  stream_read_to(&s, PA_STATUS_KEY, PA_END_FAILED);
  CHECK_EQ(s.error.detail, -5);
  CHECK_CONTAINS(s.error.message, "index 1000");
  CHECK_LE(s.count, 1000);
  CHECK_EQ(s.count, ledger_total(s.l.calls, s.l.n));
  stream_close(&s);
}

TEST(a_stream_that_was_not_read_to_its_end_has_none) {
  stream s;
  stream_init(&s, 10, 0);
  s.options.timeout_ns = 0;
  stream_open(&s, store);
  CHECK_EQ(pa_iter_end(s.iter), PA_END_NONE);
  stream_close(&s);
}
