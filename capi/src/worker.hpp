// What one thread does for a run of the C ABI: takes leases, calls the user's function, settles what became of the items.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "capi/src/call.hpp"
#include "capi/src/record.hpp"
#include "capi/src/workforce.hpp"

namespace pa {

class Worker final : private Witness {
 public:
  Worker(Record& run, nanos now) : run_(run), now_(now), span_size_(run.job.config().first_lease) { call_.bounds = &run; }
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
  bool has_process() noexcept;
  void run_lease() noexcept;
  void fetch() noexcept;
  uint64_t pull(uint64_t want, bool& end) noexcept;
  uint64_t name_items(uint64_t first, uint64_t count) noexcept;
  void* item_at(uint64_t index) const { return *run_.slots(lease_, index, 1).items; }
  void*& value_at(uint64_t index) const { return *run_.slots(lease_, index, 1).values; }

  void run_items() noexcept;
  void run_span(pa_span& span) noexcept;
  bool pace(uint64_t count, nanos before) noexcept;
  void run_call() noexcept;
  void run_remotely() noexcept;
  bool settle_answers(uint64_t& at, uint64_t end, Remote::Report& report) noexcept;
  bool settle_answer(const RemoteAnswer& answer, uint64_t index, void*& value) noexcept;
  bool settle_so_far(uint64_t at) noexcept;
  bool settle_loss(const Remote::Report& report, uint64_t at, uint64_t count) noexcept;
  bool settle_remote_failure(uint64_t index, Attempt attempt, void*& value) noexcept;
  int32_t call_function(void* const* items, void** values) noexcept;

  bool settle_failed_item(const pa_span& span, nanos before) noexcept;
  bool settle_failure(uint64_t index, Attempt attempt, void** value) noexcept;
  bool may_retry(uint64_t index, Attempt& attempt) noexcept;
  bool may_crash_again(uint64_t index, const Attempt& attempt) noexcept;
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
  std::unique_ptr<Remote> remote_;  // with processes: who runs the items
  nanos share_ = 0;                 // of each item, of the time that the last of them took
};

}  // namespace pa
