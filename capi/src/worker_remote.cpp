// A lease that is run by a worker process.
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <new>
#include <string>

#include "capi/src/worker.hpp"

namespace pa {

// False: there is none for this lease, which is over.
bool Worker::has_process() noexcept {
  if (!remote_) remote_.reset(new (std::nothrow) Remote(run_, *run_.workforce()));
  if (!remote_) run_.end_failed(PA_STATUS_NO_MEMORY, 0, "out of memory for a worker process");
  if (remote_ && remote_->is_ready()) return true;
  // A process takes its time to start, or can't: meanwhile others can have what was leased, and nothing counts as started.
  settle_lease(lease_.first);
  if (remote_) remote_->start();
  now_ = os::now();
  return false;
}

void Worker::run_remotely() noexcept {
  const uint64_t first = lease_.first;
  noted_ = first;
  noted_at_ = now_;
  call_.attempt = lease_.attempt;
  call_.noted_for = call_.wait_for = pa_call::kNobody;
  int32_t code = 0;
  const uint64_t sent = remote_->send(lease_, code);
  if (!sent) {
    Attempt attempt;
    attempt.code = code;
    attempt.message = "the item could not be encoded";
    if (settle_failure(first, attempt, nullptr)) settle_lease(first + 1);
    return;
  }

  uint64_t at = first;
  Remote::Report report;
  do {
    report = remote_->wait(at - first);
    now_ = os::now();
    if (!settle_answers(at, first + report.finished, report) || (!report.over && !settle_so_far(at))) {
      remote_->await_end(report);
      return;
    }
  } while (!report.over);
  if (report.finished) run_.workforce()->item_was_done();
  if (report.dead) {
    // Of a batch function all items were in the hands of the call.
    const uint64_t lost = report.running ? run_.workforce()->batch ? sent - report.finished : 1 : 0;
    if (!settle_loss(report, at, lost)) return;
    at += lost;
  }
  note_stretch(at, now_);
  settle_lease(at);
}

// The items from `at` up to `end` have answers. False: the lease is over.
bool Worker::settle_answers(uint64_t& at, uint64_t end, Remote::Report& report) noexcept {
  share_ = (now_ - noted_at_) / static_cast<nanos>(std::max<uint64_t>(1, end - at + report.running));
  while (at < end) {
    const Slots slots = run_.slots(lease_, at, end - at);
    for (uint64_t i = 0; i < slots.count; i++, at++) {
      const RemoteAnswer answer = remote_->next();
      if (answer.kind == RemoteAnswer::garbage) {
        report = remote_->give_up_mad();
        return true;
      }
      if (!settle_answer(answer, at, slots.values[i])) return false;
    }
  }
  return true;
}

// Those before `at` succeeded, and the worker runs what is behind them. False: the lease is over.
bool Worker::settle_so_far(uint64_t at) noexcept {
  note_stretch(at, now_);
  const uint64_t first = lease_.first, done = at - first;
  Wake wakes;
  const bool go_on = run_.job.advance(now_, lease_, done, *this, wakes);
  run_.wake(wakes);
  if (!go_on) {
    drop_revoked(at);
    return false;
  }
  run_.release_items(lease_, first, done);
  after_settling();
  return true;
}

// False: the lease is over.
bool Worker::settle_answer(const RemoteAnswer& answer, uint64_t index, void*& value) noexcept {
  value = nullptr;
  Attempt attempt;
  char message[PA_MESSAGE_MAX + 1];
  if (answer.kind == RemoteAnswer::value) {
    if (!answer.data) return true;
    if (run_.keeps_values()) {
      value = remote_->keep(answer);
      attempt.code = EBADMSG;
      if (value) return true;
    } else {
      const pa_codec& codec = run_.workforce()->task.value;
      attempt.code = codec.decode ? codec.decode(codec.ctx, answer.data, answer.size, &value) : PA_CODE_GARBAGE;
      if (!attempt.code) return true;
    }
    value = nullptr;
    attempt.message = "the value could not be decoded";
  } else {
    const size_t size = std::min<size_t>(answer.size, PA_MESSAGE_MAX);
    std::memcpy(message, answer.data, size);
    message[size] = '\0';
    attempt.code = answer.code;
    attempt.message = message;
    if (answer.late) attempt.state = PA_ITEM_TIMED_OUT;
    if (answer.server_wait_ns >= 0) {
      call_.wait_for = index;
      call_.server_wait_ns = answer.server_wait_ns;
    }
  }
  return settle_remote_failure(index, attempt, value);
}

// False: the lease is over.
bool Worker::settle_remote_failure(uint64_t index, Attempt attempt, void*& value) noexcept {
  attempt.duration_ns = lease_.attempt > 1 ? now_ - lease_.first_started : share_;
  note_stretch(index, noted_at_ + share_ * static_cast<nanos>(index - noted_));
  noted_ = index + 1;
  noted_at_ += share_;
  return settle_failure(index, attempt, &value);
}

bool Worker::may_crash_again(uint64_t index, const Attempt& attempt) noexcept {
  return attempt.state != PA_ITEM_CRASHED || run_.workforce()->may_crash_again(index);
}

// The worker is gone, and `count` items from `at` on with it. False: the lease is over.
bool Worker::settle_loss(const Remote::Report& report, uint64_t at, uint64_t count) noexcept {
  char message[160];
  const char* how = "wrote garbage and was killed";
  std::string words;
  Attempt attempt;
  attempt.state = PA_ITEM_CRASHED;
  attempt.code = PA_CODE_GARBAGE;
  try {
    if (report.timed_out)
      words = "was killed for an item that took too long";
    else if (report.death)
      words = describe(*report.death);
    if (!words.empty()) how = words.c_str();
  } catch (const std::bad_alloc&) {
    how = "died";
  }
  if (report.death) attempt.code = code_of(*report.death);
  std::snprintf(message, sizeof message, "its worker process %s", how);
  if (report.timed_out) {
    attempt.state = PA_ITEM_TIMED_OUT;
    attempt.code = 0;
    std::snprintf(message, sizeof message, "the attempt took longer than item_timeout_ns; its worker process was killed");
  }
  attempt.message = message;
  remote_->count_loss(how);
  for (uint64_t i = at; i < at + count; i++) {
    void* none = nullptr;
    if (!settle_remote_failure(i, attempt, none)) return false;
  }
  return true;
}

}  // namespace pa
