// Real threads on one job: many takers, tiny leases, leases that go back half run, takers that leave. Nothing is lost and
// nothing runs twice. What a simulation can't show, because it treats calls as atomic, and what the thread sanitizer looks
// at.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "core/job.hpp"

namespace pa {
namespace {

nanos clock_now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

class Crew : private Witness {
 public:
  struct Habits {
    uint32_t takers = 6;
    double failing = 0;  // of first attempts
    bool giving_back = true;
    bool leaving = true;
  };

  Crew(const JobConfig& config, const Habits& habits)
      : job(config), habits_(habits), runs(config.fetched ? 0 : config.count), staying_(habits.takers) {}

  void run() {
    std::vector<std::thread> threads;
    for (uint32_t i = 0; i < habits_.takers; i++) threads.emplace_back([this, i] { take(i); });
    for (std::thread& thread : threads) thread.join();
  }

  Job job;

 private:
  const Habits habits_;

 public:
  std::vector<std::atomic<uint8_t>> runs;  // how often each index succeeded or failed for good
  std::atomic<uint64_t> told{0};

 private:
  void failed(uint64_t, Verdict) noexcept override { told++; }
  void succeeded(uint64_t, uint64_t) noexcept override {}

  void take(uint32_t number) {
    Random random{number + 1};
    Lease lease;
    for (;;) {
      const uint64_t seen = epoch();
      Wake wakes;
      const Take answer = job.take(clock_now(), lease, wakes);
      wake(wakes);
      if (answer == Take::done) break;
      if (answer == Take::lease) work(lease, random);
      if (answer == Take::again && !sleep_or_leave(seen, lease, random)) return;
    }
    staying_--;
  }

  void work(Lease& lease, Random& random) {
    Wake wakes;
    const bool fails = lease.attempt == 1 && random.unit() < habits_.failing;
    const uint64_t ran = habits_.giving_back && random.below(4) == 0 ? random.below(lease.count + 1) : lease.count;
    if (fails && ran) {
      note(lease.first, ran - 1);
      if (job.fail(clock_now(), lease, lease.first + ran - 1, {}, *this, wakes) == Verdict::final) note(lease.first - 1, 1);
      wake(wakes);
      job.complete(clock_now(), lease, 0, *this, wakes);
    } else if (ran > 1 && random.below(2)) {
      note(lease.first, 1);
      const bool goes_on = job.step(clock_now(), lease, 1, *this, wakes);
      wake(wakes);
      if (!goes_on) return;
      const uint64_t more = std::min(ran - 1, lease.count);
      note(lease.first, more);
      job.complete(clock_now(), lease, more, *this, wakes);
    } else {
      note(lease.first, ran);
      job.complete(clock_now(), lease, ran, *this, wakes);
    }
    wake(wakes);
  }

  void note(uint64_t first, uint64_t count) {
    for (uint64_t i = 0; i < count; i++) runs[first + i].fetch_add(1, std::memory_order_relaxed);
  }

  // ---- sleeping: an epoch that is read before take, and changed by every wake
  uint64_t epoch() {
    std::lock_guard lock(mutex_);
    return epoch_;
  }
  void wake(Wake& wake) {
    if (wake.takers) {
      std::lock_guard lock(mutex_);
      epoch_++;
      wake.takers == 1 ? condition_.notify_one() : condition_.notify_all();
    }
    wake = {};
  }
  bool sleep_or_leave(uint64_t seen, Lease& lease, Random& random) {
    if (habits_.leaving && random.below(8) == 0) {
      if (staying_.fetch_sub(1) > 1) {
        Wake wakes;
        job.leave(lease, wakes);
        wake(wakes);
        return false;
      }
      staying_++;
    }
    std::unique_lock lock(mutex_);
    const auto changed = [&] { return epoch_ != seen; };
    if (lease.come_back == kNever)
      condition_.wait(lock, changed);
    else
      condition_.wait_for(lock, std::chrono::nanoseconds(std::max<nanos>(0, lease.come_back - clock_now())), changed);
    return true;
  }

  std::mutex mutex_;
  std::condition_variable condition_;
  uint64_t epoch_ = 0;
  std::atomic<uint32_t> staying_;
};

void expect_each_once(const Crew& crew) {
  uint64_t lost = 0, twice = 0;
  for (const auto& runs : crew.runs) {
    lost += runs == 0;
    twice += runs > 1;
  }
  EXPECT_EQ(lost, 0u);
  EXPECT_EQ(twice, 0u);
  EXPECT_EQ(crew.job.end(), End::completed);
  EXPECT_TRUE(crew.job.settled());
}

TEST(Stress, TakersOfLanesLoseNothing) {
  for (uint32_t round = 0; round < 60; round++) {
    JobConfig config;
    config.count = 3'000;
    config.workers = 2 + round % 3;
    config.cpus = 8;
    config.lease_max = 1 + round % 7;
    config.lease_target_ns = 1'000'000;
    Crew crew{config, {}};
    crew.run();
    expect_each_once(crew);
    if (HasFailure()) return;
  }
}

TEST(Stress, TakersOfASharedLaneLoseNothing) {
  for (uint32_t round = 0; round < 30; round++) {
    JobConfig config;
    config.count = 2'000;
    config.workers = 6;
    config.cpus = 1;
    config.lease_max = 1 + round % 50;
    config.lease_target_ns = 1'000'000;
    Crew::Habits habits;
    habits.leaving = false;  // the engine sends them away itself
    Crew crew{config, habits};
    crew.run();
    expect_each_once(crew);
    if (HasFailure()) return;
  }
}

TEST(Stress, RetriesAmongLanesLoseNothing) {
  for (uint32_t round = 0; round < 20; round++) {
    JobConfig config;
    config.count = 2'000;
    config.workers = 4;
    config.cpus = 4;
    config.lease_max = 1 + round % 5;
    config.retry.attempts = 2;
    config.retry.backoff_ns = 20'000;
    config.seed = round + 1;
    Crew::Habits habits;
    habits.failing = 0.1;
    Crew crew{config, habits};
    crew.run();
    expect_each_once(crew);
    EXPECT_GT(crew.told, 0u);
    if (HasFailure()) return;
  }
}

TEST(Stress, TakersUnderALimiterLoseNothing) {
  Limiter limiter{{2e6, 1'000'000'000, 16}};
  for (uint32_t round = 0; round < 10; round++) {
    JobConfig config;
    config.count = 1'000;
    config.workers = 4;
    config.cpus = 4;
    config.window = 40;
    config.limiter = &limiter;
    config.retry.attempts = 2;
    config.retry.backoff_ns = 10'000;
    Crew::Habits habits;
    habits.failing = 0.05;
    Crew crew{config, habits};
    crew.run();
    expect_each_once(crew);
    if (HasFailure()) return;
  }
}

// A stop meets takers wherever they are: what was leased has its outcome, the rest is drained, and the two add up.
TEST(Stress, AStopInTheMiddleLosesNothing) {
  for (uint32_t round = 0; round < 40; round++) {
    StopToken stop;
    JobConfig config;
    config.count = 20'000;
    config.workers = 4;
    config.cpus = 4;
    config.stop = &stop;
    Crew::Habits habits;
    habits.leaving = false;
    Crew crew{config, habits};
    std::thread stopper([&] {
      while (crew.job.resolved() < 50 * round && crew.job.end() == End::none) std::this_thread::yield();
      stop.request();
    });
    crew.run();
    stopper.join();
    uint64_t drained = 0, ran = 0;
    while (const std::optional<Unrun> unrun = crew.job.drain()) {
      for (uint64_t i = 0; i < unrun->count; i++) EXPECT_EQ(crew.runs[unrun->first + i], 0);
      drained += unrun->count;
    }
    for (const auto& runs : crew.runs) ran += runs;
    EXPECT_EQ(ran + drained, config.count);
    EXPECT_EQ(crew.job.resolved(), ran);
    EXPECT_TRUE(crew.job.settled());
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace pa
