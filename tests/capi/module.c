// A module with tasks, in the variants that module tests need: VARIANT says what is wrong with it.
#include <pa/plugin.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef VARIANT
#define VARIANT 0
#endif
enum { GOOD, TOO_NEW, TOO_SMALL, NAMELESS, REFUSING, NESTING, TOO_OLD };

static const pa_api* pa;

// The length of a string as a word; "crash" crashes.
static int32_t length(void* ctx, void* item, void** value, pa_call* call) {
  (void)ctx;
  if (strcmp(item, "crash") == 0) kill(getpid(), SIGKILL);
  if (strcmp(item, "fail") == 0) return pa->call_fail(call, 5, "as it was told");
  *value = (void*)strlen(item);
  return 0;
}

static pa_status register_tasks(const pa_api* api, pa_error* error) {
  pa_task task;
  pa = api;
  if (VARIANT == REFUSING) {
    strcpy(error->message, "not today");
    return PA_STATUS_INVALID;
  }
  if (VARIANT == NESTING) return api->module_load("libm.so.6", error);
  api->task_init(&task, sizeof task);
  task.fn = length;
  api->codec_string(&task.item);
  api->codec_word(&task.value);
  return api->task_register("length", &task, error);
}

#if VARIANT == 0
PA_MODULE("lengths", "1.2", register_tasks)
#else
PA_MODULE_EXPORT const pa_module_info* pa_module_entry(void);
PA_MODULE_EXPORT const pa_module_info* pa_module_entry(void) {
  static const pa_module_info info = {VARIANT == TOO_SMALL ? 8 : sizeof(pa_module_info),
                                      PA_MODULE_ABI + (VARIANT == TOO_NEW) - (VARIANT == TOO_OLD),
                                      PA_VERSION_MAJOR * 1000000,
                                      0,
                                      VARIANT == NAMELESS ? "" : "lengths",
                                      "1.2",
                                      register_tasks};
  return &info;
}
#endif
