// One job and those who work on it: its takers, its source, its owner, the consumer of a stream. Each call to the job is followed
// by a look at whether it kept its promises.
#pragma once
#include <memory>
#include <vector>

#include "core/job.hpp"
#include "coverage.hpp"
#include "ledger.hpp"
#include "scenario.hpp"
#include "token_budget.hpp"

namespace pa::simulation {

// What the jobs of one schedule share.
struct Surroundings {
  nanos now = 0;
  Random random{0};
  Limiter* limiter = nullptr;
  TokenBudget* budget = nullptr;
  StopToken* stop = nullptr;
  Coverage* coverage = nullptr;
  bool alone = true;  // no other job takes from the limiter
  bool trace = false;
};

class Run final : public Witness {
 public:
  Run(const RunPlan& plan, Surroundings& around, int number);

  // Lets one of those who have something to do now do it. False: there is none.
  bool act();
  // Things that happen from outside, now and then.
  void disturb();
  // Nobody has anything to do: look for what should have woken somebody. `probing` takes a parked taker's time to look.
  void rest(bool probing);
  // The owner of the run: concludes it, and hands out placeholders after the end. True: there was something to do.
  bool drain();
  void poll();
  void wake_everyone();
  void stop_requested();

  nanos next_instant(bool probing) const;
  bool over() const { return ended_ != End::none && gone() && consumer_.has_gone() && job_.settled(); }
  void close() const;

 private:
  enum class Doing { idle, running, pulling, parked, gone };
  struct Taker {
    Lease lease;
    Doing doing = Doing::idle;
    nanos at = 0;      // when the body or the pull is done
    size_t grant = 0;  // in the budget
    uint64_t granted = 0;
    uint32_t pause_epoch = 0;
  };

  struct Consumer {
    nanos at = kNever;   // when he comes
    bool waits = false;  // until he is woken
    bool told = true;    // that the stream is over
    bool has_gone() const { return told && at == kNever; }
  };

  // Brings the inputs that are pushed.
  struct Pusher {
    nanos at = kNever;
    bool waits = false;  // for room
  };

  // What happened in one call to the job, as the witness heard it.
  struct Heard {
    uint64_t successes_first = 0;
    uint64_t successes = 0;
    uint64_t failures = 0;
    uint64_t index = 0;
    Verdict verdict = Verdict::final;
    std::string violation;
  };
  void failed(uint64_t index, Verdict verdict) noexcept override;
  void succeeded(uint64_t first, uint64_t count) noexcept override;

  void take(Taker& taker, bool probing);
  void begin(Taker& taker, bool probing);
  void begin_pull(Taker& taker);
  void park(Taker& taker, nanos limit);
  void go(Taker& taker);
  void finish_pull(Taker& taker);
  void work(Taker& taker);
  void work_batch(Taker& taker);
  bool fail(Taker& taker, uint64_t index);  // false: the lease was taken back and is over
  void answered(Taker& taker, Take answer, bool must, bool probing, const Wake& wake);
  void complete(Taker& taker, uint64_t done);
  void complete_and_take(Taker& taker);
  void step(Taker& taker, uint64_t done);
  void desert(Taker& taker);
  void come();
  void close_stream();
  void push();
  uint64_t draw_cookie();
  nanos draw_rest();
  bool nothing_comes() const;
  void revoke();
  bool conclude();
  void leave();
  uint32_t staying() const;

  void note_successes(uint64_t first, uint64_t count, const char* call);
  void note_rest(Taker& taker, uint64_t first, uint64_t count);
  void after_call(const Wake& wake);
  void check_end(const Wake& wake);
  bool wakes_everyone(const Wake& wake) const;
  void check_all_resolved(const Wake& wake, bool was_open);
  void deliver(const Wake& wake);
  void check_consumer();
  void check_alarms();
  bool must_end() const;  // what every gate has to see
  bool is_limited() const { return plan_.limited; }
  bool is_gated() const { return config_.gated || config_.fetched || config_.stream; }
  bool gone() const;
  uint32_t count(Doing doing) const;
  nanos earliest_alarm() const;
  bool sleeps_for_several_tokens() const;
  bool no_token_before(nanos instant) const;
  nanos body() { return span_below(around_.random, plan_.body_longest); }
  int number_of(const Taker& taker) const { return static_cast<int>(&taker - takers_.data()); }

  const RunPlan& plan_;
  const JobConfig config_;
  Surroundings& around_;
  Coverage& coverage_;
  const int number_;
  Job job_;
  Ledger ledger_;
  std::vector<Taker> takers_;
  Consumer consumer_;
  Pusher pusher_;
  Heard heard_;
  End ended_ = End::none;
  bool all_resolved_ = false;
  bool pulling_ = false;
  bool revoked_ = false;
  bool failed_by_us_ = false;
  bool closed_ = false;  // by the consumer
  uint64_t pulls_ = 0;
  uint64_t supplies_ = 0;
};

}  // namespace pa::simulation
