#include "capi/src/job_events.hpp"

#include <cerrno>

namespace pa {
namespace {

thread_local const JobEvents* called_by = nullptr;  // on a thread that calls notify: whose it is

}  // namespace

JobEvents::~JobEvents() { end(false); }

void JobEvents::notified() noexcept {
  if (generation_ != os::fork_generation()) return;  // the descriptor is shared with the parent, who is not meant
  change(kEvent);
  // Second: descriptor() publishes it first, and looks for events then. One of the two sees the other.
  const int descriptor = descriptor_.load(std::memory_order_seq_cst);
  if (descriptor >= 0) os::set_event(descriptor);
}

void JobEvents::change(uint32_t by) noexcept {
  word_.fetch_add(by, std::memory_order_seq_cst);
  os::futex_wake(word_, UINT32_MAX);
}

void JobEvents::seen() noexcept {
  seen_.store(word_.load(std::memory_order_seq_cst) & ~kQuit, std::memory_order_seq_cst);
  const int descriptor = descriptor_.load(std::memory_order_seq_cst);
  if (descriptor >= 0) os::clear_event(descriptor);
}

int32_t JobEvents::descriptor(pa_error* error) noexcept {
  int descriptor = descriptor_.load(std::memory_order_seq_cst);
  if (descriptor >= 0) return descriptor;
  descriptor = os::make_event();
  if (descriptor < 0) {
    const int reason = errno;
    return report(error, PA_STATUS_SYSTEM, reason, "no descriptor could be made for the job (errno %d)", reason);
  }
  int none = -1;
  if (!descriptor_.compare_exchange_strong(none, descriptor, std::memory_order_seq_cst)) {
    os::close_event(descriptor);
    return none;  // another thread was faster: this is its descriptor
  }
  const bool unseen = (word_.load(std::memory_order_seq_cst) & ~kQuit) != seen_.load(std::memory_order_seq_cst);
  if (unseen) os::set_event(descriptor);
  return descriptor;
}

pa_status JobEvents::call(void (*notify)(void*), void* ctx, pa_error* error) noexcept {
  if (called_by == this) return PA_INVALID(error, "pa_job_notify must not be called from within notify");
  std::lock_guard lock(calling_);
  stop_calling();
  if (!notify) return PA_STATUS_OK;
  notify_ = notify;
  ctx_ = ctx;
  has_thread_ = os::start_thread([](void* events) { static_cast<JobEvents*>(events)->work(); }, this, thread_);
  if (has_thread_) return PA_STATUS_OK;
  const int reason = errno;
  if (reason == ENOMEM) return no_memory(error);
  return report(error, PA_STATUS_SYSTEM, reason, "no thread could be made to call notify (errno %d)", reason);
}

void JobEvents::work() noexcept {
  called_by = this;
  // What happened before, and was not looked at, may be what the host waits for.
  uint32_t told = seen_.load(std::memory_order_seq_cst);
  for (;;) {
    const uint32_t word = word_.load(std::memory_order_seq_cst);
    if (word & kQuit) return;
    if (word == told) {
      os::futex_wait(word_, word, os::now(), kNever);
      continue;
    }
    told = word;
    notify_(ctx_);
  }
}

void JobEvents::stop_calling() noexcept {
  if (!has_thread_) return;
  change(kQuit);
  os::join_thread(thread_);
  word_.fetch_sub(kQuit, std::memory_order_seq_cst);
  has_thread_ = false;
}

void JobEvents::end(bool in_child) noexcept {
  if (!in_child) {
    std::lock_guard lock(calling_);
    stop_calling();
  }
  const int descriptor = descriptor_.exchange(-1, std::memory_order_seq_cst);
  if (descriptor >= 0) os::close_event(descriptor);
}

}  // namespace pa
