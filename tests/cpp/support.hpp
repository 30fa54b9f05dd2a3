// What the tests of pa.hpp share.
#pragma once
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <numeric>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <pa/pa.hpp>

// A value that knows how many of its kind exist. It can be moved, but not copied.
class Counted {
 public:
  explicit Counted(int number = 0) : number(number) { living_.fetch_add(1); }
  Counted(Counted&& other) noexcept : number(std::exchange(other.number, -1)) { living_.fetch_add(1); }
  Counted& operator=(Counted&& other) noexcept {
    number = std::exchange(other.number, -1);
    return *this;
  }
  ~Counted() { living_.fetch_sub(1); }

  static int living() { return living_.load(); }

  int number;

 private:
  static inline std::atomic<int> living_{0};
};

// Fails a test after which some Counted still exists.
class CountedTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(Counted::living(), 0); }
  void TearDown() override { EXPECT_EQ(Counted::living(), 0); }
};

// Something that happens once, and that threads wait for.
class Event {
 public:
  void set() {
    const std::lock_guard<std::mutex> lock(mutex_);
    happened_ = true;
    changed_.notify_all();
  }
  void wait() {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return happened_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool happened_ = false;
};

inline std::vector<int> numbers(int count) {
  std::vector<int> all(static_cast<std::size_t>(count));
  std::iota(all.begin(), all.end(), 0);
  return all;
}

inline pa::options inlined() {
  pa::options options;
  options.executor = pa::executor::inlined;
  return options;
}

inline pa::options attempts(std::uint32_t count) {
  pa::options options;
  options.retry.attempts = count;
  options.retry.backoff = std::chrono::nanoseconds(0);
  return options;
}

// The pa::error that `act` throws.
template <class Act>
pa::error error_of(Act&& act) {
  try {
    act();
  } catch (const pa::error& error) {
    return error;
  }
  ADD_FAILURE() << "nothing was thrown";
  return {PA_STATUS_OK, 0, ""};
}
