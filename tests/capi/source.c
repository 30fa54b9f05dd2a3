// pa_source: inputs that are made on demand, and given back.
#include <errno.h>

#include "support.h"

static numbers of(uint64_t n, uint64_t at_a_time) {
  const numbers from = {n, at_a_time, 0, 0, 0, 0, 0, NULL};
  return from;
}

static pa_result* map(pa_fn fn, void* ctx, const pa_source* source, const pa_options* options, pa_status want) {
  pa_result* result = NULL;
  pa_error error;
  CHECK_STATUS(pa_map_source(fn, ctx, source, options, &result, &error), want, &error);
  if (!result) abort();
  check_result(result);
  return result;
}

TEST(init_fills_with_zeroes_and_an_unknown_size) {
  pa_source source;
  memset(&source, 0xff, sizeof source);
  pa_source_init(&source, sizeof source);
  CHECK_EQ(source.struct_size, sizeof source);
  CHECK_EQ(source.size_hint, PA_UNSIZED);
  CHECK(source.next == NULL && source.ctx == NULL && source.release_item == NULL && source.release == NULL);
  CHECK_EQ(source.reserved, 0);
}

TEST(indices_are_the_order_of_delivery) {
  const uint64_t chunks[] = {0, 1, 7};
  for (int i = 0; i < 3; i++) {
    numbers from = of(500, chunks[i]);
    const pa_source source = numbers_source(&from);
    pa_options options = defaults();
    options.workers = 3;
    pa_result* result = map(echo, NULL, &source, &options, PA_STATUS_OK);
    CHECK_EQ(pa_result_count(result), 500);
    CHECK_EQ(pa_result_ok(result), 1);
    for (uint64_t at = 0; at < 500; at++) CHECK_EQ(number_of(pa_result_value(result, at)), at);
    CHECK_EQ(from.items_released, 500);
    CHECK_EQ(from.released, 1);
    pa_result_free(result);
  }
}

TEST(a_source_without_inputs_completes) {
  numbers from = of(0, 0);
  const pa_source source = numbers_source(&from);
  pa_result* result = map(echo, NULL, &source, NULL, PA_STATUS_OK);
  CHECK_EQ(pa_result_count(result), 0);
  CHECK_EQ(pa_result_ok(result), 1);
  CHECK_EQ(from.released, 1);
  pa_result_free(result);
}

TEST(a_source_may_deliver_more_or_fewer_than_its_hint) {
  const uint64_t hints[] = {0, 3, 1000};
  for (int i = 0; i < 3; i++) {
    numbers from = of(100, 9);
    pa_source source = numbers_source(&from);
    source.size_hint = hints[i];
    pa_result* result = map(echo, NULL, &source, NULL, PA_STATUS_OK);
    CHECK_EQ(pa_result_count(result), 100);
    CHECK_EQ(pa_result_ok(result), 1);
    pa_result_free(result);
  }
}

TEST(a_result_that_ends_early_has_one_entry_for_each_declared_input) {
  numbers from = of(100, 9);
  pa_source source = numbers_source(&from);
  source.size_hint = 50;
  pa_options options = defaults();
  options.timeout_ns = 0;
  pa_result* result = map(echo, NULL, &source, &options, PA_STATUS_OK);
  CHECK_EQ(pa_result_count(result), 50);
  CHECK_EQ(count_state(result, PA_ITEM_TIMED_OUT), 50);
  CHECK_EQ(from.pulls, 0);
  CHECK_EQ(from.released, 1);
  pa_result_free(result);
}

static int32_t fail_all(void* ctx, void* item, void** value, pa_call* call) {
  (void)ctx, (void)item, (void)value, (void)call;
  return 1;
}

TEST(a_result_that_ends_early_has_one_entry_for_each_delivered_input_beyond_the_declared) {
  numbers from = of(100, 1);
  pa_source source = numbers_source(&from);
  source.size_hint = 2;
  pa_options options = defaults();
  options.workers = 1;
  options.window = 1;
  options.max_errors = 10;
  pa_result* result = map(fail_all, NULL, &source, &options, PA_STATUS_OK);
  CHECK_EQ(pa_result_end(result), PA_END_ABORTED);
  CHECK_EQ(pa_result_count(result), from.delivered);
  CHECK_EQ(count_state(result, PA_ITEM_FAILED), 10);
  CHECK_EQ(from.items_released, from.delivered);
  pa_result_free(result);
}

TEST(an_endless_source_is_pulled_no_further_once_the_run_has_ended) {
  numbers from = of(UINT64_MAX, 3);
  const pa_source source = numbers_source(&from);
  pa_options options = defaults();
  options.workers = 2;
  options.max_errors = 20;
  options.window = 8;
  pa_result* result = map(fail_all, NULL, &source, &options, PA_STATUS_OK);
  CHECK_EQ(pa_result_end(result), PA_END_ABORTED);
  CHECK_LE(from.delivered, 20 + 8);
  CHECK_EQ(pa_result_count(result), from.delivered);
  CHECK_EQ(from.items_released, from.delivered);
  CHECK_EQ(from.released, 1);
  pa_result_free(result);
}

// ---- a source that fails

typedef struct failing {
  numbers numbers;
  uint64_t fail_after;  // so many inputs
  int32_t code;
  uint64_t kept;  // inputs of the calls that did not fail
} failing;

static int32_t failing_next(void* ctx, void** items, size_t max, size_t* got) {
  failing* from = ctx;
  CHECK_EQ(numbers_next(&from->numbers, items, max, got), 0);
  if (from->numbers.delivered > from->fail_after) return from->code;
  from->kept = from->numbers.delivered;
  return 0;
}

static void run_failing(int32_t code, int executor) {
  failing from = {of(100, 5), 20, code, 0};
  pa_source source = numbers_source(&from.numbers);
  source.next = failing_next;
  pa_options options = defaults();
  options.executor = executor;
  options.timeout_ns = HOURS;
  pa_result* result = NULL;
  pa_error error;
  REQUIRE_STATUS(pa_map_source(echo, NULL, &source, &options, &result, &error), PA_STATUS_SOURCE, &error);
  CHECK_EQ(error.status, PA_STATUS_SOURCE);
  CHECK_EQ(error.detail, code);
  REQUIRE(result != NULL);
  check_result(result);
  CHECK_EQ(pa_result_end(result), PA_END_FAILED);
  CHECK_EQ(pa_result_count(result), from.kept);  // what the failing call stored is ignored
  CHECK_EQ(count_state(result, PA_ITEM_OK) + count_state(result, PA_ITEM_ABORTED), from.kept);
  CHECK_EQ(from.numbers.items_released, from.kept);
  CHECK_EQ(from.numbers.released, 1);
  CHECK_STATUS(pa_result_check(result, &error), PA_STATUS_SOURCE, &error);
  pa_result_free(result);
}

TEST(a_source_that_fails_ends_the_run_with_its_code) {
  run_failing(5, PA_EXECUTOR_THREADS);
  run_failing(-12345, PA_EXECUTOR_INLINE);
}

TEST(a_source_that_fails_with_a_timeout_of_its_own_is_not_a_run_that_timed_out) {
  run_failing(ETIMEDOUT, PA_EXECUTOR_THREADS);
  run_failing(PA_STATUS_TIMED_OUT, PA_EXECUTOR_THREADS);
  run_failing(PA_STATUS_TIMEOUT, PA_EXECUTOR_THREADS);
}

TEST(a_source_that_fails_at_once_leaves_an_empty_result) {
  failing from = {of(100, 5), 0, 3, 0};
  pa_source source = numbers_source(&from.numbers);
  source.next = failing_next;
  pa_result* result = map(echo, NULL, &source, NULL, PA_STATUS_SOURCE);
  CHECK_EQ(pa_result_count(result), 0);
  CHECK_EQ(pa_result_ok(result), 0);
  CHECK_EQ(from.numbers.items_released, 0);
  CHECK_EQ(from.numbers.released, 1);
  pa_result_free(result);
}

// Two items run, the source fails meanwhile: nothing more is admitted, and the run waits for the two.
typedef struct meanwhile {
  counter running;
  uint32_t pulls;
  uint32_t calls, finished;
} meanwhile;

static int32_t run_until_stopped(void* ctx, void* item, void** value, pa_call* call) {
  meanwhile* m = ctx;
  COUNT_UP(m->calls);
  counter_up(&m->running);
  wait_until_stopped(call);
  *value = item;
  COUNT_UP(m->finished);
  return 0;
}

static int32_t fail_when_two_run(void* ctx, void** items, size_t max, size_t* got) {
  meanwhile* m = ctx;
  (void)max;
  items[0] = m;
  *got = 1;
  if (++m->pulls <= 2) return 0;
  counter_wait(&m->running, 2);
  return 9;
}

TEST(when_a_source_fails_with_slow_tasks_running_admission_stops_and_they_keep_their_outcome) {
  meanwhile m = {COUNTER_INIT, 0, 0, 0};
  pa_source source;
  pa_source_init(&source, sizeof source);
  source.next = fail_when_two_run;
  source.ctx = &m;
  pa_options options = defaults();
  options.workers = 3;
  pa_result* result = map(run_until_stopped, &m, &source, &options, PA_STATUS_SOURCE);
  CHECK_EQ(m.calls, 2);
  CHECK_EQ(m.finished, 2);
  CHECK_EQ(m.pulls, 3);
  CHECK_EQ(count_state(result, PA_ITEM_OK), 2);
  pa_result_free(result);
}

// ---- who calls it, and when

static counter one_ran = COUNTER_INIT;

static int32_t say_that_one_ran(void* ctx, void* item, void** value, pa_call* call) {
  (void)ctx, (void)item, (void)value, (void)call;
  counter_up(&one_ran);
  return 0;
}

static int32_t wait_for_what_was_delivered(void* ctx, void** items, size_t max, size_t* got) {
  uint32_t* delivered = ctx;
  (void)max;
  counter_wait(&one_ran, *delivered);
  *got = *delivered < 20;
  if (*got) items[0] = NULL, ++*delivered;
  return 0;
}

TEST(a_source_that_blocks_holds_up_no_worker) {
  for (uint32_t workers = 1; workers <= 3; workers += 2) {
    counter_reset(&one_ran);
    uint32_t delivered = 0;
    pa_source source;
    pa_source_init(&source, sizeof source);
    source.next = wait_for_what_was_delivered;
    source.ctx = &delivered;
    pa_options options = defaults();
    options.workers = workers;
    pa_result* result = map(say_that_one_ran, NULL, &source, &options, PA_STATUS_OK);
    CHECK_EQ(pa_result_count(result), 20);
    CHECK_EQ(pa_result_ok(result), 1);
    pa_result_free(result);
  }
}

static uint32_t results_seen;

static int32_t count_results(void* ctx, const pa_outcome* outcome) {
  (void)ctx, (void)outcome;
  COUNT_UP(results_seen);
  return 0;
}

static int32_t wait_until_it_was_reported(void* ctx, void** items, size_t max, size_t* got) {
  uint32_t* delivered = ctx;
  (void)max;
  WAIT_UNTIL(LOAD(results_seen) >= *delivered);
  *got = *delivered < 10;
  if (*got) items[0] = NULL, ++*delivered;
  return 0;
}

TEST(a_source_that_blocks_holds_up_no_report) {
  results_seen = 0;
  uint32_t delivered = 0;
  pa_source source;
  pa_source_init(&source, sizeof source);
  source.next = wait_until_it_was_reported;
  source.ctx = &delivered;
  pa_options options = defaults();
  options.workers = 1;
  options.on_result = count_results;
  pa_result* result = map(return_0, NULL, &source, &options, PA_STATUS_OK);
  CHECK_EQ(results_seen, 10);
  pa_result_free(result);
}

static pthread_t caller;

static int32_t next_on_the_caller(void* ctx, void** items, size_t max, size_t* got) {
  CHECK(pthread_equal(pthread_self(), caller));
  return numbers_next(ctx, items, max, got);
}

TEST(with_the_inline_executor_the_caller_pulls_one_by_one_no_further_than_needed) {
  caller = pthread_self();
  numbers from = of(30, 0);
  pa_source source = numbers_source(&from);
  source.next = next_on_the_caller;
  pa_options options = defaults();
  options.executor = PA_EXECUTOR_INLINE;
  pa_result* result = map(echo, NULL, &source, &options, PA_STATUS_OK);
  CHECK_EQ(pa_result_count(result), 30);
  pa_result_free(result);
}

typedef struct forgetful {
  numbers numbers;
  pa_source* original;
} forgetful;

static int32_t next_and_forget(void* ctx, void** items, size_t max, size_t* got) {
  forgetful* from = ctx;
  memset(from->original, 0, sizeof *from->original);
  return numbers_next(&from->numbers, items, max, got);
}

TEST(the_source_is_copied) {
  forgetful from = {of(50, 4), NULL};
  pa_source source = numbers_source(&from.numbers);
  from.original = &source;
  source.next = next_and_forget;
  pa_result* result = map(echo, NULL, &source, NULL, PA_STATUS_OK);
  CHECK_EQ(pa_result_count(result), 50);
  CHECK_EQ(from.numbers.items_released, 50);
  CHECK_EQ(from.numbers.released, 1);
  pa_result_free(result);
}

TEST(a_source_needs_no_release_callbacks) {
  numbers from = of(50, 4);
  pa_source source = numbers_source(&from);
  source.release = NULL;
  source.release_item = NULL;
  pa_result* result = map(echo, NULL, &source, NULL, PA_STATUS_OK);
  CHECK_EQ(pa_result_ok(result), 1);
  pa_result_free(result);
}

// ---- releases, exactly once on every path

static uint32_t item_is_running;

static int32_t mark_running(void* ctx, void* item, void** value, pa_call* call) {
  (void)ctx, (void)item, (void)value;
  STORE(item_is_running, 1);
  const int32_t code = pa_call_attempt(call) < 2 ? 1 : 0;
  STORE(item_is_running, 0);
  return code;
}

static void release_when_done(void* ctx, void* item) {
  CHECK_EQ(LOAD(item_is_running), 0);
  numbers_release_item(ctx, item);
}

TEST(an_item_is_released_when_it_is_done_for_good) {
  ledger l;
  ledger_init(&l, 40);
  numbers from = of(40, 3);
  from.ledger = &l;
  pa_source source = numbers_source(&from);
  source.release_item = release_when_done;
  pa_options options = defaults();
  options.executor = PA_EXECUTOR_INLINE;
  options.retry.attempts = 2;
  options.retry.backoff_ns = 0;
  pa_result* result = map(mark_running, NULL, &source, &options, PA_STATUS_OK);
  CHECK_EQ(pa_result_ok(result), 1);
  ledger_check_released(&l, 1);
  pa_result_free(result);
  ledger_free(&l);
}

static int32_t stop_at_30(void* ctx, void* item, void** value, pa_call* call) {
  (void)item, (void)value;
  if (pa_call_index(call) == 30) pa_stop_request(ctx);
  return 0;
}

TEST(every_delivered_item_is_released_also_when_the_run_is_stopped) {
  for (uint32_t workers = 1; workers <= 4; workers++) {
    ledger l;
    ledger_init(&l, 1000);
    numbers from = of(1000, 6);
    from.ledger = &l;
    const pa_source source = numbers_source(&from);
    pa_options options = defaults();
    options.workers = workers;
    options.window = 64;
    pa_error error;
    REQUIRE_STATUS(pa_stop_new(&options.stop, &error), PA_STATUS_OK, &error);
    pa_result* result = map(stop_at_30, options.stop, &source, &options, PA_STATUS_OK);
    CHECK_EQ(pa_result_end(result), PA_END_CANCELLED);
    CHECK_EQ(from.items_released, from.delivered);
    CHECK_EQ(pa_result_count(result), from.delivered);
    for (uint64_t i = 0; i < 1000; i++) CHECK_EQ(l.items_released[i], i < from.delivered);
    CHECK_EQ(from.released, 1);
    pa_result_free(result);
    pa_stop_release(options.stop);
    ledger_free(&l);
  }
}

// ---- nothing in flight, and the time passes

typedef struct late {
  int64_t timeout_ns, started;
  uint32_t pulls;
} late;

static int32_t end_after_the_deadline(void* ctx, void** items, size_t max, size_t* got) {
  late* from = ctx;
  (void)max;
  *got = 1;
  items[0] = NULL;
  if (from->pulls == 0) from->started = now_ns();
  if (++from->pulls <= 3) return 0;
  wait_until_ns(from->started + from->timeout_ns);
  *got = 0;
  return 0;
}

// The deadline must pass while the source is asked a fourth time, all items before being done: a slow machine may need a
// longer timeout for that.
TEST(a_timeout_while_nothing_is_in_flight_is_not_ok_though_all_entries_are) {
  int shown = 0;
  GROWING_TIMEOUT(timeout_ns, shown) {
    late from = {timeout_ns, 0, 0};
    pa_source source;
    pa_source_init(&source, sizeof source);
    source.next = end_after_the_deadline;
    source.ctx = &from;
    pa_options options = defaults();
    options.timeout_ns = timeout_ns;
    options.workers = 1;
    pa_result* result = NULL;
    pa_error error;
    REQUIRE_STATUS(pa_map_source(return_0, NULL, &source, &options, &result, &error), PA_STATUS_OK, &error);
    check_result(result);
    CHECK_EQ(pa_result_end(result), PA_END_TIMED_OUT);
    CHECK_EQ(pa_result_ok(result), 0);
    shown = from.pulls == 4 && count_state(result, PA_ITEM_OK) == 3;
    if (shown) CHECK_EQ(pa_result_count(result), 3);
    if (shown) CHECK_STATUS(pa_result_check(result, &error), PA_STATUS_TIMED_OUT, &error);
    pa_result_free(result);
  }
  CHECK(shown);
}
