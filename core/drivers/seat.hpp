// Where one idle thread that is awake waits to be handed work directly: one cache line passes between the two, and no lock.
//
//     thread  sit() → poll offered() → a task, or stand() when it gives up, which may still bring a task
//     others  offer(task) → true: the thread will have it, unless take_back(task) is in time
#pragma once
#include <cstdint>

#include "core/sync.hpp"

namespace pa {

template <class Task>
class Seat {
 public:
  // False: somebody else sits here.
  bool sit() {
    uintptr_t seen = kEmpty;
    return word_.compare_exchange_strong(seen, kTaken, std::memory_order_acq_rel);
  }
  // For the thread that sits: its task, which ends its stay; nullptr: nothing yet.
  Task* offered() {
    if (word_.load(std::memory_order_acquire) == kTaken) return nullptr;
    return accept(kTaken);
  }
  // The thread leaves, perhaps with a task that came at the last moment.
  Task* stand() { return accept(kEmpty); }

  bool offer(Task& task) {
    uintptr_t seen = kTaken;
    return word_.compare_exchange_strong(seen, reinterpret_cast<uintptr_t>(&task), std::memory_order_acq_rel);
  }
  // False: the task is not here any more.
  bool take_back(Task& task) {
    auto seen = reinterpret_cast<uintptr_t>(&task);
    return word_.compare_exchange_strong(seen, kTaken, std::memory_order_acq_rel);
  }
  bool is_taken() const { return word_.load(std::memory_order_relaxed) == kTaken; }

 private:
  // A task may be taken back between a look and the exchange: then the thread goes on sitting, or leaves with nothing.
  Task* accept(uintptr_t without) {
    uintptr_t seen = word_.load(std::memory_order_acquire);
    while (!word_.compare_exchange_weak(seen, seen == kTaken ? without : kEmpty, std::memory_order_acq_rel)) {
    }
    return seen == kTaken ? nullptr : reinterpret_cast<Task*>(seen);
  }

  static constexpr uintptr_t kEmpty = 0, kTaken = 1;
  Atomic<uintptr_t> word_{kEmpty};
};

}  // namespace pa
