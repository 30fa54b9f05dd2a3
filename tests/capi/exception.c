// A C++ exception that leaves the function makes the item fail, and goes no further.
#include "support.h"

int32_t throw_from_item(void* ctx, void* item, void** value, pa_call* call);
int32_t throw_from_batch(void* ctx, void* const* items, size_t count, void** values, pa_call* call);
int32_t throw_from_range(void* ctx, uint64_t first, uint64_t count, pa_call* call);

static void check_items(const pa_result* result, uint64_t n) {
  check_result(result);
  CHECK_EQ(pa_result_end(result), PA_END_COMPLETED);
  for (uint64_t i = 0; i < n; i++) {
    const pa_outcome outcome = outcome_at(result, i);
    CHECK_EQ(outcome.state, i % 2 ? PA_ITEM_OK : PA_ITEM_FAILED);
    CHECK_EQ(outcome.code, i % 2 ? 0 : PA_CODE_EXCEPTION);
    if (i % 6 == 0) CHECK_STR(outcome.message, "it broke");
    if (i % 6 == 4) CHECK_STR(outcome.message, "it was wrong");
    CHECK_EQ(outcome.attempts, 1);
  }
}

static uint32_t released;

static void count_release(void* ctx, void* value) {
  (void)ctx, (void)value;
  COUNT_UP(released);
}

TEST(an_exception_makes_its_item_fail_with_what_it_says) {
  for (int executor = PA_EXECUTOR_THREADS; executor <= PA_EXECUTOR_INLINE; executor++) {
    void** items = numbered(60);
    pa_options options = defaults();
    options.executor = executor;
    options.workers = 3;
    pa_result* result;
    pa_error error;
    REQUIRE_STATUS((pa_map)(throw_from_item, NULL, items, 60, &options, &result, &error), PA_STATUS_OK, &error);
    check_items(result, 60);
    pa_result_free(result);
    REQUIRE_STATUS(pa_map(throw_from_item, NULL, items, 60, &options, &result, &error), PA_STATUS_OK, &error);
    check_items(result, 60);
    pa_result_free(result);
    free(items);
  }
}

TEST(what_was_stored_before_the_exception_is_released) {
  void** items = numbered(60);
  pa_options options = defaults();
  options.release_value = count_release;
  pa_result* result;
  pa_error error;
  released = 0;
  REQUIRE_STATUS((pa_map)(throw_from_item, NULL, items, 60, &options, &result, &error), PA_STATUS_OK, &error);
  CHECK_EQ(released, 30);
  pa_result_free(result);
  CHECK_EQ(released, 60);
  released = 0;
  REQUIRE_STATUS(pa_map(throw_from_item, NULL, items, 60, &options, &result, &error), PA_STATUS_OK, &error);
  CHECK_EQ(released, 30);
  pa_result_free(result);
  CHECK_EQ(released, 60);
  free(items);
}

TEST(an_exception_may_be_retried) {
  void** items = numbered(10);
  pa_options options = defaults();
  options.retry.attempts = 3;
  options.retry.backoff_ns = 0;
  pa_result* result;
  pa_error error;
  REQUIRE_STATUS(pa_map(throw_from_item, NULL, items, 10, &options, &result, &error), PA_STATUS_OK, &error);
  for (uint64_t i = 0; i < 10; i++) CHECK_EQ(outcome_at(result, i).attempts, i % 2 ? 1 : 3);
  pa_result_free(result);
  free(items);
}

TEST(an_exception_in_a_batch_fails_its_unanswered_items) {
  void** items = numbered(20);
  pa_options options = defaults();
  options.executor = PA_EXECUTOR_INLINE;
  options.batch.max_items = 5;
  pa_result* result;
  pa_error error;
  REQUIRE_STATUS(pa_map_batch(throw_from_batch, NULL, items, 20, &options, &result, &error), PA_STATUS_OK, &error);
  check_result(result);
  for (uint64_t i = 0; i < 20; i++) {
    CHECK_EQ(outcome_at(result, i).state, i % 5 == 0 ? PA_ITEM_OK : PA_ITEM_FAILED);
    if (i % 5) CHECK_EQ(outcome_at(result, i).code, PA_CODE_EXCEPTION);
    if (i % 5) CHECK_STR(outcome_at(result, i).message, "it broke");
  }
  pa_result_free(result);
  free(items);
}

TEST(an_exception_in_a_range_fails_its_unanswered_indices) {
  pa_options options = defaults();
  options.workers = 2;
  pa_result* result;
  pa_error error;
  REQUIRE_STATUS(pa_map_range(throw_from_range, NULL, 100, &options, &result, &error), PA_STATUS_OK, &error);
  check_result(result);
  CHECK_EQ(pa_result_failed(result), 100);
  for (uint64_t i = 0; i < 100; i++)
    CHECK(outcome_at(result, i).code == PA_CODE_EXCEPTION || outcome_at(result, i).code == 7);
  CHECK_EQ(outcome_at(result, 0).code, 7);
  pa_result_free(result);
}
