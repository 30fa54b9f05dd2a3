// Shared objects with tasks. This program never asks whether it is to be a worker: those of its modules' tasks are another one's.
#include <unistd.h>

#include "support.h"

static pa_error error;

static void refuse(const char* path, pa_status expected, const char* words) {
  CHECK_STATUS(pa_module_load(path, &error), expected, &error);
  CHECK_CONTAINS(error.message, words);
}

TEST(what_is_no_module) {
  refuse(NULL, PA_STATUS_INVALID, "path");
  refuse("", PA_STATUS_INVALID, "path");
  refuse("/nowhere/lib.so", PA_STATUS_SYSTEM, "/nowhere/lib.so");
  refuse("/etc/passwd", PA_STATUS_SYSTEM, "passwd");
  refuse("libm.so.6", PA_STATUS_INVALID, "pa_module_entry");
  refuse(MODULES "/too_new.so", PA_STATUS_INVALID, "too new");
  refuse(MODULES "/too_old.so", PA_STATUS_INVALID, "too old");
  refuse(MODULES "/too_small.so", PA_STATUS_INVALID, "struct_size");
  refuse(MODULES "/nameless.so", PA_STATUS_INVALID, "name");
  refuse(MODULES "/refusing.so", PA_STATUS_INVALID, "not today");
  refuse(MODULES "/nesting.so", PA_STATUS_INVALID, "must not load another one");
  CHECK(pa_task_name(0) == NULL);
}

static pa_options by_workers(pa_process* process, const char** command) {
  command[0] = MODULE_WORKER;
  command[1] = NULL;
  pa_process_init(process, sizeof *process);
  process->command = command;
  pa_options options = defaults();
  options.executor = PA_EXECUTOR_PROCESSES;
  options.workers = 2;
  options.process = process;
  options.task = "length";
  return options;
}

TEST(a_module_runs_in_workers_that_load_it_themselves) {
  REQUIRE_STATUS(pa_module_load(MODULES "/good.so", &error), PA_STATUS_OK, &error);
  CHECK_STATUS(pa_module_load(MODULES "/../modules/good.so", &error), PA_STATUS_OK, &error);  // the same
  CHECK_STR(pa_task_name(0), "length");
  CHECK(pa_task_name(1) == NULL);
  pa_task task;
  pa_task_init(&task, sizeof task);
  CHECK_STATUS(pa_task_find("length", &task, &error), PA_STATUS_OK, &error);
  CHECK(task.fn != NULL && task.batch_fn == NULL);
  CHECK_STATUS(pa_task_find("width", &task, &error), PA_STATUS_INVALID, &error);
  CHECK_CONTAINS(error.message, "\"length\"");
  task.struct_size = 1;
  CHECK_STATUS(pa_task_find("length", &task, &error), PA_STATUS_INVALID, &error);
  CHECK_STATUS(pa_task_find(NULL, &task, &error), PA_STATUS_INVALID, &error);

  void* items[] = {"one", "crash", "three", "fail", ""};
  const char* command[2];
  pa_process process;
  const pa_options options = by_workers(&process, command);
  pa_result* result = NULL;
  REQUIRE_STATUS(pa_map(NULL, NULL, items, 5, &options, &result, &error), PA_STATUS_OK, &error);
  check_result(result);
  CHECK_EQ((uintptr_t)pa_result_value(result, 0), 3);
  CHECK_EQ(outcome_at(result, 1).state, PA_ITEM_CRASHED);
  CHECK_EQ((uintptr_t)pa_result_value(result, 2), 5);
  CHECK_STR(outcome_at(result, 3).message, "as it was told");
  CHECK(outcome_at(result, 4).state == PA_ITEM_OK && pa_result_value(result, 4) == NULL);
  pa_result_free(result);
}

static int32_t refused_status(const pa_options* options) {
  void* items[] = {"one"};
  pa_result* result = NULL;
  const int32_t status = pa_map(NULL, NULL, items, 1, options, &result, &error);
  CHECK(result == NULL);
  return status;
}

ROLE(never_ask) {
  pa_task task;
  pa_task_init(&task, sizeof task);
  task.fn = return_0;
  pa_codec_word(&task.item);
  REQUIRE_STATUS(pa_task_register("mine", &task, &error), PA_STATUS_OK, &error);
  pa_options options = defaults();
  options.executor = PA_EXECUTOR_PROCESSES;
  options.task = "mine";
  CHECK_EQ(refused_status(&options), PA_STATUS_INVALID);
  CHECK_CONTAINS(error.message, "pa_worker_requested");
}

// It was started to be a worker, and does its main job instead.
ROLE(stray) {
  REQUIRE_STATUS(pa_module_load(MODULES "/good.so", &error), PA_STATUS_OK, &error);
  const char* command[2];
  pa_process process;
  const pa_options options = by_workers(&process, command);
  CHECK_EQ(refused_status(&options), PA_STATUS_INVALID);
  CHECK_CONTAINS(error.message, "must call pa_worker_serve");
  CHECK_EQ(pa_worker_serve(&error), PA_STATUS_SYSTEM);  // nobody has left descriptors for it
  CHECK_EQ(refused_status(&options), PA_STATUS_INVALID);
}

TEST(no_main_job_is_done_twice) {
  check_role("never_ask");
  setenv("PA_WORKER", "1", 1);
  check_role("stray");
  setenv("PA_WORKER", "77", 1);  // a protocol of the future
  check_role("stray_of_another_version");
  unsetenv("PA_WORKER");
}

ROLE(stray_of_another_version) {
  CHECK_EQ(pa_worker_requested(), 1);
  CHECK_STATUS(pa_worker_serve(&error), PA_STATUS_INVALID, &error);
  CHECK_CONTAINS(error.message, "another protocol");
}

TEST(without_a_worker_of_its_own_it_needs_the_program_pa) {
  char* const path = getenv("PATH") ? strdup(getenv("PATH")) : NULL;
  REQUIRE_STATUS(pa_module_load(MODULES "/good.so", &error), PA_STATUS_OK, &error);
  void* items[] = {"one"};
  const char* command[2];
  pa_process process;
  pa_options options = by_workers(&process, command);
  options.process = NULL;
  setenv("PATH", "/nowhere", 1);
  pa_result* result = NULL;
  CHECK_STATUS(pa_map(NULL, NULL, items, 1, &options, &result, &error), PA_STATUS_SYSTEM, &error);
  CHECK_CONTAINS(error.message, "from pa:");
  pa_result_free(result);
  setenv("PATH", path ? path : "/bin", 1);
  free(path);
}
