// What a stream has done and its consumer has not had yet: a heap, by the time of completion or by index.
#pragma once
#include <algorithm>
#include <cassert>
#include <cstdint>
#include <vector>

#include "time.hpp"

namespace pa {

// Consecutive indices with one outcome.
struct Chunk {
  uint64_t first = 0;
  uint64_t count = 0;
  uint64_t cookie = 0;  // what they were supplied with
  uint32_t attempts = 0;
  bool failed = false;    // then it is one index
  nanos duration_ns = 0;  // of each
};

class Outbox {
 public:
  explicit Outbox(bool ordered) : ordered_(ordered) {}

  // `reserve` allocates, and may throw std::bad_alloc; nothing else does.
  void reserve(size_t size) {
    if (size > heap_.capacity()) heap_.reserve(std::max(size, 2 * heap_.capacity()));
  }
  void push(const Chunk& chunk) {
    assert(heap_.size() < heap_.capacity());
    heap_.push_back({ordered_ ? chunk.first : sequence_++, chunk});
    std::push_heap(heap_.begin(), heap_.end(), later);
  }
  size_t size() const { return heap_.size(); }
  // Is there one whose turn it is? `skip`: what is missing before the first will not come any more.
  bool ready(bool skip) const { return !heap_.empty() && (!ordered_ || skip || heap_.front().key == next_); }
  Chunk pop() {
    std::pop_heap(heap_.begin(), heap_.end(), later);
    const Chunk chunk = heap_.back().chunk;
    heap_.pop_back();
    next_ = chunk.first + chunk.count;
    return chunk;
  }

 private:
  struct Entry {
    uint64_t key;
    Chunk chunk;
  };
  static bool later(const Entry& a, const Entry& b) { return a.key > b.key; }

  const bool ordered_;
  uint64_t next_ = 0;  // in order of indices: whose turn it is
  uint64_t sequence_ = 0;
  std::vector<Entry> heap_;
};

}  // namespace pa
