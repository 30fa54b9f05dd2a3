// Tasks for worker processes. A program that links tasks.c serves as a worker, before its main, when it was started to be one.
#ifndef PA_TESTS_TASKS_H
#define PA_TESTS_TASKS_H

#include "support.h"

// What `obey` is told: strings, each a word and a number.
int32_t obey(void* ctx, void* item, void** value, pa_call* call);
int32_t obey_all(void* ctx, void* const* items, size_t count, void** values, pa_call* call);
int32_t square(void* ctx, void* item, void** value, pa_call* call);  // words: *value = item * item
int32_t add(void* ctx, void* item, void** value, pa_call* call);     // words; ctx: a string, of which the length is added

pa_options processes(void);  // two workers
pa_process process_defaults(void);
uint32_t count_workers(void);  // child processes of this one

#endif
