#include "bare.hpp"

#include <pthread.h>
#include <sched.h>

#include <algorithm>

#include "bodies.hpp"
#include "harness.hpp"

namespace bench {

void bare_static(Team& team, const Loop& loop) {
  team.run([&](uint32_t number) {
    serial(loop.body, loop.ctx, loop.items, loop.values, loop.count * number / team.size(),
           loop.count * (number + 1) / team.size());
  });
}

void bare_counter(Team& team, const Loop& loop, uint64_t step) {
  std::atomic<uint64_t> next{0};
  team.run([&](uint32_t) {
    for (uint64_t first; (first = next.fetch_add(step, std::memory_order_relaxed)) < loop.count;)
      serial(loop.body, loop.ctx, loop.items, loop.values, first, std::min(first + step, loop.count));
  });
}

SmallLoop::SmallLoop(const Loop& loop) : loop_(loop), next_(loop.count), helper_([this] { serve(); }) {
  cpu_set_t cpus;
  const bool known = sched_getaffinity(0, sizeof cpus, &cpus) == 0;
  if (known && CPU_COUNT(&cpus) > 1) {
    CPU_CLR(sched_getcpu(), &cpus);
    pthread_setaffinity_np(helper_.native_handle(), sizeof cpus, &cpus);
  }
}

SmallLoop::~SmallLoop() {
  over_ = true;
  run_++;
  run_.notify_one();
  helper_.join();
}

void SmallLoop::run() {
  const uint64_t number = run_.load(std::memory_order_relaxed) + 1;
  next_.store(number << 32, std::memory_order_release);
  run_.store(static_cast<uint32_t>(number));
  if (asleep_) run_.notify_one();
  while (take_one()) {
  }
  while (done_.load(std::memory_order_acquire) != number * loop_.count) {
  }
}

bool SmallLoop::take_one() {
  uint64_t seen = next_.load(std::memory_order_acquire);
  uint64_t i;
  do {
    i = seen & 0xffffffffu;
    if (i >= loop_.count) return false;
  } while (!next_.compare_exchange_weak(seen, seen + 1, std::memory_order_acq_rel));
  serial(loop_.body, loop_.ctx, loop_.items, loop_.values, i, i + 1);
  done_.fetch_add(1, std::memory_order_release);
  return true;
}

void SmallLoop::serve() {
  for (uint32_t seen = 0;;) {
    const double since = now_s();
    while (run_.load(std::memory_order_acquire) == seen && now_s() - since < 100e-6) {
    }
    asleep_ = true;
    run_.wait(seen);
    asleep_ = false;
    if (over_) return;
    seen = run_.load(std::memory_order_acquire);
    while (take_one()) {
    }
  }
}

}  // namespace bench
