#include "explorer.hpp"

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <utility>

#include "core/retry.hpp"
#include "fiber.hpp"

namespace pa::interleave {
namespace {

constexpr uint64_t kMostSteps = 100'000;  // a schedule that is longer will never end
constexpr size_t kTraceLines = 400;

struct Decision {
  uint32_t chosen;
  uint32_t options;
};

class Schedule {
 public:
  explicit Schedule(uint32_t preemptions) : preemptions_(preemptions) {}
  explicit Schedule(Random& random) : random_(&random) {}

  void run(Program& program);
  void trace() { traced_ = true; }
  // Makes ready for the next schedule; false: all have been seen.
  bool advance();
  void replay() { restart(); }

  const std::string& failure() const { return failure_; }
  std::string steps() const;

  void point();
  void did(const void* object, const char* operation, uint64_t value);
  uint32_t choose(uint32_t options);
  void wait_until(std::function<bool()> condition);
  [[noreturn]] void fail(const std::string& what);
  void yield();
  uint32_t current() const { return current_; }

 private:
  static constexpr uint32_t kNobody = UINT32_MAX;
  struct Thread {
    std::function<bool()> waits_for;
    bool finished = false;
  };
  bool able(uint32_t thread);
  uint32_t pick_other();
  void stand_still();
  void restart();

  const uint32_t preemptions_ = 0;
  Random* random_ = nullptr;
  double switching_ = 0;
  bool traced_ = false;

  std::vector<Decision> decisions_;
  size_t decided_ = 0;
  uint32_t preempted_ = 0;
  uint64_t steps_ = 0;
  uint32_t current_ = kNobody;
  uint32_t next_ = kNobody;
  bool inside_ = false;
  std::vector<Thread> threads_;
  std::string failure_;
  std::vector<std::string> lines_;
  std::map<const void*, size_t> names_;
};

Schedule* active = nullptr;

// Stacks are reused from schedule to schedule.
std::vector<std::unique_ptr<Fiber>>& fibers() {
  static std::vector<std::unique_ptr<Fiber>> pool;
  return pool;
}

void Schedule::restart() {
  decided_ = 0;
  preempted_ = 0;
  steps_ = 0;
  current_ = next_ = kNobody;
  failure_.clear();
  lines_.clear();
  names_.clear();
}

bool Schedule::advance() {
  while (!decisions_.empty() && decisions_.back().chosen + 1 >= decisions_.back().options) decisions_.pop_back();
  if (decisions_.empty()) return false;
  decisions_.back().chosen++;
  restart();
  return true;
}

uint32_t Schedule::choose(uint32_t options) {
  if (options <= 1) return 0;
  if (random_) return static_cast<uint32_t>(random_->below(options));
  if (decided_ == decisions_.size()) decisions_.push_back({0, options});
  return decisions_[decided_++].chosen;
}

// A condition may read the engine's atomics: those are no steps.
bool Schedule::able(uint32_t thread) {
  const bool inside = std::exchange(inside_, false);
  const bool able = !threads_[thread].finished && (!threads_[thread].waits_for || threads_[thread].waits_for());
  inside_ = inside;
  return able;
}

// Whoever could go on: the present fiber has no say.
uint32_t Schedule::pick_other() {
  std::vector<uint32_t> able_ones;
  for (uint32_t i = 0; i < threads_.size(); i++)
    if (able(i)) able_ones.push_back(i);
  if (able_ones.empty()) return kNobody;
  return able_ones[choose(static_cast<uint32_t>(able_ones.size()))];
}

void Schedule::run(Program& program) {
  const auto& bodies = program.fibers();
  threads_.assign(bodies.size(), {});
  while (fibers().size() < bodies.size()) fibers().push_back(std::make_unique<Fiber>());
  for (size_t i = 0; i < bodies.size(); i++) fibers()[i]->start(bodies[i]);
  if (random_) switching_ = 0.02 + 0.5 * random_->unit() * random_->unit();
  active = this;
  for (;;) {
    const uint32_t next = next_ != kNobody ? next_ : pick_other();
    next_ = kNobody;
    if (next == kNobody) {
      const bool all_finished =
          std::all_of(threads_.begin(), threads_.end(), [](const Thread& thread) { return thread.finished; });
      if (all_finished) break;
      if (program.idle() && failure_.empty()) continue;
      if (failure_.empty()) failure_ = "deadlock: nobody can go on";
      break;
    }
    current_ = next;
    inside_ = true;
    threads_[next].waits_for = nullptr;
    steps_++;
    fibers()[next]->resume();
    inside_ = false;
    if (!failure_.empty()) break;
    if (fibers()[next]->finished()) threads_[next].finished = true;
  }
  current_ = kNobody;
  if (failure_.empty()) program.finish();
  active = nullptr;
}

void Schedule::stand_still() {
  inside_ = false;
  fibers()[current_]->stand_still();
}

void Schedule::point() {
  if (!inside_) return;
  if (++steps_ > kMostSteps) fail("the schedule does not end");
  if (random_ ? random_->unit() >= switching_ : preempted_ >= preemptions_) return;
  std::vector<uint32_t> options{current_};
  for (uint32_t i = 0; i < threads_.size(); i++)
    if (i != current_ && able(i)) options.push_back(i);
  const uint32_t chosen = options[choose(static_cast<uint32_t>(options.size()))];
  if (chosen == current_) return;
  preempted_++;
  next_ = chosen;
  stand_still();
}

void Schedule::wait_until(std::function<bool()> condition) {
  if (!inside_) return;
  threads_[current_].waits_for = std::move(condition);
  if (able(current_)) {
    threads_[current_].waits_for = nullptr;
    return;
  }
  stand_still();
}

// A fiber that spins lets another one take a step before it looks again.
void Schedule::yield() {
  const uint64_t seen = steps_;
  wait_until([this, seen] { return steps_ != seen; });
}

void Schedule::fail(const std::string& what) {
  if (failure_.empty()) failure_ = what;
  if (!inside_) throw what;  // in idle() or finish(): the explorer catches it
  stand_still();
  std::abort();  // a fiber of a failed schedule is not resumed
}

void Schedule::did(const void* object, const char* operation, uint64_t value) {
  if (!traced_ || !inside_) return;
  const size_t name = names_.emplace(object, names_.size()).first->second;
  char line[128];
  std::snprintf(line, sizeof line, "  fiber %u  object %zu  %s -> %#llx\n", current_, name, operation,
                static_cast<unsigned long long>(value));
  lines_.push_back(line);
}

std::string Schedule::steps() const {
  std::string text;
  const size_t first = lines_.size() > kTraceLines ? lines_.size() - kTraceLines : 0;
  for (size_t i = first; i < lines_.size(); i++) text += lines_[i];
  return text;
}

void run_once(Schedule& schedule, const Make& make) {
  const std::unique_ptr<Program> program = make();
  try {
    schedule.run(*program);
  } catch (const std::string&) {  // failure() has it
    active = nullptr;
  }
}

// Runs the failing schedule once more, and writes down what happened in it.
std::string tell(Schedule& schedule, const Make& make) {
  schedule.replay();
  schedule.trace();
  run_once(schedule, make);
  return schedule.failure() + "\n" + schedule.steps();
}

}  // namespace

Report explore(const Make& make, uint32_t preemptions) {
  Report report;
  Schedule schedule(preemptions);
  do {
    report.schedules++;
    run_once(schedule, make);
    if (schedule.failure().empty()) continue;
    report.failure = "schedule " + std::to_string(report.schedules) + ": " + tell(schedule, make);
    return report;
  } while (schedule.advance());
  return report;
}

Report wander(const Make& make, uint64_t first_seed, uint64_t count) {
  Report report;
  for (uint64_t seed = first_seed; seed < first_seed + count; seed++) {
    Random random{seed};
    Schedule schedule(random);
    report.schedules++;
    run_once(schedule, make);
    if (schedule.failure().empty()) continue;
    random = Random{seed};
    report.failure = "seed " + std::to_string(seed) + ": " + tell(schedule, make);
    return report;
  }
  return report;
}

void point() noexcept {
  if (active) active->point();
}
void did(const void* object, const char* operation, uint64_t value) noexcept {
  if (active) active->did(object, operation, value);
}
void lock(const bool& locked) noexcept {
  if (active) active->wait_until([&locked] { return !locked; });
}
uint32_t choose(uint32_t count) { return active->choose(count); }
void wait_until(std::function<bool()> condition) { active->wait_until(std::move(condition)); }
void fail(const std::string& what) { active->fail(what); }
uint32_t this_fiber() { return active->current(); }

}  // namespace pa::interleave

// Where the engine waits for others in a loop it calls std::this_thread::yield, and that calls this.
extern "C" int sched_yield() noexcept {
  if (pa::interleave::active)
    pa::interleave::active->yield();
  else
    syscall(SYS_sched_yield);
  return 0;
}
