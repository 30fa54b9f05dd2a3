// Maps that are long enough for start and end not to matter: tiny bodies, 1 and 100 us, and skewed ones.
#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "bare.hpp"
#include "run_pa.hpp"

namespace bench {
namespace {

// Also in the quick run: results below 32 MiB would come from the allocator's heap and not be fresh.
constexpr uint64_t kTinyItems = 5'000'000;
constexpr uint64_t kBatch = 32'768;  // by hand; about what libpa chooses

bool is_square(const void* value, uint64_t of) { return reinterpret_cast<uintptr_t>(value) == of * of; }

// ---- x*x, result storage reused

void tiny_bodies(Team& team) {
  const uint64_t count = kTinyItems, last = count - 1;
  const std::vector<void*> in = numbered(count);
  std::vector<void*> out(count);
  const pa_options options = options_for(kWorkers);
  const Loop loop{square, nullptr, in.data(), out.data(), count};

  Race race("x*x");
  const auto add_loop = [&](const char* name, auto work) {
    race.add(name, [&, work] {
      out[last] = nullptr;
      const double seconds = timed(work);
      require(is_square(out[last], last), "wrong square");
      return seconds;
    });
  };
  add_loop("serial", [&] { serial(square, nullptr, in.data(), out.data(), 0, count); });
  race.add("pa_map", [&] {
    return timed([&] {
      const Result result = run_map(square, nullptr, in.data(), count, options);
      require(is_square(pa_result_value(result.get(), last), last), "wrong square");
    });
  });
  race.add("pa_map_batch", [&] {
    return timed([&] {
      const Result result = run_map_batch(square_batch, in.data(), count, options);
      require(is_square(pa_result_value(result.get(), last), last), "wrong square");
    });
  });
  add_loop("oneTBB auto", [&] { tbb_auto(loop); });
  add_loop("OpenMP static", [&] { openmp_static(loop); });
  add_loop("OpenMP guided", [&] { openmp_guided(loop); });
  add_loop("std::transform(par)", [&] { std_transform(loop); });
  add_loop("bare", [&] { bare_static(team, loop); });
  const auto add_batches = [&](const char* name, bool cleared) {
    race.add(name, [&, cleared] {
      return timed([&] {
        team.run([&](uint32_t number) {
          const uint64_t end = count * (number + 1) / team.size();
          for (uint64_t at = count * number / team.size(); at < end; at += kBatch) {
            const uint64_t some = std::min(kBatch, end - at);
            if (cleared) std::memset(out.data() + at, 0, some * sizeof(void*));
            square_batch(nullptr, in.data() + at, some, out.data() + at, nullptr);
          }
        });
      });
    });
  };
  add_batches("bare batches", false);
  add_batches("bare batches, values NULL on entry", true);
  race.run(rounds(41, 11));

  const double serial_s = race.fastest("serial");
  const double best_peer_s = std::min({race.fastest("oneTBB auto"), race.fastest("OpenMP static"),
                                       race.fastest("OpenMP guided"), race.fastest("std::transform(par)")});
  report.ratio("map_sq_serial", race.fastest("pa_map") / serial_s);
  report.ratio("bare_map_sq_serial", race.fastest("bare") / serial_s);
  report.ratio("map_sq_best_peer", race.fastest("pa_map") / best_peer_s);
  report.ratio("bare_map_sq_best_peer", race.fastest("bare") / best_peer_s);
  report.ratio("map_batch_serial", race.fastest("pa_map_batch") / serial_s);
  report.ratio("bare_map_batch_serial", race.fastest("bare batches, values NULL on entry") / serial_s);
}

// In a race of its own: its result has no values, and would make libpa give up the storage that pa_map reuses above.
void tiny_ranges(Team& team) {
  const uint64_t count = kTinyItems, last = count - 1;
  const std::vector<void*> in = numbered(count);
  std::vector<void*> out(count);
  std::vector<uint64_t> squares(count);
  const pa_options options = options_for(kWorkers);

  Race race("x*x of the index");
  race.add("serial", [&] { return timed([&] { serial(square, nullptr, in.data(), out.data(), 0, count); }); });
  const auto add = [&](const char* name, auto work) {
    race.add(name, [&, work] {
      squares[last] = 0;
      const double seconds = timed(work);
      require(squares[last] == last * last, "wrong square");
      return seconds;
    });
  };
  add("pa_map_range", [&] { run_map_range(square_range, squares.data(), count, options); });
  add("bare", [&] {
    team.run([&](uint32_t number) {
      const uint64_t first = count * number / team.size(), end = count * (number + 1) / team.size();
      square_range(squares.data(), first, end - first, nullptr);
    });
  });
  race.run(rounds(41, 11));
  report.ratio("map_range_serial", race.fastest("pa_map_range") / race.fastest("serial"));
  report.ratio("bare_map_range_serial", race.fastest("bare") / race.fastest("serial"));
}

// ---- x*x into memory that is new each time

void fresh_results(Team& team) {
  constexpr int kResults =
      3;  // per round and contender; they stay until the round ends, so that none reuses another's memory
  const uint64_t count = kTinyItems, last = count - 1;
  const std::vector<void*> in = numbered(count);
  const pa_options options = options_for(kWorkers);

  std::vector<Result> pa_results;
  std::vector<std::vector<void*>> tbb_results;
  std::vector<RayonValues> rayon_results;
  std::vector<std::unique_ptr<void*[]>> bare_results;

  Race race("x*x, fresh results");
  const auto add = [&](const char* name, auto run_once) {
    race.add(name, [=] {
      double fastest_s = 1e9;
      for (int i = 0; i < kResults; i++) fastest_s = std::min(fastest_s, timed(run_once));
      return fastest_s;
    });
  };
  add("pa_map", [&] { pa_results.push_back(run_map(square, nullptr, in.data(), count, options)); });
  add("oneTBB into std::vector", [&] { tbb_results.push_back(tbb_fresh(square, in.data(), count)); });
  add("rayon collect", [&] { rayon_results.push_back(rayon_fresh(square, in.data(), count)); });
  add("bare", [&] {
    bare_results.emplace_back(new void*[count]);
    bare_static(team, {square, nullptr, in.data(), bare_results.back().get(), count});
  });
  race.after_round([&] {
    for (int i = 0; i < kResults; i++)
      require(is_square(pa_result_value(pa_results[i].get(), last), last) && is_square(tbb_results[i][last], last) &&
                  rayon_value(rayon_results[i], last) == last * last && is_square(bare_results[i][last], last),
              "wrong square");
    pa_results.clear();
    tbb_results.clear();
    rayon_results.clear();
    bare_results.clear();
    pa_error error{};
    if (pa_drain(-1, &error) != PA_STATUS_OK) fail(error.message);  // what libpa keeps for reuse
    warm_pool(kWorkers);
  });
  warm_pool(kWorkers);
  race.run(rounds(25, 7));

  report.ratio("map_fresh_tbb", race.fastest("pa_map") / race.fastest("oneTBB into std::vector"));
  report.ratio("bare_map_fresh_tbb", race.fastest("bare") / race.fastest("oneTBB into std::vector"));
  report.ratio("map_fresh_rayon", race.fastest("pa_map") / race.fastest("rayon collect"));
  report.ratio("bare_map_fresh_rayon", race.fastest("bare") / race.fastest("rayon collect"));
}

// ---- bodies that compute for a while

// `bare` does the same loop by hand, in the manner that suits it.
void longer_bodies(const std::string& row, pa_fn body, void* ctx, uint64_t count, int round_count,
                   const std::function<void(const Loop&)>& bare) {
  const std::vector<void*> in = numbered(count);
  std::vector<void*> out(count);
  const pa_options options = options_for(kWorkers);
  const Loop loop{body, ctx, in.data(), out.data(), count};

  Race race(row);
  race.add("serial", [&] { return timed([&] { serial(body, ctx, in.data(), out.data(), 0, count); }); });
  race.add("pa_map", [&] { return timed([&] { run_map(body, ctx, in.data(), count, options); }); });
  race.add("oneTBB auto", [&] { return timed([&] { tbb_auto(loop); }); });
  race.add("OpenMP static", [&] { return timed([&] { openmp_static(loop); }); });
  race.add("OpenMP guided", [&] { return timed([&] { openmp_guided(loop); }); });
  race.add("bare", [&] { return timed([&] { bare(loop); }); });
  race.run(round_count);

  report.ratio(row, race.fastest("pa_map") / race.fastest("serial"));
  report.ratio("bare_" + row, race.fastest("bare") / race.fastest("serial"));
}

}  // namespace

BENCH_GROUP(map) {
  start_peers();
  Team team(kWorkers);
  warm_pool(kWorkers);
  tiny_bodies(team);
  tiny_ranges(team);
  fresh_results(team);

  const auto by_parts = [&](const Loop& loop) { bare_static(team, loop); };
  const auto by_twos = [&](const Loop& loop) { bare_counter(team, loop, 2); };
  longer_bodies("map_1us_serial", spin, spin_for(1'000), items(50'000, 20'000), rounds(25, 9), by_parts);
  longer_bodies("map_100us_serial", spin, spin_for(100'000), items(800, 300), rounds(25, 9), by_parts);
  constexpr uint64_t kItems = 20'000, kHeavy = 20;  // half of the work is in the heavy ones
  for (const auto& [row, where] : {std::pair("map_skew_random", Where::random), std::pair("map_skew_head", Where::head),
                                   std::pair("map_skew_tail", Where::tail)}) {
    Plan plan = skewed_plan(kItems, kHeavy, where);
    longer_bodies(row, skewed, &plan, kItems, rounds(25, 9), by_twos);
  }
}

}  // namespace bench
