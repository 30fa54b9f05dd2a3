// pa_call: what a function can ask, and say, about the call that it is in.
#include "support.h"

#include <pthread.h>

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

static int32_t various(void* ctx, void* item, void** value, pa_call* call) {
  (void)ctx, (void)item, (void)value;
  switch (pa_call_index(call)) {
    case 0:
      CHECK_EQ(pa_call_fail(call, 404, "gone"), 404);
      return 404;
    case 1:
      return pa_call_fail(call, 0, "0 is turned into -1");
    case 2:
      return pa_call_fail(call, 12, NULL);
    case 3:
      return 77;
    case 4:
      pa_call_fail(call, 5, "never mind");
      return 0;
    case 5:
      pa_call_fail(call, 5, "first");
      return pa_call_fail(call, 6, "last");
    case 6:
      return INT32_MIN;
    case 7:
      return pa_call_fail(call, INT32_MAX, "most");
    case 8:
      pa_call_fail(call, 5, "five");
      return 55;
    default:
      return 0;
  }
}

TEST(fail_says_why_an_item_failed) {
  pa_options options = defaults();
  options.executor = PA_EXECUTOR_INLINE;
  pa_result* result = map(various, NULL, 10, &options);
  CHECK_EQ(outcome_at(result, 0).code, 404);
  CHECK_STR(outcome_at(result, 0).message, "gone");
  CHECK_EQ(outcome_at(result, 5).code, 6);
  CHECK_STR(outcome_at(result, 5).message, "last");
  CHECK_EQ(outcome_at(result, 6).code, INT32_MIN);
  CHECK_EQ(outcome_at(result, 7).code, INT32_MAX);
  pa_result_free(result);
}

TEST(fail_with_code_0_fails_with_minus_1) {
  pa_result* result = map(various, NULL, 10, NULL);
  CHECK_EQ(outcome_at(result, 1).state, PA_ITEM_FAILED);
  CHECK_EQ(outcome_at(result, 1).code, -1);
  pa_result_free(result);
}

TEST(fail_without_a_message_still_has_one) {
  pa_result* result = map(various, NULL, 10, NULL);
  for (uint64_t i = 2; i <= 3; i++) {
    const pa_outcome outcome = outcome_at(result, i);
    CHECK_EQ(outcome.state, PA_ITEM_FAILED);
    CHECK_EQ(outcome.code, i == 2 ? 12 : 77);
    CHECK(outcome.message[0] != 0);
  }
  pa_result_free(result);
}

TEST(it_is_the_returned_code_that_makes_a_call_fail) {
  pa_options options = defaults();
  options.executor = PA_EXECUTOR_INLINE;
  pa_result* result = map(various, NULL, 10, &options);
  CHECK_EQ(outcome_at(result, 4).state, PA_ITEM_OK);
  CHECK_EQ(outcome_at(result, 8).code, 55);
  CHECK_EQ(outcome_at(result, 9).state, PA_ITEM_OK);
  pa_result_free(result);
}

static int32_t message_of_3000_bytes(void* ctx, void* item, void** value, pa_call* call) {
  (void)ctx, (void)item, (void)value;
  char text[3001];
  memset(text, 'a' + (int)(pa_call_index(call) % 26), sizeof text - 1);
  text[3000] = 0;
  pa_call_fail(call, 1, text);
  memset(text, '?', sizeof text - 1);  // it was copied
  return 1;
}

TEST(a_message_is_copied_up_to_its_limit) {
  pa_result* result = map(message_of_3000_bytes, NULL, 30, NULL);
  for (uint64_t i = 0; i < 30; i++) {
    const pa_outcome outcome = outcome_at(result, i);
    CHECK_EQ(strlen(outcome.message), PA_MESSAGE_MAX);
    for (size_t at = 0; at < PA_MESSAGE_MAX; at++) CHECK_EQ(outcome.message[at], 'a' + i % 26);
  }
  pa_result_free(result);
}

static int32_t message_once(void* ctx, void* item, void** value, pa_call* call) {
  (void)ctx, (void)item, (void)value;
  if (pa_call_attempt(call) == 1) return pa_call_fail(call, 1, "of the first attempt");
  return 2;
}

TEST(an_attempt_does_not_inherit_the_message_of_another) {
  pa_options options = defaults();
  options.executor = PA_EXECUTOR_INLINE;
  options.retry.attempts = 2;
  options.retry.backoff_ns = 0;
  pa_result* result = map(message_once, NULL, 2, &options);
  for (uint64_t i = 0; i < 2; i++) {
    CHECK_EQ(outcome_at(result, i).code, 2);
    CHECK(strstr(outcome_at(result, i).message, "first attempt") == NULL);
  }
  pa_result_free(result);
}

static int32_t message_at_0(void* ctx, void* item, void** value, pa_call* call) {
  (void)ctx, (void)item, (void)value;
  if (pa_call_index(call) == 0) pa_call_fail(call, 1, "of item 0, which succeeded");
  return pa_call_index(call) == 0 ? 0 : 3;
}

TEST(an_item_does_not_inherit_the_message_of_another) {
  pa_options options = defaults();
  options.executor = PA_EXECUTOR_INLINE;
  pa_result* result = map(message_at_0, NULL, 2, &options);
  CHECK_STR(outcome_at(result, 0).message, "");
  CHECK(strstr(outcome_at(result, 1).message, "item 0") == NULL);
  pa_result_free(result);
}

static int32_t check_attempt(void* ctx, void* item, void** value, pa_call* call) {
  (void)value;
  uint32_t* calls = ctx;
  CHECK_EQ(pa_call_attempt(call), COUNT_UP(calls[number_of(item)]));
  CHECK_EQ(pa_call_index(call), number_of(item));
  return pa_call_attempt(call) < 3 ? 1 : 0;
}

TEST(index_and_attempt_say_who_is_being_run) {
  uint32_t calls[40] = {0};
  pa_options options = defaults();
  options.workers = 3;
  options.retry.attempts = 3;
  options.retry.backoff_ns = 0;
  pa_result* result = map(check_attempt, calls, 40, &options);
  CHECK_EQ(pa_result_ok(result), 1);
  for (uint64_t i = 0; i < 40; i++) CHECK_EQ(outcome_at(result, i).attempts, 3);
  pa_result_free(result);
}

// ---- stopped and remaining_ns

static int32_t not_stopped(void* ctx, void* item, void** value, pa_call* call) {
  (void)ctx, (void)item, (void)value;
  CHECK_EQ(pa_call_stopped(call), 0);
  CHECK_EQ(pa_call_remaining_ns(call), -1);
  return 0;
}

TEST(without_a_deadline_nothing_is_stopped_and_minus_1_remains) { pa_result_free(map(not_stopped, NULL, 20, NULL)); }

static int32_t request_stop(void* ctx, void* item, void** value, pa_call* call) {
  (void)item, (void)value;
  pa_stop* stop = ctx;
  CHECK_EQ(pa_call_stopped(call), 0);
  CHECK_EQ(pa_call_remaining_ns(call), -1);
  pa_stop_request(stop);
  CHECK_EQ(pa_call_stopped(call), 1);
  CHECK_EQ(pa_call_remaining_ns(call), 0);
  return 0;
}

TEST(a_call_sees_that_the_run_was_stopped) {
  for (int executor = PA_EXECUTOR_THREADS; executor <= PA_EXECUTOR_INLINE; executor++) {
    pa_options options = defaults();
    options.executor = executor;
    pa_error error;
    REQUIRE_STATUS(pa_stop_new(&options.stop, &error), PA_STATUS_OK, &error);
    options.workers = 1;
    pa_result* result = map(request_stop, options.stop, 2, &options);
    CHECK_EQ(outcome_at(result, 0).state, PA_ITEM_OK);
    CHECK_EQ(outcome_at(result, 1).state, PA_ITEM_CANCELLED);
    pa_result_free(result);
    pa_stop_release(options.stop);
  }
}

static void* ask_until_stopped(void* call) {
  wait_until_stopped(call);
  CHECK_EQ(pa_call_remaining_ns(call), 0);
  return NULL;
}

static int32_t ask_on_threads(void* ctx, void* item, void** value, pa_call* call) {
  (void)item, (void)value;
  pthread_t threads[2];
  for (int i = 0; i < 2; i++)
    if (pthread_create(&threads[i], NULL, ask_until_stopped, call)) abort();
  pa_stop_request(ctx);
  for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
  return 0;
}

TEST(threads_of_the_function_may_ask_whether_it_is_stopped) {
  pa_options options = defaults();
  pa_error error;
  REQUIRE_STATUS(pa_stop_new(&options.stop, &error), PA_STATUS_OK, &error);
  options.workers = 1;
  pa_result* result = map(ask_on_threads, options.stop, 2, &options);
  CHECK_EQ(outcome_at(result, 0).state, PA_ITEM_OK);
  CHECK_EQ(outcome_at(result, 1).state, PA_ITEM_CANCELLED);
  pa_result_free(result);
  pa_stop_release(options.stop);
}

static counter waiting = COUNTER_INIT;

static int32_t second_fails_first_waits(void* ctx, void* item, void** value, pa_call* call) {
  (void)ctx, (void)item, (void)value;
  if (pa_call_index(call) == 0) {
    counter_up(&waiting);
    wait_until_stopped(call);
    CHECK_EQ(pa_call_remaining_ns(call), 0);
    return 0;
  }
  counter_wait(&waiting, 1);
  return 1;
}

TEST(a_call_sees_that_the_run_was_aborted) {
  pa_options options = defaults();
  options.workers = 2;
  options.max_errors = 1;
  counter_reset(&waiting);
  pa_result* result = map(second_fails_first_waits, NULL, 2, &options);
  CHECK_EQ(pa_result_end(result), PA_END_ABORTED);
  CHECK_EQ(outcome_at(result, 0).state, PA_ITEM_OK);
  pa_result_free(result);
}

static uint32_t saw_timeout;

static int32_t wait_for_timeout(void* ctx, void* item, void** value, pa_call* call) {
  (void)item, (void)value;
  const int64_t before = pa_call_remaining_ns(call);
  CHECK_LE(before, *(int64_t*)ctx);
  CHECK(before >= 0);
  wait_until_stopped(call);
  CHECK_EQ(pa_call_remaining_ns(call), 0);
  STORE(saw_timeout, 1);
  return 0;
}

TEST(a_call_sees_the_timeout_of_the_run) {
  saw_timeout = 0;
  GROWING_TIMEOUT(timeout_ns, LOAD(saw_timeout)) {
    pa_options options = defaults();
    options.timeout_ns = timeout_ns;
    pa_result* result = map(wait_for_timeout, &timeout_ns, 1, &options);
    CHECK_EQ(pa_result_end(result), PA_END_TIMED_OUT);
    pa_result_free(result);
  }
  CHECK(saw_timeout);
}

TEST(a_call_sees_the_timeout_of_its_attempt) {
  int64_t timeout_ns = MILLISECONDS;
  pa_options options = defaults();
  options.item_timeout_ns = timeout_ns;
  options.timeout_ns = HOURS;
  saw_timeout = 0;
  pa_result* result = map(wait_for_timeout, &timeout_ns, 3, &options);
  CHECK_EQ(pa_result_end(result), PA_END_COMPLETED);
  CHECK_EQ(count_state(result, PA_ITEM_TIMED_OUT), 3);
  CHECK(saw_timeout);
  pa_result_free(result);
}

static int32_t whichever_is_first(void* ctx, void* item, void** value, pa_call* call) {
  (void)item, (void)value;
  const int64_t remaining = pa_call_remaining_ns(call);
  CHECK_LE(remaining, *(int64_t*)ctx);
  CHECK(remaining > 0);
  return 0;
}

TEST(what_remains_is_the_nearer_of_the_two_deadlines) {
  pa_options options = defaults();
  int64_t nearer = HOURS;
  options.timeout_ns = HOURS;
  options.item_timeout_ns = 2 * HOURS;
  pa_result_free(map(whichever_is_first, &nearer, 5, &options));
  options.timeout_ns = 2 * HOURS;
  options.item_timeout_ns = HOURS;
  pa_result_free(map(whichever_is_first, &nearer, 5, &options));
}

// ---- giving up

typedef struct quitter {
  ledger l;
  pa_stop* stop;
} quitter;

static int32_t stop_and_give_up(void* ctx, void* item, void** value, pa_call* call) {
  quitter* q = ctx;
  ledger_call(&q->l, item);
  ledger_store(&q->l, item, value);
  if (pa_call_index(call) == 3) pa_stop_request(q->stop);
  nap();
  return pa_call_stopped(call) ? PA_CODE_STOPPED : 0;
}

TEST(an_item_whose_function_gives_up_because_the_run_has_ended_is_not_done) {
  for (int executor = PA_EXECUTOR_THREADS; executor <= PA_EXECUTOR_INLINE; executor++) {
    quitter q;
    ledger_init(&q.l, 10);
    pa_options options = defaults();
    options.executor = executor;
    options.workers = 1;
    options.max_errors = 1;  // giving up is no failure
    ledger_watch(&q.l, &options);
    REQUIRE(pa_stop_new(&q.stop, NULL) == PA_STATUS_OK);
    options.stop = q.stop;
    pa_result* result = map(stop_and_give_up, &q, 10, &options);
    CHECK_EQ(pa_result_end(result), PA_END_CANCELLED);
    for (uint64_t i = 0; i < 10; i++) {
      const pa_outcome outcome = outcome_at(result, i);
      CHECK_EQ(outcome.state, i < 3 ? PA_ITEM_OK : PA_ITEM_CANCELLED);
      CHECK_EQ(outcome.attempts, i <= 3);
      CHECK_EQ(outcome.code, 0);
    }
    CHECK_EQ(q.l.values_released[3], 1);  // what it had stored
    pa_result_free(result);
    ledger_check_released(&q.l, 1);
    CHECK_EQ(q.l.quiescent, 1);
    pa_stop_release(q.stop);
    ledger_free(&q.l);
  }
}

static int32_t give_up_when_stopped(void* ctx, void* item, void** value, pa_call* call) {
  (void)ctx, (void)item, (void)value;
  wait_until_stopped(call);
  return PA_CODE_STOPPED;
}

TEST(giving_up_at_the_timeout_of_the_run_leaves_the_item_timed_out) {
  pa_options options = defaults();
  options.timeout_ns = MILLISECONDS;
  options.retry.attempts = 3;
  pa_result* result = map(give_up_when_stopped, NULL, 3, &options);
  CHECK_EQ(pa_result_end(result), PA_END_TIMED_OUT);
  CHECK_EQ(count_state(result, PA_ITEM_TIMED_OUT), 3);
  for (uint64_t i = 0; i < 3; i++) CHECK_EQ(outcome_at(result, i).code, 0);
  pa_result_free(result);
}

TEST(giving_up_at_the_timeout_of_the_attempt_is_a_timeout_of_the_item) {
  pa_options options = defaults();
  options.item_timeout_ns = MILLISECONDS;
  pa_result* result = map(give_up_when_stopped, NULL, 3, &options);
  CHECK_EQ(pa_result_end(result), PA_END_COMPLETED);
  CHECK_EQ(count_state(result, PA_ITEM_TIMED_OUT), 3);
  pa_result_free(result);
}

// ---- durations

static int32_t last_a_millisecond(void* ctx, void* item, void** value, pa_call* call) {
  (void)ctx, (void)item, (void)value;
  wait_until_ns(now_ns() + MILLISECONDS);
  return pa_call_attempt(call) == 1;
}

TEST(a_duration_spans_all_attempts_and_the_waits_between) {
  pa_options options = defaults();
  options.executor = PA_EXECUTOR_INLINE;
  options.retry.attempts = 2;
  options.retry.jitter = 0;
  options.retry.backoff_ns = 5 * MILLISECONDS;
  const int64_t before = now_ns();
  pa_result* result = map(last_a_millisecond, NULL, 3, &options);
  const int64_t took = now_ns() - before;
  CHECK_EQ(pa_result_ok(result), 1);
  for (uint64_t i = 0; i < 3; i++) {
    const pa_outcome outcome = outcome_at(result, i);
    CHECK_EQ(outcome.attempts, 2);
    CHECK(outcome.duration_ns >= 7 * MILLISECONDS);
    CHECK_LE(outcome.duration_ns, took);
  }
  pa_result_free(result);
}

static int32_t last_once_a_millisecond(void* ctx, void* item, void** value, pa_call* call) {
  (void)ctx, (void)item, (void)value, (void)call;
  wait_until_ns(now_ns() + MILLISECONDS);
  return 0;
}

// With one item after the other, what each waited for its turn would be counted many times over.
TEST(a_duration_does_not_hold_the_wait_for_a_worker) {
  pa_options options = defaults();
  options.executor = PA_EXECUTOR_INLINE;
  const int64_t before = now_ns();
  pa_result* result = map(last_once_a_millisecond, NULL, 20, &options);
  const int64_t took = now_ns() - before;
  int64_t sum = 0;
  for (uint64_t i = 0; i < 20; i++) {
    CHECK(outcome_at(result, i).duration_ns >= MILLISECONDS);
    sum += outcome_at(result, i).duration_ns;
  }
  CHECK_LE(sum, took);
  pa_result_free(result);
}
