// Races: several ways to do the same work, timed in one process by turns, so that whatever else the machine does hits all of
// them alike. Only ratios between contenders of one race are reported.
//
//     Race race("x*x");
//     race.add("serial", [&] { return timed([&] { serial(...); }); });
//     race.add("pa_map", [&] { return timed([&] { map(...); }); });
//     race.run(rounds(25, 7));
//     report.ratio("map_sq_serial", race.fastest("pa_map") / race.fastest("serial"));
//
// Google Benchmark and nanobench were looked at: the first can shuffle repetitions, the second has a minimum, but neither
// knows a round in which every contender runs once (results that stay alive until the round ends, contenders that wait
// until the others' threads have come to rest), nor a ratio between contenders.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace bench {

double now_s();

template <class Work>
double timed(Work work) {
  const double start = now_s();
  work();
  return now_s() - start;
}

double fastest_of(std::vector<double> samples);
double median_of(std::vector<double> samples);

bool quick();
inline int rounds(int full, int quick_ones) { return quick() ? quick_ones : full; }
inline uint64_t items(uint64_t full, uint64_t quick_ones) { return quick() ? quick_ones : full; }

// Ends the program with a message: a contender that computes something wrong must not be timed.
[[noreturn]] void fail(const std::string& what);
inline void require(bool holds, const char* what) {
  if (!holds) fail(what);
}

class Race {
 public:
  explicit Race(std::string title, std::string unit = "s") : title_(std::move(title)), unit_(std::move(unit)) {}

  // `run` does the work once and returns what it measured: seconds, unless the race has another unit.
  void add(std::string name, std::function<double()> run) { contenders_.push_back({std::move(name), std::move(run), {}}); }
  // Called after each round, untimed.
  void after_round(std::function<void()> call) { after_round_ = std::move(call); }

  // Every contender once per round, the first one another in each round, each from rest; and one round before, which does
  // not count. Then hands the samples to the report.
  void run(int rounds);

  double fastest(const std::string& name) const { return fastest_of(samples(name)); }
  double median(const std::string& name) const { return median_of(samples(name)); }

 private:
  struct Contender {
    std::string name;
    std::function<double()> run;
    std::vector<double> samples;
  };
  const std::vector<double>& samples(const std::string& name) const;

  std::string title_;
  std::string unit_;
  std::vector<Contender> contenders_;
  std::function<void()> after_round_;
};

// What the program has found out; written as JSON when it ends.
class Report {
 public:
  void ratio(const std::string& row, double value);
  void race(const std::string& title, const std::string& unit, const std::string& contender,
            const std::vector<double>& samples);
  void write(const std::string& path) const;

 private:
  std::string rows_;
  std::string contenders_;
};
extern Report report;

// Sleeps until no thread of this process is running any more: the pools of OpenMP and TBB spin for some milliseconds after
// their work is done, on a processor that the next contender wants.
void come_to_rest();

// One set of rows, defined where the file's name says: BENCH_GROUP(map) { ... }
struct Group {
  const char* name;
  void (*run)();
  Group* next;
  Group(const char* name, void (*run)());
};

}  // namespace bench

#define BENCH_GROUP(name)                                    \
  static void run_##name();                                  \
  static const bench::Group group_##name(#name, run_##name); \
  static void run_##name()
