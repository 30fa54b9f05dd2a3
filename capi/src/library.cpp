// The library as a whole: its version, its table of functions, its end.
#include "capi/src/error.hpp"
#include "capi/src/run_record.hpp"
#include "core/drivers/pool.hpp"
#include "core/process/warm.hpp"

namespace {

constexpr uint32_t kVersion = PA_VERSION_MAJOR * 1000000 + PA_VERSION_MINOR * 1000 + PA_VERSION_PATCH;

// clang-format off
constexpr pa_api api = {
    sizeof(pa_api),      kVersion,
    pa_status_name,      pa_parse_retry_after,
    pa_options_init,     pa_source_init,
    pa_map,              pa_map_loop,
    pa_map_batch,        pa_map_range,
    pa_map_source,       pa_map_batch_source,
    pa_map_start,        pa_pending_wait,
    pa_pending_take,     pa_pending_free,
    pa_result_count,     pa_result_end,
    pa_result_ok,        pa_result_failed,
    pa_result_at,        pa_result_value,
    pa_result_take,      pa_result_next_failure,
    pa_result_check,     pa_result_batch_size,
    pa_result_free,      pa_call_index,
    pa_call_attempt,     pa_call_stopped,
    pa_call_remaining_ns, pa_call_fail,
    pa_call_retry_after, pa_call_ok_at,
    pa_call_fail_at,     pa_limiter_new,
    pa_limiter_retain,   pa_limiter_release,
    pa_limiter_acquire,  pa_limiter_try,
    pa_limiter_pause,    pa_limiter_set_rate,
    pa_limiter_settle,   pa_stop_new,
    pa_stop_retain,      pa_stop_release,
    pa_stop_request,     pa_stop_requested,
    pa_drain,            pa_end_name,
    pa_item_name,
    (pa_iter_open),      pa_iter_open_loop,
    pa_iter_open_batch,  pa_iter_next,
    pa_iter_next_timeout, pa_iter_next_many,
    pa_iter_fd,          pa_iter_end,
    pa_iter_batch_size,  pa_iter_close,
    pa_job_open,         pa_job_take,
    pa_job_supply,       pa_job_step,
    pa_job_fail,         pa_job_complete,
    pa_job_leave,        pa_job_next,
    pa_job_room,         pa_job_admit,
    pa_job_end_input,    pa_job_poll,
    pa_job_progress,     pa_job_notify,
    pa_job_fd,           pa_job_stop,
    pa_job_drain,        pa_job_end,
    pa_job_close,        pa_job_free,
    pa_job_complete_and_take,
    pa_buffer_append,    pa_codec_string,
    pa_codec_bytes,      pa_bytes_new,
    pa_codec_struct,     pa_codec_word,
    pa_task_init,        pa_task_register,
    pa_worker_requested, pa_worker_serve,
    pa_process_init,     pa_task_find,
    pa_task_name,        pa_module_load,
    pa_iter_drain,
};
// clang-format on

// Offsets are frozen: a member may only be added at the end.
static_assert(offsetof(pa_api, map) == 40 && offsetof(pa_api, result_count) == 120 && offsetof(pa_api, call_index) == 208 &&
                  offsetof(pa_api, limiter_new) == 272 && offsetof(pa_api, stop_new) == 336 &&
                  offsetof(pa_api, drain) == 376,
              "the table only grows at its end");

}  // namespace

uint32_t pa_version(void) { return kVersion; }

const pa_api* pa_get_api(uint32_t major) { return major == PA_VERSION_MAJOR ? &api : nullptr; }

pa_status pa_drain(int64_t timeout_ns, pa_error* error) {
  if (timeout_ns < -1)
    return PA_INVALID(error, "timeout_ns must be >= 0, or -1 for none, got %lld", static_cast<long long>(timeout_ns));
  const pa::nanos until = timeout_ns < 0 ? pa::kNever : pa::after(pa::os::now(), timeout_ns);
  if (!pa::pool::drain(until)) return PA_STATUS_TIMEOUT;
  pa::process::dismiss_warm();
  pa::ArrayStorage::free_spares();
  pa_result::free_spare();
  return PA_STATUS_OK;
}
