// The job, one promise at a time: leases, retries, wake-ups, windows. Sources and batches are in sources_test.cpp, ends in
// ends_test.cpp, waits for tokens in pacing_test.cpp.
#include "core/job.hpp"

#include "stage.hpp"

namespace pa {
namespace {

constexpr nanos kMillisecond = 1'000'000;

// ---------------------------------------------------------------- leases

TEST(Job, NothingToDoIsCompletedAtOnce) {
  Stage stage{array_of(0)};
  Lease lease;
  EXPECT_EQ(stage.job.end(), End::completed);
  EXPECT_EQ(stage.take(lease), Take::done);
  EXPECT_TRUE(stage.job.settled());
}

TEST(Job, EachIndexIsLeasedOnce) {
  Stage stage{array_of(1'000, 3)};
  Lease leases[3];
  std::vector<int> ran(1'000);
  while (stage.job.end() == End::none)
    for (Lease& lease : leases) {
      if (stage.take(lease) != Take::lease) continue;
      for (uint64_t i = 0; i < lease.count; i++) ran[lease.first + i]++;
      stage.complete(lease);
    }
  EXPECT_EQ(ran, std::vector<int>(1'000, 1));
  EXPECT_EQ(stage.job.end(), End::completed);
  EXPECT_EQ(stage.job.resolved(), 1'000u);
  EXPECT_EQ(stage.take(leases[0]), Take::done);
}

TEST(Job, TheRestOfALeaseGoesBackUnrun) {
  JobConfig config = array_of(10);
  config.fixed_lease = 5;
  Stage stage{config};
  Lease lease;
  ASSERT_EQ(stage.take(lease), Take::lease);
  ASSERT_EQ(lease.count, 5u);
  stage.complete(lease, 2);
  EXPECT_EQ(stage.job.resolved(), 2u);
  ASSERT_EQ(stage.take(lease), Take::lease);
  EXPECT_EQ(lease.first, 2u);
  EXPECT_EQ(lease.count, 3u);
  EXPECT_EQ(lease.attempt, 1u);
}

// What is known to be over in an instant is shared out once and for all.
TEST(Job, ATinyRunIsLeasedInOnePieceForEachTaker) {
  JobConfig config = array_of(8, 2);
  config.first_lease = 4;
  Stage stage{config};
  Lease one, other;
  ASSERT_EQ(stage.take(one), Take::lease);
  EXPECT_EQ(one.count, 4u);
  ASSERT_EQ(stage.take(other), Take::lease);
  EXPECT_EQ(other.count, 4u);
}

TEST(Job, ATinyRunIsLeasedInOnePieceAlsoByAThief) {
  JobConfig config = array_of(8, 2);
  config.first_lease = 4;
  Stage stage{config};
  Lease lease;
  for (int i = 0; i < 2; i++) {
    ASSERT_EQ(stage.take(lease), Take::lease);
    EXPECT_EQ(lease.count, 4u);
    stage.complete(lease);
  }
  EXPECT_EQ(stage.job.end(), End::completed);
}

TEST(Job, AFirstLeaseLeavesHalfOfALongerLane) {
  JobConfig config = array_of(12, 2);
  config.first_lease = 4;
  Stage stage{config};
  Lease lease;
  ASSERT_EQ(stage.take(lease), Take::lease);
  EXPECT_EQ(lease.count, 3u);
}

// The calls of a batch function have a price of their own: what is left at the end is not divided for ever.
TEST(Job, AutomaticBatchesDoNotDwindle) {
  JobConfig config = array_of(1'000, 2);
  config.batched = true;
  Stage stage{config};
  Lease lease;
  uint64_t largest = 0, last = 0;
  while (stage.take(lease) == Take::lease) {
    last = lease.count;
    largest = std::max(largest, last);
    stage.complete(lease);
  }
  EXPECT_GE(largest, 64u);
  EXPECT_GE(last, largest / 8);
}

TEST(Job, AHungryTakerGetsTheLaterHalf) {
  JobConfig config = array_of(8, 2);
  config.cpus = 1;
  Stage stage{config};
  Lease holder, hungry;
  ASSERT_EQ(stage.take(holder), Take::lease);  // one, to begin with; it takes no time, and so the next is longer
  stage.complete(holder);
  ASSERT_EQ(stage.take(holder), Take::lease);
  ASSERT_EQ(holder.count, 3u);
  while (stage.take(hungry) == Take::lease) stage.complete(hungry);
  EXPECT_TRUE(stage.job.needs_step(stage.now, holder));
  EXPECT_TRUE(stage.step(holder, 1));
  EXPECT_EQ(stage.wake.takers, 1u);
  EXPECT_EQ(holder.count, 1u);
  ASSERT_EQ(stage.take(hungry), Take::lease);
  EXPECT_EQ(hungry.first, holder.first + 1);
  EXPECT_EQ(hungry.count, 1u);
}

// With more workers than CPUs, whoever finds the shared lane empty leaves, unless a long lease may still be cut.
TEST(Job, ATakerOfASharedLaneStaysWhileALongLeaseIsOut) {
  JobConfig config = array_of(8, 2);
  config.cpus = 1;
  Stage stage{config};
  Lease holder, other;
  ASSERT_EQ(stage.take(holder), Take::lease);
  stage.complete(holder);
  ASSERT_EQ(stage.take(holder), Take::lease);
  ASSERT_EQ(holder.count, 3u);
  while (stage.take(other) == Take::lease) stage.complete(other);
  EXPECT_TRUE(stage.job.needs_step(stage.now, holder)) << "the other taker has left, though it could get half of the lease";
  stage.complete(holder);
  EXPECT_EQ(stage.job.end(), End::completed);
}

TEST(Job, ATakerOfASharedLaneLeavesWhenNothingComesBack) {
  JobConfig config = array_of(2, 2);
  config.cpus = 1;
  Stage stage{config};
  Lease first, second, third;
  ASSERT_EQ(stage.take(first), Take::lease);
  ASSERT_EQ(stage.take(second), Take::lease);
  EXPECT_EQ(stage.take(third), Take::done);
  EXPECT_EQ(stage.job.end(), End::none);
}

TEST(Job, SuccessesAreToldInOrder) {
  JobConfig config = array_of(6);
  config.observed = true;
  config.fixed_lease = 3;
  Stage stage{config};
  Lease lease;
  ASSERT_EQ(stage.take(lease), Take::lease);
  ASSERT_TRUE(stage.step(lease, 1));
  EXPECT_TRUE(stage.wake.owner);
  stage.complete(lease);
  const std::vector<std::pair<uint64_t, uint64_t>> expected{{0, 1}, {1, 2}};
  EXPECT_EQ(stage.successes, expected);
}

// ---------------------------------------------------------------- large inputs

// More inputs than a lane's word holds: they are counted under the lock.
TEST(Job, IndicesBeyondTwoToTheThirtyTwo) {
  constexpr uint64_t kCount = (uint64_t{1} << 32) + 10;
  JobConfig config = array_of(kCount);
  config.fixed_lease = config.lease_max = uint64_t{1} << 31;
  config.retry.attempts = 2;
  config.retry.backoff_ns = 5;
  Stage stage{config};
  Lease lease;
  uint64_t next = 0;
  while (stage.take(lease) == Take::lease) {
    ASSERT_EQ(lease.first, next);
    next += lease.count;
    if (next <= kCount - 10 || stage.failures.size()) {
      stage.complete(lease);
      continue;
    }
    const uint64_t failing = lease.first + lease.count - 1;
    ASSERT_EQ(stage.fail_at(lease, failing), Verdict::retry);
    stage.complete(lease, 0);
    stage.now += 5;
    ASSERT_EQ(stage.take(lease), Take::lease);
    EXPECT_EQ(lease.first, failing);
    EXPECT_GE(failing, uint64_t{1} << 32);
    EXPECT_EQ(lease.attempt, 2u);
    stage.complete(lease);
  }
  EXPECT_EQ(next, kCount);
  EXPECT_EQ(stage.job.resolved(), kCount);
  EXPECT_EQ(stage.job.end(), End::completed);
}

TEST(Job, AsManyIndicesAsTheLanesHold) {
  JobConfig config = array_of(Lanes::kMaxCount, 2);
  config.fixed_lease = config.lease_max = Lanes::kMaxCount;
  Stage stage{config};
  Lease lease;
  uint64_t sum = 0;
  while (stage.take(lease) == Take::lease) {
    sum += lease.count;
    stage.complete(lease);
  }
  EXPECT_EQ(sum, Lanes::kMaxCount);
  EXPECT_EQ(stage.job.end(), End::completed);
}

TEST(Job, PlaceholdersBeyondTwoToTheThirtyTwo) {
  constexpr uint64_t kCount = uint64_t{1} << 40;
  Stage stage{array_of(kCount)};
  Lease lease;
  ASSERT_EQ(stage.take(lease), Take::lease);
  stage.end_as(End::cancelled);
  stage.complete(lease);
  EXPECT_EQ(stage.drained_count(), kCount - 1);
  EXPECT_TRUE(stage.job.settled());
}

// ---------------------------------------------------------------- retries

TEST(Job, ARetryComesAfterItsBackoff) {
  JobConfig config = array_of(1);
  config.retry.attempts = 3;
  config.retry.backoff_ns = 100;
  Stage stage{config};
  Lease lease;
  ASSERT_EQ(stage.take(lease), Take::lease);
  const nanos started = stage.now;
  EXPECT_EQ(stage.fail(lease), Verdict::retry);
  stage.complete(lease, 0);
  EXPECT_EQ(stage.take(lease), Take::again);
  EXPECT_EQ(lease.come_back, stage.now + 100);
  stage.now += 100;
  ASSERT_EQ(stage.take(lease), Take::lease);
  EXPECT_EQ(lease.attempt, 2u);
  EXPECT_EQ(lease.first_started, started);
}

TEST(Job, RetrySucceedsOnTheLastTry) {
  JobConfig config = array_of(1);
  config.retry.attempts = 4;
  config.retry.backoff_ns = 0;
  Stage stage{config};
  Lease lease;
  for (uint32_t attempt = 1; attempt <= 4; attempt++) {
    ASSERT_EQ(stage.take(lease), Take::lease);
    ASSERT_EQ(lease.attempt, attempt);
    if (attempt < 4) {
      ASSERT_EQ(stage.fail(lease), Verdict::retry);
    }
    stage.complete(lease);
  }
  EXPECT_EQ(stage.job.end(), End::completed);
  EXPECT_EQ(stage.job.failures(), 0u);
}

TEST(Job, TheLastAttemptIsFinal) {
  JobConfig config = array_of(1);
  config.retry.attempts = 2;
  config.retry.backoff_ns = 0;
  Stage stage{config};
  Lease lease;
  ASSERT_EQ(stage.take(lease), Take::lease);
  EXPECT_EQ(stage.fail(lease), Verdict::retry);
  stage.complete(lease);
  ASSERT_EQ(stage.take(lease), Take::lease);
  EXPECT_EQ(stage.fail(lease), Verdict::final);
  stage.complete(lease);
  EXPECT_EQ(stage.job.end(), End::completed);
  EXPECT_EQ(stage.job.failures(), 1u);
}

TEST(Job, WhatIsNotRetryableIsFinal) {
  JobConfig config = array_of(1);
  config.retry.attempts = 5;
  Stage stage{config};
  Lease lease;
  ASSERT_EQ(stage.take(lease), Take::lease);
  EXPECT_EQ(stage.fail(lease, {.retryable = false}), Verdict::final);
}

// The rest of the run goes on meanwhile.
TEST(Job, AWaitForARetryHoldsNoWorker) {
  JobConfig config = array_of(3);
  config.retry.attempts = 2;
  Stage stage{config};
  Lease lease;
  ASSERT_EQ(stage.take(lease), Take::lease);
  ASSERT_EQ(stage.fail(lease), Verdict::retry);
  stage.complete(lease);
  ASSERT_EQ(stage.take(lease), Take::lease);
  EXPECT_EQ(lease.first, 1u);
}

TEST(Job, ARetryThatIsDueGoesBeforeFreshWork) {
  JobConfig config = array_of(100);
  config.fixed_lease = 1;
  config.retry.attempts = 2;
  config.retry.backoff_ns = 10;
  Stage stage{config};
  Lease lease;
  ASSERT_EQ(stage.take(lease), Take::lease);
  ASSERT_EQ(stage.fail(lease), Verdict::retry);
  stage.complete(lease);
  ASSERT_EQ(stage.take(lease), Take::lease);
  EXPECT_EQ(lease.first, 1u);
  stage.complete(lease);
  stage.now += 10;
  ASSERT_EQ(stage.take(lease), Take::lease);
  EXPECT_EQ(lease.first, 0u);
}

TEST(Job, ARetryThatIsGivenBackKeepsItsAttempts) {
  JobConfig config = array_of(1);
  config.retry.attempts = 3;
  config.retry.backoff_ns = 0;
  Stage stage{config};
  Lease lease;
  ASSERT_EQ(stage.take(lease), Take::lease);
  const nanos started = stage.now;
  ASSERT_EQ(stage.fail(lease), Verdict::retry);
  stage.complete(lease);
  stage.now += 10;
  ASSERT_EQ(stage.take(lease), Take::lease);
  stage.complete(lease, 0);
  ASSERT_EQ(stage.take(lease), Take::lease);
  EXPECT_EQ(lease.attempt, 2u);
  EXPECT_EQ(lease.first_started, started);
}

// The witness hears of a failure when its fate is known, and before anybody can see that it is decided.
TEST(Job, AFailureIsToldBeforeTheCommitThatEndsTheRun) {
  Stage stage{array_of(1)};
  Lease lease;
  ASSERT_EQ(stage.take(lease), Take::lease);
  stage.fail(lease);
  ASSERT_EQ(stage.failures.size(), 1u);
  EXPECT_EQ(stage.failures[0].verdict, Verdict::final);
  EXPECT_EQ(stage.failures[0].resolved_then, 0u);
  EXPECT_EQ(stage.failures[0].end_then, End::none);
  EXPECT_EQ(stage.job.end(), End::completed);
}

TEST(Job, AFailureIsToldWithItsVerdict) {
  JobConfig config = array_of(1);
  config.retry.attempts = 2;
  config.retry.backoff_ns = 0;
  Stage stage{config};
  Lease lease;
  ASSERT_EQ(stage.take(lease), Take::lease);
  stage.fail(lease);
  stage.complete(lease);
  ASSERT_EQ(stage.take(lease), Take::lease);
  stage.fail(lease);
  ASSERT_EQ(stage.failures.size(), 2u);
  EXPECT_EQ(stage.failures[0].verdict, Verdict::retry);
  EXPECT_EQ(stage.failures[1].verdict, Verdict::final);
}

// ---------------------------------------------------------------- who is woken

// Three wait for one source; a wake is passed on though one of them keeps the time of the deadline.
TEST(Job, TheWakeChainGoesOnThoughSomebodyKeepsTheTime) {
  JobConfig config = source_of(kUnsized, 3);
  config.deadline = 1'000 * kMillisecond;
  Stage stage{config};
  Lease puller, takers[3];
  ASSERT_EQ(stage.take(puller), Take::pull);
  for (Lease& taker : takers) ASSERT_EQ(stage.take(taker), Take::again);
  EXPECT_EQ(takers[0].come_back, config.deadline);
  EXPECT_EQ(takers[1].come_back, kNever);
  stage.supply(3, true);
  EXPECT_GE(stage.wake.takers, 1u);
  ASSERT_EQ(stage.take(takers[1]), Take::lease);
  EXPECT_EQ(takers[1].count, 1u);
  EXPECT_GE(stage.wake.takers, 1u);
  ASSERT_EQ(stage.take(takers[2]), Take::lease);
  EXPECT_GE(stage.wake.takers, 1u);
}

// The keeper of the time goes to work: another one must take the time over, or the retry waits for whoever comes by chance.
TEST(Job, AStaleAlarmIsNotReliedOn) {
  JobConfig config = array_of(2, 2);
  config.window = 2;
  config.retry.attempts = 2;
  config.retry.backoff_ns = 100;
  Stage stage{config};
  Lease working, keeper, other;
  ASSERT_EQ(stage.take(working), Take::lease);
  ASSERT_EQ(stage.take(other), Take::lease);
  ASSERT_EQ(stage.fail(working), Verdict::retry);
  stage.complete(working);
  ASSERT_EQ(stage.fail(other), Verdict::retry);
  stage.now += 1;
  stage.complete(other);
  ASSERT_EQ(stage.take(keeper), Take::again);
  ASSERT_EQ(stage.take(other), Take::again);
  EXPECT_EQ(keeper.come_back, 1'100);
  EXPECT_EQ(other.come_back, kNever);
  stage.now = 1'100;
  ASSERT_EQ(stage.take(keeper), Take::lease);
  EXPECT_EQ(stage.wake.takers, 1u);
}

TEST(Job, AnEarlierRetryFindsSomebodyToKeepItsTime) {
  JobConfig config = array_of(2, 2);
  config.window = 2;
  config.retry.attempts = 2;
  config.retry.backoff_ns = 100 * kMillisecond;
  config.retry.max_server_wait_ns = kNever;
  Stage stage{config};
  Lease first, second, keeper;
  ASSERT_EQ(stage.take(first), Take::lease);
  ASSERT_EQ(stage.take(second), Take::lease);
  ASSERT_EQ(stage.fail(first), Verdict::retry);
  stage.complete(first);
  ASSERT_EQ(stage.take(keeper), Take::again);
  EXPECT_EQ(keeper.come_back, stage.now + 100 * kMillisecond);
  ASSERT_EQ(stage.fail(second, {.server_wait_ns = 10}), Verdict::retry);
  EXPECT_EQ(stage.wake.takers, 1u);
  ASSERT_EQ(stage.take(keeper), Take::again);
  EXPECT_EQ(keeper.come_back, stage.now + 10);
}

// Room and an earlier alarm come in one call, which wakes one; that one takes the room, so that it must pass the alarm on.
TEST(Job, AnAlarmIsKeptThoughWhoeverWasWokenForItFindsWork) {
  JobConfig config = array_of(10);
  config.window = 4;
  config.fixed_lease = 2;
  config.deadline = 1'000 * kMillisecond;
  config.retry.attempts = 2;
  config.retry.backoff_ns = 100;
  Stage stage{config};
  Lease failing, other, keeper, woken;
  ASSERT_EQ(stage.take(failing), Take::lease);
  ASSERT_EQ(stage.take(other), Take::lease);
  ASSERT_EQ(stage.take(keeper), Take::again);
  ASSERT_EQ(keeper.come_back, config.deadline);
  ASSERT_EQ(stage.take(woken), Take::again);
  ASSERT_EQ(stage.fail_at(failing, failing.first + 1), Verdict::retry);
  EXPECT_EQ(stage.wake.takers, 1u);
  ASSERT_EQ(stage.take(woken), Take::lease);
  EXPECT_EQ(stage.wake.takers, 1u);
  ASSERT_EQ(stage.take(keeper), Take::again);
  EXPECT_EQ(keeper.come_back, 1'100);
}

TEST(Job, WhoeverKeptTheTimeAndLeavesIsReplaced) {
  JobConfig config = array_of(1, 3);
  config.window = 1;
  config.retry.attempts = 2;
  Stage stage{config};
  Lease first, keeper, other;
  ASSERT_EQ(stage.take(first), Take::lease);
  ASSERT_EQ(stage.fail(first), Verdict::retry);
  stage.complete(first);
  ASSERT_EQ(stage.take(keeper), Take::again);
  ASSERT_EQ(stage.take(other), Take::again);
  ASSERT_NE(keeper.come_back, kNever);
  Wake wake;
  stage.job.leave(keeper, wake);
  EXPECT_EQ(wake.takers, 1u);
  ASSERT_EQ(stage.take(other), Take::again);
  EXPECT_NE(other.come_back, kNever);
}

TEST(Job, RoomInTheWindowWakesATaker) {
  JobConfig config = array_of(4, 2);
  config.window = 1;
  Stage stage{config};
  Lease first, second;
  ASSERT_EQ(stage.take(first), Take::lease);
  ASSERT_EQ(stage.take(second), Take::again);
  EXPECT_EQ(second.come_back, kNever);
  stage.complete(first);
  EXPECT_EQ(stage.wake.takers, 1u);
  EXPECT_EQ(stage.take(second), Take::lease);
}

// ---------------------------------------------------------------- window, chunks, order

TEST(Job, TheWindowBoundsWhatIsOut) {
  JobConfig config = array_of(100, 8);
  config.window = 5;
  Stage stage{config};
  Lease leases[8];
  uint64_t out = 0;
  for (Lease& lease : leases)
    if (stage.take(lease) == Take::lease) out += lease.count;
  EXPECT_EQ(out, 5u);
  EXPECT_EQ(stage.job.in_window(), 5u);
}

TEST(Job, AnItemThatWaitsForARetryKeepsItsPlaceInTheWindow) {
  JobConfig config = array_of(3);
  config.window = 1;
  config.retry.attempts = 2;
  Stage stage{config};
  Lease lease;
  ASSERT_EQ(stage.take(lease), Take::lease);
  ASSERT_EQ(stage.fail(lease), Verdict::retry);
  stage.complete(lease);
  EXPECT_EQ(stage.take(lease), Take::again);
}

TEST(Job, AChunkIsDoneBeforeTheNextBegins) {
  JobConfig config = array_of(7, 4);
  config.chunk = 3;
  Stage stage{config};
  Lease leases[4];
  for (int i = 0; i < 3; i++) ASSERT_EQ(stage.take(leases[i]), Take::lease);
  ASSERT_EQ(stage.take(leases[3]), Take::again);
  stage.complete(leases[0]);
  stage.complete(leases[1]);
  ASSERT_EQ(stage.take(leases[3]), Take::again);
  stage.complete(leases[2]);
  EXPECT_GE(stage.wake.takers, 1u);
  ASSERT_EQ(stage.take(leases[3]), Take::lease);
  EXPECT_EQ(leases[3].first, 3u);
}

// A source that delivers inputs one at a time still gets chunks of the size that was asked for, each of them concurrent.
TEST(Job, ASlowSourceFillsEachChunk) {
  JobConfig config = source_of(kUnsized, 4);
  config.chunk = 3;
  config.fixed_lease = 3;
  Stage stage{config};
  Lease puller, leases[3];
  for (uint64_t chunk = 0; chunk < 3; chunk++)
    for (uint64_t i = 0; i < 3; i++) {
      ASSERT_EQ(stage.take(puller), Take::pull);
      EXPECT_EQ(puller.first, 3 * chunk + i);
      EXPECT_EQ(puller.count, 3 - i) << "beyond the chunk";
      stage.supply(1, false);
      ASSERT_EQ(stage.take(leases[i]), Take::lease);
      if (i < 2 && chunk == 1) stage.complete(leases[i]);  // all that was pulled is done before the chunk is full
      if (i == 2)
        for (Lease& lease : leases)
          if (lease.count) stage.complete(lease);
    }
}

TEST(Job, InputOrderIsKeptOneByOne) {
  JobConfig config = array_of(10);
  config.serial = true;
  Stage stage{config};
  Lease lease;
  uint64_t next = 0;
  while (stage.take(lease) == Take::lease) {
    EXPECT_EQ(lease.first, next);
    next += lease.count;
    stage.complete(lease);
  }
  EXPECT_EQ(next, 10u);
}

TEST(Job, NothingOvertakesARetryInASerialJob) {
  JobConfig config = array_of(10);
  config.serial = true;
  config.fixed_lease = 4;
  config.retry.attempts = 2;
  config.retry.backoff_ns = 50;
  Stage stage{config};
  Lease lease;
  ASSERT_EQ(stage.take(lease), Take::lease);
  ASSERT_EQ(lease.count, 4u);
  ASSERT_EQ(stage.fail(lease), Verdict::retry);
  stage.complete(lease, 0);
  ASSERT_EQ(stage.take(lease), Take::again);
  EXPECT_EQ(lease.come_back, stage.now + 50);
  stage.now += 50;
  ASSERT_EQ(stage.take(lease), Take::lease);
  EXPECT_EQ(lease.first, 0u);
  stage.complete(lease);
  ASSERT_EQ(stage.take(lease), Take::lease);
  EXPECT_EQ(lease.first, 1u);
}

}  // namespace
}  // namespace pa
