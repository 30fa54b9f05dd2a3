/* process.h: run the function in worker processes, where a crash, a leak or a hang costs one item. Included by pa.h.
 *
 *     static int32_t thumbnail(void *ctx, void *item, void **value, pa_call *call) {  // item: a path, value: a path
 *       char *made = make_thumbnail(item);                                            // may crash
 *       if (!made) return pa_call_fail(call, 1, "no picture");
 *       *value = made;                                                                // from malloc
 *       return 0;
 *     }
 *
 *     int main(void) {
 *       pa_task task;
 *       pa_task_init(&task, sizeof task);
 *       task.fn = thumbnail;
 *       pa_codec_string(&task.item);
 *       pa_codec_string(&task.value);
 *       if (pa_task_register("thumbnail", &task, &error)) die(error.message);
 *       if (pa_worker_requested()) return pa_worker_serve(NULL) != PA_STATUS_OK;      // before anything else is done
 *
 *       options.executor = PA_EXECUTOR_PROCESSES;
 *       options.item_timeout_ns = 5000000000;                                         // what hangs is killed
 *       if (pa_map(thumbnail, NULL, paths, n, &options, &result, &error)) die(error.message);
 *
 * Workers are this program itself, run again, or options.process->command. They outlive the map and serve the next one that wants
 * the same kind; pa_drain ends them, and so does the end of this program, however it comes. Each stands behind one thread of
 * libpa; limiter, retries, stop, deadlines, progress and max_errors work as with threads, and all callbacks of pa_options
 * run in this program. Standard input of a worker is empty, standard output and error are those of the program, other
 * descriptors are closed.
 *
 * Besides what it says at each function a run may end with PA_END_FAILED, and the status PA_STATUS_SYSTEM (no worker can be started;
 * error.detail is errno), PA_STATUS_WORKERS_LOST (they don't come to serve, or die one after the other) or
 * PA_STATUS_WORKER_START (they can't run the task; error.detail is the code). PA_STATUS_INVALID, before anything runs: a function
 * that is no task, a ctx without a codec, options.worker_start, a program that never asked pa_worker_requested.
 *
 * Items and values cross the border as bytes: a codec writes and reads them. NULL needs no codec, as item or as value. Worker
 * and program must be built for the same machine, and the program must register the same tasks in both. */
#ifndef PA_PROCESS_H
#define PA_PROCESS_H

/* Laid out by hand. */
/* clang-format off */

#include "pa.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ------------------------------------------------------------------ codecs */

/* Bytes that are being written; belongs to libpa, valid during the call of encode. */
typedef struct pa_buffer pa_buffer;

/* Appends `size` bytes to what was written. Errors: PA_STATUS_NO_MEMORY; the item then fails, whatever encode returns. */
PA_EXPORT pa_status pa_buffer_append(pa_buffer *buffer, const void *data, size_t size);

/* How an object of yours crosses the border between two processes.
 * Threads: all functions may be called from several threads at once. They are not called for NULL. */
typedef struct pa_codec {
  /* Writes `object` with pa_buffer_append. Returns 0; non-zero makes the item fail with that code. NULL in pa_task.value:
   * values stay in the worker, and the result has none. */
  int32_t (*encode)(void *ctx, const void *object, pa_buffer *out);
  /* Makes an object of what encode wrote, and stores it in *object. `data` is aligned to 16 bytes, and a byte 0 that does
   * not count stands behind it; it is valid during the call. Returns 0; non-zero makes the item fail with that code. */
  int32_t (*decode)(void *ctx, const void *data, size_t size, void **object);
  /* Frees an object: in the worker what decode made of an item, and what your function stored as its value; in the program
   * values, as options.release_value, where that is NULL. May be NULL. (Values of the codecs below are not made one by one in a
   * map: they lie in the result until pa_result_free, and what pa_result_take hands out is a copy.) */
  void (*release)(void *ctx, void *object);
  void *ctx;
  void *reserved[2]; /* NULL */
} pa_codec;

/* Objects are strings that end with a 0: char *. Values that you have taken are yours to free(), and your function makes them with
 * malloc. */
PA_EXPORT void pa_codec_string(pa_codec *codec);

/* Objects are ranges of bytes: pa_bytes *. What is decoded is one block, to be freed with one free(). Your function makes its
 * values in the same manner, with pa_bytes_new. */
typedef struct pa_bytes {
  const void *data;
  size_t size;
} pa_bytes;
PA_EXPORT void pa_codec_bytes(pa_codec *codec);

/* A copy of `size` bytes, in one block with the pa_bytes that names them: free() it. NULL if there is no memory. */
PA_EXPORT pa_bytes *pa_bytes_new(const void *data, size_t size);

/* Objects are structs (or arrays, or numbers) of `size` bytes without pointers. Values that you have taken are yours to free(), and
 * your function makes them with malloc. size: >= 1. */
PA_EXPORT void pa_codec_struct(pa_codec *codec, size_t size);

/* Objects are the pointers themselves: numbers that were cast to void *. Nothing is freed. */
PA_EXPORT void pa_codec_word(pa_codec *codec);

/* ------------------------------------------------------------------ tasks */

/* A function that worker processes may run. */
typedef struct pa_task {
  uint32_t struct_size; /* set by pa_task_init */
  uint32_t reserved0;
  pa_fn fn;             /* for pa_map, pa_map_source, pa_map_start, pa_iter_open; */
  pa_batch_fn batch_fn; /* for those with _batch. At least one of the two */
  pa_codec item;        /* both functions needed, release if decode allocates */
  pa_codec value;       /* or all NULL: the function stores no values */
  /* The ctx of a map: encoded once for each map, decoded once in each worker that takes part, and handed to the functions
   * there; a worker that has it from an earlier map, of the same bytes, keeps it. Without this codec the ctx of a map must be
   * NULL. */
  pa_codec context;
  /* Called in a worker before its first item, and after its last, with the decoded context: for connections and other state of a
   * process. When a map of another task, or with another context, follows, the one after the other. A worker_start that returns non-zero ends
   * the map with PA_END_FAILED and PA_STATUS_WORKER_START; worker_stop is then not called. Nor is it when a worker dies. */
  int32_t (*worker_start)(void *ctx);
  void (*worker_stop)(void *ctx);
} pa_task;

/* Fills a task with zeroes and struct_size = size.
 *   size  sizeof(pa_task). */
PA_EXPORT void pa_task_init(pa_task *task, size_t size);

/* Makes a task known by a name: in the program, and, before pa_worker_serve, in the worker, which is the same code as a rule.
 *   name, task  copied. 1 to 255 bytes.
 * A function may have several names, with other codecs each: a map of it must then set options.task.
 * Errors: PA_STATUS_INVALID for a name that is taken by another task (the same again is no error), no function, or an item
 * codec that is not whole. */
PA_EXPORT pa_status pa_task_register(const char *name, const pa_task *task, pa_error *error);

/* Copies what was registered under a name.
 *   task  its struct_size is set by pa_task_init.
 * Errors: PA_STATUS_INVALID if there is no such task. */
PA_EXPORT pa_status pa_task_find(const char *name, pa_task *task, pa_error *error);

/* The name of the task that was registered as number `position`, from 0; NULL if there are not so many. Ownership: static. */
PA_EXPORT const char *pa_task_name(uint64_t position);

/* Loads a module, a shared object with tasks (see plugin.h), and registers them. A map of such a task needs no program that can
 * be its own worker: without options.process->command its workers are `pa worker` of the program pa, found by PATH, unless this
 * program has asked pa_worker_requested. They load the module themselves.
 *   path  of the shared object; without a slash it is looked for as dlopen does. Loading it again is no error.
 * Errors: PA_STATUS_SYSTEM if it can't be loaded; PA_STATUS_INVALID if it is no module, or one for a libpa that is older or newer;
 * what registering its tasks returned. Not from within a module's register_tasks. */
PA_EXPORT pa_status pa_module_load(const char *path, pa_error *error);

/* ------------------------------------------------------------------ workers */

/* Returns 1 if this process was started to be a worker, else 0: to be called at the beginning of main, before the program does
 * what it is there for. A program that never asks is never run again as a worker. */
PA_EXPORT int32_t pa_worker_requested(void);

/* Serves as a worker until the program that started this process wants it no more; once in a process. Then return from main.
 * Errors: PA_STATUS_INVALID if this process was not started to be a worker, or by a libpa that speaks another protocol, or if what it
 * was sent makes no sense; PA_STATUS_SYSTEM, PA_STATUS_NO_MEMORY. */
PA_EXPORT pa_status pa_worker_serve(pa_error *error);

/* How to run worker processes: options.process. Fill it with pa_process_init; read during the call that starts the run. */
struct pa_process {
  uint32_t struct_size;        /* set by pa_process_init */
  uint32_t crash_attempts;     /* an item whose attempts have cost so many workers has crashed for good, even if retry.attempts
                                  are left; a crash is a failed attempt like any other besides. >= 1. Default 3 */
  uint64_t max_items;          /* a worker that has run so many items is replaced; 0: never. Default 0 */
  uint64_t memory_limit;       /* bytes of private memory (RLIMIT_DATA) that a worker may have; 0: no limit. Default 0 */
  uint64_t max_crashes;        /* so many workers died in a row, and no item was done in between: the run ends with
                                  PA_END_FAILED and PA_STATUS_WORKERS_LOST. >= 1. Default 64 */
  int64_t start_timeout_ns;    /* a worker that does not serve by then could not be started. > 0. Default 30 s */
  const char *directory;       /* the workers' working directory; NULL: that of the program */
  const char *const *environment; /* "NAME=value" ..., then NULL: all of it; NULL: that of the program */
  const char *const *command;  /* program (with a path, or found by PATH) and arguments of a worker, then NULL; it must call
                                  pa_worker_serve. NULL: this program itself, without arguments; for a task of a module in a
                                  program that can't be its own worker: `pa worker` */
};

/* Writes every default.
 *   size  sizeof(pa_process), as compiled into the caller. */
PA_EXPORT void pa_process_init(pa_process *process, size_t size);

#ifdef __cplusplus
}
#endif

#endif
