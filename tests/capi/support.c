#include "support.h"

void wait_until_stopped(const pa_call* call) { WAIT_UNTIL(pa_call_stopped(call)); }

void** numbered(uint64_t n) {
  void** items = malloc((n ? n : 1) * sizeof *items);
  if (!items) abort();
  for (uint64_t i = 0; i < n; i++) items[i] = (void*)(uintptr_t)(i + 1);
  return items;
}

uint64_t number_of(const void* item) { return (uint64_t)(uintptr_t)item - 1; }

int32_t return_0(void* ctx, void* item, void** value, pa_call* call) {
  (void)ctx, (void)item, (void)value, (void)call;
  return 0;
}

int32_t echo(void* ctx, void* item, void** value, pa_call* call) {
  (void)ctx, (void)call;
  *value = item;
  return 0;
}

int32_t fail_with_7(void* ctx, void* item, void** value, pa_call* call) {
  (void)ctx, (void)item, (void)value;
  return pa_call_fail(call, 7, "seven");
}

int32_t count_calls(void* ctx, void* item, void** value, pa_call* call) {
  (void)item, (void)value, (void)call;
  COUNT_UP(*(uint32_t*)ctx);
  return 0;
}

pa_options defaults(void) {
  pa_options options;
  pa_options_init(&options, sizeof options);
  return options;
}

pa_outcome outcome_at(const pa_result* result, uint64_t index) {
  pa_outcome outcome;
  pa_error error;
  memset(&outcome, 0xff, sizeof outcome);
  CHECK_STATUS(pa_result_at(result, index, &outcome, &error), PA_STATUS_OK, &error);
  return outcome;
}

uint64_t count_state(const pa_result* result, int32_t state) {
  uint64_t count = 0;
  for (uint64_t i = 0; i < pa_result_count(result); i++) count += outcome_at(result, i).state == state;
  return count;
}

void check_result(const pa_result* result) {
  const int32_t end = pa_result_end(result);
  uint64_t failed = 0;
  CHECK(end >= PA_END_COMPLETED && end <= PA_END_FAILED);
  for (uint64_t i = 0; i < pa_result_count(result); i++) {
    const pa_outcome outcome = outcome_at(result, i);
    failed += outcome.state != PA_ITEM_OK;
    CHECK_EQ(outcome.index, i);
    CHECK(outcome.message != NULL);
    CHECK(outcome.value == pa_result_value(result, i));
    CHECK_EQ(outcome.reserved0, 0);
    CHECK_EQ(outcome.reserved[0] | outcome.reserved[1] | outcome.reserved[2] | outcome.reserved[3], 0);
    CHECK_EQ(outcome.key.reserved, 0);
    CHECK(outcome.duration_ns >= 0);
    if (outcome.attempts == 0) CHECK_EQ(outcome.duration_ns, 0);
    switch (outcome.state) {
      case PA_ITEM_OK:
        CHECK_EQ(outcome.code, 0);
        CHECK_STR(outcome.message, "");
        CHECK(outcome.attempts >= 1);
        break;
      case PA_ITEM_FAILED:
        CHECK(outcome.code != 0);
        CHECK(outcome.attempts >= 1);
        break;
      case PA_ITEM_TIMED_OUT:
        CHECK(end == PA_END_TIMED_OUT || outcome.attempts >= 1);
        break;
      case PA_ITEM_ABORTED:
        CHECK(end == PA_END_ABORTED || end == PA_END_FAILED);
        break;
      case PA_ITEM_CANCELLED:
        CHECK_EQ(end, PA_END_CANCELLED);
        break;
      case PA_ITEM_CRASHED:  // checked by those who cause it
        CHECK(outcome.code != 0);
        CHECK(outcome.attempts >= 1);
        break;
      default:
        CHECK(!"a state that no thread can bring about");
    }
    if (outcome.state != PA_ITEM_OK) {
      CHECK(outcome.value == NULL);
      CHECK(outcome.message && outcome.message[0] != 0);
    }
  }
  CHECK_EQ(pa_result_failed(result), failed);
  CHECK_EQ(pa_result_ok(result), end == PA_END_COMPLETED && failed == 0);
}

void ledger_init(ledger* l, uint64_t n) {
  memset(l, 0, sizeof *l);
  l->n = n;
  l->calls = calloc(4 * (n ? n : 1), sizeof *l->calls);
  if (!l->calls) abort();
  l->items_released = l->calls + n;
  l->values_stored = l->calls + 2 * n;
  l->values_released = l->calls + 3 * n;
}

void ledger_free(ledger* l) { free(l->calls); }

void ledger_call(ledger* l, const void* item) { COUNT_UP(l->calls[number_of(item)]); }

void ledger_store(ledger* l, const void* item, void** value) {
  CHECK(*value == NULL);
  COUNT_UP(l->values_stored[number_of(item)]);
  *value = (void*)((uintptr_t)item + l->n);
}

void ledger_release_item(void* ctx, void* item) {
  ledger* l = ctx;
  if (CHECK(number_of(item) < l->n)) COUNT_UP(l->items_released[number_of(item)]);
}

void ledger_release_value(void* ctx, void* value) {
  ledger* l = ctx;
  const uint64_t number = number_of(value) - l->n;
  if (CHECK(number < l->n)) COUNT_UP(l->values_released[number]);
}

void ledger_quiescent(void* ctx) { COUNT_UP(((ledger*)ctx)->quiescent); }

void ledger_watch(ledger* l, pa_options* options) {
  options->release_item = ledger_release_item;
  options->release_value = ledger_release_value;
  options->release_ctx = l;
  options->on_quiescent = ledger_quiescent;
  options->quiescent_ctx = l;
}

uint64_t ledger_total(const uint32_t* counts, uint64_t n) {
  uint64_t total = 0;
  for (uint64_t i = 0; i < n; i++) total += LOAD(counts[i]);
  return total;
}

void ledger_check_released(const ledger* l, uint32_t times) {
  for (uint64_t i = 0; i < l->n; i++) {
    if (!CHECK_EQ(LOAD(l->items_released[i]), times)) return;
    if (!CHECK_EQ(LOAD(l->values_released[i]), LOAD(l->values_stored[i]))) return;
  }
}

int32_t numbers_next(void* ctx, void** items, size_t max, size_t* got) {
  numbers* from = ctx;
  CHECK_EQ(COUNT_UP(from->busy), 1);
  CHECK(max >= 1);
  COUNT_UP(from->pulls);
  uint64_t count = from->n - from->delivered;
  if (count > max) count = max;
  if (from->at_a_time && count > from->at_a_time) count = from->at_a_time;
  for (uint64_t i = 0; i < count; i++) items[i] = (void*)(uintptr_t)(from->delivered + i + 1);
  STORE(from->delivered, from->delivered + count);
  *got = (size_t)count;
  COUNT_DOWN(from->busy);
  return 0;
}

void numbers_release_item(void* ctx, void* item) {
  numbers* from = ctx;
  COUNT_UP(from->items_released);
  if (from->ledger) ledger_release_item(from->ledger, item);
}

void numbers_release(void* ctx) {
  numbers* from = ctx;
  COUNT_UP(from->released);
}

pa_source numbers_source(numbers* from) {
  pa_source source;
  pa_source_init(&source, sizeof source);
  source.next = numbers_next;
  source.ctx = from;
  source.release_item = numbers_release_item;
  source.release = numbers_release;
  return source;
}
