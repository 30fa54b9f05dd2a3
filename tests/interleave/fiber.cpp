#include "fiber.hpp"

#include <cstdint>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

namespace pa::interleave {
namespace {

// The sanitizers follow a thread's stack, and must hear when it becomes another one.
#if defined(__SANITIZE_ADDRESS__)
void leaving(void** fake_stack, const void* stack, size_t bytes) {
  __sanitizer_start_switch_fiber(fake_stack, stack, bytes);
}
void arrived(void* fake_stack, const void** stack, size_t* bytes) {
  __sanitizer_finish_switch_fiber(fake_stack, stack, bytes);
}
#else
void leaving(void**, const void*, size_t) {}
void arrived(void*, const void**, size_t*) {}
#endif

}  // namespace

Fiber::Fiber() : stack_(new char[kStackBytes]) {
#if defined(__SANITIZE_THREAD__)
  tsan_fiber_ = __tsan_create_fiber(0);
#endif
}

Fiber::~Fiber() {
#if defined(__SANITIZE_THREAD__)
  __tsan_destroy_fiber(tsan_fiber_);
#endif
}

void Fiber::start(std::function<void()> body) {
  body_ = std::move(body);
  finished_ = false;
  getcontext(&context_);
  context_.uc_stack.ss_sp = stack_.get();
  context_.uc_stack.ss_size = kStackBytes;
  context_.uc_link = nullptr;
  fake_stack_ = nullptr;
  const auto self = reinterpret_cast<uintptr_t>(this);
  makecontext(&context_, reinterpret_cast<void (*)()>(main), 2, static_cast<unsigned>(self >> 32),
              static_cast<unsigned>(self));
}

void Fiber::resume() {
  void* fake_stack = nullptr;
  leaving(&fake_stack, stack_.get(), kStackBytes);
#if defined(__SANITIZE_THREAD__)
  tsan_outside_ = __tsan_get_current_fiber();
  __tsan_switch_to_fiber(tsan_fiber_, 0);
#endif
  swapcontext(&outside_, &context_);
  arrived(fake_stack, nullptr, nullptr);
}

void Fiber::stand_still() {
  leaving(finished_ ? nullptr : &fake_stack_, outside_stack_, outside_bytes_);
#if defined(__SANITIZE_THREAD__)
  __tsan_switch_to_fiber(tsan_outside_, 0);
#endif
  swapcontext(&context_, &outside_);
  arrived(fake_stack_, &outside_stack_, &outside_bytes_);
}

void Fiber::main(unsigned high, unsigned low) {
  auto* self = reinterpret_cast<Fiber*>(static_cast<uintptr_t>(high) << 32 | low);
  arrived(nullptr, &self->outside_stack_, &self->outside_bytes_);
  self->body_();
  self->finished_ = true;
  self->stand_still();
}

}  // namespace pa::interleave
