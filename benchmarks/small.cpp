// Maps of a few items of 1 us, where starting and ending is what costs: back to back, and after a pause in which pools fall
// asleep.
#include <string>
#include <vector>

#include "bare.hpp"
#include "run_pa.hpp"

namespace bench {
namespace {

constexpr uint64_t kPauseMicroseconds = 300;

// The caller is busy with something else.
void pass_time(double seconds) {
  const double until = now_s() + seconds;
  while (now_s() < until) {
  }
}

// The median of `calls` calls in a row.
template <class Work>
double median_call(int calls, bool pause, Work work) {
  std::vector<double> samples;
  for (int call = 0; call < calls; call++) {
    if (pause) pass_time(1e-6 * kPauseMicroseconds);
    samples.push_back(timed(work));
  }
  return median_of(samples);
}

void small_map(const std::string& row, uint64_t count, bool pause) {
  // About 10 ms back to back, long enough to find a pace, or 30 ms with pauses.
  const auto calls = static_cast<int>(pause ? 30'000 / (kPauseMicroseconds + count) : 10'000 / count);
  void* const work_1us = spin_for(1'000);
  std::vector<void*> in(count), out(count);
  const pa_options options = options_for(kWorkers);
  const Loop loop{spin, work_1us, in.data(), out.data(), count};
  SmallLoop bare(loop);

  Race race(row);
  const auto add = [&](const char* name, auto work) { race.add(name, [=] { return median_call(calls, pause, work); }); };
  add("serial", [&] { serial(spin, work_1us, in.data(), out.data(), 0, count); });
  add("pa_map", [&] { run_map(spin, work_1us, in.data(), count, options); });
  add("oneTBB auto", [&] { tbb_auto(loop); });
  add("OpenMP static", [&] { openmp_static(loop); });
  // After a pause a few items are over before a helper would be awake: by hand, nobody would wake one.
  const bool alone = pause && count < 50;
  add("bare", [&] { alone ? serial(spin, work_1us, in.data(), out.data(), 0, count) : bare.run(); });
  race.run(rounds(25, 9));

  report.ratio(row, race.median("pa_map") / race.median("serial"));
  report.ratio("bare_" + row, race.median("bare") / race.median("serial"));
}

}  // namespace

BENCH_GROUP(small) {
  start_peers();
  warm_pool(kWorkers);
  small_map("map_small_hot_8", 8, false);
  small_map("map_small_hot_64", 64, false);
  small_map("map_small_idle_8", 8, true);
  small_map("map_small_idle_1000", 1'000, true);
}

}  // namespace bench
