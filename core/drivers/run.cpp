#include "core/drivers/run.hpp"

#include <algorithm>

namespace pa {
namespace {

// A sleep costs the sleeper and the waker several microseconds each: look for so long whether it is over already, unless that
// takes a CPU away from a thread that has work.
constexpr nanos kSpin = 20'000;
// The kernel wakes late by about this much; where a sleep of known length is to end on time, the rest is spun.
constexpr nanos kLateWake = 50'000;
// Longer sleeps of known length are not worth spinning for at all.
constexpr nanos kPacing = 5'000'000;
// Waking a thread costs about 50 us until it runs: less work than this is done by who has it already.
constexpr nanos kWorthWakingFor = 100'000;
// Unless the last run was over so short a time ago that threads still look for work, and will find the next run, too.
constexpr nanos kBackToBack = 20'000;
// How long a taker stays on a CPU that it shares with another.
constexpr nanos kStay = 500'000;

std::atomic<nanos> last_run_over{0};

}  // namespace

void Run::listen() {
  const JobConfig& config = job.config();
  if (config.stop) config.stop->listeners().add(*this);
  try {
    if (config.limiter) config.limiter->listeners().add(*this);
  } catch (...) {
    if (config.stop) config.stop->listeners().remove(*this);
    throw;
  }
  listening_ = true;
}

void Run::unlisten() noexcept {
  if (!listening_) return;
  listening_ = false;
  const JobConfig& config = job.config();
  if (config.stop) config.stop->listeners().remove(*this);
  if (config.limiter) config.limiter->listeners().remove(*this);
}

void Run::become_quiescent() noexcept {
  unlisten();
  quiescent();
}

// ---------------------------------------------------------------------------------------------------------- sleeping

// False: `until` has come.
bool Run::sleep(WaitPoint& point, uint32_t seen, nanos now, nanos until, bool soon) noexcept {
  const JobConfig& config = job.config();
  const uint32_t threads = config.workers + (config.stream ? 1 : 0);  // a consumer is none of the workers
  const bool timed = until != kNever;
  nanos spin_until = now;
  if (timed && until - now <= kLateWake)
    spin_until = until;
  else if (!timed && (threads <= config.cpus || (soon && config.workers <= config.cpus)))
    spin_until = now + kSpin;
  while (now < spin_until) {
    for (int i = 0; i < 16; i++) {
      if (point.epoch.load(std::memory_order_acquire) != seen) return true;
      os::cpu_relax();
    }
    now = os::now();
  }
  if (now >= until) return false;
  const bool on_time = timed && until - now <= kPacing;
  point.sleepers.fetch_add(1, std::memory_order_seq_cst);
  if (point.epoch.load(std::memory_order_seq_cst) == seen) {
    if (on_time)
      os::futex_wait_precisely(point.epoch, seen, now, until - kLateWake);
    else
      os::futex_wait(point.epoch, seen, now, until);
  }
  point.sleepers.fetch_sub(1, std::memory_order_seq_cst);
  return true;
}

// Returns how many were asleep, and are woken.
uint32_t Run::rouse(WaitPoint& point, uint32_t count) noexcept {
  point.epoch.fetch_add(1, std::memory_order_seq_cst);
  return point.sleepers.load(std::memory_order_seq_cst) ? os::futex_wake(point.epoch, count) : 0;
}

void Run::wake(Wake& wake) noexcept {
  if (wake.takers) {
    const uint32_t woken = rouse(takers_, wake.takers);
    if (woken < wake.takers) rouse(spares_, wake.takers - woken);
  }
  // Once all is resolved the owner only waits for the others to leave, and the last of them wakes it.
  const JobConfig& config = job.config();
  const bool others_will = job.all_resolved() && !config.detachable && !config.observed && !config.stream;
  if (wake.owner && !others_will) wake_owner();
  wake = {};
}

void Run::wake_owner() noexcept {
  rouse(owner_, UINT32_MAX);
  if (const int fd = owner_fd_.load(std::memory_order_seq_cst); fd >= 0) os::set_event(fd);
}

// May run in a signal handler.
void Run::notified() noexcept {
  for (WaitPoint* point : {&takers_, &spares_}) {
    point->epoch.fetch_add(1, std::memory_order_seq_cst);
    os::futex_wake(point->epoch, UINT32_MAX);
  }
  wake_owner();
}

Run::~Run() {
  if (const int fd = owner_fd_.load(std::memory_order_relaxed); fd >= 0) os::close_event(fd);
}

int Run::owner_fd() noexcept {
  int fd = owner_fd_.load(std::memory_order_relaxed);
  if (fd >= 0) return fd;
  fd = os::make_event();
  owner_fd_.store(fd, std::memory_order_seq_cst);
  if (fd >= 0) os::set_event(fd);  // what came before is there already
  return fd;
}

void Run::set_owner_fd() noexcept {
  if (const int fd = owner_fd_.load(std::memory_order_relaxed); fd >= 0) os::set_event(fd);
}

bool Run::rearm_owner_fd() noexcept {
  const int fd = owner_fd_.load(std::memory_order_relaxed);
  if (fd >= 0) os::clear_event(fd);
  return fd >= 0;
}

// ---------------------------------------------------------------------------------------------------------- takers

Take Run::next(Lease& lease, nanos& now) noexcept {
  for (;;) {
    const uint32_t seen = takers_.epoch.load(std::memory_order_seq_cst);
    const uint32_t seen_as_spare = spares_.epoch.load(std::memory_order_seq_cst);
    if (now >= call_helpers_at_.load(std::memory_order_relaxed)) call_helpers();
    Wake wakes;
    const Take take = job.take(now, lease, wakes);
    if (wakes) wake(wakes);
    if (take == Take::lease && job.config().stream && brisk()) keep_apart(lease, now);
    if (take != Take::again) return take;
    if (lease.spare)
      sleep(spares_, seen_as_spare, now, lease.come_back);
    else
      sleep(takers_, seen, now, lease.come_back, lease.soon);
    now = os::now();
  }
}

// All takers start away from their owner's CPU. That of a consumer is free soon, but he keeps waking there, and the kernel takes
// milliseconds to move somebody: a taker that has met another on its CPU, or misses one that may wait for it, goes elsewhere.
// Not at once: the first result should find the consumer's CPU free.
void Run::keep_apart(const Lease& lease, nanos now) noexcept {
  const int cpu = os::current_cpu();
  const bool met =
      cpu == last_cpu_.exchange(cpu, std::memory_order_relaxed) && &lease != last_taker_.load(std::memory_order_relaxed);
  last_taker_.store(&lease, std::memory_order_relaxed);
  const bool misses = came() <= job.config().workers;  // the owner counts as one
  const nanos stay_until = stay_until_.load(std::memory_order_relaxed);
  if (stay_until != 0 && (now < stay_until || !(met || misses))) return;
  stay_until_.store(now + kStay, std::memory_order_relaxed);
  if (stay_until != 0) os::move_off_cpu(cpu);
}

void Run::call_helpers() noexcept {
  call_helpers_at_ = kNever;
  if (job.end() == End::none && !job.all_resolved()) pool::hasten(*this);
}

// ---------------------------------------------------------------------------------------------------------- owner

nanos Run::conduct(const Plan& plan, nanos now) noexcept {
  uint32_t coming = 0;
  helpers_ = plan.helpers;
  const bool little = plan.helpers && plan.expected_ns != 0 && plan.expected_ns < kWorthWakingFor;
  const bool back_to_back = now - last_run_over.load(std::memory_order_relaxed) < kBackToBack;
  if (plan.owner_works && little && !back_to_back && !pool::has_waiting_thread() && pool::submit_later(*this, now)) {
    call_helpers_at_ = now + 2 * plan.expected_ns;
  } else {
    coming = pool::submit(*this, plan.helpers);
  }
  if (plan.owner_works || !coming) take_part(now);  // where no thread can be made, the owner does it all
  const bool may_end_early = job.config().deadline != kNever || job.config().stop;
  for (;;) {
    const uint32_t seen = owner_epoch();
    attend();
    if (job.all_resolved() && !may_end_early) break;
    now = os::now();
    Wake wakes;
    const bool over = job.poll(now, wakes) != End::none || job.all_resolved();
    if (wakes) wake(wakes);
    if (over) break;
    sleep(owner_, seen, now, job.config().deadline);
  }
  if (came() <= plan.helpers) pool::withdraw(*this);  // somebody may still come
  if (!job.config().detachable || job.all_resolved()) await_others();
  attend();
  Wake wakes;
  if (job.all_resolved()) job.conclude(wakes);  // unless something has failed at the last moment
  now = os::now();
  last_run_over.store(now, std::memory_order_relaxed);
  return now;
}

void Run::await_others() noexcept {
  for (;;) {
    const uint32_t seen = owner_epoch();
    attend();
    if (!others_active()) return;
    sleep(owner_, seen, os::now(), kNever);
  }
}

void Run::claimed() noexcept {
  active_.fetch_add(1, std::memory_order_relaxed);
  retain();
}

void Run::unclaimed() noexcept {
  active_.fetch_sub(1, std::memory_order_relaxed);
  release();
}

void Run::work() noexcept {
  came_.fetch_add(1, std::memory_order_release);
  take_part(os::now());
}

bool Run::left() noexcept {
  const uint32_t active = active_.fetch_sub(1, std::memory_order_acq_rel) - 1;
  if (active == 0) return true;
  if (active == 1) {  // what is left is the owner, who may be waiting for that
    wake_owner();
  }
  release();
  return false;
}

// Only a thread that outlived its owner's interest gets here.
void Run::finish() noexcept {
  become_quiescent();
  release();
}

void Run::owner_leaves() noexcept {
  if (others_active()) {
    detached_.store(true, std::memory_order_release);
    pool::detached();
  }
  if (active_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  become_quiescent();
  if (detached_.load(std::memory_order_relaxed)) pool::detached_done();
}

}  // namespace pa
