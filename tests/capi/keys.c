// options.item_key: names for items.
#include "support.h"

static char* const texts[] = {"1", "1", "zwei", "", "drei"};

typedef struct namer {
  uint32_t busy, calls;
  char buffer[16];
} namer;

// 1, "1" and the byte "1" are three different keys; the buffer is used again for the next key.
static int32_t name(void* ctx, void* item, pa_key* key) {
  namer* n = ctx;
  CHECK_EQ(COUNT_UP(n->busy), 1);
  CHECK_EQ(key->kind, PA_KEY_NONE);
  CHECK_EQ(key->number, 0);
  CHECK(key->data == NULL);
  CHECK_EQ(key->size, 0);
  n->calls++;
  const uint64_t number = number_of(item);
  snprintf(n->buffer, sizeof n->buffer, "%s", texts[number % 5]);
  switch (number % 4) {
    case 0:
      key->kind = PA_KEY_INT, key->number = -(int64_t)number;
      break;
    case 1:
      key->kind = PA_KEY_STRING, key->data = n->buffer, key->size = strlen(n->buffer);
      break;
    case 2:
      key->kind = PA_KEY_BYTES, key->data = n->buffer, key->size = strlen(n->buffer);
      break;
    case 3:
      break;  // no key
  }
  COUNT_DOWN(n->busy);
  return 0;
}

static void check_key(const pa_outcome* outcome) {
  const uint64_t number = outcome->index;
  const char* text = texts[number % 5];
  switch (number % 4) {
    case 0:
      CHECK_EQ(outcome->key.kind, PA_KEY_INT);
      CHECK_EQ(outcome->key.number, -(int64_t)number);
      break;
    case 1:
    case 2:
      CHECK_EQ(outcome->key.kind, number % 4 == 1 ? PA_KEY_STRING : PA_KEY_BYTES);
      if (CHECK_EQ(outcome->key.size, strlen(text)) && outcome->key.size)
        CHECK(memcmp(outcome->key.data, text, strlen(text)) == 0);
      break;
    case 3:
      CHECK_EQ(outcome->key.kind, PA_KEY_NONE);
      break;
  }
}

static int32_t check_reported_key(void* ctx, const pa_outcome* outcome) {
  (void)ctx;
  check_key(outcome);
  return 0;
}

static int32_t check_failure_key(void* ctx, const pa_outcome* failure) {
  (void)ctx;
  CHECK(failure->index < 200);
  return 1;
}

static int32_t fail_fourths_once(void* ctx, void* item, void** value, pa_call* call) {
  (void)ctx, (void)item, (void)value;
  return pa_call_index(call) % 4 == 2 && pa_call_attempt(call) == 1 ? 1 : 0;
}

static pa_options named_by(namer* n) {
  memset(n, 0, sizeof *n);
  pa_options options = defaults();
  options.workers = 3;
  options.item_key = name;
  options.key_ctx = n;
  return options;
}

TEST(each_item_is_named_once_and_outcomes_bear_the_name) {
  for (int executor = PA_EXECUTOR_THREADS; executor <= PA_EXECUTOR_INLINE; executor++) {
    namer n;
    pa_options options = named_by(&n);
    options.executor = executor;
    options.on_result = check_reported_key;
    options.retry.attempts = 2;
    options.retry.backoff_ns = 0;
    options.retry.retry_if = check_failure_key;
    void** items = numbered(200);
    pa_result* result;
    pa_error error;
    REQUIRE_STATUS(pa_map(fail_fourths_once, NULL, items, 200, &options, &result, &error), PA_STATUS_OK, &error);
    check_result(result);
    CHECK_EQ(pa_result_ok(result), 1);
    CHECK_EQ(n.calls, 200);
    for (uint64_t i = 0; i < 200; i++) {
      const pa_outcome outcome = outcome_at(result, i);
      check_key(&outcome);
    }
    pa_result_free(result);
    free(items);
  }
}

TEST(items_of_a_source_are_named) {
  namer n;
  numbers from = {200, 3, 0, 0, 0, 0, 0, NULL};
  const pa_source source = numbers_source(&from);
  const pa_options options = named_by(&n);
  pa_result* result;
  pa_error error;
  REQUIRE_STATUS(pa_map_source(echo, NULL, &source, &options, &result, &error), PA_STATUS_OK, &error);
  CHECK_EQ(n.calls, 200);
  for (uint64_t i = 0; i < 200; i++) {
    const pa_outcome outcome = outcome_at(result, i);
    check_key(&outcome);
  }
  pa_result_free(result);
}

static int32_t echo_batch(void* ctx, void* const* items, size_t count, void** values, pa_call* call) {
  (void)ctx, (void)call;
  for (size_t i = 0; i < count; i++) values[i] = items[i];
  return 0;
}

TEST(items_of_batches_are_named) {
  namer n;
  void** items = numbered(200);
  pa_options options = named_by(&n);
  options.batch.max_items = 8;
  pa_result* result;
  pa_error error;
  REQUIRE_STATUS(pa_map_batch(echo_batch, NULL, items, 200, &options, &result, &error), PA_STATUS_OK, &error);
  CHECK_EQ(n.calls, 200);
  for (uint64_t i = 0; i < 200; i++) {
    const pa_outcome outcome = outcome_at(result, i);
    check_key(&outcome);
  }
  pa_result_free(result);
  free(items);
}

static int32_t three_kinds_of_1(void* ctx, void* item, pa_key* key) {
  (void)ctx;
  switch (number_of(item)) {
    case 0:
      key->kind = PA_KEY_INT;
      key->number = 1;
      break;
    case 1:
      key->kind = PA_KEY_STRING;
      break;
    default:
      key->kind = PA_KEY_BYTES;
  }
  if (key->kind != PA_KEY_INT) {
    key->data = "1";
    key->size = 1;
  }
  return 0;
}

TEST(the_number_1_the_string_1_and_the_byte_1_are_three_keys) {
  void** items = numbered(3);
  pa_options options = defaults();
  options.item_key = three_kinds_of_1;
  pa_result* result;
  pa_error error;
  REQUIRE_STATUS(pa_map(echo, NULL, items, 3, &options, &result, &error), PA_STATUS_OK, &error);
  const pa_key number = outcome_at(result, 0).key, string = outcome_at(result, 1).key, byte = outcome_at(result, 2).key;
  CHECK_EQ(number.kind, PA_KEY_INT);
  CHECK_EQ(number.number, 1);
  CHECK_EQ(string.kind, PA_KEY_STRING);
  CHECK(string.size == 1 && memcmp(string.data, "1", 1) == 0);
  CHECK_EQ(byte.kind, PA_KEY_BYTES);
  CHECK(byte.size == 1 && memcmp(byte.data, "1", 1) == 0);
  pa_result_free(result);
  free(items);
}

static int32_t same_name(void* ctx, void* item, pa_key* key) {
  (void)ctx, (void)item;
  key->kind = PA_KEY_STRING;
  key->data = "twin";
  key->size = 4;
  return 0;
}

TEST(a_duplicate_item_key_is_allowed) {
  void** items = numbered(10);
  pa_options options = defaults();
  options.item_key = same_name;
  pa_result* result;
  pa_error error;
  REQUIRE_STATUS(pa_map(echo, NULL, items, 10, &options, &result, &error), PA_STATUS_OK, &error);
  CHECK_EQ(pa_result_ok(result), 1);
  for (uint64_t i = 0; i < 10; i++) CHECK_EQ(outcome_at(result, i).key.size, 4);
  pa_result_free(result);
  free(items);
}

static char long_name[5000];

static int32_t name_of_5000_bytes(void* ctx, void* item, pa_key* key) {
  (void)ctx;
  memset(long_name, 'a' + (int)(number_of(item) % 26), sizeof long_name);
  key->kind = PA_KEY_BYTES;
  key->data = long_name;
  key->size = sizeof long_name;
  return 0;
}

TEST(a_key_may_be_long_and_is_kept_whole) {
  void** items = numbered(30);
  pa_options options = defaults();
  options.item_key = name_of_5000_bytes;
  pa_result* result;
  pa_error error;
  REQUIRE_STATUS(pa_map(echo, NULL, items, 30, &options, &result, &error), PA_STATUS_OK, &error);
  for (uint64_t i = 0; i < 30; i++) {
    const pa_outcome outcome = outcome_at(result, i);
    if (!CHECK_EQ(outcome.key.size, sizeof long_name)) continue;
    for (size_t at = 0; at < sizeof long_name; at++)
      if (!CHECK_EQ(((const char*)outcome.key.data)[at], 'a' + i % 26)) break;
  }
  pa_result_free(result);
  free(items);
}

// ---- key functions that fail

typedef struct refuser {
  uint64_t at;
  int32_t code;
  int32_t kind;
} refuser;

static int32_t refuse_at(void* ctx, void* item, pa_key* key) {
  const refuser* r = ctx;
  key->kind = PA_KEY_INT;
  key->number = (int64_t)number_of(item);
  if (number_of(item) != r->at) return 0;
  key->kind = r->kind;
  return r->code;
}

static void check_refused(refuser r, int32_t executor, int32_t detail) {
  ledger l;
  ledger_init(&l, 50);
  void** items = numbered(50);
  pa_options options = defaults();
  options.executor = executor;
  options.workers = 2;
  options.item_key = refuse_at;
  options.key_ctx = &r;
  ledger_watch(&l, &options);
  pa_result* result = NULL;
  pa_error error;
  REQUIRE_STATUS(pa_map(return_0, NULL, items, 50, &options, &result, &error), PA_STATUS_KEY, &error);
  CHECK_EQ(error.detail, detail);
  CHECK(error.message[0] != 0);
  REQUIRE(result != NULL);
  check_result(result);
  CHECK_EQ(pa_result_end(result), PA_END_FAILED);
  CHECK_EQ(pa_result_count(result), 50);
  CHECK_EQ(count_state(result, PA_ITEM_OK) + count_state(result, PA_ITEM_ABORTED), 50);
  CHECK_EQ(outcome_at(result, r.at).state, PA_ITEM_ABORTED);
  for (uint64_t i = r.at + 1; i < 50; i++) {  // never admitted
    CHECK_EQ(outcome_at(result, i).state, PA_ITEM_ABORTED);
    CHECK_EQ(outcome_at(result, i).key.kind, PA_KEY_NONE);
  }
  CHECK_STATUS(pa_result_check(result, NULL), PA_STATUS_KEY, NULL);
  CHECK_EQ(ledger_total(l.items_released, 50), 50);
  CHECK_EQ(l.quiescent, 1);
  pa_result_free(result);
  ledger_free(&l);
  free(items);
}

TEST(a_key_function_that_fails_ends_the_run_with_its_code) {
  for (int executor = PA_EXECUTOR_THREADS; executor <= PA_EXECUTOR_INLINE; executor++) {
    check_refused((refuser){20, 31, PA_KEY_INT}, executor, 31);
    check_refused((refuser){0, -8, PA_KEY_INT}, executor, -8);
  }
}

TEST(an_unknown_kind_of_key_ends_the_run) {
  check_refused((refuser){20, 0, 99}, PA_EXECUTOR_THREADS, 0);
  check_refused((refuser){20, 0, -1}, PA_EXECUTOR_INLINE, 0);
}
