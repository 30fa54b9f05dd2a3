// How the C ABI says what went wrong, and the wall that no exception passes.
#pragma once
#include <new>

#include "core/os.hpp"
#include "pa/pa.h"

namespace pa {

// Fills *error, if there is one, and returns `status`.
[[gnu::format(printf, 4, 5)]] pa_status report(pa_error* error, pa_status status, int32_t detail, const char* format,
                                               ...) noexcept;

#define PA_INVALID(error, ...) ::pa::report((error), PA_STATUS_INVALID, 0, __VA_ARGS__)

inline pa_status no_memory(pa_error* error) noexcept { return report(error, PA_STATUS_NO_MEMORY, 0, "out of memory"); }

inline pa_status forked(pa_error* error, const char* what) noexcept {
  return report(error, PA_STATUS_FORKED, 0, "%s was made before fork(): make a new one in the child", what);
}

// Runs the body of an exported function.
template <class Body>
pa_status guarded(pa_error* error, Body body) noexcept {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return no_memory(error);
  } catch (...) {
    return report(error, PA_STATUS_SYSTEM, 0, "an internal error was caught at the border of the library");
  }
}

// What can be shared, and remembers in which process it was made.
struct Shared {
  std::atomic<uint32_t> owners{1};
  const uint32_t generation = os::fork_generation();
  bool from_before_fork() const { return generation != os::fork_generation(); }
  void retain() { owners.fetch_add(1, std::memory_order_relaxed); }
  bool drop() { return owners.fetch_sub(1, std::memory_order_acq_rel) == 1; }
};

}  // namespace pa
