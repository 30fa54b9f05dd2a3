#include "run.hpp"

#include <algorithm>

#include "check.hpp"
#include "trace.hpp"

namespace pa::simulation {
namespace {

JobConfig with_surroundings(const RunPlan& plan, const Surroundings& around) {
  JobConfig config = plan.config;
  config.limiter = plan.limited ? around.limiter : nullptr;
  config.stop = plan.stoppable ? around.stop : nullptr;
  return config;
}

}  // namespace

Run::Run(const RunPlan& plan, Surroundings& around, int number)
    : plan_(plan),
      config_(with_surroundings(plan, around)),
      around_(around),
      coverage_(*around.coverage),
      number_(number),
      job_(config_),
      ledger_(plan),
      takers_(plan.takers) {
  ended_ = job_.end();
  all_resolved_ = job_.all_resolved();
  const bool stopped = config_.stop && config_.stop->requested();
  const bool empty = config_.count == 0 && !config_.fetched && !config_.owner_concludes;
  PA_CHECK(ended_ == (stopped ? End::cancelled
                      : empty ? End::completed
                              : End::none),
           "a new job has ended as %s", name(ended_));
  coverage_.ends_completed += ended_ == End::completed;
  coverage_.ends_cancelled += ended_ == End::cancelled;
  const bool counted = config_.window || config_.chunk || config_.serial || config_.detachable || config_.batch_max ||
                       is_limited() || is_gated();
  if (!config_.fetched) ++(counted ? coverage_.counter_runs : coverage_.lane_runs);
  if (config_.fetched) ++(config_.count == kUnsized ? coverage_.unsized_sources : coverage_.sized_sources);
  if (config_.fetched && config_.count != kUnsized) {
    coverage_.hints_too_high += config_.count > plan.inputs;
    coverage_.hints_too_low += config_.count < plan.inputs;
  }
  coverage_.serial_runs += config_.serial;
  coverage_.chunked_runs += config_.chunk != 0;
  coverage_.pushed_sources += config_.pushed;
  coverage_.gated_runs += config_.gated;
  coverage_.streams += config_.stream;
  coverage_.ordered_streams += config_.stream && config_.ordered;
  coverage_.automatic_windows += config_.stream && !config_.window;
  if (config_.stream) consumer_ = {draw_rest(), false, false};
  if (config_.pushed) pusher_.at = span_below(around_.random, plan.push_longest);
}

// ---------------------------------------------------------------- what the job says

// Under the job's lock: what a thread that sees the end must find. So the failure has to be told before it is counted.
void Run::failed(uint64_t index, Verdict verdict) noexcept {
  heard_.failures++;
  heard_.index = index;
  heard_.verdict = verdict;
  if (job_.end() == End::completed) heard_.violation = "the run was completed before its last failure was told";
  if (verdict == Verdict::final && job_.failures() != ledger_.failures())
    heard_.violation = "a failure was counted before it was told";
  if (verdict == Verdict::final && job_.resolved() != ledger_.resolved() + (index - heard_.successes_first))
    heard_.violation = "an index was resolved before its failure was told";
}

void Run::succeeded(uint64_t first, uint64_t count) noexcept {
  if (!config_.observed) heard_.violation = "successes are told though nobody observes";
  if (heard_.successes) heard_.violation = "successes are told twice";
  heard_.successes_first = first;
  heard_.successes = count;
}

void Run::note_successes(uint64_t first, uint64_t count, const char* call) {
  PA_CHECK(heard_.violation.empty(), "%s: %s", call, heard_.violation.c_str());
  if (config_.observed) {
    PA_CHECK(heard_.successes == count && (count == 0 || heard_.successes_first == first),
             "%s: successes [%llu +%llu) were told as [%llu +%llu)", call, ull{first}, ull{count},
             ull{heard_.successes_first}, ull{heard_.successes});
    coverage_.observed += count;
  }
  ledger_.succeeded(around_.now, first, count);
}

bool Run::must_end() const {
  return job_.end() != End::none || job_.all_resolved() || (config_.stop && config_.stop->requested()) ||
         around_.now >= config_.deadline;
}

// After each call: the end was decided once, for a reason that holds, and the counters agree.
void Run::after_call(const Wake& wake) {
  const bool was_open = ended_ == End::none;
  if (job_.end() != ended_) check_end(wake);
  if (job_.all_resolved() && !all_resolved_) check_all_resolved(wake, was_open);
  PA_CHECK(job_.resolved() == ledger_.resolved(), "the job says %llu are resolved, it is %llu", ull{job_.resolved()},
           ull{ledger_.resolved()});
  PA_CHECK(job_.failures() == ledger_.failures(), "the job counts %llu failures, it is %llu", ull{job_.failures()},
           ull{ledger_.failures()});
  if (config_.max_errors && ledger_.failures() >= config_.max_errors)
    PA_CHECK(ended_ != End::none && ended_ != End::completed, "%llu failures, and the run is %s", ull{ledger_.failures()},
             name(ended_));
  if (config_.stream || (config_.window && ended_ == End::none)) {
    PA_CHECK(job_.in_window() == ledger_.in_window(), "the job has %llu in its window, it is %llu", ull{job_.in_window()},
             ull{ledger_.in_window()});
    PA_CHECK(job_.in_window() <= ledger_.window(), "%llu in a window of %llu", ull{job_.in_window()}, ull{ledger_.window()});
  }
  deliver(wake);
  check_consumer();
  if (pusher_.waits && (job_.room_for_inputs() || ended_ != End::none)) pusher_ = {around_.now, false};
}

bool Run::wakes_everyone(const Wake& wake) const {
  return wake.owner && (wake.takers == kEveryone || !count(Doing::parked));
}

void Run::check_all_resolved(const Wake& wake, bool was_open) {
  all_resolved_ = true;
  PA_CHECK(ledger_.input_done() && ledger_.resolved() == ledger_.supplied(), "%llu of %llu are called all",
           ull{ledger_.resolved()}, ull{ledger_.supplied()});
  PA_CHECK(!was_open || wakes_everyone(wake), "when all is resolved %u takers are woken%s", wake.takers,
           wake.owner ? "" : " and not the owner");
}

void Run::check_end(const Wake& wake) {
  PA_CHECK(ended_ == End::none, "the run was %s and is now %s", name(ended_), name(job_.end()));
  ended_ = job_.end();
  PA_TRACE("ends: %s", name(ended_));
  PA_CHECK(wakes_everyone(wake), "the end wakes %u takers%s", wake.takers, wake.owner ? "" : " and not the owner");
  const bool stopped = config_.stop && config_.stop->requested();
  switch (ended_) {
    case End::none:
      break;
    case End::completed:
      PA_CHECK(ledger_.input_done() && ledger_.resolved() == ledger_.supplied() && !pulling_, "completed with %llu of %llu",
               ull{ledger_.resolved()}, ull{ledger_.supplied()});
      PA_CHECK(config_.owner_concludes || (!stopped && around_.now < config_.deadline),
               "completed after a stop or the deadline");
      coverage_.ends_completed++;
      break;
    case End::timed_out:
      PA_CHECK(!stopped, "timed out though a stop was requested");
      if (around_.now < config_.deadline) {
        PA_CHECK(ledger_.only_retries_after(config_.deadline) || no_token_before(config_.deadline),
                 "timed out %lld ns early, and nothing predicts it", ll{config_.deadline - around_.now});
        coverage_.ends_predicted_late++;
      }
      coverage_.ends_timed_out++;
      break;
    case End::aborted:
      PA_CHECK(config_.max_errors && ledger_.failures() >= config_.max_errors, "aborted after %llu failures",
               ull{ledger_.failures()});
      coverage_.ends_aborted++;
      break;
    case End::cancelled:
      PA_CHECK(stopped || closed_, "cancelled, and nobody asked for it");
      coverage_.ends_cancelled++;
      break;
    case End::failed:
      PA_CHECK(failed_by_us_, "failed, and nobody said so");
      coverage_.ends_failed++;
      break;
  }
}

void Run::deliver(const Wake& wake) {
  if (wake.owner && consumer_.waits) {
    PA_TRACE("wakes the consumer");
    consumer_.waits = false;
    consumer_.at = around_.now;
    coverage_.consumer_woken++;
  }
  std::vector<Taker*> parked;
  if (wake.takers)
    for (Taker& taker : takers_)
      if (taker.doing == Doing::parked) parked.push_back(&taker);
  for (uint32_t left = wake.takers; left && !parked.empty(); left--) {
    const size_t chosen = around_.random.below(parked.size());
    PA_TRACE("wakes taker %d", number_of(*parked[chosen]));
    parked[chosen]->doing = Doing::idle;
    parked[chosen]->at = around_.now;
    parked[chosen] = parked.back();
    parked.pop_back();
    coverage_.woken++;
  }
}

// ---------------------------------------------------------------- from outside

void Run::poll() {
  Wake wake;
  const bool must = must_end() && !job_.all_resolved();
  const End end = job_.poll(around_.now, wake);
  PA_CHECK((end != End::none) == (must || ended_ != End::none), "a poll says %s", name(end));
  after_call(wake);
}

void Run::wake_everyone() { deliver({kEveryone, false}); }

// The run hears of a stop: its owner looks, or the takers do.
void Run::stop_requested() {
  if (!config_.stop) return;
  PA_TRACE("a stop is requested");
  if (chance(around_.random, 0.5)) return poll();
  wake_everyone();
}

void Run::disturb() {
  Random& random = around_.random;
  if (around_.now >= plan_.closes_at && !consumer_.told) close_stream();
  if (around_.now >= plan_.fails_at && job_.end() == End::none) {
    Wake wake;
    failed_by_us_ = true;
    job_.end_as(End::failed, wake);
    after_call(wake);
  }
  if (plan_.owner_watches_deadline && around_.now >= config_.deadline && ended_ == End::none) poll();
  if (ended_ != End::none) {
    if (!revoked_ && chance(random, plan_.revoking)) revoke();
    if (chance(random, 0.05)) drain();
    return;
  }
  if (chance(random, 0.002)) deliver({1, false});  // a futex may return early
  if (chance(random, plan_.leaving)) leave();
}

uint32_t Run::staying() const { return static_cast<uint32_t>(takers_.size()) - count(Doing::gone); }

void Run::leave() {
  for (Taker& taker : takers_) {
    if (taker.doing != Doing::parked || staying() < 2) continue;
    Wake wake;
    job_.leave(taker.lease, wake);
    PA_TRACE("taker %d leaves, wake %u", number_of(taker), wake.takers);
    taker.doing = Doing::gone;
    coverage_.left++;
    return after_call(wake);
  }
}

void Run::revoke() {
  std::vector<Unrun> taken;
  job_.revoke(taken);
  revoked_ = true;
  for (const Unrun& unrun : taken) {
    PA_TRACE("takes back [%llu +%llu), attempts %u", ull{unrun.first}, ull{unrun.count}, unrun.attempts);
    const auto holder = std::find_if(takers_.begin(), takers_.end(), [&](const Taker& taker) {
      return taker.doing == Doing::running && unrun.first >= taker.lease.first &&
             unrun.first < taker.lease.first + taker.lease.count;
    });
    PA_CHECK(holder != takers_.end(), "index %llu is taken back, and nobody has it", ull{unrun.first});
    const bool runs = config_.batched || unrun.first == holder->lease.first;
    PA_CHECK(unrun.attempts == holder->lease.attempt - (runs ? 0 : 1), "index %llu is taken back with %u attempts",
             ull{unrun.first}, unrun.attempts);
    PA_CHECK(runs ? config_.batched || unrun.count == 1 : true, "%llu indices run at once", ull{unrun.count});
    ledger_.taken_back(unrun);
    coverage_.revoked += unrun.count;
  }
  PA_CHECK(!ledger_.anything_leased(), "some leases were not taken back");
  if (consumer_.waits) consumer_ = {around_.now, false, consumer_.told};  // it was he who did it
}

// All is resolved. The owner's callbacks may still fail the run; else it says so.
bool Run::conclude() {
  if (!config_.owner_concludes || !job_.all_resolved() || ended_ != End::none) return false;
  Wake wake;
  if (chance(around_.random, 0.05)) {
    failed_by_us_ = true;
    job_.end_as(End::failed, wake);
  } else {
    PA_CHECK(job_.conclude(wake), "nothing has ended this run, and it can't be concluded");
    coverage_.concluded++;
  }
  after_call(wake);
  return true;
}

bool Run::drain() {
  if (conclude()) return true;
  if (ended_ == End::none) return false;
  bool any = false;
  while (const std::optional<Unrun> unrun = job_.drain()) {
    PA_TRACE("drains [%llu +%llu), attempts %u", ull{unrun->first}, ull{unrun->count}, unrun->attempts);
    PA_CHECK(unrun->count, "nothing is drained");
    coverage_.results_drained += ledger_.drained(*unrun);
    coverage_.drained += unrun->count;
    any = true;
  }
  const bool more_may_come = pulling_ && !revoked_;
  PA_CHECK(job_.settled() == (ledger_.settled(ended_) && !more_may_come), "the job says it is%s settled",
           job_.settled() ? "" : " not");
  return any;
}

// ---------------------------------------------------------------- when nobody has anything to do

uint32_t Run::count(Doing doing) const {
  return static_cast<uint32_t>(
      std::count_if(takers_.begin(), takers_.end(), [&](const Taker& taker) { return taker.doing == doing; }));
}

bool Run::gone() const { return staying() == 0; }

nanos Run::earliest_alarm() const {
  nanos alarm = kNever;
  for (const Taker& taker : takers_)
    if (taker.doing == Doing::parked) alarm = std::min(alarm, taker.at);
  return alarm;
}

nanos Run::next_instant(bool probing) const {
  nanos next = kNever;
  for (const Taker& taker : takers_)
    if (taker.doing != Doing::gone) next = std::min(next, taker.at);
  next = std::min({next, consumer_.at, pusher_.at});
  if (plan_.closes_at > around_.now && !consumer_.told) next = std::min(next, plan_.closes_at);
  if (ended_ != End::none) return next;
  if (plan_.fails_at > around_.now) next = std::min(next, plan_.fails_at);
  if (plan_.owner_watches_deadline) next = std::min(next, config_.deadline);
  if (probing && !is_limited() && job_.next_due() > around_.now) next = std::min(next, job_.next_due());
  return next;
}

void Run::rest(bool probing) {
  if (ended_ != End::none) return;
  check_alarms();
  // A probe arms alarms anew and so hides what it looks for: one taker, and not often.
  if (!probing || must_end() || (is_limited() && !around_.alone)) return;
  for (Taker& taker : takers_) {
    if (taker.doing != Doing::parked) continue;
    coverage_.probes++;
    return take(taker, true);
  }
}

// Those who sleep rely on one of them to come back in time.
void Run::check_alarms() {
  if (!count(Doing::parked) || must_end()) return;
  if (is_gated() && count(Doing::running) >= config_.workers) return;
  const nanos due = job_.next_due(), alarm = earliest_alarm();
  if (due == kNever) return;
  if (is_limited())
    PA_CHECK(alarm != kNever, "a retry is due at %lld, and nobody comes back", ll{due});  // when there are tokens
  else
    PA_CHECK(alarm <= due, "a retry is due at %lld, and nobody comes back before %lld", ll{due}, ll{alarm});
}

void Run::close() const {
  ledger_.close(ended_);
  PA_CHECK(job_.end() == ended_, "the end has changed to %s", name(job_.end()));
}

}  // namespace pa::simulation
