// The engine's atomics and mutex for the explorer (core/sync.hpp includes this with -DPA_INTERLEAVE): every operation is a
// point at which another fiber may go on. Memory is sequentially consistent here, so that the arguments that name an order
// are ignored: what the explorer shows is that the operations are right in any interleaving, not that their orders suffice.
#pragma once
#include <atomic>
#include <cstdint>
#include <mutex>
#include <type_traits>

namespace pa::interleave {

// Called before each operation. Outside of an exploration it does nothing.
void point() noexcept;
// Called after it, for the trace of a failing schedule.
void did(const void* object, const char* operation, uint64_t value) noexcept;

void lock(const bool& locked) noexcept;  // waits until it is false

template <class T>
uint64_t as_number(T value) noexcept {
  if constexpr (std::is_pointer_v<T>)
    return value != nullptr;
  else
    return static_cast<uint64_t>(value);
}

}  // namespace pa::interleave

namespace pa {

template <class T>
class Atomic {
 public:
  constexpr Atomic(T value = T{}) noexcept : value_(value) {}
  Atomic(const Atomic&) = delete;
  Atomic& operator=(const Atomic&) = delete;

  T load(std::memory_order = std::memory_order_seq_cst) const noexcept {
    interleave::point();
    interleave::did(this, "load", interleave::as_number(value_));
    return value_;
  }
  void store(T value, std::memory_order = std::memory_order_seq_cst) noexcept {
    interleave::point();
    value_ = value;
    interleave::did(this, "store", interleave::as_number(value_));
  }
  T exchange(T value, std::memory_order = std::memory_order_seq_cst) noexcept {
    return change("exchange", [value](T) { return value; });
  }
  T fetch_add(T value, std::memory_order = std::memory_order_seq_cst) noexcept {
    return change("fetch_add", [value](T old) { return old + value; });
  }
  T fetch_sub(T value, std::memory_order = std::memory_order_seq_cst) noexcept {
    return change("fetch_sub", [value](T old) { return old - value; });
  }
  T fetch_or(T value, std::memory_order = std::memory_order_seq_cst) noexcept {
    return change("fetch_or", [value](T old) { return old | value; });
  }
  T fetch_and(T value, std::memory_order = std::memory_order_seq_cst) noexcept {
    return change("fetch_and", [value](T old) { return old & value; });
  }
  bool compare_exchange_weak(T& expected, T desired, std::memory_order = std::memory_order_seq_cst,
                             std::memory_order = std::memory_order_seq_cst) noexcept {
    return compare_exchange_strong(expected, desired);
  }
  bool compare_exchange_strong(T& expected, T desired, std::memory_order = std::memory_order_seq_cst,
                               std::memory_order = std::memory_order_seq_cst) noexcept {
    interleave::point();
    const bool equal = value_ == expected;
    if (equal)
      value_ = desired;
    else
      expected = value_;
    interleave::did(this, equal ? "compare_exchange" : "compare_exchange, failing,", interleave::as_number(value_));
    return equal;
  }

 private:
  template <class Change>
  T change(const char* operation, Change change) noexcept {
    interleave::point();
    const T old = value_;
    value_ = static_cast<T>(change(old));
    interleave::did(this, operation, interleave::as_number(value_));
    return old;
  }

  T value_;
};

class Mutex {
 public:
  void lock() noexcept {
    interleave::point();
    interleave::lock(locked_);
    locked_ = true;
    interleave::did(this, "lock", 1);
  }
  bool try_lock() noexcept {
    interleave::point();
    if (locked_) return false;
    locked_ = true;
    interleave::did(this, "try_lock", 1);
    return true;
  }
  void unlock() noexcept {
    locked_ = false;
    interleave::did(this, "unlock", 0);
    interleave::point();
  }

 private:
  bool locked_ = false;
};

using AdaptiveMutex = Mutex;

}  // namespace pa
