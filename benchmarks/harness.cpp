// The harness, and the program's main: `bench [--quick] GROUP OUTPUT.json`.
#include "harness.hpp"

#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace bench {
namespace {

bool is_quick = false;
Group* groups = nullptr;

double seconds_of(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// Names in reports are ours: they need no escaping.
std::string quoted(const std::string& text) { return '"' + text + '"'; }

std::string number(double value) {
  char text[32];
  snprintf(text, sizeof text, "%.9g", value);
  return text;
}

void append(std::string& list, const std::string& element) {
  if (!list.empty()) list += ",\n  ";
  list += element;
}

}  // namespace

Report report;

Group::Group(const char* name_, void (*run_)()) : name(name_), run(run_), next(groups) { groups = this; }

double now_s() { return seconds_of(CLOCK_MONOTONIC); }

double fastest_of(std::vector<double> samples) { return *std::min_element(samples.begin(), samples.end()); }

double median_of(std::vector<double> samples) {
  const auto middle = samples.begin() + static_cast<std::ptrdiff_t>(samples.size() / 2);
  std::nth_element(samples.begin(), middle, samples.end());
  return *middle;
}

bool quick() { return is_quick; }

void fail(const std::string& what) {
  fprintf(stderr, "benchmark failed: %s\n", what.c_str());
  exit(1);
}

void come_to_rest() {
  constexpr int kPatience = 200;  // milliseconds; somebody who never rests must not stop the bench
  for (int quiet = 0, waited = 0; quiet < 2 && waited < kPatience; waited++) {
    const double before = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
    usleep(1000);
    quiet = seconds_of(CLOCK_PROCESS_CPUTIME_ID) - before < 100e-6 ? quiet + 1 : 0;
  }
}

void Race::run(int rounds) {
  for (int round = -1; round < rounds; round++) {
    for (size_t turn = 0; turn < contenders_.size(); turn++) {
      Contender& contender = contenders_[(turn + static_cast<size_t>(round + 1)) % contenders_.size()];
      come_to_rest();
      const double sample = contender.run();
      if (round >= 0) contender.samples.push_back(sample);
    }
    if (after_round_) after_round_();
  }
  for (const Contender& contender : contenders_) report.race(title_, unit_, contender.name, contender.samples);
}

const std::vector<double>& Race::samples(const std::string& name) const {
  for (const Contender& contender : contenders_)
    if (contender.name == name) return contender.samples;
  fail(title_ + " has no contender " + name);
}

void Report::ratio(const std::string& row, double value) {
  printf("  %-28s %.4f\n", row.c_str(), value);
  fflush(stdout);
  append(rows_, quoted(row) + ": " + number(value));
}

void Report::race(const std::string& title, const std::string& unit, const std::string& contender,
                  const std::vector<double>& samples) {
  std::string values;
  for (double sample : samples) values += (values.empty() ? "" : ", ") + number(sample);
  append(contenders_, "{\"race\": " + quoted(title) + ", \"unit\": " + quoted(unit) +
                          ", \"contender\": " + quoted(contender) + ", \"fastest\": " + number(fastest_of(samples)) +
                          ", \"median\": " + number(median_of(samples)) + ", \"samples\": [" + values + "]}");
}

void Report::write(const std::string& path) const {
  FILE* file = fopen(path.c_str(), "w");
  if (!file) fail("can't write " + path);
  fprintf(file, "{\"rows\": {\n  %s\n},\n\"contenders\": [\n  %s\n]}\n", rows_.c_str(), contenders_.c_str());
  if (fclose(file) != 0) fail("can't write " + path);
}

}  // namespace bench

int main(int argc, char** argv) {
  if (argc > 1 && strcmp(argv[1], "--quick") == 0) {
    bench::is_quick = true;
    argv++;
    argc--;
  }
  if (argc == 3)
    for (bench::Group* group = bench::groups; group; group = group->next)
      if (strcmp(group->name, argv[1]) == 0) {
        group->run();
        bench::report.write(argv[2]);
        return 0;
      }
  fprintf(stderr, "usage: bench [--quick] GROUP OUTPUT.json, where GROUP is one of:");
  for (bench::Group* group = bench::groups; group; group = group->next) fprintf(stderr, " %s", group->name);
  fprintf(stderr, "\n");
  return 2;
}
