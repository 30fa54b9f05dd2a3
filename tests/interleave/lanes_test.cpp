// The lock-free range words: whatever overlaps, each index is taken by exactly one.
#include "core/lanes.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "explorer.hpp"

namespace pa::interleave {
namespace {

class LaneProgram : public Program {
 public:
  LaneProgram(uint64_t count, uint32_t lanes) : lanes_(count, lanes), taken_(count, 0) {}
  void finish() override {
    for (uint32_t lane = 0; lane < lanes_.size(); lane++) note(lanes_.take_all(lane));
    for (size_t i = 0; i < taken_.size(); i++)
      if (taken_[i] != 1) fail("index " + std::to_string(i) + " was taken " + std::to_string(taken_[i]) + " times");
  }

 protected:
  void note(Span span) {
    for (uint64_t i = 0; i < span.count; i++) taken_[span.first + i]++;
  }
  // What a taker of the engine does when its own lane is empty.
  void steal_and_publish(uint32_t from, uint32_t home) {
    const Span loot = lanes_.steal_back(from);
    if (!loot.count) return;
    note({loot.first, 1});
    const Span rest{loot.first + 1, loot.count - 1};
    if (rest.count && !lanes_.publish(home, rest)) note(rest);  // the engine's ready list
  }

  Lanes lanes_;
  std::vector<int> taken_;
};

struct OwnerAgainstThief : LaneProgram {
  OwnerAgainstThief() : LaneProgram(5, 1) {
    fiber([this] {
      for (Span span; (span = lanes_.take_front(0, 2)).count;) note(span);
    });
    fiber([this] {
      for (Span span; (span = lanes_.steal_back(0)).count;) note(span);
    });
  }
};

TEST(Lanes, OwnerAndThiefNeverTakeTheSameIndex) { EXPECT_EQ("", explore<OwnerAgainstThief>(3).failure); }

// Two thieves bring their loot to one lane, and somebody takes from it meanwhile: a store that did not look would lose what
// the other one published.
struct TwoThievesAndOneHome : LaneProgram {
  TwoThievesAndOneHome() : LaneProgram(12, 3) {
    note(lanes_.take_all(0));
    fiber([this] { steal_and_publish(1, 0); });
    fiber([this] { steal_and_publish(2, 0); });
    fiber([this] {
      note(lanes_.take_front(0, 1));
      note(lanes_.steal_back(0));
    });
  }
};

TEST(Lanes, WhatIsPublishedIsNotLost) {
  const Report report = explore<TwoThievesAndOneHome>(3);
  EXPECT_EQ("", report.failure);
  EXPECT_GT(report.schedules, 100u);
}

// The same range comes back to a lane it was taken from: a stale compare-and-swap then meets a word that it has seen before.
struct ARangeComesBack : LaneProgram {
  ARangeComesBack() : LaneProgram(4, 1) {
    fiber([this] {
      const Span all = lanes_.take_all(0);
      if (all.count && !lanes_.publish(0, all)) note(all);
    });
    fiber([this] { note(lanes_.take_front(0, 1)); });
    fiber([this] { note(lanes_.steal_back(0)); });
  }
};

TEST(Lanes, ARangeThatComesBackIsTakenOnce) { EXPECT_EQ("", explore<ARangeComesBack>(3).failure); }

struct DrainAgainstTakers : LaneProgram {
  DrainAgainstTakers() : LaneProgram(6, 2) {
    fiber([this] {
      note(lanes_.take_all(0));
      note(lanes_.take_all(1));
    });
    fiber([this] {
      note(lanes_.take_front(0, 2));
      steal_and_publish(1, 0);
    });
    fiber([this] { steal_and_publish(0, 1); });
  }
};

TEST(Lanes, TakingAllCompetesWithEverybody) { EXPECT_EQ("", explore<DrainAgainstTakers>(3).failure); }

}  // namespace
}  // namespace pa::interleave
