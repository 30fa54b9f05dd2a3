// A token bucket that runs and threads share. It never sleeps: it says when to come back.
//
// The state is one instant, `empty_at_`: the bucket holds (now - empty_at_) / interval tokens, and taking k tokens moves
// the instant k intervals ahead (the generic cell rate algorithm, ITU-T I.371). Instants are counted in 1/256 ns, so that
// the interval, which is rounded up, is wrong by less than 5e-6 of itself at 1e6 a second, and 0.4 % at the most, 1e9.
#pragma once
#include <cstdint>

#include "stop.hpp"
#include "sync.hpp"
#include "time.hpp"

namespace pa {

struct Rate {
  double count = 0;
  nanos per_ns = 1'000'000'000;
  uint64_t burst = 1;
};

class Limiter {
 public:
  explicit Limiter(const Rate& rate);

  struct Grant {
    uint64_t units = 0;   // of the units asked for, so many may go ahead: their tokens are taken
    bool more = false;    // another unit could be had right now
    nanos when = 0;       // units = 0: nothing can be had before
    nanos come_back = 0;  // and a sleeper had better look then: later, where the bucket can hold what comes meanwhile
  };
  // Takes tokens for up to `want` units of `cost` tokens each, as many as are in the bucket.
  Grant take(nanos now, uint64_t want, uint64_t cost);

  // Gives back tokens that were taken at `granted` and not used: less what the full bucket would have lost meanwhile, and
  // nothing across a pause or a change of the rate, or the bound of the rate would break.
  void refund(uint64_t tokens, nanos granted, nanos now);

  void pause(nanos until);                 // furthest deadline wins; afterwards at most one token is there
  void settle(int64_t tokens, nanos now);  // > 0 charges more, < 0 gives back
  void set_rate(const Rate& rate, nanos now);
  uint64_t burst() const;

  // Changes whenever a pause begins: what was paid before must not start any more.
  uint32_t pause_epoch() const { return pause_epoch_.load(std::memory_order_acquire); }

  // Told when waiting may have become shorter.
  Listeners& listeners() { return listeners_; }

 private:
  __extension__ using ticks = __int128;  // 1/256 ns; 64 bits would overflow after 417 days of uptime

  void load(const Rate& rate);
  void start(nanos now);
  ticks full_at(nanos now) const { return ticks{now} * kTicks - ticks{interval_} * burst_; }

  static constexpr int64_t kTicks = 256;
  mutable Mutex mutex_;  // a leaf: nothing is called under it
  int64_t interval_ = 0;
  int64_t burst_ = 1;
  ticks empty_at_ = 0;
  nanos paused_until_ = -1;
  nanos rate_set_at_ = -1;
  bool started_ = false;
  Atomic<uint32_t> pause_epoch_{0};
  Listeners listeners_;
};

}  // namespace pa
