// What starting a run in the foreground and in the background share.
#pragma once
#include "capi/src/run_record.hpp"

namespace pa {

inline constexpr uint64_t kMostItems = uint64_t{1} << 56;

pa_status read_source(const pa_source* source, Work& work, pa_error* error) noexcept;
pa_status check_array(const Work& work, bool has_function, pa_error* error) noexcept;

}  // namespace pa
