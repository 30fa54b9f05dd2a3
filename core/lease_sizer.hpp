// How many indices a taker leases next: few enough that work can be shared out, many enough that sharing out costs nothing.
#pragma once
#include <algorithm>
#include <cstdint>

#include "time.hpp"

namespace pa {

struct LeaseSizer {
  uint64_t size = 1;
  // Automatic batches only: nanoseconds per item at half this size, to see whether a larger batch still pays.
  double cost_at_half = 0;
  bool settled = false;

  // A lease of `granted` indices, of which `ran` were run, took `elapsed`. Leases grow two- to fourfold while they take less
  // than half of `target`, and shrink above twice of it.
  void adapt(uint64_t granted, uint64_t ran, nanos elapsed, nanos target, uint64_t max) {
    if (!ran) return;
    if (ran < granted) {
      size = std::max<uint64_t>(1, size / 2);
      return;
    }
    elapsed = std::max<nanos>(1, elapsed);
    if (ran >= size && elapsed * 2 < target)
      size = std::min(max, size * (target / elapsed >= 8 ? 4 : 2));
    else if (elapsed > target * 2 && size > 1)
      size = std::max<uint64_t>(1, size / std::min<uint64_t>(size, static_cast<uint64_t>(elapsed / target)));
  }

  // The same for calls of a batch function. A call may have a fixed price (a commit, a round trip), so time alone says
  // nothing: the batch doubles as long as that makes an item at least a tenth cheaper and a call stays below `longest`.
  void adapt_batch(uint64_t granted, uint64_t ran, nanos elapsed, nanos target, nanos longest, uint64_t max) {
    if (ran < granted || ran < size) return;  // an odd rest says nothing about this size
    const double cost = static_cast<double>(std::max<nanos>(1, elapsed)) / static_cast<double>(ran);
    if (elapsed > longest && size > 1) {
      size /= 2;
      settled = true;
    } else if (elapsed * 2 < target) {
      cost_at_half = cost;
      size = std::min(max, size * 2);
    } else if (!settled && elapsed * 2 < longest && (cost_at_half == 0 || cost < 0.9 * cost_at_half)) {
      cost_at_half = cost;
      size = std::min(max, size * 2);
    } else if (!settled) {
      settled = true;
      if (cost_at_half > 0 && cost > cost_at_half) size = std::max<uint64_t>(1, size / 2);
    }
  }
};

}  // namespace pa
