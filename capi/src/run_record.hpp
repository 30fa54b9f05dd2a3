// A run that keeps all outcomes: what stands behind pa_result.
//
// Two parts: the owner's, callbacks and placeholders (run_record.cpp); and reading the outcomes (result.cpp).
#pragma once
#include <algorithm>
#include <atomic>
#include <cassert>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <vector>

#include "capi/src/keys.hpp"
#include "capi/src/record.hpp"

namespace pa {

// An item that was done, on its way to on_result and on_progress.
struct Completion {
  uint64_t first, count;
  uint32_t attempts;
  nanos duration_ns;  // of each
};

}  // namespace pa

struct pa_result final : pa::Record {
  // The settings have been checked. Throws std::bad_alloc, and has then taken nothing over.
  pa_result(const pa::Work& work, const pa::Settings& settings, pa::nanos now);

  // Runs to the end on the calling thread and the pool, from `now` on, and returns what pa_map returns.
  pa_status run(pa::nanos now, pa_error* error) noexcept;
  // The memory of the last run is kept for the next: a short run would notice the allocation.
  static void* operator new(size_t size, std::align_val_t alignment);
  static void operator delete(void* memory, std::align_val_t alignment) noexcept;
  static void free_spare() noexcept;

  // For pa_pending: ends the run early from another thread.
  void cancel() noexcept;

  // ---- outcomes; valid once run() has returned
  uint64_t count() const;
  int32_t end() const { return pa::public_end(job.end()); }
  bool ok() const;
  uint64_t not_ok() const;
  uint64_t batch_size() const { return work_.kind == pa::Kind::batch ? job.batch_size() : 0; }
  void outcome_at(uint64_t index, pa_outcome& outcome) const;
  uint8_t state_at(uint64_t index) const;
  void** value_slot(uint64_t index) const;  // nullptr: no such value
  pa_status check(pa_error* error) const noexcept;
  pa_status take_value(void*& kept, void*& taken, pa_error* error) noexcept;
  void release_values() noexcept;

 private:
  pa_result(const pa::Work& work, const pa::Settings& settings, pa::nanos now, pa::nanos cost,
            std::unique_ptr<pa_limiter> own);
  ~pa_result() override;

  void attend() noexcept override;

  pa::Slots slots(const pa::Lease&, uint64_t first, uint64_t count) const override { return slots(first, count); }
  pa::Slots room_for(pa::Lease& lease, uint64_t want) override;
  void refuse_inputs(const pa::Lease&, uint64_t first, uint64_t count) noexcept override { release_items(first, count); }
  bool values_are_new() const override { return growing_ || array_.is_new(); }
  void name(const pa::Lease&, uint64_t, const pa_key& key) override { keys_.append(key); }
  pa_key key_of(const pa::Lease&, uint64_t index) const override { return keys_.find(index, false); }
  bool note_success(pa::Receipts::Pen& pen, const pa::Receipt& receipt) noexcept override {
    return receipts_.note(pen, receipt);
  }
  void failed(uint64_t index, int32_t state, uint32_t attempts, pa::nanos duration_ns) noexcept override;
  void succeeded(uint64_t first, uint64_t count, uint32_t attempts, pa::nanos duration_ns) noexcept override {
    completed({first, count, attempts, duration_ns});
  }
  void release_items(const pa::Lease&, uint64_t first, uint64_t count) noexcept override { release_items(first, count); }

  void completed(const pa::Completion& completion) noexcept;
  bool deliver(const pa::Completion& completion) noexcept;
  uint64_t known_total() const;
  void mark_unrun(const pa::Unrun& unrun, bool release) noexcept;
  void write_placeholder_message() noexcept;
  void fill_outcome(uint64_t index, const pa::Receipt& receipt, pa_outcome& outcome) const;

  pa::Slots slots(uint64_t first, uint64_t count) const {
    return growing_ ? growing_storage_->slots(first, count) : array_.slots(first, count);
  }
  void set_states(uint64_t first, uint64_t count, uint8_t state) noexcept;
  void release_items(uint64_t first, uint64_t count) noexcept;
  const pa::nanos expected_cost_;  // of an item, from the last run of the function; 0: not known
  const bool growing_;

  pa::ArrayStorage array_;
  std::optional<pa::GrowingStorage> growing_storage_;
  pa::Keys keys_;
  pa::Receipts receipts_;
  std::atomic<uint64_t> unrun_{0};
  uint64_t stored_ = 0;  // after the end: indices below have a slot
  char placeholder_message_[96] = "";

  // From workers to the owner, in the order of completion.
  std::mutex completions_mutex_;
  std::vector<pa::Completion> completions_;
  std::atomic<bool> callbacks_over_{false};
  std::vector<pa::Completion> delivering_;
  uint64_t delivered_ = 0;
};
