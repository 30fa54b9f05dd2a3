// options.window and options.batch_size: how far ahead of the work inputs are admitted.
#include <thread>

#include "support.hpp"

namespace {

// The numbers 0 to count - 1, and how many of them were pulled but are not done.
class Watched {
 public:
  explicit Watched(int count) : count_(count) {}

  std::optional<int> next() {
    if (delivered_ == count_) return std::nullopt;
    const int ahead =
        ++delivered_ - finished_;  // finished_ is counted before an item is done: it is what libpa knows, or more
    most_ahead_ = std::max(most_ahead_, ahead);
    return delivered_ - 1;
  }
  void finish() { finished_++; }

  int delivered() const { return delivered_; }
  int finished() const { return finished_; }
  int most_ahead() const { return most_ahead_; }

 private:
  int count_, delivered_ = 0, most_ahead_ = 0;  // of next, which one call at a time runs
  std::atomic<int> finished_{0};
};

TEST(Window, ASourceIsNeverPulledBeyondIt) {
  for (const int window : {1, 2, 3, 10}) {
    Watched watched(1000);
    pa::options options;
    options.workers = 4;
    options.window = static_cast<std::uint64_t>(window);
    const auto result = pa::map_source([&] { return watched.next(); },
                                       [&](int) {
                                         for (int i = 0; i < 50; i++)
                                           std::this_thread::yield();  // a source that ran ahead would do so meanwhile
                                         watched.finish();
                                       },
                                       options);
    EXPECT_TRUE(result.ok());
    EXPECT_EQ(result.size(), 1000u);
    EXPECT_LE(watched.most_ahead(), window);
  }
}

TEST(Window, AnItemThatWaitsForItsRetryStaysInIt) {
  Watched watched(200);
  pa::options options = attempts(2);
  options.retry.backoff = std::chrono::microseconds(100);
  options.workers = 2;
  options.window = 4;
  const auto result = pa::map_source([&] { return watched.next(); },
                                     [&](int, pa::call& call) {
                                       if (call.attempt() == 1) throw std::runtime_error("again");
                                       watched.finish();
                                     },
                                     options);
  EXPECT_TRUE(result.ok());
  EXPECT_EQ(watched.finished(), 200);
  EXPECT_LE(watched.most_ahead(), 4);
}

// A key function is called when its item is admitted.
TEST(Window, HoldsForArraysToo) {
  Watched watched(1000);
  pa::options options;
  options.workers = 4;
  options.window = 3;
  const auto result = pa::map(
      numbers(1000), [&](int) { watched.finish(); }, options, [&](int) { return *watched.next(); });
  EXPECT_TRUE(result.ok());
  EXPECT_EQ(watched.delivered(), 1000);
  EXPECT_LE(watched.most_ahead(), 3);
}

// ------------------------------------------------------------------ chunks

pa::options chunks_of_10() {
  pa::options options = attempts(2);
  options.retry.backoff = std::chrono::milliseconds(1);  // holds no worker: it could run what should not be admitted yet
  options.workers = 4;
  options.batch_size = 10;
  return options;
}

TEST(BatchSize, EachChunkIsFinishedBeforeTheNextIsPulled) {
  Watched watched(95);
  const auto result = pa::map_source(
      [&] {
        EXPECT_GE(watched.finished(), watched.delivered() / 10 * 10);
        return watched.next();
      },
      [&](int x, pa::call& call) {
        if (x % 3 == 0 && call.attempt() == 1) throw std::runtime_error("again");
        watched.finish();
      },
      chunks_of_10());
  EXPECT_TRUE(result.ok());
  EXPECT_EQ(result.size(), 95u);
}

TEST(BatchSize, ArraysAreRunChunkByChunkToo) {
  std::atomic<int> finished{0};
  const auto result = pa::map(
      numbers(95),
      [&](int x, pa::call& call) {
        EXPECT_GE(finished, x / 10 * 10) << "before item " << x;
        if (x % 3 == 0 && call.attempt() == 1) throw std::runtime_error("again");
        finished++;
      },
      chunks_of_10());
  EXPECT_TRUE(result.ok());
}

}  // namespace
