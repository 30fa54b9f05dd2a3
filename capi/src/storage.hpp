// Where a run keeps what belongs to its items: the item, its value, its state. Eight bytes a value, one byte a state.
#pragma once
#include <atomic>
#include <cstdint>

#include "pa/pa.h"

namespace pa {

// Items, values and states of neighbouring indices. Pointers that a run does not need are null.
struct Slots {
  void* const* items = nullptr;
  void** values = nullptr;
  uint8_t* states = nullptr;
  uint64_t count = 0;
};

// For inputs that are all there: values and states in one block each, which is kept for the next run when it is done. States
// start as PA_ITEM_OK, so that only what failed is ever written.
class ArrayStorage {
 public:
  ArrayStorage() = default;
  ArrayStorage(void* const* items, uint64_t count, bool with_values);  // throws std::bad_alloc
  ~ArrayStorage();
  ArrayStorage(const ArrayStorage&) = delete;
  ArrayStorage& operator=(ArrayStorage&& other) noexcept;

  Slots slots(uint64_t first, uint64_t count) const {
    return {items_ ? items_ + first : nullptr, block_.values ? block_.values + first : nullptr, block_.states + first,
            count};
  }
  bool is_new() const { return is_new_; }  // all zero before this run wrote to it
  void set_states(uint64_t first, uint64_t count, uint8_t state);
  void set_state(uint64_t index, uint8_t state) {
    block_.states[index] = state;
    dirty_.store(true, std::memory_order_relaxed);
  }

  struct Block {
    void** values = nullptr;
    uint8_t* states = nullptr;
    uint64_t capacity = 0;
    bool with_values = false;
  };
  static void free_spares() noexcept;  // what is kept for the next run

 private:
  void* const* items_ = nullptr;
  Block block_;
  bool is_new_ = false;
  std::atomic<bool> dirty_{false};
};

// For inputs that a source delivers: blocks that double in size and never move.
class GrowingStorage {
 public:
  GrowingStorage() = default;
  ~GrowingStorage();
  GrowingStorage(const GrowingStorage&) = delete;

  // Makes room for `first` and up to `want` - 1 more; returns how many fit without a gap. One caller at a time. Throws.
  uint64_t make_room(uint64_t first, uint64_t want);
  // The slots from `first` on, at most `count` of them, as far as they lie side by side.
  Slots slots(uint64_t first, uint64_t count) const;
  void** items_at(uint64_t first);

 private:
  static constexpr uint64_t kFirstBlock = 64;
  static constexpr int kBlocks = 58;
  struct Place {
    int block;
    uint64_t offset, size;
  };
  static Place place(uint64_t index);
  std::atomic<char*> blocks_[kBlocks] = {};
};

}  // namespace pa
