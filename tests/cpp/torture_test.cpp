// Every allocation fails in turn, once alone and once with all that follow, those that pa.hpp makes itself included. Each time
// the call succeeds or says that memory is missing; nothing is leaked, and no item is run twice.
#include <array>

#include "../capi/allocations.h"
#include "support.hpp"

namespace {

constexpr int kItems = 40;

// What is shared by the function and the source of one run. Nothing here allocates.
struct Trial {
  std::array<std::atomic<int>, kItems> calls{};
  int delivered = 0;

  std::optional<Counted> next() {
    if (delivered == kItems) return std::nullopt;
    return Counted(delivered++);
  }
  Counted run(int x) {
    calls[static_cast<std::size_t>(x)]++;
    return Counted(x);
  }
};

// What `act` reports: 0 if it returned, PA_STATUS_NO_MEMORY if memory was missing.
template <class Act>
int status_of(Act&& act) {
  try {
    act();
  } catch (const std::bad_alloc&) {
    return PA_STATUS_NO_MEMORY;
  } catch (const pa::error& error) {
    // A stream needs a thread, and a thread needs memory.
    return error.status() == PA_STATUS_SYSTEM ? PA_STATUS_NO_MEMORY : error.status();
  }
  return PA_STATUS_OK;
}

template <class Run>
void fail_each_allocation(Run&& run) {
  allocations_watch();
  pa::options options;
  options.workers = 2;
  Trial warm_up;
  run(warm_up, options);
  pa::drain();
  const std::uint64_t held = allocations_held();
  for (const int how : {fail_once, fail_from_then_on}) {
    std::uint64_t failed = 1;
    int refused = 0;
    for (std::uint64_t which = 1; failed > 0; which++) {
      ASSERT_LT(which, 10'000u) << "the allocations have no end";
      Trial trial;
      allocations_fail(which, how);
      const int status = status_of([&] { run(trial, options); });
      failed = allocations_stop();
      refused += status == PA_STATUS_NO_MEMORY;
      ASSERT_TRUE(status == PA_STATUS_OK || status == PA_STATUS_NO_MEMORY) << status << ", allocation " << which;
      ASSERT_EQ(Counted::living(), 0) << "allocation " << which;
      pa::drain();  // gives back what libpa keeps for the next run
      ASSERT_EQ(allocations_held(), held) << "allocation " << which;
      for (const auto& calls : trial.calls) {
        ASSERT_LE(calls, 1) << "allocation " << which;
        ASSERT_TRUE(failed > 0 || calls == 1) << "allocation " << which;
      }
    }
    EXPECT_GT(refused, 0);
  }
}

using Torture = CountedTest;

TEST_F(Torture, MapSurvivesEachFailedAllocation) {
  const auto items = numbers(kItems);
  fail_each_allocation([&](Trial& trial, const pa::options& options) {
    pa::map(
        items, [&](int x) { return trial.run(x); }, options);
  });
}

TEST_F(Torture, MapSourceSurvivesEachFailedAllocation) {
  fail_each_allocation([](Trial& trial, const pa::options& options) {
    pa::map_source([&] { return trial.next(); }, [&](Counted& item) { return trial.run(item.number); }, options);
  });
}

TEST_F(Torture, StreamSurvivesEachFailedAllocation) {
  for (const bool ordered : {false, true}) {
    fail_each_allocation([&](Trial& trial, pa::options options) {
      options.ordered = ordered;
      auto stream =
          pa::stream_source([&] { return trial.next(); }, [&](Counted& item) { return trial.run(item.number); }, options);
      while (stream.next()) continue;
    });
  }
}

}  // namespace
