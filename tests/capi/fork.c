// fork: in a child, what was made before says so, can be freed, and new runs work.
#include <unistd.h>

#include "support.h"

static pa_limiter* limiter;
static pa_stop* stop;
static pa_pending* pending;
static pa_result* result;
static void** items;
static counter gate = COUNTER_INIT;
static counter running = COUNTER_INIT;

static void map_100(const pa_options* options) {
  pa_result* made = NULL;
  pa_error error;
  REQUIRE_STATUS(pa_map(echo, NULL, items, 100, options, &made, &error), PA_STATUS_OK, &error);
  CHECK_EQ(pa_result_ok(made), 1);
  CHECK_EQ(pa_result_count(made), 100);
  pa_result_free(made);
}

static void new_runs_work(void) {
  pa_options options = defaults();
  options.workers = 4;
  map_100(&options);
  map_100(NULL);
  pa_error error;
  const pa_rate rate = {1e6, SECONDS, 100};
  REQUIRE_STATUS(pa_limiter_new(&rate, &options.limiter, &error), PA_STATUS_OK, &error);
  REQUIRE_STATUS(pa_stop_new(&options.stop, &error), PA_STATUS_OK, &error);
  map_100(&options);
  pa_limiter_release(options.limiter);
  pa_stop_release(options.stop);
  CHECK_STATUS(pa_drain(-1, &error), PA_STATUS_OK, &error);
  map_100(NULL);
}

TEST(new_runs_work_in_a_child) {
  items = numbered(100);
  map_100(NULL);  // the parent has threads by now, the child has not
  check_child(new_runs_work);
  map_100(NULL);
  free(items);
}

static void new_runs_work_twice(void) {
  new_runs_work();
  check_child(new_runs_work);
}

TEST(new_runs_work_in_a_child_of_a_child) {
  items = numbered(100);
  map_100(NULL);
  check_child(new_runs_work_twice);
  free(items);
}

static int32_t wait_at_gate(void* ctx, void* item, void** value, pa_call* call) {
  (void)ctx, (void)item, (void)value, (void)call;
  counter_up(&running);
  counter_wait(&gate, 1);
  return 0;
}

static void limiters_say_forked(void) {
  pa_error error;
  const pa_rate rate = {1, SECONDS, 1};
  CHECK_STATUS(pa_limiter_acquire(limiter, 1, 0, &error), PA_STATUS_FORKED, &error);
  CHECK_EQ(error.status, PA_STATUS_FORKED);
  CHECK(error.message[0] != 0);
  CHECK_STATUS(pa_limiter_acquire(limiter, 1, -1, NULL), PA_STATUS_FORKED, NULL);
  CHECK_STATUS(pa_limiter_try(limiter, 1, NULL, NULL), PA_STATUS_FORKED, NULL);
  CHECK_STATUS(pa_limiter_pause(limiter, 1, NULL), PA_STATUS_FORKED, NULL);
  CHECK_STATUS(pa_limiter_set_rate(limiter, &rate, NULL), PA_STATUS_FORKED, NULL);
  CHECK_STATUS(pa_limiter_settle(limiter, 1, NULL), PA_STATUS_FORKED, NULL);
  pa_options options = defaults();
  options.limiter = limiter;
  pa_result* made = (pa_result*)items;
  CHECK_STATUS(pa_map(echo, NULL, items, 100, &options, &made, &error), PA_STATUS_FORKED, &error);
  CHECK(made == NULL);
  pa_limiter_retain(limiter);
  pa_limiter_release(limiter);
  pa_limiter_release(limiter);
  new_runs_work();
}

TEST(a_limiter_made_before_the_fork_says_so) {
  items = numbered(100);
  const pa_rate rate = {1000, SECONDS, 10};
  REQUIRE(pa_limiter_new(&rate, &limiter, NULL) == PA_STATUS_OK);
  check_child(limiters_say_forked);
  CHECK_STATUS(pa_limiter_try(limiter, 1, NULL, NULL), PA_STATUS_OK, NULL);
  pa_limiter_release(limiter);
  free(items);
}

static void stops_say_forked(void) {
  pa_options options = defaults();
  options.stop = stop;
  pa_result* made = (pa_result*)items;
  pa_pending* begun = (pa_pending*)items;
  CHECK_STATUS(pa_map(echo, NULL, items, 100, &options, &made, NULL), PA_STATUS_FORKED, NULL);
  CHECK(made == NULL);
  CHECK_STATUS(pa_map_start(echo, NULL, items, 100, &options, &begun, NULL), PA_STATUS_FORKED, NULL);
  CHECK(begun == NULL);
  pa_stop_request(stop);
  pa_stop_release(stop);
  new_runs_work();
}

TEST(a_stop_token_made_before_the_fork_says_so) {
  items = numbered(100);
  REQUIRE(pa_stop_new(&stop, NULL) == PA_STATUS_OK);
  check_child(stops_say_forked);
  CHECK_EQ(pa_stop_requested(stop), 0);  // the parent's is another
  pa_stop_release(stop);
  free(items);
}

static void pending_says_forked(void) {
  pa_result* made = NULL;
  pa_error error;
  CHECK_STATUS(pa_pending_wait(pending, -1, &error), PA_STATUS_FORKED, &error);
  CHECK_STATUS(pa_pending_wait(pending, 0, &error), PA_STATUS_FORKED, &error);
  CHECK_STATUS(pa_pending_take(pending, &made, &error), PA_STATUS_FORKED, &error);
  CHECK(made == NULL);
  pa_pending_free(pending);
  pa_limiter_release(limiter);
  pa_stop_release(stop);
  new_runs_work();
}

// The fork happens while threads of the library run, wait for tokens and wait for retries.
TEST(a_run_in_progress_says_so_in_the_child_and_goes_on_in_the_parent) {
  items = numbered(100);
  for (int round = 0; round < 10; round++) {
    counter_reset(&gate);
    counter_reset(&running);
    const pa_rate rate = {1e6, SECONDS, 1};
    pa_options options = defaults();
    REQUIRE(pa_limiter_new(&rate, &limiter, NULL) == PA_STATUS_OK);
    REQUIRE(pa_stop_new(&stop, NULL) == PA_STATUS_OK);
    options.limiter = limiter;
    options.stop = stop;
    options.workers = 3;
    REQUIRE(pa_map_start(wait_at_gate, NULL, items, 100, &options, &pending, NULL) == PA_STATUS_OK);
    counter_wait(&running, 1);
    check_child(pending_says_forked);
    counter_up(&gate);
    CHECK_STATUS(pa_pending_wait(pending, -1, NULL), PA_STATUS_OK, NULL);
    pa_result* made;
    REQUIRE(pa_pending_take(pending, &made, NULL) == PA_STATUS_OK);
    CHECK_EQ(pa_result_ok(made), 1);
    pa_result_free(made);
    pa_pending_free(pending);
    pa_limiter_release(limiter);
    pa_stop_release(stop);
  }
  free(items);
}

static void finished_pending_says_forked(void) {
  pa_result* made = NULL;
  CHECK_STATUS(pa_pending_take(pending, &made, NULL), PA_STATUS_FORKED, NULL);
  pa_pending_free(pending);
  new_runs_work();
}

TEST(a_handle_whose_run_has_ended_says_so_too) {
  items = numbered(100);
  REQUIRE(pa_map_start(echo, NULL, items, 100, NULL, &pending, NULL) == PA_STATUS_OK);
  CHECK_STATUS(pa_pending_wait(pending, -1, NULL), PA_STATUS_OK, NULL);
  check_child(finished_pending_says_forked);
  pa_pending_free(pending);
  free(items);
}

static void results_are_readable(void) {
  CHECK_EQ(pa_result_count(result), 100);
  CHECK_EQ(pa_result_ok(result), 1);
  for (uint64_t i = 0; i < 100; i++) CHECK(pa_result_value(result, i) == items[i]);
  CHECK_STATUS(pa_result_check(result, NULL), PA_STATUS_OK, NULL);
  pa_result_free(result);
  new_runs_work();
}

static void outcomes_are_readable(void) {
  for (uint64_t i = 0; i < 100; i++) CHECK_EQ(outcome_at(result, i).attempts, 1);
}

TEST(a_finished_result_may_be_read_and_freed_in_the_child) {
  items = numbered(100);
  REQUIRE(pa_map(echo, NULL, items, 100, NULL, &result, NULL) == PA_STATUS_OK);
  check_child(results_are_readable);
  results_are_readable();
  free(items);
}

static void* read_in_a_loop(void* unused) {
  (void)unused;
  while (counter_value(&gate) == 0)
    for (uint64_t i = 0; i < 100; i++) outcome_at(result, i);
  return NULL;
}

// Whatever the readers of the parent are about at the fork.
TEST(a_result_that_others_read_may_be_read_in_the_child) {
  items = numbered(100);
  for (int round = 0; round < 20; round++) {
    counter_reset(&gate);
    REQUIRE(pa_map(round % 2 ? fail_with_7 : echo, NULL, items, 100, NULL, &result, NULL) == PA_STATUS_OK);
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) REQUIRE(pthread_create(&threads[i], NULL, read_in_a_loop, NULL) == 0);
    for (int i = 0; i < 3; i++) check_child(outcomes_are_readable);
    counter_up(&gate);
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    pa_result_free(result);
  }
  free(items);
}

static uint32_t forks;

static int32_t fork_once(void* ctx, void* item, void** value, pa_call* call) {
  (void)ctx, (void)item, (void)value;
  if (pa_call_index(call) % 10 == 0) {
    COUNT_UP(forks);
    check_child(new_runs_work);
  }
  return 0;
}

TEST(a_callback_may_fork) {
  items = numbered(100);
  pa_options options = defaults();
  options.workers = 2;
  pa_result* made;
  pa_error error;
  REQUIRE_STATUS(pa_map(fork_once, NULL, items, 30, &options, &made, &error), PA_STATUS_OK, &error);
  CHECK_EQ(pa_result_ok(made), 1);
  CHECK_EQ(forks, 3);
  pa_result_free(made);
  free(items);
}

static void drain_and_go_on(void) {
  CHECK_STATUS(pa_drain(-1, NULL), PA_STATUS_OK, NULL);
  new_runs_work();
}

static pa_limiter* slow;

static void* acquire_in_a_loop(void* unused) {
  (void)unused;
  while (counter_value(&gate) == 0) pa_limiter_acquire(slow, 1, -1, NULL);
  return NULL;
}

// Whatever lock a thread of the parent holds at the fork, the child does not wait for it.
TEST(a_fork_at_any_instant_leaves_the_child_free) {
  items = numbered(100);
  counter_reset(&gate);
  const pa_rate rate = {1e7, SECONDS, 1000};
  REQUIRE(pa_limiter_new(&rate, &slow, NULL) == PA_STATUS_OK);
  pthread_t thread;
  REQUIRE(pthread_create(&thread, NULL, acquire_in_a_loop, NULL) == 0);
  for (int round = 0; round < 30; round++) {
    pa_pending* busy;
    pa_options options = defaults();
    options.workers = 3;
    options.retry.attempts = 3;
    options.retry.backoff_ns = 1;
    REQUIRE(pa_map_start(fail_with_7, NULL, items, 100, &options, &busy, NULL) == PA_STATUS_OK);
    check_child(drain_and_go_on);
    pa_pending_free(busy);
  }
  counter_up(&gate);
  pthread_join(thread, NULL);
  pa_limiter_release(slow);
  free(items);
}
