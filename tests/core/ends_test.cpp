// How a run ends: once, for one reason, and nothing is handed out afterwards. Indices that were not run are accounted for.
#include "core/job.hpp"

#include "stage.hpp"

namespace pa {
namespace {

constexpr nanos kSecond = 1'000'000'000;

// ---------------------------------------------------------------- the reason

TEST(End, TokenStoppedAndTimeoutZeroIsCancelled) {
  StopToken stop;
  stop.request();
  JobConfig config = array_of(5);
  config.stop = &stop;
  config.deadline = 0;
  Stage stage{config};
  Lease lease;
  EXPECT_EQ(stage.take(lease), Take::done);
  EXPECT_EQ(stage.job.end(), End::cancelled);
  EXPECT_EQ(stage.drained_count(), 5u);
}

TEST(End, StopWinsOverDeadline) {
  StopToken stop;
  JobConfig config = array_of(5);
  config.stop = &stop;
  config.deadline = 2'000;
  Stage stage{config};
  Lease lease;
  ASSERT_EQ(stage.take(lease), Take::lease);
  stage.now = 2'000;
  stop.request();
  EXPECT_EQ(stage.poll(), End::cancelled);
}

TEST(End, FirstWriterWins) {
  StopToken stop;
  JobConfig config = array_of(5);
  config.stop = &stop;
  config.deadline = 2'000;
  config.max_errors = 1;
  Stage stage{config};
  Lease lease;
  ASSERT_EQ(stage.take(lease), Take::lease);
  stage.now = 2'000;
  EXPECT_EQ(stage.fail(lease), Verdict::final);
  EXPECT_EQ(stage.job.end(), End::aborted);
  stop.request();
  EXPECT_EQ(stage.poll(), End::aborted);
  EXPECT_FALSE(stage.end_as(End::failed));
  EXPECT_EQ(stage.job.end(), End::aborted);
}

TEST(End, EverybodyIsWoken) {
  JobConfig config = array_of(1);
  config.workers = 2;
  config.cpus = 2;
  Stage stage{config};
  Lease lease, parked;
  ASSERT_EQ(stage.take(lease), Take::lease);
  ASSERT_EQ(stage.take(parked), Take::again);
  stage.complete(lease);
  EXPECT_EQ(stage.wake.takers, kEveryone);
  EXPECT_TRUE(stage.wake.owner);
}

TEST(End, NobodyIsWokenWhereNobodySleeps) {
  Stage stage{array_of(1)};
  Lease lease;
  ASSERT_EQ(stage.take(lease), Take::lease);
  stage.complete(lease);
  EXPECT_EQ(stage.wake.takers, 0u);
}

// All is resolved, but not in time: what came first is the reason.
TEST(End, WhatCameBeforeTheLastItemWasDoneIsTheReason) {
  StopToken stop;
  JobConfig config = array_of(1);
  config.stop = &stop;
  config.deadline = 2'000;
  Stage late{config};
  Lease lease;
  ASSERT_EQ(late.take(lease), Take::lease);
  late.now = 2'000;
  late.complete(lease);
  EXPECT_EQ(late.job.end(), End::timed_out);
  EXPECT_EQ(late.job.resolved(), 1u);

  Stage stopped{config};
  Lease other;
  ASSERT_EQ(stopped.take(other), Take::lease);
  stop.request();
  stopped.now = 2'000;
  stopped.complete(other);
  EXPECT_EQ(stopped.job.end(), End::cancelled);
  EXPECT_TRUE(stopped.job.settled());
}

TEST(End, TimeoutZeroRunsNothing) {
  JobConfig config = array_of(3);
  config.deadline = 0;
  Stage stage{config};
  Lease lease;
  EXPECT_EQ(stage.take(lease), Take::done);
  EXPECT_EQ(stage.job.end(), End::timed_out);
  EXPECT_EQ(stage.job.resolved(), 0u);
  EXPECT_EQ(stage.drained_count(), 3u);
}

TEST(End, TimeoutWhileNothingIsInFlightOfAnUnsizedSource) {
  JobConfig config = source_of(kUnsized);
  config.deadline = 2'000;
  Stage stage{config};
  Lease lease;
  ASSERT_EQ(stage.take(lease), Take::pull);
  stage.supply(1, false);
  ASSERT_EQ(stage.take(lease), Take::lease);
  stage.complete(lease);
  stage.now = 2'000;
  EXPECT_EQ(stage.take(lease), Take::done);
  EXPECT_EQ(stage.job.end(), End::timed_out);
  EXPECT_EQ(stage.drained_count(), 0u);
  EXPECT_TRUE(stage.job.settled());
}

// All that is left waits for a retry that comes too late: nobody needs to wait for the deadline.
TEST(End, TimeoutIsSeenAheadWhenOnlyLateRetriesAreLeft) {
  JobConfig config = array_of(1);
  config.window = 1;
  config.retry.attempts = 2;
  config.retry.backoff_ns = kSecond;
  config.deadline = 2'000;
  Stage stage{config};
  Lease lease;
  ASSERT_EQ(stage.take(lease), Take::lease);
  ASSERT_EQ(stage.fail(lease), Verdict::retry);
  stage.complete(lease);
  EXPECT_EQ(stage.take(lease), Take::done);
  EXPECT_EQ(stage.job.end(), End::timed_out);
}

// ---------------------------------------------------------------- max_errors

TEST(End, MaxErrorsEndsTheRun) {
  JobConfig config = array_of(10);
  config.max_errors = 2;
  config.fixed_lease = 1;
  Stage stage{config};
  Lease lease;
  for (int i = 0; i < 2; i++) {
    ASSERT_EQ(stage.take(lease), Take::lease);
    stage.fail(lease);
    stage.complete(lease);
  }
  EXPECT_EQ(stage.job.end(), End::aborted);
  EXPECT_EQ(stage.take(lease), Take::done);
  EXPECT_EQ(stage.drained_count(), 8u);
}

TEST(End, TheNthFailureOnTheLastItemAborts) {
  JobConfig config = array_of(1);
  config.max_errors = 1;
  Stage stage{config};
  Lease lease;
  ASSERT_EQ(stage.take(lease), Take::lease);
  stage.fail(lease);
  EXPECT_EQ(stage.job.end(), End::aborted);
  EXPECT_EQ(stage.failures[0].end_then, End::none);
}

TEST(End, MoreErrorsAllowedThanItems) {
  JobConfig config = array_of(2);
  config.max_errors = 3;
  Stage stage{config};
  Lease lease;
  while (stage.take(lease) == Take::lease) {
    stage.fail(lease);
    stage.complete(lease);
  }
  EXPECT_EQ(stage.job.end(), End::completed);
  EXPECT_EQ(stage.job.failures(), 2u);
}

TEST(End, ASuccessAfterARetryIsNoError) {
  JobConfig config = array_of(1);
  config.max_errors = 1;
  config.retry.attempts = 2;
  config.retry.backoff_ns = 0;
  Stage stage{config};
  Lease lease;
  ASSERT_EQ(stage.take(lease), Take::lease);
  ASSERT_EQ(stage.fail(lease), Verdict::retry);
  stage.complete(lease);
  ASSERT_EQ(stage.take(lease), Take::lease);
  stage.complete(lease);
  EXPECT_EQ(stage.job.end(), End::completed);
}

TEST(End, CallsThatRunKeepTheirOutcome) {
  JobConfig config = array_of(3, 3);
  config.max_errors = 1;
  Stage stage{config};
  Lease failing, good, bad;
  for (Lease* lease : {&failing, &good, &bad}) ASSERT_EQ(stage.take(*lease), Take::lease);
  stage.fail(failing);
  stage.complete(failing);
  ASSERT_EQ(stage.job.end(), End::aborted);
  stage.complete(good);
  EXPECT_EQ(stage.fail(bad), Verdict::final);
  stage.complete(bad);
  EXPECT_EQ(stage.job.resolved(), 3u);
  EXPECT_EQ(stage.job.failures(), 2u);
  EXPECT_EQ(stage.drained_count(), 0u);
  EXPECT_TRUE(stage.job.settled());
}

// ---------------------------------------------------------------- nothing after the end

TEST(End, ARunningTakerIsToldToStep) {
  StopToken stop;
  JobConfig config = array_of(10);
  config.stop = &stop;
  config.deadline = 5'000;
  config.fixed_lease = 4;
  Stage stage{config};
  Lease lease;
  ASSERT_EQ(stage.take(lease), Take::lease);
  EXPECT_FALSE(stage.job.needs_step(stage.now, lease));
  EXPECT_TRUE(stage.job.needs_step(5'000, lease));
  stop.request();
  EXPECT_TRUE(stage.job.needs_step(stage.now, lease));
  EXPECT_FALSE(stage.step(lease, 1));
  EXPECT_EQ(stage.job.resolved(), 1u);
  EXPECT_EQ(stage.drained_count(), 9u);
}

// What is behind it runs already, in another process: nobody else may get it, and it still counts.
TEST(End, AnAdvancingTakerKeepsItsLease) {
  StopToken stop;
  JobConfig config = array_of(10);
  config.stop = &stop;
  config.fixed_lease = 4;
  Stage stage{config};
  Lease lease;
  ASSERT_EQ(stage.take(lease), Take::lease);
  stop.request();
  EXPECT_TRUE(stage.advance(lease, 1));
  EXPECT_EQ(lease.first, 1u);
  EXPECT_EQ(lease.count, 3u);
  EXPECT_EQ(stage.job.resolved(), 1u);
  EXPECT_EQ(stage.poll(), End::cancelled);
  stage.complete(lease, 2);
  EXPECT_EQ(stage.job.resolved(), 3u);
  EXPECT_EQ(stage.drained_count(), 7u);
}

// Background retries must not go on after the run has returned.
TEST(End, NoRetryAfterTheEnd) {
  JobConfig config = array_of(2);
  config.retry.attempts = 3;
  config.retry.backoff_ns = 10;
  config.deadline = 2'000;
  Stage stage{config};
  Lease lease;
  ASSERT_EQ(stage.take(lease), Take::lease);
  ASSERT_EQ(stage.fail(lease), Verdict::retry);
  stage.complete(lease);
  stage.now = 2'000;
  EXPECT_EQ(stage.take(lease), Take::done);
  const std::vector<Unrun> unrun = stage.drain();
  ASSERT_EQ(unrun.size(), 2u);
  EXPECT_EQ(unrun[0].first, 0u);
  EXPECT_EQ(unrun[0].attempts, 1u);
  EXPECT_EQ(unrun[1].first, 1u);
  EXPECT_EQ(unrun[1].attempts, 0u);
}

// Attempts were left when the run ended: not a failed item, but one that was not finished, with the attempts it had.
TEST(End, AFailureAfterTheEndIsNotFinalWhileAttemptsAreLeft) {
  StopToken stop;
  JobConfig config = array_of(1);
  config.stop = &stop;
  config.retry.attempts = 3;
  Stage stage{config};
  Lease lease;
  ASSERT_EQ(stage.take(lease), Take::lease);
  stop.request();
  EXPECT_EQ(stage.fail(lease), Verdict::stopped);
  stage.complete(lease);
  EXPECT_EQ(stage.job.end(), End::cancelled);
  EXPECT_EQ(stage.job.failures(), 0u);
  const std::vector<Unrun> unrun = stage.drain();
  ASSERT_EQ(unrun.size(), 1u);
  EXPECT_EQ(unrun[0].attempts, 1u);
}

// A call that sees the end and returns early has not failed.
TEST(End, WhoeverGivesUpBecauseOfTheEndHasNotFailed) {
  StopToken stop;
  JobConfig config = array_of(2, 2);
  config.stop = &stop;
  Stage stage{config};
  Lease early, late;
  ASSERT_EQ(stage.take(early), Take::lease);
  ASSERT_EQ(stage.take(late), Take::lease);
  EXPECT_EQ(stage.fail(early, {.gave_up = true}), Verdict::final) << "the run has not ended";
  stop.request();
  EXPECT_EQ(stage.fail(late, {.gave_up = true}), Verdict::stopped);
  EXPECT_EQ(stage.job.failures(), 1u);
  EXPECT_EQ(stage.drained_count(), 1u);
}

// What the owner still has to do may fail the run; until it has said so there is no end.
TEST(End, TheOwnerConcludes) {
  JobConfig config = array_of(1);
  config.owner_concludes = true;
  for (const End end : {End::completed, End::failed}) {
    Stage stage{config};
    Lease lease;
    ASSERT_EQ(stage.take(lease), Take::lease);
    stage.complete(lease);
    EXPECT_TRUE(stage.wake.owner);
    EXPECT_TRUE(stage.job.all_resolved());
    EXPECT_EQ(stage.job.end(), End::none);
    EXPECT_EQ(stage.take(lease), Take::done);
    if (end == End::failed) {
      EXPECT_TRUE(stage.end_as(End::failed));
    }
    EXPECT_EQ(stage.job.conclude(stage.wake), end == End::completed);
    EXPECT_EQ(stage.job.end(), end);
    EXPECT_TRUE(stage.job.settled());
  }
}

TEST(End, ASourceIsNotPulledAfterAStop) {
  StopToken stop;
  JobConfig config = source_of(kUnsized, 2);
  config.stop = &stop;
  Stage stage{config};
  Lease lease;
  ASSERT_EQ(stage.take(lease), Take::pull);
  stage.supply(1, false);
  stop.request();
  EXPECT_EQ(stage.take(lease), Take::done);
  EXPECT_EQ(stage.drained_count(), 1u);
  EXPECT_TRUE(stage.job.settled());
}

TEST(End, AStoppedTokenMeansNoPullAtAll) {
  StopToken stop;
  stop.request();
  JobConfig config = source_of(7);
  config.stop = &stop;
  Stage stage{config};
  Lease lease;
  EXPECT_EQ(stage.take(lease), Take::done);
  EXPECT_EQ(stage.drained_count(), 7u);
}

// A source that fails while slow calls run: admission stops at once.
TEST(End, AFailingSourceStopsAdmissionAtOnce) {
  Stage stage{source_of(kUnsized, 2)};
  Lease running, puller, parked;
  ASSERT_EQ(stage.take(puller), Take::pull);
  stage.supply(2, false);
  ASSERT_EQ(stage.take(running), Take::lease);
  ASSERT_EQ(stage.take(puller), Take::lease);
  stage.complete(puller);
  ASSERT_EQ(stage.take(puller), Take::pull);
  ASSERT_EQ(stage.take(parked), Take::again);
  stage.end_as(End::failed);
  EXPECT_EQ(stage.wake.takers, kEveryone);
  stage.supply(0, true);
  EXPECT_EQ(stage.take(puller), Take::done);
  EXPECT_EQ(stage.job.end(), End::failed);
  stage.complete(running);
  EXPECT_EQ(stage.job.resolved(), 2u);
  EXPECT_TRUE(stage.job.settled());
}

// ---------------------------------------------------------------- placeholders

TEST(End, ATruncatedRunHasAnEntryForEachDeclaredInput) {
  Stage stage{source_of(10)};
  Lease lease;
  ASSERT_EQ(stage.take(lease), Take::pull);
  stage.supply(2, false);
  stage.end_as(End::cancelled);
  EXPECT_EQ(stage.drained_count(), 10u);
  EXPECT_TRUE(stage.job.settled());
}

TEST(End, APullThatIsUnderWayStillCounts) {
  Stage stage{source_of(10, 2)};
  Lease puller;
  ASSERT_EQ(stage.take(puller), Take::pull);
  stage.end_as(End::cancelled);
  uint64_t count = stage.drained_count();
  EXPECT_FALSE(stage.job.settled()) << "inputs may still come";
  EXPECT_TRUE(stage.supply(1, false));
  for (const Unrun& unrun : stage.drain()) count += unrun.count;
  EXPECT_EQ(count, 10u);
  EXPECT_TRUE(stage.job.settled());
}

TEST(End, NothingIsDrainedBeforeTheEnd) {
  Stage stage{array_of(3)};
  EXPECT_FALSE(stage.job.drain());
  EXPECT_FALSE(stage.job.settled());
}

// ---------------------------------------------------------------- detach

// Items that run when a detached run ends have been started, and say so; those behind them in the lease have not.
TEST(End, AttemptsOfRunningItemsAreReported) {
  JobConfig config = array_of(10);
  config.detachable = true;
  config.fixed_lease = 4;
  config.deadline = 2'000;
  Stage stage{config};
  Lease lease;
  ASSERT_EQ(stage.take(lease), Take::lease);
  ASSERT_EQ(lease.count, 4u);
  stage.now = 2'000;
  EXPECT_EQ(stage.poll(), End::timed_out);
  std::vector<Unrun> taken;
  stage.job.revoke(taken);
  ASSERT_EQ(taken.size(), 2u);
  EXPECT_EQ(taken[0].first, 0u);
  EXPECT_EQ(taken[0].count, 1u);
  EXPECT_EQ(taken[0].attempts, 1u);
  EXPECT_EQ(taken[1].first, 1u);
  EXPECT_EQ(taken[1].count, 3u);
  EXPECT_EQ(taken[1].attempts, 0u);
  EXPECT_EQ(stage.drained_count(), 6u);
  EXPECT_TRUE(stage.job.settled());
}

TEST(End, ABatchThatRunsHasStartedAsAWhole) {
  JobConfig config = array_of(4);
  config.detachable = true;
  config.batched = true;
  config.batch_max = 4;
  Stage stage{config};
  Lease lease;
  ASSERT_EQ(stage.take(lease), Take::lease);
  stage.end_as(End::cancelled);
  std::vector<Unrun> taken;
  stage.job.revoke(taken);
  ASSERT_EQ(taken.size(), 1u);
  EXPECT_EQ(taken[0].count, 4u);
  EXPECT_EQ(taken[0].attempts, 1u);
}

TEST(End, LateCallsOfADetachedTakerChangeNothing) {
  for (const char* call : {"step", "advance", "fail", "complete"}) {
    JobConfig config = array_of(3);
    config.detachable = true;
    config.observed = true;
    Stage stage{config};
    Lease lease;
    ASSERT_EQ(stage.take(lease), Take::lease);
    stage.end_as(End::cancelled);
    std::vector<Unrun> taken;
    stage.job.revoke(taken);
    const std::string which = call;
    if (which == "step") {
      EXPECT_FALSE(stage.step(lease, 1));
    } else if (which == "advance") {
      EXPECT_FALSE(stage.advance(lease, 1));
    } else if (which == "fail") {
      EXPECT_EQ(stage.fail(lease), Verdict::stopped);
    } else {
      stage.complete(lease);
    }
    EXPECT_TRUE(lease.revoked) << call;
    EXPECT_EQ(stage.job.resolved(), 0u) << call;
    EXPECT_TRUE(stage.failures.empty()) << call;
    EXPECT_TRUE(stage.successes.empty()) << call;
    EXPECT_EQ(stage.drained_count(), 2u) << call;
    EXPECT_TRUE(stage.job.settled()) << call;
    EXPECT_EQ(stage.take(lease), Take::done) << call;
  }
}

TEST(End, InputsThatComeAfterDetachAreNotPartOfTheRun) {
  JobConfig config = source_of(5, 2);
  config.detachable = true;
  Stage stage{config};
  Lease puller;
  ASSERT_EQ(stage.take(puller), Take::pull);
  stage.end_as(End::cancelled);
  std::vector<Unrun> taken;
  stage.job.revoke(taken);
  EXPECT_TRUE(taken.empty());
  EXPECT_EQ(stage.drained_count(), 5u);
  EXPECT_TRUE(stage.job.settled());
  EXPECT_FALSE(stage.supply(1, false));
  EXPECT_TRUE(stage.job.settled());
}

}  // namespace
}  // namespace pa
