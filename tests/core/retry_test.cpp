#include "core/retry.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace pa {
namespace {

constexpr nanos kMillisecond = 1'000'000;

RetryPolicy without_jitter() {
  RetryPolicy policy;
  policy.jitter = false;
  policy.backoff_ns = 100 * kMillisecond;
  policy.max_delay_ns = 1'000 * kMillisecond;
  return policy;
}

TEST(RetryPolicy, TheDelayDoublesUpToItsCap) {
  const RetryPolicy policy = without_jitter();
  Random random{1};
  const nanos expected_ms[] = {100, 200, 400, 800, 1'000, 1'000};
  for (uint32_t made = 1; made <= 6; made++) EXPECT_EQ(policy.delay(made, -1, random), expected_ms[made - 1] * kMillisecond);
}

// 2^1023 is the largest power of two of a double: beyond it, a delay that is computed carelessly is infinite or not a
// number.
TEST(RetryPolicy, AnyNumberOfAttemptsSaturates) {
  RetryPolicy policy = without_jitter();
  Random random{1};
  for (const uint32_t made : {60u, 63u, 64u, 65u, 1'023u, 1'024u, 1'025u, 5'000u, UINT32_MAX})
    EXPECT_EQ(policy.delay(made, -1, random), policy.max_delay_ns) << made << " attempts";
  policy.max_delay_ns = kNever;
  policy.jitter = true;
  for (const uint32_t made : {64u, 1'025u, UINT32_MAX}) {
    const nanos delay = policy.delay(made, -1, random);
    EXPECT_GT(delay, 0);
    EXPECT_LE(delay, kNever);
  }
}

TEST(RetryPolicy, JitterIsBetweenHalfAndOneAndAHalf) {
  RetryPolicy policy = without_jitter();
  policy.jitter = true;
  Random random{1};
  nanos least = kNever, most = 0;
  for (int i = 0; i < 10'000; i++) {
    const nanos delay = policy.delay(1, -1, random);
    least = std::min(least, delay);
    most = std::max(most, delay);
  }
  EXPECT_GE(least, 50 * kMillisecond);
  EXPECT_LE(least, 51 * kMillisecond);
  EXPECT_LE(most, 150 * kMillisecond);
  EXPECT_GE(most, 149 * kMillisecond);
}

TEST(RetryPolicy, JitterComesAfterTheCap) {
  RetryPolicy policy = without_jitter();
  policy.jitter = true;
  Random random{1};
  nanos most = 0;
  for (int i = 0; i < 10'000; i++) most = std::max(most, policy.delay(20, -1, random));
  EXPECT_GT(most, policy.max_delay_ns);
  EXPECT_LE(most, policy.max_delay_ns * 3 / 2);
}

TEST(RetryPolicy, TheSameSeedGivesTheSameJitter) {
  RetryPolicy policy;
  Random first{42}, second{42};
  for (uint32_t made = 1; made < 100; made++) ASSERT_EQ(policy.delay(made, -1, first), policy.delay(made, -1, second));
}

TEST(RetryPolicy, NoBackoffIsNoDelay) {
  RetryPolicy policy;
  policy.backoff_ns = 0;
  Random random{1};
  EXPECT_EQ(policy.delay(1, -1, random), 0);
  EXPECT_EQ(policy.delay(5'000, -1, random), 0);
}

TEST(RetryPolicy, TheServersWaitReplacesTheBackoff) {
  RetryPolicy policy = without_jitter();
  policy.jitter = true;
  Random random{1};
  EXPECT_EQ(policy.delay(1, 7, random), 7);
  EXPECT_EQ(policy.delay(1, 0, random), 0);
  EXPECT_EQ(policy.delay(3, 5 * policy.max_delay_ns, random), 5 * policy.max_delay_ns);
}

TEST(RetryPolicy, TheServersWaitHasACap) {
  RetryPolicy policy;
  policy.max_server_wait_ns = 600'000 * kMillisecond;
  Random random{1};
  EXPECT_EQ(policy.delay(1, 86'400'000 * kMillisecond, random), policy.max_server_wait_ns);
  EXPECT_EQ(policy.delay(1, kNever, random), policy.max_server_wait_ns);
  policy.max_server_wait_ns = kNever;
  EXPECT_EQ(policy.delay(1, 86'400'000 * kMillisecond, random), 86'400'000 * kMillisecond);
}

TEST(Time, AWaitBeyondWhatCanBeCountedIsForEver) {
  EXPECT_EQ(after(5, 10), 15);
  EXPECT_EQ(after(5, kNever), kNever);
  EXPECT_EQ(after(kNever - 3, 4), kNever);
}

TEST(RetryQueue, TheEarliestDueComesFirst) {
  RetryQueue queue;
  queue.reserve(4);
  queue.push({30, 0, 3, 0, 1});
  queue.push({10, 1, 1, 0, 1});
  queue.push({20, 2, 2, 0, 1});
  EXPECT_EQ(queue.next_due(), 10);
  for (const uint64_t index : {1u, 2u, 3u}) EXPECT_EQ(queue.pop().index, index);
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.next_due(), kNever);
}

TEST(RetryQueue, FirstComeFirstServedAmongEquals) {
  RetryQueue queue;
  queue.reserve(100);
  for (uint64_t i = 0; i < 100; i++) queue.push({5, i, i, 0, 1});
  for (uint64_t i = 0; i < 100; i++) ASSERT_EQ(queue.pop().index, i);
}

}  // namespace
}  // namespace pa
