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

const char* pa_status_name(pa_status status) {
  switch (status) {
#define PA_NAME(name) \
  case name:          \
    return #name;
    PA_NAME(PA_STATUS_OK)
    PA_NAME(PA_STATUS_DONE)
    PA_NAME(PA_STATUS_AGAIN)
    PA_NAME(PA_STATUS_TIMEOUT)
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
#undef PA_NAME
    default:
      return "PA_STATUS_UNKNOWN";
  }
}
