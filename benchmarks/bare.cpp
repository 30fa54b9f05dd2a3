#include "bare.hpp"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

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

namespace {

struct BareStream {
  struct Part {
    std::vector<void*> items, values;
  };
  const pa_fn body;
  void* const ctx;
  const uint64_t count, chunk;
  std::mutex mutex;
  std::condition_variable done_or_room;
  std::vector<std::unique_ptr<Part>> done, spare;
  uint64_t at = 0, out = 0;

  // With the lock held: takes the next part, computes it without the lock, and puts it onto the list. False: no more, or no room.
  bool make_one(std::unique_lock<std::mutex>& lock) {
    if (at == count || out == 32) return false;
    const uint64_t first = at, some = std::min(chunk, count - at);
    at += some;
    out++;
    std::unique_ptr<Part> part;
    if (spare.empty()) {
      part = std::make_unique<Part>();
    } else {
      part = std::move(spare.back());
      spare.pop_back();
    }
    lock.unlock();
    part->items.resize(some);
    part->values.resize(some);
    for (uint64_t i = 0; i < some; i++) part->items[i] = reinterpret_cast<void*>(static_cast<uintptr_t>(first + i));
    serial(body, ctx, part->items.data(), part->values.data(), 0, some);
    lock.lock();
    done.push_back(std::move(part));
    return true;
  }

  void help() {
    std::unique_lock lock(mutex);
    while (at < count) {
      if (make_one(lock))
        done_or_room.notify_one();
      else
        done_or_room.wait(lock, [&] { return at == count || out < 32; });
    }
    done_or_room.notify_one();
  }

  uint64_t consume() {
    uint64_t sum = 0;
    std::unique_lock lock(mutex);
    for (;;) {
      if (done.empty()) {
        if (make_one(lock)) continue;
        if (!out) return sum;
        done_or_room.wait(lock, [&] { return !done.empty(); });
      }
      std::unique_ptr<Part> part = std::move(done.back());
      done.pop_back();
      lock.unlock();
      for (const void* value : part->values) sum += reinterpret_cast<uintptr_t>(value);
      lock.lock();
      spare.push_back(std::move(part));
      if (out-- == 32) done_or_room.notify_one();
    }
  }
};

}  // namespace

uint64_t bare_stream(pa_fn body, void* ctx, uint64_t count, uint64_t chunk) {
  BareStream stream{body, ctx, count, chunk, {}, {}, {}, {}, 0, 0};
  std::thread helper([&] { stream.help(); });
  const uint64_t sum = stream.consume();
  helper.join();
  return sum;
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
