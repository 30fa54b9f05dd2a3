#include "receipts.hpp"

#include <algorithm>
#include <new>

namespace pa {

void Receipts::Page::note(const Receipt* receipts, size_t count) {
  std::unique_lock lock(mutex_, std::defer_lock);
  if (shared_) lock.lock();
  if (!sealed_) entries_.insert(entries_.end(), receipts, receipts + count);
}

Receipts::Page& Receipts::open_page() {
  auto page = std::make_unique<Page>(shared_);
  page->entries_.reserve(16);
  std::lock_guard lock(mutex_);
  pages_.push_back(std::move(page));
  return *pages_.back();
}

void Receipts::seal() noexcept {
  std::lock_guard lock(mutex_);
  for (auto& page : pages_) {
    std::lock_guard page_lock(page->mutex_);
    page->sealed_ = true;
  }
}

Receipt Receipts::find(uint64_t index) const {
  std::lock_guard lock(sorting_);
  if (!sorted_) {
    try {
      size_t total = 0;
      for (auto& page : pages_) total += page->entries_.size();
      entries_.reserve(total);
    } catch (const std::bad_alloc&) {
      for (auto& page : pages_)
        for (const Receipt& receipt : page->entries_)
          if (index - receipt.first < receipt.count) return receipt;
      return {index, 1, 1, 0};
    }
    for (auto& page : pages_) {
      entries_.insert(entries_.end(), page->entries_.begin(), page->entries_.end());
      page->entries_ = {};
    }
    std::sort(entries_.begin(), entries_.end(), [](const Receipt& a, const Receipt& b) { return a.first < b.first; });
    sorted_ = true;
  }
  auto after = std::upper_bound(entries_.begin(), entries_.end(), index,
                                [](uint64_t i, const Receipt& receipt) { return i < receipt.first; });
  if (after != entries_.begin() && index - (after - 1)->first < (after - 1)->count) return *(after - 1);
  return {index, 1, 1, 0};
}

}  // namespace pa
