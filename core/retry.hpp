// When a failed attempt may be repeated: the policy, and the queue of those that wait for their time.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "time.hpp"

namespace pa {

// SplitMix64 (Steele, Lea, Flood 2014): jitter needs a spread, not secrecy, and a seed makes simulations repeatable.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t next();
  double unit() { return static_cast<double>(next() >> 11) * 0x1p-53; }  // [0, 1)
  uint64_t below(uint64_t bound) { return bound ? next() % bound : 0; }

 private:
  uint64_t state_;
};

struct RetryPolicy {
  uint32_t attempts = 1;  // in all, the first included
  bool jitter = true;
  nanos backoff_ns = 1'000'000'000;
  nanos max_delay_ns = 60'000'000'000;
  nanos max_server_wait_ns = 600'000'000'000;  // kNever: as long as the server says

  // How long to wait after `attempts_made` >= 1 failed attempts: min(backoff * 2^(attempts_made - 1), max_delay), times a
  // factor of 0.5 to 1.5 with jitter. A wait that the server asked for (>= 0) replaces it. Saturates, never overflows.
  nanos delay(uint32_t attempts_made, nanos server_wait_ns, Random& random) const;

  nanos clamp_server_wait(nanos wait_ns) const { return wait_ns < max_server_wait_ns ? wait_ns : max_server_wait_ns; }
};

// An item between two attempts.
struct Waiting {
  nanos due;          // kNever: the run has ended, it waits only to be drained
  uint64_t sequence;  // first come, first served among those due at the same time
  uint64_t index;
  nanos first_started;  // start of the item's first attempt
  uint32_t attempts;    // made so far
  uint64_t cookie = 0;  // what it was supplied with
};

// Waiting items, the earliest due on top. `reserve` allocates; nothing else does.
class RetryQueue {
 public:
  void reserve(size_t size) {
    if (size > heap_.capacity()) heap_.reserve(size > 2 * heap_.capacity() ? size : 2 * heap_.capacity());
  }
  void push(Waiting item);
  Waiting pop();
  bool empty() const { return heap_.empty(); }
  size_t size() const { return heap_.size(); }
  nanos next_due() const { return heap_.empty() ? kNever : heap_.front().due; }

 private:
  std::vector<Waiting> heap_;
};

}  // namespace pa
