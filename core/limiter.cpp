#include "limiter.hpp"

#include <algorithm>
#include <cmath>
#include <mutex>

namespace pa {
namespace {
// Sleepers are not woken for single tokens that come faster than a thread can sleep: where the bucket can hold what comes
// meanwhile, nothing is lost by waiting for several.
constexpr nanos kWorthWakingFor = 200'000;
}  // namespace

Limiter::Limiter(const Rate& rate) { load(rate); }

void Limiter::load(const Rate& rate) {
  const double interval = static_cast<double>(rate.per_ns) / rate.count * static_cast<double>(kTicks);
  interval_ = std::max<int64_t>(1, static_cast<int64_t>(std::ceil(interval - 1e-6)));  // up: down would overshoot the rate
  burst_ = static_cast<int64_t>(rate.burst);
}

void Limiter::start(nanos now) {
  if (started_) return;
  started_ = true;
  empty_at_ = full_at(now);
}

Limiter::Grant Limiter::take(nanos now, uint64_t want, uint64_t cost) {
  std::lock_guard lock(mutex_);
  start(now);
  if (now < paused_until_) return {0, false, paused_until_, paused_until_};
  const ticks present = ticks{now} * kTicks;
  empty_at_ = std::max(empty_at_, full_at(now));  // idling earns no more than the burst
  const ticks filled = present - empty_at_;
  const uint64_t tokens = filled > 0 ? static_cast<uint64_t>(filled / interval_) : 0;
  // A unit that costs more than the bucket holds, since the rate was changed, starts from a full bucket and leaves a debt.
  const bool dear = cost > static_cast<uint64_t>(burst_);
  const uint64_t units = dear ? tokens == static_cast<uint64_t>(burst_) : std::min(want, tokens / cost);
  empty_at_ += ticks{interval_} * static_cast<int64_t>(units * cost);
  if (units) return {units, !dear && tokens / cost > units, 0, 0};
  const auto instant = [&](uint64_t count) {
    return static_cast<nanos>((empty_at_ + ticks{interval_} * static_cast<int64_t>(count) + kTicks - 1) / kTicks);
  };
  const uint64_t needed = std::min(cost, static_cast<uint64_t>(burst_));
  const nanos one = instant(needed);
  const nanos several = instant(std::max<uint64_t>(needed, static_cast<uint64_t>(burst_) / 2));
  return {0, false, one, std::max(one, std::min(several, after(now, kWorthWakingFor)))};
}

void Limiter::refund(uint64_t tokens, nanos granted, nanos now) {
  std::lock_guard lock(mutex_);
  if (granted <= paused_until_ || granted <= rate_set_at_) return;
  const ticks lost = (ticks{now - granted} * kTicks + interval_ - 1) / interval_;
  if (ticks{static_cast<int64_t>(tokens)} > lost) empty_at_ -= (static_cast<int64_t>(tokens) - lost) * interval_;
}

void Limiter::pause(nanos until) {
  std::lock_guard lock(mutex_);
  if (until <= paused_until_) return;
  paused_until_ = until;
  const ticks one_token = ticks{until} * kTicks - interval_;
  empty_at_ = started_ ? std::max(empty_at_, one_token) : one_token;
  started_ = true;
  pause_epoch_.fetch_add(1, std::memory_order_release);
}

void Limiter::settle(int64_t tokens, nanos now) {
  {
    std::lock_guard lock(mutex_);
    start(now);
    if (tokens < 0 && now < paused_until_) return;
    empty_at_ = std::max(empty_at_, full_at(now));
    // More than three years ahead or behind, the state is as far as it needs to go.
    constexpr ticks kFar = ticks{100'000'000'000'000'000} * kTicks;
    empty_at_ += std::clamp(ticks{interval_} * tokens, -kFar, kFar);
    empty_at_ = std::clamp(empty_at_, full_at(now), ticks{now} * kTicks + kFar);
  }
  if (tokens < 0) listeners_.notify();
}

void Limiter::set_rate(const Rate& rate, nanos now) {
  {
    std::lock_guard lock(mutex_);
    start(now);
    empty_at_ = std::max(empty_at_, full_at(now));
    const ticks balance = ticks{now} * kTicks - empty_at_;
    const int64_t old_interval = interval_;
    load(rate);
    rate_set_at_ = now;
    // The same number of tokens (or of tokens owed) as before, in the new interval.
    const ticks whole = balance / old_interval, part = balance % old_interval;
    empty_at_ = ticks{now} * kTicks - whole * interval_ - part * interval_ / old_interval;
    empty_at_ = std::max(empty_at_, full_at(now));
    if (now < paused_until_) empty_at_ = std::max(empty_at_, ticks{paused_until_} * kTicks - interval_);
  }
  listeners_.notify();
}

uint64_t Limiter::burst() const {
  std::lock_guard lock(mutex_);
  return static_cast<uint64_t>(burst_);
}

}  // namespace pa
