#include "core/drivers/pool.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <deque>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#include "core/os.hpp"
#include "core/sync.hpp"

namespace pa::pool {
namespace {

constexpr nanos kSpin = 20'000;                  // how long an idle thread looks for work before it sleeps
constexpr nanos kIdleLimit = 10'000'000'000;     // how long it sleeps before it ends
constexpr nanos kTick = 1'000'000;               // how often the sentinel looks at requests for later
constexpr nanos kSentinelStays = 20'000'000;     // after the last of them

struct Request {
  PoolTask* task;
  uint32_t count;
  int cpu = -1;     // of whoever asked
  nanos since = 0;  // of one for later
};

class Pool {
 public:
  uint32_t submit(PoolTask& task, uint32_t count) noexcept;
  bool submit_later(PoolTask& task, uint32_t count) noexcept;
  void hasten(PoolTask& task) noexcept;
  void withdraw(PoolTask& task) noexcept;
  bool has_waiting_thread() const { return spinners_.load(std::memory_order_relaxed) != 0; }
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
  bool wait(uint32_t seen, bool may_spin) noexcept;
  nanos stand_sentinel(nanos now, bool& standing) noexcept;
  void stand_down() noexcept;
  uint32_t promote(nanos since) noexcept;
  uint32_t staff() noexcept;
  bool add_thread() noexcept;
  void retire(std::unique_lock<Mutex>& lock) noexcept;
  static void reap(Thread* finished) noexcept;

  Mutex mutex_;
  std::deque<Request> requests_;
  std::vector<Request> later_;
  nanos last_later_ = 0;
  bool has_sentinel_ = false;
  Thread* finished_ = nullptr;     // ended, to be joined: a thread's last steps lie in this library
  uint32_t threads_ = 0;
  uint32_t idle_ = 0;              // not serving a task
  uint32_t detached_ = 0;
  void* pin_ = nullptr;
  std::atomic<bool> retiring_{false};
  alignas(64) std::atomic<uint32_t> epoch_{0};     // changes with every request
  std::atomic<uint32_t> sleepers_{0};
  std::atomic<uint32_t> spinners_{0};
  std::atomic<uint32_t> quiet_{0};                 // changes when detached work or a thread has ended
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
    const uint32_t missing = std::min(count, staff());
    count -= missing;
    requests_.back().count = count;
    if (!count) requests_.pop_back();
    epoch_.fetch_add(1, std::memory_order_seq_cst);
    asleep = sleepers_.load(std::memory_order_seq_cst);
  }
  // Threads that look for work will see the new epoch by themselves.
  const uint32_t spinning = spinners_.load(std::memory_order_relaxed);
  if (asleep && count > spinning) os::futex_wake(epoch_, count - spinning);
  reap(finished);
  return count;
}

// One idle thread stands sentinel as long as there were such requests lately: it wakes every millisecond, so that whoever
// makes the next need not wake anybody.
bool Pool::submit_later(PoolTask& task, uint32_t count) noexcept {
  if (!count) return false;
  bool wake_one;
  {
    std::lock_guard lock(mutex_);
    if (!idle_) return false;
    last_later_ = os::now();
    try {
      later_.push_back({&task, count, os::current_cpu(), last_later_});
    } catch (const std::bad_alloc&) {
      return false;
    }
    wake_one = !has_sentinel_;
    if (wake_one) epoch_.fetch_add(1, std::memory_order_seq_cst);
  }
  if (wake_one) os::futex_wake(epoch_, 1);
  return true;
}

void Pool::hasten(PoolTask& task) noexcept {
  uint32_t count = 0;
  {
    std::lock_guard lock(mutex_);
    for (const Request& request : later_)
      if (request.task == &task) count = request.count;
    std::erase_if(later_, [&](const Request& request) { return request.task == &task; });
  }
  submit(task, count);
}

// Turns requests for later that were made up to `since` into requests, under the lock. Returns how many threads to wake.
uint32_t Pool::promote(nanos since) noexcept {
  uint32_t count = 0;
  for (const Request& request : later_) {
    if (request.since > since) continue;
    try {
      requests_.push_back(request);
      count += request.count;
    } catch (const std::bad_alloc&) {  // its owner goes on alone
    }
  }
  if (!count) return 0;
  std::erase_if(later_, [&](const Request& request) { return request.since <= since; });
  staff();
  epoch_.fetch_add(1, std::memory_order_seq_cst);
  return count;
}

// Returns until when this idle thread may sleep; kNever: for long.
nanos Pool::stand_sentinel(nanos now, bool& standing) noexcept {
  uint32_t wanted = 0;
  {
    std::lock_guard lock(mutex_);
    if (!standing && has_sentinel_) return kNever;
    standing = has_sentinel_ = !later_.empty() || now - last_later_ < kSentinelStays;
    if (!standing) return kNever;
    wanted = promote(now - kTick);
  }
  if (wanted) os::futex_wake(epoch_, wanted);
  return now + kTick;
}

// With nobody to look after them, requests for later become requests.
void Pool::stand_down() noexcept {
  uint32_t wanted = 0;
  {
    std::lock_guard lock(mutex_);
    has_sentinel_ = false;
    wanted = promote(kNever);
  }
  if (wanted) os::futex_wake(epoch_, wanted);
}

// Makes threads until there are as many idle ones as are asked for. Returns how many are missing.
uint32_t Pool::staff() noexcept {
  uint32_t wanted = 0;
  for (const Request& request : requests_) wanted += request.count;
  while (idle_ < wanted && add_thread()) {
  }
  return wanted > idle_ ? wanted - idle_ : 0;
}

void Pool::withdraw(PoolTask& task) noexcept {
  std::lock_guard lock(mutex_);
  if (!later_.empty()) std::erase_if(later_, [&](const Request& request) { return request.task == &task; });
  std::erase_if(requests_, [&](const Request& request) { return request.task == &task; });
}

bool Pool::claim(PoolTask*& task, int& cpu, uint32_t& seen) {
  std::lock_guard lock(mutex_);
  if (!has_sentinel_ && idle_ <= 1) promote(kNever);  // this may be the last one that could look after them
  seen = epoch_.load(std::memory_order_relaxed);
  if (requests_.empty()) return false;
  task = requests_.front().task;
  cpu = requests_.front().cpu;
  task->claimed();
  if (--requests_.front().count == 0) requests_.pop_front();
  idle_--;
  return true;
}

void Pool::serve(Thread* self) noexcept {
  bool may_spin = true;
  for (;;) {
    PoolTask* task = nullptr;
    uint32_t seen = 0;
    int cpu = -1;
    if (claim(task, cpu, seen)) {
      may_spin = task->brisk();
      // The kernel likes to wake a thread on the CPU of its waker, where the two would only take turns.
      if (may_spin && os::current_cpu() == cpu) os::move_off_cpu(cpu);
      task->work();
      {
        std::lock_guard lock(mutex_);  // before `left`, after which its owner may submit again and count on this thread
        idle_++;
      }
      if (task->left()) finish(*task);
      continue;
    }
    if (wait(seen, may_spin)) continue;
    std::lock_guard lock(mutex_);
    if (!requests_.empty()) continue;
    idle_--;
    threads_--;
    self->next = finished_;
    finished_ = self;
    quiet_.fetch_add(1, std::memory_order_seq_cst);
    os::futex_wake(quiet_, UINT32_MAX);
    return;
  }
}

// A detached task is over. What it does at its end may wait for other tasks: meanwhile nobody must count on this thread.
void Pool::finish(PoolTask& task) noexcept {
  {
    std::lock_guard lock(mutex_);
    idle_--;
    staff();
  }
  task.finish();
  std::lock_guard lock(mutex_);
  idle_++;  // together with the next line: whoever waits for detached work next ends the idle threads, and must count this one
  detached_done_locked();
}

// False: nothing came for so long, or everybody is asked to go.
bool Pool::wait(uint32_t seen, bool may_spin) noexcept {
  nanos now = os::now();
  const nanos start = now;
  if (spinners_.fetch_add(1, std::memory_order_relaxed) < os::usable_cpus()) {
    while (may_spin && now - start < kSpin) {
      for (int i = 0; i < 16; i++) {
        if (epoch_.load(std::memory_order_acquire) != seen) {
          spinners_.fetch_sub(1, std::memory_order_relaxed);
          return true;
        }
        os::cpu_relax();
      }
      now = os::now();
    }
  }
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

// Ends the threads that serve no task, and waits until they have gone.
void Pool::retire(std::unique_lock<Mutex>& lock) noexcept {
  retiring_ = true;
  while (idle_) {
    const uint32_t seen = quiet_.load(std::memory_order_seq_cst);
    epoch_.fetch_add(1, std::memory_order_seq_cst);
    lock.unlock();
    os::futex_wake(epoch_, UINT32_MAX);
    const nanos now = os::now();
    os::futex_wait(quiet_, seen, now, now + 1'000'000);  // a thread may have been just about to sleep: tell it again
    lock.lock();
  }
  retiring_ = false;
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
// then is left alone, and a lock that is held is not waited for. True: no thread is left.
bool Pool::retire_idle_at_unload() noexcept {
  std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock.owns_lock()) return false;
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

bool submit_later(PoolTask& task, uint32_t count) noexcept {
  Pool* threads = pool();
  return threads && threads->submit_later(task, count);
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
