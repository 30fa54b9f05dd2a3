// Sparse notes about items that failed, or whose last attempt did: state, code, message, attempts, duration.
#pragma once
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "sync.hpp"
#include "time.hpp"

namespace pa {

struct Note {
  int32_t state = 0;  // what the item became, in the words of the C ABI
  int32_t code = 0;
  uint32_t attempts = 0;
  nanos duration_ns = 0;
  std::unique_ptr<char[]> message;  // null: none
};

class Notes {
 public:
  // Replaces what was noted about the item before. False if there is no memory: the note is then lost.
  bool write(uint64_t index, int32_t state, int32_t code, uint32_t attempts, nanos duration_ns,
             const char* message) noexcept;
  // Sets only the attempts, keeping the error of an earlier one.
  bool write_attempts(uint64_t index, uint32_t attempts) noexcept;
  // Hands over what was noted, and forgets it. Empty: nothing was.
  std::optional<Note> take(uint64_t index) noexcept;
  // nullptr: nothing was noted. The note stays where it is until it is written again or taken. `alone`: nobody else can be here, and a
  // lock may be held by nobody, as in a forked child.
  const Note* find(uint64_t index, bool alone) const;

 private:
  mutable Mutex mutex_;
  std::unordered_map<uint64_t, Note> notes_;
};

}  // namespace pa
