// The range words, used by one thread; tests/interleave has what happens when several overlap.
#include "core/lanes.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace pa {
namespace {

void expect_span(Span span, uint64_t first, uint64_t count) {
  EXPECT_EQ(span.first, first);
  EXPECT_EQ(span.count, count);
}

TEST(Lanes, IndicesAreSpreadEvenly) {
  Lanes lanes(10, 3);
  expect_span(lanes.take_all(0), 0, 3);
  expect_span(lanes.take_all(1), 3, 3);
  expect_span(lanes.take_all(2), 6, 4);
}

TEST(Lanes, MoreLanesThanIndices) {
  Lanes lanes(2, 5);
  uint64_t count = 0;
  for (uint32_t lane = 0; lane < lanes.size(); lane++) count += lanes.take_all(lane).count;
  EXPECT_EQ(count, 2u);
}

TEST(Lanes, TheOwnerTakesAtMostHalfFromTheFront) {
  Lanes lanes(10, 1);
  expect_span(lanes.take_front(0, 2), 0, 2);
  expect_span(lanes.take_front(0, 100), 2, 4);
  expect_span(lanes.take_front(0, 100), 6, 2);
  expect_span(lanes.take_front(0, 100), 8, 1);
  expect_span(lanes.take_front(0, 100), 9, 1);
  EXPECT_EQ(lanes.take_front(0, 1).count, 0u);
}

TEST(Lanes, AThiefTakesTheBackHalf) {
  Lanes lanes(9, 1);
  expect_span(lanes.steal_back(0), 4, 5);
  expect_span(lanes.steal_back(0), 2, 2);
  expect_span(lanes.steal_back(0), 1, 1);
  expect_span(lanes.steal_back(0), 0, 1);
  EXPECT_EQ(lanes.steal_back(0).count, 0u);
}

TEST(Lanes, WhatIsSmallEnoughIsTakenAsAWhole) {
  Lanes lanes(9, 1);
  expect_span(lanes.take_front(0, 100, 4), 0, 4);
  expect_span(lanes.take_front(0, 100, 4), 4, 2);
  expect_span(lanes.take_front(0, 2, 4), 6, 2);
  expect_span(lanes.steal_back(0, 4), 8, 1);
  Lanes others(9, 2);
  expect_span(others.steal_back(1, 4), 6, 3);
  expect_span(others.steal_back(0, 4), 0, 4);
}

TEST(Lanes, OnlyAnEmptyLaneCanBePublishedOn) {
  Lanes lanes(4, 1);
  EXPECT_FALSE(lanes.publish(0, {10, 5}));
  expect_span(lanes.take_all(0), 0, 4);
  EXPECT_TRUE(lanes.publish(0, {10, 5}));
  expect_span(lanes.take_all(0), 10, 5);
  EXPECT_EQ(lanes.take_all(0).count, 0u);
}

TEST(Lanes, AsManyIndicesAsAWordHolds) {
  Lanes lanes(Lanes::kMaxCount, 1);
  const uint64_t half = Lanes::kMaxCount / 2;
  expect_span(lanes.steal_back(0), half, Lanes::kMaxCount - half);
  expect_span(lanes.take_all(0), 0, half);
  EXPECT_TRUE(lanes.publish(0, {Lanes::kMaxCount - 1, 1}));
  expect_span(lanes.take_front(0, 1), Lanes::kMaxCount - 1, 1);
}

}  // namespace
}  // namespace pa
