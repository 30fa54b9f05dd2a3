// Who may run, who waits, and who is woken: jobs with more takers than workers, and the consumer of a stream.
#include "core/job.hpp"
#include "stream_stage.hpp"

namespace pa {
namespace {

constexpr nanos kSecond = 1'000'000'000;

// ---------------------------------------------------------------- more takers than workers

JobConfig gated(uint64_t count, uint32_t workers) {
  JobConfig config = array_of(count, workers);
  config.gated = true;
  return config;
}

TEST(Gated, ThereAreNeverMoreLeasesOutThanWorkers) {
  for (JobConfig config : {gated(100, 2), stream_of(100, 2)}) {
    Stage stage{config};
    std::vector<Lease> takers(5);
    for (size_t i = 0; i < takers.size(); i++) EXPECT_EQ(stage.take(takers[i]), i < 2 ? Take::lease : Take::again);
    stage.complete(takers[0]);
    EXPECT_EQ(stage.take(takers[4]), Take::lease);
    EXPECT_EQ(stage.take(takers[0]), Take::again);
  }
}

TEST(Gated, APlaceThatBecomesFreeWakesOne) {
  Stage stage{gated(100, 1)};
  Lease holder, first, second;
  ASSERT_EQ(stage.take(holder), Take::lease);
  ASSERT_EQ(stage.take(first), Take::again);
  ASSERT_EQ(stage.take(second), Take::again);
  EXPECT_EQ(first.come_back, kNever);
  stage.complete(holder);
  EXPECT_EQ(stage.wake.takers, 1u);
  ASSERT_EQ(stage.take(second), Take::lease);
  stage.complete(second, 0);  // it leaves with its lease in hand
  EXPECT_EQ(stage.wake.takers, 1u);
  ASSERT_EQ(stage.take(first), Take::lease);
}

TEST(Gated, WhoeverLeavesWakesAnother) {
  Stage stage{gated(100, 1)};
  Lease holder, woken, other;
  ASSERT_EQ(stage.take(holder), Take::lease);
  ASSERT_EQ(stage.take(woken), Take::again);
  ASSERT_EQ(stage.take(other), Take::again);
  stage.complete(holder);
  ASSERT_EQ(stage.wake.takers, 1u);
  Wake wake;
  stage.job.leave(woken, wake);
  EXPECT_EQ(wake.takers, 1u);
  EXPECT_EQ(stage.take(other), Take::lease);
}

// As many as workers are regular, in the order in which they came; the driver wakes the others last.
TEST(Gated, WhoeverComesLaterIsSpare) {
  Stage stage{gated(100, 2)};
  Lease first, second, third;
  for (Lease* lease : {&first, &second, &third}) stage.take(*lease);
  EXPECT_FALSE(first.spare);
  EXPECT_FALSE(second.spare);
  EXPECT_TRUE(third.spare);
}

TEST(Wake, WhoLooksHimselfTakesThePlaceOfOne) {
  Wake wake;
  wake.i_look_myself();
  EXPECT_FALSE(wake);
  wake.takers = 2;
  wake.i_look_myself();
  EXPECT_EQ(wake.takers, 1u);
  wake.takers = kEveryone;
  wake.i_look_myself();
  EXPECT_EQ(wake.takers, kEveryone);
}

// ---------------------------------------------------------------- the consumer

TEST(Stream, TheConsumerIsWokenWhenHeWaitsAndOnlyThen) {
  Play play{singly(stream_of(100, 4)), 4};
  play.succeed(0);
  EXPECT_FALSE(play.wake.owner) << "he has not come yet";
  ASSERT_EQ(handed_out(play), (Indices{0}));
  play.succeed(1);
  EXPECT_TRUE(play.wake.owner);
  play.succeed(2);
  EXPECT_FALSE(play.wake.owner) << "he was told";
  ASSERT_EQ(handed_out(play), (Indices{1, 2}));
  play.fail_for_good(3);
  EXPECT_EQ(handed_out(play), (Indices{3}));
}

TEST(Stream, AFailureWakesTheConsumer) {
  Play play{singly(stream_of(100, 1)), 1};
  ASSERT_EQ(play.next(), Next::again);
  play.fail(*play.takers[0], {.retryable = false});
  EXPECT_TRUE(play.wake.owner);
}

TEST(Stream, OrderedTheConsumerIsWokenWhenItIsTheTurn) {
  Play play{singly(stream_of(100, 3), true), 3};
  ASSERT_EQ(play.next(), Next::again);
  play.succeed(1);
  EXPECT_FALSE(play.wake.owner);
  play.succeed(0);
  EXPECT_TRUE(play.wake.owner);
}

TEST(Stream, TheConsumerIsWokenWhenItIsOver) {
  Play play{singly(stream_of(1, 1)), 1};
  ASSERT_EQ(play.next(), Next::again);
  play.succeed(0);
  EXPECT_TRUE(play.wake.owner);
  ASSERT_EQ(handed_out(play), (Indices{0}));

  Stage idle{stream_of(100)};
  ASSERT_EQ(idle.next(), Next::again);
  idle.end_as(End::cancelled);
  EXPECT_TRUE(idle.wake.owner);
  EXPECT_EQ(idle.next(), Next::done);
}

// A lease of many short items meets slow ones: those that are done must not wait for the others.
TEST(Stream, WhatTheConsumerWaitsForIsHandedOverBeforeALongLeaseIsOver) {
  JobConfig config = stream_of(100);
  config.fixed_lease = 10;
  Stage stage{config};
  Lease lease;
  ASSERT_EQ(stage.take(lease), Take::lease);
  stage.now += config.lease_target_ns;
  EXPECT_FALSE(stage.job.needs_step(stage.now, lease)) << "nobody waits";
  ASSERT_EQ(stage.next(), Next::again);
  EXPECT_TRUE(stage.job.needs_step(stage.now, lease));
  EXPECT_FALSE(stage.job.needs_step(stage.now - 1, lease)) << "a lease that is as long as it should be is not cut";
  ASSERT_TRUE(stage.step(lease, 3));
  EXPECT_TRUE(stage.wake.owner);
  EXPECT_FALSE(stage.job.needs_step(stage.now, lease));
  EXPECT_EQ(handed_out(stage), (Indices{0, 1, 2}));
  stage.now += config.lease_target_ns;
  EXPECT_TRUE(stage.job.needs_step(stage.now, lease));
  stage.job.abandon();
  EXPECT_FALSE(stage.job.needs_step(stage.now, lease)) << "nobody waits any more";
}

// ---------------------------------------------------------------- naps of the consumer

// A stream that has run for `age`; its consumer has just had a lease of `size` items that took `each`, and finds nothing.
nanos nap_after(nanos age, uint64_t size, nanos each, JobConfig config = stream_of(1'000'000, 2)) {
  config.fixed_lease = size;
  Stage stage{config};
  EXPECT_EQ(stage.next(), Next::again);
  EXPECT_EQ(stage.job.consumer_nap(), 0) << "nothing is known yet";
  stage.now += age;
  Lease lease, other;
  EXPECT_EQ(stage.take(lease), Take::lease);
  EXPECT_EQ(stage.take(other), Take::lease);
  stage.now += each * static_cast<nanos>(size);
  stage.complete(lease);
  EXPECT_EQ(stage.next(), Next::chunk);
  EXPECT_EQ(stage.next(), Next::again);
  return stage.job.consumer_nap();
}

TEST(Nap, HeMayTakeOneWhileLeasesAreShort) {
  EXPECT_EQ(nap_after(kSecond, 100, 1'000), 600'000);
  JobConfig roomy = stream_of(1'000'000, 2);
  roomy.window = 100'000;
  EXPECT_EQ(nap_after(kSecond, 2, 1'000, roomy), 600'000);
  EXPECT_EQ(nap_after(kSecond, 1, 1'000, roomy), 0) << "results come singly: he is to have each at once";
  EXPECT_EQ(nap_after(kSecond, 100, 7'000), 0) << "to be woken for each costs next to nothing";
}

TEST(Nap, ItIsShortBesideWhatTheStreamHasTaken) {
  EXPECT_EQ(nap_after(3'100'000, 100, 1'000), 3'200'000 / 16);
  EXPECT_EQ(nap_after(600'000, 100, 1'000), 0) << "not worth it";
}

// 100 items in the window, of which the other worker has 10: there is room for 45 items for each of the two, and half of that is kept.
TEST(Nap, ItEndsBeforeTheWindowIsFull) {
  JobConfig config = stream_of(1'000'000, 2);
  config.window = 100;
  EXPECT_EQ(nap_after(kSecond, 10, 2'000, config), 0) << "45 us are not worth it";
  EXPECT_EQ(nap_after(kSecond, 10, 4'000, config), 90'000);
}

// The items of a batch end together, and each has the duration of the call.
TEST(Nap, OfABatchOnlyTheCallCounts) {
  JobConfig config = stream_of(1'000'000, 2);
  config.batched = true;
  config.batch_max = 100;
  EXPECT_EQ(nap_after(kSecond, 100, 1'000, config), 600'000);
  EXPECT_EQ(nap_after(kSecond, 100, 7'000, config), 0);
}

}  // namespace
}  // namespace pa
