// Explores the interleavings of a few fibers, in the manner of loom and CHESS: one schedule after the other, each from the
// start, until all schedules with at most so many preemptions have been seen (explore), or a number of random ones (wander).
//
//     struct Race : interleave::Program {
//       Race() { fiber([this] { ... }); fiber([this] { ... }); }
//       void finish() override { if (...) interleave::fail("lost an index"); }
//     };
//     const interleave::Report report = interleave::explore<Race>(2);
//     EXPECT_EQ("", report.failure);
//
// A preemption is a switch away from a fiber that could have gone on. Most races need one or two of them (Musuvathi and
// Qadeer, "Iterative context bounding", PLDI 2007), and their number bounds how many schedules there are.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "interleave.hpp"

namespace pa::interleave {

// What is explored. It is made anew for each schedule, and must do the same in the same schedule.
class Program {
 public:
  virtual ~Program() = default;
  // No fiber can go on. True: something was done about it. False: this is the end, and an unfinished fiber is a deadlock.
  virtual bool idle() { return false; }
  // All fibers have finished.
  virtual void finish() {}

  const std::vector<std::function<void()>>& fibers() const { return fibers_; }

 protected:
  void fiber(std::function<void()> body) { fibers_.push_back(std::move(body)); }

 private:
  std::vector<std::function<void()>> fibers_;
};

// ---- for programs, while they are explored
uint32_t choose(uint32_t count);                   // each of 0 ... count - 1 is tried
void wait_until(std::function<bool()> condition);  // the fiber stands still meanwhile
[[noreturn]] void fail(const std::string& what);   // this schedule breaks a promise
uint32_t this_fiber();

struct Report {
  uint64_t schedules = 0;
  std::string failure;  // what was broken, and the steps that led there; "" if nothing was
};

using Make = std::function<std::unique_ptr<Program>()>;
Report explore(const Make& make, uint32_t preemptions);
Report wander(const Make& make, uint64_t first_seed, uint64_t count);

template <class P>
Report explore(uint32_t preemptions) {
  return explore([] { return std::make_unique<P>(); }, preemptions);
}
template <class P>
Report wander(uint64_t first_seed, uint64_t count) {
  return wander([] { return std::make_unique<P>(); }, first_seed, count);
}

}  // namespace pa::interleave
