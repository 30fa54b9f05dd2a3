// The lock-free part of a job: the indices nobody has taken yet, spread over one lane per worker.
//
// A lane is a half-open range [low, high) packed into one 64-bit word. Its owner takes from the front, a thief takes the
// back half, and whoever has indices to give publishes them onto a lane that is empty. Every operation is one
// compare-and-swap of the whole word, and the word's value is its whole state: two equal values mean the same set of
// indices, so a swap can never act on a stale view, and any number of takers may share a lane.
#pragma once
#include <algorithm>
#include <cstdint>
#include <memory>

#include "sync.hpp"

namespace pa {

struct Span {
  uint64_t first = 0;
  uint64_t count = 0;
};

class Lanes {
 public:
  static constexpr uint64_t kMaxCount = UINT32_MAX;  // both ends share a word

  Lanes(const Lanes&) = delete;
  Lanes(uint64_t count, uint32_t lanes) : lanes_(lanes) {  // throws std::bad_alloc
    if (lanes > kFew) many_.reset(new Lane[lanes]);
    lane_ = many_ ? many_.get() : few_;
    for (uint32_t i = 0; i < lanes; i++)
      lane_[i].range.store(pack(count * i / lanes, count * (i + 1) / lanes), std::memory_order_relaxed);
  }

  uint32_t size() const { return lanes_; }

  // Takes up to `want` from the front of a lane, and at most half of it if there are more than `whole`, so that something is
  // left to steal.
  Span take_front(uint32_t lane, uint64_t want, uint64_t whole = 1) {
    auto& word = lane_[lane].range;
    for (uint64_t seen = word.load(std::memory_order_acquire);;) {
      const uint64_t low = low_of(seen), high = high_of(seen);
      if (low >= high) return {};
      const uint64_t count = std::min(want, high - low <= whole ? high - low : (high - low) / 2);
      if (word.compare_exchange_weak(seen, pack(low + count, high), std::memory_order_seq_cst)) return {low, count};
    }
  }

  // Takes the back half of a lane, or all of it if there are at most `whole`.
  Span steal_back(uint32_t lane, uint64_t whole = 1) {
    auto& word = lane_[lane].range;
    for (uint64_t seen = word.load(std::memory_order_acquire);;) {
      const uint64_t low = low_of(seen), high = high_of(seen);
      if (low >= high) return {};
      const uint64_t middle = high - low <= whole ? low : low + (high - low) / 2;
      if (word.compare_exchange_weak(seen, pack(low, middle), std::memory_order_seq_cst)) return {middle, high - middle};
    }
  }

  // Makes a span takeable on a lane, if that is empty. (A plain store would lose what others published meanwhile.)
  bool publish(uint32_t lane, Span span) {
    auto& word = lane_[lane].range;
    for (uint64_t seen = word.load(std::memory_order_relaxed); low_of(seen) >= high_of(seen);)
      if (word.compare_exchange_weak(seen, pack(span.first, span.first + span.count), std::memory_order_seq_cst))
        return true;
    return false;
  }

  // Takes all that is left in a lane.
  Span take_all(uint32_t lane) {
    auto& word = lane_[lane].range;
    for (uint64_t seen = word.load(std::memory_order_seq_cst);;) {
      const uint64_t low = low_of(seen), high = high_of(seen);
      if (low >= high) return {};
      if (word.compare_exchange_weak(seen, pack(high, high), std::memory_order_seq_cst)) return {low, high - low};
    }
  }

 private:
  struct alignas(64) Lane {  // a cache line each: owners do not slow each other down
    Atomic<uint64_t> range{0};
  };
  static uint64_t pack(uint64_t low, uint64_t high) { return low << 32 | high; }
  static uint64_t low_of(uint64_t word) { return word >> 32; }
  static uint64_t high_of(uint64_t word) { return word & 0xffffffffu; }

  static constexpr uint32_t kFew = 8;  // without an allocation, which a short run would notice
  uint32_t lanes_;
  Lane* lane_;
  std::unique_ptr<Lane[]> many_;
  Lane few_[kFew];
};

}  // namespace pa
