#include "world.hpp"

#include <algorithm>

#include "check.hpp"

namespace pa::simulation {
namespace {

constexpr uint64_t kMostSteps = 2'000'000;  // a thousand times what a schedule needs
constexpr double kProbing = 0.1;

}  // namespace

World::World(const Scenario& scenario, Coverage& coverage, bool trace)
    : scenario_(scenario),
      coverage_(coverage),
      limiter_(scenario.rate.value_or(Rate{1})),
      budget_(scenario.rate.value_or(Rate{1})) {
  around_.random = Random{scenario.seed ^ 0x5EED};
  around_.limiter = &limiter_;
  around_.budget = &budget_;
  around_.stop = &stop_;
  around_.coverage = &coverage;
  around_.alone = scenario.runs.size() == 1;
  around_.trace = trace;
  limiter_.listeners().add(limiter_bell_);
  stop_.listeners().add(stop_bell_);
  if (scenario.stop_at == 0) stop_.request();
  for (const RunPlan& plan : scenario.runs)
    runs_.push_back(std::make_unique<Run>(plan, around_, static_cast<int>(runs_.size())));
  if (!around_.alone) coverage.shared_limiters++;
}

World::~World() {
  limiter_.listeners().remove(limiter_bell_);
  stop_.listeners().remove(stop_bell_);
}

void World::play() {
  for (uint64_t step = 0;; step++) {
    PA_CHECK(step < kMostSteps, "the schedule does not end");
    disturb();
    if (act() || drain()) continue;
    if (over()) break;
    const bool probing = scenario_.probing && chance(around_.random, kProbing);
    for (auto& run : runs_) run->rest(probing);
    advance(probing);
  }
  for (auto& run : runs_) run->close();
  budget_.verify();
}

bool World::act() {
  const size_t start = around_.random.below(runs_.size());
  for (size_t k = 0; k < runs_.size(); k++)
    if (runs_[(start + k) % runs_.size()]->act()) return true;
  return false;
}

bool World::drain() {
  bool any = false;
  for (auto& run : runs_) any |= run->drain();
  return any;
}

bool World::over() const {
  return std::all_of(runs_.begin(), runs_.end(), [](const auto& run) { return run->over(); });
}

void World::advance(bool probing) {
  nanos next = kNever;
  for (auto& run : runs_) next = std::min(next, run->next_instant(probing));
  if (!stop_.requested()) next = std::min(next, scenario_.stop_at);
  PA_CHECK(next != kNever, "everybody sleeps for ever, and there is work left");
  around_.now = std::max(around_.now, next);
}

void World::disturb() {
  Random& random = around_.random;
  const nanos now = around_.now;
  if (now >= scenario_.stop_at && !stop_.requested()) stop_.request();
  if (scenario_.rate) {
    if (chance(random, scenario_.pausing)) {
      const nanos until = now + 1 + span_below(random, 300'000);
      limiter_.pause(until);
      budget_.paused(now, until);
      coverage_.pauses++;
      if (around_.trace) std::printf("%10lld pause until %lld\n", ll{now}, ll{until});
    }
    if (chance(random, scenario_.settling)) {
      const int64_t tokens = static_cast<int64_t>(random.below(9)) - 4;
      limiter_.settle(tokens, now);
      budget_.settled(now, tokens);
      ++(tokens < 0 ? coverage_.gifts : coverage_.charges);
      if (around_.trace) std::printf("%10lld settle %lld\n", ll{now}, ll{tokens});
    }
    if (chance(random, scenario_.rerating)) {
      const Rate rate = draw_rate(random, scenario_.least_burst);
      limiter_.set_rate(rate, now);
      budget_.rate_set(now, rate);
      coverage_.rate_changes++;
      if (around_.trace) std::printf("%10lld rate %.3f a second, burst %llu\n", ll{now}, rate.count, ull{rate.burst});
    }
  }
  for (auto& run : runs_) run->disturb();
  answer_doorbells();
}

void World::answer_doorbells() {
  if (limiter_bell_.rang)
    for (auto& run : runs_) run->wake_everyone();
  if (stop_bell_.rang)
    for (auto& run : runs_) run->stop_requested();
  limiter_bell_.rang = stop_bell_.rang = false;
}

}  // namespace pa::simulation
