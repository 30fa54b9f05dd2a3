// The takers of a stream and its consumer, interleaved at every operation on shared memory: all that is done is handed out once,
// and neither side sleeps beside what the other has for it.
#include <gtest/gtest.h>

#include <set>

#include "crew.hpp"

namespace pa::interleave {
namespace {

struct Plan {
  JobConfig config;
  uint32_t takers = 2;
  std::set<uint64_t> slow = {};
};

class StreamCrew : public Crew {
 public:
  explicit StreamCrew(const Plan& plan) : Crew(plan.config), plan_(plan) {
    for (uint32_t i = 0; i < plan.takers; i++) fiber([this] { taker(); });
    fiber([this] { consumer(); });
  }

 protected:
  bool slow(uint64_t index) override { return plan_.slow.count(index) != 0; }

 private:
  const Plan plan_;
};

JobConfig stream(uint64_t count, uint32_t workers, bool ordered) {
  JobConfig config;
  config.count = count;
  config.workers = config.cpus = workers;
  config.stream = true;
  config.ordered = ordered;
  config.window = 2;
  return config;
}

template <class C = StreamCrew>
void wander_through(const Plan& plan, uint64_t count = 5'000) {
  EXPECT_EQ("", wander([&] { return std::make_unique<C>(plan); }, 1, count).failure);
}

template <class C = StreamCrew>
void expect_sound(const Plan& plan) {
  EXPECT_EQ("", explore([&] { return std::make_unique<C>(plan); }, 1).failure);
  wander_through<C>(plan);
}

TEST(Stream, ConsumerAndTakersMeetAnywhere) {
  for (const bool ordered : {false, true}) expect_sound({stream(4, 2, ordered)});
}

TEST(Stream, AStragglerHoldsUpNeitherSideForGood) {
  for (const bool ordered : {false, true}) expect_sound({stream(5, 2, ordered), 2, {0, 3}});
}

TEST(Stream, APlaceAmongTheRunningIsPassedOn) { wander_through({stream(4, 1, false), 3, {1}}); }

class Rewinding : public StreamCrew {
  using StreamCrew::StreamCrew;
  bool fails(uint64_t index, uint32_t attempt) override { return index == 0 && attempt == 1; }
};

TEST(Stream, ARetryHoldsUpNeitherSideForGood) {
  Plan plan{stream(3, 2, true)};
  plan.config.retry.attempts = 2;
  plan.config.retry.jitter = false;
  plan.config.retry.backoff_ns = 10;
  expect_sound<Rewinding>(plan);
}

// Whoever ends it does so without the lock.
struct EndAgainstConsumer : StreamCrew {
  explicit EndAgainstConsumer(const Plan& plan) : StreamCrew(plan) {
    fiber([this] {
      Wake wakes;
      job_.end_as(End::failed, wakes);
      wake(wakes);
    });
  }
};

TEST(Stream, AnEndMeetsTheConsumerAnywhere) {
  for (const bool ordered : {false, true}) expect_sound<EndAgainstConsumer>({stream(3, 2, ordered), 2, {0}});
}

}  // namespace
}  // namespace pa::interleave
