// pa_job under random hosts, on one thread: options, order of calls, takers that come and go, stops and closes are drawn from a
// seed. The host wakes exactly as many as it is told to, so that a forgotten wake-up leaves everybody asleep, and is found.
#include "pull.h"

enum { hosts = 6000, most_takers = 6, most_inputs = 60 };

typedef enum doing { asking, parked, pulling, running, gone } doing;

typedef struct taker {
  pa_lease lease;
  doing doing;
  int64_t due_ns;  // parked: -1: until woken
} taker;

typedef struct host {
  uint64_t seed;  // that the draws go on from
  pa_options options;
  uint32_t flags;
  pa_job* job;
  taker takers[most_takers];
  uint32_t taker_count;
  doing consumer;  // asking, parked or gone
  int64_t consumer_due_ns;
  uint64_t inputs, brought;
  int input_ended, closed;
  books all;
  uint32_t settled[most_inputs];  // by what takers were told
  uint32_t attempts[most_inputs];
} host;

static host h;

static uint64_t draw(uint64_t below) {
  h.seed ^= h.seed << 13;
  h.seed ^= h.seed >> 7;
  h.seed ^= h.seed << 17;
  return h.seed % below;
}
static int chance(uint64_t in) { return draw(in) == 0; }
static int is(uint32_t flag) { return (h.flags & flag) != 0; }

// ---- waking

static void wake_takers(uint32_t count) {
  const uint64_t from = draw(h.taker_count);
  for (uint32_t i = 0; i < h.taker_count && count; i++) {
    taker* t = &h.takers[(from + i) % h.taker_count];
    if (t->doing != parked) continue;
    t->doing = asking;
    count--;
  }
}

static void wake(uint32_t takers, uint32_t consumer) {
  wake_takers(takers);
  if (consumer && h.consumer == parked) h.consumer = asking;
}

static void wake_all(void) { wake(UINT32_MAX, 1); }

static void pass_on(const taker* t) { wake(t->lease.wake, t->lease.wake_consumer); }

static int64_t earlier(int64_t a_ns, int64_t b_ns) { return a_ns < 0 || (b_ns >= 0 && b_ns < a_ns) ? b_ns : a_ns; }

// Nobody has anything to do: somebody must have been told when to come back. Returns 0 if not.
static int sleep_until_due(void) {
  int64_t due_ns = h.consumer == parked ? h.consumer_due_ns : -1;
  for (uint32_t i = 0; i < h.taker_count; i++)
    if (h.takers[i].doing == parked) due_ns = earlier(due_ns, h.takers[i].due_ns);
  if (due_ns < 0) return 0;
  wait_until_ns(due_ns);
  for (uint32_t i = 0; i < h.taker_count; i++)
    if (h.takers[i].doing == parked && h.takers[i].due_ns >= 0 && h.takers[i].due_ns <= due_ns) h.takers[i].doing = asking;
  if (h.consumer == parked && h.consumer_due_ns >= 0 && h.consumer_due_ns <= due_ns) h.consumer = asking;
  return 1;
}

static int64_t due(int64_t wait_ns) { return wait_ns < 0 ? -1 : now_ns() + wait_ns; }

// ---- takers

static void told(taker* t, pa_status status) {
  pass_on(t);
  switch (status) {
    case PA_STATUS_OK:
      t->doing = running;
      CHECK(t->lease.count > 0);
      CHECK_EQ(t->lease.attempt, h.attempts[t->lease.first] + 1);
      break;
    case PA_STATUS_PULL:
      t->doing = pulling;
      break;
    case PA_STATUS_AGAIN:
      t->doing = parked;
      t->due_ns = due(t->lease.wait_ns);
      break;
    case PA_STATUS_STOPPED:
      t->doing = asking;
      break;
    default:
      CHECK_STATUS(status, PA_STATUS_DONE, NULL);
      t->doing = gone;
  }
}

static void supply(taker* t) {
  const uint64_t left = h.inputs - h.brought;
  uint64_t got = draw(t->lease.count + 1);
  if (got > left) got = left;
  const int end = got == left && (got == 0 || chance(2));
  t->lease.cookie = 1000 + t->lease.first;
  const pa_status status = pa_job_supply(h.job, &t->lease, got, end);
  if (status != PA_STATUS_STOPPED) h.brought += got;
  told(t, status);
}

static void settled(uint64_t first, uint64_t count) {
  if (h.closed) return;  // what takers held was taken back
  for (uint64_t i = 0; i < count; i++) h.settled[first + i]++;
}

static void fail(taker* t) {
  const uint64_t first = t->lease.first, index = first + draw(t->lease.count);
  const uint32_t flags = chance(4) ? PA_FAIL_FINAL : chance(4) ? PA_FAIL_STOPPED : 0;
  const pa_status status = pa_job_fail(h.job, &t->lease, index, flags, chance(3) ? 20000 : -1, 1, "it failed");
  settled(first, index - first + (status == PA_STATUS_FINAL));
  h.attempts[index]++;
  pass_on(t);
  if (status == PA_STATUS_STOPPED && t->lease.count == 0) t->doing = asking;
}

static void step(taker* t) {
  const uint64_t first = t->lease.first, done = draw(t->lease.count + 1);
  const pa_status status = pa_job_step(h.job, &t->lease, done);
  settled(first, done);
  pass_on(t);
  if (status == PA_STATUS_STOPPED) t->doing = asking;
}

static void complete(taker* t) {
  const uint64_t first = t->lease.first, done = chance(4) ? draw(t->lease.count + 1) : t->lease.count;
  if (done == t->lease.count && chance(2)) {
    const pa_status status = pa_job_complete_and_take(h.job, &t->lease);
    settled(first, done);
    told(t, status);
    return;
  }
  pa_job_complete(h.job, &t->lease, done);
  settled(first, done);
  pass_on(t);
  t->doing = asking;
}

static uint32_t staying(void) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < h.taker_count; i++) count += h.takers[i].doing != gone;
  return count;
}

static void leave(taker* t) {
  CHECK_STATUS(pa_job_leave(h.job, &t->lease), PA_STATUS_OK, NULL);
  t->doing = gone;
  pass_on(t);
  memset(&t->lease, 0, sizeof t->lease);
  if (staying() == 0 || chance(2)) t->doing = asking;  // another comes in its place
}

static int act_as_taker(taker* t) {
  if (t->doing == gone || (t->doing == parked && !chance(50))) return 0;
  if (chance(30)) return leave(t), 1;
  if (t->doing == parked) return 0;
  if (t->doing == asking || (t->doing == running && chance(12))) return told(t, pa_job_take(h.job, &t->lease)), 1;
  if (t->doing == pulling) return supply(t), 1;
  if (t->lease.count == 0 || chance(3)) return complete(t), 1;
  return chance(2) ? fail(t) : step(t), 1;
}

// ---- the others

static int act_as_consumer(void) {
  pa_chunk chunk;
  if (!is(PA_JOB_STREAM) || h.consumer != asking) return 0;
  const pa_status status = pa_job_next(h.job, &chunk);
  wake(chunk.wake, 0);
  if (status == PA_STATUS_OK) {
    books_next(&h.all, &chunk);
    if (is(PA_JOB_PULL) && chunk.cookie < 1000) CHECK(chunk.cookie >= 1000);
  } else if (status == PA_STATUS_AGAIN) {
    h.consumer = parked;
    h.consumer_due_ns = due(chunk.wait_ns);
  } else {
    CHECK_STATUS(status, PA_STATUS_DONE, NULL);
    h.consumer = gone;
  }
  return 1;
}

static int act_as_pusher(void) {
  pa_progress progress;
  if (!is(PA_JOB_PUSH) || h.input_ended) return 0;
  const uint64_t left = h.inputs - h.brought, room = pa_job_room(h.job);
  if (left && !room && pa_job_end(h.job) == PA_END_NONE) return 0;  // somebody will make room
  uint64_t got = room ? 1 + draw(room < 5 ? room : 5) : 1;
  if (got > left) got = left;
  const pa_status status = got ? pa_job_admit(h.job, got, 1000 + h.brought, &progress) : pa_job_end_input(h.job, &progress);
  if (status == PA_STATUS_OK) h.brought += got;
  h.input_ended = !got || status == PA_STATUS_STOPPED;
  wake(progress.wake, progress.wake_consumer);
  return 1;
}

static int act_from_outside(void) {
  pa_progress progress;
  if (chance(300)) {
    pa_job_stop(h.job);
    return wake_all(), 1;
  }
  if (!chance(400)) return 0;
  if (chance(2)) {
    CHECK_STATUS(pa_job_poll(h.job, &progress), PA_STATUS_OK, NULL);
    wake(progress.wake, progress.wake_consumer);
    return 1;
  }
  pa_job_close(h.job);
  h.closed = 1;
  return wake_all(), 1;
}

static int everybody_is_gone(void) {
  for (uint32_t i = 0; i < h.taker_count; i++)
    if (h.takers[i].doing != gone) return 0;
  return !is(PA_JOB_STREAM) || h.consumer == gone;
}

// Returns 0 if nobody can.
static int act(void) {
  if (act_from_outside()) return 1;
  const uint64_t from = draw(h.taker_count + 2);
  for (uint64_t i = 0; i < h.taker_count + 2; i++) {
    const uint64_t who = (from + i) % (h.taker_count + 2);
    if (who == h.taker_count ? act_as_consumer() : who > h.taker_count ? act_as_pusher() : act_as_taker(&h.takers[who]))
      return 1;
  }
  return sleep_until_due();
}

// ---- a host

static void draw_host(uint64_t seed) {
  memset(&h, 0, sizeof h);
  h.seed = seed * 0x9e3779b97f4a7c15u + 1;
  for (int i = 0; i < 10; i++) draw(2);
  h.options = defaults();
  h.options.workers = 1 + (uint32_t)draw(4);
  h.options.window = chance(2) ? 0 : 1 + draw(8);
  h.options.ordered = (uint32_t)draw(2);
  h.options.batch_size = chance(6) ? 1 + draw(10) : 0;
  h.options.retry.attempts = 1 + (uint32_t)draw(3);
  h.options.retry.backoff_ns = chance(2) ? 0 : 10000;
  h.options.max_errors = chance(3) ? 1 + draw(5) : 0;
  if (chance(2)) h.options.batch.max_items = 1 + draw(4);
  if (h.options.window && h.options.batch.max_items > h.options.window) h.options.batch.max_items = h.options.window;
  if (h.options.batch_size && h.options.batch.max_items > h.options.batch_size)
    h.options.batch.max_items = h.options.batch_size;
  if (chance(3)) h.options.batch.linger_ns = 20000;
  if (chance(4)) h.options.rate.count = 1e6, h.options.rate.burst = 1 + draw(5);
  if (chance(12)) h.options.timeout_ns = (int64_t)draw(300000);
  h.flags = (uint32_t)(draw(2) * PA_JOB_STREAM + draw(3) * PA_JOB_PULL + (chance(4) ? PA_JOB_BATCH : 0));
  h.taker_count = 1 + (uint32_t)draw(most_takers);
  h.inputs = draw(most_inputs + 1);
}

// An index that was neither settled nor drained, or both, or twice.
static uint64_t wrong_accounts(uint64_t n) {
  uint64_t wrong = 0;
  for (uint64_t i = 0; i < most_inputs; i++) {
    const uint32_t accounts = h.all.drained[i] + (is(PA_JOB_STREAM) ? h.all.handed_out[i] : h.settled[i]);
    wrong += accounts != (i < n);
    if (h.all.handed_out[i]) CHECK_EQ(h.settled[i], 1);
  }
  return wrong;
}

static void run_host(uint64_t seed) {
  draw_host(seed);
  const int fetched = is(PA_JOB_PULL) || is(PA_JOB_PUSH);
  const uint64_t count = fetched && chance(2) ? PA_UNSIZED : h.inputs;
  h.job = job_of(&h.options, count, h.flags);
  int awake = 1;
  while (awake && !everybody_is_gone()) awake = act();
  CHECK(awake);  // else everybody sleeps, and the job is not over
  if (!awake) pa_job_close(h.job);
  const pa_progress end = progress_of(h.job);  // before drain, which names the rest of a known count
  drain_all(h.job, &h.all);
  CHECK(end.end != PA_END_NONE);
  const int padded = count != PA_UNSIZED && !is(PA_JOB_STREAM) && end.end != PA_END_COMPLETED;
  if (awake) CHECK_EQ(wrong_accounts(padded ? count : end.admitted), 0);
  if (fetched) CHECK_EQ(end.admitted, h.brought);
  pa_job_free(h.job);
  for (uint32_t i = 0; i < h.taker_count; i++)
    if (h.takers[i].doing != gone) pa_job_leave(h.job, &h.takers[i].lease);
}

TEST(no_host_loses_an_index_or_sleeps_for_ever) {
  const char* only = getenv("PA_TEST_SEED");
  if (only) run_host(strtoull(only, NULL, 10));
  for (uint64_t seed = 1; seed <= hosts && !only; seed++) {
    const int before = check_failures();
    run_host(seed);
    if (check_failures() == before) continue;
    fprintf(stderr, "  with PA_TEST_SEED=%d\n", (int)seed);
    return;
  }
}
