// options.detach: an early end returns at once, and what still runs is told apart, released late, and waited for by
// pa_drain.
#include <unistd.h>

#include "support.h"

static counter running = COUNTER_INIT;
static counter gate = COUNTER_INIT;

static int32_t wait_at_gate(void* ctx, void* item, void** value, pa_call* call) {
  ledger* l = ctx;
  (void)call;
  ledger_call(l, item);
  counter_up(&running);
  counter_wait(&gate, 1);
  ledger_store(l, item, value);
  return 0;
}

static void close_gate(void) {
  counter_reset(&running);
  counter_reset(&gate);
}

static pa_options detached(ledger* l, uint64_t n, uint32_t workers) {
  ledger_init(l, n);
  pa_options options = defaults();
  options.detach = 1;
  options.workers = workers;
  ledger_watch(l, &options);
  return options;
}

static void* stop_when_two_run(void* stop) {
  counter_wait(&running, 2);
  pa_stop_request(stop);
  return NULL;
}

static pa_result* map_and_stop(ledger* l, pa_options* options, void** items) {
  close_gate();
  if (pa_stop_new(&options->stop, NULL) != PA_STATUS_OK) abort();
  pthread_t stopper;
  if (pthread_create(&stopper, NULL, stop_when_two_run, options->stop) != 0) abort();
  pa_result* result = NULL;
  pa_error error;
  CHECK_STATUS(pa_map(wait_at_gate, l, items, l->n, options, &result, &error), PA_STATUS_OK, &error);
  if (!result) abort();
  pthread_join(stopper, NULL);
  pa_stop_release(options->stop);
  return result;
}

TEST(a_stop_returns_while_calls_are_running_and_they_count_as_not_done) {
  ledger l;
  pa_options options = detached(&l, 10, 2);
  void** items = numbered(10);
  pa_result* result = map_and_stop(&l, &options, items);  // returns though the gate is closed
  check_result(result);
  CHECK_EQ(pa_result_end(result), PA_END_CANCELLED);
  CHECK_EQ(pa_result_count(result), 10);
  CHECK_EQ(count_state(result, PA_ITEM_CANCELLED), 10);
  uint64_t started = 0;
  for (uint64_t i = 0; i < 10; i++) {
    CHECK_EQ(outcome_at(result, i).attempts, LOAD(l.calls[i]));  // those that run are not said to have never started
    CHECK_EQ(outcome_at(result, i).code, 0);
    started += LOAD(l.calls[i]);
  }
  CHECK_EQ(started, 2);
  CHECK_EQ(LOAD(l.quiescent), 0);
  for (uint64_t i = 0; i < 10; i++) CHECK_LE(LOAD(l.items_released[i]), l.calls[i] ? 0 : 1);
  CHECK_STATUS(pa_drain(0, NULL), PA_STATUS_TIMEOUT, NULL);
  CHECK_STATUS(pa_drain(MILLISECONDS, NULL), PA_STATUS_TIMEOUT, NULL);

  counter_up(&gate);
  CHECK_STATUS(pa_drain(-1, NULL), PA_STATUS_OK, NULL);
  CHECK_EQ(LOAD(l.quiescent), 1);
  CHECK_EQ(ledger_total(l.values_stored, 10), 2);
  ledger_check_released(&l, 1);  // late values are released, late items too
  for (uint64_t i = 0; i < 10; i++) CHECK_EQ(outcome_at(result, i).state, PA_ITEM_CANCELLED);
  CHECK_EQ(ledger_total(l.calls, 10), 2);
  pa_result_free(result);
  ledger_free(&l);
  free(items);
}

TEST(the_result_may_be_freed_while_calls_are_running) {
  ledger l;
  pa_options options = detached(&l, 10, 2);
  void** items = numbered(10);
  pa_result_free(map_and_stop(&l, &options, items));
  CHECK_EQ(LOAD(l.quiescent), 0);
  counter_up(&gate);
  WAIT_UNTIL(LOAD(l.quiescent));
  CHECK_EQ(l.quiescent, 1);
  ledger_check_released(&l, 1);
  CHECK_STATUS(pa_drain(-1, NULL), PA_STATUS_OK, NULL);
  ledger_free(&l);
  free(items);
}

static int32_t wait_at_gate_and_fail_the_first(void* ctx, void* const* part, size_t count, void** values, pa_call* call) {
  ledger* l = ctx;
  counter_up(&running);
  counter_wait(&gate, 1);
  for (size_t i = 0; i < count; i++) {
    ledger_call(l, part[i]);
    ledger_store(l, part[i], &values[i]);
  }
  pa_call_fail_at(call, 0, 7, "this one");
  return 0;
}

TEST(all_values_of_a_batch_that_comes_too_late_are_released) {
  ledger l;
  pa_options options = detached(&l, 8, 2);
  options.batch.max_items = 4;
  void** items = numbered(8);
  close_gate();
  REQUIRE(pa_stop_new(&options.stop, NULL) == PA_STATUS_OK);
  pthread_t stopper;
  REQUIRE(pthread_create(&stopper, NULL, stop_when_two_run, options.stop) == 0);
  pa_result* result = NULL;
  pa_error error;
  CHECK_STATUS(pa_map_batch(wait_at_gate_and_fail_the_first, &l, items, 8, &options, &result, &error), PA_STATUS_OK, &error);
  pthread_join(stopper, NULL);
  CHECK_EQ(count_state(result, PA_ITEM_CANCELLED), 8);
  counter_up(&gate);
  CHECK_STATUS(pa_drain(-1, NULL), PA_STATUS_OK, NULL);
  pa_result_free(result);
  pa_stop_release(options.stop);
  CHECK_EQ(ledger_total(l.values_stored, 8), 8);
  ledger_check_released(&l, 1);
  ledger_free(&l);
  free(items);
}

TEST(a_timeout_returns_while_calls_are_running) {
  ledger l;
  pa_options options = detached(&l, 10, 2);
  void** items = numbered(10);
  close_gate();
  uint64_t started = 0;
  GROWING_TIMEOUT(timeout_ns, started) {
    options.timeout_ns = timeout_ns;
    pa_result* result = NULL;
    pa_error error;
    REQUIRE_STATUS(pa_map(wait_at_gate, &l, items, 10, &options, &result, &error), PA_STATUS_OK, &error);
    check_result(result);
    CHECK_EQ(pa_result_end(result), PA_END_TIMED_OUT);
    for (uint64_t i = 0; i < 10; i++) started += outcome_at(result, i).attempts;
    CHECK_EQ(count_state(result, PA_ITEM_TIMED_OUT), 10);
    pa_result_free(result);
    counter_up(&gate);
    CHECK_STATUS(pa_drain(-1, NULL), PA_STATUS_OK, NULL);
    CHECK_EQ(ledger_total(l.calls, 10), started);
    if (!started) close_gate();
  }
  CHECK(started > 0);
  ledger_free(&l);
  free(items);
}

static int32_t first_fails_others_wait(void* ctx, void* item, void** value, pa_call* call) {
  ledger_call(ctx, item);
  if (pa_call_index(call) == 0) {
    counter_wait(&running, 2);
    return 1;
  }
  counter_up(&running);
  counter_wait(&gate, 1);
  ledger_store(ctx, item, value);
  return 0;
}

TEST(max_errors_returns_while_calls_are_running) {
  ledger l;
  pa_options options = detached(&l, 10, 3);
  void** items = numbered(10);
  close_gate();
  options.max_errors = 1;
  pa_result* result = NULL;
  pa_error error;
  REQUIRE_STATUS(pa_map(first_fails_others_wait, &l, items, 10, &options, &result, &error), PA_STATUS_OK, &error);
  check_result(result);
  CHECK_EQ(pa_result_end(result), PA_END_ABORTED);
  CHECK_EQ(count_state(result, PA_ITEM_FAILED), 1);
  CHECK_EQ(count_state(result, PA_ITEM_ABORTED), 9);
  counter_up(&gate);
  CHECK_STATUS(pa_drain(-1, NULL), PA_STATUS_OK, NULL);
  CHECK_EQ(l.quiescent, 1);
  pa_result_free(result);
  ledger_check_released(&l, 1);
  ledger_free(&l);
  free(items);
}

static int32_t fail_at_20(void* ctx, void* item, void** value, pa_call* call) {
  ledger_call(ctx, item);
  ledger_store(ctx, item, value);
  return pa_call_index(call) == 20;
}

static void hold_up_the_release_of_20(void* ctx, void* item) {
  if (number_of(item) == 20) counter_wait(&gate, 1);
  ledger_release_item(ctx, item);
}

// The owner leaves while the worker is between two items of its lease.
TEST(an_item_that_was_leased_and_never_started_has_no_attempts) {
  ledger l;
  pa_options options = detached(&l, 200, 1);
  void** items = numbered(200);
  close_gate();
  options.max_errors = 1;
  options.release_item = hold_up_the_release_of_20;
  pa_result* result = NULL;
  pa_error error;
  REQUIRE_STATUS(pa_map(fail_at_20, &l, items, 200, &options, &result, &error), PA_STATUS_OK, &error);
  counter_up(&gate);
  CHECK_STATUS(pa_drain(-1, NULL), PA_STATUS_OK, NULL);
  for (uint64_t i = 0; i < 200; i++) CHECK_EQ(outcome_at(result, i).attempts, l.calls[i]);
  check_result(result);
  pa_result_free(result);
  ledger_check_released(&l, 1);
  ledger_free(&l);
  free(items);
}

// ---- sources

typedef struct blocked_source {
  numbers numbers;
  uint32_t fail;
} blocked_source;

static int32_t two_then_fail(void* ctx, void** items, size_t max, size_t* got) {
  blocked_source* from = ctx;
  if (from->numbers.delivered < 2) return numbers_next(&from->numbers, items, max < 2 ? max : 2, got);
  counter_wait(&running, 2);
  return 44;
}

TEST(a_source_that_fails_with_slow_tasks_running_returns_at_once) {
  ledger l;
  pa_options options = detached(&l, 2, 3);
  options.release_item = NULL;
  close_gate();
  blocked_source from = {{2, 1, 0, 0, 0, 0, 0, &l}, 0};
  pa_source source = numbers_source(&from.numbers);
  source.next = two_then_fail;
  pa_result* result = NULL;
  pa_error error;
  REQUIRE_STATUS(pa_map_source(wait_at_gate, &l, &source, &options, &result, &error), PA_STATUS_SOURCE, &error);
  CHECK_EQ(error.detail, 44);
  check_result(result);
  CHECK_EQ(pa_result_end(result), PA_END_FAILED);
  CHECK_EQ(count_state(result, PA_ITEM_ABORTED), 2);
  CHECK_EQ(LOAD(from.numbers.items_released), 0);
  counter_up(&gate);
  CHECK_STATUS(pa_drain(-1, NULL), PA_STATUS_OK, NULL);
  CHECK_EQ(from.numbers.items_released, 2);
  CHECK_EQ(from.numbers.released, 1);
  CHECK_EQ(l.quiescent, 1);
  pa_result_free(result);
  ledger_check_released(&l, 1);
  ledger_free(&l);
}

static counter in_next = COUNTER_INIT;

static int32_t block_in_next(void* ctx, void** items, size_t max, size_t* got) {
  numbers* from = ctx;
  if (from->delivered < 2) return numbers_next(from, items, max, got);
  counter_up(&in_next);
  counter_wait(&gate, 1);
  return numbers_next(from, items, max, got);  // more inputs, of a run that is over
}

static void* stop_when_next_blocks(void* stop) {
  counter_wait(&in_next, 1);
  counter_wait(&running, 2);
  pa_stop_request(stop);
  return NULL;
}

TEST(a_source_that_blocks_is_left_behind_and_what_it_delivers_late_is_released) {
  ledger l;
  pa_options options = detached(&l, 10, 3);
  options.release_item = NULL;
  close_gate();
  counter_reset(&in_next);
  REQUIRE(pa_stop_new(&options.stop, NULL) == PA_STATUS_OK);
  pthread_t stopper;
  REQUIRE(pthread_create(&stopper, NULL, stop_when_next_blocks, options.stop) == 0);
  numbers from = {10, 2, 0, 0, 0, 0, 0, &l};
  pa_source source = numbers_source(&from);
  source.next = block_in_next;
  pa_result* result = NULL;
  pa_error error;
  REQUIRE_STATUS(pa_map_source(wait_at_gate, &l, &source, &options, &result, &error), PA_STATUS_OK, &error);
  pthread_join(stopper, NULL);
  CHECK_EQ(pa_result_end(result), PA_END_CANCELLED);
  CHECK_EQ(pa_result_count(result), 2);
  CHECK_EQ(LOAD(from.released), 0);
  counter_up(&gate);
  CHECK_STATUS(pa_drain(-1, NULL), PA_STATUS_OK, NULL);
  CHECK(from.delivered > 2);
  CHECK_EQ(from.items_released, from.delivered);
  CHECK_EQ(from.released, 1);
  CHECK_EQ(l.quiescent, 1);
  CHECK_EQ(pa_result_count(result), 2);
  pa_result_free(result);
  pa_stop_release(options.stop);
  ledger_free(&l);
}

// ---- in the background

TEST(freeing_a_detached_run_does_not_wait_for_its_calls) {
  ledger l;
  pa_options options = detached(&l, 10, 2);
  void** items = numbered(10);
  close_gate();
  pa_pending* pending;
  REQUIRE(pa_map_start(wait_at_gate, &l, items, 10, &options, &pending, NULL) == PA_STATUS_OK);
  counter_wait(&running, 2);
  pa_pending_free(pending);
  CHECK_EQ(LOAD(l.quiescent), 0);
  counter_up(&gate);
  CHECK_STATUS(pa_drain(-1, NULL), PA_STATUS_OK, NULL);
  CHECK_EQ(l.quiescent, 1);
  CHECK_EQ(ledger_total(l.calls, 10), 2);
  ledger_check_released(&l, 1);
  ledger_free(&l);
  free(items);
}

// ---- runs that end by themselves

TEST(a_detached_run_that_completes_is_like_any_other) {
  ledger l;
  pa_options options = detached(&l, 500, 3);
  void** items = numbered(500);
  close_gate();
  counter_up(&gate);
  pa_result* result = NULL;
  pa_error error;
  REQUIRE_STATUS(pa_map(wait_at_gate, &l, items, 500, &options, &result, &error), PA_STATUS_OK, &error);
  check_result(result);
  CHECK_EQ(pa_result_ok(result), 1);
  for (uint64_t i = 0; i < 500; i++) CHECK_EQ(l.calls[i], 1);
  CHECK_STATUS(pa_drain(-1, NULL), PA_STATUS_OK, NULL);
  CHECK_EQ(l.quiescent, 1);
  pa_result_free(result);
  ledger_check_released(&l, 1);
  ledger_free(&l);
  free(items);
}

static int32_t note_stop(void* ctx, void* item, void** value, pa_call* call) {
  (void)ctx, (void)item, (void)value;
  counter_up(&running);
  wait_until_stopped(call);  // a call that was left behind sees that, too
  return 0;
}

TEST(calls_that_were_left_behind_see_that_they_are_stopped) {
  ledger l;
  pa_options options = detached(&l, 2, 2);
  void** items = numbered(2);
  close_gate();
  REQUIRE(pa_stop_new(&options.stop, NULL) == PA_STATUS_OK);
  pthread_t stopper;
  REQUIRE(pthread_create(&stopper, NULL, stop_when_two_run, options.stop) == 0);
  pa_result* result = NULL;
  REQUIRE(pa_map(note_stop, &l, items, 2, &options, &result, NULL) == PA_STATUS_OK);
  pthread_join(stopper, NULL);
  CHECK_STATUS(pa_drain(-1, NULL), PA_STATUS_OK, NULL);
  CHECK_EQ(l.quiescent, 1);
  pa_result_free(result);
  pa_stop_release(options.stop);
  ledger_free(&l);
  free(items);
}

// ---- the process

static counter never = COUNTER_INIT;

static int32_t run_for_ever(void* ctx, void* item, void** value, pa_call* call) {
  (void)ctx, (void)item, (void)value, (void)call;
  counter_up(&running);
  counter_wait(&never, 1);
  return 0;
}

ROLE(exit_with_a_call_running) {
  static void* items[2];
  pa_options options = defaults();
  options.detach = 1;
  options.workers = 2;
  close_gate();
  REQUIRE(pa_stop_new(&options.stop, NULL) == PA_STATUS_OK);
  pthread_t stopper;
  REQUIRE(pthread_create(&stopper, NULL, stop_when_two_run, options.stop) == 0);
  pa_result* result = NULL;
  REQUIRE(pa_map(run_for_ever, NULL, items, 2, &options, &result, NULL) == PA_STATUS_OK);
  pthread_join(stopper, NULL);
  pa_result_free(result);
  pa_stop_release(options.stop);
}

TEST(the_exit_of_the_process_does_not_wait_for_detached_work) { check_role("exit_with_a_call_running"); }
