// Bodies that sleep 1 ms, on as many workers as there are at a time: what fetching and other waiting looks like.
#include <string>
#include <vector>

#include "bare.hpp"
#include "run_pa.hpp"

namespace bench {
namespace {

constexpr uint64_t kItemsPerWorker = 40;
void* const kSleep = reinterpret_cast<void*>(uintptr_t{1'000'000});

void sleepers(uint32_t workers, bool against_openmp) {
  const std::string row = "map_sleep_" + std::to_string(workers);
  const uint64_t count = workers * kItemsPerWorker;
  std::vector<void*> in(count), out(count);
  const pa_options options = options_for(workers);
  Team team(workers);

  Race race(row);
  race.add("one thread's share",
           [&] { return timed([&] { serial(nap, kSleep, in.data(), out.data(), 0, kItemsPerWorker); }); });
  race.add("pa_map", [&] { return timed([&] { run_map(nap, kSleep, in.data(), count, options); }); });
  if (against_openmp)
    race.add("OpenMP dynamic", [&] {
      return timed([&] { openmp_dynamic({nap, kSleep, in.data(), out.data(), count}, workers); });
    });
  race.add("bare", [&] { return timed([&] { bare_counter(team, {nap, kSleep, in.data(), out.data(), count}, 1); }); });
  race.run(rounds(against_openmp ? 45 : 25, 9));  // a thousand threads on few CPUs: every round differs

  const double base_s = race.fastest(against_openmp ? "OpenMP dynamic" : "one thread's share");
  report.ratio(row, race.fastest("pa_map") / base_s);
  report.ratio("bare_" + row, race.fastest("bare") / base_s);
}

}  // namespace

BENCH_GROUP(sleep) {
  sleepers(64, false);
  sleepers(256, false);
  sleepers(1'000, true);
}

}  // namespace bench
