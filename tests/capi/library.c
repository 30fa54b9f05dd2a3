// The library as a whole: names, versions, the table of functions, pa_drain, and what it never does.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support.h"

TEST(every_status_has_its_name) {
#define NAMED(status) CHECK_STR(pa_status_name(status), #status)
  NAMED(PA_STATUS_OK);
  NAMED(PA_STATUS_DONE);
  NAMED(PA_STATUS_AGAIN);
  NAMED(PA_STATUS_TIMEOUT);
  NAMED(PA_STATUS_PULL);
  NAMED(PA_STATUS_RETRY);
  NAMED(PA_STATUS_FINAL);
  NAMED(PA_STATUS_STOPPED);
  NAMED(PA_STATUS_INVALID);
  NAMED(PA_STATUS_NO_MEMORY);
  NAMED(PA_STATUS_SYSTEM);
  NAMED(PA_STATUS_FORKED);
  NAMED(PA_STATUS_SOURCE);
  NAMED(PA_STATUS_KEY);
  NAMED(PA_STATUS_CALLBACK);
  NAMED(PA_STATUS_WORKER_START);
  NAMED(PA_STATUS_ITEMS_FAILED);
  NAMED(PA_STATUS_TIMED_OUT);
  NAMED(PA_STATUS_ABORTED);
  NAMED(PA_STATUS_CANCELLED);
  NAMED(PA_STATUS_WORKERS_LOST);
  NAMED(PA_STATUS_PULL);
  NAMED(PA_STATUS_RETRY);
  NAMED(PA_STATUS_FINAL);
  NAMED(PA_STATUS_STOPPED);
#undef NAMED
}

TEST(a_number_that_is_no_status_is_unknown) {
  const pa_status numbers[] = {8, -14, 1000, INT32_MIN, INT32_MAX};
  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) CHECK_STR(pa_status_name(numbers[i]), "PA_STATUS_UNKNOWN");
}

TEST(every_end_and_every_state_has_its_name) {
#define NAMED(name_of, value) CHECK_STR(name_of(value), #value)
  NAMED(pa_end_name, PA_END_NONE);
  NAMED(pa_end_name, PA_END_COMPLETED);
  NAMED(pa_end_name, PA_END_TIMED_OUT);
  NAMED(pa_end_name, PA_END_ABORTED);
  NAMED(pa_end_name, PA_END_CANCELLED);
  NAMED(pa_end_name, PA_END_FAILED);
  NAMED(pa_item_name, PA_ITEM_OK);
  NAMED(pa_item_name, PA_ITEM_FAILED);
  NAMED(pa_item_name, PA_ITEM_TIMED_OUT);
  NAMED(pa_item_name, PA_ITEM_ABORTED);
  NAMED(pa_item_name, PA_ITEM_CANCELLED);
  NAMED(pa_item_name, PA_ITEM_CRASHED);
#undef NAMED
  const int32_t numbers[] = {-1, 6, 1000, INT32_MIN, INT32_MAX};
  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
    CHECK_STR(pa_end_name(numbers[i]), "PA_END_UNKNOWN");
    CHECK_STR(pa_item_name(numbers[i]), "PA_ITEM_UNKNOWN");
  }
}

TEST(the_version_is_that_of_the_header) {
  CHECK_EQ(pa_version(), PA_VERSION_MAJOR * 1000000 + PA_VERSION_MINOR * 1000 + PA_VERSION_PATCH);
}

TEST(the_table_holds_the_functions) {
  const pa_api* api = pa_get_api(PA_VERSION_MAJOR);
  REQUIRE(api != NULL);
  CHECK_EQ(api->struct_size, sizeof(pa_api));
  CHECK_EQ(api->version, pa_version());
#define HOLDS(member) CHECK(api->member == pa_##member)
  HOLDS(status_name);
  HOLDS(parse_retry_after);
  HOLDS(options_init);
  HOLDS(source_init);
  CHECK(api->map == (pa_map));
  HOLDS(map_loop);
  HOLDS(map_batch);
  HOLDS(map_range);
  HOLDS(map_source);
  HOLDS(map_batch_source);
  HOLDS(map_start);
  HOLDS(pending_wait);
  HOLDS(pending_take);
  HOLDS(pending_free);
  HOLDS(result_count);
  HOLDS(result_end);
  HOLDS(result_ok);
  HOLDS(result_failed);
  HOLDS(result_at);
  HOLDS(result_value);
  HOLDS(result_take);
  HOLDS(result_next_failure);
  HOLDS(result_check);
  HOLDS(result_batch_size);
  HOLDS(result_free);
  HOLDS(call_index);
  HOLDS(call_attempt);
  HOLDS(call_stopped);
  HOLDS(call_remaining_ns);
  HOLDS(call_fail);
  HOLDS(call_retry_after);
  HOLDS(call_ok_at);
  HOLDS(call_fail_at);
  HOLDS(limiter_new);
  HOLDS(limiter_retain);
  HOLDS(limiter_release);
  HOLDS(limiter_acquire);
  HOLDS(limiter_try);
  HOLDS(limiter_pause);
  HOLDS(limiter_set_rate);
  HOLDS(limiter_settle);
  HOLDS(stop_new);
  HOLDS(stop_retain);
  HOLDS(stop_release);
  HOLDS(stop_request);
  HOLDS(stop_requested);
  HOLDS(drain);
  HOLDS(end_name);
  HOLDS(item_name);
  HOLDS(job_open);
  HOLDS(job_take);
  HOLDS(job_supply);
  HOLDS(job_step);
  HOLDS(job_fail);
  HOLDS(job_complete);
  HOLDS(job_complete_and_take);
  HOLDS(buffer_append);
  HOLDS(codec_string);
  HOLDS(codec_bytes);
  HOLDS(bytes_new);
  HOLDS(codec_struct);
  HOLDS(codec_word);
  HOLDS(task_init);
  HOLDS(task_register);
  HOLDS(worker_requested);
  HOLDS(worker_serve);
  HOLDS(process_init);
  HOLDS(task_find);
  HOLDS(task_name);
  HOLDS(module_load);
  HOLDS(iter_drain);
  HOLDS(job_leave);
  HOLDS(job_next);
  HOLDS(job_room);
  HOLDS(job_admit);
  HOLDS(job_end_input);
  HOLDS(job_poll);
  HOLDS(job_progress);
  HOLDS(job_notify);
  HOLDS(job_fd);
  HOLDS(job_stop);
  HOLDS(job_drain);
  HOLDS(job_end);
  HOLDS(job_close);
  HOLDS(job_free);
#undef HOLDS
}

TEST(there_is_no_table_for_another_major_version) {
  CHECK(pa_get_api(PA_VERSION_MAJOR + 1) == NULL);
  CHECK(pa_get_api(UINT32_MAX) == NULL);
}

// ---- drain

static void map_with_threads(uint32_t workers) {
  void** items = numbered(1000);
  pa_options options = defaults();
  options.workers = workers;
  pa_result* result;
  REQUIRE(pa_map(echo, NULL, items, 1000, &options, &result, NULL) == PA_STATUS_OK);
  CHECK_EQ(pa_result_ok(result), 1);
  pa_result_free(result);
  free(items);
}

static counter gathered = COUNTER_INIT;

static int32_t gather(void* ctx, void* item, void** value, pa_call* call) {
  (void)ctx, (void)item, (void)value, (void)call;
  counter_up(&gathered);
  counter_wait(&gathered, 8);
  return 0;
}

TEST(drain_leaves_no_thread_behind_and_runs_may_be_started_again) {
  CHECK_STATUS(pa_drain(-1, NULL), PA_STATUS_OK, NULL);
  const uint64_t before = settled_thread_count();
  for (int round = 0; round < 5; round++) {
    counter_reset(&gathered);
    void** items = numbered(8);
    pa_options options = defaults();
    options.workers = 8;
    pa_result* result;
    REQUIRE(pa_map(gather, NULL, items, 8, &options, &result, NULL) == PA_STATUS_OK);
    pa_result_free(result);
    free(items);
    pa_error error;
    CHECK_STATUS(pa_drain(-1, &error), PA_STATUS_OK, &error);
    WAIT_UNTIL(thread_count() <= before);  // the kernel may list a thread for a moment after it was joined
    map_with_threads(4);
  }
  CHECK_STATUS(pa_drain(HOURS, NULL), PA_STATUS_OK, NULL);
}

TEST(drain_without_anything_to_do_returns_at_once) {
  for (int i = 0; i < 3; i++) CHECK_STATUS(pa_drain(0, NULL), PA_STATUS_OK, NULL);
}

static int32_t drain_now(void* unused) {
  (void)unused;
  CHECK_STATUS(pa_drain(-1, NULL), PA_STATUS_OK, NULL);
  return 0;
}

static void* map_in_a_thread(void* unused) {
  (void)unused;
  for (int i = 0; i < 50; i++) map_with_threads(3);
  return NULL;
}

TEST(drain_may_meet_runs_that_begin_and_end) {
  pthread_t threads[2];
  for (int i = 0; i < 2; i++) REQUIRE(pthread_create(&threads[i], NULL, map_in_a_thread, NULL) == 0);
  for (int i = 0; i < 50; i++) drain_now(NULL);
  for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
  drain_now(NULL);
}

// ---- output

ROLE(everything_that_could_make_noise) {
  void** items = numbered(100);
  pa_options options = defaults();
  options.workers = 3;
  pa_result* result;
  pa_error error;
  pa_map(fail_with_7, NULL, items, 100, &options, &result, &error);
  pa_result_check(result, &error);
  pa_result_free(result);
  options.workers = UINT32_MAX;
  pa_map(fail_with_7, NULL, items, 100, &options, &result, &error);
  pa_map(NULL, NULL, NULL, UINT64_MAX, NULL, &result, NULL);
  pa_map(return_0, NULL, items, UINT64_MAX / 16, NULL, &result, NULL);
  pa_limiter_acquire(NULL, 0, -5, NULL);
  pa_stop_request(NULL);
  pa_drain(-1, NULL);
  free(items);
}

ROLE(nothing_is_printed) {
  char path[] = "/tmp/pa-output-XXXXXX";
  const int file = mkstemp(path);
  REQUIRE(file >= 0);
  unlink(path);
  const int out = dup(1), err = dup(2);
  dup2(file, 1);
  dup2(file, 2);
  everything_that_could_make_noise();
  dup2(out, 1);
  dup2(err, 2);
  struct stat status;
  REQUIRE(fstat(file, &status) == 0);
#ifndef CHECK_SANITIZED  // sanitizers speak of allocations that are too large
  CHECK_EQ(status.st_size, 0);
#endif
  close(file);
}

TEST(the_library_never_prints) { check_role("nothing_is_printed"); }
