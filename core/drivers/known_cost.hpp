// Remembers what an item of a function cost when it was last run, so that a run of a few short items need not wake threads.
// A guess, no more: where it is wrong, the owner of the run calls for help after a moment.
#pragma once
#include <atomic>
#include <cstdint>

#include "core/time.hpp"

namespace pa {

class KnownCost {
 public:
  // Nanoseconds per item on one thread, 0 if the function is not known.
  nanos of(const void* function) const {
    const Entry& entry = entries_[slot(function)];
    return entry.function.load(std::memory_order_relaxed) == function ? entry.cost.load(std::memory_order_relaxed) : 0;
  }
  void note(const void* function, nanos cost) {
    Entry& entry = entries_[slot(function)];
    entry.cost.store(cost > 0 ? cost : 1, std::memory_order_relaxed);
    entry.function.store(function, std::memory_order_relaxed);
  }

 private:
  static constexpr int kEntries = 64;
  struct Entry {
    std::atomic<const void*> function{nullptr};
    std::atomic<nanos> cost{0};
  };
  static int slot(const void* function) {
    return static_cast<int>((reinterpret_cast<uintptr_t>(function) * 0x9E3779B97F4A7C15u) >> 58);
  }
  Entry entries_[kEntries];
};

}  // namespace pa
