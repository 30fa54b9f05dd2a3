// What one thread does for a run of the C ABI: takes leases, calls the user's function, settles what became of the items.
#pragma once
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "capi/src/record.hpp"

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

}  // namespace pa

// The call that the user's function sees.
struct pa_call {
  pa::Record* run = nullptr;
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
    if (span) span->count = span->at + 1;
  }
  void note(const char* text) noexcept;
};

namespace pa {

class Worker final : private Witness {
 public:
  Worker(Record& run, nanos now) : run_(run), now_(now), span_size_(run.job.config().first_lease) { call_.run = &run; }
  // Takes and runs until there is nothing more to do.
  void work() noexcept;
  // Runs what there is now, if there is something: one lease or one pull. For a thread that has other things to do.
  Take visit() noexcept;
  void leave() noexcept;  // after the last visit
  nanos come_back() const { return lease_.come_back; }

 private:
  // A failed attempt, as it is about to be settled.
  struct Attempt {
    int32_t state = PA_ITEM_FAILED;
    int32_t code = 0;
    const char* message = "";
    nanos duration_ns = 0;
  };

  bool use_lease() noexcept;
  void run_lease() noexcept;
  void fetch() noexcept;
  uint64_t pull(uint64_t want, bool& end) noexcept;
  uint64_t name_items(uint64_t first, uint64_t count) noexcept;
  void* item_at(uint64_t index) const { return *run_.slots(lease_, index, 1).items; }
  void*& value_at(uint64_t index) const { return *run_.slots(lease_, index, 1).values; }

  void run_items() noexcept;
  void run_span(pa_span& span) noexcept;
  bool pace(uint64_t count, nanos before) noexcept;
  void note_exception() noexcept;
  void run_call() noexcept;
  int32_t call_function(void* const* items, void** values) noexcept;

  bool settle_failed_item(const pa_span& span, nanos before) noexcept;
  bool settle_failure(uint64_t index, Attempt attempt, void** value) noexcept;
  bool may_retry(uint64_t index, Attempt& attempt) noexcept;
  bool settle_step(uint64_t done_until) noexcept;
  void settle_lease(uint64_t done_until) noexcept;
  void drop_revoked(uint64_t run_until) noexcept;
  void note_success(uint64_t first, uint64_t count, nanos each) noexcept;
  void note_stretch(uint64_t until, nanos at) noexcept;
  void after_settling() noexcept;
  bool timed_out() const { return now_ > call_.deadline; }

  void failed(uint64_t index, Verdict verdict) noexcept override;
  void succeeded(uint64_t first, uint64_t count) noexcept override;

  // What every item needs comes first, on few cache lines: among a thousand sleepers each is cold.
  Record& run_;
  nanos now_;
  nanos success_duration_ns_ = 0;
  uint64_t span_size_;    // items between two looks at the clock
  bool started_ = false;  // worker_start was called
  Lease lease_;
  uint64_t noted_ = 0;  // items of the lease before this one are settled or have their receipt,
  nanos noted_at_ = 0;  // and it began then
  Receipts::Pen pen_;
  pa_call call_;
  Attempt failing_;                    // for the witness
  std::vector<void*> gathered_items_;  // a batch whose slots do not lie side by side
  std::vector<void*> gathered_values_;
};

}  // namespace pa
