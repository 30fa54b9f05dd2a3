#include "core/lease_sizer.hpp"

#include <gtest/gtest.h>

namespace pa {
namespace {

constexpr nanos kTarget = 50'000;
constexpr uint64_t kMax = 1u << 20;

// Runs leases of items that take `item_ns` each until the size has found its place.
uint64_t settles_at(nanos item_ns, uint64_t max = kMax) {
  LeaseSizer sizer;
  for (int i = 0; i < 100; i++) sizer.adapt(sizer.size, sizer.size, static_cast<nanos>(sizer.size) * item_ns, kTarget, max);
  return sizer.size;
}

TEST(LeaseSizer, BeginsWithOne) { EXPECT_EQ(LeaseSizer{}.size, 1u); }

TEST(LeaseSizer, GrowsTwoToFourfold) {
  LeaseSizer sizer;
  sizer.adapt(1, 1, 10, kTarget, kMax);
  EXPECT_EQ(sizer.size, 4u);
  sizer.adapt(4, 4, kTarget / 3, kTarget, kMax);
  EXPECT_EQ(sizer.size, 8u);
}

TEST(LeaseSizer, ALeaseTakesAboutItsTarget) {
  for (const nanos item_ns : {1, 10, 100, 1'000, 10'000}) {
    const nanos lease_ns = static_cast<nanos>(settles_at(item_ns)) * item_ns;
    EXPECT_GE(lease_ns, kTarget / 2) << "items of " << item_ns << " ns";
    EXPECT_LE(lease_ns, kTarget * 2) << "items of " << item_ns << " ns";
  }
}

TEST(LeaseSizer, LongItemsAreLeasedSingly) { EXPECT_EQ(settles_at(10'000'000), 1u); }
TEST(LeaseSizer, NeverBeyondTheMaximum) { EXPECT_EQ(settles_at(0, 100), 100u); }

TEST(LeaseSizer, ShrinksInProportion) {
  LeaseSizer sizer;
  sizer.size = 1'000;
  sizer.adapt(1'000, 1'000, 10 * kTarget, kTarget, kMax);
  EXPECT_EQ(sizer.size, 100u);
  sizer.adapt(100, 100, 1'000 * kTarget, kTarget, kMax);
  EXPECT_EQ(sizer.size, 1u);
}

TEST(LeaseSizer, ALeaseThatWasNotRunToItsEndWasTooLong) {
  LeaseSizer sizer;
  sizer.size = 8;
  sizer.adapt(8, 3, 10, kTarget, kMax);
  EXPECT_EQ(sizer.size, 4u);
}

TEST(LeaseSizer, WhatWasNotRunSaysNothing) {
  LeaseSizer sizer;
  sizer.size = 8;
  sizer.adapt(8, 0, 10, kTarget, kMax);
  EXPECT_EQ(sizer.size, 8u);
}

// A lease that was cut by others, below the size asked for, is no reason to ask for more.
TEST(LeaseSizer, AShortLeaseDoesNotGrow) {
  LeaseSizer sizer;
  sizer.size = 64;
  sizer.adapt(3, 3, 10, kTarget, kMax);
  EXPECT_EQ(sizer.size, 64u);
}

// ---------------------------------------------------------------- batches

constexpr nanos kLongest = 100'000'000;

LeaseSizer batches(nanos call_ns, nanos item_ns) {
  LeaseSizer sizer;
  for (int i = 0; i < 100; i++)
    sizer.adapt_batch(sizer.size, sizer.size, call_ns + static_cast<nanos>(sizer.size) * item_ns, kTarget, kLongest, kMax);
  return sizer;
}

// A call costs 1 ms, whatever it is given, an item 10 us: at 1,000 items the call is a tenth of the cost.
TEST(LeaseSizer, BatchesGrowAsLongAsThatPays) {
  const LeaseSizer sizer = batches(1'000'000, 10'000);
  EXPECT_TRUE(sizer.settled);
  EXPECT_GE(sizer.size, 256u);
  EXPECT_LE(sizer.size, 4'096u);
}

TEST(LeaseSizer, WhereBatchesDoNotPayTheyStaySmall) { EXPECT_LE(batches(0, 1'000'000).size, 4u); }

TEST(LeaseSizer, NoCallIsVeryLong) {
  const LeaseSizer sizer = batches(50'000'000, 1'000'000);
  EXPECT_LE(50'000'000 + static_cast<nanos>(sizer.size) * 1'000'000, kLongest);
}

TEST(LeaseSizer, AnOddRestSaysNothingAboutBatches) {
  LeaseSizer sizer;
  sizer.size = 64;
  sizer.adapt_batch(3, 3, 10, kTarget, kLongest, kMax);
  EXPECT_EQ(sizer.size, 64u);
}

}  // namespace
}  // namespace pa
