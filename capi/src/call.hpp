// The call that the user's function sees.
#pragma once
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "core/time.hpp"
#include "pa/pa.h"

namespace pa {

// What a batch or range function said about single items of one call.
class Answers {
 public:
  enum Mark : uint8_t { none, ok, failed };
  struct Failed {
    int32_t code = 0;
    std::unique_ptr<char[]> message;
  };

  void clear() {
    marks_.clear();
    failed_.clear();
  }
  void set_ok(size_t position, size_t count);                                         // throws std::bad_alloc
  void set_failed(size_t position, size_t count, int32_t code, const char* message);  // throws std::bad_alloc
  bool any() const { return !marks_.empty(); }
  Mark mark(size_t position) const { return marks_.empty() ? none : marks_[position]; }
  const Failed& failure(size_t position) const { return failed_.at(position); }

 private:
  std::vector<Mark> marks_;
  std::unordered_map<size_t, Failed> failed_;
};

// What ends a call early, besides its own deadline.
class Bounds {
 public:
  virtual bool has_ended() const noexcept = 0;  // the run
  virtual nanos run_deadline() const noexcept = 0;

 protected:
  ~Bounds() = default;
};

}  // namespace pa

struct pa_call {
  const pa::Bounds* bounds = nullptr;
  uint64_t first = 0;       // index of the call's, or of the span's first item
  uint64_t count = 1;       // items of a batch or range call
  pa_span* span = nullptr;  // item functions: how far the loop is
  uint32_t attempt = 0;
  pa::nanos deadline = pa::kNever;  // of this attempt

  static constexpr uint64_t kNobody = UINT64_MAX;
  uint64_t noted_for = kNobody;  // the item that pa_call_fail was called for
  uint64_t wait_for = kNobody;   // the item that pa_call_retry_after was called for
  pa::nanos server_wait_ns = -1;
  bool out_of_memory = false;
  pa::Answers answers;
  char message[PA_MESSAGE_MAX + 1];

  uint64_t index() const { return span ? first + span->at : first; }
  // The function learns that it is over: the span has no item behind this one.
  void end_span() const noexcept {
    if (span) __atomic_store_n(&span->count, span->at + 1, __ATOMIC_RELAXED);  // by whatever thread of the function's
  }
  void note(const char* text) noexcept;
  // In the handler of an exception: notes what it says, and returns the code for it.
  int32_t note_exception() noexcept;
};
