// A run: one job, the threads that take from it, and the owner who waits for it. Knows how takers and owner sleep and are
// woken; what a lease means is up to the subclass.
//
//   takers  take_part(): next(), do what it says, settle with the job, wake(), until next() says done
//   owner   conduct(): asks the pool for takers, is one itself or attends to callbacks, returns when all is over
//
// A run is counted twice. `active` counts the threads that may touch what belongs to the user: the owner, and each thread of
// the pool that came; at zero the run is quiescent. `references` counts those who need its memory.
#pragma once
#include <atomic>
#include <cstdint>

#include "core/drivers/pool.hpp"
#include "core/job.hpp"
#include "core/os.hpp"

namespace pa {

class Run : public PoolTask, private Listener {
 public:
  void retain() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }
  void release() noexcept {
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }

  struct Plan {
    uint32_t helpers = 0;      // threads to ask for
    bool owner_works = false;  // no timeout, stop or callback needs the owner's attention
    nanos expected_ns = 0;     // what the whole run would take one thread; 0: unknown
  };
  // The owner's part, for a job whose owner concludes. Work that is expected to cost less than waking a thread it does
  // alone, until it turns out to be more. When it returns the job has ended, and nothing runs any more, except after a
  // detached early end. Returns the time by then.
  nanos conduct(const Plan& plan, nanos now) noexcept;

  Job job;

 protected:
  explicit Run(const JobConfig& config) : job(config) {}  // throws std::bad_alloc
  virtual ~Run();

  // Lets the stop token and the limiter wake this run, from now until it is quiescent. Throws std::bad_alloc.
  void listen();
  void unlisten() noexcept;

  // What a taker does, from `now` on, until next() says done.
  virtual void take_part(nanos now) noexcept = 0;
  // For takers: waits until there is something to do. Updates `now` with each reading of the clock.
  Take next(Lease& lease, nanos& now) noexcept;
  void wake(Wake& wake) noexcept;

  // For the owner: what it has to do for the user, such as callbacks. Called between its sleeps.
  virtual void attend() noexcept {}
  // Nothing will touch what belongs to the user any more. Called exactly once.
  virtual void quiescent() noexcept {}

  // Like takers, the owner reads its epoch before it looks whether it has to sleep.
  uint32_t owner_epoch() const { return owner_.epoch.load(std::memory_order_seq_cst); }
  void sleep_as_owner(uint32_t seen, nanos now, nanos until) noexcept { sleep(owner_, seen, now, until); }
  // A descriptor that is readable when the owner was woken since rearm_owner_fd(). -1 with errno if there can be none.
  int owner_fd() noexcept;
  bool rearm_owner_fd() noexcept;  // false: there is none
  void set_owner_fd() noexcept;    // it is readable from now on

  void await_others() noexcept;
  // How many threads took part so far, the owner included.
  uint32_t came() const { return came_.load(std::memory_order_acquire); }
  bool others_active() const { return active_.load(std::memory_order_acquire) > 1; }
  // After conduct(): from here on the owner touches nothing that belongs to the user.
  void owner_leaves() noexcept;

 private:
  uint32_t helpers() const noexcept override { return helpers_; }
  void claimed() noexcept override;
  void unclaimed() noexcept override;
  void work() noexcept override;
  bool brisk() const noexcept override { return job.config().workers <= job.config().cpus; }
  bool left() noexcept override;
  void finish() noexcept override;
  void notified() noexcept override;
  void become_quiescent() noexcept;
  void call_helpers() noexcept;
  void keep_apart(const Lease& lease, nanos now) noexcept;
  void wake_owner() noexcept;
  // Whoever is to sleep reads the epoch before it looks whether there is something to do.
  struct WaitPoint {
    std::atomic<uint32_t> epoch{0};
    std::atomic<uint32_t> sleepers{0};
  };
  bool sleep(WaitPoint& point, uint32_t seen, nanos now, nanos until, bool soon = false) noexcept;
  static uint32_t rouse(WaitPoint& point, uint32_t count) noexcept;

  bool listening_ = false;
  uint32_t helpers_ = 0;
  std::atomic<int> owner_fd_{-1};
  // All that threads write when they come, sleep, wake and go is on one cache line: in a short run each of those that has to
  // pass from one to the other is noticed.
  alignas(64) std::atomic<uint32_t> references_{1};
  std::atomic<uint32_t> active_{1};
  std::atomic<uint32_t> came_{1};
  WaitPoint takers_, spares_, owner_;
  std::atomic<bool> detached_{false};
  std::atomic<nanos> call_helpers_at_{kNever};  // the owner works alone so far
  // Of a stream: who took the last lease, and where.
  alignas(64) std::atomic<const Lease*> last_taker_{nullptr};
  std::atomic<int> last_cpu_{-1};
  std::atomic<nanos> stay_until_{0};
};

}  // namespace pa
