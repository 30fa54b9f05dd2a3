#include "token_budget.hpp"

#include <algorithm>

#include "check.hpp"

namespace pa::simulation {
namespace {

// The engine counts in 1/256 ns and rounds each step; nothing may be gained by that beyond a small part of a token.
constexpr double kRounding = 0.01;

struct Bucket {
  double tokens_per_ns = 0;
  double burst = 0;
  double level = 0;  // may be below 0: a debt
  nanos at = 0;
  nanos paused_until = 0;

  void set(const Rate& rate) {
    tokens_per_ns = rate.count / static_cast<double>(rate.per_ns);
    burst = static_cast<double>(rate.burst);
    level = std::min(level, burst);
  }
  void flow(nanos until) {
    level = std::min(burst, level + tokens_per_ns * static_cast<double>(until - at));
    at = until;
  }
  void advance(nanos now) {
    if (at < paused_until && now >= paused_until) {
      flow(paused_until);
      level = std::min(level, 1.0);
    }
    flow(now);
  }
};

}  // namespace

size_t TokenBudget::granted(nanos now, uint64_t tokens) {
  events_.push_back({Kind::grant, now, static_cast<int64_t>(tokens)});
  return events_.size() - 1;
}

void TokenBudget::unused(size_t grant, uint64_t tokens) { events_[grant].tokens -= static_cast<int64_t>(tokens); }

void TokenBudget::paused(nanos now, nanos until) {
  paused_until_ = std::max(paused_until_, until);
  events_.push_back({Kind::pause, now, 0, until});
}

void TokenBudget::settled(nanos now, int64_t tokens) { events_.push_back({Kind::settle, now, tokens}); }

void TokenBudget::rate_set(nanos now, const Rate& rate) { events_.push_back({Kind::rate, now, 0, 0, rate}); }

void TokenBudget::verify() const {
  Bucket bucket;
  bucket.burst = bucket.level = static_cast<double>(first_rate_.burst);
  bucket.set(first_rate_);
  double given = 0;  // by settle. Whether the bucket had room for it depends on what is refunded later: all of it counts
  for (const Event& event : events_) {
    bucket.advance(event.at);
    switch (event.kind) {
      case Kind::grant:
        PA_CHECK(event.tokens >= 0, "at %lld: more tokens came back than were taken", ll{event.at});
        PA_CHECK(event.tokens == 0 || static_cast<double>(event.tokens) <= bucket.level + given + kRounding,
                 "at %lld: %lld tokens used where the rate allows %.3f", ll{event.at}, ll{event.tokens},
                 bucket.level + given);
        bucket.level -= static_cast<double>(event.tokens);
        break;
      case Kind::pause:
        bucket.paused_until = std::max(bucket.paused_until, event.until);
        if (event.until <= event.at) bucket.level = std::min(bucket.level, 1.0);
        break;
      case Kind::settle:
        if (event.tokens > 0)
          bucket.level -= static_cast<double>(event.tokens);
        else
          given -= static_cast<double>(event.tokens);
        break;
      case Kind::rate:
        bucket.set(event.rate);
        break;
    }
  }
}

}  // namespace pa::simulation
