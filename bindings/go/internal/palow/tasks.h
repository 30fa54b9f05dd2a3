/* Worker processes, for Go: tasks whose function, and runs whose source, are Go's. SWIG does not write what C calls of Go. */
#ifndef PA_GO_TASKS_H
#define PA_GO_TASKS_H

#include <pa/pa.h>

/* An item on its way to a worker. */
typedef struct pa_go_item {
  int32_t code; /* not 0: Go could not encode it, and it fails */
  size_t size;
  char data[];
} pa_go_item;

/* A run, as package pa describes it. */
typedef struct pa_go_run {
  uintptr_t handle; /* of the Run */
  const char* task;
  uint64_t size_hint;
  int32_t batch, detach, judges;
  const char *const *command, *const *environment;
  const char* directory;
  uint64_t crash_attempts, max_items, memory_limit, max_crashes; /* 0: the default */
  int64_t start_timeout_ns;
} pa_go_run;

pa_go_item* pa_go_item_new(int32_t code, const char* data, size_t size); /* NULL: there is no memory. (cgo looks at
                                                                            what lies around void*, and not at char*.) */
pa_bytes* pa_go_value_new(const char* data, size_t size);                /* likewise */
pa_status pa_go_register(const char* name, uintptr_t task, int32_t batch, pa_error* error);
pa_status pa_go_open(const pa_go_run* run, const pa_options* options, pa_iter** iter, pa_error* error);
/* The outcomes of pa_iter_next_many: all of the chunk, the message, and the values, which are the caller's. */
pa_status pa_go_next(pa_iter* iter, pa_chunk* chunk, pa_bytes*** values, pa_error* error);
/* The same for the one outcome of pa_iter_drain. */
pa_status pa_go_drain(pa_iter* iter, pa_chunk* chunk, pa_bytes** value, pa_error* error);

#endif
