#include "core/drivers/pool.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <deque>
#include <mutex>
#include <new>
#include <utility>

#include "core/drivers/seat.hpp"
#include "core/os.hpp"
#include "core/sync.hpp"

namespace pa::pool {
namespace {

constexpr nanos kSpin = 20'000;                 // how long an idle thread looks for work before it sleeps
constexpr nanos kIdleLimit = 10'000'000'000;    // how long it sleeps before it ends
constexpr nanos kTick = 1'000'000;              // how often the sentinel looks at a task for later
constexpr nanos kSentinelStays = 20'000'000;    // after the last of them
constexpr nanos kLockAtUnload = 1'000'000'000;  // how long unloading waits for the lock

struct Request {
  PoolTask* task;
  uint32_t count;
  int cpu = -1;  // of whoever asked: where a thread that is woken should not stay
};

class Pool {
 public:
  uint32_t submit(PoolTask& task, uint32_t count) noexcept;
  uint32_t request(PoolTask& task, uint32_t count) noexcept;
  bool submit_later(PoolTask& task, nanos now) noexcept;
  void hasten(PoolTask& task) noexcept;
  void withdraw(PoolTask& task) noexcept;
  bool has_waiting_thread() const { return seat_.is_taken() || spinners_.load(std::memory_order_relaxed) != 0; }
  void detached() noexcept;
  void detached_done() noexcept;
  void detached_done_locked() noexcept;
  bool drain(nanos until) noexcept;
  bool retire_idle_at_unload() noexcept;

  const uint32_t generation = os::fork_generation();

 private:
  struct Thread {
    Pool* pool;
    os::ThreadHandle handle;
    Thread* next;
  };
  static void main(void* thread) { static_cast<Thread*>(thread)->pool->serve(static_cast<Thread*>(thread)); }
  void serve(Thread* self) noexcept;
  void finish(PoolTask& task) noexcept;
  bool claim(PoolTask*& task, int& cpu, uint32_t& seen);
  bool do_task(PoolTask& task) noexcept;
  bool wait(uint32_t seen, bool may_spin, PoolTask*& task) noexcept;
  bool spin(uint32_t seen, nanos start, PoolTask*& task) noexcept;
  nanos stand_sentinel(nanos now, bool& standing) noexcept;
  void stand_down() noexcept;
  bool take_back(PoolTask& task) noexcept;
  uint32_t promote(PoolTask* task) noexcept;
  uint32_t staff() noexcept;
  void one_idle_less() noexcept;
  void make_good() noexcept;
  bool add_thread() noexcept;
  void retire(std::unique_lock<Mutex>& lock) noexcept;
  static void reap(Thread* finished) noexcept;

  Mutex mutex_;
  std::deque<Request> requests_;
  PoolTask* seen_alone_ = nullptr;  // by the sentinel, a tick ago
  Thread* finished_ = nullptr;      // ended, to be joined: a thread's last steps lie in this library
  uint32_t threads_ = 0;
  uint64_t ended_ = 0;  // how many threads have ended so far
  uint32_t detached_ = 0;
  void* pin_ = nullptr;
  std::atomic<uint32_t> retiring_{0};  // how many wait for the idle threads to end
  alignas(64) Seat<PoolTask> seat_;
  // Beside the seat, as they change together: threads that serve no task, and how many all requests ask for.
  std::atomic<uint32_t> idle_{0};
  std::atomic<uint32_t> wanted_{0};
  alignas(64) std::atomic<PoolTask*> alone_{nullptr};  // a task for later: its owner works alone
  std::atomic<nanos> last_alone_{0};
  std::atomic<bool> has_sentinel_{false};
  alignas(64) std::atomic<uint32_t> epoch_{0};  // changes with every request
  std::atomic<uint32_t> sleepers_{0};
  std::atomic<uint32_t> spinners_{0};
  std::atomic<uint32_t> quiet_{0};  // changes when detached work or a thread has ended
};

bool Pool::add_thread() noexcept {
  auto* thread = new (std::nothrow) Thread{this, 0, nullptr};
  if (!thread) {
    errno = ENOMEM;
    return false;
  }
  if (!os::start_thread(main, thread, thread->handle)) {
    delete thread;
    return false;
  }
  threads_++;
  idle_++;
  return true;
}

uint32_t Pool::submit(PoolTask& task, uint32_t count) noexcept {
  if (!count) return 0;
  if (seat_.is_taken()) {
    task.claimed();
    idle_.fetch_sub(1, std::memory_order_seq_cst);  // first: from here on nobody else may count on that thread
    if (seat_.offer(task)) {
      const uint32_t idle = idle_.load(std::memory_order_seq_cst);
      if (idle < wanted_.load(std::memory_order_seq_cst) || (!idle && alone_.load(std::memory_order_seq_cst))) {
        std::lock_guard lock(mutex_);
        make_good();
      }
      return 1 + request(task, count - 1);
    }
    idle_.fetch_add(1, std::memory_order_seq_cst);
    task.unclaimed();
  }
  return request(task, count);
}

uint32_t Pool::request(PoolTask& task, uint32_t count) noexcept {
  if (!count) return 0;
  uint32_t asleep = 0;
  Thread* finished = nullptr;
  {
    std::lock_guard lock(mutex_);
    std::swap(finished, finished_);
    try {
      requests_.push_back({&task, count, os::current_cpu()});
    } catch (const std::bad_alloc&) {
      errno = ENOMEM;
      return 0;
    }
    wanted_.fetch_add(count, std::memory_order_seq_cst);
    const uint32_t missing = std::min(count, staff());
    count -= missing;
    wanted_.fetch_sub(missing, std::memory_order_seq_cst);
    requests_.back().count = count;
    if (!count) requests_.pop_back();
    epoch_.fetch_add(1, std::memory_order_seq_cst);
    asleep = sleepers_.load(std::memory_order_seq_cst);
  }
  // Also where threads are awake and looking for work: another task may count on the same ones.
  if (asleep) os::futex_wake(epoch_, count);
  reap(finished);
  return count;
}

// One idle thread stands sentinel as long as there were such tasks lately: it wakes every millisecond, so that whoever comes
// with the next need not wake anybody.
bool Pool::submit_later(PoolTask& task, nanos now) noexcept {
  PoolTask* none = nullptr;
  if (!alone_.compare_exchange_strong(none, &task, std::memory_order_seq_cst)) return false;
  if (!idle_.load(std::memory_order_seq_cst) && take_back(task)) return false;  // nobody would look
  last_alone_.store(now, std::memory_order_relaxed);
  if (!has_sentinel_.load(std::memory_order_seq_cst)) {
    epoch_.fetch_add(1, std::memory_order_seq_cst);
    os::futex_wake(epoch_, 1);
  }
  return true;
}

bool Pool::take_back(PoolTask& task) noexcept {
  PoolTask* expected = &task;
  return alone_.compare_exchange_strong(expected, nullptr, std::memory_order_seq_cst);
}

void Pool::hasten(PoolTask& task) noexcept {
  if (take_back(task)) submit(task, task.helpers());
}

// Makes a request of a task for later, under the lock: its owner, who waits for that to withdraw it, can't be gone. Returns
// how many threads to wake.
uint32_t Pool::promote(PoolTask* task) noexcept {
  if (!task || !take_back(*task)) return 0;
  try {
    requests_.push_back({task, task->helpers()});
  } catch (const std::bad_alloc&) {  // its owner goes on alone
    return 0;
  }
  wanted_.fetch_add(task->helpers(), std::memory_order_seq_cst);
  staff();
  epoch_.fetch_add(1, std::memory_order_seq_cst);
  return task->helpers();
}

// Returns until when this idle thread may sleep; kNever: for long.
nanos Pool::stand_sentinel(nanos now, bool& standing) noexcept {
  const bool lately = now - last_alone_.load(std::memory_order_relaxed) < kSentinelStays;
  // Who brings such a task now finds no sentinel, and wakes somebody.
  if (!standing && (has_sentinel_.load(std::memory_order_seq_cst) || (!lately && !alone_.load(std::memory_order_seq_cst))))
    return kNever;
  uint32_t wanted = 0;
  {
    std::lock_guard lock(mutex_);
    if (!standing && has_sentinel_) return kNever;
    has_sentinel_ = lately;
    PoolTask* const task =
        alone_.load(std::memory_order_seq_cst);  // behind has_sentinel_: who comes now sees that nobody looks
    if (task) has_sentinel_ = true;
    standing = has_sentinel_;
    if (!standing) return kNever;
    if (task == seen_alone_) wanted = promote(task);
    seen_alone_ = task;
  }
  if (wanted) os::futex_wake(epoch_, wanted);
  return now + kTick;
}

// With nobody to look after it, a task for later becomes a request.
void Pool::stand_down() noexcept {
  uint32_t wanted = 0;
  {
    std::lock_guard lock(mutex_);
    has_sentinel_ = false;
    wanted = promote(alone_.load(std::memory_order_seq_cst));
  }
  if (wanted) os::futex_wake(epoch_, wanted);
}

// Makes threads until there are as many idle ones as are asked for. Returns how many are missing.
uint32_t Pool::staff() noexcept {
  while (idle_ < wanted_ && add_thread()) {
  }
  const uint32_t idle = idle_, wanted = wanted_;
  return wanted > idle ? wanted - idle : 0;
}

void Pool::withdraw(PoolTask& task) noexcept {
  if (take_back(task)) return;
  if (seat_.take_back(task)) {
    idle_.fetch_add(1, std::memory_order_seq_cst);
    task.unclaimed();
  }
  std::lock_guard lock(mutex_);
  std::erase_if(requests_, [&](const Request& request) {
    if (request.task != &task) return false;
    wanted_.fetch_sub(request.count, std::memory_order_seq_cst);
    return true;
  });
}

// Under the lock: a thread is idle no more. If it was the last that could look after a task for later, that is done now.
void Pool::one_idle_less() noexcept {
  idle_.fetch_sub(1, std::memory_order_seq_cst);
  make_good();
}

void Pool::make_good() noexcept {
  if (!idle_) promote(alone_.load(std::memory_order_seq_cst));
  staff();
}

bool Pool::claim(PoolTask*& task, int& cpu, uint32_t& seen) {
  std::lock_guard lock(mutex_);
  seen = epoch_.load(std::memory_order_relaxed);
  if (requests_.empty()) return false;
  task = requests_.front().task;
  cpu = requests_.front().cpu;
  task->claimed();
  if (--requests_.front().count == 0) requests_.pop_front();
  wanted_.fetch_sub(1, std::memory_order_seq_cst);
  one_idle_less();
  return true;
}

void Pool::serve(Thread* self) noexcept {
  bool may_spin = true;
  for (;;) {
    PoolTask* task = nullptr;
    uint32_t seen = 0;
    int cpu = -1;
    if (claim(task, cpu, seen)) {
      // The kernel likes to wake a thread on the CPU of its waker, where the two would only take turns.
      if (task->brisk() && os::current_cpu() == cpu) os::move_off_cpu(cpu);
      may_spin = do_task(*task);
      continue;
    }
    if (wait(seen, may_spin, task)) {
      if (task) may_spin = do_task(*task);
      continue;
    }
    std::lock_guard lock(mutex_);
    if (!requests_.empty()) continue;
    one_idle_less();
    threads_--;
    ended_++;
    self->next = finished_;
    finished_ = self;
    quiet_.fetch_add(1, std::memory_order_seq_cst);
    os::futex_wake(quiet_, UINT32_MAX);
    return;
  }
}

// True: more of the kind may follow at once.
bool Pool::do_task(PoolTask& task) noexcept {
  const bool brisk = task.brisk();
  task.work();
  idle_.fetch_add(1, std::memory_order_seq_cst);  // before `left`: its owner may submit again then, and count on this thread
  if (task.left()) finish(task);
  return brisk;
}

// A detached task is over. What it does at its end may wait for other tasks: meanwhile nobody must count on this thread.
void Pool::finish(PoolTask& task) noexcept {
  {
    std::lock_guard lock(mutex_);
    one_idle_less();
  }
  task.finish();
  std::lock_guard lock(mutex_);
  idle_++;  // together with the next line: whoever waits for detached work then ends the idle threads, this one included
  detached_done_locked();
}

// Looks for work for a moment. True: there is a request, or a task was handed over.
bool Pool::spin(uint32_t seen, nanos start, PoolTask*& task) noexcept {
  const bool seated = seat_.sit();
  bool requested = false;
  do {
    for (int i = 0; i < 16; i++) {
      if (seated && (task = seat_.offered())) return true;
      requested = epoch_.load(std::memory_order_acquire) != seen;
      if (requested) break;
      os::cpu_relax();
    }
  } while (!requested && os::now() - start < kSpin);
  if (seated) task = seat_.stand();
  return requested || task;
}

// False: nothing came for so long, or everybody is asked to go.
bool Pool::wait(uint32_t seen, bool may_spin, PoolTask*& task) noexcept {
  const nanos start = os::now();
  const bool found =
      spinners_.fetch_add(1, std::memory_order_relaxed) < os::usable_cpus() && may_spin && spin(seen, start, task);
  if (found) {
    spinners_.fetch_sub(1, std::memory_order_relaxed);
    return true;
  }
  nanos now = os::now();
  sleepers_.fetch_add(1, std::memory_order_seq_cst);
  spinners_.fetch_sub(1, std::memory_order_relaxed);
  bool sentinel = false;
  while (epoch_.load(std::memory_order_seq_cst) == seen && now - start < kIdleLimit) {
    if (retiring_.load(std::memory_order_seq_cst)) break;
    const nanos tick = stand_sentinel(now, sentinel);
    os::futex_wait(epoch_, seen, now, std::min(tick, start + kIdleLimit));
    now = os::now();
  }
  sleepers_.fetch_sub(1, std::memory_order_seq_cst);
  if (sentinel) stand_down();
  return epoch_.load(std::memory_order_seq_cst) != seen;
}

void Pool::reap(Thread* finished) noexcept {
  while (finished) {
    Thread* next = finished->next;
    os::join_thread(finished->handle);
    delete finished;
    finished = next;
  }
}

// Ends the threads that serve no task now, and waits until as many have gone, or none is idle any more.
void Pool::retire(std::unique_lock<Mutex>& lock) noexcept {
  retiring_++;
  const uint64_t enough = ended_ + idle_;
  while (idle_ && ended_ < enough) {
    const uint32_t seen = quiet_.load(std::memory_order_seq_cst);
    epoch_.fetch_add(1, std::memory_order_seq_cst);
    lock.unlock();
    os::futex_wake(epoch_, UINT32_MAX);
    const nanos now = os::now();
    os::futex_wait(quiet_, seen, now, now + 1'000'000);  // a thread may have been just about to sleep: tell it again
    lock.lock();
  }
  retiring_--;
  Thread* finished = finished_;
  finished_ = nullptr;
  lock.unlock();
  reap(finished);
  lock.lock();
}

void Pool::detached() noexcept {
  std::lock_guard lock(mutex_);
  detached_++;
  if (!pin_) pin_ = os::pin_library();
}

void Pool::detached_done() noexcept {
  std::lock_guard lock(mutex_);
  detached_done_locked();
}

void Pool::detached_done_locked() noexcept {
  detached_--;
  quiet_.fetch_add(1, std::memory_order_seq_cst);
  os::futex_wake(quiet_, UINT32_MAX);
}

bool Pool::drain(nanos until) noexcept {
  std::unique_lock lock(mutex_);
  while (detached_) {
    const uint32_t seen = quiet_.load(std::memory_order_seq_cst);
    lock.unlock();
    const nanos now = os::now();
    if (now >= until) return false;
    os::futex_wait(quiet_, seen, now, until);
    lock.lock();
  }
  retire(lock);
  void* pin = pin_;
  pin_ = nullptr;
  lock.unlock();
  os::unpin_library(pin);
  return true;
}

// At dlclose the idle threads must go before their code does. At process exit this does no harm; what still serves a task
// then is left alone. A thread that has just become idle may hold the lock for a moment; one that holds it for long was
// interrupted by a signal handler that has called exit.
bool Pool::retire_idle_at_unload() noexcept {
  std::unique_lock lock(mutex_, std::defer_lock);
  nanos now = os::now();
  for (const nanos give_up = now + kLockAtUnload; !lock.try_lock(); now = os::now()) {
    if (now >= give_up) return false;
    os::futex_wait(quiet_, quiet_.load(std::memory_order_seq_cst), now, now + 50'000);
  }
  retire(lock);
  return threads_ == 0;
}

// Threads may serve the pool until the process is gone, so that it is not destroyed at exit, unless it has none. A forked
// child starts with a new pool, since the threads of the old one exist only in the parent.
std::atomic<Pool*> current{nullptr};

Pool* pool() noexcept {
  Pool* pool = current.load(std::memory_order_acquire);
  if (pool && pool->generation == os::fork_generation()) return pool;
  Pool* fresh = new (std::nothrow) Pool;
  if (!fresh || current.compare_exchange_strong(pool, fresh, std::memory_order_acq_rel)) return fresh;
  delete fresh;
  return pool;
}

const struct AtUnload {
  ~AtUnload() {
    Pool* pool = current.load(std::memory_order_acquire);
    if (!pool || pool->generation != os::fork_generation() || !pool->retire_idle_at_unload()) return;
    current.store(nullptr, std::memory_order_release);
    delete pool;
  }
} at_unload;

}  // namespace

bool submit_later(PoolTask& task, nanos now) noexcept {
  Pool* threads = pool();
  return threads && threads->submit_later(task, now);
}
void hasten(PoolTask& task) noexcept {
  if (Pool* threads = pool()) threads->hasten(task);
}
uint32_t submit(PoolTask& task, uint32_t count) noexcept {
  Pool* threads = pool();
  return threads ? threads->submit(task, count) : 0;
}
void withdraw(PoolTask& task) noexcept {
  if (Pool* threads = pool()) threads->withdraw(task);
}
bool has_waiting_thread() noexcept {
  Pool* threads = pool();
  return threads && threads->has_waiting_thread();
}
void detached() noexcept {
  if (Pool* threads = pool()) threads->detached();
}
void detached_done() noexcept {
  if (Pool* threads = pool()) threads->detached_done();
}
bool drain(nanos until) noexcept {
  Pool* threads = pool();
  return !threads || threads->drain(until);
}

}  // namespace pa::pool
