#include "capi/src/worker.hpp"

#include <algorithm>
#include <cassert>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <utility>

namespace pa {
namespace {

// Spans of items that took less share one receipt with their neighbours.
constexpr nanos kExactFrom = 4 * kLookEvery;

}  // namespace

void Worker::work() noexcept {
  for (;;) {
    const Take take = run_.next(lease_, now_);
    if (take == Take::done) break;
    if (take == Take::pull) {
      fetch();
      continue;
    }
    if (!use_lease()) break;
    if (run_.is_inline()) {
      run_.attend();
      now_ = os::now();
    }
  }
  leave();
}

void Worker::leave() noexcept {
  after_settling();
  remote_.reset();
  const pa_options& options = run_.settings();
  if (std::exchange(started_, false) && options.worker_stop) options.worker_stop(options.worker_ctx);
}

// False: worker_start has failed.
bool Worker::use_lease() noexcept {
  const pa_options& options = run_.settings();
  if (!started_ && options.worker_start) {
    // It may take its time, and fail: meanwhile others can have what was leased, and nothing counts as started.
    settle_lease(lease_.first);
    if (const int32_t code = options.worker_start(options.worker_ctx)) {
      run_.end_failed(PA_STATUS_WORKER_START, code, "worker_start returned %d", code);
      return false;
    }
    started_ = true;
    now_ = os::now();
    return true;
  }
  started_ = true;
  run_lease();
  return true;
}

Take Worker::visit() noexcept {
  now_ = os::now();
  lease_.visits = true;
  Wake wakes;
  const Take take = run_.job.take(now_, lease_, wakes);
  run_.wake(wakes);
  if (take == Take::pull) fetch();
  if (take == Take::lease) use_lease();
  return take;
}

void Worker::run_lease() noexcept {
  if (run_.workforce()) {
    if (has_process()) run_remotely();
  } else if (run_.work().kind == Kind::items)
    run_items();
  else
    run_call();
}

// ---------------------------------------------------------------------------------------------------------- input

// It is this taker's turn to pull inputs: up to lease_.count of them, from index lease_.first on.
void Worker::fetch() noexcept {
  const uint64_t first = lease_.first;
  bool end = false;
  uint64_t got = pull(lease_.count, end);
  if (got) run_.delivered(lease_, got);
  if (got && run_.settings().item_key) name_items(first, got);
  now_ = os::now();
  Wake wakes;
  const bool admitted = run_.job.supply(now_, got, end, lease_.cookie, wakes);
  wakes.i_look_myself();
  run_.wake(wakes);
  if (!admitted && run_.work().from_source()) run_.refuse_inputs(lease_, first, got);
}

uint64_t Worker::pull(uint64_t want, bool& end) noexcept {
  Wake wakes;
  const bool over = run_.job.poll(os::now(), wakes) != End::none;
  run_.wake(wakes);
  if (over) return 0;
  const Work& work = run_.work();
  if (!work.from_source()) {
    const uint64_t got = std::min(want, work.count - lease_.first);
    end = lease_.first + got == work.count;
    return got;
  }
  end = true;
  Slots room;
  try {
    room = run_.room_for(lease_, want);
  } catch (const std::bad_alloc&) {
    run_.end_failed(PA_STATUS_NO_MEMORY, 0, "out of memory for the inputs from index %llu on",
                    static_cast<unsigned long long>(lease_.first));
    return 0;
  }
  size_t got = 0;
  if (const int32_t code = work.source.next(work.source.ctx, const_cast<void**>(room.items), room.count, &got)) {
    run_.end_failed(PA_STATUS_SOURCE, code, "source.next returned %d at index %llu", code,
                    static_cast<unsigned long long>(lease_.first));
    return 0;
  }
  if (got > room.count) {
    run_.end_failed(PA_STATUS_SOURCE, 0, "source.next must store at most %llu inputs, got %zu",
                    static_cast<unsigned long long>(room.count), got);
    return 0;
  }
  end = got == 0;
  return got;
}

// Asks for the keys of inputs that are about to be admitted, as long as the run goes on.
uint64_t Worker::name_items(uint64_t first, uint64_t count) noexcept {
  for (uint64_t i = 0; i < count; i++) {
    pa_key key{};
    if (const int32_t code = run_.settings().item_key(run_.settings().key_ctx, item_at(first + i), &key)) {
      run_.end_failed(PA_STATUS_KEY, code, "item_key returned %d for index %llu", code,
                      static_cast<unsigned long long>(first + i));
      return i;
    }
    const bool named = key.kind >= PA_KEY_NONE && key.kind <= PA_KEY_BYTES;
    const bool has_data = key.kind != PA_KEY_STRING && key.kind != PA_KEY_BYTES;
    if (!named || (!has_data && key.size && !key.data)) {
      run_.end_failed(PA_STATUS_KEY, 0,
                      "item_key must set key.kind to one of PA_KEY_*, and data where size > 0; got kind %d for index %llu",
                      key.kind, static_cast<unsigned long long>(first + i));
      return i;
    }
    try {
      run_.name(lease_, first + i, key);
    } catch (const std::bad_alloc&) {
      run_.end_failed(PA_STATUS_NO_MEMORY, 0, "out of memory for the key of index %llu",
                      static_cast<unsigned long long>(first + i));
      return i;
    }
    Wake wakes;
    const bool over = run_.job.poll(os::now(), wakes) != End::none;
    run_.wake(wakes);
    if (over) return i + 1;
  }
  return count;
}

// ---------------------------------------------------------------------------------------------------------- items

// Runs until an item fails or throws, or all of the span are done.
inline void Worker::run_span(pa_span& span) noexcept {
  try {
    run_.work().loop(&span);
  } catch (...) {
    span.code = call_.note_exception();
  }
  now_ = os::now();
}

// Among a thousand sleepers this frame is cold whenever one wakes: what only failures need is kept out of it.
void Worker::run_items() noexcept {
  const nanos item_timeout = run_.settings().item_timeout_ns;
  const bool singly = run_.commits_each() || lease_.attempt > 1;
  uint64_t at = lease_.first;
  noted_ = at;
  noted_at_ = now_;
  call_.attempt = lease_.attempt;
  call_.noted_for = call_.wait_for = pa_call::kNobody;  // what an earlier attempt said is over
  while (lease_.count) {
    const uint64_t left = lease_.first + lease_.count - at;
    const Slots slots = run_.slots(lease_, at, singly ? 1 : std::min(span_size_, left));
    pa_span span{};
    span.fn = run_.work().fn;
    span.ctx = run_.work().ctx;
    span.items = slots.items;
    span.values = slots.values;
    span.count = slots.count;
    span.call = &call_;
    call_.first = at;
    call_.span = &span;
    call_.deadline = item_timeout > 0 ? after(now_, item_timeout) : kNever;
    const nanos before = now_;
    bool took_long = false;
    run_span(span);
    if (span.code != 0 || timed_out()) {
      if (!settle_failed_item(span, before)) return;
      at = noted_;
    } else {
      at += span.count;
      took_long = pace(span.count, before);
    }
    if (at == lease_.first + lease_.count) break;
    if (!took_long && !run_.commits_each() && !run_.job.needs_step(now_, lease_)) continue;
    note_stretch(at, now_);
    if (!settle_step(at)) return;
  }
  note_stretch(at, now_);
  settle_lease(at);
}

// The item at which the span ended failed; what was before it, since `before`, succeeded. False: the lease is over.
bool Worker::settle_failed_item(const pa_span& span, nanos before) noexcept {
  const bool late = timed_out();
  // A deadline of its own: the span is this one item.
  const uint64_t ahead = late ? 0 : span.at, at = call_.first + ahead;
  // A span shares its time, unless that is so long that it must have been this one item's.
  const nanos elapsed = now_ - before;
  const nanos shared = elapsed < kExactFrom ? elapsed / static_cast<nanos>(ahead + 1) : 0;
  Attempt attempt;
  if (late) attempt.state = PA_ITEM_TIMED_OUT;
  attempt.code = span.code;
  attempt.duration_ns = lease_.attempt > 1 ? now_ - lease_.first_started : shared ? shared : elapsed;
  if (call_.noted_for == at) attempt.message = call_.message;
  note_stretch(call_.first, before);
  note_success(call_.first, ahead, shared);
  if (!settle_failure(at, attempt, &span.values[ahead])) return false;
  noted_ = at + 1;
  noted_at_ = now_;
  return true;
}

// The last `count` items were run since `before`: how many until the next look at the clock? True: they took so long that
// they are to be known by themselves.
bool Worker::pace(uint64_t count, nanos before) noexcept {
  const nanos elapsed = now_ - before;
  if (elapsed >= kExactFrom) {
    note_stretch(call_.first, before);
    note_stretch(call_.first + count, now_);
    span_size_ = std::max<uint64_t>(1, span_size_ / 8);
    return true;
  }
  if (elapsed < kLookEvery / 2 && count == span_size_) {
    span_size_ *= 2;
  }
  return false;
}

// ---------------------------------------------------------------------------------------------------------- batches, ranges

int32_t Worker::call_function(void* const* items, void** values) noexcept {
  const Work& work = run_.work();
  try {
    return work.kind == Kind::batch ? work.batch_fn(work.ctx, items, lease_.count, values, &call_)
                                    : work.range_fn(work.ctx, lease_.first, lease_.count, &call_);
  } catch (...) {
    return call_.note_exception();
  }
}

void Worker::run_call() noexcept {
  const uint64_t first = lease_.first, count = lease_.count;
  const nanos item_timeout = run_.settings().item_timeout_ns;
  const nanos started = now_;
  call_.first = first;
  call_.count = count;
  call_.attempt = lease_.attempt;
  call_.deadline = item_timeout > 0 ? after(now_, item_timeout) : kNever;
  call_.noted_for = call_.wait_for = pa_call::kNobody;
  call_.out_of_memory = false;
  call_.answers.clear();

  Slots slots;
  int32_t code = 0;
  if (run_.has_items()) {
    slots = run_.slots(lease_, first, count);
    if (slots.count < count) {  // a batch over the border of two blocks
      try {
        gathered_items_.resize(count);
        gathered_values_.resize(count);
      } catch (const std::bad_alloc&) {
        run_.end_failed(PA_STATUS_NO_MEMORY, 0, "out of memory for a batch of %llu items",
                        static_cast<unsigned long long>(count));
        return settle_lease(first);
      }
      for (uint64_t i = 0; i < count; i++) gathered_items_[i] = item_at(first + i);
      slots = {gathered_items_.data(), gathered_values_.data(), nullptr, count};
    }
    assert(slots.values);
    // NULL on entry. Memory that is new is that already.
    if (!run_.values_are_new() || slots.values == gathered_values_.data())
      std::memset(slots.values, 0, count * sizeof(void*));
  }
  code = call_function(slots.items, slots.values);
  now_ = os::now();
  if (slots.values == gathered_values_.data() && slots.values)
    for (uint64_t i = 0; i < count; i++) value_at(first + i) = gathered_values_[i];
  if (call_.out_of_memory) {
    run_.end_failed(PA_STATUS_NO_MEMORY, 0, "out of memory for the answers of a batch");
    call_.answers.clear();
  }
  const bool lost = call_.out_of_memory;  // nobody knows which items succeeded
  const bool late = timed_out();
  const nanos duration = now_ - (lease_.attempt > 1 ? lease_.first_started : started);
  if (code == 0 && !call_.answers.any() && !late && !lost) {
    note_success(first, count, duration);
    return settle_lease(first + count);
  }

  for (uint64_t i = 0; i < count; i++) {
    const Answers::Mark mark = call_.answers.mark(i);
    const bool ok = !late && !lost && (mark == Answers::ok || (mark == Answers::none && code == 0));
    if (ok) continue;
    Attempt attempt;
    attempt.duration_ns = duration;
    if (late) attempt.state = PA_ITEM_TIMED_OUT;
    if (lost) {
      attempt.state = PA_ITEM_ABORTED;
    } else if (mark == Answers::failed) {
      const Answers::Failed& failure = call_.answers.failure(i);
      attempt.code = failure.code;
      if (failure.message) attempt.message = failure.message.get();
    } else {
      attempt.code = code;
      if (call_.noted_for != pa_call::kNobody) attempt.message = call_.message;
    }
    call_.wait_for = call_.server_wait_ns >= 0 && call_.wait_for != pa_call::kNobody ? first + i : pa_call::kNobody;
    note_success(lease_.first, first + i - lease_.first, duration);
    void** value = run_.has_items() ? run_.slots(lease_, first + i, 1).values : nullptr;
    if (!settle_failure(first + i, attempt, value)) return;
    if (call_.wait_for != pa_call::kNobody) call_.wait_for = first;  // it holds for all of the call
  }
  note_success(lease_.first, first + count - lease_.first, duration);
  settle_lease(first + count);
}

// ---------------------------------------------------------------------------------------------------------- settling

// The item at `index` failed, those of the lease before it succeeded. False: the lease is over.
bool Worker::settle_failure(uint64_t index, Attempt attempt, void** value) noexcept {
  if (attempt.state == PA_ITEM_TIMED_OUT && !*attempt.message)
    attempt.message = "the attempt took longer than item_timeout_ns";
  if (value) run_.release_value(*value);
  Failure failure;
  failure.server_wait_ns = call_.wait_for == index ? call_.server_wait_ns : -1;
  failure.gave_up = attempt.code == PA_CODE_STOPPED && attempt.state == PA_ITEM_FAILED;
  failure.retryable = attempt.state != PA_ITEM_ABORTED && may_crash_again(index, attempt) && may_retry(index, attempt);
  failing_ = attempt;
  const uint64_t first = lease_.first;
  Wake wakes;
  const Verdict verdict = run_.job.fail(now_, lease_, index, failure, *this, wakes);
  run_.wake(wakes);
  if (lease_.revoked) {
    drop_revoked(run_.work().kind == Kind::items ? index : first + lease_.count);  // a call has run all of them
    return false;
  }
  run_.release_items(lease_, first, index - first + (verdict == Verdict::final ? 1 : 0));
  after_settling();
  return true;
}

bool Worker::may_retry(uint64_t index, Attempt& attempt) noexcept {
  const pa_retry& retry = run_.settings().retry;
  if (!retry.retry_if) return true;
  pa_outcome outcome{};
  outcome.index = index;
  outcome.state = attempt.state;
  outcome.code = attempt.code;
  outcome.message = attempt.message;
  outcome.attempts = lease_.attempt;
  outcome.duration_ns = attempt.duration_ns;
  outcome.key = run_.key_of(lease_, index);
  const int32_t answer = retry.retry_if(retry.retry_ctx, &outcome);
  if (answer >= 0) return answer != 0;
  char text[PA_MESSAGE_MAX + 1];
  std::snprintf(text, sizeof text, "%.900s (and retry_if failed with %d)", attempt.message, answer);
  call_.note(text);
  attempt.message = call_.message;
  return false;
}

// Everything before `done_until` succeeded, and the lease goes on. False: it is over.
bool Worker::settle_step(uint64_t done_until) noexcept {
  const uint64_t first = lease_.first, done = done_until - first;
  Wake wakes;
  const bool go_on = run_.job.step(now_, lease_, done, *this, wakes);
  run_.wake(wakes);
  if (lease_.revoked) {
    drop_revoked(done_until);
    return false;
  }
  run_.release_items(lease_, first, done);
  after_settling();
  return go_on;
}

// Everything before `done_until` succeeded, and the lease is over.
void Worker::settle_lease(uint64_t done_until) noexcept {
  const uint64_t first = lease_.first, done = done_until - first;
  Wake wakes;
  run_.job.complete(now_, lease_, done, *this, wakes);
  // Unless the user's own code comes first, be it for what is done or, with nothing done, before the first item.
  if (done && !run_.releases_items()) wakes.i_look_myself();
  run_.wake(wakes);
  if (lease_.revoked) return drop_revoked(done_until);
  run_.release_items(lease_, first, done);
  after_settling();
}

// The owner has gone, and given the items of this lease their outcomes: what was computed since comes too late.
void Worker::drop_revoked(uint64_t run_until) noexcept {
  if (run_.has_items()) {
    for (uint64_t i = lease_.first; i < run_until; i++) run_.release_value(value_at(i));
    run_.release_items(lease_, lease_.first, lease_.count);
  }
}

// The items from `first` on succeeded, and took `each` each.
void Worker::note_success(uint64_t first, uint64_t count, nanos each) noexcept {
  if (!count) return;
  success_duration_ns_ = lease_.attempt > 1 ? now_ - lease_.first_started : each;
  while (count) {
    const auto part = static_cast<uint32_t>(std::min<uint64_t>(count, UINT32_MAX));
    if (!run_.note_success(pen_, {first, part, lease_.attempt, success_duration_ns_})) run_.out_of_memory();
    first += part;
    count -= part;
  }
}

// The items that ran since the last receipt, up to `until`, were over by the time `at`: one receipt, and its average, for all.
void Worker::note_stretch(uint64_t until, nanos at) noexcept {
  const uint64_t count = until - noted_;
  if (count) note_success(noted_, count, (at - noted_at_) / static_cast<nanos>(count));
  noted_ = until;
  noted_at_ = at;
}

void Worker::after_settling() noexcept {
  if (run_.ran_out_of_memory()) run_.end_failed(PA_STATUS_NO_MEMORY, 0, "out of memory for what is noted about items");
}

// The witness: under the job's lock, once for each outcome.

void Worker::failed(uint64_t index, Verdict verdict) noexcept {
  if (verdict == Verdict::stopped && failing_.code == PA_CODE_STOPPED) {  // no failure of its own
    failing_.code = 0;
    failing_.message = "";
  }
  const bool noted =
      run_.notes.write(index, failing_.state, failing_.code, lease_.attempt, failing_.duration_ns, failing_.message);
  if (!noted) run_.out_of_memory();
  if (verdict == Verdict::final)
    run_.failed(index, noted ? failing_.state : PA_ITEM_ABORTED, lease_.attempt, failing_.duration_ns);
}

void Worker::succeeded(uint64_t first, uint64_t count) noexcept {
  run_.succeeded(first, count, lease_.attempt, success_duration_ns_);
}

}  // namespace pa

void pa::Record::take_part(nanos now) noexcept {
  Worker worker(*this, now);
  worker.work();
}
