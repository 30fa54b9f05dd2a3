// What starting a run in the foreground and in the background share.
#pragma once
#include "capi/src/run_record.hpp"

namespace pa {

inline constexpr uint64_t kMostItems = uint64_t{1} << 56;

pa_status read_source(const pa_source* source, Work& work, pa_error* error) noexcept;
pa_status check_array(const Work& work, pa_error* error) noexcept;
// What comes after that: reads the options, and finds the function, which may be named there.
pa_status read_plan(const pa_options* options, const Work& work, Settings& settings, pa_error* error);
// With PA_EXECUTOR_PROCESSES: what the run needs for that. Throws std::bad_alloc.
pa_status staff(const Work& work, Settings& settings, pa_error* error);

}  // namespace pa
