// options.on_result and options.on_progress: what is reported while a run goes on, on which thread, in which order.
#include "support.h"

typedef struct log {
  pthread_t caller;
  uint32_t busy;
  uint64_t results, progresses;
  uint64_t last_total;
  uint64_t seen[1000];
  int32_t states[1000];
  void* values[1000];
  uint64_t fail_result_at, fail_progress_at;  // 0: never
  int32_t code;
} log_t;

static int32_t note_result(void* ctx, const pa_outcome* outcome) {
  log_t* l = ctx;
  CHECK_EQ(COUNT_UP(l->busy), 1);
  CHECK(pthread_equal(pthread_self(), l->caller));
  CHECK_EQ(l->results, l->progresses);  // of the same item, on_result comes before on_progress
  l->results++;
  l->seen[outcome->index]++;
  l->states[outcome->index] = outcome->state;
  l->values[outcome->index] = outcome->value;
  CHECK(outcome->state == PA_ITEM_OK || outcome->state == PA_ITEM_FAILED);
  CHECK(outcome->attempts >= 1);
  CHECK_STR(outcome->message, outcome->state == PA_ITEM_OK ? "" : "bad");
  CHECK_EQ(outcome->code, outcome->state == PA_ITEM_OK ? 0 : 6);
  COUNT_DOWN(l->busy);
  return l->results == l->fail_result_at ? l->code : 0;
}

static int32_t note_progress(void* ctx, uint64_t done, uint64_t total) {
  log_t* l = ctx;
  CHECK_EQ(COUNT_UP(l->busy), 1);
  CHECK(pthread_equal(pthread_self(), l->caller));
  l->progresses++;
  CHECK_EQ(done, l->progresses);
  CHECK_EQ(done, l->results);
  CHECK_LE(done, total);
  CHECK(total >= l->last_total);
  l->last_total = total;
  COUNT_DOWN(l->busy);
  return l->progresses == l->fail_progress_at ? l->code : 0;
}

static pa_options reporting_to(log_t* l, int32_t executor) {
  memset(l, 0, sizeof *l);
  l->caller = pthread_self();
  pa_options options = defaults();
  options.executor = executor;
  options.workers = 3;
  options.on_result = note_result;
  options.result_ctx = l;
  options.on_progress = note_progress;
  options.progress_ctx = l;
  return options;
}

static int32_t fail_thirds(void* ctx, void* item, void** value, pa_call* call) {
  (void)ctx;
  *value = item;
  return pa_call_index(call) % 3 == 2 ? pa_call_fail(call, 6, "bad") : 0;
}

static log_t l;

TEST(each_item_that_was_done_is_reported_once_on_the_callers_thread) {
  for (int executor = PA_EXECUTOR_THREADS; executor <= PA_EXECUTOR_INLINE; executor++) {
    void** items = numbered(1000);
    const pa_options options = reporting_to(&l, executor);
    pa_result* result;
    pa_error error;
    REQUIRE_STATUS(pa_map(fail_thirds, NULL, items, 1000, &options, &result, &error), PA_STATUS_OK, &error);
    check_result(result);
    CHECK_EQ(l.results, 1000);
    CHECK_EQ(l.progresses, 1000);
    CHECK_EQ(l.last_total, 1000);
    for (uint64_t i = 0; i < 1000; i++) {
      CHECK_EQ(l.seen[i], 1);
      CHECK_EQ(l.states[i], outcome_at(result, i).state);
      CHECK(l.values[i] == pa_result_value(result, i));  // it stays with the result
    }
    pa_result_free(result);
    free(items);
  }
}

static int32_t not_on_the_caller(void* ctx, void* item, void** value, pa_call* call) {
  (void)item, (void)value, (void)call;
  CHECK(!pthread_equal(pthread_self(), *(pthread_t*)ctx));
  return 0;
}

TEST(the_caller_runs_no_items_while_it_reports) {
  pthread_t caller = pthread_self();
  void** items = numbered(500);
  const pa_options options = reporting_to(&l, PA_EXECUTOR_THREADS);
  pa_result* result;
  pa_error error;
  REQUIRE_STATUS(pa_map(not_on_the_caller, &caller, items, 500, &options, &result, &error), PA_STATUS_OK, &error);
  CHECK_EQ(l.results, 500);
  pa_result_free(result);
  free(items);
}

TEST(the_total_is_the_number_admitted_when_the_size_is_not_known) {
  numbers from = {500, 3, 0, 0, 0, 0, 0, NULL};
  const pa_source source = numbers_source(&from);
  const pa_options options = reporting_to(&l, PA_EXECUTOR_THREADS);
  pa_result* result;
  pa_error error;
  REQUIRE_STATUS(pa_map_source(fail_thirds, NULL, &source, &options, &result, &error), PA_STATUS_OK, &error);
  CHECK_EQ(l.progresses, 500);
  CHECK_EQ(l.last_total, 500);
  pa_result_free(result);
}

static int32_t total_is_500(void* ctx, uint64_t done, uint64_t total) {
  (void)ctx, (void)done;
  CHECK_EQ(total, 500);
  return 0;
}

TEST(the_total_is_the_number_declared_when_the_size_is_known) {
  numbers from = {500, 3, 0, 0, 0, 0, 0, NULL};
  pa_source source = numbers_source(&from);
  source.size_hint = 500;
  pa_options options = defaults();
  options.on_progress = total_is_500;
  pa_result* result;
  pa_error error;
  REQUIRE_STATUS(pa_map_source(echo, NULL, &source, &options, &result, &error), PA_STATUS_OK, &error);
  pa_result_free(result);
}

// ---- batches and ranges

static int32_t echo_batch(void* ctx, void* const* items, size_t count, void** values, pa_call* call) {
  (void)ctx;
  for (size_t i = 0; i < count; i++) {
    values[i] = items[i];
    if (number_of(items[i]) % 3 == 2) pa_call_fail_at(call, i, 6, "bad");
  }
  return 0;
}

TEST(the_items_of_a_batch_are_reported_one_by_one) {
  void** items = numbered(100);
  pa_options options = reporting_to(&l, PA_EXECUTOR_THREADS);
  options.batch.max_items = 7;
  pa_result* result;
  pa_error error;
  REQUIRE_STATUS(pa_map_batch(echo_batch, NULL, items, 100, &options, &result, &error), PA_STATUS_OK, &error);
  CHECK_EQ(l.results, 100);
  CHECK_EQ(l.progresses, 100);
  for (uint64_t i = 0; i < 100; i++) CHECK_EQ(l.states[i], i % 3 == 2 ? PA_ITEM_FAILED : PA_ITEM_OK);
  pa_result_free(result);
  free(items);
}

static int32_t whole_range(void* ctx, uint64_t first, uint64_t count, pa_call* call) {
  (void)ctx;
  for (uint64_t i = 0; i < count; i++)
    if ((first + i) % 3 == 2) pa_call_fail_at(call, (size_t)i, 6, "bad");
  return 0;
}

TEST(the_indices_of_a_range_are_reported_one_by_one) {
  const pa_options options = reporting_to(&l, PA_EXECUTOR_THREADS);
  pa_result* result;
  pa_error error;
  REQUIRE_STATUS(pa_map_range(whole_range, NULL, 1000, &options, &result, &error), PA_STATUS_OK, &error);
  CHECK_EQ(l.results, 1000);
  CHECK_EQ(l.progresses, 1000);
  for (uint64_t i = 0; i < 1000; i++) CHECK_EQ(l.seen[i], 1);
  pa_result_free(result);
}

// ---- what is not reported

TEST(items_that_were_never_done_are_not_reported) {
  void** items = numbered(100);
  pa_options options = reporting_to(&l, PA_EXECUTOR_THREADS);
  options.timeout_ns = 0;
  pa_result* result;
  pa_error error;
  REQUIRE_STATUS(pa_map(fail_thirds, NULL, items, 100, &options, &result, &error), PA_STATUS_OK, &error);
  CHECK_EQ(l.results, 0);
  CHECK_EQ(l.progresses, 0);
  pa_result_free(result);

  options = reporting_to(&l, PA_EXECUTOR_THREADS);
  options.max_errors = 2;
  REQUIRE_STATUS(pa_map(fail_thirds, NULL, items, 100, &options, &result, &error), PA_STATUS_OK, &error);
  CHECK_EQ(pa_result_end(result), PA_END_ABORTED);
  CHECK_EQ(l.results, count_state(result, PA_ITEM_OK) + count_state(result, PA_ITEM_FAILED));
  CHECK_EQ(l.progresses, l.results);
  pa_result_free(result);
  free(items);
}

static int32_t fail_first_attempt(void* ctx, void* item, void** value, pa_call* call) {
  (void)ctx, (void)item, (void)value;
  return pa_call_attempt(call) == 1 ? 1 : 0;
}

TEST(an_attempt_that_will_be_repeated_is_not_reported) {
  void** items = numbered(50);
  pa_options options = reporting_to(&l, PA_EXECUTOR_THREADS);
  options.retry.attempts = 2;
  options.retry.backoff_ns = 0;
  pa_result* result;
  pa_error error;
  REQUIRE_STATUS(pa_map(fail_first_attempt, NULL, items, 50, &options, &result, &error), PA_STATUS_OK, &error);
  CHECK_EQ(l.results, 50);
  for (uint64_t i = 0; i < 50; i++) CHECK_EQ(l.states[i], PA_ITEM_OK);
  pa_result_free(result);
  free(items);
}

// ---- callbacks that fail

static void check_refused(pa_options* options, uint64_t at) {
  void** items = numbered(1000);
  pa_result* result = NULL;
  pa_error error;
  REQUIRE_STATUS(pa_map(fail_thirds, NULL, items, 1000, options, &result, &error), PA_STATUS_CALLBACK, &error);
  CHECK_EQ(error.detail, l.code);
  REQUIRE(result != NULL);
  check_result(result);
  CHECK_EQ(pa_result_end(result), PA_END_FAILED);
  CHECK_EQ(l.results, at);  // the callback is not called again
  // What was done until then is kept, the item whose report was refused included; the others are aborted.
  for (uint64_t i = 0; i < 1000; i++)
    if (l.seen[i]) CHECK_EQ(outcome_at(result, i).state, l.states[i]);
  CHECK_EQ(count_state(result, PA_ITEM_OK) + count_state(result, PA_ITEM_FAILED) + count_state(result, PA_ITEM_ABORTED),
           1000);
  pa_result_free(result);
  free(items);
}

TEST(a_callback_that_fails_ends_the_run_with_its_code_and_never_loses_the_item) {
  for (int executor = PA_EXECUTOR_THREADS; executor <= PA_EXECUTOR_INLINE; executor++) {
    pa_options options = reporting_to(&l, executor);
    l.fail_result_at = 3;
    l.code = 1234;
    check_refused(&options, 3);
    options = reporting_to(&l, executor);
    l.fail_progress_at = 5;
    l.code = -77;
    check_refused(&options, 5);
    CHECK_EQ(l.progresses, 5);
  }
}

static int32_t count_results(void* ctx, const pa_outcome* outcome) {
  (void)outcome;
  COUNT_UP(*(uint32_t*)ctx);
  return 0;
}

TEST(each_of_the_two_callbacks_may_be_used_alone) {
  uint32_t results = 0;
  pa_options options = defaults();
  options.on_progress = total_is_500;
  pa_result* result;
  REQUIRE(pa_map_range(whole_range, NULL, 500, &options, &result, NULL) == PA_STATUS_OK);
  pa_result_free(result);
  options = defaults();
  options.on_result = count_results;
  options.result_ctx = &results;
  REQUIRE(pa_map_range(whole_range, NULL, 500, &options, &result, NULL) == PA_STATUS_OK);
  CHECK_EQ(results, 500);
  pa_result_free(result);
}

// The caller looks after reports while slow items run: the first is reported while the second still waits for that report.
static counter reported = COUNTER_INIT;

static int32_t second_waits_for_the_report_of_the_first(void* ctx, void* item, void** value, pa_call* call) {
  (void)ctx, (void)item, (void)value;
  if (pa_call_index(call) == 1) counter_wait(&reported, 1);
  return 0;
}

static int32_t say_reported(void* ctx, const pa_outcome* outcome) {
  (void)ctx, (void)outcome;
  counter_up(&reported);
  return 0;
}

TEST(reports_are_not_held_up_by_items_that_run) {
  void** items = numbered(2);
  pa_options options = defaults();
  options.workers = 1;
  options.on_result = say_reported;
  pa_result* result;
  pa_error error;
  REQUIRE_STATUS(pa_map(second_waits_for_the_report_of_the_first, NULL, items, 2, &options, &result, &error), PA_STATUS_OK,
                 &error);
  CHECK_EQ(pa_result_ok(result), 1);
  pa_result_free(result);
  free(items);
}
