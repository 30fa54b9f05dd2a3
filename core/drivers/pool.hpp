// The persistent threads of libpa. The pool knows nothing of jobs or policy: it lends threads to tasks that ask for them.
//
// Threads are made when more are asked for than are idle, so that a task that waits inside a task never starves, and end
// when they have been idle for a while. They are never waited for at process exit, unless they are idle.
#pragma once
#include <cstdint>

#include "core/time.hpp"

namespace pa {

class PoolTask {
 public:
  virtual uint32_t helpers() const noexcept = 0;  // how many threads it wants, when it was submitted for later
  virtual void claimed() noexcept = 0;            // a thread is about to come; must be short
  virtual void unclaimed() noexcept = 0;          // it does not come after all
  virtual void work() noexcept = 0;               // what a thread does for the task
  virtual bool brisk() const noexcept = 0;  // more such work may follow at once: a thread does well to look for it a moment
  virtual bool left() noexcept = 0;    // the thread goes; true: it was the last of a detached task, and has to finish it
  virtual void finish() noexcept = 0;  // may take long, and may free the task

 protected:
  ~PoolTask() = default;
};

namespace pool {

// Asks for `count` threads. Returns how many can come: fewer when the system refuses to make threads
// (errno says why).
uint32_t submit(PoolTask& task, uint32_t count) noexcept;
// The same for helpers() threads, but they come only when the task is hastened, or has not been withdrawn after a millisecond or
// two. For tasks that are expected to be over by then: it wakes nobody, as a rule. False: not possible, use submit.
bool submit_later(PoolTask& task, nanos now) noexcept;
void hasten(PoolTask& task) noexcept;
// After this no further thread comes to the task.
void withdraw(PoolTask& task) noexcept;
// Is some thread awake that would take up a task without a system call?
bool has_waiting_thread() noexcept;

// The owner of a task no longer waits for it: until it has been finished, by the last thread that serves it or by
// `detached_done`, the library stays in memory.
void detached() noexcept;
void detached_done() noexcept;
// Waits for detached tasks, then ends the idle threads. False: `until` came first.
bool drain(nanos until) noexcept;

}  // namespace pool
}  // namespace pa
