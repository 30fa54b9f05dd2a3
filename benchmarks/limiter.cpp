// How exactly a limiter keeps its rate. Times of grants are taken by the function itself, with the clock's own error.
#include <time.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <string>
#include <vector>

#include "run_pa.hpp"
#include "team.hpp"

namespace bench {
namespace {

constexpr double kWindow = 10e-3;         // in which grants are counted
constexpr double kWindowAllowed = 11e-3;  // for which the rate may grant: the clock of the function is not the limiter's

// When how many calls began.
class Grants {
 public:
  explicit Grants(uint64_t most) : entries_(most) {}

  void add(uint64_t count) { entries_[used_.fetch_add(1, std::memory_order_relaxed)] = {now_s(), count}; }

  uint64_t total() const {
    uint64_t sum = 0;
    for (uint64_t i = 0; i < used_; i++) sum += entries_[i].count;
    return sum;
  }

  // The largest number of calls that began within 10 ms.
  uint64_t most_in_window() {
    std::sort(entries_.begin(), entries_.begin() + static_cast<std::ptrdiff_t>(used_.load()),
              [](const Entry& a, const Entry& b) { return a.time_s < b.time_s; });
    uint64_t most = 0, inside = 0;
    for (uint64_t i = 0, first = 0; i < used_; i++) {
      inside += entries_[i].count;
      while (entries_[i].time_s - entries_[first].time_s > kWindow) inside -= entries_[first++].count;
      most = std::max(most, inside);
    }
    return most;
  }

 private:
  struct Entry {
    double time_s;
    uint64_t count;
  };
  std::vector<Entry> entries_;
  std::atomic<uint64_t> used_{0};
};

int32_t record(void* grants, uint64_t, uint64_t count, pa_call*) {
  static_cast<Grants*>(grants)->add(count);
  return 0;
}

struct Kept {
  double achieved;   // of the rate; 1 is exact
  double overshoot;  // of what 10 ms may bring; 1 is the bound
};

Kept judged(double rate, uint64_t burst, uint64_t count, double elapsed_s, Grants& grants) {
  require(grants.total() == count, "a limited run lost calls");
  return {static_cast<double>(count - burst) / elapsed_s / rate,
          static_cast<double>(grants.most_in_window()) / (rate * kWindowAllowed + static_cast<double>(burst))};
}

double run_length_s() { return quick() ? 0.25 : 1.0; }

Kept through_pa(double rate, uint64_t burst) {
  const auto count = static_cast<uint64_t>(rate * run_length_s());
  Grants grants(count);
  pa_options options = options_for(kWorkers);
  options.rate = {rate, 1'000'000'000, burst};
  const double elapsed_s = timed([&] { run_map_range(record, &grants, count, options); });
  return judged(rate, burst, count, elapsed_s, grants);
}

// By hand: one instant that the threads move on by compare-and-swap, sleeps of known length that end early and are spun to
// their end. Takes all there is, up to half of the burst, as tokens that come faster than a thread can sleep come several
// at a time.
Kept by_hand(Team& team, double rate, uint64_t burst) {
  const auto count = static_cast<uint64_t>(rate * run_length_s());
  Grants grants(count);
  const auto interval_ns = static_cast<int64_t>(std::ceil(1e9 / rate));
  const auto capacity_ns = interval_ns * static_cast<int64_t>(burst);
  const auto clock_ns = [] {
    timespec time{};
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * int64_t{1'000'000'000} + time.tv_nsec;
  };
  const double start_s = now_s();
  std::atomic<int64_t> empty_at{clock_ns() - capacity_ns};
  std::atomic<uint64_t> taken{0};
  team.run([&](uint32_t) {
    while (taken.load(std::memory_order_relaxed) < count) {
      int64_t seen = empty_at.load(std::memory_order_relaxed);
      const int64_t now = clock_ns();
      const int64_t from = std::max(seen, now - capacity_ns);
      const auto tokens = static_cast<uint64_t>(std::max<int64_t>(0, (now - from) / interval_ns));
      const uint64_t want = std::min(tokens, std::max<uint64_t>(1, burst / 2));
      if (!want) {
        constexpr int64_t kLateWake = 60'000;
        const int64_t one = from + interval_ns - now;
        const int64_t several = from + interval_ns * static_cast<int64_t>(std::max<uint64_t>(1, burst / 2)) - now;
        const int64_t pause_ns = std::max(one, std::min(several, 2 * kLateWake));
        if (pause_ns > kLateWake) {
          const timespec pause{0, std::min<int64_t>(pause_ns - kLateWake, 999'999'999)};
          nanosleep(&pause, nullptr);
        }
        continue;
      }
      if (!empty_at.compare_exchange_weak(seen, from + static_cast<int64_t>(want) * interval_ns)) continue;
      const uint64_t first = taken.fetch_add(want);
      if (first < count) grants.add(std::min(want, count - first));
    }
  });
  return judged(rate, burst, count, now_s() - start_s, grants);
}

// Of several rates, each measured in a race of its own, the worst.
struct Worst {
  double pa = 0, bare = 0;
  void take(double pa_figure, double bare_figure) {
    pa = std::max(pa, pa_figure);
    bare = std::max(bare, bare_figure);
  }
};

std::string name_of(double rate) { return std::to_string(static_cast<uint64_t>(rate)) + " calls a second"; }

void burst_of_a_millisecond(Team& team) {
  Worst error, overshoot;
  for (double rate : {1e3, 1e5, 1e6}) {
    const uint64_t burst = std::max<uint64_t>(1, static_cast<uint64_t>(rate / 1'000));
    const std::string title = "limiter, " + name_of(rate) + ", burst of 1 ms: ";
    std::vector<double> most, bare_most;  // in 10 ms, of the same runs
    Race race(title + "error", "share of the rate");
    const auto add = [&](const char* name, std::vector<double>& most_in_window, auto run) {
      race.add(name, [&most_in_window, run, rate, burst] {
        const Kept kept = run(rate, burst);
        most_in_window.push_back(kept.overshoot);
        return std::abs(kept.achieved - 1);
      });
    };
    add("pa_map_range", most, through_pa);
    add("bare", bare_most, [&](double r, uint64_t b) { return by_hand(team, r, b); });
    race.run(rounds(15, 5));
    report.race(title + "most in 10 ms", "share of the bound", "pa_map_range", most);
    report.race(title + "most in 10 ms", "share of the bound", "bare", bare_most);
    error.take(race.median("pa_map_range"), race.median("bare"));
    overshoot.take(median_of(most), median_of(bare_most));
  }
  report.ratio("limiter_error", error.pa);
  report.ratio("bare_limiter_error", error.bare);
  report.ratio("limiter_overshoot", overshoot.pa);
  report.ratio("bare_limiter_overshoot", overshoot.bare);
}

void burst_of_one(Team& team) {
  Worst shortfall;
  for (double rate : {1e3, 1e5}) {
    Race race("limiter, " + name_of(rate) + ", burst of 1: shortfall", "share of the rate");
    race.add("pa_map_range", [&] { return 1 - through_pa(rate, 1).achieved; });
    race.add("bare", [&] { return 1 - by_hand(team, rate, 1).achieved; });
    race.run(rounds(15, 5));
    shortfall.take(race.median("pa_map_range"), race.median("bare"));
  }
  report.ratio("limiter_burst1", shortfall.pa);
  report.ratio("bare_limiter_burst1", shortfall.bare);
}

}  // namespace

BENCH_GROUP(limiter) {
  Team team(kWorkers);
  warm_pool(kWorkers);
  burst_of_a_millisecond(team);
  burst_of_one(team);
}

}  // namespace bench
