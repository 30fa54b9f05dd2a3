// Time as the engine sees it: a number of nanoseconds that the driver hands in. Only drivers read a real clock (os.hpp).
#pragma once
#include <cstdint>
#include <limits>

namespace pa {

using nanos = int64_t;

inline constexpr nanos kNever = std::numeric_limits<nanos>::max();

// The instant `wait_ns` after `now`, or kNever when that lies beyond what can be counted.
inline nanos after(nanos now, nanos wait_ns) { return wait_ns > kNever - now ? kNever : now + wait_ns; }

}  // namespace pa
