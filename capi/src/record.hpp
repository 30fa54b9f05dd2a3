// What every run of the C ABI has: the user's functions and options, on top of core's Run. `pa_result` keeps all outcomes,
// `pa_iter` hands them out; a Worker knows neither, and asks here where things are.
#pragma once
#include <atomic>
#include <memory>
#include <mutex>

#include "capi/src/call.hpp"
#include "capi/src/ends.hpp"
#include "capi/src/options.hpp"
#include "capi/src/storage.hpp"
#include "core/drivers/run.hpp"
#include "core/notes.hpp"
#include "core/receipts.hpp"

namespace pa {

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

class Record : public Run, public Shared, public Bounds {
 public:
  // Instead of running: gives everything back as if it had never been handed over.
  void abandon() noexcept;

  const Work& work() const { return work_; }
  const Settings& settings() const { return settings_; }
  Workforce* workforce() const { return settings_.workforce.get(); }
  bool is_inline() const { return settings_.executor == PA_EXECUTOR_INLINE; }
  bool releases_items() const { return release_item_ != nullptr; }
  bool has_items() const { return work_.kind != Kind::range; }
  // Somebody waits for every single item: callbacks, a detached owner, a deadline of its own.
  bool commits_each() const { return commits_each_; }

  // Ends the run with PA_END_FAILED, unless it has ended already.
  [[gnu::format(printf, 4, 5)]] void end_failed(pa_status status, int32_t detail, const char* format, ...) noexcept;
  bool has_ended() const noexcept override {
    return job.end() != End::none || (job.config().stop && job.config().stop->requested());
  }
  nanos run_deadline() const noexcept override { return job.config().deadline; }
  // Why it did.
  pa_status report_failure(pa_error* error) const noexcept;
  void out_of_memory() noexcept { out_of_memory_.store(true, std::memory_order_relaxed); }
  bool ran_out_of_memory() const noexcept { return out_of_memory_.load(std::memory_order_relaxed); }

  // They lie in memory of the run.
  bool keeps_values() const { return keeps_values_; }
  bool releases_values() const { return release_value_ != nullptr; }
  void release_value(void*& value) const noexcept {
    if (value && release_value_) release_value_(release_value_ctx_, value);
    value = nullptr;
  }

  // ---- for workers; `lease` says which inputs are meant
  // Up to `count` neighbours.
  virtual Slots slots(const Lease& lease, uint64_t first, uint64_t count) const = 0;
  // Room for up to `want` inputs from lease.first on; sets lease.cookie. Throws std::bad_alloc.
  virtual Slots room_for(Lease& lease, uint64_t want) = 0;
  // So many inputs were delivered to that room, and are about to be admitted.
  virtual void delivered(const Lease&, uint64_t) noexcept {}
  // Inputs that were delivered, but came too late to be part of the run.
  virtual void refuse_inputs(const Lease& lease, uint64_t first, uint64_t count) noexcept = 0;
  virtual bool values_are_new() const { return false; }                          // all NULL, as a batch function expects
  virtual void name(const Lease& lease, uint64_t index, const pa_key& key) = 0;  // throws std::bad_alloc
  virtual pa_key key_of(const Lease& lease, uint64_t index) const = 0;
  virtual bool note_success(Receipts::Pen& pen, const Receipt& receipt) noexcept = 0;  // false: no memory
  // Under the job's lock, once for each item that has failed for good; it is noted already.
  virtual void failed(uint64_t index, int32_t state, uint32_t attempts, nanos duration_ns) noexcept = 0;
  virtual void succeeded(uint64_t first, uint64_t count, uint32_t attempts, nanos duration_ns) noexcept = 0;
  // The inputs of the lease from `first` on are done for good.
  virtual void release_items(const Lease& lease, uint64_t first, uint64_t count) noexcept = 0;

  using Run::attend;
  using Run::next;
  using Run::wake;

  Notes notes;

 protected:
  Record(const Work& work, const Settings& settings, const JobConfig& config, std::unique_ptr<pa_limiter>&& own);
  // When nothing can fail any more: the run becomes an owner of what its options name.
  void take_over() noexcept;
  void take_part(nanos now) noexcept override;
  void quiescent() noexcept override;
  void release_items_of(const Slots& slots) const noexcept {
    if (release_item_)
      for (uint64_t i = 0; i < slots.count; i++) release_item_(release_item_ctx_, slots.items[i]);
  }

  const Work work_;
  const Settings settings_;
  const std::unique_ptr<pa_limiter> own_limiter_;

 private:
  const bool keeps_values_;
  const bool commits_each_;
  void (*const release_item_)(void*, void*);
  void* const release_item_ctx_;
  void (*const release_value_)(void*, void*);
  void* const release_value_ctx_;
  std::atomic<bool> out_of_memory_{false};
  mutable std::mutex failure_mutex_;
  pa_error failure_{};
};

}  // namespace pa
