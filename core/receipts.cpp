#include "receipts.hpp"

#include <algorithm>
#include <iterator>
#include <new>
#include <utility>

namespace pa {
namespace {

bool covers(const Receipt& receipt, uint64_t index) { return index - receipt.first < receipt.count; }

}  // namespace

// Its own pages are the lowest.
Receipts::~Receipts() {
  while (top_ && !(top_ >= std::begin(few_) && top_ < std::end(few_))) delete std::exchange(top_, top_->below);
}

bool Receipts::note(Pen& pen, const Receipt& receipt) noexcept {
  std::unique_lock lock(mutex_, std::defer_lock);
  if (shared_) {
    lock.lock();
    if (sealed_) return true;
  }
  if (pen.used == kPerPage && !turn_page(pen)) return false;
  pen.page->entries[pen.used++] = receipt;
  if (pen.used < kPerPage) pen.page->entries[pen.used].count = 0;
  return true;
}

bool Receipts::turn_page(Pen& pen) noexcept {
  std::unique_lock lock(mutex_, std::defer_lock);
  if (!shared_) lock.lock();
  Page* page = few_used_ < std::size(few_) ? &few_[few_used_++] : new (std::nothrow) Page;
  if (!page) return false;
  page->below = top_;
  top_ = page;
  pen = {page, 0};
  return true;
}

void Receipts::seal() noexcept {
  if (!shared_) return;
  std::lock_guard lock(mutex_);
  sealed_ = true;
}

template <class Use>
void Receipts::for_each(Use use) const {
  for (const Page* page = top_; page; page = page->below)
    for (size_t i = 0; i < kPerPage && page->entries[i].count; i++) use(page->entries[i]);
}

// False: somebody else is about it, or there is no memory.
bool Receipts::sort() const {
  if (sorted_.load(std::memory_order_acquire)) return true;
  const std::unique_lock lock(sorting_, std::try_to_lock);
  if (!lock.owns_lock()) return false;
  if (sorted_.load(std::memory_order_relaxed)) return true;
  try {
    for_each([&](const Receipt& receipt) { entries_.push_back(receipt); });
  } catch (const std::bad_alloc&) {
    entries_ = {};
    return false;
  }
  std::sort(entries_.begin(), entries_.end(), [](const Receipt& a, const Receipt& b) { return a.first < b.first; });
  sorted_.store(true, std::memory_order_release);
  return true;
}

Receipt Receipts::find(uint64_t index) const {
  Receipt found{index, 1, 1, 0};
  if (!sort()) {
    for_each([&](const Receipt& receipt) {
      if (covers(receipt, index)) found = receipt;
    });
    return found;
  }
  const auto after = std::upper_bound(entries_.begin(), entries_.end(), index,
                                      [](uint64_t i, const Receipt& receipt) { return i < receipt.first; });
  if (after != entries_.begin() && covers(*(after - 1), index)) found = *(after - 1);
  return found;
}

}  // namespace pa
