/* For the macros pa_map and pa_iter_open, and for programs that load the library with dlopen. <pa/pa.h> includes this. */
#ifndef PA_API_H
#define PA_API_H

/* Laid out by hand. */
/* clang-format off */

#ifndef PA_PA_H
#error "include <pa/pa.h>"
#endif

#include "job.h"
#include "process.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The item loop: compiled into your program by the macro pa_map, because a call from a shared library into a program costs
 * more than one inside the program. Nothing else needs it. The layout is frozen. */
typedef struct pa_span {
  pa_fn fn;
  void *ctx;
  void *const *items; /* of this span */
  void **values;      /* of this span; may be the same array: read an item before you write its value */
  uint64_t count;     /* items in the span. pa_call_stopped may end it behind the item that is being run: read it anew each time */
  uint64_t at;        /* position being run; where the loop stopped */
  pa_call *call;
  int32_t code;       /* what the function returned last */
  int32_t reserved0;
  uint64_t reserved[4];
} pa_span;

/* Runs items until one fails or all are done. */
typedef void (*pa_loop_fn)(pa_span *span);

/* pa_map with a loop of the caller's.
 *   loop  pa_item_loop, as compiled into your program; not NULL. Errors and everything else: as pa_map. */
PA_EXPORT pa_status pa_map_loop(pa_loop_fn loop, pa_fn fn, void *ctx, void *const *items, uint64_t n, const pa_options *options,
                                pa_result **result, pa_error *error);

#ifndef SWIG
static inline void pa_item_loop(pa_span *span) {
  const pa_fn fn = span->fn;
  void *const ctx = span->ctx;
  void *const *const items = span->items;
  void **const values = span->values;
  pa_call *const call = span->call;
  uint64_t i;
  for (i = span->at; i < span->count; i++) {
    void *const item = items[i];
    int32_t code;
    values[i] = NULL;
    span->at = i;
    code = fn(ctx, item, &values[i], call);
    if (code != 0) {
      span->code = code;
      return;
    }
  }
  span->at = i;
  span->code = 0;
}
#endif

/* pa_iter_open with a loop of the caller's. Errors and everything else: as pa_iter_open. */
PA_EXPORT pa_status pa_iter_open_loop(pa_loop_fn loop, pa_fn fn, void *ctx, const pa_source *source, const pa_options *options,
                                      pa_iter **iter, pa_error *error);

/* All functions as a table, for programs that load the library with dlopen:
 *
 *     const pa_api *(*get_api)(uint32_t) = NULL;
 *     *(void **)&get_api = dlsym(handle, "pa_get_api");                 // as POSIX has it
 *     const pa_api *pa = get_api ? get_api(PA_VERSION_MAJOR) : NULL;
 *     if (!pa) ...                                    // not a libpa, or one of another major version
 *     pa->map(fetch, NULL, urls, n, NULL, &result, &error);
 *
 * It only grows at its end: check struct_size before you use a member that is newer than the library you require. */
typedef struct pa_api {
  uint32_t struct_size;
  uint32_t version; /* pa_version() */
  const char *(*status_name)(pa_status);
  int64_t (*parse_retry_after)(const char *, int64_t);
  void (*options_init)(pa_options *, size_t);
  void (*source_init)(pa_source *, size_t);
  pa_status (*map)(pa_fn, void *, void *const *, uint64_t, const pa_options *, pa_result **, pa_error *);
  pa_status (*map_loop)(pa_loop_fn, pa_fn, void *, void *const *, uint64_t, const pa_options *, pa_result **, pa_error *);
  pa_status (*map_batch)(pa_batch_fn, void *, void *const *, uint64_t, const pa_options *, pa_result **, pa_error *);
  pa_status (*map_range)(pa_range_fn, void *, uint64_t, const pa_options *, pa_result **, pa_error *);
  pa_status (*map_source)(pa_fn, void *, const pa_source *, const pa_options *, pa_result **, pa_error *);
  pa_status (*map_batch_source)(pa_batch_fn, void *, const pa_source *, const pa_options *, pa_result **, pa_error *);
  pa_status (*map_start)(pa_fn, void *, void *const *, uint64_t, const pa_options *, pa_pending **, pa_error *);
  pa_status (*pending_wait)(pa_pending *, int64_t, pa_error *);
  pa_status (*pending_take)(pa_pending *, pa_result **, pa_error *);
  void (*pending_free)(pa_pending *);
  uint64_t (*result_count)(const pa_result *);
  int32_t (*result_end)(const pa_result *);
  int32_t (*result_ok)(const pa_result *);
  uint64_t (*result_failed)(const pa_result *);
  pa_status (*result_at)(const pa_result *, uint64_t, pa_outcome *, pa_error *);
  void *(*result_value)(const pa_result *, uint64_t);
  pa_status (*result_take)(pa_result *, uint64_t, void **, pa_error *);
  pa_status (*result_next_failure)(const pa_result *, uint64_t *, pa_outcome *, pa_error *);
  pa_status (*result_check)(const pa_result *, pa_error *);
  uint64_t (*result_batch_size)(const pa_result *);
  void (*result_free)(pa_result *);
  uint64_t (*call_index)(const pa_call *);
  uint32_t (*call_attempt)(const pa_call *);
  int32_t (*call_stopped)(const pa_call *);
  int64_t (*call_remaining_ns)(const pa_call *);
  int32_t (*call_fail)(pa_call *, int32_t, const char *);
  void (*call_retry_after)(pa_call *, int64_t);
  void (*call_ok_at)(pa_call *, size_t);
  void (*call_fail_at)(pa_call *, size_t, int32_t, const char *);
  pa_status (*limiter_new)(const pa_rate *, pa_limiter **, pa_error *);
  void (*limiter_retain)(pa_limiter *);
  void (*limiter_release)(pa_limiter *);
  pa_status (*limiter_acquire)(pa_limiter *, uint64_t, int64_t, pa_error *);
  pa_status (*limiter_try)(pa_limiter *, uint64_t, int64_t *, pa_error *);
  pa_status (*limiter_pause)(pa_limiter *, int64_t, pa_error *);
  pa_status (*limiter_set_rate)(pa_limiter *, const pa_rate *, pa_error *);
  pa_status (*limiter_settle)(pa_limiter *, int64_t, pa_error *);
  pa_status (*stop_new)(pa_stop **, pa_error *);
  void (*stop_retain)(pa_stop *);
  void (*stop_release)(pa_stop *);
  void (*stop_request)(pa_stop *);
  int32_t (*stop_requested)(const pa_stop *);
  pa_status (*drain)(int64_t, pa_error *);
  const char *(*end_name)(int32_t);
  const char *(*item_name)(int32_t);
  pa_status (*iter_open)(pa_fn, void *, const pa_source *, const pa_options *, pa_iter **, pa_error *);
  pa_status (*iter_open_loop)(pa_loop_fn, pa_fn, void *, const pa_source *, const pa_options *, pa_iter **, pa_error *);
  pa_status (*iter_open_batch)(pa_batch_fn, void *, const pa_source *, const pa_options *, pa_iter **, pa_error *);
  pa_status (*iter_next)(pa_iter *, pa_outcome *, pa_error *);
  pa_status (*iter_next_timeout)(pa_iter *, int64_t, pa_outcome *, pa_error *);
  pa_status (*iter_next_many)(pa_iter *, pa_outcome *, void ***, size_t *, pa_error *);
  int32_t (*iter_fd)(pa_iter *, pa_error *);
  int32_t (*iter_end)(const pa_iter *);
  uint64_t (*iter_batch_size)(const pa_iter *);
  void (*iter_close)(pa_iter *);
  pa_status (*job_open)(const pa_options *, uint64_t, uint32_t, pa_job **, pa_error *);
  pa_status (*job_take)(pa_job *, pa_lease *);
  pa_status (*job_supply)(pa_job *, pa_lease *, uint64_t, int32_t);
  pa_status (*job_step)(pa_job *, pa_lease *, uint64_t);
  pa_status (*job_fail)(pa_job *, pa_lease *, uint64_t, uint32_t, int64_t, int32_t, const char *);
  pa_status (*job_complete)(pa_job *, pa_lease *, uint64_t);
  pa_status (*job_leave)(pa_job *, pa_lease *);
  pa_status (*job_next)(pa_job *, pa_chunk *);
  uint64_t (*job_room)(pa_job *);
  pa_status (*job_admit)(pa_job *, uint64_t, uint64_t, pa_progress *);
  pa_status (*job_end_input)(pa_job *, pa_progress *);
  pa_status (*job_poll)(pa_job *, pa_progress *);
  pa_status (*job_progress)(pa_job *, pa_progress *);
  pa_status (*job_notify)(pa_job *, pa_notify_fn, void *, pa_error *);
  int32_t (*job_fd)(pa_job *, pa_error *);
  pa_status (*job_stop)(pa_job *);
  pa_status (*job_drain)(pa_job *, pa_chunk *);
  int32_t (*job_end)(const pa_job *);
  pa_status (*job_close)(pa_job *);
  void (*job_free)(pa_job *);
  pa_status (*job_complete_and_take)(pa_job *, pa_lease *);
  pa_status (*buffer_append)(pa_buffer *, const void *, size_t);
  void (*codec_string)(pa_codec *);
  void (*codec_bytes)(pa_codec *);
  pa_bytes *(*bytes_new)(const void *, size_t);
  void (*codec_struct)(pa_codec *, size_t);
  void (*codec_word)(pa_codec *);
  void (*task_init)(pa_task *, size_t);
  pa_status (*task_register)(const char *, const pa_task *, pa_error *);
  int32_t (*worker_requested)(void);
  pa_status (*worker_serve)(pa_error *);
  void (*process_init)(pa_process *, size_t);
  pa_status (*task_find)(const char *, pa_task *, pa_error *);
  const char *(*task_name)(uint64_t);
  pa_status (*module_load)(const char *, pa_error *);
  pa_status (*iter_drain)(pa_iter *, pa_outcome *, pa_error *);
} pa_api;

/* Returns the table of functions for a major version, or NULL if this library is of another one.
 * Ownership: static, valid until dlclose. */
PA_EXPORT const pa_api *pa_get_api(uint32_t major);

#ifdef __cplusplus
}
#endif

#if !defined(SWIG) && !defined(PA_NO_MACROS)
#define pa_map(...) pa_map_loop(pa_item_loop, __VA_ARGS__)
#define pa_iter_open(...) pa_iter_open_loop(pa_item_loop, __VA_ARGS__)
#endif

#endif
