// 100,000 items, many workers, failures, retries and stops: each item one outcome, each release once.
#include "support.h"

enum { n = 100000, attempts = 3 };

// Item i: fails at first if i % 7 == 3, fails always if i % 11 == 5, else succeeds.
static int32_t mixed(void* ctx, void* item, void** value, pa_call* call) {
  ledger* l = ctx;
  const uint64_t i = number_of(item);
  ledger_call(l, item);
  CHECK_EQ(pa_call_index(call), i);
  CHECK_EQ(LOAD(l->calls[i]), pa_call_attempt(call));
  ledger_store(l, item, value);
  if (i % 11 == 5) return pa_call_fail(call, 5, "always");
  if (i % 7 == 3 && pa_call_attempt(call) == 1) return pa_call_fail(call, 3, "at first");
  return 0;
}

static int32_t mixed_batch(void* ctx, void* const* items, size_t count, void** values, pa_call* call) {
  ledger* l = ctx;
  for (size_t at = 0; at < count; at++) {
    const uint64_t i = number_of(items[at]);
    ledger_call(l, items[at]);
    ledger_store(l, items[at], &values[at]);
    if (i % 11 == 5)
      pa_call_fail_at(call, at, 5, "always");
    else if (i % 7 == 3 && pa_call_attempt(call) == 1)
      pa_call_fail_at(call, at, 3, "at first");
  }
  return 0;
}

static void check_each(const ledger* l, const pa_result* result) {
  for (uint64_t i = 0; i < n; i++) {
    const pa_outcome outcome = outcome_at(result, i);
    const uint32_t calls = l->calls[i];
    if (!CHECK_EQ(outcome.index, i)) return;
    if (!CHECK_EQ(outcome.attempts, calls)) return;
    if (!CHECK_LE(calls, attempts)) return;
    const int succeeds = i % 11 != 5 && (i % 7 != 3 || calls > 1) && calls > 0;
    const int fails = i % 11 == 5 && calls == attempts;
    if (succeeds && !CHECK_EQ(outcome.state, PA_ITEM_OK)) return;
    if (fails && !CHECK_EQ(outcome.state, PA_ITEM_FAILED)) return;
    if (!succeeds && !fails && !CHECK(outcome.state >= PA_ITEM_TIMED_OUT && outcome.state <= PA_ITEM_CANCELLED)) return;
    if (!CHECK((outcome.value != NULL) == succeeds)) return;
    if (!CHECK_EQ(l->items_released[i], 1)) return;
    if (!CHECK_EQ(l->values_released[i], calls - (succeeds ? 1 : 0))) return;
  }
}

static pa_options hard_options(ledger* l, uint32_t workers) {
  ledger_init(l, n);
  pa_options options = defaults();
  options.workers = workers;
  options.retry.attempts = attempts;
  options.retry.backoff_ns = 20 * MICROSECONDS;
  ledger_watch(l, &options);
  return options;
}

static void finish(ledger* l, pa_result* result) {
  check_each(l, result);
  CHECK_EQ(l->quiescent, 1);
  pa_result_free(result);
  ledger_check_released(l, 1);
  ledger_free(l);
}

TEST(a_run_to_the_end_runs_each_item_as_often_as_it_should) {
  const uint32_t crews[] = {1, 4, 32};
  void** items = numbered(n);
  for (int i = 0; i < 3; i++) {
    ledger l;
    const pa_options options = hard_options(&l, crews[i]);
    pa_result* result = NULL;
    pa_error error;
    REQUIRE_STATUS(pa_map(mixed, &l, items, n, &options, &result, &error), PA_STATUS_OK, &error);
    CHECK_EQ(pa_result_end(result), PA_END_COMPLETED);
    for (uint64_t at = 0; at < n; at++)
      if (!CHECK_EQ(l.calls[at], at % 11 == 5 ? 3 : at % 7 == 3 ? 2 : 1)) break;
    finish(&l, result);
  }
  free(items);
}

TEST(batches_run_each_item_as_often_as_they_should) {
  void** items = numbered(n);
  ledger l;
  pa_options options = hard_options(&l, 4);
  options.batch.max_items = 64;
  pa_result* result = NULL;
  pa_error error;
  REQUIRE_STATUS(pa_map_batch(mixed_batch, &l, items, n, &options, &result, &error), PA_STATUS_OK, &error);
  CHECK_EQ(pa_result_end(result), PA_END_COMPLETED);
  finish(&l, result);
  free(items);
}

TEST(a_source_runs_each_item_as_often_as_it_should) {
  ledger l;
  pa_options options = hard_options(&l, 4);
  options.release_item = NULL;
  numbers from = {n, 1000, 0, 0, 0, 0, 0, &l};
  const pa_source source = numbers_source(&from);
  pa_result* result = NULL;
  pa_error error;
  REQUIRE_STATUS(pa_map_source(mixed, &l, &source, &options, &result, &error), PA_STATUS_OK, &error);
  CHECK_EQ(pa_result_end(result), PA_END_COMPLETED);
  CHECK_EQ(pa_result_count(result), n);
  finish(&l, result);
}

typedef struct stopper {
  pa_stop* stop;
  ledger* l;
  uint64_t at;
} stopper;

static int32_t mixed_until_stop(void* ctx, void* item, void** value, pa_call* call) {
  stopper* s = ctx;
  if (number_of(item) == s->at) pa_stop_request(s->stop);
  return mixed(s->l, item, value, call);
}

TEST(a_run_that_is_stopped_gives_each_item_one_outcome) {
  const uint64_t where[] = {0, 10, 5000, n / 2, n - 1};
  void** items = numbered(n);
  for (int i = 0; i < 5; i++) {
    ledger l;
    pa_options options = hard_options(&l, 8);
    stopper s = {NULL, &l, where[i]};
    REQUIRE(pa_stop_new(&s.stop, NULL) == PA_STATUS_OK);
    options.stop = s.stop;
    pa_result* result = NULL;
    pa_error error;
    REQUIRE_STATUS(pa_map(mixed_until_stop, &s, items, n, &options, &result, &error), PA_STATUS_OK, &error);
    CHECK_EQ(pa_result_end(result), PA_END_CANCELLED);
    finish(&l, result);
    pa_stop_release(s.stop);
  }
  free(items);
}

TEST(a_run_that_is_aborted_gives_each_item_one_outcome) {
  const uint64_t limits[] = {1, 100, 3000};
  void** items = numbered(n);
  for (int i = 0; i < 3; i++) {
    ledger l;
    pa_options options = hard_options(&l, 8);
    options.max_errors = limits[i];
    pa_result* result = NULL;
    pa_error error;
    REQUIRE_STATUS(pa_map(mixed, &l, items, n, &options, &result, &error), PA_STATUS_OK, &error);
    CHECK_EQ(pa_result_end(result), PA_END_ABORTED);
    finish(&l, result);
  }
  free(items);
}

TEST(a_run_that_times_out_gives_each_item_one_outcome) {
  void** items = numbered(n);
  for (int64_t timeout_ns = 10 * MICROSECONDS; timeout_ns < 20 * MILLISECONDS; timeout_ns *= 3) {
    ledger l;
    pa_options options = hard_options(&l, 8);
    options.timeout_ns = timeout_ns;
    pa_result* result = NULL;
    pa_error error;
    REQUIRE_STATUS(pa_map(mixed, &l, items, n, &options, &result, &error), PA_STATUS_OK, &error);
    CHECK(pa_result_end(result) == PA_END_TIMED_OUT || pa_result_end(result) == PA_END_COMPLETED);
    finish(&l, result);
  }
  free(items);
}

// Detached: a call that was left behind may end after its item was given its outcome, and never changes it.
TEST(a_detached_run_that_is_stopped_gives_each_item_one_outcome_and_each_release) {
  void** items = numbered(n);
  for (int round = 0; round < 10; round++) {
    ledger l;
    pa_options options = hard_options(&l, 4);
    stopper s = {NULL, &l, 2000 * (uint64_t)round};
    REQUIRE(pa_stop_new(&s.stop, NULL) == PA_STATUS_OK);
    options.stop = s.stop;
    options.detach = 1;
    pa_result* result = NULL;
    pa_error error;
    REQUIRE_STATUS(pa_map(mixed_until_stop, &s, items, n, &options, &result, &error), PA_STATUS_OK, &error);
    CHECK_EQ(pa_result_end(result), PA_END_CANCELLED);
    uint64_t done = count_state(result, PA_ITEM_OK) + count_state(result, PA_ITEM_FAILED);
    CHECK_STATUS(pa_drain(-1, NULL), PA_STATUS_OK, NULL);
    CHECK_EQ(count_state(result, PA_ITEM_OK) + count_state(result, PA_ITEM_FAILED), done);
    CHECK_EQ(l.quiescent, 1);
    for (uint64_t i = 0; i < n; i++)
      if (!CHECK_EQ(outcome_at(result, i).attempts, l.calls[i])) break;
    pa_result_free(result);
    ledger_check_released(&l, 1);
    ledger_free(&l);
    pa_stop_release(s.stop);
  }
  free(items);
}
