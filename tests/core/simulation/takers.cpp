// The takers of a run: what they do with what the job hands out, and what must hold whenever it does.
#include <algorithm>

#include "check.hpp"
#include "run.hpp"
#include "trace.hpp"

namespace pa::simulation {

bool Run::act() {
  std::vector<Taker*> able;
  for (Taker& taker : takers_)
    if (taker.doing != Doing::gone && taker.at <= around_.now) able.push_back(&taker);
  const bool consumer_comes = consumer_.at <= around_.now, pusher_comes = pusher_.at <= around_.now;
  const uint64_t others = (consumer_comes ? 1 : 0) + (pusher_comes ? 1 : 0);
  if (able.empty() && !others) return false;
  const uint64_t turn = around_.random.below(able.size() + others);
  if (turn >= able.size()) {
    const bool push_now = pusher_comes && (!consumer_comes || turn > able.size());
    push_now ? push() : come();
    return true;
  }
  Taker& taker = *able[turn];
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
  Wake wake;
  const Take answer = job_.take(around_.now, taker.lease, wake);
  answered(taker, answer, must, probing, wake);
}

void Run::answered(Taker& taker, Take answer, bool must, bool probing, const Wake& wake) {
  const nanos park_limit = config_.deadline;
  const Lease& lease = taker.lease;
  if (answer == Take::again) {
    PA_TRACE("taker %d %s: again, comes back at %s", number_of(taker), probing ? "probes" : "takes",
             instant(lease.come_back).c_str());
  } else {
    PA_TRACE("taker %d %s: %s [%llu +%llu) attempt %u, wake %u", number_of(taker), probing ? "probes" : "takes",
             name(answer), ull{lease.first}, ull{lease.count}, lease.attempt, wake.takers);
  }
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
  if (is_gated())
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
  PA_CHECK(config_.fetched && !config_.pushed, "a pull of inputs that are not fetched");
  PA_CHECK(!pulling_, "two pulls at a time");
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
  coverage_.waited_for_a_place += is_gated() && count(Doing::running) >= config_.workers;
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
  const uint64_t cookie = draw_cookie();
  const bool part_of_it = job_.supply(around_.now, got, end, cookie, wake);
  PA_TRACE("taker %d supplies %llu of %llu%s%s, wake %u", number_of(taker), ull{got}, ull{asked}, end ? ", the end" : "",
           part_of_it ? "" : ", too late", wake.takers);
  PA_CHECK(part_of_it == !revoked_, "inputs pulled %s the run was detached are%s part of it", revoked_ ? "while" : "before",
           part_of_it ? "" : " not");
  if (part_of_it) ledger_.supplied(around_.now, got, end, cookie);
  after_call(wake);
}

// A body has run for a while: some items are done, and one may have failed.
void Run::work(Taker& taker) {
  Lease& lease = taker.lease;
  const bool must_step = must_end() || (is_limited() && around_.limiter->pause_epoch() != taker.pause_epoch);
  if (must_step) PA_CHECK(job_.needs_step(around_.now, lease), "a taker is not told that it must step");
  if (chance(around_.random, plan_.deserting) && staying() > 1) return desert(taker);
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
  if (chance(around_.random, plan_.deserting) && staying() > 1) return desert(taker);
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
    ledger_.failed_for_good(around_.now, index);
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
  if (done && done == lease.count && chance(around_.random, 0.3)) return complete_and_take(taker);
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
  if (chance(around_.random, plan_.leaving) && staying() > 1) {  // whoever holds nothing may go without a word
    PA_TRACE("taker %d goes away", number_of(taker));
    taker.doing = Doing::gone;
    coverage_.left++;
  }
  if (config_.batched && !config_.batch_max)
    PA_CHECK(job_.batch_size() <= config_.lease_max, "batch size %llu", ull{job_.batch_size()});
  after_call(wake);
}

void Run::complete_and_take(Taker& taker) {
  const uint64_t first = taker.lease.first, count = taker.lease.count;
  const bool revoked = ledger_.is_taken_back(first);
  const bool must = must_end();
  heard_ = {};
  Wake wake;
  const Take answer = job_.complete_and_take(around_.now, taker.lease, *this, wake);
  PA_TRACE("taker %d completes [%llu +%llu), and takes", number_of(taker), ull{first}, ull{count});
  if (revoked) {
    coverage_.late_calls++;
    PA_CHECK(heard_.successes == 0, "late successes are told");
    PA_CHECK(answer == Take::done, "a %s after the run was detached", name(answer));
  } else {
    note_successes(first, count, "complete_and_take");
  }
  coverage_.completed_and_took++;
  taker.doing = Doing::idle;
  answered(taker, answer, must, false, wake);
}

// A call that was given up: the taker goes, and what it held is run by others.
void Run::desert(Taker& taker) {
  complete(taker, 0);
  coverage_.left_with_a_lease++;
  if (taker.doing == Doing::gone) return;
  Wake wake;
  job_.leave(taker.lease, wake);
  taker.doing = Doing::gone;
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

}  // namespace pa::simulation
