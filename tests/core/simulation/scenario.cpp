#include "scenario.hpp"

#include <algorithm>
#include <cmath>

#include "check.hpp"

namespace pa::simulation {
namespace {

constexpr nanos kMicrosecond = 1'000;
constexpr nanos kMillisecond = 1'000'000;

uint64_t draw_count(Random& random) {
  if (chance(random, 0.1)) return random.below(3);
  return chance(random, 0.6) ? random.below(40) : random.below(600);
}

void draw_source(Random& random, RunPlan& plan) {
  JobConfig& config = plan.config;
  plan.inputs = config.count;
  if (chance(random, 0.3))
    config.count = kUnsized;
  else if (chance(random, 0.5))
    config.count = random.below(2 * plan.inputs + 3);  // the hint lies
  plan.pull_longest = chance(random, 0.5) ? 0 : 1 + span_below(random, 60 * kMicrosecond);
  plan.short_pulls = chance(random, 0.5) ? random.unit() : 0;
  plan.says_end_early = random.unit();
  if (chance(random, 0.1)) plan.pulls_until_failure = random.below(20);
}

void draw_batches(Random& random, JobConfig& config) {
  config.batched = true;
  if (chance(random, 0.3)) return;  // automatic
  config.batch_max = 1 + random.below(8);
  if (config.window) config.window = std::max(config.window, config.batch_max);
  if (config.fetched && chance(random, 0.5)) config.linger_ns = 1 + span_below(random, 200 * kMicrosecond);
}

void draw_retry(Random& random, RetryPolicy& retry) {
  retry.attempts = chance(random, 0.6) ? 1 + static_cast<uint32_t>(random.below(4)) : 1;
  retry.jitter = chance(random, 0.5);
  retry.backoff_ns = span_below(random, 500 * kMicrosecond);
  retry.max_delay_ns = span_below(random, 2 * kMillisecond);
  retry.max_server_wait_ns = chance(random, 0.2) ? kNever : span_below(random, 500 * kMicrosecond);
}

void draw_consumer(Random& random, RunPlan& plan) {
  plan.config.stream = true;
  plan.config.ordered = chance(random, 0.5);
  plan.rest_longest = chance(random, 0.4) ? 0 : 1 + span_below(random, 100 * kMicrosecond);
  plan.bursting = random.unit();
  plan.stalling = chance(random, 0.3) ? 0.05 : 0;
  if (chance(random, 0.15)) plan.closes_at = span_below(random, 10 * kMillisecond);
}

// A job may be a stream, have its inputs pushed, and have more takers than workers.
void draw_surplus(Random& random, RunPlan& plan) {
  JobConfig& config = plan.config;
  if (chance(random, 0.4)) draw_consumer(random, plan);
  if (config.fetched && !config.serial && chance(random, 0.35)) {
    config.pushed = true;
    plan.push_longest = chance(random, 0.3) ? 0 : 1 + span_below(random, 60 * kMicrosecond);
  }
  config.gated = chance(random, 0.2) && !config.stream && !config.fetched;
  const bool may_have_more = config.gated || config.stream || config.fetched;
  if (may_have_more && !config.serial && chance(random, 0.5))
    plan.takers += static_cast<uint32_t>(random.below(2 * config.workers + 2));
  plan.deserting = chance(random, 0.2) ? 0.1 : 0;
  plan.cookies = random.below(4);
}

RunPlan draw_run(Random& random, bool limiter_exists, uint64_t burst) {
  RunPlan plan;
  JobConfig& config = plan.config;
  config.count = plan.inputs = draw_count(random);
  config.fetched = chance(random, 0.4);
  config.workers = 1 + static_cast<uint32_t>(random.below(6));
  config.cpus = chance(random, 0.7) ? config.workers : 1 + static_cast<uint32_t>(random.below(3));
  config.observed = chance(random, 0.3);
  config.owner_concludes = chance(random, 0.2);
  config.seed = random.next();
  config.lease_max = chance(random, 0.3) ? 1 + random.below(5) : uint64_t{1} << 20;
  config.lease_target_ns = 1 + span_below(random, 300 * kMicrosecond);
  if (chance(random, 0.05)) config.fixed_lease = 1 + random.below(4);
  if (chance(random, 0.3)) config.first_lease = 1 + random.below(std::min<uint64_t>(config.lease_max, 20));

  // Half of the sized jobs have none of the policies that take them off the lanes.
  const bool plain = !config.fetched && chance(random, 0.5);
  plan.limited = limiter_exists && !plain;
  if (!plain) {
    config.window = chance(random, 0.35) ? 1 + random.below(30) : 0;
    config.chunk = chance(random, 0.2) ? 1 + random.below(20) : 0;
    config.serial = chance(random, 0.08);
    config.detachable = chance(random, 0.25);
  }
  if (config.serial) config.workers = config.cpus = 1;
  if (config.fetched) draw_source(random, plan);
  if (chance(random, 0.3)) draw_batches(random, config);
  if (plain) config.batch_max = 0;

  const uint64_t cost = 1 + random.below(burst);
  const bool pays_by_call = config.batched && chance(random, 0.7);
  config.tokens_per_item = pays_by_call ? 0 : cost;
  config.tokens_per_lease = pays_by_call ? cost : 0;

  plan.takers = config.serial    ? 1
                : config.fetched ? config.workers + 1
                                 : config.workers + static_cast<uint32_t>(random.below(3));
  draw_retry(random, config.retry);
  config.max_errors = chance(random, 0.25) ? 1 + random.below(8) : 0;
  if (chance(random, 0.3)) config.deadline = chance(random, 0.1) ? 0 : span_below(random, 20 * kMillisecond);
  plan.owner_watches_deadline = chance(random, 0.5);
  plan.stoppable = chance(random, 0.7);

  plan.body_longest = chance(random, 0.2) ? 0 : 1 + span_below(random, 300 * kMicrosecond);
  plan.failing = chance(random, 0.5) ? random.unit() * 0.4 : 0;
  plan.retryable = random.unit();
  plan.server_waits = chance(random, 0.5) ? 0.2 : 0;
  plan.server_wait_longest = 400 * kMicrosecond;
  plan.giving_back = chance(random, 0.3) && !config.batched ? 0.2 : 0;
  plan.leaving = chance(random, 0.2) ? 0.05 : 0;
  if (chance(random, 0.05)) plan.fails_at = span_below(random, 10 * kMillisecond);
  plan.revoking = config.detachable ? 0.2 : 0;
  Random surplus{config.seed + 1};
  draw_surplus(surplus, plan);
  return plan;
}

}  // namespace

Rate draw_rate(Random& random, uint64_t least_burst) {
  Rate rate;
  rate.count = 1;
  const double interval_ns = std::exp(random.unit() * std::log(300'000.0));  // 1 ns to 300 us, as many short as long
  rate.count = 1e9 / interval_ns;
  rate.burst = least_burst + random.below(8);
  return rate;
}

Scenario draw_scenario(uint64_t seed) {
  Random random{seed * 7919 + 1};
  Scenario scenario;
  scenario.seed = seed;
  uint64_t burst = 1;
  if (chance(random, 0.5)) {
    scenario.least_burst = chance(random, 0.3) ? 1 + random.below(4) : 1;
    scenario.rate = draw_rate(random, scenario.least_burst);
    burst = scenario.least_burst;
    scenario.pausing = chance(random, 0.4) ? 0.004 : 0;
    scenario.settling = chance(random, 0.2) ? 0.01 : 0;
    scenario.rerating = chance(random, 0.2) ? 0.01 : 0;
  }
  scenario.runs.push_back(draw_run(random, scenario.rate.has_value(), burst));
  if (scenario.rate && chance(random, 0.3)) scenario.runs.push_back(draw_run(random, true, burst));
  if (chance(random, 0.5)) scenario.stop_at = chance(random, 0.1) ? 0 : span_below(random, 10 * kMillisecond);
  scenario.probing = chance(random, 0.5);
  return scenario;
}

namespace {

std::string number(uint64_t value) { return value == UINT64_MAX ? "-" : std::to_string(value); }

std::string describe(const RunPlan& plan) {
  const JobConfig& c = plan.config;
  std::string line =
      text("  job: count %s%s, workers %u on %u cpus, takers %u, window %llu, chunk %llu%s%s%s%s%s\n",
           number(c.count).c_str(), c.fetched ? " (hint)" : "", c.workers, c.cpus, plan.takers, ull{c.window}, ull{c.chunk},
           c.serial ? ", serial" : "", c.observed ? ", observed" : "", c.detachable ? ", detachable" : "",
           c.owner_concludes ? ", owner concludes" : "", c.gated ? ", gated" : "");
  line += text(
      "    lease_max %llu, target %lld ns, fixed %llu%s, batch_max %llu, linger %lld ns, tokens %llu an item, %llu a "
      "lease%s\n",
      ull{c.lease_max}, ll{c.lease_target_ns}, ull{c.fixed_lease}, c.batched ? ", batched" : "", ull{c.batch_max},
      ll{c.linger_ns}, ull{c.tokens_per_item}, ull{c.tokens_per_lease}, plan.limited ? "" : " (no limiter)");
  line += text(
      "    attempts %u, backoff %lld, max_delay %lld%s, max_server_wait %s, max_errors %llu, deadline %s%s, fails at %s\n",
      c.retry.attempts, ll{c.retry.backoff_ns}, ll{c.retry.max_delay_ns}, c.retry.jitter ? ", jitter" : "",
      instant(c.retry.max_server_wait_ns).c_str(), ull{c.max_errors}, instant(c.deadline).c_str(),
      plan.stoppable ? ", stoppable" : "", instant(plan.fails_at).c_str());
  if (c.fetched)
    line += text("    source: %llu inputs, pulls up to %lld ns, short %.2f, fails after %s\n", ull{plan.inputs},
                 ll{plan.pull_longest}, plan.short_pulls, number(plan.pulls_until_failure).c_str());
  if (c.pushed) line += text("    inputs are pushed, up to %lld ns apart\n", ll{plan.push_longest});
  if (c.stream)
    line +=
        text("    stream%s: rests up to %lld ns, bursting %.2f, stalling %.2f, closes at %s\n", c.ordered ? ", ordered" : "",
             ll{plan.rest_longest}, plan.bursting, plan.stalling, instant(plan.closes_at).c_str());
  return line + text("    bodies up to %lld ns, failing %.2f, of which retryable %.2f, giving back %.2f\n",
                     ll{plan.body_longest}, plan.failing, plan.retryable, plan.giving_back);
}

}  // namespace

std::string describe(const Scenario& scenario) {
  std::string lines = text("seed %llu: stop at %s%s\n", ull{scenario.seed}, instant(scenario.stop_at).c_str(),
                           scenario.probing ? ", probing" : "");
  if (scenario.rate)
    lines += text("  limiter: %.3f a second, burst %llu\n", scenario.rate->count, ull{scenario.rate->burst});
  for (const RunPlan& plan : scenario.runs) lines += describe(plan);
  return lines;
}

}  // namespace pa::simulation
