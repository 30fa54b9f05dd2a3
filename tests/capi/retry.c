// options.retry: when a failed attempt is made again.
#include "support.h"

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

static pa_options with_retry(uint32_t attempts, int64_t backoff_ns) {
  pa_options options = defaults();
  options.workers = 3;
  options.retry.attempts = attempts;
  options.retry.backoff_ns = backoff_ns;
  return options;
}

static int32_t succeed_at(void* ctx, void* item, void** value, pa_call* call) {
  *value = item;
  return pa_call_attempt(call) < *(uint32_t*)ctx ? pa_call_fail(call, (int32_t)pa_call_attempt(call), "not yet") : 0;
}

TEST(without_retry_there_is_one_attempt) {
  uint32_t at = 2;
  pa_result* result = map(succeed_at, &at, 20, NULL);
  CHECK_EQ(pa_result_failed(result), 20);
  for (uint64_t i = 0; i < 20; i++) CHECK_EQ(outcome_at(result, i).attempts, 1);
  pa_result_free(result);
}

TEST(a_retry_that_succeeds_on_the_last_try_is_a_success) {
  for (int executor = PA_EXECUTOR_THREADS; executor <= PA_EXECUTOR_INLINE; executor++) {
    uint32_t at = 4;
    pa_options options = with_retry(4, 10 * MICROSECONDS);
    options.executor = executor;
    options.max_errors = 1;  // and it does not count as a failure
    pa_result* result = map(succeed_at, &at, 20, &options);
    CHECK_EQ(pa_result_ok(result), 1);
    for (uint64_t i = 0; i < 20; i++) {
      CHECK_EQ(outcome_at(result, i).attempts, 4);
      CHECK_EQ(number_of(pa_result_value(result, i)), i);
    }
    pa_result_free(result);
  }
}

TEST(attempts_counts_all_tries_and_the_last_error_is_kept) {
  uint32_t at = 100;
  const pa_options options = with_retry(3, 0);
  pa_result* result = map(succeed_at, &at, 20, &options);
  for (uint64_t i = 0; i < 20; i++) {
    CHECK_EQ(outcome_at(result, i).state, PA_ITEM_FAILED);
    CHECK_EQ(outcome_at(result, i).attempts, 3);
    CHECK_EQ(outcome_at(result, i).code, 3);
    CHECK_STR(outcome_at(result, i).message, "not yet");
  }
  pa_result_free(result);
}

typedef struct times {
  int64_t ended[20], began[20];
} times;

static int32_t note_times(void* ctx, void* item, void** value, pa_call* call) {
  times* t = ctx;
  (void)item, (void)value;
  t->began[pa_call_attempt(call)] = now_ns();
  t->ended[pa_call_attempt(call)] = now_ns();
  return 1;
}

static void check_delays(times* t, const pa_options* options, uint32_t executor) {
  pa_options with_executor = *options;
  with_executor.executor = (int32_t)executor;
  pa_result* result = map(note_times, t, 1, &with_executor);
  CHECK_EQ(outcome_at(result, 0).attempts, options->retry.attempts);
  pa_result_free(result);
  int64_t delay = options->retry.backoff_ns;
  for (uint32_t attempt = 2; attempt <= options->retry.attempts; attempt++) {
    if (delay > options->retry.max_delay_ns) delay = options->retry.max_delay_ns;
    const int64_t waited = t->began[attempt] - t->ended[attempt - 1];
    CHECK(waited >= (options->retry.jitter ? delay / 2 : delay));
    delay *= 2;
  }
}

TEST(the_delay_doubles_up_to_its_cap) {
  times t;
  pa_options options = with_retry(6, MILLISECONDS);
  options.retry.jitter = 0;
  options.retry.max_delay_ns = 4 * MILLISECONDS;
  check_delays(&t, &options, PA_EXECUTOR_THREADS);
  check_delays(&t, &options, PA_EXECUTOR_INLINE);
}

TEST(jitter_shortens_a_delay_to_no_less_than_half) {
  times t;
  pa_options options = with_retry(10, MILLISECONDS);
  options.retry.max_delay_ns = 2 * MILLISECONDS;
  check_delays(&t, &options, PA_EXECUTOR_THREADS);
}

TEST(max_delay_caps_the_backoff) {
  pa_options options = with_retry(5, HOURS);
  options.retry.max_delay_ns = MICROSECONDS;
  pa_result* result = map(fail_with_7, NULL, 3, &options);
  CHECK_EQ(outcome_at(result, 2).attempts, 5);
  pa_result_free(result);
}

TEST(thousands_of_attempts_do_not_overflow_the_delay_or_mask_the_error) {
  pa_options options = with_retry(3000, 1);
  options.retry.max_delay_ns = 1;
  pa_result* result = map(fail_with_7, NULL, 2, &options);
  for (uint64_t i = 0; i < 2; i++) {
    CHECK_EQ(outcome_at(result, i).attempts, 3000);
    CHECK_EQ(outcome_at(result, i).code, 7);
    CHECK_STR(outcome_at(result, i).message, "seven");
  }
  pa_result_free(result);
}

static counter items_met = COUNTER_INIT;

static int32_t first_fails_others_run(void* ctx, void* item, void** value, pa_call* call) {
  (void)ctx, (void)item, (void)value;
  if (pa_call_index(call) == 0 && pa_call_attempt(call) == 1) return 1;
  if (pa_call_index(call) != 0) counter_up(&items_met);
  return 0;
}

static void* stop_when_others_ran(void* stop) {
  counter_wait(&items_met, 9);
  pa_stop_request(stop);
  return NULL;
}

TEST(an_item_that_waits_for_its_retry_holds_no_worker) {
  counter_reset(&items_met);
  pa_options options = with_retry(2, HOURS);
  options.retry.max_delay_ns = HOURS;
  options.workers = 1;
  REQUIRE(pa_stop_new(&options.stop, NULL) == PA_STATUS_OK);
  pthread_t stopper;
  REQUIRE(pthread_create(&stopper, NULL, stop_when_others_ran, options.stop) == 0);
  pa_result* result = map(first_fails_others_run, NULL, 10, &options);
  pthread_join(stopper, NULL);
  CHECK_EQ(outcome_at(result, 0).state, PA_ITEM_CANCELLED);
  CHECK_EQ(count_state(result, PA_ITEM_OK), 9);
  pa_result_free(result);
  pa_stop_release(options.stop);
}

// ---- retry_if

typedef struct judge {
  uint32_t asked;
  int32_t verdict;
} judge;

static int32_t ask(void* ctx, const pa_outcome* failure) {
  judge* j = ctx;
  COUNT_UP(j->asked);
  CHECK_EQ(failure->state, PA_ITEM_FAILED);
  CHECK_EQ(failure->code, 7);
  CHECK_STR(failure->message, "seven");
  CHECK(failure->attempts >= 1);
  CHECK(failure->value == NULL);
  CHECK(failure->index < 10);
  return j->verdict;
}

static pa_result* map_judged(judge* j, int32_t executor) {
  pa_options options = with_retry(3, 0);
  options.executor = executor;
  options.retry.retry_if = ask;
  options.retry.retry_ctx = j;
  return map(fail_with_7, NULL, 10, &options);
}

TEST(a_predicate_decides_whether_to_retry) {
  for (int executor = PA_EXECUTOR_THREADS; executor <= PA_EXECUTOR_INLINE; executor++) {
    judge no = {0, 0};
    pa_result* result = map_judged(&no, executor);
    CHECK_EQ(no.asked, 10);
    for (uint64_t i = 0; i < 10; i++) CHECK_EQ(outcome_at(result, i).attempts, 1);
    pa_result_free(result);
    judge yes = {0, 1};
    result = map_judged(&yes, executor);
    for (uint64_t i = 0; i < 10; i++) CHECK_EQ(outcome_at(result, i).attempts, 3);
    CHECK(yes.asked >= 20 && yes.asked <= 30);
    pa_result_free(result);
  }
}

TEST(a_predicate_that_fails_leaves_the_items_own_error_with_a_note) {
  judge broken = {0, -5};
  pa_result* result = map_judged(&broken, PA_EXECUTOR_THREADS);
  CHECK_EQ(broken.asked, 10);
  for (uint64_t i = 0; i < 10; i++) {
    const pa_outcome outcome = outcome_at(result, i);
    CHECK_EQ(outcome.state, PA_ITEM_FAILED);
    CHECK_EQ(outcome.code, 7);
    CHECK_CONTAINS(outcome.message, "seven");
    CHECK(strlen(outcome.message) > strlen("seven"));
    CHECK_EQ(outcome.attempts, 1);
    CHECK(outcome.duration_ns > 0);
  }
  pa_result_free(result);
}

// ---- what the server says

static int32_t server_waits(void* ctx, void* item, void** value, pa_call* call) {
  (void)item, (void)value;
  if (pa_call_attempt(call) == 3) return 0;
  pa_call_retry_after(call, *(int64_t*)ctx);
  return pa_call_fail(call, 429, "slow down");
}

TEST(a_servers_wait_replaces_the_backoff) {
  int64_t wait_ns = MILLISECONDS;
  pa_options options = with_retry(3, HOURS);  // the backoff would never pass
  options.retry.max_delay_ns = HOURS;
  const int64_t before = now_ns();
  pa_result* result = map(server_waits, &wait_ns, 3, &options);
  CHECK_EQ(pa_result_ok(result), 1);
  CHECK(now_ns() - before >= 2 * wait_ns);  // and has no jitter
  pa_result_free(result);
}

TEST(a_servers_wait_is_not_capped_by_max_delay) {
  int64_t wait_ns = 2 * MILLISECONDS;
  pa_options options = with_retry(3, 0);
  options.retry.max_delay_ns = 0;
  const int64_t before = now_ns();
  pa_result* result = map(server_waits, &wait_ns, 1, &options);
  CHECK(now_ns() - before >= 2 * wait_ns);
  pa_result_free(result);
}

TEST(a_servers_wait_is_capped_by_max_server_wait) {
  int64_t wait_ns = INT64_MAX;
  pa_options options = with_retry(3, HOURS);
  options.retry.max_server_wait_ns = MICROSECONDS;
  pa_result* result = map(server_waits, &wait_ns, 3, &options);
  CHECK_EQ(pa_result_ok(result), 1);
  pa_result_free(result);
}

TEST(a_negative_server_wait_is_ignored_and_the_backoff_holds) {
  const int64_t waits[] = {-1, INT64_MIN};
  for (int i = 0; i < 2; i++) {
    int64_t wait_ns = waits[i];
    pa_options options = with_retry(3, MILLISECONDS);
    options.retry.jitter = 0;
    const int64_t before = now_ns();
    pa_result* result = map(server_waits, &wait_ns, 1, &options);
    CHECK_EQ(pa_result_ok(result), 1);
    CHECK(now_ns() - before >= 3 * MILLISECONDS);
    pa_result_free(result);
  }
}

TEST(a_server_wait_of_0_retries_at_once) {
  int64_t wait_ns = 0;
  pa_options options = with_retry(3, HOURS);
  options.retry.max_delay_ns = HOURS;
  pa_result* result = map(server_waits, &wait_ns, 3, &options);
  CHECK_EQ(pa_result_ok(result), 1);
  pa_result_free(result);
}
