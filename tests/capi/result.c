// pa_result: what became of each item.
#include "support.h"

static int32_t three_of_ten(void* ctx, void* item, void** value, pa_call* call) {
  (void)ctx;
  *value = item;
  switch (pa_call_index(call)) {
    case 3:
      return pa_call_fail(call, 404, "not 200");
    case 5:
      return pa_call_fail(call, 500, "broken");
    case 9:
      return pa_call_fail(call, 501, "missing");
    default:
      return 0;
  }
}

static pa_result* map_ten(pa_options* options) {
  void** items = numbered(10);
  pa_result* result = NULL;
  pa_error error;
  CHECK_STATUS(pa_map(three_of_ten, NULL, items, 10, options, &result, &error), PA_STATUS_OK, &error);
  free(items);
  if (!result) abort();
  check_result(result);
  return result;
}

TEST(count_end_ok_and_failed) {
  pa_result* result = map_ten(NULL);
  CHECK_EQ(pa_result_count(result), 10);
  CHECK_EQ(pa_result_end(result), PA_END_COMPLETED);
  CHECK_EQ(pa_result_ok(result), 0);
  CHECK_EQ(pa_result_failed(result), 3);
  CHECK_EQ(pa_result_batch_size(result), 0);
  pa_result_free(result);
}

TEST(what_ended_early_is_never_ok) {
  pa_options options = defaults();
  options.timeout_ns = 0;
  pa_result* result = map_ten(&options);
  CHECK_EQ(pa_result_end(result), PA_END_TIMED_OUT);
  CHECK_EQ(pa_result_ok(result), 0);
  CHECK_EQ(pa_result_failed(result), 10);
  pa_result_free(result);
  // Nor if all that it returned succeeded: an endless input of which nothing was pulled.
  numbers from = {UINT64_MAX, 1, 0, 0, 0, 0, 0, NULL};
  const pa_source source = numbers_source(&from);
  pa_error error;
  REQUIRE_STATUS(pa_map_source(return_0, NULL, &source, &options, &result, &error), PA_STATUS_OK, &error);
  CHECK_EQ(pa_result_count(result), 0);
  CHECK_EQ(pa_result_failed(result), 0);
  CHECK_EQ(pa_result_ok(result), 0);
  CHECK_STATUS(pa_result_check(result, &error), PA_STATUS_TIMED_OUT, &error);
  pa_result_free(result);
}

TEST(next_failure_walks_over_failures_in_index_order) {
  pa_result* result = map_ten(NULL);
  const uint64_t want[] = {3, 5, 9};
  uint64_t cursor = 0;
  pa_outcome outcome;
  pa_error error;
  for (int i = 0; i < 3; i++) {
    REQUIRE_STATUS(pa_result_next_failure(result, &cursor, &outcome, &error), PA_STATUS_OK, &error);
    CHECK_EQ(outcome.index, want[i]);
    CHECK_STR(outcome.message, outcome_at(result, want[i]).message);
    CHECK_EQ(outcome.code, outcome_at(result, want[i]).code);
  }
  CHECK_STATUS(pa_result_next_failure(result, &cursor, &outcome, &error), PA_STATUS_DONE, &error);
  CHECK_STATUS(pa_result_next_failure(result, &cursor, &outcome, &error), PA_STATUS_DONE, &error);
  pa_result_free(result);
}

TEST(next_failure_walks_over_items_that_were_not_done) {
  pa_options options = defaults();
  options.max_errors = 2;
  options.executor = PA_EXECUTOR_INLINE;
  pa_result* result = map_ten(&options);
  const uint64_t want[] = {3, 5, 6, 7, 8, 9};
  uint64_t cursor = 0;
  pa_outcome outcome;
  for (int i = 0; i < 6; i++) {
    REQUIRE(pa_result_next_failure(result, &cursor, &outcome, NULL) == PA_STATUS_OK);
    CHECK_EQ(outcome.index, want[i]);
    CHECK_EQ(outcome.state, i < 2 ? PA_ITEM_FAILED : PA_ITEM_ABORTED);
  }
  CHECK_STATUS(pa_result_next_failure(result, &cursor, &outcome, NULL), PA_STATUS_DONE, NULL);
  pa_result_free(result);
}

TEST(next_failure_finds_none_in_a_result_that_is_ok) {
  void* items[2] = {NULL, NULL};
  pa_result* result;
  REQUIRE(pa_map(return_0, NULL, items, 2, NULL, &result, NULL) == PA_STATUS_OK);
  uint64_t cursor = 0;
  pa_outcome outcome;
  CHECK_STATUS(pa_result_next_failure(result, &cursor, &outcome, NULL), PA_STATUS_DONE, NULL);
  pa_result_free(result);
}

TEST(check_turns_failures_into_one_status_and_names_the_first) {
  pa_result* result = map_ten(NULL);
  pa_error error;
  CHECK_STATUS(pa_result_check(result, &error), PA_STATUS_ITEMS_FAILED, &error);
  CHECK_EQ(error.status, PA_STATUS_ITEMS_FAILED);
  CHECK_EQ(error.detail, 404);
  CHECK_STR(error.message, "3 of 10 items failed; the first, index 3: not 200 (code 404)");
  CHECK_STATUS(pa_result_check(result, NULL), PA_STATUS_ITEMS_FAILED, NULL);
  pa_result_free(result);
}

static int32_t fail_with_a_long_message(void* ctx, void* item, void** value, pa_call* call) {
  (void)ctx, (void)item, (void)value;
  char text[900];
  memset(text, 'x', sizeof text - 1);
  text[sizeof text - 1] = 0;
  return pa_call_fail(call, 3, text);
}

TEST(check_holds_the_beginning_of_a_long_message) {
  pa_result* result;
  pa_error error;
  memset(&error, 0xff, sizeof error);
  REQUIRE(pa_map(fail_with_a_long_message, NULL, (void*[]){NULL}, 1, NULL, &result, NULL) == PA_STATUS_OK);
  CHECK_STATUS(pa_result_check(result, &error), PA_STATUS_ITEMS_FAILED, &error);
  REQUIRE(memchr(error.message, 0, sizeof error.message) != NULL);
  CHECK_CONTAINS(error.message, "1 of 1 items failed; the first, index 0: xxxxxxxxxxxxxxxxxxxx");
  CHECK_CONTAINS(error.message, "(code 3)");
  pa_result_free(result);
}

TEST(check_says_how_a_run_ended_before_it_speaks_of_failures) {
  pa_error error;
  pa_options options = defaults();
  options.executor = PA_EXECUTOR_INLINE;
  options.max_errors = 2;
  pa_result* result = map_ten(&options);
  CHECK_STATUS(pa_result_check(result, &error), PA_STATUS_ABORTED, &error);
  CHECK_EQ(error.status, PA_STATUS_ABORTED);
  pa_result_free(result);

  options.max_errors = 0;
  options.timeout_ns = 0;
  result = map_ten(&options);
  CHECK_STATUS(pa_result_check(result, &error), PA_STATUS_TIMED_OUT, &error);
  pa_result_free(result);

  REQUIRE_STATUS(pa_stop_new(&options.stop, &error), PA_STATUS_OK, &error);
  pa_stop_request(options.stop);
  result = map_ten(&options);
  CHECK_STATUS(pa_result_check(result, &error), PA_STATUS_CANCELLED, &error);
  pa_result_free(result);
  pa_stop_release(options.stop);
}

static int32_t refuse(void* ctx, uint64_t done, uint64_t total) {
  (void)ctx, (void)done, (void)total;
  return 33;
}

TEST(check_says_what_map_returned_when_the_run_failed) {
  pa_options options = defaults();
  options.on_progress = refuse;
  pa_result* result;
  pa_error error;
  REQUIRE_STATUS(pa_map(return_0, NULL, (void*[]){NULL}, 1, &options, &result, &error), PA_STATUS_CALLBACK, &error);
  CHECK_EQ(error.detail, 33);
  memset(&error, 0, sizeof error);
  CHECK_STATUS(pa_result_check(result, &error), PA_STATUS_CALLBACK, &error);
  CHECK_EQ(error.status, PA_STATUS_CALLBACK);
  CHECK_EQ(error.detail, 33);
  pa_result_free(result);
}

static uint32_t released;

static void count_release(void* ctx, void* value) {
  (void)ctx, (void)value;
  COUNT_UP(released);
}

TEST(what_was_taken_is_yours_and_is_not_released) {
  released = 0;
  void** items = numbered(4);
  pa_options options = defaults();
  options.release_value = count_release;
  pa_result* result;
  pa_error error;
  REQUIRE_STATUS(pa_map(echo, NULL, items, 4, &options, &result, &error), PA_STATUS_OK, &error);
  void* value = NULL;
  CHECK_STATUS(pa_result_take(result, 2, &value, &error), PA_STATUS_OK, &error);
  CHECK(value == items[2]);
  CHECK(pa_result_value(result, 2) == NULL);
  CHECK(outcome_at(result, 2).value == NULL);
  CHECK_EQ(outcome_at(result, 2).state, PA_ITEM_OK);
  CHECK_EQ(pa_result_ok(result), 1);
  value = items;
  CHECK_STATUS(pa_result_take(result, 2, &value, &error), PA_STATUS_OK, &error);
  CHECK(value == NULL);
  CHECK_EQ(released, 0);
  pa_result_free(result);
  CHECK_EQ(released, 3);
  free(items);
}

TEST(a_failed_item_has_no_value_to_take) {
  pa_result* result = map_ten(NULL);
  void* value = &released;
  CHECK_STATUS(pa_result_take(result, 3, &value, NULL), PA_STATUS_OK, NULL);
  CHECK(value == NULL);
  CHECK(pa_result_value(result, 3) == NULL);
  pa_result_free(result);
}

TEST(there_is_no_value_beyond_the_end) {
  pa_result* result = map_ten(NULL);
  CHECK(pa_result_value(result, 10) == NULL);
  CHECK(pa_result_value(result, UINT64_MAX) == NULL);
  pa_result_free(result);
}

TEST(freeing_null_does_nothing) { pa_result_free(NULL); }

typedef struct reader {
  const pa_result* result;
  void** items;
} reader;

static void* read_all(void* of) {
  const reader* r = of;
  uint64_t cursor = 0, failures = 0;
  pa_outcome outcome;
  for (int round = 0; round < 20; round++)
    for (uint64_t i = 0; i < 10; i++) {
      CHECK_EQ(outcome_at(r->result, i).index, i);
      CHECK(pa_result_value(r->result, i) == (outcome_at(r->result, i).state == PA_ITEM_OK ? r->items[i] : NULL));
    }
  while (pa_result_next_failure(r->result, &cursor, &outcome, NULL) == PA_STATUS_OK) failures += outcome.message[0] != 0;
  CHECK_EQ(failures, 3);
  CHECK_STATUS(pa_result_check(r->result, NULL), PA_STATUS_ITEMS_FAILED, NULL);
  return NULL;
}

TEST(a_result_may_be_read_by_many_threads_at_once) {
  void** items = numbered(10);
  const reader r = {map_ten(NULL), items};
  pthread_t threads[4];
  for (int i = 0; i < 4; i++) REQUIRE(pthread_create(&threads[i], NULL, read_all, (void*)&r) == 0);
  for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
  pa_result_free((pa_result*)r.result);
  free(items);
}

TEST(many_items_that_succeeded_and_failed_are_all_found) {
  enum { n = 200000 };
  void** items = numbered(n);
  pa_result* result;
  pa_error error;
  REQUIRE_STATUS(pa_map(fail_with_7, NULL, items, n, NULL, &result, &error), PA_STATUS_OK, &error);
  CHECK_EQ(pa_result_failed(result), n);
  uint64_t cursor = 0, seen = 0;
  pa_outcome outcome;
  while (pa_result_next_failure(result, &cursor, &outcome, NULL) == PA_STATUS_OK) {
    if (!CHECK_EQ(outcome.index, seen) || !CHECK_STR(outcome.message, "seven")) break;
    seen++;
  }
  CHECK_EQ(seen, n);
  pa_result_free(result);
  free(items);
}
