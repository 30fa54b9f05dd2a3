// What a seed stands for: the jobs of a schedule, the habits of those who work on them, and what happens from outside.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "core/job.hpp"

namespace pa::simulation {

struct RunPlan {
  JobConfig config;  // limiter and stop are set by the world, which owns them
  uint32_t takers = 1;
  bool limited = false;
  bool stoppable = false;
  bool owner_watches_deadline = false;  // else the takers alone must notice

  // The source of a fetched job.
  uint64_t inputs = 0;  // that it really has, whatever config.count says
  uint64_t pulls_until_failure = UINT64_MAX;
  nanos pull_longest = 0;
  double short_pulls = 0;     // how often it gives less than asked
  double says_end_early = 0;  // how often the last input comes together with the end
  uint64_t cookies = 0;       // different ones; 0: each supply has its own
  nanos push_longest = 0;     // between two, where inputs are pushed

  // The consumer of a stream.
  nanos rest_longest = 0;  // with a chunk, before he comes back
  double bursting = 0;     // how often he comes back at once
  double stalling = 0;     // how often he stays away for long
  nanos closes_at = kNever;

  nanos body_longest = 0;
  double failing = 0;
  double retryable = 0;     // of the failures
  double server_waits = 0;  // of the failures
  nanos server_wait_longest = 0;
  double giving_back = 0;
  double leaving = 0;
  double deserting = 0;     // with a lease in hand
  nanos fails_at = kNever;  // somebody ends the run as failed
  double revoking = 0;
};

struct Scenario {
  uint64_t seed = 0;
  std::vector<RunPlan> runs;
  std::optional<Rate> rate;
  uint64_t least_burst = 1;  // no live change may make a call unaffordable
  double pausing = 0;
  double settling = 0;
  double rerating = 0;
  nanos stop_at = kNever;  // 0: requested before anything begins
  bool probing = false;
};

Scenario draw_scenario(uint64_t seed);
Rate draw_rate(Random& random, uint64_t least_burst);
std::string describe(const Scenario& scenario);

inline bool chance(Random& random, double probability) { return random.unit() < probability; }
inline nanos span_below(Random& random, nanos longest) {
  return longest > 0 ? static_cast<nanos>(random.below(static_cast<uint64_t>(longest))) : 0;
}

}  // namespace pa::simulation
