#include "run.hpp"

#include <algorithm>

#include "check.hpp"

namespace pa::simulation {
namespace {

const char* name(End end) {
  static constexpr const char* kNames[] = {"none", "completed", "timed out", "aborted", "cancelled", "failed"};
  return kNames[static_cast<int>(end)];
}

const char* name(Take take) {
  static constexpr const char* kNames[] = {"lease", "pull", "again", "done"};
  return kNames[static_cast<int>(take)];
}

JobConfig with_surroundings(const RunPlan& plan, const Surroundings& around) {
  JobConfig config = plan.config;
  config.limiter = plan.limited ? around.limiter : nullptr;
  config.stop = plan.stoppable ? around.stop : nullptr;
  return config;
}

}  // namespace

#define PA_TRACE(...)                                                                                                    \
  do {                                                                                                                   \
    if (around_.trace) std::printf("%10lld job %d ", ll{around_.now}, number_), std::printf(__VA_ARGS__), std::puts(""); \
  } while (0)

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
  const bool counted =
      config_.window || config_.chunk || config_.serial || config_.detachable || config_.batch_max || is_limited();
  if (!config_.fetched) ++(counted ? coverage_.counter_runs : coverage_.lane_runs);
  if (config_.fetched) ++(config_.count == kUnsized ? coverage_.unsized_sources : coverage_.sized_sources);
  if (config_.fetched && config_.count != kUnsized) {
    coverage_.hints_too_high += config_.count > plan.inputs;
    coverage_.hints_too_low += config_.count < plan.inputs;
  }
  coverage_.serial_runs += config_.serial;
  coverage_.chunked_runs += config_.chunk != 0;
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
  ledger_.succeeded(first, count);
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
  if (config_.window && ended_ == End::none)
    PA_CHECK(job_.in_window() <= config_.window, "%llu in a window of %llu", ull{job_.in_window()}, ull{config_.window});
  deliver(wake);
}

void Run::check_all_resolved(const Wake& wake, bool was_open) {
  all_resolved_ = true;
  PA_CHECK(ledger_.input_done() && ledger_.resolved() == ledger_.supplied(), "%llu of %llu are called all",
           ull{ledger_.resolved()}, ull{ledger_.supplied()});
  PA_CHECK(!was_open || (wake.takers == kEveryone && wake.owner), "when all is resolved %u takers are woken%s", wake.takers,
           wake.owner ? "" : " and not the owner");
}

void Run::check_end(const Wake& wake) {
  PA_CHECK(ended_ == End::none, "the run was %s and is now %s", name(ended_), name(job_.end()));
  ended_ = job_.end();
  PA_TRACE("ends: %s", name(ended_));
  PA_CHECK(wake.takers == kEveryone && wake.owner, "the end wakes %u takers%s", wake.takers,
           wake.owner ? "" : " and not the owner");
  const bool stopped = config_.stop && config_.stop->requested();
  switch (ended_) {
    case End::none:
      break;
    case End::completed:
      PA_CHECK(ledger_.input_done() && ledger_.resolved() == ledger_.supplied() && !pulling_, "completed with %llu of %llu",
               ull{ledger_.resolved()}, ull{ledger_.supplied()});
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
      PA_CHECK(stopped, "cancelled, and nobody asked for it");
      coverage_.ends_cancelled++;
      break;
    case End::failed:
      PA_CHECK(failed_by_us_, "failed, and nobody said so");
      coverage_.ends_failed++;
      break;
  }
}

void Run::deliver(const Wake& wake) {
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

// ---------------------------------------------------------------- takers

bool Run::act() {
  std::vector<Taker*> able;
  for (Taker& taker : takers_)
    if (taker.doing != Doing::gone && taker.at <= around_.now) able.push_back(&taker);
  if (able.empty()) return false;
  Taker& taker = *able[around_.random.below(able.size())];
  switch (taker.doing) {
    case Doing::idle:
    case Doing::parked:
      take(taker, false);
      break;
    case Doing::pulling:
      finish_pull(taker);
      break;
    case Doing::running:
      config_.batched ? work_batch(taker) : work(taker);
      break;
    case Doing::gone:
      break;
  }
  return true;
}

void Run::take(Taker& taker, bool probing) {
  const bool must = must_end();
  const nanos park_limit = config_.deadline;
  Wake wake;
  const Take answer = job_.take(around_.now, taker.lease, wake);
  const Lease& lease = taker.lease;
  PA_TRACE("taker %d %s: %s [%llu +%llu) attempt %u, come back %lld, wake %u", number_of(taker),
           probing ? "probes" : "takes", name(answer), ull{lease.first}, ull{lease.count}, lease.attempt,
           ll{lease.come_back}, wake.takers);
  if (must) PA_CHECK(answer == Take::done, "a %s after the end", name(answer));
  switch (answer) {
    case Take::lease:
      begin(taker, probing);
      break;
    case Take::pull:
      PA_CHECK(!probing, "missed wake-up: a parked taker could have pulled");
      begin_pull(taker);
      break;
    case Take::again:
      park(taker, park_limit);
      break;
    case Take::done:
      go(taker);
      break;
  }
  after_call(wake);
}

void Run::begin(Taker& taker, bool probing) {
  PA_CHECK(!probing || sleeps_for_several_tokens(), "missed wake-up: a parked taker could have had a lease");
  taker.doing = Doing::running;
  taker.at = around_.now + body();
  taker.granted = taker.lease.count;
  ledger_.granted(around_.now, taker.lease);
  coverage_.leases++;
  coverage_.retries += taker.lease.attempt > 1;
  if (config_.batch_max)
    ++(taker.lease.count == config_.batch_max ? coverage_.full_batches : coverage_.batches_that_lingered);
  if (config_.batched && !config_.batch_max && taker.lease.count > 1) coverage_.automatic_batches++;
  if (config_.fetched)
    PA_CHECK(count(Doing::running) <= config_.workers, "%u leases out, workers %u", count(Doing::running), config_.workers);
  if (is_limited()) {
    PA_CHECK(!around_.budget->pauses(around_.now), "a lease during a pause");
    taker.grant =
        around_.budget->granted(around_.now, taker.lease.count * config_.tokens_per_item + config_.tokens_per_lease);
    taker.pause_epoch = around_.limiter->pause_epoch();
  }
}

// Where the bucket holds several, the limiter lets a sleeper wait for more than the first: then the alarm is later, and
// right.
bool Run::sleeps_for_several_tokens() const {
  const uint64_t cost = config_.tokens_per_item + config_.tokens_per_lease;
  return is_limited() && around_.limiter->burst() / 2 > cost && earliest_alarm() != kNever;
}

bool Run::no_token_before(nanos instant) const {
  const uint64_t cost = config_.tokens_per_item + config_.tokens_per_lease;
  return is_limited() && around_.limiter->take(around_.now, 0, cost).when >= instant;
}

void Run::begin_pull(Taker& taker) {
  PA_CHECK(config_.fetched && !pulling_, "two pulls at a time");
  ledger_.asked_for(taker.lease.first, taker.lease.count);
  pulling_ = true;
  taker.doing = Doing::pulling;
  taker.at = around_.now + span_below(around_.random, plan_.pull_longest);
  coverage_.pulls++;
}

void Run::park(Taker& taker, nanos limit) {
  taker.doing = Doing::parked;
  taker.at = taker.lease.come_back;
  coverage_.parked++;
  PA_CHECK(taker.at > around_.now, "a taker shall come back at %lld: it would spin", ll{taker.at});
  PA_CHECK(taker.at == kNever || taker.at <= limit, "a taker shall come back %lld ns after the deadline",
           ll{taker.at - limit});
}

void Run::go(Taker& taker) {
  taker.doing = Doing::gone;
  if (job_.end() != End::none || job_.all_resolved()) return;
  // Nothing is left but what is being run, and nothing of that can come back in a way that needs this taker.
  coverage_.went_early++;
  PA_CHECK(config_.retry.attempts == 1 && !ledger_.anything_to_lease(), "a taker is sent away, and there is work");
  for (const Taker& other : takers_)
    PA_CHECK(other.doing != Doing::running || other.granted == 1, "a taker is sent away, and a lease of %llu is out",
             ull{other.granted});
}

void Run::finish_pull(Taker& taker) {
  pulls_++;
  pulling_ = false;
  taker.doing = Doing::idle;
  coverage_.pulls_after_the_end += job_.end() != End::none;
  const uint64_t asked = taker.lease.count;
  const uint64_t left = plan_.inputs - std::min(plan_.inputs, ledger_.supplied());
  uint64_t got = std::min(asked, left);
  if (got && chance(around_.random, plan_.short_pulls)) got = 1 + around_.random.below(got);
  bool end = got == 0 || (got == left && chance(around_.random, plan_.says_end_early));
  Wake wake;
  if (pulls_ > plan_.pulls_until_failure) {
    got = 0;
    end = true;
    coverage_.source_failures++;
    failed_by_us_ |= job_.end() == End::none;
    job_.end_as(End::failed, wake);
  }
  const bool part_of_it = job_.supply(around_.now, got, end, wake);
  PA_TRACE("taker %d supplies %llu of %llu%s%s, wake %u", number_of(taker), ull{got}, ull{asked}, end ? ", the end" : "",
           part_of_it ? "" : ", too late", wake.takers);
  PA_CHECK(part_of_it == !revoked_, "inputs pulled %s the run was detached are%s part of it", revoked_ ? "while" : "before",
           part_of_it ? "" : " not");
  if (part_of_it) ledger_.supplied(around_.now, got, end);
  after_call(wake);
}

// A body has run for a while: some items are done, and one may have failed.
void Run::work(Taker& taker) {
  Lease& lease = taker.lease;
  const bool must_step = must_end() || (is_limited() && around_.limiter->pause_epoch() != taker.pause_epoch);
  if (must_step) PA_CHECK(job_.needs_step(around_.now, lease), "a taker is not told that it must step");
  const uint64_t ran = 1 + around_.random.below(lease.count);
  if (chance(around_.random, plan_.failing)) {
    if (!fail(taker, lease.first + ran - 1)) return;
    // In a serial job nothing may overtake an item that is to be retried.
    const bool go_on = lease.count && !(config_.serial && heard_.verdict != Verdict::final);
    if (!go_on) return complete(taker, 0);
    taker.at = around_.now + body();
    return;
  }
  const bool gives_back = chance(around_.random, plan_.giving_back);
  if (ran < lease.count && !gives_back) return step(taker, ran);
  complete(taker, gives_back ? around_.random.below(ran + 1) : ran);
}

// A batch is one call, which answers for each item.
void Run::work_batch(Taker& taker) {
  for (uint64_t index = taker.lease.first, end = index + taker.lease.count; index < end; index++)
    if (chance(around_.random, plan_.failing) && !fail(taker, index)) return;
  complete(taker, taker.lease.count);
}

bool Run::fail(Taker& taker, uint64_t index) {
  Lease& lease = taker.lease;
  const bool revoked = ledger_.is_taken_back(lease.first);
  const uint64_t first = lease.first, count = lease.count;
  Failure failure;
  failure.retryable = chance(around_.random, plan_.retryable);
  if (chance(around_.random, plan_.server_waits))
    failure.server_wait_ns = span_below(around_.random, plan_.server_wait_longest);
  failure.gave_up = must_end() && chance(around_.random, 0.3);
  const bool attempts_left = failure.retryable && lease.attempt < config_.retry.attempts;
  const bool drained = revoked || (must_end() && (attempts_left || failure.gave_up));
  const Verdict expected = drained ? Verdict::stopped : attempts_left ? Verdict::retry : Verdict::final;

  heard_ = {};
  heard_.successes_first = first;
  Wake wake;
  const Verdict verdict = job_.fail(around_.now, lease, index, failure, *this, wake);
  PA_TRACE("taker %d fails %llu at attempt %u: verdict %d, server wait %lld, wake %u", number_of(taker), ull{index},
           lease.attempt, static_cast<int>(verdict), ll{failure.server_wait_ns}, wake.takers);
  PA_CHECK(verdict == expected, "verdict %d for index %llu, expected %d", static_cast<int>(verdict), ull{index},
           static_cast<int>(expected));
  PA_CHECK(lease.revoked == revoked, "a lease is%s revoked", revoked ? " not" : "");
  PA_CHECK(heard_.failures == (revoked ? 0 : 1), "a failure is told %llu times", ull{heard_.failures});
  if (revoked) {
    coverage_.late_calls++;
    taker.doing = Doing::idle;
    after_call(wake);
    return false;
  }
  PA_CHECK(heard_.index == index && heard_.verdict == verdict, "the failure of %llu is told as one of %llu", ull{index},
           ull{heard_.index});
  PA_CHECK(lease.first == index + 1 && lease.count == count - (index + 1 - first),
           "after a failure the lease is [%llu +%llu)", ull{lease.first}, ull{lease.count});
  note_successes(first, index - first, "fail");
  if (failure.retryable && failure.server_wait_ns >= 0 && is_limited()) {
    coverage_.server_waits++;
    around_.budget->paused(around_.now, around_.now + config_.retry.clamp_server_wait(failure.server_wait_ns));
  }
  if (verdict == Verdict::final) {
    ledger_.failed_for_good(index);
    coverage_.final_failures++;
  } else {
    ledger_.failed_attempt(around_.now, index, verdict, failure.server_wait_ns);
    coverage_.stopped_retries += verdict == Verdict::stopped;
  }
  after_call(wake);
  return true;
}

void Run::complete(Taker& taker, uint64_t done) {
  Lease& lease = taker.lease;
  const bool revoked = lease.count && ledger_.is_taken_back(lease.first);
  const uint64_t first = lease.first, rest = lease.count - done;
  heard_ = {};
  Wake wake;
  job_.complete(around_.now, lease, done, *this, wake);
  PA_TRACE("taker %d completes [%llu +%llu), gives back %llu, wake %u", number_of(taker), ull{first}, ull{done}, ull{rest},
           wake.takers);
  PA_CHECK(!revoked || lease.revoked, "a late call is not told that the lease was taken back");
  if (revoked) {
    coverage_.late_calls++;
    PA_CHECK(heard_.successes == 0, "late successes are told");
  } else {
    note_successes(first, done, "complete");
    note_rest(taker, first + done, rest);
  }
  taker.doing = Doing::idle;
  if (config_.batched && !config_.batch_max)
    PA_CHECK(job_.batch_size() <= config_.lease_max, "batch size %llu", ull{job_.batch_size()});
  after_call(wake);
}

void Run::note_rest(Taker& taker, uint64_t first, uint64_t count) {
  if (!count) return;
  coverage_.give_backs++;
  ledger_.given_back(first, count);
  if (!is_limited()) return;
  const uint64_t for_the_call = count == taker.granted ? config_.tokens_per_lease : 0;
  around_.budget->unused(taker.grant, count * config_.tokens_per_item + for_the_call);
}

void Run::step(Taker& taker, uint64_t done) {
  Lease& lease = taker.lease;
  const bool revoked = ledger_.is_taken_back(lease.first);
  const bool paused = is_limited() && around_.limiter->pause_epoch() != taker.pause_epoch;
  const bool may_go_on = !revoked && !paused && !must_end();
  const uint64_t first = lease.first, rest = lease.count - done;
  heard_ = {};
  Wake wake;
  const bool goes_on = job_.step(around_.now, lease, done, *this, wake);
  PA_TRACE("taker %d steps over [%llu +%llu): %s with %llu of %llu, wake %u", number_of(taker), ull{first}, ull{done},
           goes_on ? "goes on" : "stops", ull{lease.count}, ull{rest}, wake.takers);
  PA_CHECK(goes_on == may_go_on, "a step says %d", goes_on);
  coverage_.steps++;
  if (revoked) {
    coverage_.late_calls++;
    PA_CHECK(lease.revoked && heard_.successes == 0, "a late step is not told that the lease was taken back");
    taker.doing = Doing::idle;
    return after_call(wake);
  }
  note_successes(first, done, "step");
  if (goes_on) {
    PA_CHECK(lease.first == first + done && lease.count && lease.count <= rest, "after a step the lease is [%llu +%llu)",
             ull{lease.first}, ull{lease.count});
    ledger_.given_back(lease.first + lease.count, rest - lease.count);
    coverage_.halves_shared += lease.count < rest;
    taker.at = around_.now + body();
  } else {
    note_rest(taker, first + done, rest);
    coverage_.steps_refused++;
    taker.doing = Doing::idle;
  }
  after_call(wake);
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

void Run::leave() {
  uint32_t staying = 0;
  for (const Taker& taker : takers_) staying += taker.doing != Doing::gone;
  for (Taker& taker : takers_) {
    if (taker.doing != Doing::parked || staying < 2) continue;
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
    ledger_.drained(*unrun);
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

bool Run::gone() const { return count(Doing::gone) == takers_.size(); }

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
  if (config_.fetched && count(Doing::running) >= config_.workers) return;
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
