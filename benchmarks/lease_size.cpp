// What it costs that the job chooses the size of leases itself: the automatic size against the best of nine fixed ones, over
// nine kinds of work. Fixed sizes can only be set inside the engine, so this runs a job of its own on the engine's threads.
#include <algorithm>
#include <string>
#include <vector>

#include "bodies.hpp"
#include "core/drivers/run.hpp"
#include "core/os.hpp"
#include "harness.hpp"

namespace bench {
namespace {

struct Work {
  const char* name;
  pa_fn body;
  void* ctx;
  uint64_t count;
};

// The item loop of a map, without outcomes.
class LoopRun final : public pa::Run, private pa::Witness {
 public:
  LoopRun(const pa::JobConfig& config, const Work& work, void* const* items, void** values)
      : Run(config), work_(work), items_(items), values_(values) {}

  uint64_t resolved() const { return job.resolved(); }

 private:
  void take_part(pa::nanos now) noexcept override {
    pa::Lease lease;
    pa::Wake wakes;
    uint64_t block = 1;
    while (next(lease, now) == pa::Take::lease) {
      const pa::nanos start = now;
      const uint64_t granted = lease.count;
      uint64_t done = 0, ran = 0;
      while (done < lease.count) {
        const uint64_t count = std::min(block, lease.count - done);
        serial(work_.body, work_.ctx, items_, values_, lease.first + done, lease.first + done + count);
        done += count;
        ran += count;
        if (done == lease.count || !job.needs_step(now, lease)) continue;
        now = pa::os::now();
        if (!job.step(now, lease, done, *this, wakes)) break;
        if (wakes) wake(wakes);
        done = 0;
      }
      now = pa::os::now();
      job.complete(now, lease, done, *this, wakes);
      if (wakes) wake(wakes);
      constexpr uint64_t kBlock = 2'000;  // nanoseconds between looks at whether others are out of work
      if (ran == granted)
        block = std::max<uint64_t>(1, kBlock * ran / static_cast<uint64_t>(std::max<pa::nanos>(1, now - start)));
    }
    if (wakes) wake(wakes);
  }
  void failed(uint64_t, pa::Verdict) noexcept override {}
  void succeeded(uint64_t, uint64_t) noexcept override {}

  const Work work_;
  void* const* const items_;
  void** const values_;
};

void run_loop(const Work& work, void* const* items, void** values, uint64_t fixed_lease) {
  pa::JobConfig config;
  config.count = work.count;
  config.workers = config.cpus = 2;
  config.fixed_lease = fixed_lease;
  auto* run = new LoopRun(config, work, items, values);
  run->conduct({.helpers = 1, .owner_works = true}, pa::os::now());
  require(run->resolved() == work.count, "a run lost items");
  run->release();
}

double regret(const Work& work) {
  const std::vector<void*> items = numbered(work.count);
  std::vector<void*> values(work.count);
  Race race(std::string("lease size: ") + work.name);
  const auto add = [&](const std::string& name, uint64_t fixed_lease) {
    race.add(name, [&, fixed_lease] { return timed([&] { run_loop(work, items.data(), values.data(), fixed_lease); }); });
  };
  add("automatic", 0);
  std::vector<std::string> fixed;
  for (uint64_t size = 1; size <= 65'536; size *= 4) {
    fixed.push_back(std::to_string(size));
    add(fixed.back(), size);
  }
  race.run(rounds(21, 9));
  double best_s = race.fastest(fixed.front());
  for (const std::string& name : fixed) best_s = std::min(best_s, race.fastest(name));
  return race.fastest("automatic") / best_s;
}

}  // namespace

BENCH_GROUP(lease_size) {
  // About 20 ms each on two threads.
  const uint64_t skewed_count = items(20'000, 10'000), heavy = skewed_count / 1'000;
  Plan random = skewed_plan(skewed_count, heavy, Where::random), head = skewed_plan(skewed_count, heavy, Where::head),
       tail = skewed_plan(skewed_count, heavy, Where::tail);
  const Work works[] = {
      {"x*x", square, nullptr, items(5'000'000, 2'000'000)},
      {"100 ns", spin, spin_for(100), items(400'000, 150'000)},
      {"1 us", spin, spin_for(1'000), items(40'000, 15'000)},
      {"10 us", spin, spin_for(10'000), items(4'000, 1'500)},
      {"100 us", spin, spin_for(100'000), items(400, 150)},
      {"1 ms", spin, spin_for(1'000'000), items(40, 16)},
      {"skew, random", skewed, &random, skewed_count},
      {"skew, head", skewed, &head, skewed_count},
      {"skew, tail", skewed, &tail, skewed_count},
  };
  double worst = 0;
  for (const Work& work : works) worst = std::max(worst, regret(work));
  report.ratio("map_chunk_regret", worst);
}

}  // namespace bench
