// Tasks for worker processes. A program that links tasks.c serves as a worker, before its main, when it was started to be one.
#ifndef PA_TESTS_TASKS_H
#define PA_TESTS_TASKS_H

#include "support.h"

// What `obey` is told: strings, each a word and a number.
int32_t obey(void* ctx, void* item, void** value, pa_call* call);
int32_t obey_all(void* ctx, void* const* items, size_t count, void** values, pa_call* call);
int32_t square(void* ctx, void* item, void** value, pa_call* call);  // words: *value = item * item
// Words; ctx: a string, of which the length is added. With one that begins with a slash each worker appends "+" to that file when it
// starts, and "-" when it stops; with "refuse" none starts.
int32_t add(void* ctx, void* item, void** value, pa_call* call);

pa_options processes(void);  // two workers
pa_process process_defaults(void);
// Child processes of this one: their number, and up to `most` of them.
uint32_t list_workers(pid_t* workers, uint32_t most);
uint32_t count_workers(void);
// pa_map without ctx, which is to return PA_STATUS_OK, and a result that holds what every result does.
pa_result* map_checked(pa_fn fn, void* const* items, uint64_t n, const pa_options* options);

#endif
