// Job: what a taker may run now.
#include "job.hpp"

#include <algorithm>
#include <cassert>
#include <new>

namespace pa {
namespace {

// A pull that took longer is worth overlapping with the calls: somebody fetches ahead.
constexpr nanos kSlowPull = 20'000;
// The automatic window of a stream: so many leases for each worker, and no more items than that, but two leases for each worker.
constexpr uint64_t kLeasesAhead = 16;
constexpr uint64_t kStreamWindow = 262'144;

}  // namespace

Take Job::take(nanos now, Lease& lease, Wake& wake) {
  if (ended(now, wake)) return Take::done;
  if (!lease.registered) enroll(lease);
  if (lease.has_room && !lease.parked && now < retry_due_.load(kRelaxed) && ready_spans_.load(kRelaxed) == 0 &&
      take_from_lanes(now, lease, wake))
    return Take::lease;
  std::lock_guard lock(mutex_);
  return take_under_lock(now, lease, wake);
}

Take Job::take_under_lock(nanos now, Lease& lease, Wake& wake) {
  unpark(lease);
  if (ended(now, wake)) return Take::done;
  try {
    reserve(takers_.load(kRelaxed));
    lease.has_room = use_lanes_;
    return take_locked(now, lease, wake);
  } catch (const std::bad_alloc&) {
    out_of_memory_.store(true, kRelaxed);
    finish(End::failed, wake);
    return Take::done;
  }
}

void Job::enroll(Lease& lease) {
  lease.registered = true;
  lease.number = takers_.fetch_add(1, kRelaxed);
  lease.spare = lease.number >= config_.workers;
  lease.has_room = use_lanes_ && lease.number < config_.workers;  // the constructor made it for as many
  lease.sizer.size = config_.fixed_lease ? config_.fixed_lease : use_lanes_ ? config_.first_lease : 1;
}

// Reserves what so many takers may need later where there is no way to fail: room to give a lease back, and a record each.
void Job::reserve(uint32_t takers) {
  ready_.reserve(2 * size_t{takers} + 2);  // a steal and a give-back each, between two visits here
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
      push_ready({rest.first, rest.count, 0, 0});
    }
  }
  if (!span.count) return false;
  // Somebody waits for work: it may find more of it. The one that is woken passes the wake on in the same way.
  if (attention_.load(kOrdered)) wake_takers(1, wake);
  grant(now, lease, span, 0, 1, now);
  return true;
}

// Throws std::bad_alloc, and has then changed nothing.
Take Job::take_locked(nanos now, Lease& lease, Wake& wake) {
  lease.soon = false;
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
    lease.soon = pulling_ && !slow_source_;
    parked_.fetch_add(1, kOrdered);
    return park(lease, alarm);
  }

  uint64_t count = pick.count;
  if (config_.stream) outbox_.reserve(outbox_.size() + leased_ + count);
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
      const Take parked = park(lease, std::min(until, alarm));
      if (lease.keeps_time) keeps_time_of_tokens_ = true;
      return parked;
    }
    if (!by_lease) count = tokens.units;
    more_tokens = tokens.more;
  }

  switch (pick.from) {
    case From::retry: {
      const Waiting item = waiting_.pop();
      retry_due_.store(waiting_.next_due(), kRelaxed);
      grant(now, lease, {item.index, 1}, item.cookie, item.attempts + 1, item.first_started);
      break;
    }
    case From::ready: {
      Ready& ready = ready_[pick.ready_at];
      grant(now, lease, {ready.first, count}, ready.cookie, 1, now);
      ready.first += count;
      ready.count -= count;
      if (!ready.count) ready_.erase(pick.ready_at);
      ready_spans_.store(static_cast<uint32_t>(ready_.size()), kOrdered);
      break;
    }
    default:
      grant(now, lease, {next_, count}, 0, 1, now);
      next_ += count;
      input_done_ = next_ == config_.count;
  }
  note_out(lease);

  pass_on(now, more_tokens, wake);
  return Take::lease;
}

// The wake chain: if another take could succeed now, or nobody keeps the time any more, one parked taker looks. Whoever was
// woken to keep an earlier time may have found work instead: then the time that is kept is too late. So is that of a deadline
// where the next token is what is waited for.
void Job::pass_on(nanos now, bool more_tokens, Wake& wake) {
  const nanos next = next_alarm(now);
  const Lease probe;
  const bool work = use_lanes_ || pick(now, probe).from != From::nowhere;
  const bool tokens_matter = work && !more_tokens;
  const bool time_matters = config_.limiter || config_.deadline != kNever || next != kNever;
  const bool time_is_kept = has_timekeeper_ && alarm_ <= next && (keeps_time_of_tokens_ || !tokens_matter);
  const bool could_go_on = (work && more_tokens) || pull_count(probe) != 0;
  if (could_go_on || (time_matters && !time_is_kept)) wake_takers(1, wake);
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
  grant(now, lease, span, 0, 1, now);
  return Take::lease;
}

Job::Pick Job::pick(nanos now, const Lease& lease) {
  if (gated_ && running_ >= config_.workers) return {};
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
  return now >= ready.ripe || (config_.batch_max && ready.count >= config_.batch_max) || input_done_ ||
         (config_.chunk && next_ == chunk_end_);
}

uint64_t Job::share_of_window(uint64_t count) const {
  return std::min(count, std::max<uint64_t>(1, window() / (2 * uint64_t{config_.workers})));
}

// What the window counts: admitted, and not resolved or, of a stream, still with its consumer.
uint64_t Job::out() const { return next_ - (config_.stream ? released_ : resolved_.load(kRelaxed)); }

uint64_t Job::window() const {
  if (config_.window || !config_.stream) return config_.window ? config_.window : UINT64_MAX;
  const uint64_t lease = std::max(largest_lease_, config_.batch_max);
  const uint64_t least = 2 * uint64_t{config_.workers} * std::max<uint64_t>(1, config_.batch_max);
  return std::max(least, std::min(kStreamWindow, kLeasesAhead * config_.workers * lease));
}

// Admitted, and not begun.
uint64_t Job::in_hand() const {
  uint64_t count = 0;
  for (const Ready& ready : ready_) count += ready.count;
  return count;
}

uint64_t Job::left_of_chunk() const {
  if (!config_.chunk) return UINT64_MAX;
  const bool next_chunk = next_ == chunk_end_ && resolved_.load(kRelaxed) == next_;
  return next_chunk ? config_.chunk : chunk_end_ - next_;
}

// How many more inputs may be admitted now.
uint64_t Job::room() const {
  const uint64_t out = this->out();
  uint64_t room = std::min(window() > out ? window() - out : 0, left_of_chunk());
  if (config_.serial && out != in_hand()) room = 0;  // what lingers for a full batch has not begun
  return room;
}

// How many inputs to pull now; 0: none.
uint64_t Job::pull_count(const Lease& lease) const {
  if (!config_.fetched || config_.pushed || input_done_ || pulling_ || sealed_) return 0;
  if (running_ >= config_.workers && !slow_source_) return 0;
  const uint64_t in_hand = this->in_hand();
  if (config_.batch_max) {  // rather later than fewer
    if (in_hand >= config_.batch_max) return 0;
    const uint64_t missing = std::min(config_.batch_max - in_hand, left_of_chunk());
    return room() >= missing ? missing : 0;
  }
  if (in_hand) return 0;
  uint64_t count = share_of_window(std::min(lease.sizer.size, config_.lease_max));
  if (config_.count != kUnsized && next_ < config_.count)
    count = std::min(count, std::max(whole_lane(lease), (config_.count - next_) / (2 * uint64_t{config_.workers})));
  return std::min(count, room());
}

bool Job::supply(nanos now, uint64_t got, bool end, uint64_t cookie, Wake& wake) {
  std::lock_guard lock(mutex_);
  assert(pulling_);
  pulling_ = false;
  slow_source_ = now - pull_started_ > kSlowPull;
  if (nothing_comes()) wake.owner = true;
  if (sealed_) return false;
  take_in(now, got, end, cookie, wake);
  return true;
}

uint64_t Job::room_for_inputs() const {
  std::lock_guard lock(mutex_);
  return end() != End::none || input_done_ ? 0 : room();
}

bool Job::admit(nanos now, uint64_t got, bool end, uint64_t cookie, Wake& wake) {
  std::lock_guard lock(mutex_);
  if (ended(now, wake) || input_done_) return false;
  reserve(takers_.load(kRelaxed) + 1);
  take_in(now, got, end, cookie, wake);
  return true;
}

void Job::take_in(nanos now, uint64_t got, bool end, uint64_t cookie, Wake& wake) {
  if (got) push_ready({next_, got, config_.batch_max && config_.linger_ns ? after(now, config_.linger_ns) : 0, cookie});
  next_ += got;
  while (config_.chunk && chunk_end_ < next_)
    chunk_end_ += config_.chunk;  // what is pushed may be more than there is room for
  input_done_ = end;
  wake_takers(1, wake);
  finish_if_done(now, wake);
}

void Job::grant(nanos now, Lease& lease, Span span, uint64_t cookie, uint32_t attempt, nanos first_started) {
  lease.first = span.first;
  lease.count = lease.granted = span.count;
  lease.cookie = cookie;
  lease.attempt = attempt;
  lease.first_started = first_started;
  lease.granted_at = lease.since = now;
  lease.revoked = false;
  if (config_.limiter) lease.pause_epoch = config_.limiter->pause_epoch();
  if (use_lanes_ && lanes_.size() == 1 && span.count > 1) {
    lease.counted_big = true;
    big_leases_.fetch_add(1, kRelaxed);
  }
}

void Job::note_out(Lease& lease) {
  running_++;
  leased_ += lease.count;
  largest_lease_ = std::max(largest_lease_, lease.count);
  if (!config_.detachable) return;
  lease.record = free_records_.back();
  free_records_.pop_back();
  records_[lease.record] = {lease.first, lease.count, lease.cookie, lease.attempt, true, false};
}

// ---------------------------------------------------------------------------------------------------------- parking

// Normally one parked taker holds the alarm, the earliest time at which something can happen; the others wait without one.
Take Job::park(Lease& lease, nanos until) {
  lease.parked = true;
  if (attention_.load(kOrdered) & kEnded) {
    unpark(lease);
    return Take::done;
  }
  if (lease.visits) {
    unpark(lease);
    lease.come_back = std::min(until, config_.deadline);
    return Take::again;
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
  keeps_time_of_tokens_ = false;
  has_timekeeper_ = false;  // an earlier one may still be there: the next to park doubles it, which is harmless
  alarm_ = kNever;
}

void Job::leave(Lease& lease, Wake& wake) {
  std::lock_guard lock(mutex_);
  if (lease.registered) takers_.fetch_sub(1, kRelaxed);  // any number may come and go: memory is for those who are there
  lease.registered = false;
  if (!lease.parked) return;
  unpark(lease);
  wake_takers(1, wake);
}

// When time alone can make something possible. What is possible already, and still not picked, waits for a place among the
// running or for tokens.
nanos Job::next_alarm(nanos now) const {
  nanos alarm = waiting_.next_due() > now ? waiting_.next_due() : kNever;
  if (!config_.linger_ns) return alarm;
  for (const Ready& ready : ready_)
    if (ready.ripe > now) alarm = std::min(alarm, ready.ripe);
  return alarm;
}

}  // namespace pa
