#include "capi/src/call.hpp"

#include <algorithm>
#include <cstring>
#include <exception>
#include <new>

#include "core/os.hpp"

namespace pa {

void Answers::set_ok(size_t position, size_t count) {
  if (marks_.empty()) marks_.resize(count);
  if (marks_[position] == failed) failed_.erase(position);
  marks_[position] = ok;
}

void Answers::set_failed(size_t position, size_t count, int32_t code, const char* message) {
  Failed failure{code, nullptr};
  if (message && *message) {
    const size_t size = strnlen(message, PA_MESSAGE_MAX);
    failure.message.reset(new char[size + 1]);
    std::memcpy(failure.message.get(), message, size);
    failure.message[size] = '\0';
  }
  if (marks_.empty()) marks_.resize(count);
  failed_[position] = std::move(failure);
  marks_[position] = failed;
}

}  // namespace pa

void pa_call::note(const char* text) noexcept {
  noted_for = index();
  const size_t size = text ? strnlen(text, PA_MESSAGE_MAX) : 0;
  if (size && text != message) std::memcpy(message, text, size);
  message[size] = '\0';
}

int32_t pa_call::note_exception() noexcept {
  try {
    throw;
  } catch (const std::exception& thrown) {
    note(thrown.what());
  } catch (...) {
    note("an exception that is no std::exception");
  }
  return PA_CODE_EXCEPTION;
}

uint64_t pa_call_index(const pa_call* call) { return call->index(); }

uint32_t pa_call_attempt(const pa_call* call) { return call->attempt; }

int32_t pa_call_stopped(const pa_call* call) { return pa_call_remaining_ns(call) == 0; }

int64_t pa_call_remaining_ns(const pa_call* call) {
  pa::nanos remaining = 0;
  if (!call->bounds->has_ended()) {
    const pa::nanos deadline = std::min(call->bounds->run_deadline(), call->deadline);
    if (deadline == pa::kNever) return -1;
    remaining = std::max<pa::nanos>(0, deadline - pa::os::now());
  }
  if (remaining == 0) call->end_span();
  return remaining;
}

int32_t pa_call_fail(pa_call* call, int32_t code, const char* message) {
  call->note(message);
  return code ? code : -1;
}

void pa_call_retry_after(pa_call* call, int64_t wait_ns) {
  if (wait_ns < 0) return;
  call->wait_for = call->index();
  call->server_wait_ns = wait_ns;
}

void pa_call_ok_at(pa_call* call, size_t position) {
  if (call->span || position >= call->count) return;
  try {
    call->answers.set_ok(position, call->count);
  } catch (const std::bad_alloc&) {
    call->out_of_memory = true;
  }
}

void pa_call_fail_at(pa_call* call, size_t position, int32_t code, const char* message) {
  if (call->span || position >= call->count) return;
  try {
    call->answers.set_failed(position, call->count, code ? code : -1, message);
  } catch (const std::bad_alloc&) {
    call->out_of_memory = true;
  }
}
