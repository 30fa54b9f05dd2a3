#include "retry.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace pa {

uint64_t Random::next() {
  state_ += 0x9E3779B97F4A7C15u;
  uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

nanos RetryPolicy::delay(uint32_t attempts_made, nanos server_wait_ns, Random& random) const {
  assert(attempts_made >= 1);
  if (server_wait_ns >= 0) return clamp_server_wait(server_wait_ns);
  const int doublings = static_cast<int>(std::min(attempts_made - 1, 63u));
  double wait = std::min(std::ldexp(static_cast<double>(backoff_ns), doublings), static_cast<double>(max_delay_ns));
  if (jitter) wait *= 0.5 + random.unit();
  return wait < static_cast<double>(kNever) ? static_cast<nanos>(wait) : kNever;
}

namespace {
bool later(const Waiting& a, const Waiting& b) { return a.due != b.due ? a.due > b.due : a.sequence > b.sequence; }
}  // namespace

void RetryQueue::push(Waiting item) {
  assert(heap_.size() < heap_.capacity());
  heap_.push_back(item);
  std::push_heap(heap_.begin(), heap_.end(), later);
}

Waiting RetryQueue::pop() {
  std::pop_heap(heap_.begin(), heap_.end(), later);
  const Waiting top = heap_.back();
  heap_.pop_back();
  return top;
}

}  // namespace pa
