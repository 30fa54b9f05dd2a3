// The engine's ends, as the ABI calls them.
#pragma once
#include <cstdint>

#include "core/job.hpp"
#include "pa/pa.h"

namespace pa {

// PA_END_*
inline int32_t public_end(End end) {
  static_assert(static_cast<int>(End::none) == PA_END_NONE && static_cast<int>(End::completed) == PA_END_COMPLETED &&
                static_cast<int>(End::timed_out) == PA_END_TIMED_OUT && static_cast<int>(End::aborted) == PA_END_ABORTED &&
                static_cast<int>(End::cancelled) == PA_END_CANCELLED && static_cast<int>(End::failed) == PA_END_FAILED);
  return static_cast<int32_t>(end);
}

// PA_ITEM_*: what is said of an item that was not done because of such an end.
inline uint8_t state_of_unrun(End end) {
  switch (end) {
    case End::timed_out:
      return PA_ITEM_TIMED_OUT;
    case End::cancelled:
      return PA_ITEM_CANCELLED;
    default:
      return PA_ITEM_ABORTED;
  }
}

// In words, where the item has none of its own.
inline const char* words_of_unrun(End end) {
  switch (end) {
    case End::timed_out:
      return "not done: the run timed out";
    case End::cancelled:
      return "not done: the run was cancelled";
    case End::aborted:
      return "not done: the run was aborted after too many failures";
    default:
      return "not done: the run failed";
  }
}

}  // namespace pa
