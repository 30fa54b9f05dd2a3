// The bound that a limiter promises, reckoned a second time and in another way: a bucket of real numbers, replayed over the
// whole schedule once it is known what each lease has really used.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/limiter.hpp"

namespace pa::simulation {

class TokenBudget {
 public:
  explicit TokenBudget(const Rate& rate) : first_rate_(rate) {}

  size_t granted(nanos now, uint64_t tokens);  // a handle for `unused`
  void unused(size_t grant, uint64_t tokens);  // of what was granted then, so much never started
  void paused(nanos now, nanos until);
  void settled(nanos now, int64_t tokens);
  void rate_set(nanos now, const Rate& rate);

  bool pauses(nanos now) const { return now < paused_until_; }

  // Over any interval, what was used is at most the burst plus what flowed in; after a pause, at most one token plus that.
  void verify() const;  // throws Violation

 private:
  enum class Kind { grant, pause, settle, rate };
  struct Event {
    Kind kind;
    nanos at;
    int64_t tokens = 0;
    nanos until = 0;
    Rate rate = {};
  };
  Rate first_rate_;
  nanos paused_until_ = 0;
  std::vector<Event> events_;
};

}  // namespace pa::simulation
