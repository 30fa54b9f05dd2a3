// Where a job's indices come from when they have to be pulled, and how they are gathered into batches.
#include "core/job.hpp"
#include "stage.hpp"

namespace pa {
namespace {

constexpr nanos kMillisecond = 1'000'000;

TEST(Job, OneTakerAtATimePulls) {
  Stage stage{source_of(kUnsized, 2)};
  Lease puller, other;
  ASSERT_EQ(stage.take(puller), Take::pull);
  EXPECT_EQ(puller.first, 0u);
  EXPECT_EQ(stage.take(other), Take::again);
  stage.supply(1, false);
  EXPECT_EQ(stage.wake.takers, 1u);
  EXPECT_EQ(stage.take(other), Take::lease);
  EXPECT_EQ(stage.take(puller), Take::pull);
}

TEST(Job, NothingIsPulledBeyondTheWindow) {
  JobConfig config = source_of(kUnsized, 4);
  config.window = 3;
  Stage stage{config};
  Lease puller, lease;
  uint64_t pulled = 0;
  while (stage.take(puller) == Take::pull) {
    pulled += puller.count;
    stage.supply(puller.count, false);
    ASSERT_EQ(stage.take(lease), Take::lease);
    lease = Lease{};  // its taker never answers
  }
  EXPECT_EQ(pulled, 3u);
}

TEST(Job, AnEmptySourceIsCompleted) {
  Stage stage{source_of(kUnsized)};
  Lease lease;
  ASSERT_EQ(stage.take(lease), Take::pull);
  stage.supply(0, true);
  EXPECT_EQ(stage.job.end(), End::completed);
  EXPECT_EQ(stage.drained_count(), 0u);
}

TEST(Job, ASourceMayHaveMoreThanItSaid) {
  Stage stage{source_of(1)};
  Lease lease;
  for (uint64_t i = 0; i < 5; i++) {
    ASSERT_EQ(stage.take(lease), Take::pull);
    stage.supply(1, i == 4);
    ASSERT_EQ(stage.take(lease), Take::lease);
    EXPECT_EQ(lease.first, i);
    stage.complete(lease);
  }
  EXPECT_EQ(stage.job.end(), End::completed);
  EXPECT_EQ(stage.job.resolved(), 5u);
}

TEST(Job, ACompletedRunIsAsLongAsItsSource) {
  Stage stage{source_of(10)};
  Lease lease;
  ASSERT_EQ(stage.take(lease), Take::pull);
  stage.supply(2, true);
  while (stage.take(lease) == Take::lease) stage.complete(lease);
  EXPECT_EQ(stage.job.end(), End::completed);
  EXPECT_EQ(stage.drained_count(), 0u);
  EXPECT_TRUE(stage.job.settled());
}

// All workers are busy and inputs lie ready: the taker that has nothing to do must sleep, not look again and again.
TEST(Job, ATakerWithoutAPlaceSleeps) {
  Stage stage{source_of(kUnsized, 1)};
  Lease running, spare;
  ASSERT_EQ(stage.take(running), Take::pull);
  stage.supply(5, true);
  ASSERT_EQ(stage.take(running), Take::lease);
  ASSERT_EQ(stage.take(spare), Take::again);
  EXPECT_EQ(spare.come_back, kNever);
  stage.complete(running);
  EXPECT_EQ(stage.wake.takers, 1u);
}

// The taker that kept the time goes to fetch inputs, and the source blocks: the retry must not wait for it.
TEST(Job, ABlockedSourceDoesNotHoldUpARetry) {
  JobConfig config = source_of(kUnsized, 2);
  config.retry.attempts = 2;
  config.retry.backoff_ns = 100;
  Stage stage{config};
  Lease a, b, c;
  ASSERT_EQ(stage.take(a), Take::pull);
  stage.supply(2, false);
  ASSERT_EQ(stage.take(a), Take::lease);
  ASSERT_EQ(stage.take(b), Take::lease);
  ASSERT_EQ(stage.fail(a), Verdict::retry);
  stage.complete(a);
  ASSERT_EQ(stage.take(a), Take::pull);
  stage.supply(1, false);
  ASSERT_EQ(stage.take(a), Take::lease);
  ASSERT_EQ(stage.take(c), Take::again);  // all are running: c sleeps, and keeps the time of the retry
  ASSERT_EQ(c.come_back, 1'100);
  stage.complete(a);
  ASSERT_EQ(stage.wake.takers, 1u);
  ASSERT_EQ(stage.take(a), Take::pull);  // and blocks for a long time
  stage.complete(b);
  ASSERT_EQ(stage.take(b), Take::again);
  ASSERT_EQ(stage.take(c), Take::again);
  EXPECT_EQ(std::min(b.come_back, c.come_back), 1'100);
  stage.now = 1'100;
  EXPECT_EQ(stage.take(b.come_back == 1'100 ? b : c), Take::lease);
}

TEST(Job, WhoeverKeptTheTimeAndPullsIsReplaced) {
  JobConfig config = source_of(kUnsized, 2);
  config.deadline = 1'000 * kMillisecond;
  Stage stage{config};
  Lease a, b, c;
  ASSERT_EQ(stage.take(a), Take::pull);
  ASSERT_EQ(stage.take(b), Take::again);
  ASSERT_EQ(stage.take(c), Take::again);
  ASSERT_EQ(b.come_back, config.deadline);
  stage.supply(1, false);
  ASSERT_EQ(stage.take(a), Take::lease);
  ASSERT_EQ(stage.take(b), Take::pull);
  EXPECT_EQ(stage.wake.takers, 1u) << "nobody keeps the time";
}

// ---------------------------------------------------------------- batches

TEST(Job, ABatchIsFullWhereItCanBe) {
  JobConfig config = array_of(10, 3);
  config.batched = true;
  config.batch_max = 4;
  Stage stage{config};
  Lease lease;
  std::vector<uint64_t> counts;
  while (stage.take(lease) == Take::lease) {
    counts.push_back(lease.count);
    stage.complete(lease);
  }
  EXPECT_EQ(counts, (std::vector<uint64_t>{4, 4, 2}));
}

TEST(Job, FailedItemsOfABatchAreRetriedAlone) {
  JobConfig config = array_of(4);
  config.batched = true;
  config.batch_max = 4;
  config.retry.attempts = 2;
  config.retry.backoff_ns = 0;
  Stage stage{config};
  Lease lease;
  ASSERT_EQ(stage.take(lease), Take::lease);
  for (const uint64_t index : {1u, 3u}) ASSERT_EQ(stage.fail_at(lease, index), Verdict::retry);
  stage.complete(lease);
  EXPECT_EQ(stage.job.resolved(), 2u);
  for (const uint64_t index : {1u, 3u}) {
    ASSERT_EQ(stage.take(lease), Take::lease);
    EXPECT_EQ(lease.first, index);
    EXPECT_EQ(lease.count, 1u);
    stage.complete(lease);
  }
  EXPECT_EQ(stage.job.end(), End::completed);
}

JobConfig lingering() {
  JobConfig config = source_of(kUnsized, 2);
  config.batched = true;
  config.batch_max = 4;
  config.linger_ns = 100;
  return config;
}

TEST(Job, AShortBatchLingers) {
  Stage stage{lingering()};
  Lease puller, lease;
  ASSERT_EQ(stage.take(puller), Take::pull);
  stage.supply(1, false);
  ASSERT_EQ(stage.take(puller), Take::pull);
  EXPECT_EQ(puller.count, 3u);
  ASSERT_EQ(stage.take(lease), Take::again);
  EXPECT_EQ(lease.come_back, 1'100);
  stage.now = 1'099;
  ASSERT_EQ(stage.take(lease), Take::again);
  stage.now = 1'100;
  ASSERT_EQ(stage.take(lease), Take::lease);
  EXPECT_EQ(lease.count, 1u);
}

TEST(Job, AFullBatchGoesAtOnce) {
  Stage stage{lingering()};
  Lease puller, lease;
  ASSERT_EQ(stage.take(puller), Take::pull);
  stage.supply(1, false);
  ASSERT_EQ(stage.take(puller), Take::pull);
  stage.supply(3, false);
  ASSERT_EQ(stage.take(lease), Take::lease);
  EXPECT_EQ(lease.count, 4u);
}

TEST(Job, TheLastBatchDoesNotLinger) {
  Stage stage{lingering()};
  Lease lease;
  ASSERT_EQ(stage.take(lease), Take::pull);
  stage.supply(2, true);
  ASSERT_EQ(stage.take(lease), Take::lease);
  EXPECT_EQ(lease.count, 2u);
}

// A call costs 10 ms, an item next to nothing: the batches grow, and the job tells what it settled on.
TEST(Job, AutomaticBatchesGrowWhereThatPays) {
  JobConfig config = array_of(1'000'000);
  config.batched = true;
  Stage stage{config};
  Lease lease;
  uint64_t largest = 0;
  while (stage.take(lease) == Take::lease) {
    largest = std::max(largest, lease.count);
    stage.now += 10 * kMillisecond + static_cast<nanos>(lease.count);
    stage.complete(lease);
  }
  EXPECT_GT(largest, 1'000u);
  EXPECT_GT(stage.job.batch_size(), 1'000u);
  EXPECT_LE(stage.job.batch_size(), largest);
}

}  // namespace
}  // namespace pa
