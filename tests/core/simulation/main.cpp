// A deterministic simulation of jobs: a fake clock, random configurations, takers, sources, consumers, failures, waits,
// stops and deadlines, all from a seed. usage: simulate [first_seed [count]] [--trace]
//
// After every step it checks what the engine promises: one outcome for each index, inputs pulled lazily and never beyond the
// window, one end and nothing after it, no more calls than the rate allows, nobody asleep while there is work; of a stream, all that
// is done handed out once, in the promised order, and the consumer never asleep beside it. The same seed gives the same schedule,
// so that a failure can be looked at with --trace.
#include <unistd.h>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <string>

#include "check.hpp"
#include "world.hpp"

namespace pa::simulation {
namespace {

constexpr uint64_t kCoversEverything = 10'000;  // so many schedules must visit each feature

std::string replay;  // what to type to see the present schedule again

// An assertion of the engine failed: say where.
void aborted(int) {
  if (write(STDERR_FILENO, replay.data(), replay.size()) < 0) _exit(2);
  _exit(1);
}

bool simulate(uint64_t seed, bool trace, Coverage& coverage) {
  replay = text("seed %llu failed; to see it: ./run simulate %llu 1 --trace\n", ull{seed}, ull{seed});
  const Scenario scenario = draw_scenario(seed);
  if (trace) std::fputs(describe(scenario).c_str(), stdout);
  try {
    World(scenario, coverage, trace).play();
    return true;
  } catch (const Violation& violation) {
    std::fflush(stdout);
    std::fprintf(stderr, "%s\n%s", violation.what(), replay.c_str());
    return false;
  }
}

bool report(const Coverage& coverage, bool must_be_complete) {
  bool complete = true;
  int column = 0;
#define X(feature)                                                                         \
  column += std::printf("%s%s %llu", column ? ", " : "", #feature, ull{coverage.feature}); \
  complete = complete && coverage.feature != 0;
  PA_SIMULATION_FEATURES(X)
#undef X
  std::puts("");
  if (complete || !must_be_complete) return true;
  std::fputs("a feature that no schedule has visited is not tested\n", stderr);
  return false;
}

struct Arguments {
  uint64_t numbers[2] = {1, 20'000};  // the first seed, and how many
  bool trace = false;
};

bool parse(int argc, char** argv, Arguments& arguments) {
  int given = 0;
  for (int i = 1; i < argc; i++) {
    if (!std::strcmp(argv[i], "--trace")) {
      arguments.trace = true;
      continue;
    }
    char* end = nullptr;
    if (given == 2) return false;
    arguments.numbers[given++] = std::strtoull(argv[i], &end, 10);
    if (end == argv[i] || *end) return false;
  }
  return true;
}

int main(int argc, char** argv) {
  Arguments arguments;
  if (!parse(argc, argv, arguments)) {
    std::fputs("usage: simulate [first_seed [count]] [--trace]\n", stderr);
    return 2;
  }
  const auto [first, count] = arguments.numbers;
  std::signal(SIGABRT, aborted);
  Coverage coverage;
  for (uint64_t i = 0; i < count; i++)
    if (!simulate(first + i, arguments.trace, coverage)) return 1;
  std::printf("%llu schedules from seed %llu on, no promise broken: ", ull{count}, ull{first});
  return report(coverage, count >= kCoversEverything) ? 0 : 1;
}

}  // namespace
}  // namespace pa::simulation

int main(int argc, char** argv) { return pa::simulation::main(argc, argv); }
