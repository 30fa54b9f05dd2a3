// Streams: outcomes that are consumed one by one, or many at a time, while others are being made.
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "bare.hpp"
#include "run_pa.hpp"

namespace bench {
namespace {

// The numbers 0 ... count-1.
struct Numbers {
  uint64_t at = 0;
  uint64_t count = 0;

  static int32_t next(void* ctx, void** items, size_t max, size_t* got) {
    auto* numbers = static_cast<Numbers*>(ctx);
    const uint64_t some = std::min<uint64_t>(max, numbers->count - numbers->at);
    for (uint64_t i = 0; i < some; i++) items[i] = reinterpret_cast<void*>(static_cast<uintptr_t>(numbers->at + i));
    numbers->at += some;
    *got = some;
    return 0;
  }
};

class Iter {
 public:
  Iter(pa_fn body, void* ctx, Numbers& numbers, const pa_options& options) {
    pa_source source;
    pa_source_init(&source, sizeof source);
    source.next = Numbers::next;
    source.ctx = &numbers;
    if (pa_iter_open(body, ctx, &source, &options, &iter_, &error_) != PA_STATUS_OK) fail(error_.message);
  }
  ~Iter() { pa_iter_close(iter_); }
  Iter(const Iter&) = delete;
  Iter& operator=(const Iter&) = delete;

  bool next(pa_outcome& outcome) { return there(pa_iter_next(iter_, &outcome, &error_)); }
  bool next_many(pa_outcome& first, void**& values, size_t& count) {
    return there(pa_iter_next_many(iter_, &first, &values, &count, &error_));
  }

 private:
  bool there(pa_status status) {
    if (status < 0) fail(error_.message);
    return status == PA_STATUS_OK;
  }
  pa_iter* iter_ = nullptr;
  pa_error error_{};
};

uint64_t number_of(const void* value) { return reinterpret_cast<uintptr_t>(value); }

uint64_t consume_singly(pa_fn body, void* ctx, uint64_t count, const pa_options& options) {
  Numbers numbers{0, count};
  Iter iter(body, ctx, numbers, options);
  uint64_t sum = 0;
  for (pa_outcome outcome; iter.next(outcome);) sum += number_of(outcome.value);
  return sum;
}

uint64_t consume_many(pa_fn body, void* ctx, uint64_t count, const pa_options& options) {
  Numbers numbers{0, count};
  Iter iter(body, ctx, numbers, options);
  uint64_t sum = 0;
  pa_outcome first;
  void** values = nullptr;
  for (size_t some = 0; iter.next_many(first, values, some);)
    for (size_t i = 0; i < some; i++) sum += number_of(values[i]);
  return sum;
}

uint64_t consume_serially(pa_fn body, void* ctx, uint64_t count) {
  uint64_t sum = 0;
  for (uint64_t i = 0; i < count; i++) {
    void* value = nullptr;
    body(ctx, reinterpret_cast<void*>(static_cast<uintptr_t>(i)), &value, nullptr);
    sum += number_of(value);
  }
  return sum;
}

// Adds a contender that has to find the right sum.
template <class Work>
void add(Race& race, const char* name, uint64_t sum, Work work) {
  race.add(name, [=] { return timed([&] { require(work() == sum, "a stream lost something"); }); });
}

// ---- x*x

void tiny_bodies() {
  const uint64_t count = items(4'000'000, 1'000'000);
  const uint64_t sum = consume_serially(square, nullptr, count);
  const pa_options as_done = options_for(kWorkers);
  pa_options in_order = as_done;
  in_order.ordered = 1;

  Race race("stream of x*x");
  add(race, "serial", sum, [=] { return consume_serially(square, nullptr, count); });
  add(race, "pa_iter_next", sum, [=] { return consume_singly(square, nullptr, count, as_done); });
  add(race, "pa_iter_next_many", sum, [=] { return consume_many(square, nullptr, count, as_done); });
  add(race, "pa_iter_next, in order", sum, [=] { return consume_singly(square, nullptr, count, in_order); });
  add(race, "pa_iter_next_many, in order", sum, [=] { return consume_many(square, nullptr, count, in_order); });
  add(race, "oneTBB pipeline", sum, [=] { return tbb_pipeline(square, nullptr, count); });
  add(race, "oneTBB pipeline, chunks of 1,024", sum, [=] { return tbb_pipeline_in_chunks(square, nullptr, count, 1'024); });
  add(race, "bare", sum, [=] { return bare_stream(square, nullptr, count, 4'096); });
  race.run(rounds(15, 5));

  report.ratio("iter_item_tbb", race.fastest("oneTBB pipeline") / race.fastest("pa_iter_next"));
  report.ratio("bare_iter_item_tbb", race.fastest("oneTBB pipeline") / race.fastest("bare"));
  const double chunks = race.fastest("oneTBB pipeline, chunks of 1,024");
  report.ratio("iter_many_tbb", race.fastest("pa_iter_next_many") / chunks);
  report.ratio("bare_iter_many_tbb", race.fastest("bare") / chunks);
}

// ---- 1 us

void short_bodies() {
  const uint64_t count = items(100'000, 20'000);
  void* const work = spin_for(1'000);
  const uint64_t sum = consume_serially(spin, work, count);
  const pa_options options = options_for(kWorkers);

  Race race("stream of 1 us");
  add(race, "serial", sum, [=] { return consume_serially(spin, work, count); });
  add(race, "pa_iter_next", sum, [=] { return consume_singly(spin, work, count, options); });
  add(race, "oneTBB pipeline", sum, [=] { return tbb_pipeline(spin, work, count); });
  add(race, "bare", sum, [=] { return bare_stream(spin, work, count, 50); });
  race.run(rounds(15, 7));
  report.ratio("iter_1us_serial", race.fastest("pa_iter_next") / race.fastest("serial"));
  report.ratio("bare_iter_1us_serial", race.fastest("bare") / race.fastest("serial"));
}

// ---- the first result, of threads that are asleep

void first_result() {
  void* const work = spin_for(100'000);
  const pa_options options = options_for(kWorkers);
  Race race("first of 100 us");
  race.add("one body", [=] { return timed([&] { consume_serially(spin, work, 1); }); });
  race.add("pa_iter_next", [=] {
    Numbers numbers{0, 1'000};
    usleep(30'000);
    const double start = now_s();
    Iter iter(spin, work, numbers, options);
    pa_outcome outcome;
    iter.next(outcome);
    return now_s() - start;
  });
  race.run(rounds(41, 21));
  report.ratio("iter_first_result", race.median("pa_iter_next") / race.median("one body"));
}

// ---- memory, and how long a result lies about

uint64_t most_resident_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<uint64_t>(usage.ru_maxrss) * 1'024;
}

// A stream that is long against one that is short: what the process has ever occupied may not grow by more.
void constant_memory() {
  const uint64_t few = 1'000'000, many = items(100'000'000, 10'000'000);
  const pa_options options = options_for(kWorkers);
  consume_singly(square, nullptr, few, options);
  const uint64_t before = most_resident_bytes();
  const double seconds = timed([&] { consume_singly(square, nullptr, many, options); });
  const double grown = static_cast<double>(most_resident_bytes() - before) / 1e6;
  std::printf("  a stream of %.0e items takes %.1f MB more than one of %.0e, at %.0f million items a second\n",
              static_cast<double>(many), grown, static_cast<double>(few), static_cast<double>(many) / seconds / 1e6);
  report.ratio("iter_memory_growth_mb", grown);
}

// From the end of an item's body to the moment that pa_iter_next hands it out, at 10,000 items a second.
int32_t stamp(void*, void*, void** value, pa_call*) {
  *value = reinterpret_cast<void*>(static_cast<uintptr_t>(now_s() * 1e9));
  return 0;
}

void latency() {
  const uint64_t count = items(20'000, 5'000);
  pa_options options = options_for(kWorkers);
  options.rate.count = 10'000;
  Numbers numbers{0, count};
  Iter iter(stamp, nullptr, numbers, options);
  std::vector<double> late;
  for (pa_outcome outcome; iter.next(outcome);)
    late.push_back(now_s() * 1e6 - static_cast<double>(number_of(outcome.value)) / 1e3);
  require(late.size() == count, "a stream lost something");
  std::sort(late.begin(), late.end());
  std::printf("  at 10,000 items a second a result is handed out after %.1f us (median), %.1f us (99 %%)\n", late[count / 2],
              late[count * 99 / 100]);
  report.ratio("iter_latency_p50_us", late[count / 2]);
  report.ratio("iter_latency_p99_us", late[count * 99 / 100]);
}

}  // namespace

BENCH_GROUP(stream) {
  start_peers();
  warm_pool(kWorkers);
  tiny_bodies();
  short_bodies();
  first_result();
  constant_memory();
  latency();
}

}  // namespace bench
