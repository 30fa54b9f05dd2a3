// Worker processes: what goes right.
#include "tasks.h"

#include <signal.h>
#include <unistd.h>

TEST(each_item_gets_its_value) {
  enum { N = 100000 };
  void** items = numbered(N);
  const pa_options options = processes();
  pa_result* result = map_checked(square, items, N, &options);
  CHECK(pa_result_ok(result));
  uint64_t wrong = 0;
  for (uint64_t i = 0; i < N; i++) wrong += (uintptr_t)pa_result_value(result, i) != (i + 1) * (i + 1);
  CHECK_EQ(wrong, 0);
  pa_result_free(result);
  free(items);
}

TEST(strings_come_and_go) {
  void* items[] = {"say 1", NULL, "say 2", "fail 7", ""};
  const pa_options options = processes();
  pa_result* result = map_checked(obey, items, 5, &options);
  CHECK_STR(pa_result_value(result, 0), "said 1");
  CHECK(pa_result_value(result, 1) == NULL);
  CHECK_STR(pa_result_value(result, 2), "said 2");
  const pa_outcome failed = outcome_at(result, 3);
  CHECK_EQ(failed.state, PA_ITEM_FAILED);
  CHECK_EQ(failed.code, 7);
  CHECK_STR(failed.message, "as it was told");
  CHECK_EQ(outcome_at(result, 4).state, PA_ITEM_OK);
  pa_result_free(result);
}

TEST(the_call_knows_index_and_attempt) {
  void* items[] = {"fail-twice", "index", "index"};
  pa_options options = processes();
  options.retry.attempts = 3;
  options.retry.backoff_ns = MILLISECONDS;
  pa_result* result = map_checked(obey, items, 3, &options);
  CHECK_STR(pa_result_value(result, 0), "at last");
  CHECK_EQ(outcome_at(result, 0).attempts, 3);
  CHECK_STR(pa_result_value(result, 1), "1 1");
  CHECK_STR(pa_result_value(result, 2), "2 1");
  pa_result_free(result);
}

TEST(a_server_given_wait_is_kept) {
  void* items[] = {"later 30"};
  pa_options options = processes();
  options.retry.attempts = 2;
  options.retry.backoff_ns = HOURS;
  pa_result* result = map_checked(obey, items, 1, &options);
  CHECK_STR(pa_result_value(result, 0), "now");
  pa_result_free(result);
}

TEST(a_context_goes_to_each_worker) {
  enum { N = 1000 };
  void** items = numbered(N);
  const pa_options options = processes();
  pa_error error;
  char* contexts[] = {"four", NULL, "seventy", "four"};
  for (size_t round = 0; round < 4; round++) {
    pa_result* result = NULL;
    REQUIRE_STATUS(pa_map(add, contexts[round], items, N, &options, &result, &error), PA_STATUS_OK, &error);
    const uint64_t added = contexts[round] ? strlen(contexts[round]) : 0;
    uint64_t wrong = 0;
    for (uint64_t i = 0; i < N; i++) wrong += (uintptr_t)pa_result_value(result, i) != i + 1 + added;
    CHECK_EQ(wrong, 0);
    pa_result_free(result);
  }
  free(items);
}

TEST(worker_start_of_the_task_can_refuse) {
  void** items = numbered(10);
  const pa_options options = processes();
  pa_error error;
  pa_result* result = NULL;
  CHECK_STATUS(pa_map(add, "refuse", items, 10, &options, &result, &error), PA_STATUS_WORKER_START, &error);
  CHECK_EQ(error.detail, 77);
  CHECK_CONTAINS(error.message, "worker_start");
  CHECK_EQ(pa_result_end(result), PA_END_FAILED);
  CHECK_EQ(count_state(result, PA_ITEM_ABORTED), 10);
  pa_result_free(result);
  free(items);
}

TEST(each_worker_is_started_and_stopped_once_for_a_context) {
  char path[] = "/tmp/libpa-test-XXXXXX", other[sizeof path + 1], seen[8] = "";
  const int file = mkstemp(path);
  snprintf(other, sizeof other, "/%s", path);
  char* const contexts[] = {path, path, other};
  void** items = numbered(100);
  pa_options options = processes();
  options.workers = 1;
  pa_error error;
  for (int round = 0; round < 3; round++) {  // the second map finds what the first has started
    pa_result* result = NULL;
    REQUIRE_STATUS(pa_map(add, contexts[round], items, 100, &options, &result, &error), PA_STATUS_OK, &error);
    CHECK(pa_result_ok(result));
    pa_result_free(result);
  }
  CHECK_STATUS(pa_drain(-1, &error), PA_STATUS_OK, &error);
  CHECK_EQ(pread(file, seen, sizeof seen - 1, 0), 4);
  CHECK_STR(seen, "+-+-");
  free(items);
  close(file);
  unlink(path);
}

TEST(a_batch_function_answers_for_each) {
  void* items[] = {"say 1", "fail 3", "say 2", NULL, "say 4"};
  const pa_options options = processes();
  pa_result* result = NULL;
  pa_error error;
  REQUIRE_STATUS(pa_map_batch(obey_all, NULL, items, 5, &options, &result, &error), PA_STATUS_OK, &error);
  CHECK_STR(pa_result_value(result, 0), "said 1");
  CHECK_EQ(outcome_at(result, 1).code, 3);
  CHECK_STR(outcome_at(result, 1).message, "as it was told");
  CHECK_STR(pa_result_value(result, 2), "said 2");
  CHECK_EQ(outcome_at(result, 3).state, PA_ITEM_OK);
  CHECK_STR(pa_result_value(result, 4), "said 4");
  pa_result_free(result);
}

TEST(large_values_and_items) {
  enum { SIZE = 20000000 };
  char* item = malloc(SIZE + 1);
  memset(item, ' ', SIZE);
  memcpy(item, "say 9", 5);
  item[SIZE] = 0;
  void* items[] = {"large 30000000", item, "large 3", item};
  const pa_options options = processes();
  pa_result* result = map_checked(obey, items, 4, &options);
  CHECK_EQ(strlen(pa_result_value(result, 0)), 30000000);
  CHECK_STR(pa_result_value(result, 1), "said 9");
  CHECK_STR(pa_result_value(result, 2), "xxx");
  CHECK_STR(pa_result_value(result, 3), "said 9");
  pa_result_free(result);
  free(item);
}

TEST(workers_outlive_the_map_and_end_with_drain) {
  pa_error error;
  void* items[] = {"pid"};
  pa_options options = processes();
  options.workers = 1;
  CHECK_STATUS(pa_drain(-1, &error), PA_STATUS_OK, &error);
  CHECK_EQ(count_workers(), 0);
  pa_result* first = map_checked(obey, items, 1, &options);
  pa_result* second = map_checked(obey, items, 1, &options);
  CHECK_STR(pa_result_value(first, 0), pa_result_value(second, 0));
  CHECK_EQ(count_workers(), 1);
  CHECK_STATUS(pa_drain(-1, &error), PA_STATUS_OK, &error);
  CHECK_EQ(count_workers(), 0);
  pa_result* third = map_checked(obey, items, 1, &options);
  CHECK(strcmp(pa_result_value(first, 0), pa_result_value(third, 0)) != 0);
  pa_result_free(first);
  pa_result_free(second);
  pa_result_free(third);
}

TEST(what_a_worker_has_started_ends_with_it) {
  void* items[] = {"leave-a-child"};
  const pa_options options = processes();
  pa_result* result = map_checked(obey, items, 1, &options);
  const pid_t child = atoi(pa_result_value(result, 0));
  CHECK_EQ(kill(child, 0), 0);
  CHECK_EQ(pa_drain(-1, NULL), PA_STATUS_OK);
  WAIT_UNTIL(kill(child, 0) != 0);
  pa_result_free(result);
}

TEST(a_worker_is_replaced_after_max_items) {
  enum { N = 10 };
  void* items[N];
  for (int i = 0; i < N; i++) items[i] = "pid";
  pa_process process = process_defaults();
  process.max_items = 3;
  pa_options options = processes();
  options.workers = 1;
  options.process = &process;
  CHECK_EQ(pa_drain(-1, NULL), PA_STATUS_OK);
  pa_result* result = map_checked(obey, items, N, &options);
  CHECK(pa_result_ok(result));
  uint64_t changes = 0, same = 0;
  for (int i = 1; i < N; i++) {
    const int is_same = strcmp(pa_result_value(result, i - 1), pa_result_value(result, i)) == 0;
    changes += !is_same;
    same += is_same;
  }
  CHECK_EQ(changes, 3);
  CHECK_EQ(same, 6);
  pa_result_free(result);
}

TEST(environment_directory_and_descriptors) {
  const char* environment[] = {"PA_TEST=from the program", "PATH=/usr/bin:/bin", NULL};
  pa_process process = process_defaults();
  process.environment = environment;
  process.directory = "/";
  pa_options options = processes();
  options.process = &process;
  void* items[] = {"environment", "directory", "input", "descriptors"};
  int ours[2], open_on_exec[8];
  REQUIRE(pipe(ours) == 0 && write(ours[1], "x", 1) == 1);
  const int input = dup(STDIN_FILENO);
  dup2(ours[0], STDIN_FILENO);
  for (int i = 0; i < 8; i++) open_on_exec[i] = dup(ours[0]);
  pa_result* result = map_checked(obey, items, 4, &options);
  CHECK_STR(pa_result_value(result, 0), "from the program");
  CHECK_STR(pa_result_value(result, 1), "/");
  CHECK_STR(pa_result_value(result, 2), "0");
  CHECK_LE(atoi(pa_result_value(result, 3)), 3 + 2 + 1 + 2);  // 0 to 2, two of libpa, this folder, "." and ".."
  for (int i = 0; i < 8; i++) close(open_on_exec[i]);
  dup2(input, STDIN_FILENO);
  close(input), close(ours[0]), close(ours[1]);
  pa_result_free(result);
}

TEST(a_memory_limit_is_kept) {
#ifndef CHECK_SANITIZED
  pa_process process = process_defaults();
  process.memory_limit = 64 << 20;
  pa_options options = processes();
  options.process = &process;
  void* items[] = {"eat 1000000", "eat 500000000", "eat 1000000"};
  pa_result* result = map_checked(obey, items, 3, &options);
  CHECK_EQ(outcome_at(result, 0).state, PA_ITEM_OK);
  CHECK_EQ(outcome_at(result, 1).state, PA_ITEM_FAILED);
  CHECK_STR(outcome_at(result, 1).message, "no memory");
  CHECK_EQ(outcome_at(result, 2).state, PA_ITEM_OK);
  pa_result_free(result);
#endif
}

TEST(a_stream_goes_through_workers) {
  numbers from = {.n = 50000};
  const pa_source source = numbers_source(&from);
  uint64_t seen = 0, wrong = 0;
  pa_options options = processes();
  options.ordered = 1;
  pa_iter* iter = NULL;
  pa_error error;
  pa_outcome outcome;
  REQUIRE_STATUS(pa_iter_open(square, NULL, &source, &options, &iter, &error), PA_STATUS_OK, &error);
  while (pa_iter_next(iter, &outcome, &error) == PA_STATUS_OK) {
    wrong += outcome.index != seen || (uintptr_t)outcome.value != (seen + 1) * (seen + 1);
    seen++;
  }
  CHECK_EQ(pa_iter_end(iter), PA_END_COMPLETED);
  CHECK_EQ(seen, from.n);
  CHECK_EQ(wrong, 0);
  pa_iter_close(iter);
}

TEST(a_window_holds_for_workers_too) {
  numbers from = {.n = 300, .at_a_time = 1};
  const pa_source source = numbers_source(&from);
  uint64_t most = 0, seen = 0;
  pa_options options = processes();
  options.window = 7;
  pa_iter* iter = NULL;
  pa_error error;
  pa_outcome outcome;
  REQUIRE_STATUS(pa_iter_open(square, NULL, &source, &options, &iter, &error), PA_STATUS_OK, &error);
  while (pa_iter_next(iter, &outcome, &error) == PA_STATUS_OK) {
    const uint64_t ahead = LOAD(from.delivered) - seen++;
    if (ahead > most) most = ahead;
  }
  CHECK_EQ(seen, from.n);
  CHECK_LE(most, 7);
  pa_iter_close(iter);
}

TEST(a_task_can_be_named) {
  void* items[] = {"say 5"};
  pa_options options = processes();
  options.task = "obey";
  pa_result* result = map_checked(NULL, items, 1, &options);
  CHECK_STR(pa_result_value(result, 0), "said 5");
  pa_result_free(result);
}

TEST(a_map_in_the_background) {
  void** items = numbered(1000);
  const pa_options options = processes();
  pa_pending* pending = NULL;
  pa_result* result = NULL;
  pa_error error;
  REQUIRE_STATUS(pa_map_start(square, NULL, items, 1000, &options, &pending, &error), PA_STATUS_OK, &error);
  CHECK_STATUS(pa_pending_wait(pending, -1, &error), PA_STATUS_OK, &error);
  CHECK_STATUS(pa_pending_take(pending, &result, &error), PA_STATUS_OK, &error);
  CHECK(pa_result_ok(result));
  CHECK_EQ((uintptr_t)pa_result_value(result, 9), 100);
  pa_result_free(result);
  pa_pending_free(pending);
  free(items);
}

static int32_t note_progress(void* ctx, uint64_t done, uint64_t total) {
  *(uint64_t*)ctx = done;
  return total != 1000;
}

TEST(limiter_progress_and_max_errors_are_the_programs) {
  void** items = numbered(1000);
  pa_options options = processes();
  uint64_t done = 0;
  options.on_progress = note_progress;
  options.progress_ctx = &done;
  options.rate.count = 1e6;
  options.rate.burst = 10;
  pa_result* result = map_checked(square, items, 1000, &options);
  CHECK(pa_result_ok(result));
  CHECK_EQ(done, 1000);
  pa_result_free(result);
  free(items);

  void* failing[100];
  for (int i = 0; i < 100; i++) failing[i] = "fail 1";
  options = processes();
  options.max_errors = 5;
  result = map_checked(obey, failing, 100, &options);
  CHECK_EQ(pa_result_end(result), PA_END_ABORTED);
  CHECK_EQ(count_state(result, PA_ITEM_FAILED) + count_state(result, PA_ITEM_ABORTED), 100);
  pa_result_free(result);
}

static int32_t stop_it(void* ctx, const pa_outcome* outcome) {
  if (outcome->index == 0) pa_stop_request(ctx);
  return 0;
}

TEST(a_stop_reaches_the_calls_in_the_workers) {
  void* items[50];
  items[0] = "say 1";
  for (int i = 1; i < 50; i++) items[i] = "hang-politely";
  pa_options options = processes();
  pa_error error;
  REQUIRE_STATUS(pa_stop_new(&options.stop, &error), PA_STATUS_OK, &error);
  options.on_result = stop_it;
  options.result_ctx = options.stop;
  pa_result* result = map_checked(obey, items, 50, &options);
  CHECK_EQ(pa_result_end(result), PA_END_CANCELLED);
  CHECK_EQ(count_state(result, PA_ITEM_CANCELLED), 49);
  pa_result_free(result);
  pa_stop_release(options.stop);
}

TEST(a_deadline_reaches_the_calls_in_the_workers) {
  void* items[] = {"hang-politely", "hang-politely", "hang-politely"};
  pa_options options = processes();
  options.timeout_ns = 50 * MILLISECONDS;
  pa_result* result = map_checked(obey, items, 3, &options);
  CHECK_EQ(pa_result_end(result), PA_END_TIMED_OUT);
  CHECK_EQ(count_state(result, PA_ITEM_TIMED_OUT), 3);
  pa_result_free(result);
}

static void note_quiescence(void* ctx) { counter_up(ctx); }

TEST(a_detached_end_leaves_the_workers_to_themselves) {
  void* items[] = {"hang-politely", "hang-politely", "say 1"};
  counter quiescent = COUNTER_INIT;
  pa_options options = processes();
  options.detach = 1;
  options.timeout_ns = 20 * MILLISECONDS;
  options.on_quiescent = note_quiescence;
  options.quiescent_ctx = &quiescent;
  pa_result* result = map_checked(obey, items, 3, &options);
  CHECK_EQ(pa_result_end(result), PA_END_TIMED_OUT);
  CHECK_EQ(count_state(result, PA_ITEM_TIMED_OUT), 3);
  counter_wait(&quiescent, 1);
  CHECK_EQ(pa_drain(-1, NULL), PA_STATUS_OK);
  CHECK_EQ(counter_value(&quiescent), 1);
  CHECK_EQ(count_workers(), 0);
  pa_result_free(result);
}
