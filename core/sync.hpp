// The atomics and the mutexes of the engine, by one name, so that tests/interleave can compile the same sources with
// atomics that hand over to another thread at every operation.
#pragma once

#ifdef PA_INTERLEAVE
#include "interleave.hpp"
#else
#include <pthread.h>

#include <atomic>
#include <mutex>

namespace pa {

template <class T>
using Atomic = std::atomic<T>;

using Mutex = std::mutex;

#ifdef PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP
// Where many threads come by once for each item: whoever finds it taken spins before it sleeps, since being woken takes far
// longer. (Of the limiter, that few threads use all the time, it makes a token dearer.)
class AdaptiveMutex {
 public:
  AdaptiveMutex() = default;
  AdaptiveMutex(const AdaptiveMutex&) = delete;
  AdaptiveMutex& operator=(const AdaptiveMutex&) = delete;

  void lock() noexcept { pthread_mutex_lock(&mutex_); }
  bool try_lock() noexcept { return pthread_mutex_trylock(&mutex_) == 0; }
  void unlock() noexcept { pthread_mutex_unlock(&mutex_); }

 private:
  pthread_mutex_t mutex_ = PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP;
};
#else
using AdaptiveMutex = std::mutex;
#endif

}  // namespace pa
#endif

namespace pa {

inline constexpr auto kRelaxed = std::memory_order_relaxed;
inline constexpr auto kOrdered = std::memory_order_seq_cst;

}  // namespace pa
