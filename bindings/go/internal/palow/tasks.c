#include "tasks.h"

#include <stdlib.h>
#include <string.h>

#include "_cgo_export.h"

pa_go_item* pa_go_item_new(int32_t code, const char* data, size_t size) {
  pa_go_item* item = malloc(sizeof *item + size);
  if (!item) return NULL;
  item->code = code;
  item->size = size;
  if (size) memcpy(item->data, data, size);
  return item;
}

pa_bytes* pa_go_value_new(const char* data, size_t size) { return pa_bytes_new(data, size); }

static int32_t encode_item(void* task, const void* object, pa_buffer* out) {
  const pa_go_item* item = object;
  (void)task;
  return item->code ? item->code : pa_buffer_append(out, item->data, item->size);
}

/* The context of a run is which task it is, and the codec knows that. */
static int32_t encode_task(void* task, const void* object, pa_buffer* out) {
  (void)task, (void)object, (void)out;
  return 0;
}

static int32_t decode_task(void* task, const void* data, size_t size, void** object) {
  (void)data, (void)size;
  *object = task;
  return 0;
}

static int32_t call_one(void* task, void* item, void** value, pa_call* call) {
  return paGoCall((uintptr_t)task, &item, 1, value, call);
}

static int32_t call_batch(void* task, void* const* items, size_t count, void** values, pa_call* call) {
  return paGoCall((uintptr_t)task, (void**)items, count, values, call);
}

static int32_t start_worker(void* task) { return paGoStart((uintptr_t)task); }
static void stop_worker(void* task) { paGoStop((uintptr_t)task); }

pa_status pa_go_register(const char* name, uintptr_t handle, int32_t batch, pa_error* error) {
  pa_task task;
  pa_task_init(&task, sizeof task);
  if (batch)
    task.batch_fn = call_batch;
  else
    task.fn = call_one;
  pa_codec_bytes(&task.item);
  pa_codec_bytes(&task.value);
  task.item.encode = encode_item;
  task.context.encode = encode_task;
  task.context.decode = decode_task;
  task.context.ctx = (void*)handle;
  task.worker_start = start_worker;
  task.worker_stop = stop_worker;
  return pa_task_register(name, &task, error);
}

static int32_t pull(void* run, void** items, size_t most, size_t* got) { return paGoPull((uintptr_t)run, items, most, got); }
static void release_item(void* run, void* item) { (void)run, free(item); }
static void release_value(void* run, void* value) { (void)run, free(value); }
static int32_t judge(void* run, const pa_outcome* failure) { return paGoJudge((uintptr_t)run, (pa_outcome*)failure); }
static void end_run(void* run) { paGoQuiescent((uintptr_t)run); }

pa_status pa_go_open(const pa_go_run* run, const pa_options* given, pa_iter** iter, pa_error* error) {
  pa_process process;
  pa_process_init(&process, sizeof process);
  process.command = run->command;
  process.environment = run->environment;
  process.directory = run->directory;
  process.max_items = run->max_items;
  process.memory_limit = run->memory_limit;
  if (run->crash_attempts) process.crash_attempts = (uint32_t)run->crash_attempts;
  if (run->max_crashes) process.max_crashes = run->max_crashes;
  if (run->start_timeout_ns) process.start_timeout_ns = run->start_timeout_ns;

  void* handle = (void*)run->handle;
  pa_options options = *given;
  options.executor = PA_EXECUTOR_PROCESSES;
  options.task = run->task;
  options.process = &process;
  options.detach = (uint32_t)run->detach;
  options.release_value = release_value;
  options.on_quiescent = end_run;
  options.quiescent_ctx = handle;
  if (run->judges) {
    options.retry.retry_if = judge;
    options.retry.retry_ctx = handle;
  }

  pa_source source;
  pa_source_init(&source, sizeof source);
  source.next = pull;
  source.ctx = handle;
  source.size_hint = run->size_hint;
  source.release_item = release_item;
  return run->batch ? (pa_iter_open_batch)(NULL, handle, &source, &options, iter, error)
                    : (pa_iter_open)(NULL, handle, &source, &options, iter, error);
}

static void describe(const pa_outcome* outcome, size_t count, pa_chunk* chunk) {
  chunk->first = outcome->index;
  chunk->count = count;
  chunk->state = outcome->state;
  chunk->code = outcome->code;
  chunk->message = outcome->message;
  chunk->attempts = outcome->attempts;
  chunk->duration_ns = outcome->duration_ns;
}

pa_status pa_go_next(pa_iter* iter, pa_chunk* chunk, pa_bytes*** values, pa_error* error) {
  pa_outcome first;
  void** found = NULL;
  size_t count = 0;
  const pa_status status = pa_iter_next_many(iter, &first, &found, &count, error);
  if (status) return status;
  describe(&first, count, chunk);
  *values = (pa_bytes**)found;
  return status;
}

pa_status pa_go_drain(pa_iter* iter, pa_chunk* chunk, pa_bytes** value, pa_error* error) {
  pa_outcome outcome;
  const pa_status status = pa_iter_drain(iter, &outcome, error);
  if (status) return status;
  describe(&outcome, 1, chunk);
  *value = outcome.value;
  return status;
}
