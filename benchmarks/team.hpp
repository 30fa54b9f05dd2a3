// Plain threads, for hand-written loops.
#pragma once
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace bench {

// Threads that are kept, of which the caller is number 0; the others sleep on a condition variable between runs.
class Team {
 public:
  explicit Team(uint32_t threads);
  ~Team();
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  // Calls work(0) ... work(threads - 1) at a time, and waits for all.
  void run(const std::function<void(uint32_t)>& work);

  uint32_t size() const { return static_cast<uint32_t>(threads_.size()) + 1; }

 private:
  void serve(uint32_t number);

  std::mutex mutex_;
  std::condition_variable work_came_;
  std::condition_variable work_done_;
  const std::function<void(uint32_t)>* work_ = nullptr;
  uint64_t turn_ = 0;
  uint32_t busy_ = 0;
  bool over_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace bench
