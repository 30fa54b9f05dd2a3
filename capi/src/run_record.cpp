#include "capi/src/run_record.hpp"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <utility>

#include "capi/src/worker.hpp"
#include "capi/src/workforce.hpp"
#include "core/drivers/known_cost.hpp"

using pa::Completion;
using pa::End;
using pa::nanos;

namespace {

pa::KnownCost known_cost;
std::atomic<void*> spare_run{nullptr};

const struct FreeSpareAtUnload {
  ~FreeSpareAtUnload() { pa_result::free_spare(); }
} free_spare_at_unload;

// The same function takes another time in worker processes.
const void* function_of(const pa::Work& work, const pa::Settings& settings) {
  if (settings.workforce) return settings.workforce->origin;
  switch (work.kind) {
    case pa::Kind::items:
      return reinterpret_cast<const void*>(work.fn);
    case pa::Kind::batch:
      return reinterpret_cast<const void*>(work.batch_fn);
    case pa::Kind::range:
      return reinterpret_cast<const void*>(work.range_fn);
  }
  return nullptr;
}

}  // namespace

// ---------------------------------------------------------------------------------------------------------- life

pa_result::pa_result(const pa::Work& work, const pa::Settings& settings, nanos now)
    // What the analyzer takes for lost is handed on. NOLINTNEXTLINE(clang-analyzer-cplusplus.NewDeleteLeaks)
    : pa_result(work, settings, now, work.from_source() ? 0 : known_cost.of(function_of(work, settings)),
                make_own_limiter(settings)) {
  listen();
  take_over();
}

pa_result::pa_result(const pa::Work& work, const pa::Settings& settings, nanos now, nanos cost,
                     std::unique_ptr<pa_limiter> own)
    : Record(work, settings,
             pa::job_config(settings, work.kind, work.count, work.from_source() || settings.item_key, now, cost,
                            limiter_of(settings, own)),
             std::move(own)),
      expected_cost_(cost),
      growing_(work.from_source()),
      receipts_(job.config().detachable) {
  if (growing_)
    growing_storage_.emplace();
  else
    array_ = pa::ArrayStorage(work.items, work.count, has_items());
}

pa_result::~pa_result() = default;

void* pa_result::operator new(size_t size, std::align_val_t alignment) {
  void* kept = spare_run.exchange(nullptr, std::memory_order_acquire);
  return kept ? kept : ::operator new(size, alignment);
}

void pa_result::operator delete(void* memory, std::align_val_t alignment) noexcept {
  void* none = nullptr;
  if (!spare_run.compare_exchange_strong(none, memory, std::memory_order_release)) ::operator delete(memory, alignment);
}

void pa_result::free_spare() noexcept {
  if (void* kept = spare_run.exchange(nullptr, std::memory_order_acquire))
    ::operator delete (kept, std::align_val_t{alignof(pa_result)});
}

// ---------------------------------------------------------------------------------------------------------- the owner

pa_status pa_result::run(nanos now, pa_error* error) noexcept {
  const pa::JobConfig& config = job.config();
  const bool needs_owner = config.deadline != pa::kNever || config.stop || config.observed || config.detachable;
  Plan plan;
  plan.owner_works = is_inline() || !needs_owner;
  if (!is_inline()) {
    // A source may block in `next`: one taker more than workers, so that this holds up no call.
    uint64_t takers = growing_ ? uint64_t{config.workers} + 1 : std::min<uint64_t>(config.workers, work_.count);
    plan.helpers = static_cast<uint32_t>(takers > 0 && plan.owner_works ? takers - 1 : takers);
  }
  if (expected_cost_ && work_.count < static_cast<uint64_t>(pa::kNever / 2 / expected_cost_))
    plan.expected_ns = expected_cost_ * static_cast<nanos>(work_.count);

  const nanos elapsed = conduct(plan, now) - now;

  if (!growing_ && work_.count && job.end() == End::completed)
    known_cost.note(function_of(work_, settings_), elapsed * came() / static_cast<nanos>(work_.count));
  bool detached = config.detachable && job.end() != End::completed;
  if (detached) {
    callbacks_over_.store(true, std::memory_order_release);
    try {
      std::vector<pa::Unrun> taken;
      job.revoke(taken);
      stored_ = growing_ ? job.admitted() : work_.count;
      for (const pa::Unrun& unrun : taken) mark_unrun(unrun, false);
    } catch (const std::bad_alloc&) {
      detached = false;
      await_others();
    }
  }
  if (!detached) stored_ = growing_ ? job.admitted() : work_.count;
  if (job.end() != End::completed) {
    while (const auto unrun = job.drain()) mark_unrun(*unrun, true);
    write_placeholder_message();
  }
  receipts_.seal();
  const pa_status status = end() == PA_END_FAILED ? report_failure(error) : PA_STATUS_OK;
  owner_leaves();
  return status;
}

void pa_result::cancel() noexcept {
  pa::Wake wakes;
  job.end_as(End::cancelled, wakes);
  wake(wakes);
}

// ---------------------------------------------------------------------------------------------------------- callbacks

// By workers, under the job's lock.
void pa_result::failed(uint64_t index, int32_t state, uint32_t attempts, nanos duration_ns) noexcept {
  set_states(index, 1, static_cast<uint8_t>(state));
  if (job.config().observed && state != PA_ITEM_ABORTED) completed({index, 1, attempts, duration_ns});
}

void pa_result::completed(const Completion& completion) noexcept {
  if (callbacks_over_.load(std::memory_order_relaxed)) return;
  try {
    std::lock_guard lock(completions_mutex_);
    completions_.push_back(completion);
  } catch (const std::bad_alloc&) {
    out_of_memory();
  }
}

// By the owner.
void pa_result::attend() noexcept {
  if (!job.config().observed || callbacks_over_.load(std::memory_order_relaxed)) return;
  for (;;) {
    {
      std::lock_guard lock(completions_mutex_);
      delivering_.clear();
      delivering_.swap(completions_);
    }
    if (delivering_.empty()) return;
    for (const Completion& completion : delivering_) {
      if (deliver(completion)) continue;
      callbacks_over_.store(true, std::memory_order_relaxed);
      return;
    }
  }
}

bool pa_result::deliver(const Completion& completion) noexcept {
  for (uint64_t index = completion.first; index < completion.first + completion.count; index++) {
    if (settings_.on_result) {
      pa_outcome outcome{};
      fill_outcome(index, {index, 1, completion.attempts, completion.duration_ns}, outcome);
      if (const int32_t code = settings_.on_result(settings_.result_ctx, &outcome)) {
        end_failed(PA_STATUS_CALLBACK, code, "on_result returned %d for index %llu", code,
                   static_cast<unsigned long long>(index));
        return false;
      }
    }
    delivered_++;
    if (settings_.on_progress) {
      const uint64_t total = known_total();
      if (const int32_t code = settings_.on_progress(settings_.progress_ctx, delivered_, total)) {
        end_failed(PA_STATUS_CALLBACK, code, "on_progress returned %d after %llu items", code,
                   static_cast<unsigned long long>(delivered_));
        return false;
      }
    }
  }
  return true;
}

uint64_t pa_result::known_total() const {
  const bool in_advance = work_.count != PA_UNSIZED && !job.config().chunk;
  const uint64_t admitted = growing_ || job.config().chunk ? job.admitted() : work_.count;
  return in_advance ? std::max(work_.count, admitted) : admitted;
}

// ---------------------------------------------------------------------------------------------------------- placeholders

void pa_result::write_placeholder_message() noexcept {
  char* text = placeholder_message_;
  const size_t size = sizeof placeholder_message_;
  switch (job.end()) {
    case End::timed_out:
      std::snprintf(text, size, "not done: the run timed out after %lld ns", static_cast<long long>(settings_.timeout_ns));
      break;
    case End::cancelled:
      std::snprintf(text, size, "not done: the run was cancelled");
      break;
    case End::aborted:
      std::snprintf(text, size, "not done: aborted after %llu failures (max_errors=%llu)",
                    static_cast<unsigned long long>(job.failures()), static_cast<unsigned long long>(settings_.max_errors));
      break;
    default:
      std::snprintf(text, size, "not done: the run failed");
  }
}

void pa_result::set_states(uint64_t first, uint64_t count, uint8_t state) noexcept {
  if (!growing_) return array_.set_states(first, count, state);
  while (count) {
    const pa::Slots some = slots(first, count);
    std::memset(some.states, state, some.count);
    first += some.count;
    count -= some.count;
  }
}

pa::Slots pa_result::room_for(pa::Lease& lease, uint64_t want) {
  return growing_storage_->slots(lease.first, growing_storage_->make_room(lease.first, want));
}

void pa_result::release_items(uint64_t first, uint64_t count) noexcept {
  if (!releases_items()) return;
  while (count) {
    const pa::Slots some = slots(first, count);
    release_items_of(some);
    first += some.count;
    count -= some.count;
  }
}

// `release`: nobody holds the items any more; else the worker that still runs them releases them.
void pa_result::mark_unrun(const pa::Unrun& unrun, bool release) noexcept {
  unrun_.fetch_add(unrun.count, std::memory_order_relaxed);
  if (unrun.first >= stored_) return;  // inputs that a source announced and never delivered have no slot
  set_states(unrun.first, unrun.count, pa::state_of_unrun(job.end()));
  if (unrun.attempts)
    for (uint64_t i = 0; i < unrun.count; i++) notes.write_attempts(unrun.first + i, unrun.attempts);
  if (release) release_items(unrun.first, unrun.count);
}
