// Sparse receipts: how long items took, and in how many attempts. One entry for each stretch of items that ran in one lease,
// so that millions of short items cost next to nothing, and a long one is known exactly.
#pragma once
#include <cstdint>
#include <memory>
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

class Receipts {
 public:
  // The receipts that one taker writes. Once the book is sealed nothing more is noted: its reader needs no lock then.
  class Page {
   public:
    void note(uint64_t first, uint64_t count, uint32_t attempts, nanos total_ns);  // throws std::bad_alloc

   private:
    friend class Receipts;
    Mutex mutex_;
    bool sealed_ = false;
    std::vector<Receipt> entries_;
  };

  Page& open_page();  // throws std::bad_alloc; the page lives as long as the book
  void seal() noexcept;

  // The receipt of a succeeded item; attempts 1 and no duration if none was noted. Only when sealed. Threads: any.
  Receipt find(uint64_t index) const;

 private:
  Mutex mutex_;
  std::vector<std::unique_ptr<Page>> pages_;
  mutable Mutex sorting_;
  mutable bool sorted_ = false;
  mutable std::vector<Receipt> entries_;
};

}  // namespace pa
