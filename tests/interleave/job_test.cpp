// The takers of a job, interleaved at every operation on shared memory: each index is run exactly once, and nobody sleeps
// while there is work.
#include <gtest/gtest.h>

#include <set>

#include "crew.hpp"

namespace pa::interleave {
namespace {

// Takers, and which items take long: a taker in such an item does not come back before nobody else can go on, so that
// whoever was not woken is seen to sleep beside work.
struct Plan {
  JobConfig config;
  uint32_t takers = 2;
  std::set<uint64_t> slow = {};
  nanos lease_takes = 1;
};

class PlannedCrew : public Crew {
 public:
  explicit PlannedCrew(const Plan& plan) : Crew(plan.config), plan_(plan) {
    lease_takes_ = plan.lease_takes;
    for (uint32_t i = 0; i < plan.takers; i++) fiber([this] { taker(); });
  }

 protected:
  bool slow(uint64_t index) override { return plan_.slow.count(index) != 0; }

 private:
  const Plan plan_;
};

JobConfig sized(uint64_t count, uint32_t workers) {
  JobConfig config;
  config.count = count;
  config.workers = config.cpus = workers;
  config.lease_target_ns = 4;  // leases of more than one come soon
  return config;
}

template <class C = PlannedCrew>
Report explore_plan(const Plan& plan, uint32_t preemptions) {
  return explore([&] { return std::make_unique<C>(plan); }, preemptions);
}
template <class C = PlannedCrew>
Report wander_plan(const Plan& plan, uint64_t count) {
  return wander([&] { return std::make_unique<C>(plan); }, 1, count);
}

TEST(Job, TwoTakersRunEachIndexOnce) {
  const Report report = explore_plan({sized(5, 2)}, 2);
  EXPECT_EQ("", report.failure);
  EXPECT_GT(report.schedules, 1'000u);
}

TEST(Job, NobodySleepsBesideWork) { EXPECT_EQ("", explore_plan({sized(6, 2), 2, {0, 1, 2, 3, 4, 5}}, 2).failure); }

// A thief holds its loot for a moment; a taker that looks then finds nothing and sleeps. The thief, on its way without a
// lock, must wake it for what it publishes.
TEST(Job, AThiefWakesWhoeverSawNothing) { EXPECT_EQ("", explore_plan({sized(5, 2), 2, {3}}, 3).failure); }

// Three takers on two lanes: two of them publish onto the same one, so that one finds it taken and spills.
TEST(Job, ASpilledRangeIsNotLost) { EXPECT_EQ("", wander_plan({sized(24, 2), 4}, 20'000).failure); }

// More workers than CPUs share one lane, and leave early where nothing can come back.
TEST(Job, TakersOfASharedLaneLeaveOnlyWhenNothingComesBack) {
  Plan plan{sized(6, 2), 3, {1, 4}};
  plan.config.cpus = 1;
  EXPECT_EQ("", explore_plan(plan, 2).failure);
}

// A lease grows; then another taker is hungry, and the holder hands back the later half.
TEST(Job, AHungryTakerGetsHalfOfALongLease) {
  Plan plan{sized(12, 1), 2, {1, 2}};
  plan.config.lease_target_ns = 1'000;
  EXPECT_EQ("", explore_plan(plan, 2).failure);
}

class Rewinding : public PlannedCrew {
  using PlannedCrew::PlannedCrew;
  bool fails(uint64_t index, uint32_t attempt) override { return index % 2 == 0 && attempt == 1; }
};

TEST(Job, ARetryIsTakenAsSoonAsItIsDue) {
  Plan plan{sized(4, 2), 2, {1, 3}};
  plan.config.retry.attempts = 2;
  plan.config.retry.jitter = false;
  for (const nanos backoff : {0, 3, 1'000}) {
    plan.config.retry.backoff_ns = backoff;
    EXPECT_EQ("", explore_plan<Rewinding>(plan, 2).failure) << "backoff " << backoff;
  }
}

class GivingBack : public PlannedCrew {
  using PlannedCrew::PlannedCrew;
  uint64_t runs_of(const Lease& lease) override { return lease.count > 1 ? lease.count / 2 : lease.count; }
};

TEST(Job, WhatIsGivenBackIsRunByOthers) {
  Plan plan{sized(10, 2), 3, {0, 4}};
  plan.config.lease_target_ns = 1'000;
  EXPECT_EQ("", explore_plan<GivingBack>(plan, 1).failure);
  EXPECT_EQ("", wander_plan<GivingBack>({sized(40, 3), 4, {1, 20}, 1}, 5'000).failure);
}

class Leaving : public PlannedCrew {
  using PlannedCrew::PlannedCrew;
  bool fails(uint64_t, uint32_t attempt) override { return attempt == 1; }
  bool leaves() override { return true; }
};

// Whoever leaves may have kept the time for the others.
TEST(Job, ATakerMayLeaveWhileItKeepsTheTime) {
  Plan plan{sized(3, 2), 3, {}};
  plan.config.retry.attempts = 2;
  plan.config.retry.backoff_ns = 100;
  EXPECT_EQ("", explore_plan<Leaving>(plan, 2).failure);
}

// ---------------------------------------------------------------- ends

struct HasStop {
  StopToken stop_;
};

struct StopAgainstTakers : private HasStop, public PlannedCrew, private Listener {
  explicit StopAgainstTakers(const Plan& plan) : PlannedCrew(with_stop(plan, stop_)) {
    stop_.listeners().add(*this);
    fiber([this] { stop_.request(); });
  }
  ~StopAgainstTakers() override { stop_.listeners().remove(*this); }
  void notified() noexcept override { wake_all(); }
  static Plan with_stop(Plan plan, StopToken& stop) {
    plan.config.stop = &stop;
    return plan;
  }
};

TEST(Job, AStopMeetsTakersAnywhere) {
  EXPECT_EQ("", explore_plan<StopAgainstTakers>({sized(4, 2), 2, {1}}, 2).failure);
  Plan failing{sized(3, 2), 2, {1}};
  failing.config.retry.attempts = 2;
  EXPECT_EQ("", explore_plan<StopAgainstTakers>(failing, 2).failure);
}

struct EndAgainstTakers : PlannedCrew {
  explicit EndAgainstTakers(const Plan& plan) : PlannedCrew(plan) {
    fiber([this] {
      Wake wakes;
      job_.end_as(End::failed, wakes);
      wake(wakes);
    });
  }
};

TEST(Job, AnEndMeetsTakersAnywhere) { EXPECT_EQ("", explore_plan<EndAgainstTakers>({sized(4, 2), 2, {0, 2}}, 2).failure); }

// Whoever sees that a run was aborted finds the failure that aborted it, and the last item's own failure wins over
// COMPLETED.
struct FailureAgainstEnd : PlannedCrew {
  explicit FailureAgainstEnd(const Plan& plan) : PlannedCrew(plan) {
    fiber([this] {
      wait_until([this] { return job_.end() != End::none; });
      if (job_.end() != End::aborted) fail("the run has an error too many, and ended otherwise");
      if (!job_.failures()) fail("the run was aborted before its failure was counted");
    });
  }
  bool fails(uint64_t index, uint32_t) override { return index + 1 == job_.config().count; }
};

TEST(Job, TheLastItemsFailureWinsOverCompleted) {
  Plan plan{sized(3, 2), 2, {2}};
  plan.config.max_errors = 1;
  EXPECT_EQ("", explore_plan<FailureAgainstEnd>(plan, 2).failure);
}

// ---------------------------------------------------------------- sources

struct Fetching : PlannedCrew {
  explicit Fetching(const Plan& plan) : PlannedCrew(plan) { inputs_left_ = 4; }
  uint64_t gets(uint64_t asked) override { return std::min<uint64_t>(asked, 2); }
};

TEST(Job, WhatASourceDeliversIsRunAtOnce) {
  Plan plan{sized(kUnsized, 2), 3, {0, 1, 2, 3}};
  plan.config.fetched = true;
  EXPECT_EQ("", explore_plan<Fetching>(plan, 1).failure);
  EXPECT_EQ("", wander_plan<Fetching>(plan, 10'000).failure);
  plan.config.window = 2;
  EXPECT_EQ("", explore_plan<Fetching>(plan, 1).failure);
  EXPECT_EQ("", wander_plan<Fetching>(plan, 10'000).failure);
}

}  // namespace
}  // namespace pa::interleave
