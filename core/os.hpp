// Everything that libpa asks of the operating system, in one place: the rest of the engine is portable C++.
#pragma once
#include <atomic>
#include <cstdint>

#include "time.hpp"

namespace pa::os {

nanos now();  // CLOCK_MONOTONIC

// Sleeps while `word` is `seen`, until a wake or `until`; may return early. `now` saves a reading of the clock.
void futex_wait(std::atomic<uint32_t>& word, uint32_t seen, nanos now, nanos until) noexcept;
// The same, but ends on time and not up to 50 us late, which the kernel otherwise allows itself.
void futex_wait_precisely(std::atomic<uint32_t>& word, uint32_t seen, nanos now, nanos until) noexcept;
// Wakes up to `count` sleepers, and returns how many. Keeps errno: it is called in signal handlers.
uint32_t futex_wake(std::atomic<uint32_t>& word, uint32_t count) noexcept;
// The same for a word in memory that processes share. Returns after a second at the latest.
void futex_wait_shared(const std::atomic<uint32_t>& word, uint32_t seen) noexcept;
void futex_wake_shared(const std::atomic<uint32_t>& word) noexcept;
// Sleeps for about so long, below a second; less if a signal comes.
void nap(nanos time) noexcept;

inline void cpu_relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// CPUs that this process may use: its affinity and its cgroup's quota (versions 1 and 2), at least 1.
uint32_t usable_cpus();
// The quota of the cgroup of a process, rounded up, or 0 if it has none. `root` is "" but in tests.
uint32_t cgroup_cpus(const char* root);

// The CPU that this thread runs on, or -1.
int current_cpu() noexcept;
// Moves this thread to another CPU that it may use, if there is one. It may come back later.
void move_off_cpu(int cpu) noexcept;

// How often this process was forked since the library was loaded: objects remember the generation they were born in.
uint32_t fork_generation() noexcept;

// Starts a thread that blocks all signals. False with errno if the system refuses.
using ThreadHandle = unsigned long;
bool start_thread(void (*body)(void*), void* argument, ThreadHandle& handle) noexcept;
void join_thread(ThreadHandle handle) noexcept;

// A descriptor that is readable from set_event on until clear_event. -1 with errno if there is none. set_event keeps errno: it is
// called in signal handlers.
int make_event() noexcept;
void set_event(int event) noexcept;
void clear_event(int event) noexcept;
void close_event(int event) noexcept;

// Keeps this library in memory although the program may dlclose it; one unpin for each pin.
void* pin_library() noexcept;
void unpin_library(void* pin) noexcept;

// Zeroed memory in whole pages, huge ones where they help. nullptr if there is none.
void* map_pages(uint64_t bytes) noexcept;
void unmap_pages(void* memory, uint64_t bytes) noexcept;

}  // namespace pa::os
