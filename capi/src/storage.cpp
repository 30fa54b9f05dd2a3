#include "capi/src/storage.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>
#include <utility>

#include "core/os.hpp"

namespace pa {
namespace {

using Block = ArrayStorage::Block;

constexpr uint64_t kPagesFrom = 1u << 21;  // from this size on memory comes in pages of its own, huge ones if possible
constexpr uint64_t kSpareLimit = uint64_t{1} << 30;  // bytes of each kind that are kept for the next run at most

void* allocate(uint64_t bytes) {
  if (bytes >= kPagesFrom) return os::map_pages(bytes);
  return std::calloc(1, std::max<uint64_t>(1, bytes));
}

void deallocate(void* memory, uint64_t bytes) noexcept {
  if (bytes >= kPagesFrom)
    os::unmap_pages(memory, bytes);
  else
    std::free(memory);
}

uint64_t bytes_of(const Block& block) { return block.capacity * (block.with_values ? sizeof(void*) + 1 : 1); }

void free_block(const Block& block) noexcept {
  if (block.with_values) deallocate(block.values, block.capacity * sizeof(void*));
  deallocate(block.states, block.capacity);
}

Block new_block(uint64_t count, bool with_values) {
  if (count > UINT64_MAX / 16) throw std::bad_alloc();
  Block block{nullptr, nullptr, count, with_values};
  block.states = static_cast<uint8_t*>(allocate(count));
  if (with_values) block.values = static_cast<void**>(allocate(count * sizeof(void*)));
  if (!block.states || (with_values && !block.values)) {
    free_block(block);
    throw std::bad_alloc();
  }
  return block;
}

std::mutex spare_mutex;  // only tried, never waited for: a forked child may find it held for ever
Block spares[2];         // without and with values

}  // namespace

ArrayStorage::ArrayStorage(void* const* items, uint64_t count, bool with_values) : items_(items) {
  if (std::unique_lock lock(spare_mutex, std::try_to_lock); lock.owns_lock()) {
    Block& spare = spares[with_values];
    const bool fits = spare.states && spare.capacity >= count && spare.capacity / 2 <= count + 4096;
    if (fits) block_ = std::exchange(spare, {});
  }
  is_new_ = !block_.states;
  if (is_new_) block_ = new_block(count, with_values);
}

ArrayStorage::~ArrayStorage() {
  if (!block_.states) return;
  Block old = block_;
  if (bytes_of(old) <= kSpareLimit) {
    if (dirty_.load(std::memory_order_relaxed)) std::memset(old.states, PA_ITEM_OK, old.capacity);
    if (std::unique_lock lock(spare_mutex, std::try_to_lock); lock.owns_lock()) std::swap(old, spares[old.with_values]);
  }
  if (old.states) free_block(old);
}

ArrayStorage& ArrayStorage::operator=(ArrayStorage&& other) noexcept {
  std::swap(items_, other.items_);
  std::swap(block_, other.block_);
  std::swap(is_new_, other.is_new_);
  return *this;
}

void ArrayStorage::set_states(uint64_t first, uint64_t count, uint8_t state) {
  std::memset(block_.states + first, state, count);
  dirty_.store(true, std::memory_order_relaxed);
}

void ArrayStorage::free_spares() noexcept {
  for (Block& spare : spares) {
    Block old;
    if (std::unique_lock lock(spare_mutex, std::try_to_lock); lock.owns_lock()) std::swap(old, spare);
    if (old.states) free_block(old);
  }
}

// At dlclose or exit; what is allocated later is freed by nobody.
static const struct FreeSparesAtUnload {
  ~FreeSparesAtUnload() { ArrayStorage::free_spares(); }
} free_spares_at_unload;

// ---------------------------------------------------------------------------------------------------------- growing

// Block k holds the indices from kFirstBlock * (2^k - 1) on, kFirstBlock * 2^k of them.
GrowingStorage::Place GrowingStorage::place(uint64_t index) {
  const uint64_t scaled = index / kFirstBlock + 1;
  const int block = static_cast<int>(std::bit_width(scaled)) - 1;
  assert(block >= 0);
  const uint64_t begin = kFirstBlock * ((uint64_t{1} << block) - 1);
  return {block, index - begin, kFirstBlock << block};
}

// A block's memory: items, then values, then states, all zeroed.
uint64_t GrowingStorage::make_room(uint64_t first, uint64_t want) {
  const Place at = place(first);
  if (!blocks_[at.block].load(std::memory_order_relaxed)) {
    char* memory = static_cast<char*>(allocate(at.size * (2 * sizeof(void*) + 1)));
    if (!memory) throw std::bad_alloc();
    blocks_[at.block].store(memory, std::memory_order_release);
  }
  return std::min(want, at.size - at.offset);
}

Slots GrowingStorage::slots(uint64_t first, uint64_t count) const {
  const Place at = place(first);
  char* memory = blocks_[at.block].load(std::memory_order_acquire);
  auto** items = reinterpret_cast<void**>(memory);
  auto** values = items + at.size;
  auto* states = reinterpret_cast<uint8_t*>(values + at.size);
  return {items + at.offset, values + at.offset, states + at.offset, std::min(count, at.size - at.offset)};
}

void** GrowingStorage::items_at(uint64_t first) { return const_cast<void**>(slots(first, 1).items); }

GrowingStorage::~GrowingStorage() {
  for (int block = 0; block < kBlocks; block++)
    if (char* memory = blocks_[block].load(std::memory_order_relaxed))
      deallocate(memory, (kFirstBlock << block) * (2 * sizeof(void*) + 1));
}

}  // namespace pa
