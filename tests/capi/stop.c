// pa_stop: a latch that ends runs.
#include "support.h"

static pa_stop* new_stop(void) {
  pa_stop* stop = NULL;
  pa_error error;
  CHECK_STATUS(pa_stop_new(&stop, &error), PA_STATUS_OK, &error);
  if (!stop) abort();
  return stop;
}

static pa_result* map(pa_fn fn, void* ctx, uint64_t n, const pa_options* options) {
  void** items = numbered(n);
  pa_result* result = NULL;
  pa_error error;
  CHECK_STATUS(pa_map(fn, ctx, items, n, options, &result, &error), PA_STATUS_OK, &error);
  free(items);
  if (!result) abort();
  check_result(result);
  return result;
}

TEST(once_requested_it_stays_so) {
  pa_stop* stop = new_stop();
  CHECK_EQ(pa_stop_requested(stop), 0);
  pa_stop_request(stop);
  CHECK_EQ(pa_stop_requested(stop), 1);
  pa_stop_request(stop);
  CHECK_EQ(pa_stop_requested(stop), 1);
  pa_stop_release(stop);
}

TEST(null_is_ignored) {
  pa_stop_request(NULL);
  pa_stop_release(NULL);
}

TEST(the_last_owner_frees) {
  pa_stop* stop = new_stop();
  pa_stop_retain(stop);
  pa_stop_release(stop);
  pa_stop_request(stop);
  CHECK_EQ(pa_stop_requested(stop), 1);
  pa_stop_release(stop);
}

TEST(a_token_that_was_requested_cancels_every_later_run_before_anything_is_run_or_pulled) {
  pa_options options = defaults();
  options.stop = new_stop();
  pa_stop_request(options.stop);
  for (int executor = PA_EXECUTOR_THREADS; executor <= PA_EXECUTOR_INLINE; executor++)
    for (int run = 0; run < 2; run++) {
      options.executor = executor;
      uint32_t calls = 0;
      pa_result* result = map(count_calls, &calls, 10, &options);
      CHECK_EQ(calls, 0);
      CHECK_EQ(pa_result_end(result), PA_END_CANCELLED);
      CHECK_EQ(count_state(result, PA_ITEM_CANCELLED), 10);
      pa_result_free(result);

      numbers from = {UINT64_MAX, 1, 0, 0, 0, 0, 0, NULL};
      const pa_source source = numbers_source(&from);
      pa_error error;
      REQUIRE_STATUS(pa_map_source(count_calls, &calls, &source, &options, &result, &error), PA_STATUS_OK, &error);
      check_result(result);
      CHECK_EQ(pa_result_end(result), PA_END_CANCELLED);
      CHECK_EQ(pa_result_count(result), 0);
      CHECK_EQ(from.pulls, 0);
      CHECK_EQ(from.released, 1);
      CHECK_EQ(calls, 0);
      pa_result_free(result);
    }
  pa_stop_release(options.stop);
}

TEST(a_requested_token_and_a_timeout_of_0_is_cancelled) {
  pa_options options = defaults();
  options.stop = new_stop();
  options.timeout_ns = 0;
  pa_stop_request(options.stop);
  for (int executor = PA_EXECUTOR_THREADS; executor <= PA_EXECUTOR_INLINE; executor++) {
    options.executor = executor;
    pa_result* result = map(return_0, NULL, 10, &options);
    CHECK_EQ(pa_result_end(result), PA_END_CANCELLED);
    pa_result_free(result);
  }
  pa_stop_release(options.stop);
}

// Items that last: very short ones run several at a time, and those few would still be run.
static int32_t stop_at_5(void* ctx, void* item, void** value, pa_call* call) {
  *value = item;
  nap();
  if (pa_call_index(call) == 5) pa_stop_request(ctx);
  return 0;
}

TEST(after_a_stop_nothing_new_starts) {
  pa_options options = defaults();
  options.stop = new_stop();
  options.executor = PA_EXECUTOR_INLINE;
  pa_result* result = map(stop_at_5, options.stop, 10, &options);
  CHECK_EQ(pa_result_end(result), PA_END_CANCELLED);
  for (uint64_t i = 0; i < 10; i++) {
    const pa_outcome outcome = outcome_at(result, i);
    CHECK_EQ(outcome.state, i <= 5 ? PA_ITEM_OK : PA_ITEM_CANCELLED);
    CHECK_EQ(outcome.attempts, i <= 5 ? 1 : 0);
    CHECK_EQ(outcome.code, 0);
  }
  pa_result_free(result);
  pa_stop_release(options.stop);
}

static int32_t stop_and_succeed(void* ctx, void* item, void** value, pa_call* call) {
  (void)call;
  *value = item;
  pa_stop_request(ctx);
  return 0;
}

/* Quick at first, so that several of its items are run between two looks at the clock. Then the first item waits for a stop. */
typedef struct fickle {
  pa_stop* stop; /* NULL: be quick */
  uint32_t calls;
} fickle;

static int32_t quick_or_stopped(void* ctx, void* item, void** value, pa_call* call) {
  (void)item, (void)value;
  fickle* f = ctx;
  __atomic_add_fetch(&f->calls, 1, __ATOMIC_RELAXED);
  if (f->stop) pa_stop_request(f->stop);
  while (f->stop && !pa_call_stopped(call)) {
  }
  return 0;
}

TEST(who_has_seen_a_stop_is_the_last_to_run_however_quick_his_neighbours_are_known_to_be) {
  pa_options options = defaults();
  options.workers = 1;
  fickle f = {0};
  for (int run = 0; run < 3; run++) pa_result_free(map(quick_or_stopped, &f, 10000, &options));
  options.stop = f.stop = new_stop();
  f.calls = 0;
  pa_result* result = map(quick_or_stopped, &f, 100, &options);
  CHECK_EQ(f.calls, 1);
  CHECK_EQ(count_state(result, PA_ITEM_OK), 1);
  CHECK_EQ(count_state(result, PA_ITEM_CANCELLED), 99);
  pa_result_free(result);
  pa_stop_release(f.stop);
}

TEST(a_stop_while_the_last_call_runs_is_the_reason_though_nothing_is_left_undone) {
  for (int executor = PA_EXECUTOR_THREADS; executor <= PA_EXECUTOR_INLINE; executor++) {
    pa_options options = defaults();
    options.executor = executor;
    options.stop = new_stop();
    pa_result* result = map(stop_and_succeed, options.stop, 1, &options);
    CHECK_EQ(pa_result_end(result), PA_END_CANCELLED);
    CHECK_EQ(outcome_at(result, 0).state, PA_ITEM_OK);
    CHECK_EQ(pa_result_failed(result), 0);
    CHECK_EQ(pa_result_ok(result), 0);
    CHECK_STATUS(pa_result_check(result, NULL), PA_STATUS_CANCELLED, NULL);
    pa_result_free(result);
    pa_stop_release(options.stop);
  }
}

typedef struct sharer {
  pa_stop* stop;
  counter* running;
  int32_t end;
} sharer;

static int32_t wait_for_stop(void* ctx, void* item, void** value, pa_call* call) {
  (void)item, (void)value;
  counter_up(ctx);
  wait_until_stopped(call);
  return 0;
}

static void* run_until_stopped(void* of) {
  sharer* s = of;
  pa_options options = defaults();
  options.stop = s->stop;
  options.workers = 2;
  pa_result* result = map(wait_for_stop, s->running, 100, &options);
  s->end = pa_result_end(result);
  CHECK_EQ(count_state(result, PA_ITEM_OK) + count_state(result, PA_ITEM_CANCELLED), 100);
  pa_result_free(result);
  return NULL;
}

TEST(one_token_ends_any_number_of_runs) {
  enum { runs = 12 };  // more than fit in a first block of listeners
  counter running = COUNTER_INIT;
  sharer sharers[runs];
  pthread_t threads[runs];
  pa_stop* stop = new_stop();
  for (int i = 0; i < runs; i++) {
    sharers[i].stop = stop;
    sharers[i].running = &running;
    sharers[i].end = PA_END_NONE;
    REQUIRE(pthread_create(&threads[i], NULL, run_until_stopped, &sharers[i]) == 0);
  }
  counter_wait(&running, 2 * runs);
  pa_stop_request(stop);
  for (int i = 0; i < runs; i++) {
    pthread_join(threads[i], NULL);
    CHECK_EQ(sharers[i].end, PA_END_CANCELLED);
  }
  pa_stop_release(stop);
}

static int32_t release_and_go_on(void* ctx, void* item, void** value, pa_call* call) {
  (void)item, (void)value;
  if (pa_call_index(call) == 0) pa_stop_release(ctx);
  CHECK_EQ(pa_call_stopped(call), 0);
  return 0;
}

TEST(a_run_in_progress_is_an_owner) {
  pa_options options = defaults();
  options.stop = new_stop();
  options.workers = 2;
  pa_result* result = map(release_and_go_on, options.stop, 100, &options);
  CHECK_EQ(pa_result_ok(result), 1);
  pa_result_free(result);
}

TEST(a_token_that_is_not_requested_changes_nothing) {
  pa_options options = defaults();
  options.stop = new_stop();
  for (int run = 0; run < 3; run++) {
    pa_result* result = map(return_0, NULL, 1000, &options);
    CHECK_EQ(pa_result_ok(result), 1);
    pa_result_free(result);
  }
  pa_stop_release(options.stop);
}

// ---- everything that a run can wait for

static counter failed_once = COUNTER_INIT;

static int32_t fail_and_say_so(void* ctx, void* item, void** value, pa_call* call) {
  (void)ctx, (void)item, (void)value;
  counter_up(&failed_once);
  return pa_call_fail(call, 5, "try again");
}

static void* stop_after_a_failure(void* stop) {
  counter_wait(&failed_once, 1);
  pa_stop_request(stop);
  return NULL;
}

static void stop_during_retry_waits(int32_t executor, uint64_t n) {
  pa_options options = defaults();
  options.executor = executor;
  options.workers = 2;
  options.stop = new_stop();
  options.retry.attempts = 2;
  options.retry.backoff_ns = HOURS;
  options.retry.max_delay_ns = HOURS;
  counter_reset(&failed_once);
  pthread_t stopper;
  REQUIRE(pthread_create(&stopper, NULL, stop_after_a_failure, options.stop) == 0);
  pa_result* result = map(fail_and_say_so, NULL, n, &options);
  pthread_join(stopper, NULL);
  CHECK_EQ(pa_result_end(result), PA_END_CANCELLED);
  uint64_t tried = 0;
  for (uint64_t i = 0; i < n; i++) {
    const pa_outcome outcome = outcome_at(result, i);
    CHECK_EQ(outcome.state, PA_ITEM_CANCELLED);  // never FAILED: an attempt was left
    CHECK_EQ(outcome.code, outcome.attempts ? 5 : 0);
    tried += outcome.attempts;
  }
  CHECK_EQ(tried, counter_value(&failed_once));
  pa_result_free(result);
  pa_stop_release(options.stop);
}

TEST(a_stop_ends_waits_for_retries_and_what_was_tried_is_kept) {
  stop_during_retry_waits(PA_EXECUTOR_THREADS, 1);
  stop_during_retry_waits(PA_EXECUTOR_THREADS, 3);
  stop_during_retry_waits(PA_EXECUTOR_INLINE, 1);
}

static int32_t stop_in_next(void* ctx, void** items, size_t max, size_t* got) {
  pa_stop_request(ctx);
  for (*got = 0; *got < max && *got < 5; ++*got) items[*got] = NULL;
  return 0;
}

TEST(a_stop_while_the_source_is_pulled_is_its_last_pull) {
  pa_options options = defaults();
  options.stop = new_stop();
  pa_source source;
  pa_source_init(&source, sizeof source);
  source.next = stop_in_next;
  source.ctx = options.stop;
  uint32_t calls = 0;
  pa_result* result;
  pa_error error;
  REQUIRE_STATUS(pa_map_source(count_calls, &calls, &source, &options, &result, &error), PA_STATUS_OK, &error);
  check_result(result);
  CHECK_EQ(pa_result_end(result), PA_END_CANCELLED);
  CHECK_EQ(calls, 0);
  CHECK_LE(pa_result_count(result), 5);
  pa_result_free(result);
  pa_stop_release(options.stop);
}

static int32_t stop_at_the_third_key(void* ctx, void* item, pa_key* key) {
  key->kind = PA_KEY_INT;
  key->number = (int64_t)number_of(item);
  if (number_of(item) == 2) pa_stop_request(ctx);
  return 0;
}

TEST(a_stop_inside_a_key_function_cancels_the_item_and_keeps_its_key) {
  pa_options options = defaults();
  options.stop = new_stop();
  options.executor = PA_EXECUTOR_INLINE;
  options.item_key = stop_at_the_third_key;
  options.key_ctx = options.stop;
  uint32_t calls = 0;
  pa_result* result = map(count_calls, &calls, 5, &options);
  CHECK_EQ(pa_result_end(result), PA_END_CANCELLED);
  const pa_outcome outcome = outcome_at(result, 2);
  CHECK_EQ(outcome.state, PA_ITEM_CANCELLED);
  CHECK_EQ(outcome.attempts, 0);
  CHECK_EQ(outcome.key.kind, PA_KEY_INT);
  CHECK_EQ(outcome.key.number, 2);
  CHECK_LE(calls, 2);
  pa_result_free(result);
  pa_stop_release(options.stop);
}

static int32_t stop_in_progress(void* ctx, uint64_t done, uint64_t total) {
  (void)total;
  if (done == 10) pa_stop_request(ctx);
  return 0;
}

TEST(a_stop_from_a_progress_callback_ends_the_run) {
  pa_options options = defaults();
  options.stop = new_stop();
  options.on_progress = stop_in_progress;
  options.progress_ctx = options.stop;
  options.executor = PA_EXECUTOR_INLINE;
  uint32_t calls = 0;
  pa_result* result = map(count_calls, &calls, 100, &options);
  CHECK_EQ(pa_result_end(result), PA_END_CANCELLED);
  CHECK_EQ(count_state(result, PA_ITEM_OK), calls);
  CHECK(calls >= 10 && calls < 100);
  pa_result_free(result);
  pa_stop_release(options.stop);
}

// ---- background retries

static int32_t fail_always(void* ctx, void* item, void** value, pa_call* call) {
  (void)item, (void)value, (void)call;
  COUNT_UP(*(uint32_t*)ctx);
  counter_up(&failed_once);
  return 1;
}

TEST(no_attempt_is_made_after_a_run_that_was_cancelled_has_returned) {
  counter_reset(&failed_once);
  pa_options options = defaults();
  options.stop = new_stop();
  options.workers = 3;
  options.retry.attempts = 1000000;
  options.retry.backoff_ns = 50 * MICROSECONDS;
  options.retry.max_delay_ns = 50 * MICROSECONDS;
  pthread_t stopper;
  REQUIRE(pthread_create(&stopper, NULL, stop_after_a_failure, options.stop) == 0);
  uint32_t calls = 0;
  pa_result* result = map(fail_always, &calls, 20, &options);
  const uint32_t at_return = LOAD(calls);
  pthread_join(stopper, NULL);
  CHECK_EQ(pa_result_end(result), PA_END_CANCELLED);
  CHECK_EQ(count_state(result, PA_ITEM_CANCELLED), 20);
  uint64_t attempts = 0;
  for (uint64_t i = 0; i < 20; i++) attempts += outcome_at(result, i).attempts;
  CHECK_EQ(attempts, at_return);
  CHECK_STATUS(pa_drain(-1, NULL), PA_STATUS_OK, NULL);
  CHECK_EQ(LOAD(calls), at_return);
  pa_result_free(result);
  pa_stop_release(options.stop);
}
