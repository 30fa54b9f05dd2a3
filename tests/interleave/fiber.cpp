#include "fiber.hpp"

#include <cstdint>

namespace pa::interleave {

Fiber::Fiber() : stack_(new char[kStackBytes]) {}

void Fiber::start(std::function<void()> body) {
  body_ = std::move(body);
  finished_ = false;
  getcontext(&context_);
  context_.uc_stack.ss_sp = stack_.get();
  context_.uc_stack.ss_size = kStackBytes;
  context_.uc_link = nullptr;
  const auto self = reinterpret_cast<uintptr_t>(this);  // makecontext hands on nothing wider than an unsigned
  makecontext(&context_, reinterpret_cast<void (*)()>(main), 2, static_cast<unsigned>(self >> 32),
              static_cast<unsigned>(self));
}

void Fiber::resume() { swapcontext(&outside_, &context_); }
void Fiber::stand_still() { swapcontext(&context_, &outside_); }

void Fiber::main(unsigned high, unsigned low) {
  auto* self = reinterpret_cast<Fiber*>(static_cast<uintptr_t>(high) << 32 | low);
  self->body_();
  self->finished_ = true;
  self->stand_still();
}

}  // namespace pa::interleave
