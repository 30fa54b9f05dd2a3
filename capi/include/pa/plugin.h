/* plugin.h: how to write a module, a shared object with tasks. pa_module_load of process.h loads it, in the program and in its
 * workers; `pa worker --module lib.so` is a worker with it.
 *
 *     #include <pa/plugin.h>
 *
 *     static int32_t count_words(void *ctx, void *item, void **value, pa_call *call) { ... }
 *
 *     static pa_status register_tasks(const pa_api *api, pa_error *error) {
 *       pa_task task;
 *       api->task_init(&task, sizeof task);
 *       task.fn = count_words;
 *       api->codec_string(&task.item);
 *       api->codec_string(&task.value);
 *       return api->task_register("count_words", &task, error);
 *     }
 *
 *     PA_MODULE("words", "1.0", register_tasks)
 *
 * A module calls libpa through the table that it is given (api->call_fail and so on) and need not be linked with it: whoever loads
 * it may have a libpa of its own inside. Build it with `cc -shared -fPIC words.c -o words.so`.
 *
 * A module is loaded once in a process, and stays. */
#ifndef PA_PLUGIN_H
#define PA_PLUGIN_H

/* Laid out by hand. */
/* clang-format off */

#include "pa.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Counts up when modules of the time before can't be loaded any more. */
#define PA_MODULE_ABI 1

/* What a module says about itself. It only grows, at its end, within an ABI. */
typedef struct pa_module_info {
  uint32_t struct_size;   /* sizeof(pa_module_info), as compiled into the module */
  uint32_t abi;           /* PA_MODULE_ABI, likewise */
  uint32_t pa_version;    /* of the pa.h that it was compiled with, as pa_version() has it */
  uint32_t reserved0;
  const char *name;       /* not empty */
  const char *version;
  /* Registers the module's tasks. `api` stays valid. Returns a pa_status, with *error filled where it is negative. */
  pa_status (*register_tasks)(const pa_api *api, pa_error *error);
} pa_module_info;

/* What a module exports, under this name: the address of what it says, which stays valid. */
#define PA_MODULE_ENTRY "pa_module_entry"
typedef const pa_module_info *(*pa_module_entry_fn)(void);

#if defined(__GNUC__)
#define PA_MODULE_EXPORT __attribute__((visibility("default")))
#else
#define PA_MODULE_EXPORT
#endif

/* Defines that function. */
#define PA_MODULE(module_name, module_version, register_function)                                            \
  PA_MODULE_EXPORT const pa_module_info *pa_module_entry(void);                                              \
  PA_MODULE_EXPORT const pa_module_info *pa_module_entry(void) {                                             \
    static const pa_module_info info = {sizeof(pa_module_info), PA_MODULE_ABI,                               \
                                        PA_VERSION_MAJOR * 1000000u + PA_VERSION_MINOR * 1000u + PA_VERSION_PATCH, \
                                        0, module_name, module_version, register_function};                  \
    return &info;                                                                                            \
  }

#ifdef __cplusplus
}
#endif

#endif
