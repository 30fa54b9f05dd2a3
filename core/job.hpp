// A job: the scheduler of indices. It decides which of the indices 0, 1, 2, ... may run at a given instant, and knows
// nothing of functions, items or values. It has no thread, reads no clock, and calls nobody back but the Witness.
//
//     Lease lease;                                  // one per taker, reused
//     Wake wake;
//     switch (job.take(now, lease, wake)) {
//       case Take::lease:  run(lease.first, lease.count); job.complete(now, lease, lease.count, witness, wake); break;
//       case Take::pull:   got = fetch(lease.count); job.supply(now, got, end, cookie, wake); break;   // and take again
//       case Take::again:  sleep until woken, or until lease.come_back; break;
//       case Take::done:   return;
//     }
//     wake_up(wake);                                // after every call: so many parked takers may find something now
//
// A stream has a consumer besides, to whom next() hands what is done, and who makes room by coming back.
//
// README.md beside this file has the states, the lock order and the reasons for each memory ordering.
#pragma once
#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

#include "lanes.hpp"
#include "lease_sizer.hpp"
#include "limiter.hpp"
#include "outbox.hpp"
#include "ready.hpp"
#include "retry.hpp"
#include "stop.hpp"
#include "sync.hpp"
#include "time.hpp"

namespace pa {

inline constexpr uint64_t kUnsized = UINT64_MAX;
inline constexpr uint32_t kEveryone = UINT32_MAX;

enum class End : uint32_t { none, completed, timed_out, aborted, cancelled, failed };
enum class Take { lease, pull, again, done };
enum class Next { chunk, again, done };
enum class Verdict {
  final,    // the item has failed
  retry,    // it will be leased again
  stopped,  // attempts were left, but the run has ended: it will be drained
};

// Who should be woken after a call. `owner` is the thread that waits for the job as a whole, or a stream's consumer.
struct Wake {
  uint32_t takers = 0;
  bool owner = false;
  explicit operator bool() const { return takers != 0 || owner; }
  // For a taker that calls take() next, whatever happens: it looks itself, and one fewer needs to be woken for that.
  void i_look_myself() {
    if (takers != kEveryone && takers != 0) takers--;
  }
};

// What a taker holds, and the taker's identity: keep one per taker and reuse it.
struct Lease {
  uint64_t first = 0;
  uint64_t count = 0;
  uint64_t cookie = 0;  // what these indices were supplied with
  uint32_t attempt = 0;
  nanos first_started = 0;   // start of the first attempt at these indices
  nanos come_back = kNever;  // with Take::again
  bool soon = false;         // with Take::again: inputs are being pulled, from a source that has been quick so far
  bool revoked = false;      // set by step, fail and complete: the run was detached from this taker; the lease is over, and
                             // first and count still say what it held
  bool spare = false;   // set by take: as many takers as workers are there without it, so that it is the last to be woken
  bool visits = false;  // never parked: told Take::again, it comes back by itself, or not at all

 private:
  friend class Job;
  static constexpr uint32_t kNone = UINT32_MAX;
  LeaseSizer sizer;
  nanos granted_at = 0;
  nanos since = 0;  // of a stream: what ends next has run since then
  uint64_t granted = 0;
  uint32_t number = kNone;  // of the takers
  uint32_t record = kNone;  // detachable jobs: where the job notes what is out
  uint32_t pause_epoch = 0;
  bool registered = false;
  bool has_room = false;  // what reserve() is for, so that it need not come by there before it takes from the lanes
  bool parked = false;
  bool keeps_time = false;  // holds the alarm that the other parked takers rely on
  bool counted_big = false;
};

// Told what became of indices, at the moment it is decided. Called under the job's lock where that matters (see README.md):
// it must be short, must not fail, and must not call the job.
class Witness {
 public:
  virtual void failed(uint64_t index, Verdict verdict) noexcept = 0;
  virtual void succeeded(uint64_t first, uint64_t count) noexcept = 0;  // only with JobConfig::observed

 protected:
  ~Witness() = default;
};

struct JobConfig {
  uint64_t count = 0;            // inputs; for fetched ones a hint, or kUnsized
  bool fetched = false;          // inputs come one after the other: take answers Take::pull
  bool pushed = false;           // with fetched: they are not pulled but admitted, by whoever has some
  bool stream = false;           // what is done goes to a consumer, who calls next(); the window counts what he still has
  bool ordered = false;          // with stream: in the order of indices
  bool observed = false;         // the witness wants to hear of successes, one by one and in order
  bool detachable = false;       // revoke() may be called
  bool gated = false;            // more takers than workers may come, and wait; implied by fetched and stream
  bool serial = false;           // admit nothing while anything is unresolved: input order, for one taker; not with pushed
  bool batched = false;          // a lease is one call and can't be cut short
  bool owner_concludes = false;  // when all is resolved the end stays open until conclude(): what the owner still has to do,
                                 // such as callbacks, may fail the run
  uint32_t workers = 1;
  uint32_t cpus = 1;
  uint64_t window = 0;     // admitted and not resolved, at most; 0: no bound, but for streams one that suits the leases
  uint64_t chunk = 0;      // admit so many, resolve them all, admit the next; 0: do not
  uint64_t batch_max = 0;  // indices per lease, where possible exactly; 0: automatic
  nanos linger_ns = 0;     // how long pulled indices wait for a full batch
  uint64_t lease_max = 1u << 20;
  nanos lease_target_ns = 50'000;
  uint64_t first_lease = 1;  // on the lanes: what a taker starts with, where something is known about the cost of an index
  uint64_t fixed_lease = 0;  // benchmarks only: leases of this size whatever they take
  uint64_t tokens_per_item = 1;
  uint64_t tokens_per_lease = 0;
  uint64_t max_errors = 0;  // 0: never
  nanos deadline = kNever;
  RetryPolicy retry;
  StopToken* stop = nullptr;
  Limiter* limiter = nullptr;
  uint64_t seed = 1;
};

// Indices that will not run (again), after the end.
struct Unrun {
  uint64_t first = 0;
  uint64_t count = 0;
  uint32_t attempts = 0;  // started so far
  uint64_t cookie = 0;
  bool done = false;      // of a stream: they were run to their end, but its consumer did not come for them
  bool failed = false;    // with done
  nanos duration_ns = 0;  // likewise
};

struct Failure {
  bool retryable = true;
  nanos server_wait_ns = -1;  // what the server asked for; -1: nothing
  bool gave_up = false;       // because the run has ended: then it is no failure, the item is drained
};

class Job {
 public:
  explicit Job(const JobConfig& config);  // throws std::bad_alloc

  // ---- takers
  Take take(nanos now, Lease& lease, Wake& wake);
  // Answers Take::pull: `got` more inputs are there; `end`: and no more will be. False: the run was detached meanwhile, and
  // they are not part of it.
  bool supply(nanos now, uint64_t got, bool end, uint64_t cookie, Wake& wake);
  // JobConfig::pushed: how many inputs there is room for now, and here they are. False: the run has ended, and they are not part
  // of it. Throws std::bad_alloc, and has then changed nothing.
  uint64_t room_for_inputs() const;
  bool admit(nanos now, uint64_t got, bool end, uint64_t cookie, Wake& wake);
  // The first `done` of the lease succeeded and I go on. False: the lease is over; take again.
  bool step(nanos now, Lease& lease, uint64_t done, Witness& witness, Wake& wake);
  // The same where what is behind them runs already: the lease goes on, even if the run has ended. False: it was revoked.
  bool advance(nanos now, Lease& lease, uint64_t done, Witness& witness, Wake& wake);
  // All before `index` succeeded, `index` failed; I go on with what is behind it.
  Verdict fail(nanos now, Lease& lease, uint64_t index, Failure failure, Witness& witness, Wake& wake);
  // The first `done` succeeded, the rest goes back unrun.
  void complete(nanos now, Lease& lease, uint64_t done, Witness& witness, Wake& wake);
  // All of it succeeded, and I want more: complete, then take.
  Take complete_and_take(nanos now, Lease& lease, Witness& witness, Wake& wake);
  // A taker that holds no lease will not come back. If it was parked, somebody else takes its place.
  void leave(Lease& lease, Wake& wake);
  // Must a running taker call step() now? Cheap: meant for every couple of microseconds.
  bool needs_step(nanos now, const Lease& lease) const {
    const uint32_t attention = attention_.load(kRelaxed);
    return (attention & ~kConsumerWaits) != 0 || now >= config_.deadline || (config_.stop && config_.stop->requested()) ||
           (config_.limiter && config_.limiter->pause_epoch() != lease.pause_epoch) ||
           (attention != 0 && now - lease.since >= config_.lease_target_ns);
  }

  // ---- the consumer of a stream
  // What is done and has not been handed out; the room of the chunk before is free now. Next::done: the stream is over, for
  // the reason end(), or is to be concluded. After Next::again the wake of some later call says that there may be more.
  Next next(nanos now, Chunk& chunk, Wake& wake);
  // After Next::again: for so long he need not come back, and would only be woken for each of many short leases. 0: he should
  // wait to be woken.
  nanos consumer_nap() const { return consumer_nap_; }
  // The consumer will not come back. What he has not had is drained.
  void abandon();

  // ---- anyone
  End poll(nanos now, Wake& wake);                                    // lets deadline and stop take effect
  bool end_as(End why, Wake& wake);                                   // first writer wins
  bool conclude(Wake& wake) { return finish(End::completed, wake); }  // owner_concludes, once all_resolved()
  bool all_resolved() const { return all_resolved_.load(std::memory_order_acquire); }
  End end() const { return static_cast<End>(end_.load(std::memory_order_acquire)); }
  uint64_t resolved() const { return resolved_.load(std::memory_order_acquire); }
  uint64_t failures() const { return failures_.load(std::memory_order_acquire); }
  uint64_t admitted() const;
  uint64_t batch_size() const { return batch_size_.load(std::memory_order_relaxed); }
  bool out_of_memory() const { return out_of_memory_.load(std::memory_order_relaxed); }
  const JobConfig& config() const { return config_; }

  // ---- after the end
  // Takes back what running takers hold: their later calls only set lease.revoked. Appends what was taken; may throw
  // std::bad_alloc, before it changed anything.
  void revoke(std::vector<Unrun>& taken);
  // Hands out, bit by bit, what nobody will run. While a pull is under way more may come.
  std::optional<Unrun> drain();
  bool settled() const;  // every index is resolved or drained

  // ---- tests
  nanos next_due() const;
  uint64_t in_window() const;

 private:
  struct Record {
    uint64_t first, count;
    uint64_t cookie;
    uint32_t attempts;
    bool live, revoked;
  };
  enum class From { nowhere, retry, ready, fresh, lanes };
  struct Pick {
    From from = From::nowhere;
    uint64_t count = 0;
    size_t ready_at = 0;
  };

  // Everything below is called under mutex_, unless it says otherwise.
  Take take_under_lock(nanos now, Lease& lease, Wake& wake);
  Take take_locked(nanos now, Lease& lease, Wake& wake);      // throws std::bad_alloc
  bool take_from_lanes(nanos now, Lease& lease, Wake& wake);  // no lock
  Take take_last_of_lanes(nanos now, Lease& lease);
  void enroll(Lease& lease);                                                        // no lock
  void reserve(uint32_t takers);                                                    // throws std::bad_alloc
  uint64_t whole_lane(const Lease& lease) const;                                    // no lock
  uint32_t home(const Lease& lease) const { return lease.number % lanes_.size(); }  // its lane
  bool ended(nanos now, Wake& wake);                                                // no lock; stop, then deadline
  Pick pick(nanos now, const Lease& lease);
  uint64_t pull_count(const Lease& lease) const;
  uint64_t room() const;
  uint64_t window() const;
  uint64_t out() const;
  uint64_t in_hand() const;
  uint64_t left_of_chunk() const;
  bool consumer_is_over() const { return abandoned_ || (config_.max_errors && yielded_failures_ >= config_.max_errors); }
  bool nothing_comes() const;
  bool consumer_waits() const { return attention_.load(kRelaxed) & kConsumerWaits; }
  void take_in(nanos now, uint64_t got, bool end, uint64_t cookie, Wake& wake);
  void hand_over(const Chunk& chunk, Wake& wake);
  nanos nap_of_consumer(nanos now) const;
  uint64_t share_of_window(uint64_t count) const;
  bool ripe(const Ready& ready, nanos now) const;
  void pass_on(nanos now, bool more_tokens, Wake& wake);
  void grant(nanos now, Lease& lease, Span span, uint64_t cookie, uint32_t attempt, nanos first_started);  // no lock
  void note_out(Lease& lease);
  void note_progress(Lease& lease, uint64_t done);
  void close_lease(Lease& lease);
  bool take_note_of_revocation(Lease& lease);
  Take park(Lease& lease, nanos until);
  void unpark(Lease& lease);
  // No lock where lock_commits_ is false. `each`: how long each took.
  void commit(nanos now, Lease& lease, uint64_t done, nanos each, Witness& witness, Wake& wake);
  bool commit_part(nanos now, Lease& lease, uint64_t done, Witness& witness, Wake& wake);
  nanos share_of_time(nanos now, const Lease& lease, uint64_t ran) const;
  void settle(nanos now, Lease& lease, uint64_t done, std::unique_lock<AdaptiveMutex>& lock, Witness& witness,
              Wake& wake);  // no lock
  void give_back(nanos now, Lease& lease, Wake& wake);
  void push_ready(const Ready& ready);
  void share(Lease& lease, Wake& wake);  // no lock
  void resize(nanos now, Lease& lease, uint64_t ran);
  void finish_if_done(nanos now, Wake& wake);
  void finish_resolved(nanos now, Wake& wake);         // no lock
  bool finish(End why, Wake& wake);                    // no lock
  void close(Wake& wake);                              // no lock
  void wake_takers(uint32_t count, Wake& wake) const;  // no lock
  nanos next_alarm(nanos now) const;

  static constexpr uint32_t kEnded = 1u << 31;
  static constexpr uint32_t kConsumerWaits = 1u << 30;  // written under mutex_

  const JobConfig config_;
  const bool use_lanes_;  // sized, and no policy that needs an order of admission
  const bool gated_;
  const uint64_t whole_lane_;  // a lane of at most so many is leased as a whole, by anybody
  const bool lock_commits_;    // commits go through mutex_
  Lanes lanes_;

  // Read by every taker, written seldom.
  alignas(64) Atomic<uint32_t> attention_{0};  // kEnded, kConsumerWaits, or how many takers wait for work on the lanes
  Atomic<uint32_t> end_{0};
  Atomic<nanos> retry_due_{kNever};
  Atomic<uint32_t> ready_spans_{0};
  Atomic<bool> out_of_memory_{false};
  Atomic<bool> all_resolved_{false};
  // Written by every commit.
  alignas(64) Atomic<uint64_t> resolved_{0};
  Atomic<uint64_t> failures_{0};
  Atomic<uint64_t> drained_{0};
  Atomic<uint32_t> takers_{0};  // that came, and have not left
  Atomic<uint32_t> parked_{0};
  Atomic<uint32_t> big_leases_{0};
  Atomic<uint64_t> batch_size_{0};

  // Lock order: mutex_, then the limiter's own, then whatever the witness takes.
  alignas(64) mutable AdaptiveMutex mutex_;
  uint64_t next_ = 0;  // indices below are admitted
  uint64_t chunk_end_ = 0;
  uint64_t sequence_ = 0;
  uint32_t running_ = 0;  // leases out, where they are given out under the lock: there may be more takers than workers
  nanos alarm_ = kNever;  // when the taker that keeps the time will come back
  nanos pull_started_ = 0;
  bool input_done_ = false;
  bool pulling_ = false;
  bool slow_source_ = false;
  bool has_timekeeper_ = false;
  bool keeps_time_of_tokens_ = false;  // he does, and has asked the limiter for it
  bool sealed_ = false;                // revoked: nothing more is admitted
  // Streams.
  Outbox outbox_;
  uint64_t leased_ = 0;  // indices that are out
  uint64_t largest_lease_ = 1;
  uint64_t yielded_ = 0;   // handed to the consumer
  uint64_t released_ = 0;  // of these, what he came back from
  uint64_t yielded_failures_ = 0;
  Chunk last_chunk_;              // that he was handed
  nanos consumer_came_ = kNever;  // for the first time
  nanos consumer_nap_ = 0;
  bool abandoned_ = false;

  RetryQueue waiting_;
  ReadyList ready_;
  std::vector<Record> records_;
  std::vector<uint32_t> free_records_;
  Random random_;
};

}  // namespace pa
