// Maps that run in the background: a thread of the pool plays the owner.
#include <atomic>
#include <cerrno>
#include <utility>

#include "capi/src/map.hpp"

// Owned twice: by the program's handle, and by the thread until it has left.
struct pa_pending final : pa::PoolTask, pa::Shared {
  pa_pending(const pa::Work& work, const pa::Settings& settings, pa::nanos now) : run_(new pa_result(work, settings, now)) {}

  bool start() noexcept {
    retain();
    return pa::pool::submit(*this, 1) == 1;
  }
  // The run never began.
  void abandon() noexcept {
    run_->abandon();
    delete this;
  }

  bool done() const { return done_.load(std::memory_order_acquire) != 0; }
  bool wait(pa::nanos until) {
    for (;;) {
      if (done()) return true;
      const pa::nanos now = pa::os::now();
      if (now >= until) return false;
      pa::os::futex_wait(done_, 0, now, until);
    }
  }

  bool taken() const { return run_ == nullptr; }
  pa_status take(pa_result** result, pa_error* error) {
    if (error && status_ < 0) *error = error_;
    *result = std::exchange(run_, nullptr);
    return status_;
  }

  void free() noexcept {
    if (from_before_fork()) return;  // its thread is not in this process: what it used can't be taken apart safely
    if (!done()) run_->cancel();
    wait(pa::kNever);
    pa_result_free(run_);
    if (drop()) delete this;
  }

 private:
  uint32_t helpers() const noexcept override { return 1; }
  void claimed() noexcept override {}
  void unclaimed() noexcept override {}
  bool brisk() const noexcept override { return false; }
  void work() noexcept override { status_ = run_->run(pa::os::now(), &error_); }
  bool left() noexcept override {
    // Not before: who sees this may drain the pool, which then counts this thread among the idle.
    done_.store(1, std::memory_order_release);
    pa::os::futex_wake(done_, UINT32_MAX);
    if (drop()) delete this;
    return false;
  }
  void finish() noexcept override {}

  pa_result* run_;
  pa_status status_ = PA_STATUS_OK;
  pa_error error_{};
  std::atomic<uint32_t> done_{0};
};

pa_status pa_map_start(pa_fn fn, void* ctx, void* const* items, uint64_t n, const pa_options* options, pa_pending** pending,
                       pa_error* error) {
  if (pending) *pending = nullptr;
  return pa::guarded(error, [&]() -> pa_status {
    if (!pending) return PA_INVALID(error, "pending must not be NULL");
    const pa::nanos now = pa::os::now();
    pa::Work work;
    work.fn = fn;
    work.ctx = ctx;
    work.items = items;
    work.count = n;
    if (const pa_status status = pa::check_array(work, error)) return status;
    pa::Settings settings;
    if (const pa_status status = pa::read_plan(options, work, settings, error)) return status;
    auto* handle = new pa_pending(work, settings, now);
    if (!handle->start()) {
      const int reason = errno;
      handle->abandon();
      if (reason == ENOMEM) return pa::no_memory(error);
      return pa::report(error, PA_STATUS_SYSTEM, reason, "no thread could be made for a run in the background (errno %d)",
                        reason);
    }
    *pending = handle;
    return PA_STATUS_OK;
  });
}

pa_status pa_pending_wait(pa_pending* pending, int64_t timeout_ns, pa_error* error) {
  if (!pending) return PA_INVALID(error, "pending must not be NULL");
  if (timeout_ns < -1)
    return PA_INVALID(error, "timeout_ns must be >= 0, or -1 for none, got %lld", static_cast<long long>(timeout_ns));
  if (pending->from_before_fork()) return pa::forked(error, "the pending run");
  return pending->wait(timeout_ns < 0 ? pa::kNever : pa::after(pa::os::now(), timeout_ns)) ? PA_STATUS_OK
                                                                                           : PA_STATUS_TIMEOUT;
}

pa_status pa_pending_take(pa_pending* pending, pa_result** result, pa_error* error) {
  if (result) *result = nullptr;
  if (!pending) return PA_INVALID(error, "pending must not be NULL");
  if (!result) return PA_INVALID(error, "result must not be NULL");
  if (pending->from_before_fork()) return pa::forked(error, "the pending run");
  if (!pending->done()) return PA_STATUS_AGAIN;
  if (pending->taken()) return PA_STATUS_DONE;
  return pending->take(result, error);
}

void pa_pending_free(pa_pending* pending) {
  if (pending) pending->free();
}
