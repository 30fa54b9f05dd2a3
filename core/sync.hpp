// The atomics and the mutex of the engine, by one name, so that tests/interleave can compile the same sources with
// atomics that hand over to another thread at every operation.
#pragma once

#ifdef PA_INTERLEAVE
#include "interleave.hpp"
#else
#include <atomic>
#include <mutex>

namespace pa {

template <class T>
using Atomic = std::atomic<T>;
using Mutex = std::mutex;

}  // namespace pa
#endif

namespace pa {

inline constexpr auto kRelaxed = std::memory_order_relaxed;
inline constexpr auto kOrdered = std::memory_order_seq_cst;

}  // namespace pa
