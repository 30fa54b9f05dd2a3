// Streams and memory: what they hold does not grow with the number of items, and each allocation of the library may fail, once
// alone and once with all that follow: nothing is leaked, no item is run twice, everything is released once.
#include "allocations.h"
#include "streams.h"

static void watch(void) {
  static int watching;
  if (!watching++) allocations_watch();
}

// ---- constant memory

static int32_t fails_at_first(void* ctx, void* item, void** value, pa_call* call) {
  (void)ctx;
  *value = item;
  return pa_call_attempt(call) == 1 ? pa_call_fail(call, 1, "at first") : 0;
}

static int32_t name(void* ctx, void* item, pa_key* key) {
  (void)ctx;
  key->kind = PA_KEY_STRING;
  key->data = "a name that is longer than what a small string holds";
  key->size = strlen(key->data);
  key->number = (int64_t)number_of(item);
  return 0;
}

static uint64_t most_held(pa_fn fn, uint64_t n, uint32_t ordered) {
  numbers from = {n, 0, 0, 0, 0, 0, 0, NULL};
  const pa_source source = numbers_source(&from);
  pa_options options = defaults();
  options.ordered = ordered;
  options.workers = 2;
  options.window = 100;
  options.item_key = name;
  options.retry.attempts = 2;
  options.retry.backoff_ns = 0;
  pa_iter* iter;
  pa_error error;
  CHECK_STATUS(pa_iter_open(fn, NULL, &source, &options, &iter, &error), PA_STATUS_OK, &error);
  pa_outcome outcome;
  uint64_t most = 0;
  for (uint64_t count = 0; pa_iter_next(iter, &outcome, &error) == PA_STATUS_OK; count++) {
    const uint64_t held = count % 64 ? 0 : allocations_held();
    if (held > most) most = held;
  }
  pa_iter_close(iter);
  CHECK_EQ(from.items_released, n);
  return most;
}

TEST(what_a_stream_holds_does_not_grow_with_its_items) {
  const pa_fn fns[] = {echo, fail_with_7, fails_at_first};
  watch();
  for (int i = 0; i < 3; i++)
    for (uint32_t ordered = 0; ordered <= 1; ordered++) CHECK_LE(most_held(fns[i], 100000, ordered), 20000);
}

// ---- no memory

enum { n = 40, attempts = 2 };

static uint32_t calls_due(uint64_t i) { return i % 5 == 1 ? 2 : i % 5 == 2 ? attempts : 1; }

// Of five items, one succeeds at its second attempt, one never, three at once.
static int32_t answer(uint64_t i, uint32_t attempt) {
  return i % 5 == 2 || (i % 5 == 1 && attempt == 1) ? 50 + (int32_t)i : 0;
}

static const char long_message[] = "a long message, which no small buffer inside a string holds";

static int32_t run_item(void* ctx, void* item, void** value, pa_call* call) {
  store(ctx, item, value, call);
  const int32_t code = answer(number_of(item), pa_call_attempt(call));
  return code ? pa_call_fail(call, code, long_message) : 0;
}

static int32_t run_batch(void* ctx, void* const* items, size_t count, void** values, pa_call* call) {
  store_batch(ctx, items, count, values, call);
  for (size_t i = 0; i < count; i++) {
    const int32_t code = answer(number_of(items[i]), pa_call_attempt(call));
    if (code) pa_call_fail_at(call, i, code, long_message);
  }
  return 0;
}

static int32_t no_progress(void* ctx, uint64_t done, uint64_t total) {
  (void)ctx, (void)done, (void)total;
  return 0;
}

// ---- the streams that are tortured; each says whether there is one

static pa_status open_items(stream* s) { return pa_iter_open(run_item, s, &s->source, &s->options, &s->iter, &s->error); }

static pa_status plain(stream* s) { return open_items(s); }

static pa_status in_order(stream* s) {
  s->options.ordered = 1;
  s->options.window = 8;
  return open_items(s);
}

static pa_status with_everything(stream* s) {
  s->options.item_key = name;
  s->options.on_progress = no_progress;
  s->options.timeout_ns = HOURS;
  s->options.item_timeout_ns = HOURS;
  s->options.rate.count = 1e6;
  s->options.rate.burst = 10;
  return open_items(s);
}

static pa_status detachable(stream* s) {
  s->options.detach = 1;
  return open_items(s);
}

static pa_status on_the_consumer(stream* s) {
  s->options.executor = PA_EXECUTOR_INLINE;
  return open_items(s);
}

static pa_status in_batches(stream* s) {
  s->options.batch.max_items = 7;
  s->options.batch.linger_ns = MILLISECONDS;
  return pa_iter_open_batch(run_batch, s, &s->source, &s->options, &s->iter, &s->error);
}

static pa_status polled(stream* s) {
  const pa_status status = open_items(s);
  if (status == PA_STATUS_OK) CHECK(pa_iter_fd(s->iter, &s->error) >= 0);
  return status;
}

// ---- what must hold

static void check_outcome(const stream* s) {
  const uint64_t i = s->outcome.index;
  CHECK_LE(s->outcome.attempts, s->l.calls[i]);
  if (s->outcome.state == PA_ITEM_OK) CHECK_EQ(answer(i, s->l.calls[i]), 0);
}

// Returns whether an allocation was failed.
static uint64_t try_once(pa_status (*open)(stream*), uint64_t which, int how, uint64_t read) {
  stream s;
  stream_init(&s, n, 3);
  s.options.workers = 3;
  s.options.retry.attempts = attempts;
  s.options.retry.backoff_ns = 0;
  allocations_fail(which, how);
  pa_status status = open(&s);
  if (status != PA_STATUS_OK) {
    CHECK_EQ(status, PA_STATUS_NO_MEMORY);
    CHECK_EQ(s.error.status, status);
    CHECK(s.iter == NULL);
    CHECK_EQ(s.from.pulls, 0);
    CHECK_EQ(s.from.released, 0);
    CHECK_EQ(s.l.quiescent, 0);
  } else {
    while (s.count < read && (status = stream_next(&s)) == PA_STATUS_OK) check_outcome(&s);
    if (status != PA_STATUS_OK) {
      CHECK(status == PA_STATUS_DONE || status == PA_STATUS_NO_MEMORY);
      CHECK_EQ(pa_iter_end(s.iter), status == PA_STATUS_DONE ? PA_END_COMPLETED : PA_END_FAILED);
      if (status == PA_STATUS_NO_MEMORY) CHECK_EQ(s.error.status, status);
      if (status == PA_STATUS_DONE) CHECK_EQ(s.count, n);
    }
    pa_iter_close(s.iter);
  }
  const uint64_t failed = allocations_stop();
  CHECK_STATUS(pa_drain(-1, NULL), PA_STATUS_OK, NULL);
  if (s.iter) stream_check_released(&s);
  for (uint64_t i = 0; i < n; i++) CHECK_LE(s.l.calls[i], calls_due(i));
  if (status == PA_STATUS_DONE)
    for (uint64_t i = 0; i < n; i++) CHECK_EQ(s.l.calls[i], calls_due(i));
  stream_free(&s);
  return failed;
}

static void torture(pa_status (*open)(stream*)) {
  int failures = check_failures();
  watch();
  for (uint64_t read = 10; read <= 100; read += 90) {
    try_once(open, 0, fail_once, read);  // nothing fails: what stays allocated after this is no leak
    const uint64_t held = allocations_held();
    for (int how = fail_once; how <= fail_from_then_on; how++) {
      uint64_t which = 1;
      for (int shown = 0; try_once(open, which, how, read) && shown < 5; which++) {
        CHECK_LE(allocations_held(), held);
        if (check_failures() == failures) continue;
        fprintf(stderr, "  with allocation %d failing%s\n", (int)which, how == fail_once ? "" : ", and all after it");
        failures = check_failures();
        shown++;
      }
      CHECK(which > 1);  // there was something to fail
    }
  }
}

TEST(a_stream_survives_each_failed_allocation) { torture(plain); }
TEST(an_ordered_stream_survives_each_failed_allocation) { torture(in_order); }
TEST(a_stream_with_keys_reports_and_limits_survives_each_failed_allocation) { torture(with_everything); }
TEST(a_detachable_stream_survives_each_failed_allocation) { torture(detachable); }
TEST(an_inline_stream_survives_each_failed_allocation) { torture(on_the_consumer); }
TEST(a_stream_of_batches_survives_each_failed_allocation) { torture(in_batches); }
TEST(a_stream_with_a_descriptor_survives_each_failed_allocation) { torture(polled); }
