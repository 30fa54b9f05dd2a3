// pa_job under many threads: nothing is lost, run twice or left sleeping, whoever comes, goes or closes early.
#include "pull.h"

enum { takers = 8 };

static books all;
static uint32_t runs[MOST_ITEMS];
static uint32_t live, most_live;

static void reset(void) {
  memset(&all, 0, sizeof all);
  memset(runs, 0, sizeof runs);
  live = most_live = 0;
}

static pa_options threaded(void) {
  pa_options options = defaults();
  options.workers = takers;
  options.retry.backoff_ns = 0;
  reset();
  return options;
}

// ---- what takers do

// Of seven items, one fails once, one for good.
static int fails(uint64_t index, uint32_t attempt) { return index % 7 == 3 || (index % 7 == 5 && attempt == 1); }

static void run_some(crew* c, pa_lease* lease) {
  pa_status status = PA_STATUS_OK;
  for (uint64_t i = lease->first, end = i + lease->count; i < end && status != PA_STATUS_STOPPED; i++) {
    COUNT_UP(runs[i]);
    if (!fails(i, lease->attempt)) continue;
    status = pa_job_fail(c->job, lease, i, 0, 0, 1, "it failed");
    crew_settled(c, lease);
  }
  if (status != PA_STATUS_STOPPED) {
    complete_all(c, lease);
    return;
  }
  pa_job_complete(c->job, lease, 0);
  crew_settled(c, lease);
}

static void count_runs(crew* c, pa_lease* lease) {
  for (uint64_t i = 0; i < lease->count; i++) COUNT_UP(runs[lease->first + i]);
  complete_all(c, lease);
}

// ctx: how many inputs there are.
static pa_status pull_up_to(crew* c, pa_lease* lease) {
  const uint64_t n = *(const uint64_t*)c->ctx;
  const uint64_t left = n > lease->first ? n - lease->first : 0;
  const uint64_t got = left < lease->count ? left : lease->count;
  lease->cookie = lease->first;
  raise_to(&most_live, __atomic_add_fetch(&live, (uint32_t)got, __ATOMIC_SEQ_CST));
  return pa_job_supply(c->job, lease, got, got == 0);
}

static void check_runs(uint64_t n) {
  uint64_t wrong = 0;
  for (uint64_t i = 0; i < n; i++) wrong += runs[i] != (i % 7 == 3 || i % 7 == 5 ? 2u : 1u);
  CHECK_EQ(wrong, 0);
}

// ---- streams

static void stream_everything(uint32_t ordered) {
  pa_options options = threaded();
  uint64_t n = MOST_ITEMS;
  crew c = {.run = run_some, .pull = pull_up_to, .ctx = &n};
  options.ordered = ordered;
  options.retry.attempts = 2;
  crew_open(&c, &options, PA_UNSIZED, PA_JOB_STREAM);
  crew_start(&c, takers);
  crew_consume(&c, &all);
  crew_join(&c);
  CHECK_EQ(drain_all(c.job, &all), 0);
  books_check(&all, n);
  check_runs(n);
  CHECK_EQ(pa_job_end(c.job), PA_END_COMPLETED);
  CHECK_EQ(progress_of(c.job).done, n);
  CHECK_EQ(progress_of(c.job).failed, all.failed_count);
  crew_free(&c);
}

TEST(a_stream_hands_out_each_index_once) { stream_everything(0); }
TEST(an_ordered_stream_hands_out_each_index_once) { stream_everything(1); }

TEST(an_ordered_stream_keeps_the_order_of_the_inputs) {
  pa_options options = threaded();
  uint64_t n = 5000, next = 0;
  crew c = {.run = run_some, .pull = pull_up_to, .ctx = &n};
  pa_chunk chunk;
  options.ordered = 1;
  options.retry.attempts = 2;
  crew_open(&c, &options, PA_UNSIZED, PA_JOB_STREAM);
  crew_start(&c, takers);
  while (crew_next(&c, &chunk) == PA_STATUS_OK) {
    CHECK_EQ(chunk.first, next);
    next += chunk.count;
  }
  CHECK_EQ(next, n);
  crew_join(&c);
  crew_free(&c);
}

TEST(no_more_items_live_than_the_window_allows) {
  pa_options options = threaded();
  uint64_t n = 5000, held = 0;
  crew c = {.run = run_some, .pull = pull_up_to, .ctx = &n};
  pa_chunk chunk;
  options.window = 20;
  options.retry.attempts = 2;
  crew_open(&c, &options, PA_UNSIZED, PA_JOB_STREAM);
  crew_start(&c, takers);
  for (;;) {
    __atomic_sub_fetch(&live, (uint32_t)held, __ATOMIC_SEQ_CST);  // he comes back from the last chunk
    if (crew_next(&c, &chunk) != PA_STATUS_OK) break;
    books_next(&all, &chunk);
    held = chunk.count;
  }
  crew_join(&c);
  books_check(&all, n);
  CHECK_LE(most_live, 20);
  CHECK(most_live > 0);
  crew_free(&c);
}

typedef struct relay {
  crew* c;
  uint64_t chunks;
  pa_status last;
} relay;

static void* consume_some(void* ctx) {
  relay* r = ctx;
  pa_chunk chunk;
  for (uint64_t i = 0; i < r->chunks; i++) {
    r->last = crew_next(r->c, &chunk);
    if (r->last != PA_STATUS_OK) break;
    books_next(&all, &chunk);
  }
  return NULL;
}

TEST(the_consumer_may_move_from_thread_to_thread) {
  pa_options options = threaded();
  uint64_t n = 3000;
  crew c = {.run = run_some, .pull = pull_up_to, .ctx = &n};
  relay r = {&c, 5, PA_STATUS_OK};
  options.retry.attempts = 2;
  crew_open(&c, &options, PA_UNSIZED, PA_JOB_STREAM);
  crew_start(&c, takers);
  while (r.last == PA_STATUS_OK) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, consume_some, &r)) abort();
    pthread_join(thread, NULL);
  }
  CHECK_STATUS(r.last, PA_STATUS_DONE, NULL);
  crew_join(&c);
  books_check(&all, n);
  crew_free(&c);
}

TEST(a_consumer_that_closes_early_finds_the_rest_in_drain) {
  for (int after = 0; after < 40; after += 4) {
    pa_options options = threaded();
    uint64_t n = UINT64_MAX;
    crew c = {.run = run_some, .pull = pull_up_to, .ctx = &n};
    relay r = {&c, (uint64_t)after, PA_STATUS_OK};
    options.retry.attempts = 2;
    options.window = 200;
    crew_open(&c, &options, PA_UNSIZED, PA_JOB_STREAM);
    crew_start(&c, takers);
    consume_some(&r);
    CHECK_STATUS(pa_job_close(c.job), PA_STATUS_OK, NULL);
    drain_all(c.job, &all);  // although leases are out
    books_check(&all, progress_of(c.job).admitted);
    crew_join(&c);
    CHECK_EQ(drain_all(c.job, &all), 0);
    books_check(&all, progress_of(c.job).admitted);
    crew_free(&c);
  }
}

TEST(max_errors_ends_a_stream_with_the_failure_that_reaches_it) {
  pa_options options = threaded();
  uint64_t n = MOST_ITEMS;
  crew c = {.run = run_some, .pull = pull_up_to, .ctx = &n};
  pa_chunk chunk = {0};
  int32_t last = -1;
  options.max_errors = 10;
  options.window = 100;
  crew_open(&c, &options, PA_UNSIZED, PA_JOB_STREAM);
  crew_start(&c, takers);
  while (crew_next(&c, &chunk) == PA_STATUS_OK) {
    books_next(&all, &chunk);
    last = chunk.state;
  }
  CHECK_EQ(last, PA_ITEM_FAILED);
  CHECK_EQ(all.failed_count, 10);
  CHECK_EQ(pa_job_end(c.job), PA_END_ABORTED);
  crew_join(&c);
  drain_all(c.job, &all);
  books_check(&all, progress_of(c.job).admitted);
  crew_free(&c);
}

// ---- other jobs

TEST(a_job_without_a_stream_runs_each_index_once) {
  pa_options options = threaded();
  crew c = {.run = run_some};
  options.retry.attempts = 2;
  crew_open(&c, &options, MOST_ITEMS, 0);
  crew_start(&c, takers);
  crew_join(&c);
  check_runs(MOST_ITEMS);
  CHECK_EQ(pa_job_end(c.job), PA_END_COMPLETED);
  CHECK_EQ(drain_all(c.job, &all), 0);
  crew_free(&c);
}

TEST(more_takers_than_workers_take_turns) {
  pa_options options = threaded();
  crew c = {.run = count_runs};
  options.workers = 2;
  crew_open(&c, &options, 2000, 0);
  crew_start(&c, takers);
  crew_join(&c);
  for (uint64_t i = 0; i < 2000; i++) CHECK_EQ(runs[i], 1);
  crew_free(&c);
}

TEST(parked_takers_are_woken_when_inputs_are_pushed) {
  pa_options options = threaded();
  crew c = {.run = count_runs};
  pa_progress progress;
  crew_open(&c, &options, PA_UNSIZED, PA_JOB_PUSH);
  crew_start(&c, takers);
  for (uint64_t i = 0; i < 3000; i++) {
    CHECK_STATUS(pa_job_admit(c.job, 1, i / 100, &progress), PA_STATUS_OK, NULL);
    crew_wake(&c, progress.wake, progress.wake_consumer);
    if (i % 500 == 0) WAIT_UNTIL(progress_of(c.job).done == i + 1);  // all are parked: they must hear of the next
  }
  CHECK_STATUS(pa_job_end_input(c.job, &progress), PA_STATUS_OK, NULL);
  crew_wake(&c, progress.wake, progress.wake_consumer);
  crew_join(&c);
  for (uint64_t i = 0; i < 3000; i++) CHECK_EQ(runs[i], 1);
  crew_free(&c);
}

TEST(the_limiter_and_its_pauses_hold_up_no_one_for_ever) {
  const pa_rate rate = {20000, SECONDS, 10};
  pa_options options = threaded();
  crew c = {.run = run_some};
  options.retry.attempts = 2;
  CHECK_STATUS(pa_limiter_new(&rate, &options.limiter, NULL), PA_STATUS_OK, NULL);
  crew_open(&c, &options, 700, 0);
  crew_start(&c, takers);
  for (int i = 0; i < 5; i++) pa_limiter_pause(options.limiter, MILLISECONDS, NULL);
  crew_join(&c);
  check_runs(700);
  pa_limiter_release(options.limiter);
  crew_free(&c);
}

static counter out = COUNTER_INIT;
static counter gate = COUNTER_INIT;

static void wait_at_gate(crew* c, pa_lease* lease) {
  counter_up(&out);
  counter_wait(&gate, 1);
  pa_job_complete(c->job, lease, lease->count);
}

TEST(free_does_not_wait_for_takers_and_they_end_by_themselves) {
  pa_options options = threaded();
  crew c = {.run = wait_at_gate};
  options.batch.max_items = 1;
  counter_reset(&out);
  counter_reset(&gate);
  crew_open(&c, &options, 100, PA_JOB_STREAM);
  crew_start(&c, takers);
  counter_wait(&out, takers);
  pa_job_free(c.job);
  counter_up(&gate);
  crew_join(&c);
  crew_close(&c);
}

static void* close_job(void* job) {
  pa_job_close(job);
  return NULL;
}

TEST(closing_from_several_threads_is_closing_once) {
  for (int round = 0; round < 10; round++) {
    pa_options options = threaded();
    crew c = {.run = run_some};
    pthread_t closers[3];
    options.retry.attempts = 2;
    crew_open(&c, &options, MOST_ITEMS, 0);
    crew_start(&c, takers);
    for (int i = 0; i < 3; i++)
      if (pthread_create(&closers[i], NULL, close_job, c.job)) abort();
    for (int i = 0; i < 3; i++) pthread_join(closers[i], NULL);
    crew_join(&c);
    const uint64_t drained = drain_all(c.job, &all);
    CHECK_EQ(drained + progress_of(c.job).done, MOST_ITEMS);
    for (uint64_t i = 0; i < MOST_ITEMS; i++) CHECK_LE(all.drained[i], 1);
    crew_free(&c);
  }
}

static void die_at_each_third(crew* c, pa_lease* lease) {
  if (lease->first % 3 == 0 && COUNT_UP(runs[lease->first]) == 1) {
    pa_job_leave(c->job, lease);  // somebody says so for it
    crew_settled(c, lease);
    memset(lease, 0, sizeof *lease);  // and another comes in its place
    return;
  }
  COUNT_UP(runs[lease->first]);
  complete_all(c, lease);
}

TEST(takers_that_die_lose_nothing) {
  pa_options options = threaded();
  uint64_t n = 3000;
  crew c = {.run = die_at_each_third, .pull = pull_up_to, .ctx = &n};
  options.batch.max_items = 1;
  crew_open(&c, &options, PA_UNSIZED, PA_JOB_STREAM);
  crew_start(&c, takers);
  crew_consume(&c, &all);
  crew_join(&c);
  books_check(&all, n);
  CHECK_EQ(all.handed_out_count, n);
  crew_free(&c);
}
