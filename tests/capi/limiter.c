// pa_limiter: a token bucket that runs and threads share. Rates of "1 an hour" make a test independent of the machine's
// speed: what is not there now will not come.
#include <time.h>

#include "support.h"

static pa_limiter* limiter_of(double count, int64_t per_ns, uint64_t burst) {
  const pa_rate rate = {count, per_ns, burst};
  pa_limiter* limiter = NULL;
  pa_error error;
  CHECK_STATUS(pa_limiter_new(&rate, &limiter, &error), PA_STATUS_OK, &error);
  if (!limiter) abort();
  return limiter;
}

static uint64_t tokens_there(pa_limiter* limiter) {
  uint64_t count = 0;
  while (pa_limiter_try(limiter, 1, NULL, NULL) == PA_STATUS_OK) count++;
  return count;
}

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

// ---- the bucket

TEST(a_new_bucket_is_full) {
  pa_limiter* limiter = limiter_of(1, HOURS, 7);
  CHECK_EQ(tokens_there(limiter), 7);
  CHECK_EQ(tokens_there(limiter), 0);
  pa_limiter_release(limiter);
}

TEST(try_says_how_long_to_wait) {
  pa_limiter* limiter = limiter_of(1, HOURS, 2);
  int64_t wait_ns = -5;
  CHECK_STATUS(pa_limiter_try(limiter, 2, &wait_ns, NULL), PA_STATUS_OK, NULL);
  CHECK_STATUS(pa_limiter_try(limiter, 1, &wait_ns, NULL), PA_STATUS_AGAIN, NULL);
  CHECK(wait_ns > 0);
  CHECK_LE(wait_ns, HOURS + MILLISECONDS);
  CHECK_STATUS(pa_limiter_try(limiter, 2, &wait_ns, NULL), PA_STATUS_AGAIN, NULL);
  CHECK(wait_ns > HOURS / 2);
  CHECK_STATUS(pa_limiter_try(limiter, 1, NULL, NULL), PA_STATUS_AGAIN, NULL);
  pa_limiter_release(limiter);
}

TEST(several_tokens_are_taken_together_or_not_at_all) {
  pa_limiter* limiter = limiter_of(1, HOURS, 5);
  CHECK_STATUS(pa_limiter_try(limiter, 3, NULL, NULL), PA_STATUS_OK, NULL);
  CHECK_STATUS(pa_limiter_try(limiter, 3, NULL, NULL), PA_STATUS_AGAIN, NULL);
  CHECK_EQ(tokens_there(limiter), 2);
  pa_limiter_release(limiter);
}

TEST(idling_earns_no_more_than_the_burst) {
  pa_limiter* limiter = limiter_of(1, HOURS, 3);
  CHECK_STATUS(pa_limiter_try(limiter, 3, NULL, NULL), PA_STATUS_OK, NULL);
  const pa_rate fast = {1e6, SECONDS, 3};
  const pa_rate slow = {1, HOURS, 3};
  CHECK_STATUS(pa_limiter_set_rate(limiter, &fast, NULL), PA_STATUS_OK, NULL);
  wait_until_ns(now_ns() + MILLISECONDS);  // time for a thousand tokens
  CHECK_STATUS(pa_limiter_set_rate(limiter, &slow, NULL), PA_STATUS_OK, NULL);
  CHECK_EQ(tokens_there(limiter), 3);
  pa_limiter_release(limiter);
}

TEST(acquire_waits_for_tokens) {
  pa_limiter* limiter = limiter_of(1000, SECONDS, 1);
  const int64_t before = now_ns();
  for (int i = 0; i < 5; i++) CHECK_STATUS(pa_limiter_acquire(limiter, 1, -1, NULL), PA_STATUS_OK, NULL);
  CHECK(now_ns() - before >= 4 * MILLISECONDS);
  pa_limiter_release(limiter);
}

TEST(acquire_gives_up_at_once_when_the_wait_would_be_too_long_and_takes_nothing) {
  pa_limiter* limiter = limiter_of(1, 2 * HOURS, 2);
  CHECK_STATUS(pa_limiter_acquire(limiter, 1, 0, NULL), PA_STATUS_OK, NULL);
  CHECK_STATUS(pa_limiter_acquire(limiter, 2, HOURS, NULL), PA_STATUS_TIMEOUT, NULL);  // would take two hours
  CHECK_STATUS(pa_limiter_acquire(limiter, 1, HOURS, NULL), PA_STATUS_OK, NULL);
  CHECK_STATUS(pa_limiter_acquire(limiter, 1, HOURS, NULL), PA_STATUS_TIMEOUT, NULL);
  CHECK_STATUS(pa_limiter_acquire(limiter, 1, 0, NULL), PA_STATUS_TIMEOUT, NULL);
  int64_t wait_ns = 0;
  CHECK_STATUS(pa_limiter_try(limiter, 1, &wait_ns, NULL), PA_STATUS_AGAIN, NULL);
  CHECK_LE(wait_ns, 2 * HOURS + MILLISECONDS);  // nothing was reserved by those that gave up
  pa_limiter_release(limiter);
}

// ---- pause

TEST(a_pause_lets_nothing_through) {
  pa_limiter* limiter = limiter_of(1000, SECONDS, 100);
  CHECK_STATUS(pa_limiter_pause(limiter, HOURS, NULL), PA_STATUS_OK, NULL);
  int64_t wait_ns = 0;
  CHECK_STATUS(pa_limiter_try(limiter, 1, &wait_ns, NULL), PA_STATUS_AGAIN, NULL);
  CHECK(wait_ns > HOURS / 2);
  CHECK_LE(wait_ns, HOURS);
  CHECK_STATUS(pa_limiter_acquire(limiter, 1, HOURS / 2, NULL), PA_STATUS_TIMEOUT, NULL);
  pa_limiter_release(limiter);
}

TEST(of_two_pauses_the_one_that_ends_last_holds) {
  for (int order = 0; order < 2; order++) {
    pa_limiter* limiter = limiter_of(1000, SECONDS, 100);
    pa_limiter_pause(limiter, order ? HOURS : 3 * HOURS, NULL);
    pa_limiter_pause(limiter, order ? 3 * HOURS : HOURS, NULL);
    int64_t wait_ns = 0;
    CHECK_STATUS(pa_limiter_try(limiter, 1, &wait_ns, NULL), PA_STATUS_AGAIN, NULL);
    CHECK(wait_ns > 2 * HOURS);
    CHECK_LE(wait_ns, 3 * HOURS);  // they do not stack
    pa_limiter_release(limiter);
  }
}

TEST(a_pause_of_0_or_less_does_nothing) {
  pa_limiter* limiter = limiter_of(1, HOURS, 4);
  CHECK_STATUS(pa_limiter_pause(limiter, 0, NULL), PA_STATUS_OK, NULL);
  CHECK_STATUS(pa_limiter_pause(limiter, -1, NULL), PA_STATUS_OK, NULL);
  CHECK_STATUS(pa_limiter_pause(limiter, INT64_MIN, NULL), PA_STATUS_OK, NULL);
  CHECK_EQ(tokens_there(limiter), 4);
  pa_limiter_release(limiter);
}

TEST(the_longest_pause_does_not_overflow) {
  pa_limiter* limiter = limiter_of(1, SECONDS, 4);
  CHECK_STATUS(pa_limiter_pause(limiter, INT64_MAX, NULL), PA_STATUS_OK, NULL);
  CHECK_STATUS(pa_limiter_acquire(limiter, 1, INT64_MAX / 2, NULL), PA_STATUS_TIMEOUT, NULL);
  int64_t wait_ns = 0;
  CHECK_STATUS(pa_limiter_try(limiter, 1, &wait_ns, NULL), PA_STATUS_AGAIN, NULL);
  CHECK(wait_ns > HOURS);
  pa_limiter_release(limiter);
}

TEST(after_a_pause_one_call_at_the_deadline_and_then_the_set_pace) {
  pa_limiter* limiter = limiter_of(1, HOURS, 10);
  pa_limiter_pause(limiter, MILLISECONDS, NULL);
  CHECK_STATUS(pa_limiter_acquire(limiter, 1, -1, NULL), PA_STATUS_OK, NULL);
  CHECK_EQ(tokens_there(limiter), 0);
  pa_limiter_release(limiter);
}

TEST(a_pause_shorter_than_an_interval_mints_no_token) {
  pa_limiter* limiter = limiter_of(1, HOURS, 1);
  CHECK_EQ(tokens_there(limiter), 1);
  const int64_t end = now_ns() + MILLISECONDS;
  pa_limiter_pause(limiter, MICROSECONDS, NULL);
  wait_until_ns(end);
  CHECK_EQ(tokens_there(limiter), 0);
  pa_limiter_release(limiter);
}

// ---- settle and set_rate

TEST(settle_charges_more_and_the_bucket_may_go_below_0) {
  pa_limiter* limiter = limiter_of(1, HOURS, 5);
  CHECK_STATUS(pa_limiter_settle(limiter, 3, NULL), PA_STATUS_OK, NULL);
  CHECK_EQ(tokens_there(limiter), 2);
  CHECK_STATUS(pa_limiter_settle(limiter, 2, NULL), PA_STATUS_OK, NULL);
  int64_t wait_ns = 0;
  CHECK_STATUS(pa_limiter_try(limiter, 1, &wait_ns, NULL), PA_STATUS_AGAIN, NULL);
  CHECK(wait_ns > 2 * HOURS);
  CHECK_LE(wait_ns, 3 * HOURS + MILLISECONDS);
  pa_limiter_release(limiter);
}

TEST(settle_gives_back_but_never_above_the_burst) {
  pa_limiter* limiter = limiter_of(1, HOURS, 5);
  CHECK_STATUS(pa_limiter_try(limiter, 4, NULL, NULL), PA_STATUS_OK, NULL);
  CHECK_STATUS(pa_limiter_settle(limiter, -2, NULL), PA_STATUS_OK, NULL);
  CHECK_EQ(tokens_there(limiter), 3);
  CHECK_STATUS(pa_limiter_settle(limiter, -100, NULL), PA_STATUS_OK, NULL);
  CHECK_EQ(tokens_there(limiter), 5);
  CHECK_STATUS(pa_limiter_settle(limiter, INT64_MIN, NULL), PA_STATUS_OK, NULL);
  CHECK_EQ(tokens_there(limiter), 5);
  pa_limiter_release(limiter);
}

TEST(settle_gives_back_nothing_while_the_limiter_is_paused) {
  pa_limiter* limiter = limiter_of(1, HOURS, 5);
  CHECK_EQ(tokens_there(limiter), 5);
  // The pause must still hold when settle looks: a slow machine may need a longer one.
  for (int64_t pause_ns = 10 * MILLISECONDS; pause_ns < HOURS; pause_ns *= 4) {
    const int64_t end = now_ns() + pause_ns;
    pa_limiter_pause(limiter, pause_ns, NULL);
    CHECK_STATUS(pa_limiter_settle(limiter, -5, NULL), PA_STATUS_OK, NULL);
    if (now_ns() >= end) {
      tokens_there(limiter);
      continue;
    }
    wait_until_ns(end + MILLISECONDS);
    CHECK_EQ(tokens_there(limiter), 0);
    break;
  }
  pa_limiter_release(limiter);
}

TEST(settling_with_extreme_numbers_does_not_overflow) {
  pa_limiter* limiter = limiter_of(1, SECONDS, 5);
  CHECK_STATUS(pa_limiter_settle(limiter, INT64_MAX, NULL), PA_STATUS_OK, NULL);
  CHECK_STATUS(pa_limiter_settle(limiter, INT64_MAX, NULL), PA_STATUS_OK, NULL);
  int64_t wait_ns = 0;
  CHECK_STATUS(pa_limiter_try(limiter, 1, &wait_ns, NULL), PA_STATUS_AGAIN, NULL);
  CHECK(wait_ns > HOURS);
  for (int i = 0; i < 2; i++) CHECK_STATUS(pa_limiter_settle(limiter, INT64_MIN, NULL), PA_STATUS_OK, NULL);
  CHECK_STATUS(pa_limiter_try(limiter, 5, NULL, NULL), PA_STATUS_OK, NULL);
  pa_limiter_release(limiter);
}

TEST(after_set_rate_tokens_stay_up_to_the_new_burst) {
  pa_limiter* limiter = limiter_of(1, HOURS, 10);
  CHECK_STATUS(pa_limiter_try(limiter, 2, NULL, NULL), PA_STATUS_OK, NULL);
  const pa_rate larger = {1, 2 * HOURS, 20};
  CHECK_STATUS(pa_limiter_set_rate(limiter, &larger, NULL), PA_STATUS_OK, NULL);
  CHECK_STATUS(pa_limiter_try(limiter, 5, NULL, NULL), PA_STATUS_OK, NULL);
  CHECK_EQ(tokens_there(limiter), 3);
  pa_limiter_settle(limiter, -8, NULL);
  const pa_rate smaller = {1, HOURS, 2};
  CHECK_STATUS(pa_limiter_set_rate(limiter, &smaller, NULL), PA_STATUS_OK, NULL);
  CHECK_EQ(tokens_there(limiter), 2);
  pa_limiter_release(limiter);
}

static void* acquire_one(void* limiter) {
  CHECK_STATUS(pa_limiter_acquire(limiter, 1, -1, NULL), PA_STATUS_OK, NULL);
  return NULL;
}

TEST(set_rate_wakes_those_who_wait) {
  pa_limiter* limiter = limiter_of(1, HOURS, 1);
  CHECK_EQ(tokens_there(limiter), 1);
  pthread_t threads[3];
  for (int i = 0; i < 3; i++) REQUIRE(pthread_create(&threads[i], NULL, acquire_one, limiter) == 0);
  const pa_rate fast = {1e6, SECONDS, 1};
  CHECK_STATUS(pa_limiter_set_rate(limiter, &fast, NULL), PA_STATUS_OK, NULL);
  for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
  pa_limiter_release(limiter);
}

TEST(giving_back_wakes_those_who_wait) {
  pa_limiter* limiter = limiter_of(1, HOURS, 3);
  CHECK_EQ(tokens_there(limiter), 3);
  pthread_t threads[3];
  for (int i = 0; i < 3; i++) REQUIRE(pthread_create(&threads[i], NULL, acquire_one, limiter) == 0);
  CHECK_STATUS(pa_limiter_settle(limiter, -3, NULL), PA_STATUS_OK, NULL);
  for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
  CHECK_EQ(tokens_there(limiter), 0);
  pa_limiter_release(limiter);
}

// ---- in runs

TEST(every_attempt_of_a_run_takes_one_token) {
  pa_options options = defaults();
  options.limiter = limiter_of(1, HOURS, 30);
  options.workers = 3;
  options.retry.attempts = 3;
  options.retry.backoff_ns = 0;
  pa_result* result = map(fail_with_7, NULL, 8, &options);
  for (uint64_t i = 0; i < 8; i++) CHECK_EQ(outcome_at(result, i).attempts, 3);
  CHECK_EQ(tokens_there(options.limiter), 6);
  pa_result_free(result);
  pa_limiter_release(options.limiter);
}

TEST(rate_cost_is_the_price_of_an_item) {
  pa_options options = defaults();
  options.limiter = limiter_of(1, HOURS, 30);
  options.workers = 2;
  options.rate_cost = 5;
  uint32_t calls = 0;
  pa_result* result = map(count_calls, &calls, 5, &options);
  CHECK_EQ(calls, 5);
  CHECK_EQ(tokens_there(options.limiter), 5);
  pa_result_free(result);
  pa_limiter_release(options.limiter);
}

TEST(a_run_has_a_rate_of_its_own) {
  pa_options options = defaults();
  options.rate.count = 1;
  options.rate.per_ns = HOURS;
  options.rate.burst = 3;
  options.timeout_ns = HOURS / 2;
  options.workers = 2;
  uint32_t calls = 0;
  for (int run = 1; run <= 2; run++) {
    pa_result* result = map(count_calls, &calls, 10, &options);
    CHECK_EQ(calls, 3 * run);
    CHECK_EQ(pa_result_end(result), PA_END_TIMED_OUT);
    pa_result_free(result);
  }
}

TEST(calls_of_a_run_are_spread_evenly) {
  pa_options options = defaults();
  options.rate.count = 1000;
  options.workers = 4;
  uint32_t calls = 0;
  const int64_t before = now_ns();
  pa_result* result = map(count_calls, &calls, 20, &options);
  CHECK(now_ns() - before >= 19 * MILLISECONDS);
  CHECK_EQ(calls, 20);
  pa_result_free(result);
}

typedef struct stamps {
  int64_t at[200];
  uint32_t count;
} stamps;

static int32_t stamp(void* ctx, void* item, void** value, pa_call* call) {
  stamps* s = ctx;
  (void)item, (void)value, (void)call;
  s->at[COUNT_UP(s->count) - 1] = now_ns();
  return 0;
}

static void* map_100_stamps(void* with) {
  void** of = with;
  pa_options options = defaults();
  options.limiter = of[0];
  options.workers = 4;
  pa_result_free(map(stamp, of[1], 100, &options));
  return NULL;
}

TEST(runs_that_share_a_limiter_keep_its_rate_together) {
  static stamps s;
  void* with[2] = {limiter_of(10000, SECONDS, 2), &s};
  pthread_t other;
  const int64_t before = now_ns();
  REQUIRE(pthread_create(&other, NULL, map_100_stamps, with) == 0);
  map_100_stamps(with);
  pthread_join(other, NULL);
  CHECK_EQ(s.count, 200);
  CHECK(now_ns() - before >= 198 * 100 * MICROSECONDS);
  pa_limiter_release(with[0]);
}

static int32_t release_limiter(void* ctx, void* item, void** value, pa_call* call) {
  (void)item, (void)value;
  if (pa_call_index(call) == 0) pa_limiter_release(ctx);
  return 0;
}

TEST(a_run_in_progress_is_an_owner) {
  pa_options options = defaults();
  options.limiter = limiter_of(10000, SECONDS, 1);
  options.workers = 2;
  pa_result* result = map(release_limiter, options.limiter, 30, &options);
  CHECK_EQ(pa_result_ok(result), 1);
  pa_result_free(result);
}

TEST(the_last_owner_frees) {
  pa_limiter* limiter = limiter_of(1, HOURS, 2);
  pa_limiter_retain(limiter);
  pa_limiter_release(limiter);
  CHECK_EQ(tokens_there(limiter), 2);
  pa_limiter_release(limiter);
  pa_limiter_release(NULL);
}

// ---- deadlines and stops while a run is paced

TEST(a_timeout_during_pacing_ends_the_run_as_soon_as_the_grant_is_predicted_late) {
  for (int executor = PA_EXECUTOR_THREADS; executor <= PA_EXECUTOR_INLINE; executor++) {
    pa_options options = defaults();
    options.executor = executor;
    options.limiter = limiter_of(1, 2 * HOURS, 1);
    options.timeout_ns = HOURS;  // not waited for: the second token would come an hour later
    options.workers = 2;
    uint32_t calls = 0;
    pa_result* result = map(count_calls, &calls, 3, &options);
    CHECK_EQ(calls, 1);
    CHECK_EQ(pa_result_end(result), PA_END_TIMED_OUT);
    CHECK_EQ(count_state(result, PA_ITEM_TIMED_OUT), 2);
    CHECK_EQ(count_state(result, PA_ITEM_OK), 1);
    for (uint64_t i = 0; i < 3; i++) CHECK_EQ(outcome_at(result, i).attempts, outcome_at(result, i).state == PA_ITEM_OK);
    int64_t wait_ns = 0;
    CHECK_STATUS(pa_limiter_try(options.limiter, 1, &wait_ns, NULL), PA_STATUS_AGAIN, NULL);
    CHECK_LE(wait_ns, 2 * HOURS + MILLISECONDS);  // no token was used
    pa_result_free(result);
    pa_limiter_release(options.limiter);
  }
}

static counter first_call = COUNTER_INIT;

static int32_t say_that_it_ran(void* ctx, void* item, void** value, pa_call* call) {
  (void)item, (void)value, (void)call;
  COUNT_UP(*(uint32_t*)ctx);
  counter_up(&first_call);
  return 0;
}

static void* stop_after_first_call(void* stop) {
  counter_wait(&first_call, 1);
  pa_stop_request(stop);
  return NULL;
}

TEST(a_stop_during_pacing_cancels_what_waits) {
  for (int executor = PA_EXECUTOR_THREADS; executor <= PA_EXECUTOR_INLINE; executor++) {
    counter_reset(&first_call);
    pa_options options = defaults();
    options.executor = executor;
    options.limiter = limiter_of(1, HOURS, 1);
    options.workers = 2;
    REQUIRE(pa_stop_new(&options.stop, NULL) == PA_STATUS_OK);
    pthread_t stopper;
    REQUIRE(pthread_create(&stopper, NULL, stop_after_first_call, options.stop) == 0);
    uint32_t calls = 0;
    pa_result* result = map(say_that_it_ran, &calls, 3, &options);
    pthread_join(stopper, NULL);
    CHECK_EQ(calls, 1);
    CHECK_EQ(pa_result_end(result), PA_END_CANCELLED);
    CHECK_EQ(count_state(result, PA_ITEM_CANCELLED), 2);
    pa_result_free(result);
    pa_stop_release(options.stop);
    pa_limiter_release(options.limiter);
  }
}

static int64_t cpu_time_ns(void) {
  struct timespec used;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return (int64_t)used.tv_sec * SECONDS + used.tv_nsec;
}

// Processor time, not time on the clock: a process that sleeps uses none however slow or busy the machine is.
TEST(a_run_that_is_paced_sleeps_and_does_not_spin) {
  pa_options options = defaults();
  options.limiter = limiter_of(1000, SECONDS, 1);
  options.timeout_ns = HOURS;
  options.workers = 2;
  REQUIRE(pa_stop_new(&options.stop, NULL) == PA_STATUS_OK);
  pa_limiter_pause(options.limiter, 300 * MILLISECONDS, NULL);
  uint32_t calls = 0;
  const int64_t before = cpu_time_ns();
  pa_result* result = map(count_calls, &calls, 3, &options);
  CHECK_LE(cpu_time_ns() - before, 100 * MILLISECONDS);
  CHECK_EQ(calls, 3);
  pa_result_free(result);
  pa_stop_release(options.stop);
  pa_limiter_release(options.limiter);
}

TEST(a_pause_is_honoured_by_those_who_wait_for_their_turn) {
  counter_reset(&first_call);
  pa_options options = defaults();
  options.limiter = limiter_of(1, HOURS, 1);
  options.workers = 3;
  REQUIRE(pa_stop_new(&options.stop, NULL) == PA_STATUS_OK);
  void** items = numbered(10);
  uint32_t calls = 0;
  pa_pending* pending;
  REQUIRE(pa_map_start(say_that_it_ran, &calls, items, 10, &options, &pending, NULL) == PA_STATUS_OK);
  counter_wait(&first_call, 1);
  pa_limiter_pause(options.limiter, HOURS, NULL);
  const pa_rate fast = {1e6, SECONDS, 100};
  pa_limiter_set_rate(options.limiter, &fast, NULL);  // wakes them: they must look at the pause again
  CHECK_STATUS(pa_pending_wait(pending, 5 * MILLISECONDS, NULL), PA_STATUS_TIMEOUT, NULL);
  pa_stop_request(options.stop);
  CHECK_STATUS(pa_pending_wait(pending, -1, NULL), PA_STATUS_OK, NULL);
  CHECK_EQ(LOAD(calls), 1);
  pa_pending_free(pending);
  pa_stop_release(options.stop);
  pa_limiter_release(options.limiter);
  free(items);
}

// ---- what a server says

typedef struct server {
  pa_limiter* limiter;
  pa_stop* stop;
  counter calls;
} server;

static int32_t answer_429(void* ctx, void* item, void** value, pa_call* call) {
  server* s = ctx;
  (void)item, (void)value;
  counter_up(&s->calls);
  if (pa_call_index(call) == 0) {
    pa_call_retry_after(call, HOURS);
    return pa_call_fail(call, 429, "slow down");
  }
  wait_until_stopped(call);
  return 0;
}

static void* stop_once_paused(void* of) {
  server* s = of;
  int64_t wait_ns = 0;
  while (wait_ns < HOURS / 2) {
    nap();
    if (pa_limiter_try(s->limiter, 1, &wait_ns, NULL) == PA_STATUS_OK) wait_ns = 0;
  }
  pa_stop_request(s->stop);
  return NULL;
}

// One worker: with item 0 done for, items 1 ... 99 hold tokens or not, but none of them may start.
TEST(nothing_that_was_paid_for_starts_during_a_servers_pause) {
  server s = {limiter_of(1000, SECONDS, 1000), NULL, COUNTER_INIT};
  REQUIRE(pa_stop_new(&s.stop, NULL) == PA_STATUS_OK);
  pa_options options = defaults();
  options.limiter = s.limiter;
  options.stop = s.stop;
  options.workers = 1;
  options.retry.attempts = 5;
  options.retry.max_server_wait_ns = -1;
  pthread_t stopper;
  REQUIRE(pthread_create(&stopper, NULL, stop_once_paused, &s) == 0);
  pa_result* result = map(answer_429, &s, 100, &options);
  pthread_join(stopper, NULL);
  CHECK_EQ(counter_value(&s.calls), 1);
  CHECK_EQ(count_state(result, PA_ITEM_CANCELLED), 100);
  CHECK_EQ(outcome_at(result, 0).attempts, 1);
  CHECK_EQ(outcome_at(result, 0).code, 429);
  pa_result_free(result);
  pa_stop_release(s.stop);
  pa_limiter_release(s.limiter);
}

TEST(a_429_on_the_final_attempt_still_pauses_the_limiter) {
  server s = {limiter_of(1000, SECONDS, 1000), NULL, COUNTER_INIT};
  pa_options options = defaults();
  options.limiter = s.limiter;
  options.retry.max_server_wait_ns = -1;
  pa_result* result = map(answer_429, &s, 1, &options);
  CHECK_EQ(outcome_at(result, 0).state, PA_ITEM_FAILED);
  CHECK_EQ(outcome_at(result, 0).code, 429);
  int64_t wait_ns = 0;
  CHECK_STATUS(pa_limiter_try(s.limiter, 1, &wait_ns, NULL), PA_STATUS_AGAIN, NULL);
  CHECK(wait_ns > HOURS / 2);
  pa_result_free(result);
  pa_limiter_release(s.limiter);
}

static int32_t succeed_though_told_to_wait(void* ctx, void* item, void** value, pa_call* call) {
  (void)ctx, (void)item, (void)value;
  pa_call_retry_after(call, HOURS);
  return 0;
}

TEST(a_servers_wait_has_no_effect_when_the_call_succeeds) {
  pa_options options = defaults();
  options.limiter = limiter_of(1, HOURS, 20);
  pa_result* result = map(succeed_though_told_to_wait, NULL, 10, &options);
  CHECK_EQ(pa_result_ok(result), 1);
  CHECK_EQ(tokens_there(options.limiter), 10);
  pa_result_free(result);
  pa_limiter_release(options.limiter);
}

TEST(a_servers_pause_is_at_most_max_server_wait) {
  server s = {limiter_of(1000, SECONDS, 1000), NULL, COUNTER_INIT};
  pa_options options = defaults();
  options.limiter = s.limiter;
  options.retry.max_server_wait_ns = HOURS / 4;
  pa_result* result = map(answer_429, &s, 1, &options);
  int64_t wait_ns = 0;
  CHECK_STATUS(pa_limiter_try(s.limiter, 1, &wait_ns, NULL), PA_STATUS_AGAIN, NULL);
  CHECK(wait_ns > HOURS / 8);
  CHECK_LE(wait_ns, HOURS / 4);
  pa_result_free(result);
  pa_limiter_release(s.limiter);
}

// ---- max_errors

// A lease that was cut short gives back its tokens, of which one may be lost to the passing of time.
TEST(when_max_errors_is_reached_what_is_not_yet_run_is_not_paid_for) {
  for (uint32_t workers = 1; workers <= 4; workers += 3) {
    pa_options options = defaults();
    options.limiter = limiter_of(1, HOURS, 50);
    options.workers = workers;
    options.max_errors = 2;
    pa_result* result = map(fail_with_7, NULL, 1000, &options);
    CHECK_EQ(pa_result_end(result), PA_END_ABORTED);
    const uint64_t calls = count_state(result, PA_ITEM_FAILED);
    CHECK(calls >= 2);
    CHECK_LE(calls, 2 + workers);
    const uint64_t left = tokens_there(options.limiter);
    CHECK_LE(left, 50 - calls);
    CHECK(left >= 50 - calls - workers);
    pa_result_free(result);
    pa_limiter_release(options.limiter);
  }
}
