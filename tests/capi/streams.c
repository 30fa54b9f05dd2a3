#include "streams.h"

static void release_item_of_stream(void* ctx, void* item) { numbers_release_item(&((stream*)ctx)->from, item); }

static void release_stream(void* ctx) { numbers_release(&((stream*)ctx)->from); }

void stream_init(stream* s, uint64_t n, uint64_t at_a_time) {
  memset(s, 0, sizeof *s);
  ledger_init(&s->l, n == UINT64_MAX ? ENDLESS : n);
  s->given = calloc(s->l.n + 1, sizeof *s->given);
  if (!s->given) abort();
  s->from.n = n;
  s->from.at_a_time = at_a_time;
  s->from.ledger = &s->l;
  pa_source_init(&s->source, sizeof s->source);
  s->source.next = stream_pull;
  s->source.ctx = s;
  s->source.release_item = release_item_of_stream;
  s->source.release = release_stream;
  s->options = defaults();
  ledger_watch(&s->l, &s->options);
  s->options.release_item = NULL;
}

void stream_open(stream* s, pa_fn fn) {
  if (!CHECK_STATUS(pa_iter_open(fn, s, &s->source, &s->options, &s->iter, &s->error), PA_STATUS_OK, &s->error)) abort();
}

void stream_open_batch(stream* s, pa_batch_fn fn) {
  if (!CHECK_STATUS(pa_iter_open_batch(fn, s, &s->source, &s->options, &s->iter, &s->error), PA_STATUS_OK, &s->error))
    abort();
}

void stream_note(stream* s, const pa_outcome* outcome) {
  if (!CHECK(outcome->index < s->l.n)) return;
  CHECK_EQ(COUNT_UP(s->given[outcome->index]), 1);
  if (s->options.ordered && s->count) CHECK(outcome->index > s->outcome.index);
  CHECK(outcome->attempts >= 1);
  CHECK(outcome->duration_ns >= 0);
  CHECK_EQ(outcome->reserved0, 0);
  CHECK_EQ(outcome->reserved[0] | outcome->reserved[1] | outcome->reserved[2] | outcome->reserved[3], 0);
  s->outcome = *outcome;
  COUNT_UP(s->count);
  if (outcome->state == PA_ITEM_OK) {
    CHECK_EQ(outcome->code, 0);
    CHECK_STR(outcome->message, "");
    if (outcome->value) ledger_release_value(&s->l, outcome->value);  // it belongs to the consumer, who is done with it
    return;
  }
  s->failed++;
  // It was done; but what a batch function said of it may have been lost for lack of memory.
  CHECK(outcome->state == PA_ITEM_FAILED || outcome->state == PA_ITEM_TIMED_OUT ||
        (outcome->state == PA_ITEM_ABORTED && s->options.batch.max_items));
  CHECK(outcome->value == NULL);
  CHECK(outcome->message && outcome->message[0] != 0);
}

pa_status stream_next(stream* s) { return stream_next_timeout(s, -1); }

pa_status stream_next_timeout(stream* s, int64_t timeout_ns) {
  pa_outcome outcome;
  STORE(s->came_back, s->count);
  CHECK_EQ(pa_iter_end(s->iter), PA_END_NONE);
  const pa_status status = timeout_ns < 0 ? pa_iter_next(s->iter, &outcome, &s->error)
                                          : pa_iter_next_timeout(s->iter, timeout_ns, &outcome, &s->error);
  if (status == PA_STATUS_OK) stream_note(s, &outcome);
  return status;
}

pa_status stream_read(stream* s) {
  pa_status status;
  while ((status = stream_next(s)) == PA_STATUS_OK) continue;
  return status;
}

void stream_read_to(stream* s, pa_status status, int32_t end) {
  CHECK_STATUS(stream_read(s), status, &s->error);
  CHECK_EQ(pa_iter_end(s->iter), end);
  for (int again = 0; again < 2; again++) {  // it stays so
    pa_outcome outcome;
    CHECK_STATUS(pa_iter_next(s->iter, &outcome, &s->error), status, &s->error);
    CHECK_STATUS(pa_iter_next_timeout(s->iter, 0, &outcome, &s->error), status, &s->error);
  }
}

void stream_close(stream* s) {
  pa_iter_close(s->iter);
  if (s->options.detach) WAIT_UNTIL(LOAD(s->l.quiescent));
  stream_check_released(s);
  if (s->options.detach) CHECK_STATUS(pa_drain(-1, NULL), PA_STATUS_OK, NULL);
  stream_free(s);
}

void stream_check_released(stream* s) {
  STORE(s->closed, 1);
  CHECK_EQ(LOAD(s->l.quiescent), 1);
  CHECK_EQ(LOAD(s->from.released), 1);
  CHECK_EQ(LOAD(s->from.items_released), s->from.delivered);
  for (uint64_t i = 0; i < s->l.n; i++) {
    if (!CHECK_EQ(LOAD(s->l.items_released[i]), i < s->from.delivered ? 1 : 0)) break;
    if (!CHECK_EQ(LOAD(s->l.values_released[i]), LOAD(s->l.values_stored[i]))) break;
  }
}

void stream_free(stream* s) {
  ledger_free(&s->l);
  free(s->given);
}

int32_t stream_pull(void* ctx, void** items, size_t max, size_t* got) {
  stream* s = ctx;
  CHECK_EQ(LOAD(s->closed), 0);
  const uint64_t ahead = s->from.delivered + max - LOAD(s->came_back);
  if (s->most_ahead < ahead) s->most_ahead = ahead;
  return numbers_next(&s->from, items, max, got);
}

int32_t store(void* ctx, void* item, void** value, pa_call* call) {
  stream* s = ctx;
  CHECK_EQ(pa_call_index(call), number_of(item));
  ledger_call(&s->l, item);
  ledger_store(&s->l, item, value);
  return 0;
}

int32_t store_and_fail_tenths(void* ctx, void* item, void** value, pa_call* call) {
  store(ctx, item, value, call);
  return number_of(item) % 10 == 9 ? pa_call_fail(call, 9, "a tenth") : 0;
}

int32_t store_and_fail(void* ctx, void* item, void** value, pa_call* call) {
  store(ctx, item, value, call);
  return pa_call_fail(call, 7, "seven");
}

int32_t store_batch(void* ctx, void* const* items, size_t count, void** values, pa_call* call) {
  stream* s = ctx;
  CHECK_EQ(pa_call_index(call), number_of(items[0]));
  for (size_t i = 0; i < count; i++) {
    CHECK_EQ(number_of(items[i]), number_of(items[0]) + i);
    ledger_call(&s->l, items[i]);
    ledger_store(&s->l, items[i], &values[i]);
  }
  return 0;
}
