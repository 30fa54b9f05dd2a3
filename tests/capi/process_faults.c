// Worker processes that crash, hang, or do what they should not.
#include "tasks.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

// One bad item among 40 good ones.
enum { N = 41, BAD = 17 };
static pa_outcome among_others(char* bad, const pa_options* options, pa_result** result) {
  void* items[N];
  for (int i = 0; i < N; i++) items[i] = "say 1";
  items[BAD] = bad;
  *result = map_checked(obey, items, N, options);
  const pa_outcome outcome = outcome_at(*result, BAD);
  CHECK_EQ(count_state(*result, PA_ITEM_OK), outcome.state == PA_ITEM_OK ? N : N - 1);
  return outcome;
}

static void check_crash(char* bad, int32_t code, const char* words) {
  const pa_options options = processes();
  pa_result* result = NULL;
  const pa_outcome outcome = among_others(bad, &options, &result);
  CHECK_EQ(outcome.state, PA_ITEM_CRASHED);
  CHECK_EQ(outcome.code, code);
  CHECK_EQ(outcome.attempts, 1);
  CHECK_CONTAINS(outcome.message, words);
  pa_result_free(result);
}

TEST(a_segmentation_fault) { check_crash("signal 11", -11, "killed by signal 11"); }
TEST(an_abort) { check_crash("signal 6", -6, "killed by signal 6"); }
TEST(a_kill) { check_crash("signal 9", -9, "killed by signal 9"); }
TEST(a_call_of_exit) { check_crash("_exit 3", 3, "exited with status 3"); }
TEST(a_call_of_exit_with_0) { check_crash("_exit 0", PA_CODE_EXITED, "exited with status 0"); }
TEST(garbage) { check_crash("spoil", PA_CODE_GARBAGE, "garbage"); }

TEST(garbage_of_one_that_runs_alone) {
  void* items[] = {"spoil"};
  const pa_options options = processes();
  pa_result* result = map_checked(obey, items, 1, &options);
  CHECK_EQ(outcome_at(result, 0).code, PA_CODE_GARBAGE);
  pa_result_free(result);
}

int32_t throw_from_item(void* ctx, void* item, void** value, pa_call* call);

TEST(an_exception_is_no_crash) {
  void** items = numbered(12);
  const pa_options options = processes();
  pa_result* result = map_checked(throw_from_item, items, 12, &options);
  CHECK_EQ(count_state(result, PA_ITEM_OK), 6);
  CHECK_EQ(outcome_at(result, 0).code, PA_CODE_EXCEPTION);
  CHECK_STR(outcome_at(result, 0).message, "it broke");
  pa_result_free(result);
  free(items);
}

__attribute__((constructor(101))) static void register_throwing_task(void) {
  pa_task task;
  pa_task_init(&task, sizeof task);
  task.fn = throw_from_item;
  pa_codec_word(&task.item);
  pa_codec_word(&task.value);
  if (pa_task_register("throw", &task, NULL)) abort();
}

TEST(closed_descriptors_disturb_nobody) {
  const pa_options options = processes();
  pa_result* result = NULL;
  const pa_outcome outcome = among_others("close", &options, &result);
  CHECK_EQ(outcome.state, PA_ITEM_OK);
  pa_result_free(result);
}

TEST(what_hangs_is_killed) {
  pa_options options = processes();
  options.item_timeout_ns = 30 * MILLISECONDS;
  pa_result* result = NULL;
  GROWING_TIMEOUT(timeout, result && count_state(result, PA_ITEM_OK) == N - 1) {
    if (result) pa_result_free(result);
    options.item_timeout_ns = timeout;
    void* items[N];
    for (int i = 0; i < N; i++) items[i] = "say 1";
    items[BAD] = "hang";
    result = map_checked(obey, items, N, &options);
  }
  const pa_outcome outcome = outcome_at(result, BAD);
  CHECK_EQ(outcome.state, PA_ITEM_TIMED_OUT);
  CHECK_CONTAINS(outcome.message, "killed");
  pa_result_free(result);
}

TEST(what_notices_its_timeout_is_not_killed) {
  pa_options options = processes();
  options.item_timeout_ns = 20 * MILLISECONDS;
  options.workers = 1;
  void* items[] = {"pid", "hang-politely", "pid"};
  pa_result* result = map_checked(obey, items, 3, &options);
  CHECK_EQ(outcome_at(result, 1).state, PA_ITEM_TIMED_OUT);
  pa_result_free(result);
}

TEST(a_crash_can_be_retried) {
  pa_options options = processes();
  options.retry.attempts = 2;
  options.retry.backoff_ns = MILLISECONDS;
  pa_result* result = NULL;
  const pa_outcome outcome = among_others("crash-once", &options, &result);
  CHECK_EQ(outcome.state, PA_ITEM_OK);
  CHECK_EQ(outcome.attempts, 2);
  CHECK_STR(outcome.value, "at last");
  pa_result_free(result);
}

TEST(a_poison_item_is_given_up) {
  pa_process process = process_defaults();
  process.crash_attempts = 2;
  pa_options options = processes();
  options.process = &process;
  options.retry.attempts = 100;
  options.retry.backoff_ns = 0;
  pa_result* result = NULL;
  const pa_outcome outcome = among_others("signal 11", &options, &result);
  CHECK_EQ(outcome.state, PA_ITEM_CRASHED);
  CHECK_EQ(outcome.attempts, 2);
  pa_result_free(result);
}

TEST(a_storm_of_crashes_ends_the_run) {
  enum { MANY = 1000 };
  void* items[MANY];
  for (int i = 0; i < MANY; i++) items[i] = "signal 9";
  pa_process process = process_defaults();
  process.max_crashes = 10;
  pa_options options = processes();
  options.process = &process;
  pa_result* result = NULL;
  pa_error error;
  CHECK_STATUS(pa_map(obey, NULL, items, MANY, &options, &result, &error), PA_STATUS_WORKERS_LOST, &error);
  CHECK_CONTAINS(error.message, "died in a row");
  CHECK_EQ(pa_result_end(result), PA_END_FAILED);
  CHECK_LE(count_state(result, PA_ITEM_CRASHED), 12);
  CHECK_EQ(count_state(result, PA_ITEM_CRASHED) + count_state(result, PA_ITEM_ABORTED), MANY);
  pa_result_free(result);
}

TEST(a_batch_that_crashes_is_found_out_by_retries) {
  void* items[N];
  for (int i = 0; i < N; i++) items[i] = "say 1";
  items[BAD] = "signal 11";
  pa_options options = processes();
  options.retry.attempts = 2;
  options.retry.backoff_ns = 0;
  options.batch.max_items = 10;
  pa_result* result = NULL;
  pa_error error;
  REQUIRE_STATUS(pa_map_batch(obey_all, NULL, items, N, &options, &result, &error), PA_STATUS_OK, &error);
  CHECK_EQ(count_state(result, PA_ITEM_OK), N - 1);
  CHECK_EQ(outcome_at(result, BAD).state, PA_ITEM_CRASHED);
  pa_result_free(result);
}

// ---- workers that can't be started

static void check_lost(const char* const* command, pa_status expected, const char* words) {
  pa_process process = process_defaults();
  process.command = command;
  process.start_timeout_ns = 50 * MILLISECONDS;
  pa_options options = processes();
  options.process = &process;
  void* items[] = {"say 1", "say 2", "say 3"};
  pa_result* result = NULL;
  pa_error error;
  CHECK_STATUS(pa_map(obey, NULL, items, 3, &options, &result, &error), expected, &error);
  CHECK_CONTAINS(error.message, words);
  REQUIRE(result != NULL);
  CHECK_EQ(pa_result_end(result), PA_END_FAILED);
  CHECK_EQ(count_state(result, PA_ITEM_ABORTED), 3);
  CHECK_EQ(outcome_at(result, 0).attempts, 0);
  pa_result_free(result);
}

TEST(a_program_that_is_not_there) {
  const char* command[] = {"/nowhere/worker", NULL};
  check_lost(command, PA_STATUS_SYSTEM, "/nowhere/worker");
}

TEST(a_program_that_is_no_worker) {
  const char* command[] = {"true", NULL};
  check_lost(command, PA_STATUS_WORKERS_LOST, "exited with status 0 before");
}

TEST(a_program_that_never_serves) {
  const char* command[] = {"sleep", "1000", NULL};
  check_lost(command, PA_STATUS_WORKERS_LOST, "start_timeout_ns");
}

// ---- nothing is left

static uint32_t count_descriptors(void) {
  uint32_t count = 0;
  for (int i = 0; i < 1024; i++) count += fcntl(i, F_GETFD) >= 0;
  return count;
}

static uint32_t count_mappings(void) {
  FILE* maps = fopen("/proc/self/maps", "r");
  char line[512];
  uint32_t count = 0;
  while (fgets(line, sizeof line, maps)) count += strstr(line, "memfd:libpa") != NULL;
  fclose(maps);
  return count;
}

TEST(nothing_is_left_after_drain) {
  CHECK_EQ(pa_drain(-1, NULL), PA_STATUS_OK);
  const uint32_t before = count_descriptors();
  void* items[] = {"signal 11", "say 1", "_exit 1", "say 2", "spoil", "say 3", "signal 9", "say 4"};
  const pa_options options = processes();
  for (int round = 0; round < 5; round++) pa_result_free(map_checked(obey, items, 8, &options));
  CHECK_EQ(pa_drain(-1, NULL), PA_STATUS_OK);
  CHECK_EQ(count_workers(), 0);
  CHECK_EQ(count_mappings(), 0);
  CHECK_LE(count_descriptors(), before + 1);  // one event that the library keeps
  CHECK_EQ(waitpid(-1, NULL, WNOHANG), -1);   // no zombie, no child
}

// Prints the workers' process numbers, and then waits to be killed.
ROLE(be_a_program_with_workers) {
  void* items[] = {"pid", "pid", "pid", "hang", "hang"};
  pa_options options = processes();
  options.workers = 4;
  pa_pending* pending = NULL;
  if (pa_map_start(obey, NULL, items + 3, 2, &options, &pending, NULL)) exit(1);
  WAIT_UNTIL(count_workers() >= 2);
  pa_result* result = map_checked(obey, items, 3, &options);
  if (result) printf("%u\n", count_workers());
  fflush(stdout);
  for (;;) pause();
}

TEST(workers_end_with_their_program) {
  int output = -1;
  const pid_t program = check_role_start("be_a_program_with_workers", &output);
  char text[64] = "";
  REQUIRE(read(output, text, sizeof text - 1) > 0);
  const int workers = atoi(text);
  CHECK(workers >= 3);
  pid_t all[16];
  int count = 0;
  char path[300];
  snprintf(path, sizeof path, "cat /proc/%ld/task/*/children", (long)program);
  FILE* children = popen(path, "r");
  long number;
  while (count < 16 && fscanf(children, "%ld", &number) == 1) all[count++] = (pid_t)number;
  pclose(children);
  CHECK_EQ(count, workers);
  kill(program, SIGKILL);
  waitpid(program, NULL, 0);
  close(output);
  for (int i = 0; i < count; i++) WAIT_UNTIL(kill(all[i], 0) != 0);
}
