// What happens to a job from outside while its takers are parked (a stop request, a limiter that changes, ...), and how its
// host hears of it: by a descriptor, or by a call on a thread that waits for nothing else.
#pragma once
#include <atomic>
#include <cstdint>
#include <mutex>

#include "capi/src/error.hpp"
#include "core/stop.hpp"

namespace pa {

class JobEvents final : public Listener {
 public:
  JobEvents() = default;
  ~JobEvents();
  JobEvents(const JobEvents&) = delete;
  JobEvents& operator=(const JobEvents&) = delete;

  // Something has happened. May run inside a signal handler, and under the locks of a job.
  void notified() noexcept override;
  // The host is about to look at the job: what has happened so far need not be told any more.
  void seen() noexcept;

  // Readable after an event, until seen(). Made by the first call. Negative: a pa_status.
  int32_t descriptor(pa_error* error) noexcept;
  // Calls `notify` after each event, instead of what was called before. nullptr: calls nothing. When this returns, what was
  // called before is not under way.
  pa_status call(void (*notify)(void*), void* ctx, pa_error* error) noexcept;
  // Ends both; nobody may be about to call notified(). In a forked child only the descriptor is closed: the thread is not there.
  void end(bool in_child) noexcept;

 private:
  void work() noexcept;
  void stop_calling() noexcept;
  void change(uint32_t by) noexcept;

  // What the thread sleeps on: an event adds 2, and the lowest bit tells it to end.
  static constexpr uint32_t kEvent = 2;
  static constexpr uint32_t kQuit = 1;
  std::atomic<uint32_t> word_{0};
  std::atomic<uint32_t> seen_{0};
  std::atomic<int> descriptor_{-1};
  const uint32_t generation_ = os::fork_generation();

  std::mutex calling_;  // whoever starts or ends the thread
  bool has_thread_ = false;
  os::ThreadHandle thread_ = 0;
  void (*notify_)(void*) = nullptr;  // the thread reads both, while there is one
  void* ctx_ = nullptr;
};

}  // namespace pa
