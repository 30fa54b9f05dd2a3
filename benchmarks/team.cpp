#include "team.hpp"

namespace bench {

Team::Team(uint32_t threads) {
  for (uint32_t number = 1; number < threads; number++) threads_.emplace_back([this, number] { serve(number); });
}

Team::~Team() {
  {
    std::lock_guard lock(mutex_);
    over_ = true;
  }
  work_came_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Team::run(const std::function<void(uint32_t)>& work) {
  {
    std::lock_guard lock(mutex_);
    work_ = &work;
    busy_ = static_cast<uint32_t>(threads_.size());
    turn_++;
  }
  work_came_.notify_all();
  work(0);
  std::unique_lock lock(mutex_);
  work_done_.wait(lock, [this] { return busy_ == 0; });
}

void Team::serve(uint32_t number) {
  std::unique_lock lock(mutex_);
  for (uint64_t seen = 0;;) {
    work_came_.wait(lock, [&] { return over_ || turn_ != seen; });
    if (over_) return;
    seen = turn_;
    const auto& work = *work_;
    lock.unlock();
    work(number);
    lock.lock();
    if (--busy_ == 0) work_done_.notify_one();
  }
}

}  // namespace bench
