#include "stop.hpp"

#include <thread>

namespace pa {

Listeners::~Listeners() {
  for (Block* block = first_.next.load(); block;) {
    Block* next = block->next.load();
    delete block;
    block = next;
  }
}

void Listeners::add(Listener& listener) {
  std::lock_guard lock(adding_);
  for (Block* block = &first_;;) {
    for (auto& slot : block->slot) {
      if (slot.load(std::memory_order_relaxed)) continue;
      slot.store(&listener, std::memory_order_seq_cst);
      return;
    }
    Block* next = block->next.load(std::memory_order_relaxed);
    if (!next) {
      next = new Block;
      block->next.store(next, std::memory_order_seq_cst);
    }
    block = next;
  }
}

void Listeners::remove(Listener& listener) noexcept {
  {
    std::lock_guard lock(adding_);
    for (Block* block = &first_; block; block = block->next.load(std::memory_order_relaxed))
      for (auto& slot : block->slot)
        if (slot.load(std::memory_order_relaxed) == &listener) slot.store(nullptr, std::memory_order_seq_cst);
  }
  // A notify that read the slot before it was cleared had announced itself before it read.
  while (notifying_.load(std::memory_order_seq_cst) != 0) std::this_thread::yield();
}

void Listeners::notify() noexcept {
  notifying_.fetch_add(1, std::memory_order_seq_cst);
  for (Block* block = &first_; block; block = block->next.load(std::memory_order_seq_cst))
    for (auto& slot : block->slot)
      if (Listener* listener = slot.load(std::memory_order_seq_cst)) listener->notified();
  notifying_.fetch_sub(1, std::memory_order_seq_cst);
}

}  // namespace pa
