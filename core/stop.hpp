// The stop token, and how it and the limiter tell the runs that wait on them.
#pragma once
#include <cstdint>
#include <mutex>

#include "sync.hpp"

namespace pa {

// What wants to be told. `notified` may run inside a signal handler: it may set atomics and wake futexes, nothing else.
class Listener {
 public:
  virtual void notified() noexcept = 0;

 protected:
  ~Listener() = default;
};

// A set of listeners whose `notify` takes no lock and so may be called from a signal handler. `remove` returns only when
// no `notify` can still be using the listener; it waits for them, and they never wait for anything.
class Listeners {
 public:
  Listeners() = default;
  ~Listeners();
  Listeners(const Listeners&) = delete;
  Listeners& operator=(const Listeners&) = delete;

  void add(Listener& listener);  // throws std::bad_alloc
  void remove(Listener& listener) noexcept;
  void notify() noexcept;

 private:
  static constexpr int kSlots = 8;
  struct Block {
    Atomic<Listener*> slot[kSlots] = {};
    Atomic<Block*> next{nullptr};
  };
  Block first_;
  Atomic<uint32_t> notifying_{0};
  Mutex adding_;  // between add and remove; never taken by notify
};

// A latch: once requested it stays so.
class StopToken {
 public:
  bool requested() const { return requested_.load(std::memory_order_acquire) != 0; }
  void request() noexcept {
    if (requested_.exchange(1, std::memory_order_seq_cst) == 0) listeners_.notify();
  }
  Listeners& listeners() { return listeners_; }

 private:
  Atomic<uint32_t> requested_{0};
  Listeners listeners_;
};

}  // namespace pa
