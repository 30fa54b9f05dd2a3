// What stands behind the handles that programs share between runs.
#pragma once
#include "capi/src/error.hpp"
#include "core/limiter.hpp"
#include "core/stop.hpp"

struct pa_limiter : pa::Shared {
  explicit pa_limiter(const pa::Rate& rate) : limiter(rate) {}
  pa::Limiter limiter;
};

struct pa_stop : pa::Shared {
  pa::StopToken token;
};

namespace pa {

// Checks a rate; `name` is what the message calls it, such as "options.rate".
pa_status read_rate(const pa_rate& rate, const char* name, Rate& out, pa_error* error) noexcept;

}  // namespace pa
