// A job under a limiter: every attempt pays, nothing that was paid for starts during a pause, and nobody waits for what
// comes too late.
#include "core/job.hpp"

#include "stage.hpp"

namespace pa {
namespace {

constexpr nanos kMillisecond = 1'000'000;
constexpr nanos kSecond = 1'000'000'000;

Rate thousand(uint64_t burst) { return {1'000, kSecond, burst}; }

JobConfig under(Limiter& limiter, uint64_t count, uint32_t workers = 1) {
  JobConfig config = array_of(count, workers);
  config.limiter = &limiter;
  return config;
}

TEST(Pacing, OneTokenForEachItem) {
  Limiter limiter{thousand(2)};
  Stage stage{under(limiter, 5, 5)};
  Lease leases[3];
  ASSERT_EQ(stage.take(leases[0]), Take::lease);
  ASSERT_EQ(stage.take(leases[1]), Take::lease);
  ASSERT_EQ(stage.take(leases[2]), Take::again);
  EXPECT_EQ(leases[2].come_back, stage.now + kMillisecond);
  stage.now += kMillisecond;
  EXPECT_EQ(stage.take(leases[2]), Take::lease);
}

TEST(Pacing, EachAttemptPays) {
  Limiter limiter{thousand(1)};
  JobConfig config = under(limiter, 1);
  config.retry.attempts = 3;
  config.retry.backoff_ns = 0;
  Stage stage{config};
  Lease lease;
  ASSERT_EQ(stage.take(lease), Take::lease);
  for (int i = 0; i < 2; i++) {
    ASSERT_EQ(stage.fail(lease), Verdict::retry);
    stage.complete(lease);
    ASSERT_EQ(stage.take(lease), Take::again);
    stage.now += kMillisecond;
    ASSERT_EQ(stage.take(lease), Take::lease);
  }
}

TEST(Pacing, ALeaseOfSeveralTakesOnlyWhatIsInTheBucket) {
  Limiter limiter{thousand(3)};
  JobConfig config = under(limiter, 100);
  config.fixed_lease = 10;
  Stage stage{config};
  Lease lease;
  ASSERT_EQ(stage.take(lease), Take::lease);
  EXPECT_EQ(lease.count, 3u);
  stage.complete(lease);
  stage.now += kMillisecond;
  ASSERT_EQ(stage.take(lease), Take::lease);
  EXPECT_EQ(lease.count, 1u);
}

TEST(Pacing, ABatchPaysForOneCall) {
  Limiter limiter{thousand(2)};
  JobConfig config = under(limiter, 100);
  config.batched = true;
  config.batch_max = 10;
  config.tokens_per_item = 0;
  config.tokens_per_lease = 2;
  Stage stage{config};
  Lease lease;
  ASSERT_EQ(stage.take(lease), Take::lease);
  EXPECT_EQ(lease.count, 10u);
  stage.complete(lease);
  ASSERT_EQ(stage.take(lease), Take::again);
  EXPECT_EQ(lease.come_back, stage.now + 2 * kMillisecond);
}

TEST(Pacing, WhatWasNotRunIsNotPaid) {
  Limiter limiter{thousand(4)};
  JobConfig config = under(limiter, 100);
  config.fixed_lease = 4;
  Stage stage{config};
  Lease lease;
  ASSERT_EQ(stage.take(lease), Take::lease);
  ASSERT_EQ(lease.count, 4u);
  stage.complete(lease, 1);
  ASSERT_EQ(stage.take(lease), Take::lease);
  EXPECT_EQ(lease.count, 3u);
}

TEST(Pacing, TwoRunsShareOneBudget) {
  Limiter limiter{thousand(1)};
  Stage first{under(limiter, 5)}, second{under(limiter, 5)};
  Lease a, b;
  ASSERT_EQ(first.take(a), Take::lease);
  ASSERT_EQ(second.take(b), Take::again);
  second.now += kMillisecond;
  first.now += kMillisecond;
  ASSERT_EQ(second.take(b), Take::lease);
  first.complete(a);
  EXPECT_EQ(first.take(a), Take::again);
}

TEST(Pacing, TheRunLooksWhenTheLimiterSays) {
  Limiter limiter{{1, kSecond, 1}};
  Stage stage{under(limiter, 2)};
  Lease lease;
  ASSERT_EQ(stage.take(lease), Take::lease);
  stage.complete(lease);
  ASSERT_EQ(stage.take(lease), Take::again);
  limiter.set_rate({1e6, kSecond, 1}, stage.now);  // its listeners wake the takers
  ASSERT_EQ(stage.take(lease), Take::again);
  EXPECT_EQ(lease.come_back, stage.now + 1'000);
}

// Inputs can be fetched while there are no tokens, though somebody keeps the time.
TEST(Pacing, PullingNeedsNoTokens) {
  Limiter limiter{thousand(1)};
  JobConfig config = source_of(kUnsized, 3);
  config.limiter = &limiter;
  config.deadline = kSecond;
  Stage stage{config};
  Lease puller, keeper, taker, other;
  ASSERT_EQ(stage.take(puller), Take::pull);
  ASSERT_EQ(stage.take(keeper), Take::again);
  EXPECT_EQ(keeper.come_back, kSecond);
  ASSERT_EQ(stage.take(taker), Take::again);
  ASSERT_EQ(stage.take(other), Take::again);
  stage.supply(1, false);
  ASSERT_EQ(stage.take(taker), Take::lease);  // the last token, and the last input
  EXPECT_EQ(stage.wake.takers, 1u) << "somebody could fetch more";
  EXPECT_EQ(stage.take(other), Take::pull);
}

// ---------------------------------------------------------------- pauses

TEST(Pacing, AfterAPauseOneCallThenPaced) {
  Limiter limiter{thousand(5)};
  Stage stage{under(limiter, 10, 5)};
  Lease leases[3];
  limiter.pause(kSecond);
  ASSERT_EQ(stage.take(leases[0]), Take::again);
  EXPECT_EQ(leases[0].come_back, kSecond);
  stage.now = kSecond;
  ASSERT_EQ(stage.take(leases[0]), Take::lease);
  ASSERT_EQ(leases[0].count, 1u);
  ASSERT_EQ(stage.take(leases[1]), Take::again);
  stage.now += kMillisecond;
  ASSERT_EQ(stage.take(leases[1]), Take::lease);
  ASSERT_EQ(stage.take(leases[2]), Take::again);
}

TEST(Pacing, FurthestPauseWins) {
  Limiter limiter{thousand(5)};
  JobConfig config = under(limiter, 4, 4);
  config.retry.attempts = 2;
  config.retry.max_server_wait_ns = kNever;
  Stage stage{config};
  Lease first, second, third;
  ASSERT_EQ(stage.take(first), Take::lease);
  ASSERT_EQ(stage.take(second), Take::lease);
  ASSERT_EQ(stage.fail(first, {.server_wait_ns = 2 * kSecond}), Verdict::retry);
  ASSERT_EQ(stage.fail(second, {.server_wait_ns = kSecond}), Verdict::retry);
  ASSERT_EQ(stage.take(third), Take::again);
  EXPECT_GE(third.come_back, kSecond);
  stage.now += kSecond;
  ASSERT_EQ(stage.take(third), Take::again);
  EXPECT_EQ(third.come_back, 1'000 + 2 * kSecond);
}

TEST(Pacing, ServerWaitOnFinalAttemptStillPauses) {
  Limiter limiter{thousand(5)};
  Stage stage{under(limiter, 3)};
  Lease lease;
  ASSERT_EQ(stage.take(lease), Take::lease);
  EXPECT_EQ(stage.fail(lease, {.server_wait_ns = kSecond}), Verdict::final);
  stage.complete(lease);
  ASSERT_EQ(stage.take(lease), Take::again);
  EXPECT_EQ(lease.come_back, 1'000 + kSecond);
}

// What is not to be retried at all was not a server asking for patience.
TEST(Pacing, OnlyARetryableFailurePauses) {
  Limiter limiter{thousand(5)};
  Stage stage{under(limiter, 3)};
  Lease lease;
  ASSERT_EQ(stage.take(lease), Take::lease);
  EXPECT_EQ(stage.fail(lease, {.retryable = false, .server_wait_ns = kSecond}), Verdict::final);
  stage.complete(lease);
  EXPECT_EQ(stage.take(lease), Take::lease);
}

TEST(Pacing, TheServersWaitHasACap) {
  Limiter limiter{thousand(5)};
  JobConfig config = under(limiter, 3);
  config.retry.max_server_wait_ns = 10 * kMillisecond;
  Stage stage{config};
  Lease lease;
  ASSERT_EQ(stage.take(lease), Take::lease);
  stage.fail(lease, {.server_wait_ns = 86'400 * kSecond});
  stage.complete(lease);
  ASSERT_EQ(stage.take(lease), Take::again);
  EXPECT_EQ(lease.come_back, 1'000 + 10 * kMillisecond);
}

TEST(Pacing, APauseIsHonouredByThoseWhoSleepTowardASlot) {
  Limiter limiter{thousand(1)};
  Stage stage{under(limiter, 3)};
  Lease lease;
  ASSERT_EQ(stage.take(lease), Take::lease);
  stage.complete(lease);
  ASSERT_EQ(stage.take(lease), Take::again);
  const nanos slot = lease.come_back;
  limiter.pause(slot + kSecond);
  stage.now = slot;
  ASSERT_EQ(stage.take(lease), Take::again);
  EXPECT_EQ(lease.come_back, slot + kSecond);
}

// Calls that were paid for and wait behind others in a lease must not start while the server asks for patience.
TEST(Pacing, NothingPaidForStartsDuringAPause) {
  Limiter limiter{thousand(8)};
  JobConfig config = under(limiter, 20);
  config.fixed_lease = 4;
  Stage stage{config};
  Lease lease;
  ASSERT_EQ(stage.take(lease), Take::lease);
  ASSERT_EQ(lease.count, 4u);
  EXPECT_FALSE(stage.job.needs_step(stage.now, lease));
  limiter.pause(kSecond);
  EXPECT_TRUE(stage.job.needs_step(stage.now, lease));
  EXPECT_FALSE(stage.step(lease, 1));
  ASSERT_EQ(stage.take(lease), Take::again);
  EXPECT_EQ(lease.come_back, kSecond);
  stage.now = kSecond;
  ASSERT_EQ(stage.take(lease), Take::lease);
  EXPECT_EQ(lease.first, 1u);
  EXPECT_EQ(lease.count, 1u);
}

// ---------------------------------------------------------------- ends while waiting for tokens

TEST(Pacing, TimeoutDuringPacingEndsWhenGrantIsPredictedLate) {
  Limiter limiter{{1, kSecond, 1}};
  JobConfig config = under(limiter, 3);
  config.deadline = kSecond / 2;
  Stage stage{config};
  Lease lease;
  ASSERT_EQ(stage.take(lease), Take::lease);
  stage.complete(lease);
  EXPECT_EQ(stage.take(lease), Take::done);
  EXPECT_EQ(stage.job.end(), End::timed_out);
  EXPECT_EQ(stage.drained_count(), 2u);
  EXPECT_EQ(limiter.take(1'000 + kSecond, 1, 1).units, 1u) << "a token was used";
}

TEST(Pacing, TimeoutDuringAPauseEndsAtOnce) {
  Limiter limiter{thousand(1)};
  limiter.pause(10 * kSecond);
  JobConfig config = under(limiter, 3);
  config.deadline = kSecond;
  Stage stage{config};
  Lease lease;
  EXPECT_EQ(stage.take(lease), Take::done);
  EXPECT_EQ(stage.job.end(), End::timed_out);
}

// Sleepers wait for several tokens where they come fast; that must not cost the last ones before the deadline.
TEST(Pacing, TheLastTokenBeforeTheDeadlineIsUsed) {
  Limiter limiter{{10'000, kSecond, 10}};
  JobConfig config = under(limiter, 100, 100);
  config.deadline = 150'000;
  Stage stage{config};
  Lease leases[12];
  for (int i = 0; i < 10; i++) ASSERT_EQ(stage.take(leases[i]), Take::lease);
  ASSERT_EQ(stage.take(leases[10]), Take::again);
  ASSERT_EQ(leases[10].come_back, 101'000);
  stage.now = 101'000;
  EXPECT_EQ(stage.take(leases[10]), Take::lease);
  EXPECT_EQ(stage.take(leases[11]), Take::done);
  EXPECT_EQ(stage.job.end(), End::timed_out);
}

TEST(Pacing, StopDuringPacing) {
  Limiter limiter{{1, 3'600 * kSecond, 1}};
  StopToken stop;
  JobConfig config = under(limiter, 3);
  config.stop = &stop;
  Stage stage{config};
  Lease lease;
  ASSERT_EQ(stage.take(lease), Take::lease);
  stage.complete(lease);
  ASSERT_EQ(stage.take(lease), Take::again);
  EXPECT_GT(lease.come_back, stage.now + 3'000 * kSecond);  // it sleeps; nobody polls
  stop.request();
  EXPECT_EQ(stage.take(lease), Take::done);
  EXPECT_EQ(stage.job.end(), End::cancelled);
  EXPECT_EQ(stage.job.resolved(), 1u);
}

TEST(Pacing, MaxErrorsEndsBeforeMoreIsPaid) {
  Limiter limiter{thousand(5)};
  JobConfig config = under(limiter, 100, 100);
  config.max_errors = 1;
  Stage stage{config};
  Lease lease, other;
  ASSERT_EQ(stage.take(lease), Take::lease);
  stage.fail(lease);
  EXPECT_EQ(stage.take(other), Take::done);
  EXPECT_EQ(limiter.take(stage.now, 10, 1).units, 4u);
}

// All sleep, one until the deadline; then work comes for several, and tokens for one.
TEST(Pacing, SomebodyKeepsTheTimeOfTheNextTokenEvenBesideADeadline) {
  Limiter limiter{thousand(1)};
  JobConfig config = under(limiter, kUnsized, 3);
  config.fetched = config.pushed = true;
  config.deadline = kSecond;
  Stage stage{config};
  Lease first, second, third;
  for (Lease* lease : {&first, &second, &third}) ASSERT_EQ(stage.take(*lease), Take::again);
  ASSERT_EQ(first.come_back, kSecond);
  ASSERT_TRUE(stage.admit(3, false));
  ASSERT_EQ(stage.wake.takers, 1u);
  ASSERT_EQ(stage.take(second), Take::lease);
  EXPECT_EQ(stage.wake.takers, 1u);
  ASSERT_EQ(stage.take(third), Take::again);
  EXPECT_EQ(third.come_back, stage.now + kMillisecond);
}

}  // namespace
}  // namespace pa
