// Streams: what is done goes to a consumer, once and in the promised order; he makes room by coming back; after the end he
// still gets what was done.
#include <algorithm>
#include <numeric>

#include "core/job.hpp"
#include "stream_stage.hpp"

namespace pa {
namespace {

constexpr nanos kMillisecond = 1'000'000;

Indices drained(Stage& stage) {
  Indices indices;
  for (const Unrun& unrun : stage.drain())
    for (uint64_t i = 0; i < unrun.count; i++) indices.push_back(unrun.first + i);
  std::sort(indices.begin(), indices.end());
  return indices;
}

// How many items are run when nobody comes for them.
uint64_t admitted_in_vain(const JobConfig& config) {
  Stage stage{config};
  Lease lease;
  while (stage.take(lease) == Take::lease) stage.complete(lease);
  return stage.job.admitted();
}

// ---------------------------------------------------------------- order

TEST(Stream, WhatIsDoneFirstComesFirst) {
  Play play{singly(stream_of(3, 3)), 3};
  for (const size_t index : {2u, 0u, 1u}) play.succeed(index);
  EXPECT_EQ(handed_out(play), (Indices{2, 0, 1}));
  EXPECT_EQ(play.next(), Next::done);
  EXPECT_EQ(play.job.end(), End::completed);
}

TEST(Stream, OrderedItComesInTheOrderOfTheInputs) {
  Play play{singly(stream_of(3, 3), true), 3};
  play.succeed(2);
  EXPECT_EQ(play.next(), Next::again);
  play.succeed(0);
  EXPECT_EQ(handed_out(play), (Indices{0}));
  play.succeed(1);
  EXPECT_EQ(handed_out(play), (Indices{1, 2}));
  EXPECT_EQ(play.next(), Next::done);
}

TEST(Stream, AnEmptyStreamIsOverAtOnce) {
  Stage stage{stream_of(0)};
  EXPECT_EQ(stage.next(), Next::done);
  EXPECT_EQ(stage.job.end(), End::completed);
  EXPECT_TRUE(stage.job.settled());
}

TEST(Stream, ALeaseComesAsOneChunk) {
  JobConfig config = stream_of(8);
  config.fixed_lease = 4;
  Stage stage{config};
  Lease lease;
  ASSERT_EQ(stage.take(lease), Take::lease);
  ASSERT_EQ(lease.count, 4u);
  stage.now += 400;
  stage.complete(lease);
  ASSERT_EQ(stage.next(), Next::chunk);
  EXPECT_EQ(stage.chunk.first, 0u);
  EXPECT_EQ(stage.chunk.count, 4u);
  EXPECT_FALSE(stage.chunk.failed);
  EXPECT_EQ(stage.chunk.attempts, 1u);
  EXPECT_EQ(stage.chunk.duration_ns, 100) << "the items of a lease share its time";
}

// It is completed when all is done, and over when all was handed out.
TEST(Stream, ItIsSettledWhenAllWasHandedOut) {
  Play play{singly(stream_of(2, 2)), 2};
  play.succeed(0);
  play.succeed(1);
  EXPECT_EQ(play.job.end(), End::completed);
  EXPECT_FALSE(play.job.settled());
  EXPECT_EQ(play.drained_count(), 0u);
  EXPECT_EQ(handed_out(play), (Indices{0, 1}));
  EXPECT_TRUE(play.job.settled());
}

// ---------------------------------------------------------------- the window

TEST(Stream, TheWindowCountsWhatTheConsumerStillHas) {
  JobConfig config = singly(stream_of(100, 8));
  config.window = 2;
  Play play{config, 2};
  Lease more;
  ASSERT_EQ(play.take(more), Take::again);
  play.succeed(0);
  EXPECT_EQ(play.take(more), Take::again) << "done, and not handed out";
  ASSERT_EQ(play.next(), Next::chunk);
  EXPECT_EQ(play.take(more), Take::again) << "handed out, and still with the consumer";
  ASSERT_EQ(play.next(), Next::again);
  EXPECT_EQ(play.wake.takers, 1u);
  EXPECT_EQ(play.take(more), Take::lease);
  EXPECT_EQ(more.first, 2u);
}

// What runs, what waits to be handed out and what the consumer has: never more than the window.
TEST(Stream, AStragglerHoldsUpThoseBehindItAndAdmission) {
  JobConfig config = singly(stream_of(100, 8), true);
  config.window = 8;
  Play play{config, 8};
  for (size_t index = 1; index < 8; index++) {
    play.succeed(index);
    EXPECT_EQ(play.next(), Next::again);
    EXPECT_EQ(play.job.in_window(), 8u);
    Lease more;
    EXPECT_EQ(play.take(more), Take::again);
  }
  play.succeed(0);
  for (uint64_t index = 0; index < 8; index++) {
    ASSERT_EQ(play.next(), Next::chunk);
    EXPECT_EQ(play.chunk.first, index);
    EXPECT_EQ(play.job.in_window(), 8 - index);
  }
}

TEST(Stream, ASourceIsPulledNoFurtherThanTheWindow) {
  JobConfig config = source_of(kUnsized, 4);
  config.stream = true;
  config.window = 3;
  Stage stage{config};
  Lease puller;
  uint64_t pulled = 0;
  while (stage.take(puller) == Take::pull) {
    pulled += puller.count;
    stage.supply(puller.count, false);
    Lease lease;
    ASSERT_EQ(stage.take(lease), Take::lease);
    stage.complete(lease);  // done, but not handed out
  }
  EXPECT_EQ(pulled, 3u);
  ASSERT_EQ(stage.next(), Next::chunk);
  ASSERT_EQ(stage.next(), Next::chunk);
  EXPECT_EQ(stage.wake.takers, 1u);
  EXPECT_EQ(stage.take(puller), Take::pull);
  EXPECT_EQ(puller.count, 1u);
}

// 16 leases for each worker.
TEST(Stream, WithoutAWindowItSuitsTheLeases) {
  for (const uint64_t size : {1u, 10u}) {
    JobConfig config = stream_of(1'000'000, 3);
    config.fixed_lease = size;
    EXPECT_EQ(admitted_in_vain(config), 16 * 3 * size) << "leases of " << size;
  }
}

TEST(Stream, WithoutAWindowItHasAtMost262144Items) {
  JobConfig config = stream_of(1'000'000, 100);
  config.fixed_lease = 1'000;
  EXPECT_EQ(admitted_in_vain(config), 262'144u);
}

TEST(Stream, WithoutAWindowEachOfManyWorkersHasTwo) {
  EXPECT_EQ(admitted_in_vain(singly(stream_of(1'000'000, 200'000))), 400'000u);
}

// The first lease is one batch: a window that held no whole one would admit nothing for ever.
TEST(Stream, WithoutAWindowBatchesFitIn) {
  JobConfig config = stream_of(10'000'000);
  config.batched = true;
  config.batch_max = 1'000'000;
  Stage stage{config};
  Lease lease;
  ASSERT_EQ(stage.take(lease), Take::lease);
  EXPECT_EQ(lease.count, 1'000'000u);
}

// Items that cost next to nothing: the leases grow, but not so far that one has what all should have.
TEST(Stream, NoLeaseHasMoreThanItsShareOfTheWindow) {
  Stage stage{stream_of(10'000'000, 4)};
  Lease lease;
  uint64_t largest = 0;
  while (stage.take(lease) == Take::lease && stage.job.admitted() < 5'000'000) {
    largest = std::max(largest, lease.count);
    stage.now += static_cast<nanos>(lease.count) / 100;
    stage.complete(lease);
    handed_out(stage);
  }
  EXPECT_EQ(largest, 262'144u / 8);
}

// ---------------------------------------------------------------- failures

TEST(Stream, AFailedItemComesAlone) {
  JobConfig config = stream_of(5);
  config.fixed_lease = 5;
  config.retry.attempts = 3;
  Stage stage{config};
  Lease lease;
  ASSERT_EQ(stage.take(lease), Take::lease);
  stage.now += 300;
  ASSERT_EQ(stage.fail_at(lease, 2, {.retryable = false}), Verdict::final);
  stage.now += 50;
  stage.complete(lease);

  struct Expected {
    uint64_t first, count;
    bool failed;
    nanos duration_ns;
  };
  for (const Expected& expected : {Expected{0, 2, false, 100}, Expected{2, 1, true, 100}, Expected{3, 2, false, 25}}) {
    ASSERT_EQ(stage.next(), Next::chunk);
    EXPECT_EQ(stage.chunk.first, expected.first);
    EXPECT_EQ(stage.chunk.count, expected.count);
    EXPECT_EQ(stage.chunk.failed, expected.failed);
    EXPECT_EQ(stage.chunk.attempts, 1u);
    EXPECT_EQ(stage.chunk.duration_ns, expected.duration_ns) << "from index " << expected.first << " on";
  }
  EXPECT_EQ(stage.next(), Next::done);
}

TEST(Stream, ARetryDoesNotCountForTheItemBehindIt) {
  JobConfig config = stream_of(2);
  config.fixed_lease = 2;
  config.retry.attempts = 2;
  Stage stage{config};
  Lease lease;
  ASSERT_EQ(stage.take(lease), Take::lease);
  stage.now += 300;
  ASSERT_EQ(stage.fail(lease), Verdict::retry);
  stage.now += 50;
  stage.complete(lease);
  ASSERT_EQ(stage.next(), Next::chunk);
  EXPECT_EQ(stage.chunk.first, 1u);
  EXPECT_EQ(stage.chunk.duration_ns, 50);
}

TEST(Stream, WhatALeaseHandsOverBeforeItsEndHasItsOwnTime) {
  JobConfig config = stream_of(3);
  config.fixed_lease = 3;
  Stage stage{config};
  Lease lease;
  ASSERT_EQ(stage.take(lease), Take::lease);
  stage.now += 300;
  ASSERT_TRUE(stage.step(lease, 1));
  stage.now += 50;
  stage.complete(lease);
  ASSERT_EQ(stage.next(), Next::chunk);
  EXPECT_EQ(stage.chunk.duration_ns, 300);
  ASSERT_EQ(stage.next(), Next::chunk);
  EXPECT_EQ(stage.chunk.count, 2u);
  EXPECT_EQ(stage.chunk.duration_ns, 25);
}

TEST(Stream, TheItemsOfABatchTakeAsLongAsTheirCall) {
  JobConfig config = stream_of(4);
  config.batched = true;
  config.batch_max = 4;
  Stage stage{config};
  Lease lease;
  ASSERT_EQ(stage.take(lease), Take::lease);
  stage.now += 300;
  ASSERT_EQ(stage.fail_at(lease, 1), Verdict::final);
  stage.complete(lease);
  for (const uint64_t first : {0u, 1u, 2u}) {
    ASSERT_EQ(stage.next(), Next::chunk);
    EXPECT_EQ(stage.chunk.first, first);
    EXPECT_EQ(stage.chunk.duration_ns, 300);
  }
}

TEST(Stream, ARetriedItemComesOnceWithAllItsAttempts) {
  for (const bool fails_at_last : {false, true}) {
    JobConfig config = stream_of(1);
    config.retry.attempts = 3;
    config.retry.backoff_ns = 100;
    Stage stage{config};
    Lease lease;
    for (const nanos wait : {100, 200}) {
      ASSERT_EQ(stage.take(lease), Take::lease);
      stage.now += 7;
      ASSERT_EQ(stage.fail(lease), Verdict::retry);
      stage.complete(lease);
      EXPECT_EQ(stage.next(), Next::again);
      stage.now += wait;
    }
    ASSERT_EQ(stage.take(lease), Take::lease);
    stage.now += 7;
    if (fails_at_last) {
      ASSERT_EQ(stage.fail(lease), Verdict::final);
    }
    stage.complete(lease);
    ASSERT_EQ(stage.next(), Next::chunk);
    EXPECT_EQ(stage.chunk.count, 1u);
    EXPECT_EQ(stage.chunk.failed, fails_at_last);
    EXPECT_EQ(stage.chunk.attempts, 3u);
    EXPECT_EQ(stage.chunk.duration_ns, 3 * 7 + 100 + 200) << "from the start of the first attempt";
    EXPECT_EQ(stage.next(), Next::done);
    EXPECT_EQ(stage.job.end(), End::completed);
  }
}

// ---------------------------------------------------------------- max_errors

TEST(Stream, ItIsOverAfterTheFailureThatReachesMaxErrors) {
  JobConfig config = singly(stream_of(100, 5));
  config.max_errors = 2;
  Play play{config, 5};
  play.succeed(3);
  play.fail_for_good(1);
  play.fail_for_good(4);
  EXPECT_EQ(play.job.end(), End::aborted);
  play.succeed(0);
  play.fail_for_good(2);
  EXPECT_EQ(handed_out(play), (Indices{3, 1, 4}));
  EXPECT_EQ(play.next(), Next::done);
  EXPECT_EQ(drained(play), (Indices{0, 2}));
  EXPECT_TRUE(play.job.settled());
}

// The end is reached in input order: a failure behind the one that is handed out last, though it came before, is not.
TEST(Stream, OrderedItIsOverAfterTheFailureThatReachesMaxErrors) {
  JobConfig config = singly(stream_of(100, 6), true);
  config.max_errors = 2;
  Play play{config, 6};
  play.fail_for_good(4);
  play.fail_for_good(3);
  ASSERT_EQ(play.job.end(), End::aborted);
  EXPECT_EQ(play.next(), Next::again) << "items ahead of it still run";
  play.succeed(5);
  play.succeed(0);
  play.fail_for_good(1);
  play.succeed(2);
  EXPECT_EQ(handed_out(play), (Indices{0, 1, 2, 3}));
  EXPECT_EQ(play.next(), Next::done);
  EXPECT_EQ(drained(play), (Indices{4, 5}));
  EXPECT_TRUE(play.job.settled());
}

TEST(Stream, WhatIsDoneAfterItWasOverIsDrained) {
  JobConfig config = singly(stream_of(100, 3));
  config.max_errors = 1;
  Play play{config, 3};
  play.fail_for_good(1);
  EXPECT_EQ(handed_out(play), (Indices{1}));
  EXPECT_EQ(drained(play), (Indices{}));
  EXPECT_FALSE(play.job.settled());
  play.succeed(0);
  play.fail_for_good(2);
  EXPECT_EQ(play.next(), Next::done);
  const std::vector<Unrun> unrun = play.drain();
  ASSERT_EQ(unrun.size(), 2u);
  for (const Unrun& item : unrun) EXPECT_EQ(item.attempts, 1u);
  EXPECT_TRUE(play.job.settled());
}

TEST(Stream, WhatWasAdmittedAndNeverRanIsDrained) {
  JobConfig config = source_of(kUnsized, 1);
  config.stream = true;
  config.max_errors = 1;
  Stage stage{config};
  Lease lease;
  ASSERT_EQ(stage.take(lease), Take::pull);
  stage.supply(3, false);
  ASSERT_EQ(stage.take(lease), Take::lease);
  stage.fail(lease);
  stage.complete(lease);
  EXPECT_EQ(drained(stage), (Indices{1, 2})) << "not what is to be handed out";
  EXPECT_EQ(handed_out(stage), (Indices{0}));
  EXPECT_EQ(stage.drained_count(), 0u);
  EXPECT_TRUE(stage.job.settled());
}

// ---------------------------------------------------------------- other ends

struct EarlyEnd : testing::TestWithParam<End> {
  // By the token, by the deadline, or by whoever says so.
  void end(Stage& stage) {
    if (GetParam() == End::cancelled) stop.request();
    if (GetParam() == End::timed_out) stage.now = kMillisecond;
    if (GetParam() == End::failed) stage.end_as(End::failed);
    ASSERT_EQ(stage.poll(), GetParam());
  }
  JobConfig limited(JobConfig config) {
    config.stop = &stop;
    config.deadline = kMillisecond;
    return config;
  }
  StopToken stop;
};
INSTANTIATE_TEST_SUITE_P(Ends, EarlyEnd, testing::Values(End::cancelled, End::timed_out, End::failed),
                         [](const auto& info) { return testing::PrintToString(info.param); });

TEST_P(EarlyEnd, WhatIsDoneIsStillHandedOutAndWhatRunsIsAwaited) {
  Play play{limited(singly(stream_of(100, 3))), 3};
  play.succeed(1);
  end(play);
  EXPECT_EQ(handed_out(play), (Indices{1}));
  EXPECT_EQ(play.next(), Next::again);
  play.succeed(2);
  EXPECT_TRUE(play.wake.owner);
  EXPECT_EQ(handed_out(play), (Indices{2}));
  play.succeed(0);
  EXPECT_EQ(handed_out(play), (Indices{0}));
  EXPECT_EQ(play.next(), Next::done);
  EXPECT_EQ(play.drained_count(), 0u) << "what was never admitted is nobody's";
  EXPECT_TRUE(play.job.settled());
}

TEST_P(EarlyEnd, ItemsThatNeverRanAreSkippedOnceNothingRuns) {
  JobConfig config = limited(singly(stream_of(100, 3), true));
  config.retry.attempts = 2;
  config.retry.backoff_ns = 10 * kMillisecond;
  Play play{config, 3};
  ASSERT_EQ(play.fail(*play.takers[0]), Verdict::retry);
  play.complete(*play.takers[0]);
  play.succeed(2);
  end(play);
  EXPECT_EQ(play.next(), Next::again) << "index 1 runs";
  play.succeed(1);
  EXPECT_TRUE(play.wake.owner);
  EXPECT_EQ(handed_out(play), (Indices{1, 2}));
  EXPECT_EQ(play.next(), Next::done);
  const std::vector<Unrun> unrun = play.drain();
  ASSERT_EQ(unrun.size(), 1u);
  EXPECT_EQ(unrun[0].first, 0u);
  EXPECT_EQ(unrun[0].attempts, 1u);
  EXPECT_TRUE(play.job.settled());
}

// The last one that runs gives its item back: nothing more is to come, and the consumer must hear of it.
TEST_P(EarlyEnd, WhoeverGivesUpLastWakesTheConsumer) {
  Play play{limited(singly(stream_of(100, 1))), 1};
  end(play);
  ASSERT_EQ(play.next(), Next::again);
  play.complete(*play.takers[0], 0);
  EXPECT_TRUE(play.wake.owner);
  EXPECT_EQ(play.next(), Next::done);
  EXPECT_EQ(drained(play), (Indices{0}));
}

TEST_P(EarlyEnd, APullThatIsUnderWayIsAwaited) {
  JobConfig config = limited(source_of(kUnsized));
  config.stream = true;
  Stage stage{config};
  Lease puller;
  ASSERT_EQ(stage.take(puller), Take::pull);
  end(stage);
  ASSERT_EQ(stage.next(), Next::again);
  EXPECT_TRUE(stage.supply(1, false));
  EXPECT_TRUE(stage.wake.owner);
  EXPECT_EQ(stage.next(), Next::done);
  EXPECT_EQ(drained(stage), (Indices{0}));
  EXPECT_TRUE(stage.job.settled());
}

TEST(Stream, TheConsumerSeesTheDeadline) {
  JobConfig config = stream_of(1);
  config.deadline = 2'000;
  Stage stage{config};
  ASSERT_EQ(stage.next(), Next::again);
  stage.now = 2'000;
  EXPECT_EQ(stage.next(), Next::done);
  EXPECT_EQ(stage.job.end(), End::timed_out);
}

// ---------------------------------------------------------------- detach, and closing

TEST(Stream, ADetachedOneAwaitsNobody) {
  JobConfig config = singly(stream_of(100, 3), true);
  config.detachable = true;
  Play play{config, 3};
  play.succeed(1);
  play.end_as(End::cancelled);
  ASSERT_EQ(play.next(), Next::again);
  std::vector<Unrun> taken;
  play.job.revoke(taken);
  ASSERT_EQ(taken.size(), 2u);
  EXPECT_EQ(handed_out(play), (Indices{1}));
  EXPECT_EQ(play.next(), Next::done);
  EXPECT_TRUE(play.job.settled());
  play.succeed(0);  // too late
  play.fail_for_good(2);
  EXPECT_EQ(play.next(), Next::done);
  EXPECT_EQ(play.drained_count(), 0u);
  EXPECT_TRUE(play.job.settled());
}

TEST(Stream, WhatAnAbandonedOneHasDoneIsDrained) {
  for (const bool ordered : {false, true}) {
    Play play{singly(stream_of(100, 4), ordered), 4};
    play.succeed(0);
    play.succeed(2);
    ASSERT_EQ(play.next(), Next::chunk);
    play.job.abandon();
    play.end_as(End::cancelled);
    EXPECT_EQ(play.next(), Next::done);
    EXPECT_EQ(drained(play), (Indices{2}));
    EXPECT_FALSE(play.job.settled());
    play.succeed(1);
    play.complete(*play.takers[3], 0);
    EXPECT_EQ(play.next(), Next::done);
    EXPECT_EQ(drained(play), (Indices{1, 3}));
    EXPECT_TRUE(play.job.settled());
  }
}

TEST(Stream, WhatWasCompletedAndNotHandedOutIsDrained) {
  Play play{singly(stream_of(2, 2)), 2};
  play.succeed(0);
  play.succeed(1);
  ASSERT_EQ(play.job.end(), End::completed);
  play.job.abandon();
  EXPECT_EQ(drained(play), (Indices{0, 1}));
  EXPECT_TRUE(play.job.settled());
}

// ---------------------------------------------------------------- cookies

TEST(Stream, ACookieComesBackWithLeaseAndChunk) {
  Stage stage{fetched_stream()};
  Lease lease;
  ASSERT_EQ(stage.take(lease), Take::pull);
  stage.supply(1, false, 77);
  ASSERT_EQ(stage.take(lease), Take::lease);
  EXPECT_EQ(lease.cookie, 77u);
  stage.complete(lease);
  ASSERT_EQ(stage.next(), Next::chunk);
  EXPECT_EQ(stage.chunk.cookie, 77u);
}

TEST(Stream, ACookieComesBackWithAFailureAndARetry) {
  JobConfig config = pushed_stream();
  config.retry.attempts = 2;
  config.retry.backoff_ns = 0;
  Stage stage{config};
  ASSERT_TRUE(stage.admit(1, false, 77));
  Lease lease;
  ASSERT_EQ(stage.take(lease), Take::lease);
  ASSERT_EQ(stage.fail(lease), Verdict::retry);
  stage.complete(lease);
  ASSERT_EQ(stage.take(lease), Take::lease);
  EXPECT_EQ(lease.cookie, 77u);
  stage.complete(lease, 0);  // a retry that is given back
  ASSERT_EQ(stage.take(lease), Take::lease);
  ASSERT_EQ(lease.attempt, 2u);
  EXPECT_EQ(lease.cookie, 77u);
  ASSERT_EQ(stage.fail(lease), Verdict::final);
  ASSERT_EQ(stage.next(), Next::chunk);
  EXPECT_TRUE(stage.chunk.failed);
  EXPECT_EQ(stage.chunk.cookie, 77u);
}

TEST(Stream, SpansWithDifferentCookiesAreNotJoined) {
  JobConfig config = pushed_stream();
  config.fixed_lease = 10;
  Stage stage{config};
  for (const uint64_t cookie : {1u, 1u, 2u, 1u}) ASSERT_TRUE(stage.admit(1, false, cookie));
  Lease lease;
  std::vector<std::pair<uint64_t, uint64_t>> spans;
  while (stage.take(lease) == Take::lease) {
    spans.emplace_back(lease.count, lease.cookie);
    stage.complete(lease);
  }
  EXPECT_EQ(spans, (std::vector<std::pair<uint64_t, uint64_t>>{{2, 1}, {1, 2}, {1, 1}}));
}

TEST(Stream, ACookieComesBackWithWhatIsGivenBack) {
  JobConfig config = pushed_stream(2);
  config.fixed_lease = 2;
  Stage stage{config};
  ASSERT_TRUE(stage.admit(2, false, 1));
  ASSERT_TRUE(stage.admit(2, false, 2));
  Lease first, second;
  ASSERT_EQ(stage.take(first), Take::lease);
  ASSERT_EQ(stage.take(second), Take::lease);
  stage.complete(first, 1);   // gives back index 1
  stage.complete(second, 0);  // and 2, 3, which are next to it
  ASSERT_EQ(stage.take(first), Take::lease);
  EXPECT_EQ(first.count, 1u);
  EXPECT_EQ(first.cookie, 1u);
  ASSERT_EQ(stage.take(second), Take::lease);
  EXPECT_EQ(second.count, 2u);
  EXPECT_EQ(second.cookie, 2u);
}

TEST(Stream, ACookieComesBackWithWhatIsRevokedOrDrained) {
  JobConfig config = pushed_stream(2);
  config.fixed_lease = 2;
  config.detachable = true;
  config.retry.attempts = 2;
  Stage stage{config};
  ASSERT_TRUE(stage.admit(1, false, 1));
  ASSERT_TRUE(stage.admit(1, false, 2));
  ASSERT_TRUE(stage.admit(2, false, 3));
  ASSERT_TRUE(stage.admit(1, false, 4));
  Lease lease;
  ASSERT_EQ(stage.take(lease), Take::lease);
  stage.complete(lease);  // 1: done, and not handed out
  ASSERT_EQ(stage.take(lease), Take::lease);
  ASSERT_EQ(stage.fail(lease), Verdict::retry);
  stage.complete(lease);                      // 2: waits
  ASSERT_EQ(stage.take(lease), Take::lease);  // 3: runs; 4: ready
  stage.job.abandon();
  stage.end_as(End::cancelled);
  std::vector<Unrun> taken;
  stage.job.revoke(taken);
  ASSERT_EQ(taken.size(), 2u) << "the one that runs, and the one behind it";
  for (const Unrun& unrun : taken) EXPECT_EQ(unrun.cookie, 3u);
  Indices cookies;
  for (const Unrun& unrun : stage.drain()) cookies.push_back(unrun.cookie);
  std::sort(cookies.begin(), cookies.end());
  EXPECT_EQ(cookies, (Indices{1, 2, 4}));
}

}  // namespace
}  // namespace pa
