// Job: what became of what a taker was given.
#include "job.hpp"

#include <algorithm>
#include <cassert>

namespace pa {
namespace {

// Automatic batches do not grow beyond calls of this length.
constexpr nanos kLongestCall = 100'000'000;

}  // namespace

void Job::commit(nanos now, Lease& lease, uint64_t done, nanos each, Witness& witness, Wake& wake) {
  if (!done) return;
  if (config_.observed) {
    witness.succeeded(lease.first, done);
    wake.owner = true;
  }
  if (config_.stream) hand_over({lease.first, done, lease.cookie, lease.attempt, false, each}, wake);
  note_progress(lease, done);
  const uint64_t resolved = resolved_.fetch_add(done, kOrdered) + done;
  if (use_lanes_) {
    if (resolved == config_.count) finish_resolved(now, wake);
    return;
  }
  const bool made_room = (config_.window && !config_.stream) || config_.serial || (config_.chunk && resolved == next_);
  if (made_room) wake_takers(static_cast<uint32_t>(std::min<uint64_t>(done, kEveryone - 1)), wake);
  finish_if_done(now, wake);
}

// False: the lease was revoked.
bool Job::commit_part(nanos now, Lease& lease, uint64_t done, Witness& witness, Wake& wake) {
  if (take_note_of_revocation(lease)) return false;
  commit(now, lease, done, share_of_time(now, lease, done), witness, wake);
  lease.since = now;
  return true;
}

bool Job::step(nanos now, Lease& lease, uint64_t done, Witness& witness, Wake& wake) {
  std::unique_lock lock(mutex_, std::defer_lock);
  if (lock_commits_) lock.lock();
  if (!commit_part(now, lease, done, witness, wake)) return false;
  const bool paused = config_.limiter && config_.limiter->pause_epoch() != lease.pause_epoch;
  if (ended(now, wake) || paused) {
    if (!lock.owns_lock()) lock.lock();
    give_back(now, lease, wake);
    return false;
  }
  if (use_lanes_) share(lease, wake);
  return true;
}

bool Job::advance(nanos now, Lease& lease, uint64_t done, Witness& witness, Wake& wake) {
  std::unique_lock lock(mutex_, std::defer_lock);
  if (lock_commits_) lock.lock();
  return commit_part(now, lease, done, witness, wake);
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
  const uint64_t before = index - lease.first;
  const nanos each = share_of_time(now, lease, before + 1);
  commit(now, lease, before, each, witness, wake);
  lease.since = now;
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
    waiting_.push({due, sequence_++, index, lease.first_started, lease.attempt, lease.cookie});
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
  if (config_.stream) hand_over({index, 1, lease.cookie, lease.attempt, true, each}, wake);
  note_progress(lease, 1);
  const uint64_t resolved = resolved_.fetch_add(1, kOrdered) + 1;
  if (config_.observed) wake.owner = true;
  if ((config_.window && !config_.stream) || config_.serial || (config_.chunk && resolved == next_)) wake_takers(1, wake);
  finish_if_done(now, wake);
  return Verdict::final;
}

void Job::complete(nanos now, Lease& lease, uint64_t done, Witness& witness, Wake& wake) {
  std::unique_lock lock(mutex_, std::defer_lock);
  if (lock_commits_) lock.lock();
  settle(now, lease, done, lock, witness, wake);
}

Take Job::complete_and_take(nanos now, Lease& lease, Witness& witness, Wake& wake) {
  std::unique_lock lock(mutex_, std::defer_lock);
  if (lock_commits_) lock.lock();
  settle(now, lease, lease.count, lock, witness, wake);
  if (lock.owns_lock()) {
    if (!use_lanes_) return take_under_lock(now, lease, wake);
    lock.unlock();
  }
  return take(now, lease, wake);
}

// The lock is taken if that is necessary.
void Job::settle(nanos now, Lease& lease, uint64_t done, std::unique_lock<AdaptiveMutex>& lock, Witness& witness,
                 Wake& wake) {
  if (take_note_of_revocation(lease)) return;
  const uint64_t ran = lease.granted - (lease.count - done);
  commit(now, lease, done, share_of_time(now, lease, done), witness, wake);
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
      waiting_.push({0, sequence_++, lease.first, lease.first_started, lease.attempt - 1, lease.cookie});
      retry_due_.store(0, kRelaxed);
    } else {
      push_ready({lease.first, rest, 0, lease.cookie});
    }
    wake_takers(1, wake);
  }
  close_lease(lease);
  lease.count = 0;
  if (gated_ && running_ + 1 == config_.workers) wake_takers(1, wake);  // a place among the running is free
  if (nothing_comes()) wake.owner = true;
}

// The capacity was reserved when the taker enrolled.
void Job::push_ready(const Ready& ready) {
  ready_.push(ready);
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

// Of a stream: how long each of `ran` indices took that have ended since the last call. Those of a batch end together.
nanos Job::share_of_time(nanos now, const Lease& lease, uint64_t ran) const {
  if (!config_.stream || !ran) return 0;
  if (lease.attempt > 1) return now - lease.first_started;
  return config_.batched ? now - lease.granted_at : (now - lease.since) / static_cast<nanos>(ran);
}

void Job::hand_over(const Chunk& chunk, Wake& wake) {
  outbox_.push(chunk);
  if (!consumer_waits() || !outbox_.ready(nothing_comes())) return;
  attention_.fetch_and(~kConsumerWaits, kRelaxed);
  wake.owner = true;
}

// ---------------------------------------------------------------------------------------------------------- the books

void Job::note_progress(Lease& lease, uint64_t done) {
  lease.first += done;
  lease.count -= done;
  if (use_lanes_) return;
  leased_ -= done;
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
  if (use_lanes_) return;
  running_--;
  leased_ -= lease.count;
  if (lease.record == Lease::kNone) return;
  records_[lease.record].live = false;
  free_records_.push_back(lease.record);
  lease.record = Lease::kNone;
}

}  // namespace pa
