#include "capi/src/error.hpp"

#include <cstdarg>
#include <cstdio>

namespace pa {

pa_status report(pa_error* error, pa_status status, int32_t detail, const char* format, ...) noexcept {
  if (!error) return status;
  error->status = status;
  error->detail = detail;
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(error->message, sizeof error->message, format, arguments);
  va_end(arguments);
  return status;
}

}  // namespace pa

static_assert(sizeof(pa_error) == 256, "frozen");

#define PA_NAME(name) \
  case name:          \
    return #name;

const char* pa_status_name(pa_status status) {
  switch (status) {
    PA_NAME(PA_STATUS_OK)
    PA_NAME(PA_STATUS_DONE)
    PA_NAME(PA_STATUS_AGAIN)
    PA_NAME(PA_STATUS_TIMEOUT)
    PA_NAME(PA_STATUS_PULL)
    PA_NAME(PA_STATUS_RETRY)
    PA_NAME(PA_STATUS_FINAL)
    PA_NAME(PA_STATUS_STOPPED)
    PA_NAME(PA_STATUS_INVALID)
    PA_NAME(PA_STATUS_NO_MEMORY)
    PA_NAME(PA_STATUS_SYSTEM)
    PA_NAME(PA_STATUS_FORKED)
    PA_NAME(PA_STATUS_SOURCE)
    PA_NAME(PA_STATUS_KEY)
    PA_NAME(PA_STATUS_CALLBACK)
    PA_NAME(PA_STATUS_WORKER_START)
    PA_NAME(PA_STATUS_ITEMS_FAILED)
    PA_NAME(PA_STATUS_TIMED_OUT)
    PA_NAME(PA_STATUS_ABORTED)
    PA_NAME(PA_STATUS_CANCELLED)
    PA_NAME(PA_STATUS_WORKERS_LOST)
    default:
      return "PA_STATUS_UNKNOWN";
  }
}

const char* pa_end_name(int32_t end) {
  switch (end) {
    PA_NAME(PA_END_NONE)
    PA_NAME(PA_END_COMPLETED)
    PA_NAME(PA_END_TIMED_OUT)
    PA_NAME(PA_END_ABORTED)
    PA_NAME(PA_END_CANCELLED)
    PA_NAME(PA_END_FAILED)
    default:
      return "PA_END_UNKNOWN";
  }
}

const char* pa_item_name(int32_t state) {
  switch (state) {
    PA_NAME(PA_ITEM_OK)
    PA_NAME(PA_ITEM_FAILED)
    PA_NAME(PA_ITEM_TIMED_OUT)
    PA_NAME(PA_ITEM_ABORTED)
    PA_NAME(PA_ITEM_CANCELLED)
    PA_NAME(PA_ITEM_CRASHED)
    default:
      return "PA_ITEM_UNKNOWN";
  }
}
