#include "capi/src/stream_storage.hpp"

#include <algorithm>
#include <new>
#include <utility>

namespace pa {
namespace {

constexpr uint64_t kLargest = 8192;  // inputs of a block, unless batches are larger
constexpr uint32_t kMostSpares = 32;

}  // namespace

StreamStorage::~StreamStorage() {
  close();
  while (spare_) free(std::exchange(spare_, spare_->next));
}

StreamStorage::Block* StreamStorage::allocate(uint64_t capacity) {
  if (std::lock_guard lock(mutex_); spare_ && spare_->capacity == capacity) {
    spares_--;
    return std::exchange(spare_, spare_->next);
  }
  void* const memory = ::operator new(sizeof(Block) + capacity * (in_place_ ? 1 : 2) * sizeof(void*));
  auto* block = new (memory) Block;
  block->capacity = capacity;
  return block;
}

void StreamStorage::free(Block* block) noexcept { ::operator delete(block); }

StreamStorage::Block& StreamStorage::open(uint64_t first, uint64_t want) {
  // A batch lies in one block. Other inputs take what room there is.
  const uint64_t least = multiple_ > 1 ? want : 1;
  if (open_ && open_->capacity - open_->filled >= least) return *open_;
  close();
  Block* const block = allocate((next_capacity_ + multiple_ - 1) / multiple_ * multiple_);
  next_capacity_ = std::min(2 * next_capacity_, kLargest);
  block->first = first;
  block->filled = 0;
  block->shares.store(1, std::memory_order_relaxed);
  block->keys = nullptr;
  open_ = block;
  return *block;
}

void StreamStorage::fill(Block& block, uint64_t got) noexcept {
  block.filled += got;
  block.shares.fetch_add(2 * got, std::memory_order_relaxed);
}

void StreamStorage::drop(uint64_t cookie, uint64_t shares) noexcept {
  Block* const block = &of(cookie);
  if (block->shares.fetch_sub(shares, std::memory_order_acq_rel) != shares) return;
  delete block->keys;
  {
    std::lock_guard lock(mutex_);
    const bool largest = block->capacity >= kLargest && (!spare_ || spare_->capacity == block->capacity);
    if (largest && spares_ < kMostSpares) {
      block->next = std::exchange(spare_, block);
      spares_++;
      return;
    }
  }
  free(block);
}

void StreamStorage::close() noexcept {
  if (Block* const block = std::exchange(open_, nullptr)) drop(reinterpret_cast<uint64_t>(block), 1);
}

}  // namespace pa
