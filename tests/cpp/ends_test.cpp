// Runs that end early: what has become of their items, and that nothing of them goes on.
#include <thread>

#include "support.hpp"

namespace {

using namespace std::chrono_literals;

// A body that needs something to have happened before the timeout is repeated with a longer one until it did (it returns
// true then), so that no speed of the machine matters.
template <class Body>
void with_growing_timeout(Body&& body) {
  for (std::chrono::nanoseconds timeout = 1ms; timeout < 1h; timeout *= 4)
    if (body(timeout)) return;
  ADD_FAILURE() << "no timeout was long enough";
}

// ------------------------------------------------------------------ which end

TEST(Ends, ARequestedStopComesBeforeATimeoutOf0) {
  pa::options options;
  options.timeout = 0s;
  options.stop.emplace();
  options.stop->request();
  const auto result = pa::map(
      numbers(5), [](int) { ADD_FAILURE() << "the function ran"; }, options);
  EXPECT_EQ(result.ended(), pa::ending::cancelled);
  EXPECT_EQ(result[4].state(), pa::item_state::cancelled);
}

// Which of the two ends the run is a matter of chance; that it is exactly one, and that every item agrees, is not.
TEST(Ends, AbortAndDeadlineTogetherGiveExactlyOne) {
  for (int round = 0; round < 300; round++) {
    pa::options options;
    options.workers = 3;
    options.timeout = round % 30 * 10us;
    options.max_errors = 3;
    const auto result = pa::map(
        numbers(50), [](int) { throw std::runtime_error("no"); }, options);
    const bool aborted = result.ended() == pa::ending::aborted;
    ASSERT_TRUE(aborted || result.ended() == pa::ending::timed_out);
    const auto not_done = aborted ? pa::item_state::aborted : pa::item_state::timed_out;
    int failed = 0;
    for (const auto outcome : result) {
      ASSERT_TRUE(outcome.state() == pa::item_state::failed || outcome.state() == not_done);
      failed += outcome.state() == pa::item_state::failed;
    }
    EXPECT_GE(failed, aborted ? 3 : 0);
  }
}

// The deadline passes while the source is asked a fourth time, all items before being done.
TEST(Ends, ATimeoutWhileNothingIsInFlightIsNotOkThoughAllEntriesAre) {
  with_growing_timeout([](std::chrono::nanoseconds timeout) {
    pa::options options;
    options.timeout = timeout;
    options.workers = 1;
    int pulls = 0;
    std::chrono::steady_clock::time_point began;
    const auto result = pa::map_source(
        [&]() -> std::optional<int> {
          if (pulls == 0) began = std::chrono::steady_clock::now();
          if (++pulls <= 3) return pulls;
          std::this_thread::sleep_until(began + timeout);
          return std::nullopt;
        },
        [](int x) { return x; }, options);
    EXPECT_EQ(result.ended(), pa::ending::timed_out);
    EXPECT_FALSE(result.ok());
    EXPECT_EQ(error_of([&] { result.check(); }).status(), PA_STATUS_TIMED_OUT);
    return pulls == 4 && result.size() == 3 && result.failed() == 0;
  });
}

// ------------------------------------------------------------------ key functions and sources

TEST(Ends, AStopInsideAKeyFunctionCancelsTheItemAndKeepsItsKey) {
  pa::options options = inlined();
  options.stop.emplace();
  const auto result = pa::map(
      numbers(5), [](int x) { EXPECT_LT(x, 2); }, options,
      [&](int x) {
        if (x == 2) options.stop->request();
        return 10 * x;
      });
  EXPECT_EQ(result.ended(), pa::ending::cancelled);
  EXPECT_EQ(result[2].state(), pa::item_state::cancelled);
  EXPECT_EQ(result[2].attempts(), 0u);
  EXPECT_EQ(result[2].key().number, 20);
}

TEST(Ends, ADeadlineThatPassesInsideAKeyFunctionLeavesTheItemWithItsKeyAndNotRun) {
  with_growing_timeout([](std::chrono::nanoseconds timeout) {
    pa::options options;
    options.timeout = timeout;
    bool asked = false;
    const auto result = pa::map(
        numbers(3), [](int) { ADD_FAILURE() << "the function ran"; }, options,
        [&](int x) {
          asked = true;
          std::this_thread::sleep_for(timeout);
          return 40 + x;
        });
    EXPECT_EQ(result.ended(), pa::ending::timed_out);
    EXPECT_EQ(result.failed(), 3u);
    EXPECT_EQ(result[0].key().number, asked ? 40 : 0);
    EXPECT_EQ(result[2].key().kind, PA_KEY_NONE);
    return asked;
  });
}

TEST(Ends, ASourceThatThrowsWhileItemsRunIsAskedNoMoreAndTheyKeepTheirOutcome) {
  int pulls = 0;
  std::atomic<int> running{0}, kept{0};
  Event two_run;
  pa::options options;
  options.workers = 3;
  options.on_result = [&](const pa::item& done) { kept += done.ok() ? done.value<int>() : 0; };
  EXPECT_THROW(pa::map_source(
                   [&]() -> std::optional<int> {
                     if (++pulls <= 2) return pulls;
                     two_run.wait();
                     throw std::range_error("the file is broken");
                   },
                   [&](int x, pa::call& call) {
                     if (++running == 2) two_run.set();
                     while (!call.stopped()) std::this_thread::yield();
                     return 10 * x;
                   },
                   options),
               std::range_error);
  EXPECT_EQ(pulls, 3);
  EXPECT_EQ(running, 2);
  EXPECT_EQ(kept, 10 + 20);
}

// ------------------------------------------------------------------ items in flight

TEST(Ends, AnItemWithAttemptsLeftKeepsThemAndItsLastError) {
  with_growing_timeout([](std::chrono::nanoseconds timeout) {
    pa::options options = attempts(3);
    options.retry.backoff = options.retry.max_delay = 1h;
    options.timeout = timeout;
    std::atomic<std::uint32_t> calls{0};
    const auto result = pa::map(
        numbers(1),
        [&](int) {
          calls++;
          throw pa::failure(503, "unavailable");
        },
        options);
    EXPECT_EQ(result[0].state(), pa::item_state::timed_out);
    EXPECT_EQ(result[0].attempts(), calls);
    EXPECT_EQ(result[0].code(), calls ? 503 : 0);
    return calls == 1;
  });
}

TEST(Ends, ATimeoutThatReturnsWhileACallIsRunningTellsItsAttempts) {
  with_growing_timeout([](std::chrono::nanoseconds timeout) {
    std::atomic<std::uint32_t> calls{0};
    Event may_end;
    pa::options options;
    options.detach = true;
    options.timeout = timeout;
    const auto result = pa::map(
        numbers(1),
        [&](int) {
          calls++;
          may_end.wait();
        },
        options);
    const std::uint32_t attempts = result[0].attempts();
    EXPECT_EQ(result[0].state(), pa::item_state::timed_out);
    EXPECT_LE(attempts, 1u);
    may_end.set();
    EXPECT_TRUE(pa::drain());
    EXPECT_LE(attempts, calls);
    return attempts == 1;
  });
}

TEST(Ends, NoAttemptIsMadeAfterARunThatTimedOutHasReturned) {
  with_growing_timeout([](std::chrono::nanoseconds timeout) {
    pa::options options = attempts(1'000'000);
    options.retry.backoff = options.retry.max_delay = 50us;
    options.workers = 3;
    options.timeout = timeout;
    std::atomic<std::uint64_t> calls{0};
    const auto result = pa::map(
        numbers(20),
        [&](int) {
          calls++;
          throw std::runtime_error("again");
        },
        options);
    const std::uint64_t at_return = calls;
    EXPECT_EQ(result.ended(), pa::ending::timed_out);
    std::uint64_t sum = 0;
    for (const auto outcome : result) sum += outcome.attempts();
    EXPECT_EQ(sum, at_return);
    EXPECT_TRUE(pa::drain());
    EXPECT_EQ(calls, at_return);
    return at_return > 0;
  });
}

}  // namespace
