// What is admitted and nobody holds: spans of consecutive indices, the oldest first. Where each push has a cookie of its own there
// may be as many as indices, so that nothing here looks at all of them.
#pragma once
#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "time.hpp"

namespace pa {

struct Ready {
  uint64_t first, count;
  nanos ripe;  // from when on it need not wait for a full batch
  uint64_t cookie;
};

class ReadyList {
 public:
  // Makes room for so many more. It allocates, and may throw std::bad_alloc; nothing else does.
  void reserve(size_t more) {
    if (spans_.capacity() - spans_.size() >= more) return;
    if (begin_ > spans_.size() / 2) {
      spans_.erase(spans_.begin(), begin());
      begin_ = 0;
    }
    if (spans_.capacity() - spans_.size() < more) spans_.reserve(2 * (spans_.size() + more));
  }

  // Joins it with a neighbour that has the same cookie, if it is among those at either end: there is what was cut or came last.
  void push(const Ready& ready) {
    const size_t near = std::min<size_t>(size(), kNear);
    for (size_t i = 0; i < near; i++)
      if (join((*this)[i], ready) || join((*this)[size() - 1 - i], ready)) return;
    assert(spans_.size() < spans_.capacity());
    spans_.push_back(ready);
  }

  bool empty() const { return size() == 0; }
  size_t size() const { return spans_.size() - begin_; }
  Ready& operator[](size_t at) { return spans_[begin_ + at]; }
  std::vector<Ready>::const_iterator begin() const { return spans_.begin() + static_cast<std::ptrdiff_t>(begin_); }
  std::vector<Ready>::const_iterator end() const { return spans_.end(); }

  void erase(size_t at) {
    if (at == 0)
      begin_++;
    else
      spans_.erase(begin() + static_cast<std::ptrdiff_t>(at));
  }
  Ready pop_back() {
    const Ready last = spans_.back();
    spans_.pop_back();
    return last;
  }

 private:
  static constexpr size_t kNear = 4;

  static bool join(Ready& other, const Ready& ready) {
    if (other.cookie != ready.cookie) return false;
    if (other.first + other.count == ready.first) {
      other.count += ready.count;
      return true;
    }
    if (ready.first + ready.count != other.first) return false;
    other.first = ready.first;
    other.count += ready.count;
    other.ripe = std::min(other.ripe, ready.ripe);
    return true;
  }

  std::vector<Ready> spans_;
  size_t begin_ = 0;  // those before it are gone
};

}  // namespace pa
