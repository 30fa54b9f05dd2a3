// What --trace writes: a line for each call to a job. For the members of Run.
#pragma once
#include <cstdio>

#include "check.hpp"
#include "core/job.hpp"

namespace pa::simulation {

inline const char* name(End end) {
  static constexpr const char* kNames[] = {"none", "completed", "timed out", "aborted", "cancelled", "failed"};
  return kNames[static_cast<int>(end)];
}

inline const char* name(Take take) {
  static constexpr const char* kNames[] = {"lease", "pull", "again", "done"};
  return kNames[static_cast<int>(take)];
}

}  // namespace pa::simulation

#define PA_TRACE(...)                                                                                                    \
  do {                                                                                                                   \
    if (around_.trace) std::printf("%10lld job %d ", ll{around_.now}, number_), std::printf(__VA_ARGS__), std::puts(""); \
  } while (0)
