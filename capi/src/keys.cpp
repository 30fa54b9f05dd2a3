#include "capi/src/keys.hpp"

#include <cstring>

namespace pa {

void Keys::append(const pa_key& key) {
  Entry entry{key, nullptr};
  entry.key.reserved = 0;
  if (key.kind == PA_KEY_STRING || key.kind == PA_KEY_BYTES) {
    entry.data.reset(new char[key.size + 1]);
    if (key.size) std::memcpy(entry.data.get(), key.data, key.size);
    entry.data[key.size] = '\0';
    entry.key.data = entry.data.get();
  } else {
    entry.key.data = nullptr;
    entry.key.size = 0;
  }
  std::lock_guard lock(mutex_);
  if (!entries_) entries_.emplace();
  entries_->push_back(std::move(entry));
}

pa_key Keys::find(uint64_t index, bool alone) const {
  std::unique_lock lock(mutex_, std::defer_lock);
  if (!alone) lock.lock();
  return entries_ && index < entries_->size() ? (*entries_)[index].key : pa_key{};
}

}  // namespace pa
