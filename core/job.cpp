// Job: what it is made from, how it ends, whom it wakes, and what is left of it.
#include "job.hpp"

#include <algorithm>
#include <cassert>
#include <limits>

namespace pa {
namespace {

// A consumer's nap: no result waits for longer, no shorter one is worth its own wake-up, and all of them together make a stream
// longer by a small share of its time at most.
constexpr nanos kLongestNap = 600'000;
constexpr nanos kShortestNap = 50'000;
constexpr nanos kNapShare = 16;

bool fits_lanes(const JobConfig& c) {
  return !c.fetched && !c.stream && !c.gated && !c.detachable && !c.serial && !c.limiter && c.window == 0 && c.chunk == 0 &&
         c.batch_max == 0 && c.count <= Lanes::kMaxCount;
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
      gated_(config.gated || config.fetched || config.stream),
      whole_lane_(tiny_lane(config)),
      lock_commits_(!use_lanes_ || config.observed),
      lanes_(config.count, use_lanes_ ? lanes_for(config) : 0),
      outbox_(config.ordered),
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

// kEnded comes a moment after end_. Who finds end_ written, such as the consumer, relies on nothing being given out from then on.
bool Job::ended(nanos now, Wake& wake) {
  if (attention_.load(std::memory_order_acquire) & kEnded || end() != End::none) return true;
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

uint64_t Job::in_window() const {
  std::lock_guard lock(mutex_);
  return out();
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

// ---------------------------------------------------------------------------------------------------------- the consumer

Next Job::next(nanos now, Chunk& chunk, Wake& wake) {
  std::lock_guard lock(mutex_);
  if (released_ != yielded_) {
    const bool was_full = room() < std::max<uint64_t>(1, config_.batch_max);
    released_ = yielded_;
    if (was_full) wake_takers(1, wake);
  }
  ended(now, wake);
  if (consumer_is_over()) return Next::done;
  consumer_came_ = std::min(consumer_came_, now);
  if (outbox_.ready(nothing_comes())) {
    chunk = last_chunk_ = outbox_.pop();
    yielded_ += chunk.count;
    if (chunk.failed) yielded_failures_++;
    return Next::chunk;
  }
  if (nothing_comes()) return Next::done;
  attention_.fetch_or(kConsumerWaits, kRelaxed);
  consumer_nap_ = nap_of_consumer(now);
  return Next::again;
}

// Short leases follow each other so fast that waking the consumer for each would cost the others more than he needs himself.
nanos Job::nap_of_consumer(nanos now) const {
  const nanos lease =
      config_.batched ? last_chunk_.duration_ns : last_chunk_.duration_ns * static_cast<nanos>(last_chunk_.count);
  if (last_chunk_.count < 2 || lease >= kLongestNap) return 0;
  const double until_full =
      static_cast<double>(lease) / static_cast<double>(last_chunk_.count) * static_cast<double>(room()) / config_.workers;
  const nanos nap = std::min({kLongestNap, static_cast<nanos>(until_full / 2), (now - consumer_came_) / kNapShare});
  return nap >= kShortestNap ? nap : 0;
}

void Job::abandon() {
  std::lock_guard lock(mutex_);
  abandoned_ = true;
  attention_.fetch_and(~kConsumerWaits, kRelaxed);
}

// Of a stream: nobody will bring anything more to the outbox.
bool Job::nothing_comes() const {
  return config_.stream && (end() != End::none || all_resolved()) && (sealed_ || (running_ == 0 && !pulling_));
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
    taken.push_back({record.first, started, record.attempts, record.cookie});
    if (record.count > started)
      taken.push_back({record.first + started, record.count - started, record.attempts - 1, record.cookie});
    drained_.fetch_add(record.count, kOrdered);
  }
}

std::optional<Unrun> Job::drain() {
  std::lock_guard lock(mutex_);
  if (end() == End::none) return std::nullopt;
  Unrun unrun;
  if (!waiting_.empty()) {
    const Waiting item = waiting_.pop();
    unrun = {item.index, 1, item.attempts, item.cookie};
  } else if (!ready_.empty()) {
    const Ready ready = ready_.pop_back();
    unrun = {ready.first, ready.count, 0, ready.cookie};
  } else if (consumer_is_over() && outbox_.size()) {
    const Chunk chunk = outbox_.pop();
    unrun = {chunk.first, chunk.count, chunk.attempts, chunk.cookie, true, chunk.failed, chunk.duration_ns};
  } else if (use_lanes_) {
    for (uint32_t lane = 0; lane < lanes_.size() && !unrun.count; lane++) {
      const Span span = lanes_.take_all(lane);
      unrun = {span.first, span.count, 0};
    }
  } else if (!config_.stream && config_.count != kUnsized && next_ < config_.count && end() != End::completed &&
             (sealed_ || !pulling_)) {
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
  if (config_.stream) return yielded_ + drained_.load(kOrdered) >= next_;
  const bool padded = config_.count != kUnsized && end() != End::completed;
  const uint64_t total = padded ? std::max(next_, config_.count) : next_;
  return resolved_.load(kOrdered) + drained_.load(kOrdered) >= total;
}

}  // namespace pa
