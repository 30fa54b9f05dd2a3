// Where one idle thread that is awake waits to be handed work directly: one cache line passes between the two, and no lock.
//
//     thread  sit() → poll offered() → a task, or stand() when it gives up, which may still bring a task
//     others  offer(task) → true: the thread will have it, unless take_back(task) is in time
#pragma once
#include "core/sync.hpp"

namespace pa {

template <class Task>
class Seat {
 public:
  // False: somebody else sits here.
  bool sit() {
    void* seen = nullptr;
    return word_.compare_exchange_strong(seen, this, std::memory_order_acq_rel);
  }
  // For the thread that sits: its task, which ends its stay; nullptr: nothing yet.
  Task* offered() {
    if (word_.load(std::memory_order_acquire) == this) return nullptr;
    return accept(this);
  }
  // The thread leaves, perhaps with a task that came at the last moment.
  Task* stand() { return accept(nullptr); }

  bool offer(Task& task) {
    void* seen = this;
    return word_.compare_exchange_strong(seen, &task, std::memory_order_acq_rel);
  }
  // False: the task is not here any more.
  bool take_back(Task& task) {
    void* seen = &task;
    return word_.compare_exchange_strong(seen, this, std::memory_order_acq_rel);
  }
  bool is_taken() const { return word_.load(std::memory_order_relaxed) == this; }

 private:
  // A task may be taken back between a look and the exchange: then the thread goes on sitting, or leaves with nothing.
  Task* accept(void* without) {
    void* seen = word_.load(std::memory_order_acquire);
    while (!word_.compare_exchange_weak(seen, seen == this ? without : nullptr, std::memory_order_acq_rel)) {
    }
    return seen == this ? nullptr : static_cast<Task*>(seen);
  }

  Atomic<void*> word_{nullptr};  // nullptr: nobody sits here; this: somebody does; else the task
};

}  // namespace pa
