#include "notes.hpp"

#include <cstring>
#include <new>

namespace pa {

bool Notes::write(uint64_t index, int32_t state, int32_t code, uint32_t attempts, nanos duration_ns,
                  const char* message) noexcept {
  try {
    std::unique_ptr<char[]> copy;
    if (message && *message) {
      const size_t size = std::strlen(message) + 1;
      copy.reset(new char[size]);
      std::memcpy(copy.get(), message, size);
    }
    std::lock_guard lock(mutex_);
    notes_[index] = {state, code, attempts, duration_ns, std::move(copy)};
    return true;
  } catch (const std::bad_alloc&) {
    return false;
  }
}

bool Notes::write_attempts(uint64_t index, uint32_t attempts) noexcept {
  try {
    std::lock_guard lock(mutex_);
    notes_[index].attempts = attempts;
    return true;
  } catch (const std::bad_alloc&) {
    return false;
  }
}

std::optional<Note> Notes::take(uint64_t index) noexcept {
  std::lock_guard lock(mutex_);
  const auto found = notes_.find(index);
  if (found == notes_.end()) return std::nullopt;
  std::optional<Note> note(std::move(found->second));
  notes_.erase(found);
  return note;
}

const Note* Notes::find(uint64_t index, bool alone) const {
  std::unique_lock lock(mutex_, std::defer_lock);
  if (!alone) lock.lock();
  const auto found = notes_.find(index);
  return found == notes_.end() ? nullptr : &found->second;
}

}  // namespace pa
