// What a result occupies, and whether the price of an item grows with their number.
#include <malloc.h>
#include <unistd.h>

#include <cstdio>
#include <vector>

#include "bare.hpp"
#include "run_pa.hpp"

namespace bench {
namespace {

uint64_t resident_bytes() {
  uint64_t size = 0, resident = 0;
  FILE* file = fopen("/proc/self/statm", "r");
  require(file && fscanf(file, "%lu %lu", &size, &resident) == 2, "/proc/self/statm can't be read");
  fclose(file);
  return resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

uint64_t allocated_bytes() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

void drain() {
  pa_error error{};
  if (pa_drain(-1, &error) != PA_STATUS_OK) fail(error.message);
}

void bytes_per_item() {
  constexpr uint64_t kCount = 10'000'000;
  const std::vector<void*> in = numbered(kCount);
  const pa_options options = options_for(kWorkers);
  Race race("memory of a result", "bytes per item");
  race.add("resident", [&] {
    drain();
    warm_pool(kWorkers);
    const uint64_t before = resident_bytes();
    const Result result = run_map(square, nullptr, in.data(), kCount, options);
    const uint64_t after = resident_bytes();
    require(after > before + 8 * kCount / 2, "a result that occupies less than half of its values can't be right");
    return static_cast<double>(after - before) / kCount;
  });
  // Only for the plots: it sees neither what libpa maps itself, nor pages that were never touched.
  race.add("from malloc", [&] {
    drain();
    warm_pool(kWorkers);
    const uint64_t before = allocated_bytes();
    const Result result = run_map(square, nullptr, in.data(), kCount, options);
    return static_cast<double>(static_cast<int64_t>(allocated_bytes() - before)) / kCount;
  });
  race.run(rounds(5, 3));
  report.ratio("memory_per_item", race.median("resident"));
}

void growth() {
  const uint64_t few = 1'000'000, many = items(100'000'000, 10'000'000);
  const std::vector<void*> in = numbered(many);
  const pa_options options = options_for(kWorkers);
  Team team(kWorkers);

  Race race("x*x per item", "s");
  const auto add = [&](const char* name, uint64_t count, auto work) {
    race.add(name, [=] { return timed([&] { work(count); }) / static_cast<double>(count); });
  };
  const auto map = [&](uint64_t count) { run_map(square, nullptr, in.data(), count, options); };
  const auto bare = [&](uint64_t count) {
    const std::unique_ptr<void*[]> out(new void*[count]);
    bare_static(team, {square, nullptr, in.data(), out.get(), count});
  };
  add("pa_map, few", few, map);
  add("pa_map, many", many, map);
  add("bare, few", few, bare);
  add("bare, many", many, bare);
  race.run(rounds(15, 9));
  report.ratio("growth", race.fastest("pa_map, many") / race.fastest("pa_map, few"));
  report.ratio("bare_growth", race.fastest("bare, many") / race.fastest("bare, few"));
}

}  // namespace

BENCH_GROUP(memory) {
  bytes_per_item();
  growth();
}

}  // namespace bench
