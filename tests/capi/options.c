// pa_options: defaults, and how structs of other versions are read.
#include <sys/mman.h>
#include <unistd.h>

#include "support.h"

TEST(init_writes_every_default) {
  pa_options options;
  memset(&options, 0xff, sizeof options);
  pa_options_init(&options, sizeof options);
  CHECK_EQ(options.struct_size, sizeof options);
  CHECK_EQ(options.executor, PA_EXECUTOR_THREADS);
  CHECK_EQ(options.workers, 0);
  CHECK_EQ(options.detach, 0);
  CHECK_EQ(options.window, 0);
  CHECK_EQ(options.batch_size, 0);
  CHECK_EQ(options.batch.max_items, 0);
  CHECK_EQ(options.batch.linger_ns, 0);
  CHECK(options.limiter == NULL);
  CHECK(options.rate.count == 0);
  CHECK_EQ(options.rate.per_ns, SECONDS);
  CHECK_EQ(options.rate.burst, 1);
  CHECK_EQ(options.rate_cost, 1);
  CHECK_EQ(options.retry.attempts, 1);
  CHECK_EQ(options.retry.jitter, 1);
  CHECK_EQ(options.retry.backoff_ns, SECONDS);
  CHECK_EQ(options.retry.max_delay_ns, 60 * SECONDS);
  CHECK_EQ(options.retry.max_server_wait_ns, 600 * SECONDS);
  CHECK(options.retry.retry_if == NULL && options.retry.retry_ctx == NULL);
  CHECK_EQ(options.timeout_ns, -1);
  CHECK_EQ(options.item_timeout_ns, -1);
  CHECK_EQ(options.max_errors, 0);
  CHECK(options.stop == NULL);
  CHECK(options.on_progress == NULL && options.progress_ctx == NULL);
  CHECK(options.on_result == NULL && options.result_ctx == NULL);
  CHECK(options.item_key == NULL && options.key_ctx == NULL);
  CHECK(options.release_value == NULL && options.release_item == NULL && options.release_ctx == NULL);
  CHECK(options.worker_start == NULL && options.worker_stop == NULL && options.worker_ctx == NULL);
  CHECK(options.on_quiescent == NULL && options.quiescent_ctx == NULL);
}

static void run_with(const pa_options* options) {
  uint32_t calls = 0;
  void** items = numbered(20);
  pa_result* result = NULL;
  pa_error error;
  REQUIRE_STATUS(pa_map(count_calls, &calls, items, 20, options, &result, &error), PA_STATUS_OK, &error);
  CHECK_EQ(calls, 20);
  CHECK_EQ(pa_result_ok(result), 1);
  pa_result_free(result);
  free(items);
}

// Sizes that the struct has had are the ends of its fields; this is the first version, so each may stand for an older one.
static const size_t older_sizes[] = {
    offsetof(pa_options, workers),      offsetof(pa_options, window),        offsetof(pa_options, batch),
    offsetof(pa_options, limiter),      offsetof(pa_options, rate),          offsetof(pa_options, rate_cost),
    offsetof(pa_options, retry),        offsetof(pa_options, timeout_ns),    offsetof(pa_options, max_errors),
    offsetof(pa_options, stop),         offsetof(pa_options, on_progress),   offsetof(pa_options, on_result),
    offsetof(pa_options, item_key),     offsetof(pa_options, release_value), offsetof(pa_options, release_item),
    offsetof(pa_options, worker_start), offsetof(pa_options, on_quiescent),  offsetof(pa_options, quiescent_ctx),
};

TEST(an_older_caller_takes_defaults_for_the_fields_that_it_lacks) {
  for (size_t i = 0; i < sizeof older_sizes / sizeof older_sizes[0]; i++) {
    pa_options options = defaults();
    memset((char*)&options + older_sizes[i], 0xff, sizeof options - older_sizes[i]);
    options.struct_size = (uint32_t)older_sizes[i];
    run_with(&options);
  }
}

TEST(init_writes_no_further_than_an_older_caller_has_room) {
  for (size_t i = 0; i < sizeof older_sizes / sizeof older_sizes[0]; i++) {
    pa_options options;
    memset(&options, 0x5a, sizeof options);
    pa_options_init(&options, older_sizes[i]);
    CHECK_EQ(options.struct_size, older_sizes[i]);
    for (size_t at = older_sizes[i]; at < sizeof options; at++)
      if (!CHECK_EQ(((unsigned char*)&options)[at], 0x5a)) break;
    run_with(&options);
  }
}

// The struct ends where readable memory ends.
TEST(no_more_is_read_than_the_caller_has) {
  const size_t page = (size_t)sysconf(_SC_PAGESIZE);
  char* memory = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(memory != MAP_FAILED);
  REQUIRE(mprotect(memory + page, page, PROT_NONE) == 0);
  for (size_t i = 0; i < sizeof older_sizes / sizeof older_sizes[0]; i++) {
    pa_options* options = (pa_options*)(void*)(memory + page - older_sizes[i]);
    pa_options_init(options, older_sizes[i]);
    run_with(options);
  }
  munmap(memory, 2 * page);
}

typedef struct newer_options {
  pa_options options;
  unsigned char more[40];
} newer_options;

TEST(a_newer_caller_whose_unknown_fields_are_zero_is_served) {
  newer_options newer;
  memset(&newer, 0xff, sizeof newer);
  pa_options_init(&newer.options, sizeof newer);
  CHECK_EQ(newer.options.struct_size, sizeof newer);
  for (size_t at = 0; at < sizeof newer.more; at++) CHECK_EQ(newer.more[at], 0);
  run_with(&newer.options);
}

TEST(a_newer_caller_that_sets_an_unknown_field_is_refused) {
  for (size_t at = 0; at < sizeof(((newer_options*)0)->more); at++) {
    newer_options newer;
    pa_options_init(&newer.options, sizeof newer);
    memset(newer.more, 0, sizeof newer.more);
    newer.more[at] = 1;
    uint32_t calls = 0;
    pa_result* result = (pa_result*)&newer;
    pa_error error;
    CHECK_STATUS(pa_map(count_calls, &calls, (void*[]){NULL}, 1, &newer.options, &result, &error), PA_STATUS_INVALID,
                 &error);
    CHECK(result == NULL);
    CHECK_EQ(calls, 0);
    CHECK_CONTAINS(error.message, "options");
  }
}

typedef struct newer_source {
  pa_source source;
  unsigned char more[24];
} newer_source;

TEST(a_newer_source_is_read_in_the_same_way) {
  numbers from = {20, 3, 0, 0, 0, 0, 0, NULL};
  newer_source newer;
  memset(&newer, 0xff, sizeof newer);
  pa_source_init(&newer.source, sizeof newer);
  CHECK_EQ(newer.source.struct_size, sizeof newer);
  for (size_t at = 0; at < sizeof newer.more; at++) CHECK_EQ(newer.more[at], 0);
  newer.source.next = numbers_next;
  newer.source.ctx = &from;
  newer.source.release = numbers_release;
  pa_result* result = NULL;
  pa_error error;
  REQUIRE_STATUS(pa_map_source(echo, NULL, &newer.source, NULL, &result, &error), PA_STATUS_OK, &error);
  CHECK_EQ(pa_result_count(result), 20);
  pa_result_free(result);
  newer.more[7] = 1;
  from.released = 0;
  CHECK_STATUS(pa_map_source(echo, NULL, &newer.source, NULL, &result, &error), PA_STATUS_INVALID, &error);
  CHECK_CONTAINS(error.message, "source");
  CHECK(result == NULL);
  CHECK_EQ(from.released, 0);
}

static uint32_t progresses;

static int32_t count_progress(void* ctx, uint64_t done, uint64_t total) {
  (void)done, (void)total;
  COUNT_UP(*(uint32_t*)ctx);
  return 0;
}

TEST(null_options_are_the_defaults) {
  run_with(NULL);
  pa_options options = defaults();
  options.on_progress = count_progress;
  options.progress_ctx = &progresses;
  run_with(&options);
  CHECK_EQ(progresses, 20);
}

TEST(a_struct_that_libpa_fills_has_its_frozen_size) {
  CHECK_EQ(sizeof(pa_error), 256);
  CHECK_EQ(sizeof(pa_key), 32);
  CHECK_EQ(sizeof(pa_outcome), 112);
  CHECK_EQ(sizeof(pa_span), 96);
}
