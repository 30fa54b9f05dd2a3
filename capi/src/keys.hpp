// The keys that options.item_key gave, in the order of admission.
#pragma once
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>

#include "pa/pa.h"

namespace pa {

class Keys {
 public:
  void append(const pa_key& key);  // copies what it points to; throws std::bad_alloc
  // PA_KEY_NONE beyond the last; borrowed as long as this lives. `alone` as for Notes.
  pa_key find(uint64_t index, bool alone) const;

 private:
  struct Entry {
    pa_key key;
    std::unique_ptr<char[]> data;
  };
  mutable std::mutex mutex_;
  std::optional<std::deque<Entry>> entries_;  // made for the first key: an empty deque, too, allocates
};

}  // namespace pa
