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
  uint64_t count;
  uint32_t attempts;
  nanos duration_ns;  // of each item
};

class Receipts {
 public:
  // `shared`: a taker may still write when somebody reads. Then each note takes a lock, and none is taken once it is sealed.
  explicit Receipts(bool shared) : shared_(shared) {}

  // The receipts that one taker writes.
  class Page {
   public:
    explicit Page(bool shared) : shared_(shared) {}
    void note(const Receipt* receipts, size_t count);  // throws std::bad_alloc

   private:
    friend class Receipts;
    const bool shared_;
    bool sealed_ = false;
    std::vector<Receipt> entries_;
    Mutex mutex_;
  };

  Page& open_page();  // throws std::bad_alloc; the page lives as long as the book
  void seal() noexcept;

  // The receipt of a succeeded item; attempts 1 and no duration if none was noted. Only when sealed. Threads: any.
  Receipt find(uint64_t index) const;

 private:
  const bool shared_;
  Mutex mutex_;
  std::vector<std::unique_ptr<Page>> pages_;
  mutable Mutex sorting_;
  mutable bool sorted_ = false;
  mutable std::vector<Receipt> entries_;
};

}  // namespace pa
