// Runs under a limiter. Rates of "1 an hour" make a test independent of the machine's speed: what is not there now will not
// come.
#include <ctime>
#include <thread>

#include "support.hpp"

namespace {

using namespace std::chrono_literals;

int tokens_in(pa::limiter limiter) {
  int count = 0;
  while (!limiter.try_acquire()) count++;
  return count;
}

// ------------------------------------------------------------------ prices

TEST(Pacing, EveryAttemptTakesAToken) {
  pa::options options = attempts(3);
  options.workers = 3;
  options.limiter = pa::limiter({1, 1h, 30});
  const auto result = pa::map(
      numbers(8), [](int) { throw std::runtime_error("never"); }, options);
  EXPECT_EQ(result[7].attempts(), 3u);
  EXPECT_EQ(tokens_in(*options.limiter), 30 - 8 * 3);
}

TEST(Pacing, ABatchPaysForItsCallWhateverItsSize) {
  pa::options options;
  options.limiter = pa::limiter({1, 1h, 30});
  options.batch.max_items = 10;
  const auto map = [&] {
    return pa::map_batch(
        numbers(60), [](pa::view<int>) {}, options);
  };
  EXPECT_TRUE(map().ok());
  EXPECT_EQ(tokens_in(*options.limiter), 30 - 6);
  options.limiter = pa::limiter({1, 1h, 30});
  options.rate_cost = 4;
  EXPECT_TRUE(map().ok());
  EXPECT_EQ(tokens_in(*options.limiter), 30 - 6 * 4);
}

// A lease that was cut short gives back its tokens, of which one may be lost to the passing of time.
TEST(Pacing, WhatMaxErrorsKeptFromRunningIsNotPaidFor) {
  pa::options options;
  options.limiter = pa::limiter({1, 1h, 50});
  options.workers = 1;
  options.max_errors = 2;
  const auto result = pa::map(
      numbers(1000), [](int) { throw std::runtime_error("no"); }, options);
  EXPECT_EQ(result.ended(), pa::ending::aborted);
  EXPECT_GE(tokens_in(*options.limiter), 50 - 2 - 1);
}

// ------------------------------------------------------------------ ends

TEST(Pacing, ATimeoutEndsTheRunAsSoonAsTheNextTokenIsKnownToComeTooLate) {
  pa::options options;
  options.limiter = pa::limiter({1, 2h, 1});
  options.timeout = 1h;  // not waited for
  options.workers = 2;
  std::atomic<int> calls{0};
  const auto result = pa::map(
      numbers(3), [&](int) { calls++; }, options);
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(result.ended(), pa::ending::timed_out);
  EXPECT_EQ(result.failed(), 2u);
  EXPECT_EQ(result.failures()[0].state(), pa::item_state::timed_out);
  EXPECT_EQ(result.failures()[0].attempts(), 0u);
  const auto wait = options.limiter->try_acquire();
  ASSERT_TRUE(wait);
  EXPECT_LE(*wait, 2h + 1ms) << "what did not run took a token";
}

TEST(Pacing, AStopCancelsWhatWaits) {
  pa::options options;
  options.limiter = pa::limiter({1, 1h, 1});
  options.stop.emplace();
  options.workers = 2;
  Event first_call;
  std::thread stopper([&, stop = *options.stop] {
    first_call.wait();
    stop.request();
  });
  const auto result = pa::map(
      numbers(3), [&](int) { first_call.set(); }, options);
  stopper.join();
  EXPECT_EQ(result.ended(), pa::ending::cancelled);
  EXPECT_EQ(result.failed(), 2u);
  EXPECT_EQ(result.failures()[1].state(), pa::item_state::cancelled);
}

// Processor time, not time on the clock: a process that sleeps uses none however slow or busy the machine is.
TEST(Pacing, ARunThatWaitsDoesNotSpin) {
  pa::options options;
  options.limiter = pa::limiter({1000});
  options.stop.emplace();
  options.workers = 2;
  options.limiter->pause(300ms);
  const std::clock_t before = std::clock();
  EXPECT_TRUE(pa::map(
                  numbers(3), [](int) {}, options)
                  .ok());
  EXPECT_LE(std::clock() - before, CLOCKS_PER_SEC / 10);
}

// ------------------------------------------------------------------ pauses

TEST(Pause, OfTwoTheOneThatEndsLastHolds) {
  for (const auto& [first, second] : {std::pair(1h, 3h), std::pair(3h, 1h)}) {
    pa::limiter limiter({1000, 1s, 100});
    limiter.pause(first);
    limiter.pause(second);
    const auto wait = limiter.try_acquire();
    ASSERT_TRUE(wait);
    EXPECT_GT(*wait, 2h);
    EXPECT_LE(*wait, 3h) << "they do not add up";
  }
}

TEST(Pause, IsHonouredByThoseWhoWaitForTheirTurn) {
  pa::options options;
  options.limiter = pa::limiter({1, 1h, 1});
  options.stop.emplace();
  options.workers = 3;
  Event first_call;
  std::atomic<int> calls{0};
  auto pending = pa::start(
      numbers(10),
      [&](int) {
        calls++;
        first_call.set();
      },
      options);
  first_call.wait();
  options.limiter->pause(1h);
  options.limiter->set_rate({1e6, 1s, 100});  // wakes them: they must look at the pause again
  EXPECT_FALSE(pending.wait_for(5ms));
  options.stop->request();
  pending.wait();
  EXPECT_EQ(calls, 1);
}

TEST(Pause, IsFollowedByOneCallAndThenTheSetPace) {
  pa::limiter limiter({1, 1h, 10});
  limiter.pause(1ms);
  limiter.acquire();
  EXPECT_EQ(tokens_in(limiter), 0);
}

TEST(Pause, ShorterThanAnIntervalMintsNoToken) {
  pa::limiter limiter({1, 1h, 1});
  limiter.acquire();
  const auto end = std::chrono::steady_clock::now() + 1ms;
  limiter.pause(1us);
  std::this_thread::sleep_until(end);
  EXPECT_EQ(tokens_in(limiter), 0);
}

// One worker: with item 0 refused, the others hold tokens or not, but none of them may start.
TEST(Pause, OfAServerHoldsBackWhatWasPaidFor) {
  pa::options options = attempts(5);
  options.retry.max_server_wait = std::nullopt;
  options.limiter = pa::limiter({1000, 1s, 1000});
  options.stop.emplace();
  options.workers = 1;
  std::thread stopper([limiter = *options.limiter, stop = *options.stop]() mutable {
    while (limiter.try_acquire().value_or(0s) < 30min) std::this_thread::sleep_for(1ms);
    stop.request();
  });
  std::atomic<int> calls{0};
  const auto result = pa::map(
      numbers(100),
      [&](int x, pa::call& call) {
        calls++;
        if (x == 0) {
          call.retry_after(1h);
          throw pa::failure(429, "slow down");
        }
        while (!call.stopped()) std::this_thread::yield();
      },
      options);
  stopper.join();
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(result.failed(), 100u);
  EXPECT_EQ(result[0].attempts(), 1u);
  EXPECT_EQ(result[0].code(), 429);
}

}  // namespace
