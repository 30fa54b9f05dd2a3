#include "core/limiter.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "core/retry.hpp"

namespace pa {
namespace {

constexpr nanos kMillisecond = 1'000'000;
constexpr nanos kSecond = 1'000'000'000;

// One token each millisecond.
Rate thousand(uint64_t burst) { return {1'000, kSecond, burst}; }

uint64_t take_all(Limiter& limiter, nanos now) { return limiter.take(now, 1'000'000, 1).units; }

// ---------------------------------------------------------------- the rate

TEST(Limiter, ANewBucketIsFull) {
  Limiter limiter{thousand(5)};
  EXPECT_EQ(take_all(limiter, 100 * kSecond), 5u);
  EXPECT_EQ(take_all(limiter, 100 * kSecond), 0u);
}

TEST(Limiter, TokensComeOneIntervalApart) {
  Limiter limiter{thousand(1)};
  ASSERT_EQ(take_all(limiter, 0), 1u);
  const Limiter::Grant refused = limiter.take(0, 1, 1);
  EXPECT_EQ(refused.units, 0u);
  EXPECT_EQ(refused.when, kMillisecond);
  EXPECT_EQ(take_all(limiter, kMillisecond - 1), 0u);
  EXPECT_EQ(take_all(limiter, kMillisecond), 1u);
}

TEST(Limiter, IdlingEarnsNoMoreThanTheBurst) {
  Limiter limiter{thousand(3)};
  take_all(limiter, 0);
  EXPECT_EQ(take_all(limiter, 3600 * kSecond), 3u);
}

TEST(Limiter, SaysWhetherMoreCouldBeHad) {
  Limiter limiter{thousand(3)};
  EXPECT_TRUE(limiter.take(0, 1, 1).more);
  EXPECT_FALSE(limiter.take(0, 2, 1).more);
}

TEST(Limiter, TakesWholeUnits) {
  Limiter limiter{thousand(7)};
  EXPECT_EQ(limiter.take(0, 5, 3).units, 2u);  // 1 token is left
  const Limiter::Grant refused = limiter.take(0, 1, 3);
  EXPECT_EQ(refused.units, 0u);
  EXPECT_EQ(refused.when, 2 * kMillisecond);
  EXPECT_EQ(limiter.take(refused.when, 5, 3).units, 1u);
}

TEST(Limiter, ARefusalTakesNothing) {
  Limiter limiter{thousand(4)};
  ASSERT_EQ(limiter.take(0, 1, 4).units, 1u);
  for (int i = 0; i < 100; i++) ASSERT_EQ(limiter.take(kMillisecond, 1, 4).units, 0u);
  EXPECT_EQ(limiter.take(4 * kMillisecond, 1, 4).units, 1u);
}

// Each refusal names a later time, at which something is to be had: nobody spins.
TEST(Limiter, ARefusalIsNeverForNow) {
  Random random{7};
  for (int round = 0; round < 1'000; round++) {
    Limiter limiter{{1 + random.unit() * 1e9, kSecond, 1 + random.below(4)}};
    nanos now = static_cast<nanos>(random.below(1'000'000));
    for (int step = 0; step < 20; step++) {
      const Limiter::Grant grant = limiter.take(now, 1, 1);
      if (grant.units) continue;
      ASSERT_GT(grant.when, now);
      ASSERT_GE(grant.come_back, grant.when);
      now = grant.when;
      ASSERT_EQ(limiter.take(now, 1, 1).units, 1u);
    }
  }
}

// Over a long time neither more than the rate allows, nor noticeably less: the interval is rounded up to 1/256 ns.
void check_rate(double per_second, uint64_t burst, nanos for_ns) {
  Limiter limiter{{per_second, kSecond, burst}};
  uint64_t taken = 0;
  nanos now = 0;
  while (now < for_ns) {
    const Limiter::Grant grant = limiter.take(now, UINT32_MAX, 1);
    taken += grant.units;
    if (!grant.units) now = grant.when;
  }
  const double allowed = per_second * static_cast<double>(for_ns) / kSecond + static_cast<double>(burst);
  EXPECT_LE(static_cast<double>(taken), allowed) << per_second << " a second";
  const double kept = 1 - per_second / 256e9 - 1e-6;
  EXPECT_GE(static_cast<double>(taken), kept * allowed - static_cast<double>(burst) - 1) << per_second << " a second";
}

TEST(Limiter, BurstOneReachesTheRate) {
  check_rate(1'000, 1, 10 * kSecond);
  check_rate(10'000, 1, 10 * kSecond);
}

// An interval that is rounded down would let a little too much through, and ever more of it.
TEST(Limiter, NeverOvershootsInTheLongRun) {
  check_rate(3, 1, 100'000 * kSecond);
  check_rate(7, 3, 100'000 * kSecond);
  check_rate(3e8, 100, kMillisecond);
  check_rate(7e8, 100, kMillisecond);
  check_rate(999'999'937, 100, kMillisecond);
}

TEST(Limiter, CountsForYears) {
  constexpr nanos kUptime = nanos{1} << 60;  // 36 years
  Limiter limiter{thousand(2)};
  ASSERT_EQ(take_all(limiter, kUptime), 2u);
  EXPECT_EQ(limiter.take(kUptime, 1, 1).when, kUptime + kMillisecond);
}

TEST(Limiter, OnceAYear) {
  constexpr nanos kYear = 31'536'000 * kSecond;
  Limiter limiter{{1, kYear, 1}};
  ASSERT_EQ(take_all(limiter, 0), 1u);
  EXPECT_EQ(limiter.take(1, 1, 1).when, kYear);
}

// Tokens that come faster than a thread can sleep are waited for together, if the bucket can hold them; the time of the
// first one stays known, for those who can't wait longer.
TEST(Limiter, ASleeperWaitsForSeveralFastTokens) {
  Limiter limiter{{1e6, kSecond, 20}};
  take_all(limiter, 0);
  const Limiter::Grant grant = limiter.take(0, 1, 1);
  EXPECT_EQ(grant.when, 1'000);
  EXPECT_EQ(grant.come_back, 10'000);
}

TEST(Limiter, ASleeperWaitsForTheFirstSlowToken) {
  Limiter limiter{{1, kSecond, 20}};
  take_all(limiter, 0);
  const Limiter::Grant grant = limiter.take(0, 1, 1);
  EXPECT_EQ(grant.when, kSecond);
  EXPECT_EQ(grant.come_back, kSecond);
}

// ---------------------------------------------------------------- pauses

TEST(Limiter, NothingPassesDuringAPause) {
  Limiter limiter{thousand(10)};
  limiter.pause(kSecond);
  EXPECT_EQ(take_all(limiter, 0), 0u);
  EXPECT_EQ(limiter.take(0, 1, 1).when, kSecond);
  EXPECT_EQ(take_all(limiter, kSecond - 1), 0u);
}

TEST(Limiter, AfterAPauseOneCallThenPaced) {
  Limiter limiter{thousand(10)};
  take_all(limiter, 0);
  limiter.pause(kSecond);
  EXPECT_EQ(take_all(limiter, kSecond), 1u);
  EXPECT_EQ(take_all(limiter, kSecond + kMillisecond - 1), 0u);
  EXPECT_EQ(take_all(limiter, kSecond + kMillisecond), 1u);
}

TEST(Limiter, AFullBucketHasOneTokenAfterAPause) {
  Limiter limiter{thousand(10)};
  ASSERT_EQ(limiter.take(0, 1, 1).units, 1u);
  limiter.pause(kSecond);
  EXPECT_EQ(take_all(limiter, kSecond), 1u);
}

// A pause that is shorter than one interval: with a token at its end, whatever had been taken, the rate would be exceeded.
TEST(Limiter, AShortPauseMintsNoToken) {
  Limiter limiter{thousand(1)};
  ASSERT_EQ(take_all(limiter, 0), 1u);
  limiter.pause(10);
  EXPECT_EQ(take_all(limiter, 10), 0u);
  EXPECT_EQ(take_all(limiter, kMillisecond - 1), 0u);
  EXPECT_EQ(take_all(limiter, kMillisecond), 1u);
}

TEST(Limiter, FurthestPauseWins) {
  Limiter limiter{thousand(1)};
  limiter.pause(2 * kSecond);
  limiter.pause(kSecond);
  EXPECT_EQ(take_all(limiter, kSecond), 0u);
  EXPECT_EQ(limiter.take(kSecond, 1, 1).when, 2 * kSecond);
  limiter.pause(3 * kSecond);
  EXPECT_EQ(take_all(limiter, 2 * kSecond), 0u);
  EXPECT_EQ(take_all(limiter, 3 * kSecond), 1u);
}

TEST(Limiter, EachPauseChangesTheEpoch) {
  Limiter limiter{thousand(1)};
  const uint32_t before = limiter.pause_epoch();
  limiter.pause(kSecond);
  const uint32_t paused = limiter.pause_epoch();
  EXPECT_NE(before, paused);
  limiter.pause(kSecond / 2);  // changes nothing
  EXPECT_EQ(limiter.pause_epoch(), paused);
}

// ---------------------------------------------------------------- refunds

TEST(Limiter, UnusedTokensComeBack) {
  Limiter limiter{thousand(4)};
  ASSERT_EQ(take_all(limiter, 0), 4u);
  limiter.refund(3, 0, 0);
  EXPECT_EQ(take_all(limiter, 0), 3u);
}

// While tokens were out, a full bucket would have lost what flowed in.
TEST(Limiter, ARefundIsLessWhatTheFullBucketWouldHaveLost) {
  Limiter limiter{thousand(4)};
  ASSERT_EQ(take_all(limiter, 0), 4u);
  limiter.refund(4, 0, 2 * kMillisecond);  // 2 have come meanwhile, so that 2 of the 4 would have been lost
  EXPECT_EQ(take_all(limiter, 2 * kMillisecond), 4u);

  Limiter later{thousand(4)};
  ASSERT_EQ(take_all(later, 0), 4u);
  ASSERT_EQ(take_all(later, 4 * kMillisecond), 4u);
  later.refund(4, 0, 4 * kMillisecond);
  EXPECT_EQ(take_all(later, 4 * kMillisecond), 0u);
}

TEST(Limiter, NothingComesBackAcrossAPause) {
  Limiter limiter{thousand(4)};
  ASSERT_EQ(take_all(limiter, 0), 4u);
  limiter.pause(kMillisecond);
  limiter.refund(4, 0, kMillisecond);
  EXPECT_EQ(take_all(limiter, kMillisecond), 1u);
}

// What a token is worth depends on the rate at which it was taken.
TEST(Limiter, NothingComesBackAcrossAChangeOfTheRate) {
  Limiter limiter{{1e6, kSecond, 10}};
  ASSERT_EQ(take_all(limiter, 0), 10u);
  ASSERT_EQ(take_all(limiter, 10'000), 10u);  // the bucket has been full again
  limiter.set_rate({1, kSecond, 10}, 10'000);
  limiter.refund(10, 0, 11'000);
  EXPECT_EQ(take_all(limiter, 11'000), 0u);
}

// ---------------------------------------------------------------- settle

TEST(Limiter, SettleChargesIntoDebt) {
  Limiter limiter{thousand(2)};
  limiter.settle(5, 0);
  EXPECT_EQ(take_all(limiter, 0), 0u);
  EXPECT_EQ(limiter.take(0, 1, 1).when, 4 * kMillisecond);
  EXPECT_EQ(take_all(limiter, 4 * kMillisecond), 1u);
}

TEST(Limiter, SettleGivesBackUpToTheBurst) {
  Limiter limiter{thousand(3)};
  ASSERT_EQ(limiter.take(0, 2, 1).units, 2u);
  limiter.settle(-1, 0);
  EXPECT_EQ(take_all(limiter, 0), 2u);
  limiter.settle(-100, 0);
  EXPECT_EQ(take_all(limiter, 0), 3u);
}

TEST(Limiter, SettleGivesNothingDuringAPause) {
  Limiter limiter{thousand(3)};
  limiter.pause(kSecond);
  limiter.settle(-3, 0);
  EXPECT_EQ(take_all(limiter, kSecond), 1u);
}

TEST(Limiter, SettleOfAnyNumberIsSafe) {
  Limiter limiter{{1, 31'536'000 * kSecond, 1}};
  limiter.settle(INT64_MAX, 0);
  limiter.settle(INT64_MAX, 0);
  EXPECT_EQ(take_all(limiter, 0), 0u);
  EXPECT_GT(limiter.take(0, 1, 1).when, 0);
  limiter.settle(INT64_MIN, 0);
  EXPECT_LE(take_all(limiter, 0), 1u);
}

// ---------------------------------------------------------------- live changes

TEST(Limiter, ANewRateAppliesFromNowOn) {
  Limiter limiter{thousand(1)};
  take_all(limiter, 0);
  limiter.set_rate({10, kSecond, 1}, 0);
  EXPECT_EQ(limiter.take(0, 1, 1).when, 100 * kMillisecond);
}

TEST(Limiter, TokensStayUpToTheNewBurst) {
  Limiter limiter{thousand(8)};
  ASSERT_EQ(limiter.take(0, 2, 1).units, 2u);
  limiter.set_rate({10, kSecond, 20}, 0);
  EXPECT_EQ(limiter.burst(), 20u);
  EXPECT_EQ(take_all(limiter, 0), 6u);

  Limiter smaller{thousand(8)};
  smaller.set_rate({10, kSecond, 3}, 0);
  EXPECT_EQ(take_all(smaller, 0), 3u);
}

// A run may be under way whose calls cost more than the new burst: it goes on, at the new rate.
TEST(Limiter, AUnitThatCostsMoreThanTheNewBurstStartsFromAFullBucket) {
  Limiter limiter{thousand(5)};
  ASSERT_EQ(limiter.take(0, 1, 5).units, 1u);
  limiter.set_rate(thousand(2), 0);
  const Limiter::Grant refused = limiter.take(kMillisecond, 1, 5);
  EXPECT_EQ(refused.units, 0u);
  EXPECT_EQ(refused.when, 2 * kMillisecond);
  EXPECT_EQ(limiter.take(2 * kMillisecond, 3, 5).units, 1u);
  EXPECT_EQ(limiter.take(2 * kMillisecond, 1, 1).when, 6 * kMillisecond) << "three tokens are owed";
}

TEST(Limiter, ADebtKeepsItsTokens) {
  Limiter limiter{thousand(1)};
  limiter.settle(4, 0);  // 3 owed
  limiter.set_rate({10, kSecond, 1}, 0);
  EXPECT_EQ(limiter.take(0, 1, 1).when, 400 * kMillisecond);
}

TEST(Limiter, ANewRateDoesNotEndAPause) {
  Limiter limiter{thousand(5)};
  limiter.pause(kSecond);
  limiter.set_rate({1e6, kSecond, 100}, 0);
  EXPECT_EQ(take_all(limiter, kSecond - 1), 0u);
  EXPECT_EQ(take_all(limiter, kSecond), 1u);
}

struct Ear : Listener {
  std::atomic<int> heard{0};
  void notified() noexcept override { heard++; }
};

TEST(Limiter, ThoseWhoWaitHearWhenTheWaitMayBeShorter) {
  Limiter limiter{thousand(1)};
  Ear ear;
  limiter.listeners().add(ear);
  limiter.settle(3, 0);
  limiter.pause(kSecond);
  EXPECT_EQ(ear.heard, 0);
  limiter.settle(-1, kSecond);
  EXPECT_EQ(ear.heard, 1);
  limiter.set_rate(thousand(2), kSecond);
  EXPECT_EQ(ear.heard, 2);
  limiter.listeners().remove(ear);
}

TEST(Limiter, ThreadsShareOneBudget) {
  constexpr int kThreads = 4;
  constexpr nanos kUntil = 1'000 * kMillisecond;
  Limiter limiter{thousand(10)};
  std::atomic<nanos> clock{0};
  std::atomic<uint64_t> taken{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; i++)
    threads.emplace_back([&] {
      for (nanos now; (now = clock.fetch_add(50'000)) < kUntil;) taken += limiter.take(now, 2, 1).units;
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(taken, 1'010u);
  EXPECT_GE(taken, 990u);
}

}  // namespace
}  // namespace pa
