// pa_map_start: a map in the background.
#include "support.h"

static counter gate = COUNTER_INIT;
static counter started = COUNTER_INIT;

static int32_t wait_at_gate(void* ctx, void* item, void** value, pa_call* call) {
  (void)ctx, (void)call;
  counter_up(&started);
  counter_wait(&gate, 1);
  *value = item;
  return 0;
}

static int32_t run_until_stopped(void* ctx, void* item, void** value, pa_call* call) {
  ledger* l = ctx;
  ledger_call(l, item);
  ledger_store(l, item, value);
  counter_up(&started);
  wait_until_stopped(call);
  return 0;
}

static pa_pending* start(pa_fn fn, void* ctx, void** items, uint64_t n, const pa_options* options) {
  pa_pending* pending = NULL;
  pa_error error;
  CHECK_STATUS(pa_map_start(fn, ctx, items, n, options, &pending, &error), PA_STATUS_OK, &error);
  if (!pending) abort();
  return pending;
}

TEST(a_run_in_the_background_is_waited_for_and_taken_once) {
  counter_reset(&gate);
  void** items = numbered(10);
  pa_pending* pending = start(wait_at_gate, NULL, items, 10, NULL);
  pa_error error;
  pa_result* result = (pa_result*)items;
  CHECK_STATUS(pa_pending_wait(pending, 0, &error), PA_STATUS_TIMEOUT, &error);
  CHECK_STATUS(pa_pending_wait(pending, MILLISECONDS, &error), PA_STATUS_TIMEOUT, &error);
  CHECK_STATUS(pa_pending_take(pending, &result, &error), PA_STATUS_AGAIN, &error);
  counter_up(&gate);
  CHECK_STATUS(pa_pending_wait(pending, -1, &error), PA_STATUS_OK, &error);
  CHECK_STATUS(pa_pending_wait(pending, 0, &error), PA_STATUS_OK, &error);
  REQUIRE_STATUS(pa_pending_take(pending, &result, &error), PA_STATUS_OK, &error);
  check_result(result);
  CHECK_EQ(pa_result_count(result), 10);
  CHECK_EQ(pa_result_ok(result), 1);
  for (uint64_t i = 0; i < 10; i++) CHECK(pa_result_value(result, i) == items[i]);
  pa_result* again = NULL;
  CHECK_STATUS(pa_pending_take(pending, &again, &error), PA_STATUS_DONE, &error);
  CHECK(again == NULL);
  CHECK_STATUS(pa_pending_wait(pending, -1, &error), PA_STATUS_OK, &error);
  pa_pending_free(pending);
  CHECK_EQ(number_of(pa_result_value(result, 9)), 9);  // the result outlives the handle
  pa_result_free(result);
  free(items);
}

TEST(start_returns_before_any_item_is_done) {
  counter_reset(&gate);
  void** items = numbered(3);
  pa_pending* pending = start(wait_at_gate, NULL, items, 3, NULL);
  CHECK_STATUS(pa_pending_wait(pending, 0, NULL), PA_STATUS_TIMEOUT, NULL);
  counter_up(&gate);
  CHECK_STATUS(pa_pending_wait(pending, HOURS, NULL), PA_STATUS_OK, NULL);
  pa_pending_free(pending);
  free(items);
}

TEST(the_options_are_read_only_during_the_call) {
  counter_reset(&gate);
  void** items = numbered(10);
  pa_options options = defaults();
  options.workers = 2;
  options.retry.attempts = 2;
  pa_pending* pending = start(wait_at_gate, NULL, items, 10, &options);
  memset(&options, 0xff, sizeof options);
  counter_up(&gate);
  CHECK_STATUS(pa_pending_wait(pending, -1, NULL), PA_STATUS_OK, NULL);
  pa_result* result;
  REQUIRE(pa_pending_take(pending, &result, NULL) == PA_STATUS_OK);
  CHECK_EQ(pa_result_ok(result), 1);
  pa_result_free(result);
  pa_pending_free(pending);
  free(items);
}

TEST(an_empty_input_completes_in_the_background) {
  pa_pending* pending = start(return_0, NULL, NULL, 0, NULL);
  CHECK_STATUS(pa_pending_wait(pending, -1, NULL), PA_STATUS_OK, NULL);
  pa_result* result;
  REQUIRE(pa_pending_take(pending, &result, NULL) == PA_STATUS_OK);
  CHECK_EQ(pa_result_count(result), 0);
  CHECK_EQ(pa_result_ok(result), 1);
  pa_result_free(result);
  pa_pending_free(pending);
}

TEST(freeing_a_run_that_goes_on_stops_it_and_waits_for_its_calls) {
  counter_reset(&started);
  ledger l;
  ledger_init(&l, 100);
  void** items = numbered(100);
  pa_options options = defaults();
  options.workers = 2;
  ledger_watch(&l, &options);
  pa_pending* pending = start(run_until_stopped, &l, items, 100, &options);
  counter_wait(&started, 2);
  pa_pending_free(pending);
  CHECK_EQ(ledger_total(l.calls, 100), 2);
  CHECK_EQ(l.quiescent, 1);
  ledger_check_released(&l, 1);
  ledger_free(&l);
  free(items);
}

TEST(freeing_the_handle_frees_a_result_that_was_not_taken) {
  ledger l;
  ledger_init(&l, 100);
  void** items = numbered(100);
  pa_options options = defaults();
  ledger_watch(&l, &options);
  pa_error error;
  REQUIRE_STATUS(pa_stop_new(&options.stop, &error), PA_STATUS_OK, &error);
  counter_reset(&started);
  pa_pending* pending = start(run_until_stopped, &l, items, 100, &options);
  counter_wait(&started, 1);
  pa_stop_request(options.stop);
  CHECK_STATUS(pa_pending_wait(pending, -1, &error), PA_STATUS_OK, &error);
  CHECK_EQ(ledger_total(l.values_released, 100), 0);
  pa_pending_free(pending);
  CHECK(ledger_total(l.values_stored, 100) > 0);
  ledger_check_released(&l, 1);
  pa_stop_release(options.stop);
  ledger_free(&l);
  free(items);
}

TEST(freeing_null_does_nothing) { pa_pending_free(NULL); }

static pthread_t starter;
static pthread_t reporter;
static uint32_t reports, reporting;

static int32_t report(void* ctx, const pa_outcome* outcome) {
  (void)ctx, (void)outcome;
  CHECK_EQ(COUNT_UP(reporting), 1);
  CHECK(!pthread_equal(pthread_self(), starter));
  if (COUNT_UP(reports) == 1) reporter = pthread_self();
  CHECK(pthread_equal(pthread_self(), reporter));
  COUNT_DOWN(reporting);
  return 0;
}

static int32_t report_progress(void* ctx, uint64_t done, uint64_t total) {
  (void)ctx;
  CHECK_EQ(COUNT_UP(reporting), 1);
  CHECK(pthread_equal(pthread_self(), reporter));
  CHECK_EQ(done, LOAD(reports));
  CHECK_EQ(total, 500);
  COUNT_DOWN(reporting);
  return 0;
}

TEST(callbacks_come_on_one_thread_of_the_library) {
  starter = pthread_self();
  reports = 0;
  void** items = numbered(500);
  pa_options options = defaults();
  options.workers = 3;
  options.on_result = report;
  options.on_progress = report_progress;
  pa_pending* pending = start(return_0, NULL, items, 500, &options);
  CHECK_STATUS(pa_pending_wait(pending, -1, NULL), PA_STATUS_OK, NULL);
  CHECK_EQ(LOAD(reports), 500);
  pa_pending_free(pending);
  free(items);
}

static int32_t refuse_the_third(void* ctx, uint64_t done, uint64_t total) {
  (void)ctx, (void)total;
  return done == 3 ? 17 : 0;
}

TEST(take_returns_what_map_would_have_returned) {
  void** items = numbered(50);
  pa_options options = defaults();
  options.on_progress = refuse_the_third;
  pa_pending* pending = start(return_0, NULL, items, 50, &options);
  pa_error error;
  CHECK_STATUS(pa_pending_wait(pending, -1, &error), PA_STATUS_OK, &error);
  pa_result* result = NULL;
  CHECK_STATUS(pa_pending_take(pending, &result, &error), PA_STATUS_CALLBACK, &error);
  CHECK_EQ(error.detail, 17);
  REQUIRE(result != NULL);
  check_result(result);
  CHECK_EQ(pa_result_end(result), PA_END_FAILED);
  pa_result* again = NULL;
  CHECK_STATUS(pa_pending_take(pending, &again, &error), PA_STATUS_DONE, &error);
  CHECK(again == NULL);
  pa_result_free(result);
  pa_pending_free(pending);
  free(items);
}

static uint64_t next_index;

static int32_t check_order(void* ctx, void* item, void** value, pa_call* call) {
  (void)ctx, (void)item, (void)value;
  CHECK_EQ(pa_call_index(call), next_index);
  next_index++;
  return 0;
}

TEST(with_the_inline_executor_items_run_one_by_one_in_input_order) {
  next_index = 0;
  void** items = numbered(50);
  pa_options options = defaults();
  options.executor = PA_EXECUTOR_INLINE;
  pa_pending* pending = start(check_order, NULL, items, 50, &options);
  CHECK_STATUS(pa_pending_wait(pending, -1, NULL), PA_STATUS_OK, NULL);
  pa_result* result;
  REQUIRE(pa_pending_take(pending, &result, NULL) == PA_STATUS_OK);
  CHECK_EQ(pa_result_ok(result), 1);
  CHECK_EQ(next_index, 50);
  pa_result_free(result);
  pa_pending_free(pending);
  free(items);
}

TEST(many_runs_in_the_background_at_once) {
  enum { runs = 20 };
  void** items = numbered(100);
  pa_pending* pending[runs];
  for (int i = 0; i < runs; i++) pending[i] = start(echo, NULL, items, 100, NULL);
  for (int i = 0; i < runs; i++) {
    CHECK_STATUS(pa_pending_wait(pending[i], -1, NULL), PA_STATUS_OK, NULL);
    pa_result* result;
    REQUIRE(pa_pending_take(pending[i], &result, NULL) == PA_STATUS_OK);
    CHECK_EQ(pa_result_ok(result), 1);
    pa_result_free(result);
    pa_pending_free(pending[i]);
  }
  free(items);
}

static void* wait_for(void* pending) {
  CHECK_STATUS(pa_pending_wait(pending, -1, NULL), PA_STATUS_OK, NULL);
  return NULL;
}

TEST(several_threads_may_wait_for_one_run) {
  counter_reset(&gate);
  void** items = numbered(2);
  pa_pending* pending = start(wait_at_gate, NULL, items, 2, NULL);
  pthread_t threads[3];
  for (int i = 0; i < 3; i++) REQUIRE(pthread_create(&threads[i], NULL, wait_for, pending) == 0);
  counter_up(&gate);
  for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
  pa_pending_free(pending);
  free(items);
}
