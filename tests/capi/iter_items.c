// What a stream does for each item: keys, retries, deadlines, tokens, the hooks of workers, the inline executor.
#include "streams.h"

// ---- keys

static int32_t long_key(void* ctx, void* item, pa_key* key) {
  static char text[100];  // one call at a time
  (void)ctx;
  const uint64_t i = number_of(item);
  if (i % 4 == 3) return 0;
  key->kind = i % 4 == 0 ? PA_KEY_INT : i % 4 == 1 ? PA_KEY_STRING : PA_KEY_BYTES;
  key->number = (int64_t)i;
  snprintf(text, sizeof text, "the key of %d, which no small buffer inside a string holds", (int)i);
  key->data = text;
  key->size = strlen(text);
  return 0;
}

static void check_key(const pa_outcome* outcome) {
  char text[100];
  const pa_key* key = &outcome->key;
  CHECK_EQ(key->reserved, 0);
  switch (outcome->index % 4) {
    case 0:
      CHECK_EQ(key->kind, PA_KEY_INT);
      CHECK_EQ(key->number, outcome->index);
      break;
    case 3:
      CHECK_EQ(key->kind, PA_KEY_NONE);
      break;
    default:
      CHECK_EQ(key->kind, outcome->index % 4 == 1 ? PA_KEY_STRING : PA_KEY_BYTES);
      snprintf(text, sizeof text, "the key of %d, which no small buffer inside a string holds", (int)outcome->index);
      CHECK_EQ(key->size, strlen(text));
      CHECK(memcmp(key->data, text, strlen(text)) == 0);
  }
}

static int32_t check_key_of_result(void* ctx, const pa_outcome* outcome) {
  (void)ctx;
  check_key(outcome);
  return 0;
}

TEST(each_outcome_has_its_key) {
  for (uint32_t ordered = 0; ordered <= 1; ordered++)
    for (uint64_t at_a_time = 0; at_a_time <= 3; at_a_time += 3) {
      stream s;
      stream_init(&s, 12000, at_a_time);
      s.options.ordered = ordered;
      s.options.workers = 3;
      s.options.item_key = long_key;
      s.options.on_result = check_key_of_result;
      stream_open(&s, store_and_fail_tenths);
      while (stream_next(&s) == PA_STATUS_OK) check_key(&s.outcome);
      CHECK_EQ(s.count, 12000);
      stream_close(&s);
    }
}

static int32_t check_key_of_failure(void* ctx, const pa_outcome* failure) {
  (void)ctx;
  check_key(failure);
  return failure->attempts < 2;
}

TEST(retry_if_sees_the_key) {
  stream s;
  stream_init(&s, 3000, 0);
  s.options.workers = 3;
  s.options.item_key = long_key;
  s.options.retry.attempts = 3;
  s.options.retry.backoff_ns = 0;
  s.options.retry.retry_if = check_key_of_failure;
  stream_open(&s, store_and_fail_tenths);
  while (stream_next(&s) == PA_STATUS_OK) CHECK_EQ(s.outcome.attempts, s.outcome.index % 10 == 9 ? 2 : 1);
  CHECK_EQ(s.failed, 300);
  stream_close(&s);
}

// ---- failures and retries

TEST(a_failure_has_its_own_words) {
  stream s;
  stream_init(&s, 1000, 0);
  s.options.workers = 2;
  stream_open(&s, store_and_fail_tenths);
  while (stream_next(&s) == PA_STATUS_OK)
    if (s.outcome.state == PA_ITEM_FAILED) {
      CHECK_EQ(s.outcome.code, 9);
      CHECK_STR(s.outcome.message, "a tenth");
    }
  CHECK_EQ(s.failed, 100);
  stream_close(&s);
}

static int32_t ask_to_wait(void* ctx, void* item, void** value, pa_call* call) {
  static int64_t asked[30];
  const uint64_t i = number_of(item);
  store(ctx, item, value, call);
  if (pa_call_attempt(call) > 1) {
    CHECK(now_ns() >= asked[i] + 2 * MILLISECONDS);
    return 0;
  }
  asked[i] = now_ns();
  pa_call_retry_after(call, 2 * MILLISECONDS);
  return 429;
}

TEST(a_servers_wait_replaces_the_backoff) {
  for (int executor = PA_EXECUTOR_THREADS; executor <= PA_EXECUTOR_INLINE; executor++) {
    stream s;
    stream_init(&s, 30, 0);
    s.options.executor = executor;
    s.options.workers = 4;
    s.options.retry.attempts = 2;
    s.options.retry.backoff_ns = HOURS;
    s.options.retry.max_delay_ns = HOURS;
    stream_open(&s, ask_to_wait);
    stream_read_to(&s, PA_STATUS_DONE, PA_END_COMPLETED);
    CHECK_EQ(s.failed, 0);
    CHECK_EQ(s.outcome.attempts, 2);
    stream_close(&s);
  }
}

static int32_t wait_for_the_deadline(void* ctx, void* item, void** value, pa_call* call) {
  store(ctx, item, value, call);
  if (number_of(item) % 5 == 0) wait_until_stopped(call);
  return 0;
}

TEST(an_item_that_outruns_its_deadline_has_timed_out_and_the_stream_goes_on) {
  for (int executor = PA_EXECUTOR_THREADS; executor <= PA_EXECUTOR_INLINE; executor++) {
    int shown = 0;
    GROWING_TIMEOUT(timeout_ns, shown) {
      stream s;
      stream_init(&s, 20, 0);
      s.options.executor = executor;
      s.options.workers = 2;
      s.options.item_timeout_ns = timeout_ns;
      stream_open(&s, wait_for_the_deadline);
      while (stream_next(&s) == PA_STATUS_OK)
        if (s.outcome.index % 5 == 0) CHECK_EQ(s.outcome.state, PA_ITEM_TIMED_OUT);
      CHECK_EQ(pa_iter_end(s.iter), PA_END_COMPLETED);
      CHECK_EQ(s.count, 20);
      shown = s.failed == 4;
      stream_close(&s);
    }
    CHECK(shown);
  }
}

TEST(a_limiter_paces_a_stream) {
  for (int executor = PA_EXECUTOR_THREADS; executor <= PA_EXECUTOR_INLINE; executor++) {
    stream s;
    stream_init(&s, 50, 0);
    s.options.executor = executor;
    s.options.workers = 4;
    s.options.rate.count = 10000;
    const int64_t opened = now_ns();
    stream_open(&s, store);
    stream_read_to(&s, PA_STATUS_DONE, PA_END_COMPLETED);
    CHECK(now_ns() - opened >= 49 * 100 * MICROSECONDS);
    CHECK_EQ(s.count, 50);
    stream_close(&s);
  }
}

TEST(streams_may_share_a_limiter) {
  const pa_rate rate = {1e5, SECONDS, 10};
  pa_limiter* limiter;
  REQUIRE(pa_limiter_new(&rate, &limiter, NULL) == PA_STATUS_OK);
  stream s[2];
  for (int i = 0; i < 2; i++) {
    stream_init(&s[i], 300, 0);
    s[i].options.limiter = limiter;
    s[i].options.workers = 2;
    stream_open(&s[i], store_and_fail_tenths);
  }
  pa_limiter_release(limiter);  // each stream is an owner
  for (int i = 0; i < 600; i++) CHECK_STATUS(stream_next(&s[i % 2]), PA_STATUS_OK, &s[i % 2].error);
  for (int i = 0; i < 2; i++) {
    stream_read_to(&s[i], PA_STATUS_DONE, PA_END_COMPLETED);
    CHECK_EQ(s[i].count, 300);
    stream_close(&s[i]);
  }
}

// ---- the hooks of workers

static __thread uint32_t started_here;
static uint32_t starts, stops, fail_start_at;

static int32_t start_worker(void* ctx) {
  CHECK(ctx == &starts);
  CHECK_EQ(started_here, 0);
  if (COUNT_UP(starts) == fail_start_at) return 41;
  started_here = 1;
  return 0;
}

static void stop_worker(void* ctx) {
  CHECK(ctx == &starts);
  CHECK_EQ(started_here, 1);
  started_here = 0;
  COUNT_UP(stops);
}

static int32_t store_on_started(void* ctx, void* item, void** value, pa_call* call) {
  CHECK_EQ(started_here, 1);
  return store(ctx, item, value, call);
}

static void hook(stream* s, uint32_t fail_at) {
  starts = stops = 0;
  fail_start_at = fail_at;
  s->options.worker_start = start_worker;
  s->options.worker_stop = stop_worker;
  s->options.worker_ctx = &starts;
}

TEST(each_worker_is_started_before_its_first_item_and_stopped_after_its_last) {
  for (int executor = PA_EXECUTOR_THREADS; executor <= PA_EXECUTOR_INLINE; executor++) {
    stream s;
    stream_init(&s, 5000, 0);
    s.options.executor = executor;
    s.options.workers = 3;
    hook(&s, 0);
    stream_open(&s, store_on_started);
    stream_read_to(&s, PA_STATUS_DONE, PA_END_COMPLETED);
    CHECK_EQ(s.count, 5000);
    stream_close(&s);
    CHECK(starts >= 1);
    CHECK_EQ(stops, starts);
    CHECK_EQ(started_here, 0);
  }
}

TEST(workers_are_stopped_also_when_a_stream_is_closed_early) {
  for (int executor = PA_EXECUTOR_THREADS; executor <= PA_EXECUTOR_INLINE; executor++) {
    stream s;
    stream_init(&s, UINT64_MAX, 0);
    s.options.executor = executor;
    s.options.workers = 3;
    hook(&s, 0);
    stream_open(&s, store_on_started);
    for (int i = 0; i < 100; i++) CHECK_EQ(stream_next(&s), PA_STATUS_OK);
    stream_close(&s);
    CHECK(starts >= 1);
    CHECK_EQ(stops, starts);
    CHECK_EQ(started_here, 0);
  }
}

TEST(a_worker_that_fails_to_start_ends_the_stream) {
  for (int executor = PA_EXECUTOR_THREADS; executor <= PA_EXECUTOR_INLINE; executor++) {
    stream s;
    stream_init(&s, UINT64_MAX, 0);
    s.options.executor = executor;
    s.options.workers = 2;
    hook(&s, 1);
    stream_open(&s, store_on_started);
    stream_read_to(&s, PA_STATUS_WORKER_START, PA_END_FAILED);
    CHECK_EQ(s.error.detail, 41);
    CHECK_CONTAINS(s.error.message, "worker_start returned 41");
    stream_close(&s);
    CHECK_EQ(stops, starts - 1);
  }
}

// ---- the inline executor

static pthread_t consumer;
static uint64_t next_to_run;

static int32_t in_order_on_the_consumer(void* ctx, void* item, void** value, pa_call* call) {
  CHECK(pthread_equal(pthread_self(), consumer));
  store(ctx, item, value, call);
  if (pa_call_attempt(call) == 1) CHECK_EQ(number_of(item), next_to_run++);
  return number_of(item) % 10 == 9 && pa_call_attempt(call) < 3 ? 1 : 0;
}

static int32_t pull_on_the_consumer(void* ctx, void** items, size_t max, size_t* got) {
  CHECK(pthread_equal(pthread_self(), consumer));
  return stream_pull(ctx, items, max, got);
}

TEST(inline_everything_happens_on_the_consumers_thread_in_input_order) {
  const uint64_t threads = settled_thread_count();
  consumer = pthread_self();
  for (uint32_t ordered = 0; ordered <= 1; ordered++) {
    next_to_run = 0;
    stream s;
    stream_init(&s, 2000, 0);
    s.source.next = pull_on_the_consumer;
    s.options.executor = PA_EXECUTOR_INLINE;
    s.options.ordered = ordered;
    s.options.retry.attempts = 3;
    s.options.retry.backoff_ns = 10 * MICROSECONDS;
    stream_open(&s, in_order_on_the_consumer);
    for (uint64_t i = 0; i < 2000; i++) {
      if (!CHECK_EQ(stream_next(&s), PA_STATUS_OK)) break;
      CHECK_EQ(s.outcome.index, i);
      CHECK_EQ(s.outcome.attempts, i % 10 == 9 ? 3 : 1);
    }
    CHECK_EQ(stream_next(&s), PA_STATUS_DONE);
    CHECK_LE(thread_count(), threads);
    stream_close(&s);
  }
}

TEST(inline_a_retry_that_waits_does_not_hold_up_next_with_a_timeout) {
  consumer = pthread_self();
  next_to_run = 0;
  stream s;
  stream_init(&s, 1, 0);
  s.options.executor = PA_EXECUTOR_INLINE;
  s.options.retry.attempts = 2;
  s.options.retry.backoff_ns = HOURS;
  s.options.retry.max_delay_ns = HOURS;
  stream_open(&s, store_and_fail);
  CHECK_STATUS(stream_next_timeout(&s, 0), PA_STATUS_TIMEOUT, &s.error);
  CHECK_STATUS(stream_next_timeout(&s, MILLISECONDS), PA_STATUS_TIMEOUT, &s.error);
  CHECK_EQ(s.l.calls[0], 1);
  stream_close(&s);
}

TEST(inline_next_with_a_timeout_of_0_gets_what_there_is) {
  stream s;
  stream_init(&s, 100, 0);
  s.options.executor = PA_EXECUTOR_INLINE;
  stream_open(&s, store);
  pa_status status;
  do status = stream_next_timeout(&s, 0);
  while (status == PA_STATUS_OK || status == PA_STATUS_TIMEOUT);
  CHECK_EQ(status, PA_STATUS_DONE);
  CHECK_EQ(s.count, 100);
  stream_close(&s);
}

TEST(inline_nothing_is_run_before_it_is_asked_for) {
  stream s;
  stream_init(&s, 100, 0);
  s.options.executor = PA_EXECUTOR_INLINE;
  stream_open(&s, store);
  CHECK_EQ(s.from.pulls, 0);
  CHECK_EQ(stream_next(&s), PA_STATUS_OK);
  CHECK_EQ(ledger_total(s.l.calls, 100), 1);
  stream_close(&s);
}
