#include "capi/src/job_record.hpp"

#include <algorithm>
#include <new>
#include <utility>

using pa::End;
using pa::nanos;
using pa::Wake;

namespace {

constexpr uint64_t kMostInputs = uint64_t{1} << 62;  // indices must not wrap around

pa::JobConfig config_of(const pa::Settings& settings, uint64_t count, uint32_t flags, nanos now,
                        const std::unique_ptr<pa_limiter>& own) {
  const auto kind = flags & PA_JOB_BATCH ? pa::Kind::batch : pa::Kind::items;
  const bool fetched = (flags & (PA_JOB_PULL | PA_JOB_PUSH)) || count == PA_UNSIZED;
  pa::JobConfig c = pa::job_config(settings, kind, count, fetched, now, 0, pa::limiter_of(settings, own));
  c.pushed = flags & PA_JOB_PUSH;
  c.stream = flags & PA_JOB_STREAM;
  c.ordered = settings.ordered;
  c.detachable = true;  // takers may die, and a host may go: what they hold can be taken back
  c.gated = true;       // any number of takers may come
  c.owner_concludes = false;
  c.lease_target_ns *= 4;  // the calls may come over a border, and cost the host more than they cost here
  c.batch_max = settings.batch.max_items;
  c.linger_ns = settings.batch.linger_ns;
  return c;
}

}  // namespace

// ---------------------------------------------------------------------------------------------------------- life

pa_job::pa_job(const pa::Settings& settings, uint64_t count, uint32_t flags, nanos now)
    : settings_(settings),
      flags_(flags),
      // What the analyzer takes for lost belongs to the job. NOLINTNEXTLINE(clang-analyzer-cplusplus.NewDeleteLeaks)
      own_limiter_(pa::make_own_limiter(settings)),
      job_(config_of(settings, count, flags, now, own_limiter_)) {
  listen();
  // From here on nothing can fail.
  if (settings.limiter) settings.limiter->retain();
  if (settings.stop) settings.stop->retain();
}

pa_job::~pa_job() {
  pa_limiter_release(settings_.limiter);
  pa_stop_release(settings_.stop);
}

void pa_job::listen() {
  if (settings_.stop) settings_.stop->token.listeners().add(events_);
  try {
    if (settings_.limiter) settings_.limiter->limiter.listeners().add(events_);
  } catch (...) {
    if (settings_.stop) settings_.stop->token.listeners().remove(events_);
    throw;
  }
}

void pa_job::unlisten() noexcept {
  if (settings_.stop) settings_.stop->token.listeners().remove(events_);
  if (settings_.limiter) settings_.limiter->limiter.listeners().remove(events_);
}

void pa_job::stop() noexcept {
  Wake wake;
  if (job_.end_as(End::cancelled, wake)) events_.notified();
}

void pa_job::close() {
  std::lock_guard lock(consumer_mutex_);
  Wake wake;
  job_.end_as(End::cancelled, wake);
  job_.abandon();
  job_.revoke(revoked_);
  if (!std::exchange(closed_, true)) events_.notified();
}

void pa_job::free() noexcept {
  if (from_before_fork()) {  // its takers and its threads are not in this process: it can't be taken apart safely
    events_.end(true);
    return;
  }
  try {
    close();
  } catch (const std::bad_alloc&) {
    // Takers then settle as if the job went on; nobody will hear of it.
  }
  unlisten();
  events_.end(false);
  if (drop()) delete this;
}

// ---------------------------------------------------------------------------------------------------------- the consumer

pa_status pa_job::next(pa_chunk& out) noexcept {
  std::lock_guard lock(consumer_mutex_);
  handed_out_.reset();
  out = {};
  out.message = "";
  pa::Chunk chunk;
  Wake wake;
  const nanos now = pa::os::now();
  const pa::Next answer = job_.next(now, chunk, wake);
  out.wake = wake.takers;
  out.wait_ns = -1;
  if (answer == pa::Next::done) return PA_STATUS_DONE;
  if (answer == pa::Next::again) {
    if (job_.end() == End::none) out.wait_ns = pa::wait_until(job_.config().deadline, now);
    return PA_STATUS_AGAIN;
  }
  out.first = chunk.first;
  out.count = chunk.count;
  out.cookie = chunk.cookie;
  out.attempts = chunk.attempts;
  out.duration_ns = chunk.duration_ns;
  if (chunk.failed) describe_failure(out);
  return PA_STATUS_OK;
}

// Of one item that failed, now or at its last attempt.
void pa_job::describe_failure(pa_chunk& out) noexcept {
  handed_out_ = notes_.take(out.first);
  out.state = handed_out_ ? handed_out_->state : PA_ITEM_FAILED;
  out.code = handed_out_ ? handed_out_->code : -1;
  out.message = !handed_out_           ? "why it failed was lost: out of memory"
                : handed_out_->message ? handed_out_->message.get()
                                       : "";
}

pa_status pa_job::drain(pa_chunk& out) noexcept {
  std::lock_guard lock(consumer_mutex_);
  handed_out_.reset();
  out = {};
  out.message = "";
  out.wait_ns = -1;
  const std::optional<pa::Unrun> unrun = next_unrun();
  if (!unrun) return job_.settled() ? PA_STATUS_DONE : PA_STATUS_AGAIN;
  out.first = unrun->first;
  out.count = unrun->count;
  out.cookie = unrun->cookie;
  out.attempts = unrun->attempts;
  out.duration_ns = unrun->duration_ns;
  if (unrun->done && !unrun->failed) return PA_STATUS_OK;  // out.state is PA_ITEM_OK
  if (unrun->done) {
    describe_failure(out);
    return PA_STATUS_OK;
  }
  out.state = pa::state_of_unrun(job_.end());
  // What has failed before comes alone.
  if (unrun->attempts && unrun->count == 1) handed_out_ = notes_.take(unrun->first);
  if (handed_out_) out.code = handed_out_->code;
  if (handed_out_ && handed_out_->message) out.message = handed_out_->message.get();
  return PA_STATUS_OK;
}

std::optional<pa::Unrun> pa_job::next_unrun() noexcept {
  if (revoked_.empty()) return job_.drain();
  const pa::Unrun unrun = revoked_.back();
  revoked_.pop_back();
  return unrun;
}

// ---------------------------------------------------------------------------------------------------------- anyone

pa_status pa_job::admit(uint64_t got, uint64_t cookie, bool end, pa_progress& out) {
  Wake wake;
  const nanos now = pa::os::now();
  if (got > kMostInputs - std::min(kMostInputs, job_.admitted())) return PA_STATUS_INVALID;
  const bool admitted = job_.admit(now, got, end, cookie, wake);
  progress(out, now, wake);
  return admitted ? PA_STATUS_OK : PA_STATUS_STOPPED;
}

void pa_job::poll(pa_progress& out) noexcept {
  events_.seen();  // before the look: an event that comes meanwhile is told again
  Wake wake;
  const nanos now = pa::os::now();
  job_.poll(now, wake);
  progress(out, now, wake);
}

void pa_job::progress(pa_progress& out, nanos now, const Wake& wake) const noexcept {
  out = {};
  out.end = end();
  out.failed = job_.failures();
  out.done = std::max(job_.resolved(), out.failed);  // a failure is counted a moment before its item is resolved
  out.admitted = job_.admitted();                    // last: never less than what is done
  out.wake = wake.takers;
  out.wake_consumer = wake.owner;
  out.wait_ns = out.end == PA_END_NONE ? pa::wait_until(job_.config().deadline, now) : -1;
}
