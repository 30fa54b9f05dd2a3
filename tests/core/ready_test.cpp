#include "core/ready.hpp"

#include <gtest/gtest.h>

namespace pa {
namespace {

Ready span(uint64_t first, uint64_t count, uint64_t cookie = 0) { return {first, count, 0, cookie}; }

TEST(ReadyList, TheOldestComesFirstThroughAnyNumberOfPushes) {
  ReadyList ready;
  uint64_t pushed = 0, taken = 0;
  for (int round = 0; round < 1'000; round++) {
    for (int i = 0; i < 3; i++, pushed++) {
      ready.reserve(1);
      ready.push(span(pushed, 1, pushed));
    }
    for (int i = 0; i < (round < 500 ? 2 : 4) && !ready.empty(); i++, taken++) {
      ASSERT_EQ(ready[0].first, taken);
      ready.erase(0);
    }
    ASSERT_EQ(ready.size(), pushed - taken);
  }
  EXPECT_TRUE(ready.empty());
}

TEST(ReadyList, NeighboursWithTheSameCookieAreJoinedAtEitherEnd) {
  ReadyList ready;
  ready.reserve(10);
  for (uint64_t i = 0; i < 5; i++) ready.push(span(10 * i + 5, 5, i));
  ready.push(span(0, 5, 0));    // what was cut from the front comes back
  ready.push(span(50, 5, 4));   // and what comes next of the last
  ready.push(span(55, 5, 99));  // a neighbour with another cookie
  ASSERT_EQ(ready.size(), 6u);
  EXPECT_EQ(ready[0].first, 0u);
  EXPECT_EQ(ready[0].count, 10u);
  EXPECT_EQ(ready[4].first, 45u);
  EXPECT_EQ(ready[4].count, 10u);
  EXPECT_EQ(ready.pop_back().cookie, 99u);
}

}  // namespace
}  // namespace pa
