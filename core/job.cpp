#include "job.hpp"

#include <algorithm>
#include <cassert>
#include <limits>
#include <new>

namespace pa {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr auto kOrdered = std::memory_order_seq_cst;

// A pull that took longer is worth overlapping with the calls: somebody fetches ahead.
constexpr nanos kSlowPull = 20'000;
// Automatic batches do not grow beyond calls of this length.
constexpr nanos kLongestCall = 100'000'000;

bool fits_lanes(const JobConfig& c) {
  return !c.fetched && !c.detachable && !c.serial && !c.limiter && c.window == 0 && c.chunk == 0 && c.batch_max == 0 &&
         c.count <= Lanes::kMaxCount;
}

// With more workers than CPUs, the workers mostly sleep in their calls: stealing would look at every lane in vain, so that
// all share one.
uint32_t lanes_for(const JobConfig& c) { return c.workers <= c.cpus ? std::max(1u, c.workers) : 1; }

// A run that is over in an instant is shared out once and for all: each lease more would cost as much as an index. With one
// taker there is nobody to share with.
uint64_t tiny_lane(const JobConfig& c) {
  if (c.workers == 1) return Lanes::kMaxCount;
  const uint64_t each = (c.count + lanes_for(c) - 1) / lanes_for(c);
  return each <= c.first_lease ? each : 1;
}

}  // namespace

Job::Job(const JobConfig& config)
    : config_(config),
      use_lanes_(fits_lanes(config)),
      whole_lane_(tiny_lane(config)),
      lock_commits_(!use_lanes_ || config.observed),
      lanes_(config.count, use_lanes_ ? lanes_for(config) : 0),
      random_(config.seed) {
  assert(config.workers >= 1);
  assert((config.tokens_per_item >= 1) != (config.tokens_per_lease >= 1));
  if (use_lanes_) next_ = config.count;
  chunk_end_ = config.chunk;
  input_done_ = !config.fetched && next_ >= config.count;
  if (use_lanes_) reserve(config.workers);
  Wake nobody;
  if (config.stop && config.stop->requested()) finish(End::cancelled, nobody);
  if (input_done_ && config.count == 0) finish_resolved(std::numeric_limits<nanos>::min(), nobody);
}

// ---------------------------------------------------------------------------------------------------------- the end

bool Job::finish(End why, Wake& wake) {
  uint32_t none = 0;
  // Before kEnded: whoever sees that finds the reason.
  if (!end_.compare_exchange_strong(none, static_cast<uint32_t>(why), kOrdered)) return false;
  close(wake);
  return true;
}

// From here on nobody is given anything. Whoever parks meanwhile announces that first, and then looks: see park().
void Job::close(Wake& wake) {
  if (!(attention_.load(kRelaxed) & kEnded)) attention_.fetch_or(kEnded, kOrdered);
  if (parked_.load(kOrdered)) wake.takers = kEveryone;
  wake.owner = true;
}

bool Job::ended(nanos now, Wake& wake) {
  if (attention_.load(std::memory_order_acquire) & kEnded) return true;
  if (config_.stop && config_.stop->requested()) {
    finish(End::cancelled, wake);
    return true;
  }
  if (now >= config_.deadline) {
    finish(End::timed_out, wake);
    return true;
  }
  return false;
}

End Job::poll(nanos now, Wake& wake) {
  ended(now, wake);
  return end();
}

bool Job::end_as(End why, Wake& wake) { return finish(why, wake); }

void Job::finish_if_done(nanos now, Wake& wake) {
  if (input_done_ && !pulling_ && resolved_.load(kRelaxed) == next_) finish_resolved(now, wake);
}

// A gate like the others: a stop or a deadline that came before the last item was done is the reason for the end.
void Job::finish_resolved(nanos now, Wake& wake) {
  all_resolved_.store(true, std::memory_order_release);
  if (ended(now, wake)) return;
  if (!config_.owner_concludes) {
    finish(End::completed, wake);
    return;
  }
  close(wake);
}

uint64_t Job::admitted() const {
  std::lock_guard lock(mutex_);
  return next_;
}

nanos Job::next_due() const {
  std::lock_guard lock(mutex_);
  return waiting_.next_due();
}

// ---------------------------------------------------------------------------------------------------------- waking

void Job::wake_takers(uint32_t count, Wake& wake) const {
  const uint32_t parked = parked_.load(kOrdered);
  if (!parked || wake.takers == kEveryone) return;
  wake.takers = std::max(wake.takers, std::min(count, parked));
}

// Normally one parked taker holds the alarm, the earliest time at which something can happen; the others wait without one.
Take Job::park(Lease& lease, nanos until) {
  lease.parked = true;
  if (attention_.load(kOrdered) & kEnded) {
    unpark(lease);
    return Take::done;
  }
  until = std::min(until, config_.deadline);
  lease.come_back = kNever;
  if (until < alarm_) {
    lease.keeps_time = has_timekeeper_ = true;
    lease.come_back = alarm_ = until;
  }
  return Take::again;
}

void Job::unpark(Lease& lease) {
  if (!lease.parked) return;
  lease.parked = false;
  parked_.fetch_sub(1, kOrdered);
  if (use_lanes_) attention_.fetch_sub(1, kOrdered);
  if (!lease.keeps_time) return;
  lease.keeps_time = false;
  has_timekeeper_ = false;  // an earlier one may still be there: the next to park doubles it, which is harmless
  alarm_ = kNever;
}

void Job::leave(Lease& lease, Wake& wake) {
  std::lock_guard lock(mutex_);
  if (!lease.parked) return;
  unpark(lease);
  wake_takers(1, wake);
}

// When time alone can make something possible. What is possible already, and still not picked, waits for a place among the
// running or for tokens.
nanos Job::next_alarm(nanos now) const {
  nanos alarm = waiting_.next_due() > now ? waiting_.next_due() : kNever;
  for (const Ready& ready : ready_)
    if (ready.ripe > now) alarm = std::min(alarm, ready.ripe);
  return alarm;
}

// ---------------------------------------------------------------------------------------------------------- take

Take Job::take(nanos now, Lease& lease, Wake& wake) {
  if (ended(now, wake)) return Take::done;
  if (!lease.registered) enroll(lease);
  if (lease.has_room && !lease.parked && now < retry_due_.load(kRelaxed) && ready_spans_.load(kRelaxed) == 0 &&
      take_from_lanes(now, lease, wake))
    return Take::lease;
  std::lock_guard lock(mutex_);
  unpark(lease);
  if (ended(now, wake)) return Take::done;
  try {
    reserve(takers_.load(kRelaxed));
    lease.has_room = use_lanes_;
  } catch (const std::bad_alloc&) {
    out_of_memory_.store(true, kRelaxed);
    finish(End::failed, wake);
    return Take::done;
  }
  return take_locked(now, lease, wake);
}

void Job::enroll(Lease& lease) {
  lease.registered = true;
  lease.number = takers_.fetch_add(1, kRelaxed);
  lease.has_room = use_lanes_ && lease.number < config_.workers;  // the constructor made it for as many
  lease.sizer.size = config_.fixed_lease ? config_.fixed_lease : use_lanes_ ? config_.first_lease : 1;
}

// Reserves what so many takers may need later where there is no way to fail: room to give a lease back, and a record each.
void Job::reserve(uint32_t takers) {
  const size_t spans = ready_.size() + 2 * size_t{takers} + 2;  // a steal and a give-back each, between two visits here
  if (ready_.capacity() < spans) ready_.reserve(2 * spans);
  if (config_.retry.attempts > 1) waiting_.reserve(waiting_.size() + takers);
  while (config_.detachable && records_.size() < takers) {
    free_records_.reserve(takers);
    records_.push_back({});
    free_records_.push_back(static_cast<uint32_t>(records_.size() - 1));
  }
}

// So many indices are not divided further. The calls of a batch function have a price of their own, and what is left at the
// end is not to be eaten in ever smaller bites.
uint64_t Job::whole_lane(const Lease& lease) const {
  return config_.batched ? std::max(whole_lane_, lease.sizer.size / 2) : whole_lane_;
}

bool Job::take_from_lanes(nanos now, Lease& lease, Wake& wake) {
  const uint64_t want = std::min(lease.sizer.size, config_.lease_max);
  Span span = lanes_.take_front(home(lease), want, whole_lane(lease));
  for (uint32_t k = 1; !span.count && k < lanes_.size(); k++) {
    const Span loot = lanes_.steal_back((home(lease) + k) % lanes_.size(), whole_lane(lease));
    if (!loot.count) continue;
    span = {loot.first, std::min(want, loot.count <= whole_lane(lease) ? loot.count : loot.count / 2)};
    const Span rest = {loot.first + span.count, loot.count - span.count};
    if (rest.count && !lanes_.publish(home(lease), rest)) {
      std::lock_guard lock(mutex_);
      push_ready({rest.first, rest.count, 0});
    }
  }
  if (!span.count) return false;
  // Somebody waits for work: it may find more of it. The one that is woken passes the wake on in the same way.
  if (attention_.load(kOrdered)) wake_takers(1, wake);
  grant(now, lease, span, 1, now);
  return true;
}

Take Job::take_locked(nanos now, Lease& lease, Wake& wake) {
  const nanos alarm = next_alarm(now);
  const Pick pick = this->pick(now, lease);
  if (pick.from == From::nowhere) {
    if (use_lanes_) {
      const Take taken = take_last_of_lanes(now, lease);
      if (taken == Take::lease) wake_takers(1, wake);
      return taken;
    }
    if (const uint64_t count = pull_count(lease)) {
      pulling_ = true;
      pull_started_ = now;
      lease.first = next_;
      lease.count = count;
      lease.attempt = 0;
      pass_on(now, true, wake);
      return Take::pull;
    }
    const bool only_waiting = input_done_ && !pulling_ && next_ - resolved_.load(kRelaxed) == waiting_.size();
    if (only_waiting && alarm != kNever && alarm >= config_.deadline) {
      finish(End::timed_out, wake);
      return Take::done;
    }
    parked_.fetch_add(1, kOrdered);
    return park(lease, alarm);
  }

  uint64_t count = pick.count;
  bool more_tokens = true;
  if (config_.limiter) {
    const bool by_lease = config_.tokens_per_lease != 0;
    const Limiter::Grant tokens = by_lease ? config_.limiter->take(now, 1, config_.tokens_per_lease)
                                           : config_.limiter->take(now, count, config_.tokens_per_item);
    if (!tokens.units) {
      if (tokens.when >= config_.deadline) {  // too late already: nobody needs to wait for it
        finish(End::timed_out, wake);
        return Take::done;
      }
      parked_.fetch_add(1, kOrdered);
      const nanos until = tokens.come_back < config_.deadline ? tokens.come_back : tokens.when;
      return park(lease, std::min(until, alarm));
    }
    if (!by_lease) count = tokens.units;
    more_tokens = tokens.more;
  }

  switch (pick.from) {
    case From::retry: {
      const Waiting item = waiting_.pop();
      retry_due_.store(waiting_.next_due(), kRelaxed);
      grant(now, lease, {item.index, 1}, item.attempts + 1, item.first_started);
      break;
    }
    case From::ready: {
      Ready& ready = ready_[pick.ready_at];
      grant(now, lease, {ready.first, count}, 1, now);
      ready.first += count;
      ready.count -= count;
      if (!ready.count) ready_.erase(ready_.begin() + static_cast<std::ptrdiff_t>(pick.ready_at));
      ready_spans_.store(static_cast<uint32_t>(ready_.size()), kOrdered);
      break;
    }
    default:
      grant(now, lease, {next_, count}, 1, now);
      next_ += count;
      input_done_ = next_ == config_.count;
  }
  note_out(lease);

  pass_on(now, more_tokens, wake);
  return Take::lease;
}

// The wake chain: if another take could succeed now, or nobody keeps the time any more, one parked taker looks. Whoever was
// woken to keep an earlier time may have found work instead: then the time that is kept is too late.
void Job::pass_on(nanos now, bool more_tokens, Wake& wake) {
  const nanos next = next_alarm(now);
  const bool time_matters = config_.limiter || config_.deadline != kNever || next != kNever;
  const bool time_is_kept = has_timekeeper_ && alarm_ <= next;
  if (could_do_more(now, more_tokens) || (time_matters && !time_is_kept)) wake_takers(1, wake);
}

// The lanes looked empty. Announce first, then look again; whoever publishes does so first and then looks for those who
// wait: one of the two sees the other.
Take Job::take_last_of_lanes(nanos now, Lease& lease) {
  parked_.fetch_add(1, kOrdered);
  attention_.fetch_add(1, kOrdered);
  Span span;
  for (uint32_t k = 0; !span.count && k < lanes_.size(); k++)
    span = lanes_.take_front((home(lease) + k) % lanes_.size(), std::min(lease.sizer.size, config_.lease_max));
  if (!span.count) {
    // Nothing can come back but halves of long leases: with many workers, parking all of them only to be told of the end
    // costs more than it can gain.
    const bool nothing_returns =
        lanes_.size() == 1 && config_.workers > 1 && config_.retry.attempts == 1 && big_leases_.load(kRelaxed) == 0;
    if (!nothing_returns) return park(lease, waiting_.next_due());
  }
  parked_.fetch_sub(1, kOrdered);
  attention_.fetch_sub(1, kOrdered);
  if (!span.count) return Take::done;
  grant(now, lease, span, 1, now);
  return Take::lease;
}

Job::Pick Job::pick(nanos now, const Lease& lease) {
  if (config_.fetched && running_ >= config_.workers) return {};
  if (waiting_.next_due() <= now) return {From::retry, 1, 0};
  if (config_.serial && !waiting_.empty()) return {};  // nothing overtakes an item that is to be retried
  for (size_t i = 0; i < ready_.size(); i++) {
    if (!ripe(ready_[i], now)) continue;
    const uint64_t most =
        config_.batch_max ? config_.batch_max : share_of_window(std::min(lease.sizer.size, config_.lease_max));
    return {From::ready, std::min(most, ready_[i].count), i};
  }
  if (use_lanes_ || config_.fetched || next_ >= config_.count) return {};
  if (config_.chunk && next_ == chunk_end_ && resolved_.load(kRelaxed) == next_) chunk_end_ += config_.chunk;
  const uint64_t left = config_.count - next_;
  if (config_.batch_max) {
    uint64_t want = std::min(config_.batch_max, left);
    if (config_.chunk) want = std::min(want, chunk_end_ - next_);
    return want && room() >= want ? Pick{From::fresh, want, 0} : Pick{};
  }
  const uint64_t fair = std::min(left, std::max(whole_lane(lease), left / (2 * uint64_t{config_.workers})));
  const uint64_t count = std::min({share_of_window(std::min(lease.sizer.size, config_.lease_max)), fair, room()});
  return count ? Pick{From::fresh, count, 0} : Pick{};
}

bool Job::ripe(const Ready& ready, nanos now) const {
  return now >= ready.ripe || (config_.batch_max && ready.count >= config_.batch_max) || input_done_;
}

uint64_t Job::share_of_window(uint64_t count) const {
  if (!config_.window) return count;
  return std::min(count, std::max<uint64_t>(1, config_.window / (2 * uint64_t{config_.workers})));
}

// How many more inputs may be admitted now.
uint64_t Job::room() const {
  const uint64_t out = next_ - resolved_.load(kRelaxed);
  uint64_t room = UINT64_MAX;
  if (config_.window) room = config_.window > out ? config_.window - out : 0;
  if (config_.chunk) {
    const bool next_chunk = out == 0 && next_ == chunk_end_;
    room = std::min(room, next_chunk ? config_.chunk : chunk_end_ - next_);
  }
  if (config_.serial && out != 0) room = 0;
  return room;
}

// How many inputs to pull now; 0: none.
uint64_t Job::pull_count(const Lease& lease) const {
  if (!config_.fetched || input_done_ || pulling_ || sealed_) return 0;
  if (running_ >= config_.workers && !slow_source_) return 0;
  uint64_t in_hand = 0;
  for (const Ready& ready : ready_) in_hand += ready.count;
  if (config_.batch_max ? in_hand >= config_.batch_max : in_hand > 0) return 0;
  uint64_t count =
      config_.batch_max ? config_.batch_max - in_hand : share_of_window(std::min(lease.sizer.size, config_.lease_max));
  if (!config_.batch_max && config_.count != kUnsized && next_ < config_.count)
    count = std::min(count, std::max(whole_lane(lease), (config_.count - next_) / (2 * uint64_t{config_.workers})));
  return std::min(count, room());
}

// Could another take have a lease or a pull now?
bool Job::could_do_more(nanos now, bool more_tokens) {
  Lease probe;
  return use_lanes_ || (more_tokens && pick(now, probe).from != From::nowhere) || pull_count(probe) != 0;
}

bool Job::supply(nanos now, uint64_t got, bool end, Wake& wake) {
  std::lock_guard lock(mutex_);
  assert(pulling_);
  pulling_ = false;
  slow_source_ = now - pull_started_ > kSlowPull;
  if (sealed_) return false;
  if (config_.chunk && next_ == chunk_end_) chunk_end_ += config_.chunk;
  if (got) push_ready({next_, got, config_.batch_max && config_.linger_ns ? after(now, config_.linger_ns) : 0});
  next_ += got;
  input_done_ = end;
  wake_takers(1, wake);
  finish_if_done(now, wake);
  return true;
}

void Job::grant(nanos now, Lease& lease, Span span, uint32_t attempt, nanos first_started) {
  lease.first = span.first;
  lease.count = lease.granted = span.count;
  lease.attempt = attempt;
  lease.first_started = first_started;
  lease.granted_at = now;
  lease.revoked = false;
  if (config_.limiter) lease.pause_epoch = config_.limiter->pause_epoch();
  if (use_lanes_ && lanes_.size() == 1 && span.count > 1) {
    lease.counted_big = true;
    big_leases_.fetch_add(1, kRelaxed);
  }
}

void Job::note_out(Lease& lease) {
  if (config_.fetched) running_++;
  if (!config_.detachable) return;
  lease.record = free_records_.back();
  free_records_.pop_back();
  records_[lease.record] = {lease.first, lease.count, lease.attempt, true, false};
}

void Job::note_progress(Lease& lease, uint64_t done) {
  lease.first += done;
  lease.count -= done;
  if (lease.record == Lease::kNone) return;
  records_[lease.record].first = lease.first;
  records_[lease.record].count = lease.count;
}

// True: the lease is over, and what the taker still holds is none of the job's business.
bool Job::take_note_of_revocation(Lease& lease) {
  lease.revoked = lease.record != Lease::kNone && records_[lease.record].revoked;
  if (lease.revoked) close_lease(lease);
  return lease.revoked;
}

void Job::close_lease(Lease& lease) {
  if (config_.fetched) running_--;
  if (lease.record == Lease::kNone) return;
  records_[lease.record].live = false;
  free_records_.push_back(lease.record);
  lease.record = Lease::kNone;
}

// ---------------------------------------------------------------------------------------------------------- settle

void Job::commit(nanos now, Lease& lease, uint64_t done, Witness& witness, Wake& wake) {
  if (!done) return;
  if (config_.observed) {
    witness.succeeded(lease.first, done);
    wake.owner = true;
  }
  note_progress(lease, done);
  const uint64_t resolved = resolved_.fetch_add(done, kOrdered) + done;
  if (use_lanes_) {
    if (resolved == config_.count) finish_resolved(now, wake);
    return;
  }
  const bool made_room = config_.window || config_.serial || (config_.chunk && resolved == next_);
  if (made_room) wake_takers(static_cast<uint32_t>(std::min<uint64_t>(done, kEveryone - 1)), wake);
  finish_if_done(now, wake);
}

bool Job::step(nanos now, Lease& lease, uint64_t done, Witness& witness, Wake& wake) {
  std::unique_lock lock(mutex_, std::defer_lock);
  if (lock_commits_) lock.lock();
  if (take_note_of_revocation(lease)) return false;
  commit(now, lease, done, witness, wake);
  const bool paused = config_.limiter && config_.limiter->pause_epoch() != lease.pause_epoch;
  if (ended(now, wake) || paused) {
    if (!lock.owns_lock()) lock.lock();
    give_back(now, lease, wake);
    return false;
  }
  if (use_lanes_) share(lease, wake);
  return true;
}

// Somebody is hungry: hand back the later half of what this lease still holds.
void Job::share(Lease& lease, Wake& wake) {
  if (lease.count < 2 || lease.attempt != 1 || config_.fixed_lease || !(attention_.load(kRelaxed) & ~kEnded)) return;
  const uint64_t keep = lease.count - lease.count / 2;
  if (!lanes_.publish(home(lease), {lease.first + keep, lease.count - keep})) return;
  lease.granted -= lease.count - keep;
  lease.count = keep;
  wake_takers(1, wake);
}

Verdict Job::fail(nanos now, Lease& lease, uint64_t index, Failure failure, Witness& witness, Wake& wake) {
  std::lock_guard lock(mutex_);
  if (take_note_of_revocation(lease)) return Verdict::stopped;
  assert(index >= lease.first && index < lease.first + lease.count);
  commit(now, lease, index - lease.first, witness, wake);
  if (failure.retryable && failure.server_wait_ns >= 0 && config_.limiter)
    config_.limiter->pause(after(now, config_.retry.clamp_server_wait(failure.server_wait_ns)));

  const bool attempts_left = failure.retryable && lease.attempt < config_.retry.attempts;
  const bool over = (attempts_left || failure.gave_up) && ended(now, wake);
  bool retry = attempts_left || (failure.gave_up && over);
  if (retry) {
    try {
      waiting_.reserve(waiting_.size() + takers_.load(kRelaxed) + 1);
    } catch (const std::bad_alloc&) {
      retry = false;  // the item keeps its own error
      out_of_memory_.store(true, kRelaxed);
      finish(End::failed, wake);
    }
  }
  if (retry) {
    const Verdict verdict = over ? Verdict::stopped : Verdict::retry;
    const nanos wait = over ? kNever : config_.retry.delay(lease.attempt, failure.server_wait_ns, random_);
    const nanos due = after(now, wait);
    witness.failed(index, verdict);
    waiting_.push({due, sequence_++, index, lease.first_started, lease.attempt});
    retry_due_.store(waiting_.next_due(), kRelaxed);
    note_progress(lease, 1);
    if (!over && due < alarm_) wake_takers(1, wake);  // an earlier alarm: somebody must take it over
    return verdict;
  }

  // All of this before the commit that may end the run: the last item's own failure must win over COMPLETED, and whoever
  // sees the end must find the error.
  witness.failed(index, Verdict::final);
  const uint64_t failures = failures_.fetch_add(1, kRelaxed) + 1;
  if (config_.max_errors && failures >= config_.max_errors) finish(End::aborted, wake);
  note_progress(lease, 1);
  const uint64_t resolved = resolved_.fetch_add(1, kOrdered) + 1;
  if (config_.observed) wake.owner = true;
  if (config_.window || config_.serial || (config_.chunk && resolved == next_)) wake_takers(1, wake);
  finish_if_done(now, wake);
  return Verdict::final;
}

void Job::complete(nanos now, Lease& lease, uint64_t done, Witness& witness, Wake& wake) {
  std::unique_lock lock(mutex_, std::defer_lock);
  if (lock_commits_) lock.lock();
  if (take_note_of_revocation(lease)) return;
  const uint64_t ran = lease.granted - (lease.count - done);
  commit(now, lease, done, witness, wake);
  if (lease.count && !lock.owns_lock()) lock.lock();
  resize(now, lease, ran);
  if (lease.count || lock.owns_lock())
    give_back(now, lease, wake);
  else if (lease.counted_big) {
    lease.counted_big = false;
    big_leases_.fetch_sub(1, kRelaxed);
  }
}

void Job::give_back(nanos now, Lease& lease, Wake& wake) {
  if (lease.counted_big) {
    lease.counted_big = false;
    big_leases_.fetch_sub(1, kRelaxed);
  }
  const uint64_t rest = lease.count;
  if (rest) {
    if (config_.limiter) {
      const bool unused = rest == lease.granted;
      const uint64_t tokens = rest * config_.tokens_per_item + (unused ? config_.tokens_per_lease : 0);
      if (tokens) config_.limiter->refund(tokens, lease.granted_at, now);
    }
    if (lease.attempt > 1) {
      waiting_.push({0, sequence_++, lease.first, lease.first_started, lease.attempt - 1});
      retry_due_.store(0, kRelaxed);
    } else {
      push_ready({lease.first, rest, 0});
    }
    lease.count = 0;
    wake_takers(1, wake);
  }
  close_lease(lease);
  if (config_.fetched) wake_takers(1, wake);  // a place among the running is free
}

// The capacity was reserved when the taker enrolled.
void Job::push_ready(Ready ready) {
  for (Ready& other : ready_) {
    if (other.first + other.count == ready.first) {
      other.count += ready.count;
      return;
    }
    if (ready.first + ready.count == other.first) {
      other.first = ready.first;
      other.count += ready.count;
      other.ripe = std::min(other.ripe, ready.ripe);
      return;
    }
  }
  assert(ready_.size() < ready_.capacity());
  ready_.push_back(ready);
  ready_spans_.store(static_cast<uint32_t>(ready_.size()), kOrdered);
}

void Job::resize(nanos now, Lease& lease, uint64_t ran) {
  if (lease.attempt != 1 || config_.fixed_lease || config_.batch_max) {
    if (ran) batch_size_.store(config_.batch_max, kRelaxed);
    return;
  }
  const nanos elapsed = now - lease.granted_at;
  if (!config_.batched) return lease.sizer.adapt(lease.granted, ran, elapsed, config_.lease_target_ns, config_.lease_max);
  const bool whole = ran == lease.granted && ran >= lease.sizer.size;  // the ends of the input are smaller, and tell nothing
  lease.sizer.adapt_batch(lease.granted, ran, elapsed, config_.lease_target_ns, kLongestCall, config_.lease_max);
  if (whole) batch_size_.store(lease.sizer.settled ? lease.sizer.size : std::max(ran, batch_size_.load(kRelaxed)), kRelaxed);
}

// ---------------------------------------------------------------------------------------------------------- after the end

void Job::revoke(std::vector<Unrun>& taken) {
  std::lock_guard lock(mutex_);
  taken.reserve(taken.size() + 2 * records_.size());
  sealed_ = true;
  for (Record& record : records_) {
    if (!record.live || record.revoked || !record.count) continue;
    record.revoked = true;
    // The first is running; those behind it have not started, unless one call has them all.
    const uint64_t started = config_.batched ? record.count : 1;
    taken.push_back({record.first, started, record.attempts});
    if (record.count > started) taken.push_back({record.first + started, record.count - started, record.attempts - 1});
    drained_.fetch_add(record.count, kOrdered);
  }
}

std::optional<Unrun> Job::drain() {
  std::lock_guard lock(mutex_);
  if (end() == End::none) return std::nullopt;
  Unrun unrun;
  if (!waiting_.empty()) {
    const Waiting item = waiting_.pop();
    unrun = {item.index, 1, item.attempts};
  } else if (!ready_.empty()) {
    unrun = {ready_.back().first, ready_.back().count, 0};
    ready_.pop_back();
  } else if (use_lanes_) {
    for (uint32_t lane = 0; lane < lanes_.size() && !unrun.count; lane++) {
      const Span span = lanes_.take_all(lane);
      unrun = {span.first, span.count, 0};
    }
  } else if (config_.count != kUnsized && next_ < config_.count && end() != End::completed && (sealed_ || !pulling_)) {
    unrun = {next_, config_.count - next_, 0};
    next_ = config_.count;
  }
  if (!unrun.count) return std::nullopt;
  drained_.fetch_add(unrun.count, kOrdered);
  return unrun;
}

bool Job::settled() const {
  std::lock_guard lock(mutex_);
  if (end() == End::none || (pulling_ && !sealed_)) return false;
  const bool padded = config_.count != kUnsized && end() != End::completed;
  const uint64_t total = padded ? std::max(next_, config_.count) : next_;
  return resolved_.load(kOrdered) + drained_.load(kOrdered) >= total;
}

}  // namespace pa
