// Allocation torture: every allocation of the library fails in turn, once alone and once with all that follow. Each time
// the call succeeds or says PA_STATUS_NO_MEMORY, nothing is leaked, no item is run twice, and everything is released once.
#include "allocations.h"
#include "support.h"

enum { n = 40, attempts = 2 };

typedef struct trial {
  ledger l;
  numbers from;
  pa_options options;
  pa_result* result;
  pa_error error;
  uint32_t reported[n];
  int with_source;
} trial;

static void** items;

static uint32_t calls_due(uint64_t i) { return i % 5 == 1 ? 2 : i % 5 == 2 ? attempts : 1; }

// Of five items, one succeeds at its second attempt, one never, three at once.
static int32_t answer(uint64_t i, uint32_t attempt) {
  return i % 5 == 2 || (i % 5 == 1 && attempt == 1) ? 50 + (int32_t)i : 0;
}

static const char* explain(uint64_t i, char* text, size_t size) {
  snprintf(text, size, "item %d failed, as %s", (int)i, "a long message says, which no small buffer inside a string holds");
  return text;
}

static int32_t run_item(void* ctx, void* item, void** value, pa_call* call) {
  trial* t = ctx;
  const uint64_t i = number_of(item);
  char text[200];
  ledger_call(&t->l, item);
  ledger_store(&t->l, item, value);
  const int32_t code = answer(i, pa_call_attempt(call));
  return code ? pa_call_fail(call, code, explain(i, text, sizeof text)) : 0;
}

static int32_t run_batch(void* ctx, void* const* of, size_t count, void** values, pa_call* call) {
  trial* t = ctx;
  char text[200];
  for (size_t at = 0; at < count; at++) {
    const uint64_t i = number_of(of[at]);
    ledger_call(&t->l, of[at]);
    ledger_store(&t->l, of[at], &values[at]);
    const int32_t code = answer(i, pa_call_attempt(call));
    if (code) pa_call_fail_at(call, at, code, explain(i, text, sizeof text));
  }
  return 0;
}

static int32_t run_range(void* ctx, uint64_t first, uint64_t count, pa_call* call) {
  trial* t = ctx;
  char text[200];
  for (uint64_t i = first; i < first + count; i++) {
    ledger_call(&t->l, items[i]);
    const int32_t code = answer(i, pa_call_attempt(call));
    if (code) pa_call_fail_at(call, (size_t)(i - first), code, explain(i, text, sizeof text));
  }
  return 0;
}

static int32_t give_name(void* ctx, void* item, pa_key* key) {
  static char name[100];  // one call at a time
  (void)ctx;
  snprintf(name, sizeof name, "key %d, which is longer than what a small string holds", (int)number_of(item));
  key->kind = PA_KEY_STRING;
  key->data = name;
  key->size = strlen(name);
  return 0;
}

static int32_t note_report(void* ctx, const pa_outcome* outcome) {
  COUNT_UP(((trial*)ctx)->reported[outcome->index]);
  return 0;
}

// ---- the calls that are tortured; each returns what it says of the run

static pa_status plain(trial* t) { return pa_map(run_item, t, items, n, &t->options, &t->result, &t->error); }

static pa_status with_everything(trial* t) {
  t->options.item_key = give_name;
  t->options.on_result = note_report;
  t->options.result_ctx = t;
  t->options.window = 8;
  t->options.timeout_ns = HOURS;
  t->options.item_timeout_ns = HOURS;
  t->options.rate.count = 1e6;
  t->options.rate.burst = 10;
  return plain(t);
}

static pa_status detachable(trial* t) {
  t->options.detach = 1;
  return plain(t);
}

static pa_status on_the_caller(trial* t) {
  t->options.executor = PA_EXECUTOR_INLINE;
  return plain(t);
}

static pa_status in_batches(trial* t) {
  t->options.batch.max_items = 7;
  return pa_map_batch(run_batch, t, items, n, &t->options, &t->result, &t->error);
}

static pa_status over_a_range(trial* t) {
  t->options.release_item = NULL;
  t->with_source = -1;  // neither items nor a source
  return pa_map_range(run_range, t, n, &t->options, &t->result, &t->error);
}

static pa_source source_of(trial* t) {
  t->with_source = 1;
  t->options.release_item = NULL;
  return numbers_source(&t->from);
}

static pa_status from_a_source(trial* t) {
  const pa_source source = source_of(t);
  t->options.item_key = give_name;
  return pa_map_source(run_item, t, &source, &t->options, &t->result, &t->error);
}

static pa_status batches_from_a_source(trial* t) {
  const pa_source source = source_of(t);
  t->options.batch.max_items = 5;
  t->options.batch.linger_ns = MILLISECONDS;
  return pa_map_batch_source(run_batch, t, &source, &t->options, &t->result, &t->error);
}

static pa_status in_the_background(trial* t) {
  pa_pending* pending = NULL;
  t->options.on_result = note_report;
  t->options.result_ctx = t;
  pa_status status = pa_map_start(run_item, t, items, n, &t->options, &pending, &t->error);
  if (status != PA_STATUS_OK) {
    CHECK(pending == NULL);
    return status;
  }
  while ((status = pa_pending_wait(pending, -1, &t->error)) == PA_STATUS_NO_MEMORY) continue;
  CHECK_STATUS(status, PA_STATUS_OK, &t->error);
  while ((status = pa_pending_take(pending, &t->result, &t->error)) == PA_STATUS_NO_MEMORY && !t->result) continue;
  pa_pending_free(pending);
  return status;
}

static pa_status with_limiter_and_stop(trial* t) {
  const pa_rate rate = {1e6, SECONDS, 10};
  pa_status status = pa_limiter_new(&rate, &t->options.limiter, &t->error);
  if (status == PA_STATUS_OK) status = pa_stop_new(&t->options.stop, &t->error);
  if (status == PA_STATUS_OK) status = plain(t);
  pa_limiter_release(t->options.limiter);
  pa_stop_release(t->options.stop);
  return status;
}

// ---- what must hold

static void check_run(trial* t, pa_status status) {
  const pa_result* result = t->result;
  check_result(result);
  CHECK_EQ(pa_result_end(result), status == PA_STATUS_OK ? PA_END_COMPLETED : PA_END_FAILED);
  if (t->with_source <= 0 || status == PA_STATUS_OK) CHECK_EQ(pa_result_count(result), n);
  for (uint64_t i = 0; i < pa_result_count(result); i++) {
    const pa_outcome outcome = outcome_at(result, i);
    if (status == PA_STATUS_OK) CHECK_EQ(outcome.attempts, t->l.calls[i]);  // without memory, no receipt
    CHECK_LE(outcome.attempts, t->l.calls[i]);
    CHECK_LE(t->l.calls[i], calls_due(i));
    CHECK_LE(t->reported[i], 1);
    if (outcome.state == PA_ITEM_OK) CHECK_EQ(answer(i, t->l.calls[i]), 0);
    if (outcome.state == PA_ITEM_FAILED) CHECK_EQ(outcome.code, 50 + (int32_t)i);
    if (status == PA_STATUS_OK) CHECK_EQ(outcome.state, i % 5 == 2 ? PA_ITEM_FAILED : PA_ITEM_OK);
    if (status == PA_STATUS_OK) CHECK_EQ(t->l.calls[i], calls_due(i));
  }
}

static void check_trial(trial* t, pa_status status) {
  CHECK_STATUS(pa_drain(-1, NULL), PA_STATUS_OK, NULL);  // what was detached has ended
  CHECK(status == PA_STATUS_OK || status == PA_STATUS_NO_MEMORY);
  if (status != PA_STATUS_OK) CHECK_EQ(t->error.status, status);
  if (status != PA_STATUS_OK) CHECK(t->error.message[0] != 0);
  if (t->result) {
    check_run(t, status);
  } else {
    CHECK_EQ(status, PA_STATUS_NO_MEMORY);
    CHECK_EQ(ledger_total(t->l.calls, n), 0);
    CHECK_EQ(t->from.pulls, 0);
  }
  const int ran = t->result != NULL;
  pa_result_free(t->result);
  CHECK_STATUS(pa_drain(-1, NULL), PA_STATUS_OK, NULL);  // gives back what was kept of the result
  CHECK_EQ(t->l.quiescent, ran);
  if (t->with_source == 0) ledger_check_released(&t->l, ran);
  for (uint64_t i = 0; i < n; i++) CHECK_EQ(t->l.values_released[i], t->l.values_stored[i]);
  if (t->with_source == 1) {
    CHECK_EQ(t->from.released, ran);
    CHECK_EQ(t->from.items_released, t->from.delivered);
    for (uint64_t i = 0; i < n; i++) CHECK_EQ(t->l.items_released[i], i < t->from.delivered);
  }
}

// Returns whether an allocation was failed.
static uint64_t try_once(pa_status (*call)(trial*), uint64_t which, int how) {
  static trial t;
  memset(&t, 0, sizeof t);
  ledger_init(&t.l, n);
  t.from.n = n;
  t.from.at_a_time = 3;
  t.from.ledger = &t.l;
  t.options = defaults();
  t.options.workers = 3;
  t.options.retry.attempts = attempts;
  t.options.retry.backoff_ns = 0;
  ledger_watch(&t.l, &t.options);
  allocations_fail(which, how);
  const pa_status status = call(&t);
  const uint64_t failed = allocations_stop();
  check_trial(&t, status);
  ledger_free(&t.l);
  return failed;
}

static void torture(pa_status (*call)(trial*)) {
  int failures = check_failures();
  static int watching;
  if (!watching++) allocations_watch();
  items = numbered(n);
  try_once(call, 0, fail_once);  // nothing fails: what stays allocated after this is no leak
  const uint64_t held = allocations_held();
  for (int how = fail_once; how <= fail_from_then_on; how++) {
    uint64_t which = 1;
    for (int shown = 0; try_once(call, which, how) && shown < 5; which++) {
      CHECK_LE(allocations_held(), held);
      if (check_failures() == failures) continue;
      fprintf(stderr, "  with allocation %d failing%s\n", (int)which, how == fail_once ? "" : ", and all after it");
      failures = check_failures();
      shown++;
    }
    CHECK(which > 1);  // there was something to fail
  }
  free(items);
}

TEST(map_survives_each_failed_allocation) { torture(plain); }
TEST(map_with_keys_reports_and_limits_survives_each_failed_allocation) { torture(with_everything); }
TEST(a_detachable_map_survives_each_failed_allocation) { torture(detachable); }
TEST(an_inline_map_survives_each_failed_allocation) { torture(on_the_caller); }
TEST(map_batch_survives_each_failed_allocation) { torture(in_batches); }
TEST(map_range_survives_each_failed_allocation) { torture(over_a_range); }
TEST(map_source_survives_each_failed_allocation) { torture(from_a_source); }
TEST(map_batch_source_survives_each_failed_allocation) { torture(batches_from_a_source); }
TEST(map_start_survives_each_failed_allocation) { torture(in_the_background); }
TEST(limiters_and_stop_tokens_survive_each_failed_allocation) { torture(with_limiter_and_stop); }
