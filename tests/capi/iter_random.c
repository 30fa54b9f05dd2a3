// Streams with options, sources and consumers at random: whatever they are, no index is handed out twice, each is handed out when
// the stream completes, and everything is released exactly once. PA_TESTS_SEED=n runs one of them.
#include <poll.h>

#include "streams.h"

typedef struct trial {
  stream s;  // first: it is the ctx
  uint64_t seed, random;
  uint64_t fail_source_at, stop_at, fail_callback_at;  // UINT64_MAX: never
  uint64_t failing;                                    // one attempt in so many fails; 0: none
  uint64_t slow;                                       // one call in so many sleeps; 0: none
  uint32_t starts, stops;
  uint64_t reported;
  int status_seen[2];  // the source, a callback has failed
} trial;

static uint64_t mix(uint64_t x) {  // splitmix64
  x += 0x9E3779B97F4A7C15u;
  x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
  x = (x ^ x >> 27) * 0x94D049BB133111EBu;
  return x ^ x >> 31;
}

static uint64_t below(trial* t, uint64_t limit) { return (t->random = mix(t->random)) % limit; }

static int one_in(trial* t, uint64_t many) { return below(t, many) == 0; }

// Decided by the seed, not by the schedule.
static uint64_t fate(const trial* t, uint64_t index, uint64_t attempt) { return mix(t->seed ^ index << 8 ^ attempt); }

static int32_t answer(trial* t, uint64_t index, pa_call* call) {
  const uint64_t own = fate(t, index, pa_call_attempt(call));
  if (index == t->stop_at) pa_stop_request(t->s.options.stop);
  if (t->slow && own / 7 % t->slow == 0) nap();
  return t->failing && own % t->failing == 0 ? 1 + (int32_t)(own % 100) : 0;
}

static int32_t run_item(void* ctx, void* item, void** value, pa_call* call) {
  trial* t = ctx;
  store(&t->s, item, value, call);
  const int32_t code = answer(t, number_of(item), call);
  if (code % 3 == 1) pa_call_retry_after(call, 1000 * code);
  return code ? pa_call_fail(call, code, "by chance") : 0;
}

static int32_t run_batch(void* ctx, void* const* items, size_t count, void** values, pa_call* call) {
  trial* t = ctx;
  store_batch(&t->s, items, count, values, call);
  for (size_t i = 0; i < count; i++) {
    const int32_t code = answer(t, number_of(items[i]), call);
    if (code) pa_call_fail_at(call, i, code, "by chance");
  }
  return 0;
}

static int32_t pull(void* ctx, void** items, size_t max, size_t* got) {
  trial* t = ctx;
  if (t->slow && fate(t, t->s.from.delivered, 0) % t->slow == 0) nap();
  if (t->s.from.delivered >= t->fail_source_at) {
    STORE(t->status_seen[0], 1);
    return 5;
  }
  return stream_pull(&t->s, items, max, got);
}

static int32_t key_of(void* ctx, void* item, pa_key* key) {
  (void)ctx;
  key->kind = PA_KEY_INT;
  key->number = (int64_t)number_of(item);
  return 0;
}

static int32_t report(void* ctx, const pa_outcome* outcome) {
  trial* t = ctx;
  CHECK_EQ(t->s.given[outcome->index], 0);
  if (t->reported++ < t->fail_callback_at) return 0;
  t->status_seen[1] = 1;
  return 6;
}

static int32_t start_worker(void* ctx) {
  COUNT_UP(((trial*)ctx)->starts);
  return 0;
}

static void stop_worker(void* ctx) { COUNT_UP(((trial*)ctx)->stops); }

static void choose(trial* t) {
  const uint64_t windows[] = {0, 0, 0, 1, 2, 3, 10, 100};
  const uint64_t counts[] = {0, 1, 10, 500, 3000, UINT64_MAX};
  stream* s = &t->s;
  stream_init(s, counts[below(t, 6)], below(t, 2) * below(t, 20));
  s->source.next = pull;
  s->source.size_hint = one_in(t, 2) ? PA_UNSIZED : one_in(t, 2) && s->from.n <= 3000 ? s->from.n : below(t, 4000);
  pa_options* o = &s->options;
  o->executor = one_in(t, 6) ? PA_EXECUTOR_INLINE : PA_EXECUTOR_THREADS;
  o->workers = 1 + (uint32_t)below(t, 8);
  o->ordered = (uint32_t)below(t, 2);
  o->detach = one_in(t, 4);
  o->window = windows[below(t, 8)];
  if (one_in(t, 8)) o->batch_size = 1 + below(t, 50);
  o->retry.attempts = 1 + (uint32_t)below(t, 3);
  o->retry.backoff_ns = (int64_t)below(t, 100 * 1000);
  t->failing = one_in(t, 3) ? 0 : 2 + below(t, 50);
  t->slow = one_in(t, 2) ? 0 : 20 + below(t, 500);
  if (one_in(t, 4)) o->max_errors = 1 + below(t, 20);
  if (one_in(t, 4)) o->timeout_ns = (int64_t)below(t, 3 * 1000 * 1000);
  if (one_in(t, 6)) o->item_timeout_ns = 1 + (int64_t)below(t, 1000 * 1000);
  if (one_in(t, 6)) o->rate.count = 1e5 + (double)below(t, 1000000), o->rate.burst = 1 + below(t, 100);
  if (one_in(t, 4)) o->item_key = key_of;
  if (one_in(t, 4)) o->on_result = report, o->result_ctx = t;
  if (one_in(t, 4)) o->worker_start = start_worker, o->worker_stop = stop_worker, o->worker_ctx = t;
  t->fail_source_at = one_in(t, 6) ? below(t, 3000) : UINT64_MAX;
  t->fail_callback_at = one_in(t, 3) ? below(t, 3000) : UINT64_MAX;
  t->stop_at = UINT64_MAX;
  if (one_in(t, 4)) {
    if (pa_stop_new(&o->stop, NULL) != PA_STATUS_OK) abort();
    t->stop_at = below(t, 3000);
  }
}

static pa_status read_many(stream* s) {
  pa_outcome first;
  void** values;
  size_t count;
  STORE(s->came_back, s->count);
  const pa_status status = pa_iter_next_many(s->iter, &first, &values, &count, &s->error);
  for (size_t i = 0; status == PA_STATUS_OK && i < count; i++) {
    pa_outcome outcome = first;
    outcome.index += i;
    outcome.value = values[i];
    stream_note(s, &outcome);
  }
  return status;
}

static pa_status read_polled(stream* s) {
  const pa_status status = stream_next_timeout(s, 0);
  if (status != PA_STATUS_TIMEOUT || s->options.executor == PA_EXECUTOR_INLINE) return status;
  struct pollfd one = {pa_iter_fd(s->iter, NULL), POLLIN, 0};
  CHECK_EQ(poll(&one, 1, -1), 1);
  return PA_STATUS_TIMEOUT;
}

// Reads until the stream is over, or there are enough. Returns the last status.
static pa_status consume(trial* t, uint64_t enough) {
  stream* s = &t->s;
  const uint64_t manner = below(t, 6);
  const uint64_t stall = one_in(t, 3) ? 1 + below(t, 100) : 0;
  pa_status status = PA_STATUS_OK;
  while (s->count < enough && (status == PA_STATUS_OK || status == PA_STATUS_TIMEOUT)) {
    switch (manner == 5 ? below(t, 4) : manner) {
      case 0:
        status = read_many(s);
        break;
      case 1:
        status = read_polled(s);
        break;
      case 2:
        status = stream_next_timeout(s, (int64_t)below(t, 50 * 1000));
        break;
      default:
        status = stream_next(s);
    }
    if (stall && below(t, stall) == 0) nap();
    if (s->options.item_key && s->count) CHECK_EQ(s->outcome.key.number, s->outcome.index);
  }
  return status;
}

static void check_end(const trial* t, pa_status status) {
  const stream* s = &t->s;
  const int32_t end = pa_iter_end(s->iter);
  switch (end) {
    case PA_END_COMPLETED:
      CHECK_EQ(s->count, s->from.n);
      for (uint64_t i = 0; i < s->l.n; i++)
        if (!CHECK_EQ(s->given[i], 1)) break;
      break;
    case PA_END_ABORTED:
      CHECK_EQ(s->failed, s->options.max_errors);
      break;
    case PA_END_CANCELLED:
      CHECK(t->stop_at != UINT64_MAX);
      break;
    case PA_END_TIMED_OUT:
      CHECK(s->options.timeout_ns >= 0);
      break;
    default:
      CHECK_EQ(end, PA_END_FAILED);
      CHECK(status == PA_STATUS_SOURCE || status == PA_STATUS_CALLBACK);
      CHECK(t->status_seen[status == PA_STATUS_CALLBACK]);
      return;
  }
  CHECK_EQ(status, PA_STATUS_DONE);
}

static void try_seed(uint64_t seed) {
  const int failures = check_failures();
  static trial t;
  memset(&t, 0, sizeof t);
  t.seed = t.random = seed;
  choose(&t);
  stream* s = &t.s;
  const uint64_t limit = s->from.n == UINT64_MAX ? 5000 : UINT64_MAX;
  const uint64_t enough = one_in(&t, 3) ? below(&t, 3000) : limit;
  const int batch = one_in(&t, 3);
  if (batch && one_in(&t, 2)) {
    const uint64_t sizes[] = {1, 3, 100, 5000};
    uint64_t size = sizes[below(&t, 4)];
    if (s->options.window && size > s->options.window) size = s->options.window;
    if (s->options.batch_size && size > s->options.batch_size) size = s->options.batch_size;
    s->options.batch.max_items = size;
    s->options.batch.linger_ns = (int64_t)below(&t, 2) * 100 * MICROSECONDS;
  }
  if (batch)
    stream_open_batch(s, run_batch);
  else
    stream_open(s, run_item);
  const pa_status status = consume(&t, enough);
  if (status == PA_STATUS_OK || status == PA_STATUS_TIMEOUT)
    CHECK_EQ(pa_iter_end(s->iter), PA_END_NONE);
  else
    check_end(&t, status);
  if (s->options.window) CHECK_LE(s->most_ahead, s->options.window);
  for (uint64_t i = 0; i < s->l.n; i++) CHECK_LE(LOAD(s->l.calls[i]), s->options.retry.attempts);
  pa_stop* const stop = s->options.stop;
  stream_close(s);
  CHECK_EQ(t.starts, t.stops);
  pa_stop_release(stop);
  if (check_failures() != failures) fprintf(stderr, "  with PA_TESTS_SEED=%" PRIu64 "\n", seed);
}

TEST(whatever_the_options_nothing_is_lost_doubled_or_released_twice) {
  const char* const chosen = getenv("PA_TESTS_SEED");
  const int64_t enough = now_ns() + 2 * SECONDS;
  uint64_t seed = 1;
  if (chosen)
    try_seed(strtoull(chosen, NULL, 10));
  else
    while ((now_ns() < enough || seed <= 10) && seed < 100000) try_seed(seed++);
}
