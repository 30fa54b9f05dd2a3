// Reads a caller's options: sizes, defaults, checks.
#pragma once
#include <memory>

#include "capi/src/error.hpp"
#include "capi/src/handles.hpp"
#include "core/job.hpp"
#include "core/os.hpp"

namespace pa {

class Workforce;

enum class Kind { items, batch, range };  // what a call of the user's function gets

// Options that have passed all checks; workers is the real number.
struct Settings : pa_options {
  Rate own_rate;                         // with rate.count > 0
  std::shared_ptr<Workforce> workforce;  // with PA_EXECUTOR_PROCESSES, for runs
};

pa_status read_options(const pa_options* options, Kind kind, bool from_source, Settings& settings, pa_error* error) noexcept;

// A running lease looks at the clock, and at what others want of it, about this often.
inline constexpr nanos kLookEvery = 8'000;

// The limiter that options.rate asks for, if it does, and the one that holds. Throws std::bad_alloc.
std::unique_ptr<pa_limiter> make_own_limiter(const Settings& settings);
Limiter* limiter_of(const Settings& settings, const std::unique_ptr<pa_limiter>& own);

// What of it concerns the job. `cost` is what an item is thought to take, 0 if nothing is known; `limiter` the shared one or
// the run's own.
JobConfig job_config(const Settings& settings, Kind kind, uint64_t count, bool fetched, nanos now, nanos cost,
                     Limiter* limiter);

}  // namespace pa
