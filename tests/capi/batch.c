// pa_map_batch: several items in one call, and an answer for each.
#include "support.h"

typedef struct batches {
  uint32_t calls;
  uint32_t largest;
  uint32_t seen[1000];
  void** items;
} batches;

static void note(batches* b, void* const* items, size_t count, void** values, pa_call* call) {
  const uint64_t first = pa_call_index(call);
  COUNT_UP(b->calls);
  raise_to(&b->largest, (uint32_t)count);
  CHECK(count >= 1);
  for (size_t i = 0; i < count; i++) {
    CHECK_EQ(number_of(items[i]), first + i);
    CHECK(values[i] == NULL);
    COUNT_UP(b->seen[first + i]);
  }
}

static int32_t echo_batch(void* ctx, void* const* items, size_t count, void** values, pa_call* call) {
  note(ctx, items, count, values, call);
  for (size_t i = 0; i < count; i++) values[i] = items[i];
  return 0;
}

static pa_result* map(pa_batch_fn fn, void* ctx, uint64_t n, const pa_options* options) {
  void** items = numbered(n);
  pa_result* result = NULL;
  pa_error error;
  CHECK_STATUS(pa_map_batch(fn, ctx, items, n, options, &result, &error), PA_STATUS_OK, &error);
  free(items);
  if (!result) abort();
  check_result(result);
  CHECK_EQ(pa_result_count(result), n);
  return result;
}

TEST(a_batch_has_consecutive_items_and_empty_values) {
  batches b = {0};
  pa_options options = defaults();
  options.workers = 3;
  options.batch.max_items = 16;
  pa_result* result = map(echo_batch, &b, 1000, &options);
  CHECK_EQ(pa_result_ok(result), 1);
  for (uint64_t i = 0; i < 1000; i++) {
    CHECK_EQ(b.seen[i], 1);
    CHECK_EQ(number_of(pa_result_value(result, i)), i);
  }
  pa_result_free(result);
}

static int32_t leave_values_alone(void* ctx, void* const* items, size_t count, void** values, pa_call* call) {
  note(ctx, items, count, values, call);
  return 0;
}

// The memory of a freed result is used again.
TEST(values_are_empty_also_after_a_run_that_stored_some) {
  for (int round = 0; round < 3; round++) {
    batches b = {0};
    pa_result_free(map(echo_batch, &b, 1000, NULL));
    pa_result* result = map(leave_values_alone, &b, 1000, NULL);
    for (uint64_t i = 0; i < 1000; i++) CHECK(pa_result_value(result, i) == NULL);
    pa_result_free(result);
  }
}

static int32_t fail_the_fourth(void* ctx, void* const* items, size_t count, void** values, pa_call* call) {
  note(ctx, items, count, values, call);
  pa_call_fail_at(call, 3, 7, "");
  return 0;
}

TEST(the_items_of_a_call_took_as_long_as_the_call_whatever_became_of_them) {
  batches b = {0};
  pa_options options = defaults();
  options.batch.max_items = 10;
  pa_result* result = map(fail_the_fourth, &b, 100, &options);
  CHECK_EQ(count_state(result, PA_ITEM_FAILED), 10);
  for (uint64_t i = 0; i < 100; i += 10) {
    const int64_t of_the_call = outcome_at(result, i).duration_ns;
    for (uint64_t k = 1; k < 10; k++) CHECK_EQ(outcome_at(result, i + k).duration_ns, of_the_call);
  }
  pa_result_free(result);
}

TEST(a_batch_is_never_larger_than_max_items) {
  const uint32_t sizes[] = {1, 2, 7, 16, 100, 1000, 5000};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    batches b = {0};
    pa_options options = defaults();
    options.workers = 2;
    options.batch.max_items = sizes[i];
    pa_result* result = map(echo_batch, &b, 1000, &options);
    CHECK_LE(b.largest, sizes[i]);
    CHECK(pa_result_batch_size(result) >= 1);
    CHECK_LE(pa_result_batch_size(result), sizes[i]);
    pa_result_free(result);
  }
}

TEST(full_batches_are_made_where_there_are_items_enough) {
  batches b = {0};
  pa_options options = defaults();
  options.executor = PA_EXECUTOR_INLINE;
  options.batch.max_items = 100;
  pa_result* result = map(echo_batch, &b, 1000, &options);
  CHECK_EQ(b.calls, 10);
  CHECK_EQ(b.largest, 100);
  CHECK_EQ(pa_result_batch_size(result), 100);
  pa_result_free(result);
}

TEST(an_automatic_size_is_reported) {
  batches b = {0};
  pa_result* result = map(echo_batch, &b, 1000, NULL);
  CHECK_EQ(pa_result_ok(result), 1);
  CHECK(pa_result_batch_size(result) >= 1);
  CHECK_LE(pa_result_batch_size(result), 1048576);
  pa_result_free(result);
}

static int32_t answer(void* ctx, void* const* items, size_t count, void** values, pa_call* call) {
  const int32_t code = *(int32_t*)ctx;
  for (size_t i = 0; i < count; i++) {
    values[i] = items[i];
    switch ((pa_call_index(call) + i) % 5) {
      case 1:
        pa_call_fail_at(call, i, 11, "named");
        break;
      case 2:
        pa_call_ok_at(call, i);
        break;
      case 3:
        pa_call_ok_at(call, i), pa_call_fail_at(call, i, 0, NULL);
        break;  // the last answer wins
      case 4:
        pa_call_fail_at(call, i, 12, "not so"), pa_call_ok_at(call, i);
        break;  // the last answer wins
    }
  }
  pa_call_ok_at(call, count);  // too large: ignored
  pa_call_fail_at(call, count, 5, "nobody");
  pa_call_fail_at(call, SIZE_MAX, 5, "nobody");
  return code;
}

static void check_answers(int32_t code, const pa_options* options) {
  pa_result* result = map(answer, &code, 500, options);
  for (uint64_t i = 0; i < 500; i++) {
    const pa_outcome outcome = outcome_at(result, i);
    const int failed = i % 5 == 1 || i % 5 == 3 || (i % 5 == 0 && code != 0);
    CHECK_EQ(outcome.state, failed ? PA_ITEM_FAILED : PA_ITEM_OK);
    if (!failed) CHECK_EQ(number_of(outcome.value), i);
    if (i % 5 == 0) CHECK_EQ(outcome.code, code);
    if (i % 5 == 1) CHECK_EQ(outcome.code, 11);
    if (i % 5 == 1) CHECK_STR(outcome.message, "named");
    if (i % 5 == 3) CHECK_EQ(outcome.code, -1);
  }
  pa_result_free(result);
}

TEST(after_0_all_items_succeeded_but_those_that_were_named) {
  pa_options options = defaults();
  options.workers = 2;
  options.batch.max_items = 13;
  check_answers(0, &options);
  options.executor = PA_EXECUTOR_INLINE;
  check_answers(0, &options);
}

TEST(after_a_failure_items_keep_their_answer_and_the_others_fail_with_the_code) {
  pa_options options = defaults();
  options.workers = 2;
  options.batch.max_items = 13;
  check_answers(-99, &options);
  options.executor = PA_EXECUTOR_INLINE;
  check_answers(-99, &options);
}

static int32_t fail_whole(void* ctx, void* const* items, size_t count, void** values, pa_call* call) {
  (void)ctx, (void)items, (void)count, (void)values;
  return pa_call_fail(call, 8, "the whole batch");
}

TEST(the_message_of_a_failed_call_is_that_of_its_unanswered_items) {
  pa_options options = defaults();
  options.batch.max_items = 4;
  pa_result* result = map(fail_whole, NULL, 10, &options);
  for (uint64_t i = 0; i < 10; i++) {
    CHECK_EQ(outcome_at(result, i).code, 8);
    CHECK_STR(outcome_at(result, i).message, "the whole batch");
  }
  pa_result_free(result);
}

static int32_t null_values(void* ctx, void* const* items, size_t count, void** values, pa_call* call) {
  (void)ctx, (void)items, (void)count, (void)values, (void)call;
  return 0;
}

TEST(null_values_of_a_batch_are_successes) {
  pa_result* result = map(null_values, NULL, 10, NULL);
  CHECK_EQ(pa_result_ok(result), 1);
  pa_result_free(result);
}

// ---- retries

static int32_t odd_ones_fail_at_first(void* ctx, void* const* items, size_t count, void** values, pa_call* call) {
  batches* b = ctx;
  note(b, items, count, values, call);
  const uint64_t first = pa_call_index(call);
  if (pa_call_attempt(call) > 1) CHECK_EQ(count, 1);
  for (size_t i = 0; i < count; i++) {
    values[i] = items[i];
    CHECK_EQ(pa_call_attempt(call), LOAD(b->seen[first + i]));
    if ((first + i) % 2 == 1 && pa_call_attempt(call) < 3) pa_call_fail_at(call, i, 6, "not yet");
  }
  return 0;
}

TEST(only_failed_items_are_retried_each_as_a_batch_of_one) {
  batches b = {0};
  pa_options options = defaults();
  options.workers = 2;
  options.batch.max_items = 20;
  options.retry.attempts = 3;
  options.retry.backoff_ns = 0;
  pa_result* result = map(odd_ones_fail_at_first, &b, 200, &options);
  CHECK_EQ(pa_result_ok(result), 1);
  for (uint64_t i = 0; i < 200; i++) {
    CHECK_EQ(b.seen[i], i % 2 ? 3 : 1);
    CHECK_EQ(outcome_at(result, i).attempts, i % 2 ? 3 : 1);
    CHECK_EQ(number_of(pa_result_value(result, i)), i);
  }
  pa_result_free(result);
}

static int32_t wait_a_moment_and_retry(void* ctx, void* const* items, size_t count, void** values, pa_call* call) {
  (void)ctx, (void)items, (void)values;
  if (pa_call_attempt(call) > 1) return 0;
  pa_call_retry_after(call, MICROSECONDS);
  for (size_t i = 1; i < count; i += 2) pa_call_fail_at(call, i, 429, "slow down");
  return 429;
}

TEST(a_servers_wait_holds_for_all_items_of_the_call_that_fail) {
  pa_options options = defaults();
  options.batch.max_items = 10;
  options.retry.attempts = 2;
  options.retry.backoff_ns = HOURS;  // would never pass
  options.retry.max_delay_ns = HOURS;
  pa_result* result = map(wait_a_moment_and_retry, NULL, 40, &options);
  CHECK_EQ(pa_result_ok(result), 1);
  for (uint64_t i = 0; i < 40; i++) CHECK_EQ(outcome_at(result, i).attempts, 2);
  pa_result_free(result);
}

// ---- releases

static int32_t store_all_fail_some(void* ctx, void* const* items, size_t count, void** values, pa_call* call) {
  ledger* l = ctx;
  for (size_t i = 0; i < count; i++) {
    ledger_call(l, items[i]);
    ledger_store(l, items[i], &values[i]);
    if (number_of(items[i]) % 4 == 3) pa_call_fail_at(call, i, 4, NULL);
  }
  return 0;
}

TEST(values_and_items_of_batches_are_released_exactly_once) {
  ledger l;
  ledger_init(&l, 300);
  pa_options options = defaults();
  options.workers = 3;
  options.batch.max_items = 9;
  ledger_watch(&l, &options);
  pa_result* result = map(store_all_fail_some, &l, 300, &options);
  CHECK_EQ(ledger_total(l.values_released, l.n), 75);  // those of failed calls, at once
  CHECK_EQ(ledger_total(l.items_released, l.n), 300);
  CHECK_EQ(l.quiescent, 1);
  pa_result_free(result);
  ledger_check_released(&l, 1);
  ledger_free(&l);
}

// ---- tokens

TEST(a_call_costs_one_token_however_many_items_it_has) {
  pa_error error;
  const pa_rate rate = {1, HOURS, 5};
  pa_options options = defaults();
  options.executor = PA_EXECUTOR_INLINE;
  options.batch.max_items = 100;
  REQUIRE_STATUS(pa_limiter_new(&rate, &options.limiter, &error), PA_STATUS_OK, &error);
  batches b = {0};
  pa_result* result = map(echo_batch, &b, 500, &options);
  CHECK_EQ(b.calls, 5);
  CHECK_EQ(pa_result_ok(result), 1);
  CHECK_STATUS(pa_limiter_try(options.limiter, 1, NULL, &error), PA_STATUS_AGAIN, &error);
  pa_result_free(result);
  pa_limiter_release(options.limiter);
}

TEST(rate_cost_is_the_price_of_a_call) {
  pa_error error;
  const pa_rate rate = {1, HOURS, 7};
  pa_options options = defaults();
  options.executor = PA_EXECUTOR_INLINE;
  options.batch.max_items = 100;
  options.rate_cost = 3;
  REQUIRE_STATUS(pa_limiter_new(&rate, &options.limiter, &error), PA_STATUS_OK, &error);
  batches b = {0};
  pa_result* result = map(echo_batch, &b, 200, &options);
  CHECK_EQ(b.calls, 2);
  CHECK_STATUS(pa_limiter_try(options.limiter, 1, NULL, &error), PA_STATUS_OK, &error);
  CHECK_STATUS(pa_limiter_try(options.limiter, 1, NULL, &error), PA_STATUS_AGAIN, &error);
  pa_result_free(result);
  pa_limiter_release(options.limiter);
}

// ---- sources

TEST(batches_of_a_source_hold_what_is_there) {
  batches b = {0};
  numbers from = {300, 5, 0, 0, 0, 0, 0, NULL};
  const pa_source source = numbers_source(&from);
  pa_options options = defaults();
  options.workers = 2;
  options.batch.max_items = 8;
  pa_result* result;
  pa_error error;
  REQUIRE_STATUS(pa_map_batch_source(echo_batch, &b, &source, &options, &result, &error), PA_STATUS_OK, &error);
  check_result(result);
  CHECK_EQ(pa_result_count(result), 300);
  CHECK_EQ(pa_result_ok(result), 1);
  CHECK_LE(b.largest, 8);
  for (uint64_t i = 0; i < 300; i++) CHECK_EQ(b.seen[i], 1);
  CHECK_EQ(from.items_released, 300);
  CHECK_EQ(from.released, 1);
  pa_result_free(result);
}

TEST(with_linger_a_batch_waits_until_it_is_full_or_the_input_ends) {
  batches b = {0};
  numbers from = {25, 1, 0, 0, 0, 0, 0, NULL};
  const pa_source source = numbers_source(&from);
  pa_options options = defaults();
  options.workers = 2;
  options.batch.max_items = 10;
  options.batch.linger_ns = HOURS;
  pa_result* result;
  pa_error error;
  REQUIRE_STATUS(pa_map_batch_source(echo_batch, &b, &source, &options, &result, &error), PA_STATUS_OK, &error);
  CHECK_EQ(pa_result_ok(result), 1);
  CHECK_EQ(b.calls, 3);
  CHECK_EQ(b.largest, 10);
  CHECK_EQ(pa_result_batch_size(result), 10);
  pa_result_free(result);
}

static counter first_batch = COUNTER_INIT;

static int32_t open_gate(void* ctx, void* const* items, size_t count, void** values, pa_call* call) {
  (void)ctx, (void)items, (void)values, (void)call, (void)count;
  counter_up(&first_batch);
  return 0;
}

static int32_t one_then_wait_until_it_ran(void* ctx, void** items, size_t max, size_t* got) {
  (void)max;
  uint32_t* pulls = ctx;
  *got = 1;
  items[0] = NULL;
  if (++*pulls == 1) return 0;
  counter_wait(&first_batch, 1);
  *got = 0;
  return 0;
}

TEST(a_batch_that_lingered_long_enough_runs_while_the_source_blocks) {
  counter_reset(&first_batch);
  uint32_t pulls = 0;
  pa_source source;
  pa_source_init(&source, sizeof source);
  source.next = one_then_wait_until_it_ran;
  source.ctx = &pulls;
  pa_options options = defaults();
  options.workers = 1;
  options.batch.max_items = 10;
  options.batch.linger_ns = MILLISECONDS;
  pa_result* result;
  pa_error error;
  REQUIRE_STATUS(pa_map_batch_source(open_gate, NULL, &source, &options, &result, &error), PA_STATUS_OK, &error);
  CHECK_EQ(pa_result_ok(result), 1);
  CHECK_EQ(pa_result_count(result), 1);
  pa_result_free(result);
}
