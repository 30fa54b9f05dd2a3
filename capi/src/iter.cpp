// Streams: the consumer's part, and their functions of the ABI.
#include "capi/src/iter.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "capi/src/map.hpp"

using pa::End;
using pa::kNever;
using pa::nanos;
using pa::Next;
using pa::Slots;
using pa::StreamStorage;
using pa::Take;
using pa::Unrun;
using pa::Wake;

namespace {

pa::JobConfig stream_config(const pa::Settings& settings, const pa::Work& work, nanos now,
                            const std::unique_ptr<pa_limiter>& own) {
  pa::JobConfig config = pa::job_config(settings, work.kind, work.count, true, now, 0, limiter_of(settings, own));
  config.stream = true;
  config.ordered = settings.ordered != 0;
  config.observed = false;  // the consumer sees each item by itself
  config.owner_concludes = settings.on_result || settings.on_progress;
  // Each is pulled and handed over besides; a consumer who waits gets parts of it.
  config.lease_target_ns = std::max<nanos>(config.lease_target_ns, 300'000);
  config.lease_max = std::min<uint64_t>(config.lease_max, 8192);
  return config;
}

// An input that is neither tried again nor given back is not needed once its call has begun.
bool values_take_places(const pa::Work& work, const pa::Settings& settings) {
  return work.kind == pa::Kind::items && settings.retry.attempts == 1 && !work.source.release_item;
}

}  // namespace

// ---------------------------------------------------------------------------------------------------------- life

pa_iter::pa_iter(const pa::Work& work, const pa::Settings& settings, nanos now)
    : pa_iter(work, settings, now, make_own_limiter(settings)) {
  listen();
  take_over();
}

pa_iter::pa_iter(const pa::Work& work, const pa::Settings& settings, nanos now, std::unique_ptr<pa_limiter> own)
    : Record(work, settings, stream_config(settings, work, now, own), std::move(own)),
      storage_(std::max<uint64_t>(1, job.config().batch_max), values_take_places(work, settings)),
      visitor_(is_inline() ? std::make_unique<pa::Worker>(*this, now) : nullptr),
      announces_(settings.on_result || settings.on_progress) {}

// A source may block in `next`: one taker more than workers, so that this holds up no call.
bool pa_iter::start() noexcept { return is_inline() || pa::pool::submit(*this, job.config().workers + 1) != 0; }

// Ends the run if need be; nothing of it is handed out any more.
void pa_iter::close() noexcept {
  if (from_before_fork()) return;  // its threads are not in this process: what they used can't be taken apart safely
  come_to_rest();
  while (next_remnant()) {
  }
  owner_leaves();
  release();
}

// Nothing new is begun, and what runs is waited for, or left to itself.
void pa_iter::come_to_rest() noexcept {
  if (std::exchange(at_rest_, true)) return;
  Wake wakes;
  job.end_as(End::cancelled, wakes);
  job.abandon();
  wake(wakes);
  put_chunk_away();
  if (visitor_) visitor_->leave();
  pa::pool::withdraw(*this);
  let_go();
}

// Waits until nothing runs any more, or leaves what runs to itself.
void pa_iter::let_go() noexcept {
  if (std::exchange(let_go_, true)) return;
  if (job.config().detachable) {
    try {
      job.revoke(left_running_);
      return;
    } catch (const std::bad_alloc&) {
      // Then it is waited for.
    }
  }
  await_others();
}

// Makes a chunk of what the consumer did not come for, or what was not done.
bool pa_iter::next_remnant() noexcept {
  put_chunk_away();
  std::optional<Unrun> unrun;
  fate_ = Fate::left_running;
  if (!left_running_.empty()) {
    unrun = left_running_.back();
    left_running_.pop_back();
  } else {
    unrun = job.drain();
    if (unrun) fate_ = unrun->done ? Fate::done : Fate::unrun;
  }
  if (!unrun) return false;
  chunk_ = {};
  chunk_.first = unrun->first;
  chunk_.count = unrun->count;
  chunk_.cookie = unrun->cookie;
  chunk_.attempts = unrun->attempts;
  chunk_.duration_ns = unrun->duration_ns;
  chunk_.failed = unrun->failed;
  if (fate_ == Fate::done) {
    describe_chunk();
    return true;
  }
  common_ = {};
  common_.state = pa::state_of_unrun(job.end());
  common_.attempts = unrun->attempts;
  return true;
}

// An item that was not done.
void pa_iter::fill_unrun(pa_outcome& outcome) const noexcept {
  outcome = common_;
  outcome.index = chunk_.first + at_;
  if (settings_.item_key) outcome.key = key_at(chunk_.cookie, outcome.index);
  outcome.message = pa::words_of_unrun(job.end());
  const pa::Note* note = notes.find(outcome.index, false);
  if (!note) return;
  outcome.code = note->code;
  outcome.duration_ns = note->duration_ns;
  if (note->message) outcome.message = note->message.get();
}

pa_status pa_iter::drain(pa_outcome& outcome, pa_error* error) noexcept {
  if (from_before_fork()) return pa::forked(error, "iter");
  if (!over_) return PA_INVALID(error, "iter must be over: pa_iter_next has not said so yet");
  come_to_rest();
  if (at_ == chunk_.count && !next_remnant()) return PA_STATUS_DONE;
  if (fate_ == Fate::done)
    fill(outcome);
  else
    fill_unrun(outcome);
  at_++;
  return PA_STATUS_OK;
}

void pa_iter::quiescent() noexcept {
  storage_.close();
  Record::quiescent();
}

// ---------------------------------------------------------------------------------------------------------- for workers

Slots pa_iter::room_for(pa::Lease& lease, uint64_t want) {
  StreamStorage::Block& block = storage_.open(lease.first, want);
  lease.cookie = StreamStorage::cookie(block);
  return storage_.slots(lease.cookie, lease.first, std::min(want, block.capacity - block.filled));
}

void pa_iter::delivered(const pa::Lease& lease, uint64_t got) noexcept {
  storage_.fill(StreamStorage::of(lease.cookie), got);
}

void pa_iter::refuse_inputs(const pa::Lease& lease, uint64_t first, uint64_t count) noexcept {
  if (!count) return;
  release_items_of(storage_.slots(lease.cookie, first, count));
  storage_.drop(lease.cookie, 2 * count);
}

void pa_iter::name(const pa::Lease& lease, uint64_t, const pa_key& key) {
  StreamStorage::Block& block = StreamStorage::of(lease.cookie);
  if (!block.keys) block.keys = new pa::Keys;
  block.keys->append(key);
}

pa_key pa_iter::key_at(uint64_t cookie, uint64_t index) const {
  const StreamStorage::Block& block = StreamStorage::of(cookie);
  return block.keys ? block.keys->find(index - block.first, false) : pa_key{};
}

void pa_iter::release_items(const pa::Lease& lease, uint64_t first, uint64_t count) noexcept {
  if (!count) return;
  release_items_of(storage_.slots(lease.cookie, first, count));
  storage_.drop(lease.cookie, count);
}

// ---------------------------------------------------------------------------------------------------------- the consumer

// The values of a chunk that was handed out belong to the program; those that were not, to nobody.
void pa_iter::put_chunk_away() noexcept {
  if (!chunk_.count) return;
  switch (fate_) {
    case Fate::done:
      if (chunk_.failed || chunk_.attempts > 1) notes.take(chunk_.first);
      for (; at_ < chunk_.count && !chunk_.failed; at_++) release_value(values_[at_]);
      storage_.drop(chunk_.cookie, chunk_.count);
      break;
    case Fate::unrun:
      release_items_of(storage_.slots(chunk_.cookie, chunk_.first, chunk_.count));
      storage_.drop(chunk_.cookie, 2 * chunk_.count);
      break;
    case Fate::left_running:
      storage_.drop(chunk_.cookie, chunk_.count);  // the worker has its own share
      break;
  }
  chunk_.count = at_ = 0;
}

pa_iter::Got pa_iter::wait_for_chunk(nanos until) noexcept {
  put_chunk_away();
  for (;;) {
    const uint32_t seen = owner_epoch();
    const nanos now = pa::os::now();
    Wake wakes;
    const Next next = job.next(now, chunk_, wakes);
    if (wakes) wake(wakes);
    if (next == Next::done) return Got::over;
    if (next == Next::chunk) {
      describe_chunk();
      return Got::chunk;
    }
    if (job.config().detachable && job.end() != End::none && !let_go_) {
      let_go();
      continue;
    }
    if (visitor_ && visitor_->visit() != Take::again) continue;
    if (now >= until) return Got::nothing;
    nanos wake_at = std::min(until, job.config().deadline);
    if (visitor_) wake_at = std::min(wake_at, visitor_->come_back());  // nobody else keeps the time
    if (const nanos nap = job.consumer_nap(); nap && !visitor_ && now + nap < wake_at) {
      pa::os::nap(nap);
      if (owner_epoch() != seen) continue;
    }
    sleep_as_owner(seen, now, wake_at);
  }
}

// What the outcomes of the chunk have in common.
void pa_iter::describe_chunk() noexcept {
  common_.state = PA_ITEM_OK;
  common_.code = 0;
  common_.message = "";
  common_.attempts = chunk_.attempts;
  common_.duration_ns = chunk_.duration_ns;
  values_ = chunk_.failed ? &none_ : storage_.slots(chunk_.cookie, chunk_.first, chunk_.count).values;
  none_ = nullptr;
  if (!chunk_.failed) return;
  common_.state = PA_ITEM_FAILED;
  common_.message = "the function returned a failure";
  const pa::Note* note = notes.find(chunk_.first, false);
  if (!note) return;  // there was no memory for it, and the run has failed
  common_.state = note->state;
  common_.code = note->code;
  common_.duration_ns = note->duration_ns;
  if (note->message) common_.message = note->message.get();
}

void pa_iter::fill(pa_outcome& outcome) const noexcept {
  outcome = common_;
  outcome.index = chunk_.first + at_;
  outcome.value = values_[at_];
  if (settings_.item_key) outcome.key = key_at(chunk_.cookie, outcome.index);
}

// Tells the callbacks of an item that is about to be handed out. Once one of them has failed, none is called.
void pa_iter::announce(const pa_outcome& outcome) noexcept {
  if (settings_.on_result) {
    if (const int32_t code = settings_.on_result(settings_.result_ctx, &outcome)) {
      end_failed(PA_STATUS_CALLBACK, code, "on_result returned %d for index %llu", code,
                 static_cast<unsigned long long>(outcome.index));
      announces_ = false;
      return;
    }
  }
  announced_++;
  if (settings_.on_progress) {
    const uint64_t admitted = job.admitted();
    const uint64_t total = work_.count == PA_UNSIZED ? admitted : std::max(work_.count, admitted);
    if (const int32_t code = settings_.on_progress(settings_.progress_ctx, announced_, total)) {
      end_failed(PA_STATUS_CALLBACK, code, "on_progress returned %d after %llu items", code,
                 static_cast<unsigned long long>(announced_));
      announces_ = false;
    }
  }
}

pa_status pa_iter::say_over(pa_error* error) noexcept {
  over_ = true;
  if (visitor_) visitor_->leave();
  if (job.end() == End::none) {
    Wake nobody;
    job.conclude(nobody);
  }
  return job.end() == End::failed ? report_failure(error) : PA_STATUS_DONE;
}

pa_status pa_iter::refill(nanos timeout_ns, pa_error* error) noexcept {
  if (over_) return say_over(error);
  const nanos until = timeout_ns < 0 ? kNever : timeout_ns == 0 ? 0 : pa::after(pa::os::now(), timeout_ns);
  Got got = wait_for_chunk(until);
  if (got == Got::nothing && rearm_owner_fd()) {
    got = wait_for_chunk(0);                  // it may have come just before
    if (got != Got::nothing) set_owner_fd();  // and more with it: who reads one at a time polls again
  }
  switch (got) {
    case Got::chunk:
      return PA_STATUS_OK;
    case Got::over:
      return say_over(error);
    case Got::nothing:
      return PA_STATUS_TIMEOUT;
  }
  return PA_STATUS_TIMEOUT;
}

pa_status pa_iter::next(nanos timeout_ns, pa_outcome& outcome, pa_error* error) noexcept {
  if (from_before_fork()) return pa::forked(error, "iter");
  if (at_ == chunk_.count)
    if (const pa_status status = refill(timeout_ns, error)) return status;
  fill(outcome);
  if (announces_) announce(outcome);
  at_++;
  return PA_STATUS_OK;
}

pa_status pa_iter::next_many(pa_outcome& first, void**& values, size_t& count, pa_error* error) noexcept {
  if (from_before_fork()) return pa::forked(error, "iter");
  if (at_ == chunk_.count)
    if (const pa_status status = refill(-1, error)) return status;
  fill(first);
  values = values_ + at_;
  count = settings_.item_key || announces_ ? 1 : chunk_.count - at_;
  if (announces_) announce(first);
  at_ += count;
  return PA_STATUS_OK;
}

int32_t pa_iter::fd(pa_error* error) noexcept {
  if (from_before_fork()) return pa::forked(error, "iter");
  if (is_inline())
    return PA_INVALID(error, "options.executor must not be PA_EXECUTOR_INLINE: nothing runs between the calls");
  const int fd = owner_fd();
  return fd >= 0 ? fd : pa::report(error, PA_STATUS_SYSTEM, errno, "no descriptor could be made: %s", std::strerror(errno));
}

// ---------------------------------------------------------------------------------------------------------- the ABI

namespace {

pa_status open(pa::Work& work, const pa_source* source, const pa_options* options, pa_iter** iter, pa_error* error) {
  if (iter) *iter = nullptr;
  return pa::guarded(error, [&]() -> pa_status {
    if (!iter) return PA_INVALID(error, "iter must not be NULL");
    if (!work.loop) return PA_INVALID(error, "loop must not be NULL: pass pa_item_loop");
    if (const pa_status status = pa::read_source(source, work, error)) return status;
    const nanos now = pa::os::now();
    pa::Settings settings;
    if (const pa_status status = pa::read_plan(options, work, settings, error)) return status;
    auto* const made = new pa_iter(work, settings, now);
    if (!made->start()) {
      const int32_t reason = errno;
      made->abandon();
      if (reason == ENOMEM) return pa::no_memory(error);
      return pa::report(error, PA_STATUS_SYSTEM, reason, "no thread could be made: %s", std::strerror(reason));
    }
    *iter = made;
    return PA_STATUS_OK;
  });
}

}  // namespace

pa_status pa_iter_open_loop(pa_loop_fn loop, pa_fn fn, void* ctx, const pa_source* source, const pa_options* options,
                            pa_iter** iter, pa_error* error) {
  pa::Work work;
  work.loop = loop;
  work.fn = fn;
  work.ctx = ctx;
  return open(work, source, options, iter, error);
}

pa_status(pa_iter_open)(pa_fn fn, void* ctx, const pa_source* source, const pa_options* options, pa_iter** iter,
                        pa_error* error) {
  return pa_iter_open_loop(pa_item_loop, fn, ctx, source, options, iter, error);
}

pa_status pa_iter_open_batch(pa_batch_fn fn, void* ctx, const pa_source* source, const pa_options* options, pa_iter** iter,
                             pa_error* error) {
  pa::Work work;
  work.kind = pa::Kind::batch;
  work.batch_fn = fn;
  work.ctx = ctx;
  return open(work, source, options, iter, error);
}

pa_status pa_iter_next(pa_iter* iter, pa_outcome* outcome, pa_error* error) {
  if (!iter) return PA_INVALID(error, "iter must not be NULL");
  if (!outcome) return PA_INVALID(error, "outcome must not be NULL");
  return iter->next(-1, *outcome, error);
}

pa_status pa_iter_next_timeout(pa_iter* iter, int64_t timeout_ns, pa_outcome* outcome, pa_error* error) {
  if (!iter) return PA_INVALID(error, "iter must not be NULL");
  if (!outcome) return PA_INVALID(error, "outcome must not be NULL");
  if (timeout_ns < -1)
    return PA_INVALID(error, "timeout_ns must be >= 0, or -1 for none, got %lld", static_cast<long long>(timeout_ns));
  return iter->next(timeout_ns, *outcome, error);
}

pa_status pa_iter_next_many(pa_iter* iter, pa_outcome* first, void*** values, size_t* count, pa_error* error) {
  if (!iter) return PA_INVALID(error, "iter must not be NULL");
  if (!first) return PA_INVALID(error, "first must not be NULL");
  if (!values) return PA_INVALID(error, "values must not be NULL");
  if (!count) return PA_INVALID(error, "count must not be NULL");
  return iter->next_many(*first, *values, *count, error);
}

int32_t pa_iter_fd(pa_iter* iter, pa_error* error) {
  return iter ? iter->fd(error) : PA_INVALID(error, "iter must not be NULL");
}

pa_status pa_iter_drain(pa_iter* iter, pa_outcome* outcome, pa_error* error) {
  if (!iter) return PA_INVALID(error, "iter must not be NULL");
  if (!outcome) return PA_INVALID(error, "outcome must not be NULL");
  return iter->drain(*outcome, error);
}

int32_t pa_iter_end(const pa_iter* iter) { return iter ? iter->end() : PA_END_NONE; }

uint64_t pa_iter_batch_size(const pa_iter* iter) { return iter ? iter->batch_size() : 0; }

void pa_iter_close(pa_iter* iter) {
  if (iter) iter->close();
}
