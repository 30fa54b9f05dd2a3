// Sparse receipts: how long items took, and in how many attempts. One entry for each stretch of items that ran in one lease,
// so that millions of short items cost next to nothing, and a long one is known exactly.
#pragma once
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

#include "sync.hpp"
#include "time.hpp"

namespace pa {

struct Receipt {
  uint64_t first;
  uint32_t count;
  uint32_t attempts;
  nanos duration_ns;  // of each item
};

// A pile of pages. Each taker writes a page of its own, and puts a new one on the pile when that is full.
class Receipts {
 public:
  // `shared`: a taker may still write when somebody reads. Then each note takes a lock, and none is taken once it is sealed.
  explicit Receipts(bool shared) : shared_(shared) {}
  ~Receipts();
  Receipts(const Receipts&) = delete;

  static constexpr size_t kPerPage = 42;
  struct Page {
    Page* below;
    Receipt entries[kPerPage];  // a count of 0 is behind the last
  };
  // Where a taker writes next.
  struct Pen {
    Page* page = nullptr;
    size_t used = kPerPage;
  };

  bool note(Pen& pen, const Receipt& receipt) noexcept;  // false: no memory
  void seal() noexcept;

  // The receipt of a succeeded item; attempts 1 and no duration if none was noted. Only when nobody writes any more, or when
  // sealed. Threads: any; waits for none, not even for one that was left behind by a fork.
  Receipt find(uint64_t index) const;

 private:
  bool turn_page(Pen& pen) noexcept;
  template <class Use>
  void for_each(Use use) const;
  bool sort() const;

  const bool shared_;
  bool sealed_ = false;
  Mutex mutex_;
  Page* top_ = nullptr;
  Page few_[2];  // the first pages: a short run would notice an allocation
  size_t few_used_ = 0;
  mutable Mutex sorting_;
  mutable Atomic<bool> sorted_{false};
  mutable std::vector<Receipt> entries_;  // what is on the pages, by index
};

}  // namespace pa
