// Where a stream keeps inputs and values: blocks that are filled one after the other, and recycled when nobody needs them any
// more. A block's address is the cookie that its inputs are supplied with.
#pragma once
#include <atomic>
#include <cstdint>
#include <mutex>

#include "capi/src/keys.hpp"
#include "capi/src/storage.hpp"

namespace pa {

class StreamStorage {
 public:
  struct Block {
    uint64_t first;     // index of its first input
    uint64_t filled;    // inputs that were delivered; for whoever pulls
    uint64_t capacity;  // a property of its memory
    // Two shares for each input, one of the workers and one of the consumer, and one of whoever fills it.
    std::atomic<uint64_t> shares;
    Keys* keys;  // nullptr: no key was given
    Block* next;

    void** items() { return reinterpret_cast<void**>(this + 1); }
  };

  // `multiple`: blocks hold a multiple of so many, so that batches of that size fit. `in_place`: nobody needs an input any more
  // once its call has begun, so that the value may take its place.
  StreamStorage(uint64_t multiple, bool in_place) : multiple_(multiple), in_place_(in_place) {}
  StreamStorage(const StreamStorage&) = delete;
  ~StreamStorage();

  static uint64_t cookie(Block& block) { return reinterpret_cast<uint64_t>(&block); }
  // NOLINTNEXTLINE(performance-no-int-to-ptr): that is what a cookie is for
  static Block& of(uint64_t cookie) { return *reinterpret_cast<Block*>(cookie); }
  Slots slots(uint64_t cookie, uint64_t first, uint64_t count) const {
    Block& block = of(cookie);
    void** const items = block.items() + (first - block.first);
    return {items, in_place_ ? items : items + block.capacity, nullptr, count};
  }

  // The block that the next inputs, up to `want` from index `first` on, go to. One call at a time. Throws std::bad_alloc.
  Block& open(uint64_t first, uint64_t want);
  // `got` inputs were delivered to it: they have their shares from now on.
  void fill(Block& block, uint64_t got) noexcept;
  // Gives up `shares` of a block; the last one recycles it.
  void drop(uint64_t cookie, uint64_t shares) noexcept;
  // No more inputs will come. Not while somebody calls open or fill.
  void close() noexcept;

 private:
  Block* allocate(uint64_t capacity);
  static void free(Block* block) noexcept;

  const uint64_t multiple_;
  const bool in_place_;
  uint64_t next_capacity_ = 16;
  Block* open_ = nullptr;
  std::mutex mutex_;
  Block* spare_ = nullptr;  // all of the largest size
  uint32_t spares_ = 0;
};

}  // namespace pa
