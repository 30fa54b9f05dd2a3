#include <cmath>

#include "capi/src/handles.hpp"

namespace pa {
namespace {

constexpr double kFastest = 1.0;  // nanoseconds between two tokens
constexpr double kSlowest = 366.0 * 86400e9;
constexpr double kLongestBurst = 10 * 366.0 * 86400e9;  // nanoseconds until an empty bucket is full

// Sleeps until the limiter may have a token earlier than it said.
class Sleeper : public Listener {
 public:
  explicit Sleeper(Limiter& limiter) : limiter_(limiter) { limiter.listeners().add(*this); }
  ~Sleeper() { limiter_.listeners().remove(*this); }
  uint32_t seen() const { return epoch_.load(std::memory_order_seq_cst); }
  void sleep(uint32_t seen, nanos now, nanos until) { os::futex_wait(epoch_, seen, now, until); }
  void notified() noexcept override {
    epoch_.fetch_add(1, std::memory_order_seq_cst);
    os::futex_wake(epoch_, UINT32_MAX);
  }

 private:
  Limiter& limiter_;
  std::atomic<uint32_t> epoch_{0};
};

pa_status check(const pa_limiter* limiter, pa_error* error) noexcept {
  if (!limiter) return PA_INVALID(error, "limiter must not be NULL");
  if (limiter->from_before_fork()) return forked(error, "the limiter");
  return PA_STATUS_OK;
}

pa_status check(const pa_limiter* limiter, uint64_t tokens, pa_error* error) noexcept {
  if (const pa_status status = check(limiter, error)) return status;
  const uint64_t burst = limiter->limiter.burst();
  if (tokens < 1 || tokens > burst)
    return PA_INVALID(error, "tokens must be 1 to the limiter's burst of %llu, got %llu",
                      static_cast<unsigned long long>(burst), static_cast<unsigned long long>(tokens));
  return PA_STATUS_OK;
}

}  // namespace

pa_status read_rate(const pa_rate& rate, const char* name, Rate& out, pa_error* error) noexcept {
  if (!std::isfinite(rate.count) || rate.count <= 0)
    return PA_INVALID(error, "%s.count must be finite and > 0, got %g", name, rate.count);
  if (rate.per_ns < 1)
    return PA_INVALID(error, "%s.per_ns must be > 0, got %lld", name, static_cast<long long>(rate.per_ns));
  if (rate.burst < 1) return PA_INVALID(error, "%s.burst must be >= 1, got 0", name);
  const double interval = static_cast<double>(rate.per_ns) / rate.count;
  if (interval < kFastest)
    return PA_INVALID(error, "%s.count must be at most 1e9 a second, got %g in %lld ns", name, rate.count,
                      static_cast<long long>(rate.per_ns));
  if (interval > kSlowest)
    return PA_INVALID(error, "%s.count must be at least one a year, got %g in %lld ns", name, rate.count,
                      static_cast<long long>(rate.per_ns));
  if (interval * static_cast<double>(rate.burst) > kLongestBurst)
    return PA_INVALID(error, "%s.burst must be what comes in ten years or less, got %llu", name,
                      static_cast<unsigned long long>(rate.burst));
  out = {rate.count, rate.per_ns, rate.burst};
  return PA_STATUS_OK;
}

}  // namespace pa

using pa::check;

pa_status pa_limiter_new(const pa_rate* rate, pa_limiter** limiter, pa_error* error) {
  return pa::guarded(error, [&] {
    if (!limiter) return PA_INVALID(error, "limiter must not be NULL");
    *limiter = nullptr;
    if (!rate) return PA_INVALID(error, "rate must not be NULL");
    pa::Rate checked;
    if (const pa_status status = pa::read_rate(*rate, "rate", checked, error)) return status;
    *limiter = new pa_limiter(checked);
    return PA_STATUS_OK;
  });
}

void pa_limiter_retain(pa_limiter* limiter) {
  if (limiter) limiter->retain();
}

void pa_limiter_release(pa_limiter* limiter) {
  if (limiter && limiter->drop()) delete limiter;
}

pa_status pa_limiter_try(pa_limiter* limiter, uint64_t tokens, int64_t* wait_ns, pa_error* error) {
  return pa::guarded(error, [&]() -> pa_status {
    if (const pa_status status = check(limiter, tokens, error)) return status;
    const pa::nanos now = pa::os::now();
    const auto grant = limiter->limiter.take(now, 1, tokens);
    if (wait_ns) *wait_ns = grant.units ? 0 : grant.when - now;
    return grant.units ? PA_STATUS_OK : PA_STATUS_AGAIN;
  });
}

pa_status pa_limiter_acquire(pa_limiter* limiter, uint64_t tokens, int64_t timeout_ns, pa_error* error) {
  return pa::guarded(error, [&]() -> pa_status {
    if (const pa_status status = check(limiter, tokens, error)) return status;
    if (timeout_ns < -1)
      return PA_INVALID(error, "timeout_ns must be >= 0, or -1 for none, got %lld", static_cast<long long>(timeout_ns));
    pa::nanos now = pa::os::now();
    if (limiter->limiter.take(now, 1, tokens).units) return PA_STATUS_OK;
    if (timeout_ns == 0) return PA_STATUS_TIMEOUT;
    const pa::nanos deadline = timeout_ns < 0 ? pa::kNever : pa::after(now, timeout_ns);
    pa::Sleeper sleeper(limiter->limiter);
    for (;;) {
      const uint32_t seen = sleeper.seen();
      const auto grant = limiter->limiter.take(now, 1, tokens);
      if (grant.units) return PA_STATUS_OK;
      if (grant.when > deadline) return PA_STATUS_TIMEOUT;  // too late: no need to wait for that
      sleeper.sleep(seen, now, grant.when);
      now = pa::os::now();
    }
  });
}

pa_status pa_limiter_pause(pa_limiter* limiter, int64_t wait_ns, pa_error* error) {
  if (const pa_status status = check(limiter, error)) return status;
  if (wait_ns > 0) limiter->limiter.pause(pa::after(pa::os::now(), wait_ns));
  return PA_STATUS_OK;
}

pa_status pa_limiter_set_rate(pa_limiter* limiter, const pa_rate* rate, pa_error* error) {
  if (const pa_status status = check(limiter, error)) return status;
  if (!rate) return PA_INVALID(error, "rate must not be NULL");
  pa::Rate checked;
  if (const pa_status status = pa::read_rate(*rate, "rate", checked, error)) return status;
  limiter->limiter.set_rate(checked, pa::os::now());
  return PA_STATUS_OK;
}

pa_status pa_limiter_settle(pa_limiter* limiter, int64_t tokens, pa_error* error) {
  if (const pa_status status = check(limiter, error)) return status;
  limiter->limiter.settle(tokens, pa::os::now());
  return PA_STATUS_OK;
}
