// A run of the C ABI: the user's function and data on top of core's Run; once it is over, its outcomes. This is what stands
// behind pa_result.
//
// Three parts: `Worker`, what a thread of the run does with a lease (worker.cpp); the owner's part, callbacks and
// placeholders (run_record.cpp); and reading the outcomes (result.cpp).
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
#include "capi/src/options.hpp"
#include "capi/src/storage.hpp"
#include "core/drivers/run.hpp"
#include "core/notes.hpp"
#include "core/receipts.hpp"

namespace pa {

class Worker;

// What to run. Of the three functions one is set; a source has `source.next`, an array `items`.
struct Work {
  Kind kind = Kind::items;
  pa_loop_fn loop = pa_item_loop;
  pa_fn fn = nullptr;
  pa_batch_fn batch_fn = nullptr;
  pa_range_fn range_fn = nullptr;
  void* ctx = nullptr;
  void* const* items = nullptr;
  uint64_t count = 0;  // for a source: its size_hint
  pa_source source{};
  bool from_source() const { return source.next != nullptr; }
};

// An item that was done, on its way to on_result and on_progress.
struct Completion {
  uint64_t first, count;
  uint32_t attempts;
  nanos duration_ns;  // of each
};

}  // namespace pa

struct pa_result final : pa::Run, pa::Shared {
  // The settings have been checked. Throws std::bad_alloc, and has then taken nothing over.
  pa_result(const pa::Work& work, const pa::Settings& settings, pa::nanos now);

  // Runs to the end on the calling thread and the pool, from `now` on, and returns what pa_map returns.
  pa_status run(pa::nanos now, pa_error* error) noexcept;
  // The memory of the last run is kept for the next: a short run would notice the allocation.
  static void* operator new(size_t size, std::align_val_t alignment);
  static void operator delete(void* memory, std::align_val_t alignment) noexcept;
  static void free_spare() noexcept;

  // Instead of run(): gives everything back as if it had never been handed over.
  void abandon() noexcept;
  // For pa_pending: ends the run early from another thread.
  void cancel() noexcept;

  // ---- outcomes; valid once run() has returned
  uint64_t count() const;
  int32_t end() const;
  bool ok() const;
  uint64_t not_ok() const;
  uint64_t batch_size() const { return work_.kind == pa::Kind::batch ? job.batch_size() : 0; }
  void outcome_at(uint64_t index, pa_outcome& outcome) const;
  uint8_t state_at(uint64_t index) const;
  void** value_slot(uint64_t index) const;  // nullptr: no such value
  pa_status check(pa_error* error) const noexcept;
  pa_status report_failure(pa_error* error) const noexcept;  // why the run ended with PA_END_FAILED
  void release_values() noexcept;

 private:
  friend class pa::Worker;
  pa_result(const pa::Work& work, const pa::Settings& settings, pa::nanos now, pa::nanos cost,
            std::unique_ptr<pa_limiter> own);
  ~pa_result() override;

  void take_part(pa::nanos now) noexcept override;
  void attend() noexcept override;
  void quiescent() noexcept override;

  // Ends the run with PA_END_FAILED, unless it has ended already.
  [[gnu::format(printf, 4, 5)]] void end_failed(pa_status status, int32_t detail, const char* format, ...) noexcept;
  void completed(const pa::Completion& completion) noexcept;
  bool deliver(const pa::Completion& completion) noexcept;
  uint64_t known_total() const;
  void mark_unrun(const pa::Unrun& unrun, bool release) noexcept;
  uint8_t placeholder_state() const;
  void write_placeholder_message() noexcept;
  void fill_outcome(uint64_t index, const pa::Receipt& receipt, pa_outcome& outcome) const;

  pa::Slots slots(uint64_t first, uint64_t count) const {
    return growing_ ? growing_storage_->slots(first, count) : array_.slots(first, count);
  }
  void* item_at(uint64_t index) const {
    void* const* item = slots(index, 1).items;
    assert(item);
    return *item;
  }
  void*& value_at(uint64_t index) const {
    void** value = slots(index, 1).values;
    assert(value);
    return *value;
  }
  bool values_are_new() const { return growing_ || array_.is_new(); }
  void set_states(uint64_t first, uint64_t count, uint8_t state) noexcept;
  void release_items(uint64_t first, uint64_t count) noexcept;
  void release_value(void*& value) const noexcept {
    if (value && settings_.release_value) settings_.release_value(settings_.release_ctx, value);
    value = nullptr;
  }

  const pa::Work work_;
  const pa::nanos expected_cost_;  // of an item, from the last run of the function; 0: not known
  const pa::Settings settings_;
  const std::unique_ptr<pa_limiter> own_limiter_;
  const bool growing_;
  const bool has_items_;
  const bool commit_each_;  // somebody waits for every single item: callbacks, a detached owner, a deadline of its own
  const bool is_inline_;
  void (*const release_item_)(void*, void*);
  void* const release_item_ctx_;

  pa::ArrayStorage array_;
  std::optional<pa::GrowingStorage> growing_storage_;
  pa::Keys keys_;
  pa::Notes notes_;
  pa::Receipts receipts_;
  std::atomic<uint64_t> unrun_{0};
  std::atomic<bool> out_of_memory_{false};
  uint64_t stored_ = 0;  // after the end: indices below have a slot
  char placeholder_message_[96] = "";

  // From workers to the owner, in the order of completion.
  std::mutex completions_mutex_;
  std::vector<pa::Completion> completions_;
  std::atomic<bool> callbacks_over_{false};
  std::vector<pa::Completion> delivering_;
  uint64_t delivered_ = 0;

  mutable std::mutex failure_mutex_;
  pa_error failure_{};
};
