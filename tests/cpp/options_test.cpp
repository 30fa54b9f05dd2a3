// pa::options: that each field arrives, and what its callbacks may do. What the fields mean is tested in C.
#include <set>
#include <string>
#include <thread>

#include "support.hpp"

namespace {

const auto same = [](int x) { return x; };

// ------------------------------------------------------------------ callbacks

TEST(Options, ProgressCountsUpToTheTotal) {
  std::vector<std::uint64_t> seen;
  const auto caller = std::this_thread::get_id();
  pa::options options;
  options.on_progress = [&](std::uint64_t done, std::uint64_t total) {
    EXPECT_EQ(std::this_thread::get_id(), caller);
    EXPECT_EQ(total, 100u);
    seen.push_back(done);
  };
  EXPECT_TRUE(pa::map(numbers(100), same, options).ok());
  ASSERT_EQ(seen.size(), 100u);
  for (std::size_t i = 0; i < seen.size(); i++) EXPECT_EQ(seen[i], i + 1);
}

TEST(Options, OnResultSeesEachItemOnceWithItsValue) {
  std::multiset<std::string> seen;
  pa::options options;
  options.on_result = [&](const pa::item& done) {
    seen.insert(done.ok() ? done.value<std::string>() : std::string(done.message()));
    EXPECT_EQ(error_of([&] { done.value<int>(); }).status(), done.ok() ? PA_STATUS_INVALID : PA_STATUS_ITEMS_FAILED);
  };
  const auto result = pa::map(
      numbers(3),
      [](int x) -> pa::answer<std::string> {
        if (x == 1) return pa::failure(1, "one is wrong");
        return std::to_string(x);
      },
      options);
  EXPECT_EQ(seen, (std::multiset<std::string>{"0", "2", "one is wrong"}));
}

TEST(Options, WhatACallbackThrowsEndsTheRunAndIsThrownAgain) {
  struct Mine : std::runtime_error {
    Mine() : std::runtime_error("mine") {}
  };
  const auto thrower = [] { throw Mine(); };
  std::atomic<int> calls{0};
  const auto run = [&](pa::options options) {
    options.executor = pa::executor::inlined;
    calls = 0;
    EXPECT_THROW(pa::map(
                     numbers(100), [&](int) { calls++; }, options),
                 Mine);
    return calls.load();
  };
  pa::options options;
  options.on_progress = [&](std::uint64_t done, std::uint64_t) {
    if (done == 3) thrower();
  };
  EXPECT_LT(run(options), 100);
  options = {};
  options.on_result = [&](const pa::item&) { thrower(); };
  EXPECT_LT(run(options), 100);
  options = {};
  options.worker_start = thrower;
  EXPECT_EQ(run(options), 0);
  options = {};
  options.worker_stop = thrower;
  EXPECT_EQ(run(options), 100);
}

TEST(Options, WorkersAreStartedAndStoppedInPairs) {
  std::atomic<int> started{0}, stopped{0};
  pa::options options;
  options.workers = 3;
  options.worker_start = [&] { started++; };
  options.worker_stop = [&] { stopped++; };
  EXPECT_TRUE(pa::map(numbers(1000), same, options).ok());
  EXPECT_GE(started, 1);
  EXPECT_LE(started, 3);
  EXPECT_EQ(started, stopped);
}

// ------------------------------------------------------------------ retry

TEST(Options, RetryRepeatsAFailedItem) {
  std::atomic<int> calls{0};
  const auto result = pa::map(
      numbers(4),
      [&](int x, pa::call& call) {
        calls++;
        if (x % 2 && call.attempt() < 3) throw std::runtime_error("not yet");
        return x;
      },
      attempts(3));
  EXPECT_TRUE(result.ok());
  EXPECT_EQ(calls, 8);
  EXPECT_EQ(result[0].attempts(), 1u);
  EXPECT_EQ(result[1].attempts(), 3u);
}

TEST(Options, RetryIfDecidesByWhatWasThrown) {
  pa::options options = attempts(5);
  options.retry.retry_if = [](const pa::item& failed) {
    EXPECT_EQ(failed.state(), pa::item_state::failed);
    return failed.threw<std::range_error>() || failed.code() == 503;
  };
  const auto result = pa::map(
      numbers(3),
      [](int x) {
        if (x == 0) throw std::range_error("transient");
        if (x == 1) throw pa::failure(503, "busy");
        throw pa::failure(404, "gone");
      },
      options);
  EXPECT_EQ(result[0].attempts(), 5u);
  EXPECT_EQ(result[1].attempts(), 5u);
  EXPECT_EQ(result[2].attempts(), 1u);
}

TEST(Options, ARetryIfThatThrowsLeavesTheItemItsOwnError) {
  pa::options options = attempts(5);
  options.retry.retry_if = [](const pa::item&) -> bool { throw std::logic_error("the predicate is broken"); };
  const auto result = pa::map(
      numbers(1), [](int) { throw pa::failure(503, "busy"); }, options);
  EXPECT_EQ(result[0].code(), 503);
  EXPECT_EQ(result[0].attempts(), 1u);
  EXPECT_EQ(std::string(result[0].message()).rfind("busy", 0), 0u) << result[0].message();
}

TEST(Options, MaxDelayCapsTheBackoff) {
  pa::options options = attempts(5);
  options.retry.backoff = std::chrono::hours(1);
  options.retry.max_delay = std::chrono::microseconds(1);
  const auto result = pa::map(
      numbers(3), [](int) { throw std::runtime_error("never"); }, options);
  EXPECT_EQ(result[2].attempts(), 5u);
}

// The shortest wait between two of 21 attempts, each of which should be 1 ms after the last.
std::chrono::nanoseconds shortest_delay(bool jitter) {
  using clock = std::chrono::steady_clock;
  pa::options options = attempts(21);
  options.retry.backoff = options.retry.max_delay = std::chrono::milliseconds(1);
  options.retry.jitter = jitter;
  clock::time_point ended;
  auto shortest = clock::duration::max();
  const auto result = pa::map(
      numbers(1),
      [&](int, pa::call& call) {
        if (call.attempt() > 1) shortest = std::min(shortest, clock::now() - ended);
        ended = clock::now();
        throw std::runtime_error("never");
      },
      options);
  EXPECT_EQ(result[0].attempts(), 21u);
  return shortest;
}

TEST(Options, JitterShortensADelayToNoLessThanHalf) { EXPECT_GE(shortest_delay(true), std::chrono::microseconds(500)); }

TEST(Options, WithoutJitterNoDelayIsShortened) { EXPECT_GE(shortest_delay(false), std::chrono::milliseconds(1)); }

TEST(Options, AnItemThatWaitsForItsRetryHoldsNoWorker) {
  pa::options options = attempts(2);
  options.retry.backoff = options.retry.max_delay = std::chrono::hours(1);
  options.workers = 1;
  options.stop.emplace();
  std::atomic<int> others{0};
  const auto result = pa::map(
      numbers(10),
      [&](int x, pa::call& call) {
        if (x == 0 && call.attempt() == 1) throw std::runtime_error("again");
        if (++others == 9) options.stop->request();
      },
      options);
  EXPECT_EQ(result[0].state(), pa::item_state::cancelled);
  EXPECT_EQ(result.failed(), 1u) << "the others ran while item 0 waited";
}

TEST(Options, RetryAfterPausesTheLimiter) {
  pa::limiter limiter({1000, std::chrono::seconds(1), 10});
  pa::options options;
  options.limiter = limiter;
  options.retry.max_server_wait = std::nullopt;
  const auto result = pa::map(
      numbers(1),
      [](int, pa::call& call) {
        call.retry_after(pa::parse_retry_after("soon"));  // malformed: nothing happens
        call.retry_after(std::chrono::hours(1));
        throw pa::failure(429, "slow down");
      },
      options);
  EXPECT_EQ(result[0].code(), 429);
  const auto wait = limiter.try_acquire();
  ASSERT_TRUE(wait);
  EXPECT_GT(*wait, std::chrono::minutes(50));
}

// ------------------------------------------------------------------ limiter

TEST(Limiter, GivesWhatIsThereAndSaysHowLongToWait) {
  pa::limiter limiter({1, std::chrono::hours(1), 3});
  EXPECT_FALSE(limiter.try_acquire(2));
  EXPECT_TRUE(limiter.acquire_for(std::chrono::nanoseconds(0)));
  EXPECT_FALSE(limiter.acquire_for(std::chrono::seconds(1)));
  const auto wait = limiter.try_acquire();
  ASSERT_TRUE(wait);
  EXPECT_GT(*wait, std::chrono::minutes(50));
  limiter.settle(-1);
  limiter.acquire();
}

TEST(Limiter, CopiesAreTheSameBucket) {
  pa::limiter limiter({1, std::chrono::hours(1), 1});
  pa::limiter copy = limiter;
  EXPECT_TRUE(copy.acquire_for(std::chrono::nanoseconds(0)));
  EXPECT_FALSE(limiter.acquire_for(std::chrono::nanoseconds(0)));
  copy = pa::limiter({1, std::chrono::hours(1), 1});
  EXPECT_TRUE(copy.acquire_for(std::chrono::nanoseconds(0)));
}

TEST(Limiter, CanBePausedAndChanged) {
  pa::limiter limiter({1, std::chrono::hours(1), 2});
  limiter.pause(std::chrono::hours(2));
  EXPECT_FALSE(limiter.acquire_for(std::chrono::nanoseconds(0)));
  pa::limiter other({1, std::chrono::hours(1), 1});
  EXPECT_TRUE(other.acquire_for(std::chrono::nanoseconds(0)));
  other.set_rate({1e9, std::chrono::seconds(1), 1});
  other.acquire();
}

TEST(Limiter, RejectsWhatIsNoRate) {
  EXPECT_EQ(error_of([] { pa::limiter limiter({0}); }).status(), PA_STATUS_INVALID);
  pa::limiter limiter({1});
  EXPECT_EQ(error_of([&] { limiter.set_rate({-1}); }).status(), PA_STATUS_INVALID);
  EXPECT_EQ(error_of([&] { limiter.acquire(0); }).status(), PA_STATUS_INVALID);
  EXPECT_EQ(error_of([&] { limiter.try_acquire(2); }).status(), PA_STATUS_INVALID);
}

TEST(Limiter, IsSharedByRuns) {
  pa::options options;
  options.limiter = pa::limiter({1, std::chrono::hours(1), 5});
  options.timeout = std::chrono::milliseconds(1);
  std::atomic<int> calls{0};
  const auto count = [&](int) { calls++; };
  pa::map(numbers(3), count, options);
  pa::map(numbers(3), count, options);
  EXPECT_LE(calls, 5);
}

TEST(Limiter, TheRateOfARunIsItsOwn) {
  pa::options options;
  options.rate.count = 1;
  options.rate.per = std::chrono::hours(1);
  options.rate.burst = 2;
  options.rate_cost = 2;
  EXPECT_TRUE(pa::map(numbers(1), same, options).ok());
  EXPECT_TRUE(pa::map(numbers(1), same, options).ok());
  options.rate_cost = 3;
  EXPECT_EQ(error_of([&] { pa::map(numbers(1), same, options); }).status(), PA_STATUS_INVALID);
}

TEST(ParseRetryAfter, ReadsSecondsAndDates) {
  EXPECT_EQ(pa::parse_retry_after("120"), std::chrono::seconds(120));
  EXPECT_EQ(pa::parse_retry_after("Wed, 21 Oct 2015 07:28:00 GMT"), std::chrono::seconds(0));
  EXPECT_EQ(pa::parse_retry_after("soon"), std::nullopt);
  EXPECT_EQ(pa::parse_retry_after(nullptr), std::nullopt);
}

// ------------------------------------------------------------------ ends

TEST(Stop, ARequestedStopCancelsEveryRun) {
  pa::options options;
  options.stop.emplace();
  const pa::stop copy = *options.stop;
  EXPECT_FALSE(copy.requested());
  options.stop->request();
  EXPECT_TRUE(copy.requested());
  const auto result = pa::map(
      numbers(5), [](int) { ADD_FAILURE() << "the function ran"; }, options);
  EXPECT_EQ(result.ended(), pa::ending::cancelled);
  EXPECT_EQ(result[0].state(), pa::item_state::cancelled);
  EXPECT_EQ(error_of([&] { result.check(); }).status(), PA_STATUS_CANCELLED);
}

TEST(Stop, MayBeRequestedFromWithin) {
  pa::options options = inlined();
  options.stop.emplace();
  const auto result = pa::map(
      numbers(100'000),
      [&](int x, pa::call& call) {
        if (x == 2) {
          options.stop->request();
          EXPECT_TRUE(call.stopped());
          EXPECT_EQ(call.remaining(), std::chrono::nanoseconds(0));
        }
        return x;
      },
      options);
  EXPECT_EQ(result.ended(), pa::ending::cancelled);
  EXPECT_EQ(result[2].value(), 2) << "what was running when the stop came should keep its outcome";
  EXPECT_EQ(result[99'999].state(), pa::item_state::cancelled);  // tiny items run for a microsecond or two more
}

using Detach = CountedTest;

TEST_F(Detach, ReturnsWhileACallIsRunningAndDropsItsValue) {
  Event running, may_end, quiescent;
  auto captured = std::make_shared<int>(0);
  const std::weak_ptr<int> alive = captured;
  pa::options options;
  options.workers = 2;
  options.detach = true;
  options.stop.emplace();
  options.on_result = [stop = *options.stop](const pa::item&) { stop.request(); };
  options.on_quiescent = [&] { quiescent.set(); };
  {
    const auto result = pa::map(
        numbers(2),
        [&, captured = std::move(captured)](int x) {
          if (x == 0) {
            running.set();
            may_end.wait();
          } else {
            running.wait();
          }
          return Counted(x);
        },
        options);
    EXPECT_EQ(result.ended(), pa::ending::cancelled);
    EXPECT_EQ(result[0].state(), pa::item_state::cancelled);
    EXPECT_EQ(result[0].attempts(), 1u);
    EXPECT_EQ(result[1].value().number, 1);
    EXPECT_FALSE(alive.expired()) << "the function is gone while it runs";
  }
  may_end.set();
  quiescent.wait();
  EXPECT_TRUE(pa::drain());
  EXPECT_TRUE(alive.expired());
}

// ------------------------------------------------------------------ keys

TEST(Keys, NameOutcomes) {
  const std::vector<std::string> items{"a", "b"};
  const auto length = [](const std::string& item) { return item.size(); };
  const auto by_text = pa::map(items, length, {}, [](const std::string& item) { return item + "!"; });
  EXPECT_EQ(by_text[1].key().kind, PA_KEY_STRING);
  EXPECT_EQ(std::string_view(static_cast<const char*>(by_text[1].key().data), by_text[1].key().size), "b!");
  const auto by_number = pa::map(items, length, {}, [](const std::string& item) { return item[0]; });
  EXPECT_EQ(by_number[1].key().kind, PA_KEY_INT);
  EXPECT_EQ(by_number[1].key().number, 'b');
  const auto by_bytes = pa::map(items, length, {}, [](const std::string&) {
    return std::vector<std::byte>{std::byte{0}, std::byte{255}};
  });
  EXPECT_EQ(by_bytes[0].key().kind, PA_KEY_BYTES);
  EXPECT_EQ(by_bytes[0].key().size, 2u);
}

TEST(Keys, WhatAKeyFunctionThrowsIsThrownAgain) {
  const auto too_large = [](int) { return UINT64_MAX; };
  EXPECT_THROW(pa::map(numbers(3), same, {}, too_large), std::out_of_range);
}

// ------------------------------------------------------------------ C++20

#if __cplusplus >= 202002L
TEST(Options, MayBeWrittenInPlace) {
  using namespace std::chrono_literals;
  const pa::limiter limiter({.count = 1e6, .burst = 10});
  const auto result = pa::map(numbers(10), same,
                              {.workers = 2,
                               .limiter = limiter,
                               .retry = {.attempts = 2, .backoff = 1ms, .retry_if = [](const pa::item&) { return true; }},
                               .timeout = 1h,
                               .stop = pa::stop()});
  EXPECT_TRUE(result.ok());
  EXPECT_TRUE(pa::map(numbers(3), same, {.rate = {1e6}}).ok());
}
#endif

}  // namespace
