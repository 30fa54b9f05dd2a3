// options.worker_start and worker_stop: state that belongs to a thread.
#include <unistd.h>

#include "support.h"

static __thread uint32_t state_of_this_thread;

typedef struct hooks {
  uint32_t starts, stops, inside;
  uint32_t refuse_from;  // starts from this one on fail; 0: none
  int32_t code;
  pthread_t thread;
} hooks;

static int32_t start(void* ctx) {
  hooks* h = ctx;
  const uint32_t nth = COUNT_UP(h->starts);
  if (h->refuse_from && nth >= h->refuse_from) return h->code;
  CHECK_EQ(state_of_this_thread, 0);
  state_of_this_thread = 1;
  COUNT_UP(h->inside);
  return 0;
}

static void stop(void* ctx) {
  hooks* h = ctx;
  CHECK_EQ(state_of_this_thread, 1);
  state_of_this_thread = 0;
  COUNT_UP(h->stops);
  COUNT_DOWN(h->inside);
}

static int32_t check_state(void* ctx, void* item, void** value, pa_call* call) {
  (void)ctx, (void)item, (void)value, (void)call;
  CHECK_EQ(state_of_this_thread, 1);
  return 0;
}

static pa_options hooked(hooks* h, uint32_t workers) {
  pa_options options = defaults();
  options.workers = workers;
  options.worker_start = start;
  options.worker_stop = stop;
  options.worker_ctx = h;
  return options;
}

TEST(each_worker_is_started_before_its_first_item_and_stopped_after_its_last) {
  void** items = numbered(1000);
  for (uint32_t workers = 1; workers <= 8; workers++) {
    hooks h = {0};
    const pa_options options = hooked(&h, workers);
    pa_result* result;
    pa_error error;
    REQUIRE_STATUS(pa_map(check_state, NULL, items, 1000, &options, &result, &error), PA_STATUS_OK, &error);
    CHECK_EQ(pa_result_ok(result), 1);
    CHECK(h.starts >= 1);
    CHECK_LE(h.starts, workers);
    CHECK_EQ(h.stops, h.starts);
    CHECK_EQ(h.inside, 0);
    pa_result_free(result);
  }
  free(items);
}

static counter arrived = COUNTER_INIT;

static int32_t meet(void* ctx, void* item, void** value, pa_call* call) {
  (void)item, (void)value, (void)call;
  CHECK_EQ(state_of_this_thread, 1);
  counter_up(&arrived);
  counter_wait(&arrived, *(uint64_t*)ctx);
  return 0;
}

TEST(as_many_workers_as_take_part_are_started) {
  uint64_t n = 5;
  void** items = numbered(n);
  hooks h = {0};
  const pa_options options = hooked(&h, 5);
  counter_reset(&arrived);
  pa_result* result;
  pa_error error;
  REQUIRE_STATUS(pa_map(meet, &n, items, n, &options, &result, &error), PA_STATUS_OK, &error);
  CHECK_EQ(h.starts, 5);
  CHECK_EQ(h.stops, 5);
  pa_result_free(result);
  free(items);
}

static int32_t start_on_caller(void* ctx) {
  CHECK(pthread_equal(pthread_self(), ((hooks*)ctx)->thread));
  return start(ctx);
}

TEST(with_the_inline_executor_the_caller_is_the_one_worker) {
  void** items = numbered(100);
  hooks h = {0};
  h.thread = pthread_self();
  pa_options options = hooked(&h, 7);
  options.executor = PA_EXECUTOR_INLINE;
  options.worker_start = start_on_caller;
  pa_result* result;
  pa_error error;
  REQUIRE_STATUS(pa_map(check_state, NULL, items, 100, &options, &result, &error), PA_STATUS_OK, &error);
  CHECK_EQ(h.starts, 1);
  CHECK_EQ(h.stops, 1);
  pa_result_free(result);
  free(items);
}

static void run_refused(hooks* h, pa_options* options) {
  void** items = numbered(100);
  uint32_t calls = 0;
  pa_result* result = NULL;
  pa_error error;
  REQUIRE_STATUS(pa_map(count_calls, &calls, items, 100, options, &result, &error), PA_STATUS_WORKER_START, &error);
  CHECK_EQ(error.detail, h->code);
  REQUIRE(result != NULL);
  check_result(result);
  CHECK_EQ(pa_result_end(result), PA_END_FAILED);
  CHECK_EQ(pa_result_count(result), 100);
  CHECK_EQ(count_state(result, PA_ITEM_OK), calls);
  CHECK_EQ(count_state(result, PA_ITEM_ABORTED), 100 - calls);
  CHECK_STATUS(pa_result_check(result, &error), PA_STATUS_WORKER_START, &error);
  CHECK_EQ(h->inside, 0);
  if (h->refuse_from == 1) {
    CHECK_EQ(calls, 0);
    CHECK_EQ(h->stops, 0);  // none for a worker that did not start
  }
  pa_result_free(result);
  free(items);
}

TEST(a_worker_start_that_fails_fails_the_run_and_does_not_hang_it) {
  for (uint32_t workers = 1; workers <= 4; workers++) {
    hooks h = {0};
    h.refuse_from = 1;
    h.code = -4321;
    pa_options options = hooked(&h, workers);
    run_refused(&h, &options);
    memset(&h, 0, sizeof h);
    h.refuse_from = 1;
    h.code = 7;
    options.executor = PA_EXECUTOR_INLINE;
    run_refused(&h, &options);
  }
}

// The second worker fails to start while the first runs an item.
static int32_t refuse_second(void* ctx) {
  const int32_t code = start(ctx);
  if (code != 0) counter_wait(&arrived, 1);
  return code;
}

static int32_t wait_for_the_refusal(void* ctx, void* item, void** value, pa_call* call) {
  (void)ctx, (void)item, (void)value;
  counter_up(&arrived);
  wait_until_stopped(call);
  return 0;
}

TEST(a_worker_that_fails_to_start_ends_a_run_that_others_work_on) {
  counter_reset(&arrived);
  void** items = numbered(10);
  hooks h = {0};
  h.refuse_from = 2;
  h.code = 5;
  pa_options options = hooked(&h, 2);
  options.worker_start = refuse_second;
  pa_result* result = NULL;
  pa_error error;
  REQUIRE_STATUS(pa_map(wait_for_the_refusal, NULL, items, 10, &options, &result, &error), PA_STATUS_WORKER_START, &error);
  check_result(result);
  CHECK_EQ(count_state(result, PA_ITEM_OK), 1);
  CHECK_EQ(h.stops, 1);
  pa_result_free(result);
  free(items);
}

TEST(hooks_are_called_for_each_run_though_threads_persist) {
  void** items = numbered(100);
  for (int run = 0; run < 20; run++) {
    hooks h = {0};
    const pa_options options = hooked(&h, 3);
    pa_result* result;
    REQUIRE(pa_map(check_state, NULL, items, 100, &options, &result, NULL) == PA_STATUS_OK);
    CHECK_EQ(h.stops, h.starts);
    CHECK(h.starts >= 1);
    pa_result_free(result);
  }
  free(items);
}

static int32_t count_start(void* ctx) {
  COUNT_UP(((hooks*)ctx)->starts);
  return 0;
}

static void count_stop(void* ctx) { COUNT_UP(((hooks*)ctx)->stops); }

TEST(either_hook_may_be_used_alone) {
  void** items = numbered(100);
  hooks h = {0};
  pa_options options = hooked(&h, 2);
  options.worker_start = count_start;
  options.worker_stop = NULL;
  pa_result* result;
  REQUIRE(pa_map(return_0, NULL, items, 100, &options, &result, NULL) == PA_STATUS_OK);
  pa_result_free(result);
  CHECK(h.starts >= 1 && h.starts <= 2);
  options.worker_start = NULL;
  options.worker_stop = count_stop;
  REQUIRE(pa_map(return_0, NULL, items, 100, &options, &result, NULL) == PA_STATUS_OK);
  pa_result_free(result);
  CHECK(h.stops >= 1 && h.stops <= 2);
  free(items);
}

static counter supplied = COUNTER_INIT, ran = COUNTER_INIT, starting = COUNTER_INIT;

// Takes long enough for the other takers to go to sleep.
static int32_t supply_one_slowly(void* ctx, void** items, size_t max, size_t* got) {
  (void)ctx, (void)max;
  usleep(2000);
  items[0] = &supplied;
  *got = counter_up(&supplied) == 1;
  return 0;
}

static int32_t wait_for_the_item(void* ctx) {
  (void)ctx;
  if (counter_up(&starting) == 1) counter_wait(&ran, 1);
  return 0;
}

static int32_t note_the_run(void* ctx, void* item, void** value, pa_call* call) {
  (void)ctx, (void)item, (void)value, (void)call;
  counter_up(&ran);
  return 0;
}

TEST(while_one_worker_starts_another_runs_what_it_was_to_run) {
  counter_reset(&supplied);
  counter_reset(&ran);
  counter_reset(&starting);
  pa_source source;
  pa_source_init(&source, sizeof source);
  source.next = supply_one_slowly;
  pa_options options = defaults();
  options.workers = 2;
  options.window = 1;  // there is nothing else to wake anybody for
  options.worker_start = wait_for_the_item;
  pa_result* result;
  pa_error error;
  REQUIRE_STATUS(pa_map_source(note_the_run, NULL, &source, &options, &result, &error), PA_STATUS_OK, &error);
  CHECK_EQ(pa_result_count(result), 1);
  pa_result_free(result);
}
