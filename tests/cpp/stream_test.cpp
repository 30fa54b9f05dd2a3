// pa::stream and its kin: outcomes one by one.
#include <algorithm>
#include <array>
#include <chrono>
#include <forward_list>
#include <iterator>
#include <list>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <thread>

#include <poll.h>

#include "support.hpp"

// clang can't read the views of GCC's library before its version 16.
#if defined(__cpp_lib_ranges) && !(defined(__clang__) && __clang_major__ < 16)
#define PA_TEST_VIEWS 1
#include <ranges>
#endif

namespace {

pa::options in_order(std::uint32_t workers = 2) {
  pa::options options;
  options.workers = workers;
  options.ordered = true;
  return options;
}

// An input range of 0, 1, ... that tells how far it was walked, and ends never.
class Generator {
 public:
  struct iterator {
    using iterator_category = std::input_iterator_tag;
    using value_type = int;
    using difference_type = std::ptrdiff_t;
    using pointer = const int*;
    using reference = int;

    int operator*() const { return *walked; }
    iterator& operator++() {
      ++*walked;
      return *this;
    }
    void operator++(int) { ++*walked; }
    bool operator==(const iterator&) const { return false; }
    bool operator!=(const iterator&) const { return true; }

    std::atomic<int>* walked;
  };

  explicit Generator(std::atomic<int>& walked) : walked_(&walked) {}
  iterator begin() const { return {walked_}; }
  iterator end() const { return {walked_}; }

 private:
  std::atomic<int>* walked_;
};

TEST(Stream, HandsOutOneOutcomeForEachItem) {
  const std::vector<int> items = numbers(10'000);
  std::vector<bool> seen(items.size());
  auto stream = pa::stream(items, [](int x) { return std::to_string(x); });
  for (auto outcome : stream) {
    ASSERT_TRUE(outcome.ok());
    ASSERT_EQ(outcome.value(), std::to_string(outcome.index()));
    ASSERT_FALSE(seen[outcome.index()]);
    seen[outcome.index()] = true;
  }
  EXPECT_TRUE(std::all_of(seen.begin(), seen.end(), [](bool s) { return s; }));
  EXPECT_EQ(stream.ended(), pa::ending::completed);
}

TEST(Stream, InOrderIndicesComeOneAfterTheOther) {
  const std::vector<int> items = numbers(10'000);
  std::uint64_t expected = 0;
  for (auto outcome : pa::stream(
           items, [](int x) { return 2 * x; }, in_order(4))) {
    ASSERT_EQ(outcome.index(), expected);
    ASSERT_EQ(outcome.value(), static_cast<int>(2 * expected));
    expected++;
  }
  EXPECT_EQ(expected, 10'000u);
}

TEST(Stream, AsTheyComeAStragglerHoldsUpNobody) {
  Event others_came;
  pa::options options;
  options.workers = 2;
  const std::vector<int> items = numbers(5);
  auto stream = pa::stream(
      items,
      [&](int x) {
        if (x == 0) others_came.wait();
        return x;
      },
      options);
  for (int i = 0; i < 4; i++) EXPECT_NE(stream.next()->index(), 0u);
  others_came.set();
  EXPECT_EQ(stream.next()->index(), 0u);
  EXPECT_FALSE(stream.next());
}

TEST(Stream, OfNothingCompletes) {
  auto stream = pa::stream(std::vector<int>(), [](int x) { return x; });
  EXPECT_FALSE(stream.ended());
  EXPECT_FALSE(stream.next());
  EXPECT_EQ(stream.ended(), pa::ending::completed);
  EXPECT_NO_THROW(stream.check());
}

TEST(Stream, AnExceptionFailsItsItemAlone) {
  struct Odd : std::runtime_error {
    using runtime_error::runtime_error;
  };
  const std::vector<int> items = numbers(1000);
  int failed = 0;
  for (auto outcome : pa::stream(
           items,
           [](int x) {
             if (x % 2) throw Odd("odd: " + std::to_string(x));
             return x;
           },
           in_order())) {
    if (outcome.index() % 2 == 0) {
      EXPECT_EQ(outcome.value(), static_cast<int>(outcome.index()));
      continue;
    }
    failed++;
    EXPECT_EQ(outcome.code(), PA_CODE_EXCEPTION);
    EXPECT_EQ(outcome.message(), "odd: " + std::to_string(outcome.index()));
    EXPECT_TRUE(outcome.threw<Odd>());
    EXPECT_THROW(outcome.value(), Odd);
  }
  EXPECT_EQ(failed, 500);
}

TEST(Stream, AnAnswerMayBeAFailure) {
  const std::vector<int> items = numbers(10);
  for (auto outcome : pa::stream(items, [](int x) -> pa::answer<std::string> {
         if (x == 3) return pa::failure(404, "gone");
         return std::to_string(x);
       })) {
    EXPECT_EQ(outcome.ok(), outcome.index() != 3);
    EXPECT_EQ(outcome.code(), outcome.index() == 3 ? 404 : 0);
  }
}

TEST(Stream, WhatEarlierAttemptsThrewIsForgotten) {
  const std::vector<int> items = numbers(50);
  pa::options options = attempts(3);
  options.ordered = true;
  for (auto outcome : pa::stream(
           items,
           [](int x, pa::call&call) -> pa::answer<int> {
             if (call.attempt() < 3) throw std::runtime_error("again");
             if (x == 7) return pa::failure(1, "at last");
             return x;
           },
           options)) {
    EXPECT_EQ(outcome.attempts(), 3u);
    EXPECT_EQ(outcome.exception(), nullptr);
    EXPECT_EQ(outcome.message(), outcome.index() == 7 ? "at last" : "");
  }
}

TEST(Stream, OfAFunctionWithoutResult) {
  std::atomic<int> sum{0};
  const std::vector<int> items = numbers(100);
  for (auto outcome : pa::stream(items, [&](int x) { sum += x; })) outcome.value();
  EXPECT_EQ(sum, 4950);
}

// ------------------------------------------------------------------ ranges

TEST(Stream, TheFunctionGetsTheElementsThemselves) {
  std::vector<int> items = numbers(1000);
  for (auto outcome : pa::stream(items, [](int& x) { x *= 2; })) EXPECT_TRUE(outcome.ok());
  for (int i = 0; i < 1000; i++) ASSERT_EQ(items[static_cast<std::size_t>(i)], 2 * i);

  std::list<Counted> list;
  for (int i = 0; i < 100; i++) list.emplace_back(i);
  for (auto outcome : pa::stream(list, [](Counted& x) { return &x; }))
    EXPECT_EQ(outcome.value()->number, int(outcome.index()));
}

TEST(Stream, ARangeMayBeMovedIn) {
  auto sum = [](auto&& stream) {
    int total = 0;
    for (auto outcome : stream) total += outcome.value();
    return total;
  };
  EXPECT_EQ(sum(pa::stream(numbers(100), [](int x) { return x; })), 4950);
  EXPECT_EQ(sum(pa::stream(std::array<int, 3>{1, 2, 3}, [](int x) { return x; })), 6);
  EXPECT_EQ(sum(pa::stream(std::set<int>{1, 2, 3}, [](int x) { return x; })), 6);
  EXPECT_EQ(sum(pa::stream(std::forward_list<int>{1, 2, 3}, [](int x) { return x; })), 6);
  EXPECT_EQ(sum(pa::stream(std::vector<bool>{true, false, true}, [](bool x) { return int{x}; })), 2);
  std::vector<std::unique_ptr<int>> pointers;
  pointers.push_back(std::make_unique<int>(5));
  EXPECT_EQ(sum(pa::stream(std::move(pointers), [](const std::unique_ptr<int>& x) { return *x; })), 5);
}

TEST(Stream, ItemsOfASinglePassRangeAreKeptUntilTheyAreDone) {
  std::istringstream text("one two three four");
  const pa::subrange words{std::istream_iterator<std::string>(text), std::istream_iterator<std::string>()};
  std::vector<std::string> got;
  for (auto outcome : pa::stream(
           words, [](std::string& word) { return std::move(word) + "!"; }, in_order()))
    got.push_back(std::move(outcome.value()));
  EXPECT_EQ(got, (std::vector<std::string>{"one!", "two!", "three!", "four!"}));
}

TEST(Stream, ARangeIsWalkedNoFurtherThanTheWindow) {
  std::atomic<int> walked{0};
  pa::options options = in_order();
  options.window = 10;
  auto stream = pa::stream(
      Generator(walked), [](int x) { return x; }, options);
  for (int i = 0; i < 1000; i++) {
    const auto outcome = stream.next();
    ASSERT_EQ(outcome->value(), i);
    ASSERT_LT(walked, i + 10);  // the index of the last one that may have been asked for is i + 9
  }
  stream.close();
  const int at_the_end = walked;
  EXPECT_FALSE(stream.next());
  EXPECT_EQ(walked, at_the_end);
}

TEST(Stream, ASinglePassRangeIsNotWalkedAheadOfWhatIsThere) {
  Event release;
  struct Blocking {  // 0, and nothing more until it is released
    struct iterator {
      using iterator_category = std::input_iterator_tag;
      using value_type = int;
      using difference_type = std::ptrdiff_t;
      using pointer = const int*;
      using reference = int;
      int operator*() const { return at; }
      iterator& operator++() {
        release->wait();
        at++;
        return *this;
      }
      void operator++(int) { ++*this; }
      bool operator==(const iterator& other) const { return at == other.at; }
      bool operator!=(const iterator& other) const { return at != other.at; }
      Event* release;
      int at;
    };
    iterator begin() const { return {release, 0}; }
    iterator end() const { return {release, 3}; }
    Event* release;
  };
  auto stream = pa::stream(
      Blocking{&release}, [](int x) { return x; }, in_order());
  EXPECT_EQ(stream.next()->value(), 0);
  release.set();
  EXPECT_EQ(stream.next()->value(), 1);
}

TEST(Stream, TheTotalIsTheSizeOfTheRangeWhereItHasOne) {
  std::uint64_t last_done = 0, last_total = 0;
  pa::options options;
  options.on_progress = [&](std::uint64_t done, std::uint64_t total) {
    EXPECT_EQ(total, 100u);
    last_done = done;
    last_total = total;
  };
  auto stream = pa::stream(
      numbers(100), [](int x) { return x; }, options);
  while (stream.next()) continue;
  EXPECT_EQ(last_done, 100u);
  EXPECT_EQ(last_total, 100u);
}

TEST(Stream, IsAnInputRange) {
  const std::vector<int> items = numbers(10);
  auto stream = pa::stream(
      items, [](int x) { return x; }, in_order());
  EXPECT_EQ(std::count_if(stream.begin(), stream.end(), [](const auto& outcome) { return outcome.value() % 2 == 0; }), 5);
  static_assert(!std::is_copy_constructible_v<decltype(stream)>);
#if defined(PA_TEST_VIEWS)
  static_assert(std::ranges::input_range<decltype(stream)>);
#endif
}

#if defined(PA_TEST_VIEWS)
TEST(Stream, TakesViewsThatMakeTheirElements) {
  int made = 0;
  auto squares = std::views::iota(0) | std::views::transform([&](int x) {
                   made++;
                   return std::to_string(x * x);
                 });
  pa::options options = in_order();
  options.window = 10;
  auto stream = pa::stream(
      squares, [](std::string& text) { return std::move(text); }, options);
  for (int i = 0; i < 100; i++) ASSERT_EQ(stream.next()->value(), std::to_string(i * i));
  stream.close();
  EXPECT_LE(made, 109);
}
#endif

// ------------------------------------------------------------------ sources and batches

TEST(Stream, OfASource) {
  int next = 0;
  std::uint64_t expected = 0;
  for (auto outcome : pa::stream_source([&] { return next < 1000 ? std::optional<int>(next++) : std::nullopt; },
                                        [](int x) { return Counted(x); }, in_order())) {
    ASSERT_EQ(outcome.value().number, static_cast<int>(expected));
    expected++;
  }
  EXPECT_EQ(expected, 1000u);
}

TEST(Stream, OfASourceThatGivesMany) {
  int calls = 0, sum = 0;
  for (auto outcome :
       pa::stream_source([&] { return calls++ < 10 ? numbers(100) : std::vector<int>(); }, [](int x) { return x; }))
    sum += outcome.value();
  EXPECT_EQ(sum, 10 * 4950);
}

TEST(Stream, WhatASourceThrowsComesAfterWhatWasDone) {
  struct Broken : std::runtime_error {
    using runtime_error::runtime_error;
  };
  int next = 0;
  auto stream = pa::stream_source(
      [&]() -> std::optional<int> {
        if (next == 10) throw Broken("no more");
        return next++;
      },
      [](int x) { return x; }, in_order());
  for (int i = 0; i < 10; i++) ASSERT_EQ(stream.next()->value(), i);
  EXPECT_THROW(stream.next(), Broken);
  EXPECT_THROW(stream.next(), Broken);
  EXPECT_THROW(stream.check(), Broken);
  EXPECT_EQ(stream.ended(), pa::ending::failed);
}

TEST(Stream, OfBatches) {
  pa::options options = in_order();
  options.batch.max_items = 10;
  auto stream = pa::stream_batch(
      numbers(95),
      [](auto items) {
        std::vector<pa::answer<std::string>> answers;
        for (const int x : items)
          if (x == 42)
            answers.push_back(pa::failure(42, "no"));
          else
            answers.push_back(std::to_string(x));
        return answers;
      },
      options);
  std::uint64_t expected = 0;
  for (auto outcome : stream) {
    ASSERT_EQ(outcome.index(), expected++);
    ASSERT_EQ(outcome.ok(), outcome.index() != 42);
    EXPECT_TRUE(!outcome.ok() || outcome.value() == std::to_string(outcome.index()));
  }
  EXPECT_EQ(expected, 95u);
  EXPECT_EQ(stream.batch_size(), 10u);
}

TEST(Stream, OfBatchesOfASource) {
  int next = 0;
  int sum = 0;
  for (auto outcome : pa::stream_batch_source([&] { return next < 100 ? std::optional<int>(next++) : std::nullopt; },
                                              [](auto items) { return std::vector<int>(items.begin(), items.end()); }))
    sum += outcome.value();
  EXPECT_EQ(sum, 4950);
}

// ------------------------------------------------------------------ options

TEST(Stream, KeysNameOutcomes) {
  for (auto outcome : pa::stream(
           numbers(10), [](int x) { return x; }, in_order(), [](int x) { return "key " + std::to_string(x); })) {
    const pa_key& key = outcome.key();
    EXPECT_EQ(std::string(static_cast<const char*>(key.data), key.size), "key " + std::to_string(outcome.index()));
  }
}

TEST(Stream, ALimiterPacesIt) {
  pa::options options;
  options.rate = {1, std::chrono::hours(1), 10};
  auto stream = pa::stream(
      numbers(100), [](int x) { return x; }, options);
  for (int i = 0; i < 10; i++) EXPECT_TRUE(stream.next());
  EXPECT_FALSE(stream.next_for(std::chrono::milliseconds(1)));
}

TEST(Stream, WorkersAreStartedAndStopped) {
  std::atomic<int> started{0}, stopped{0};
  pa::options options;
  options.workers = 3;
  options.worker_start = [&] { started++; };
  options.worker_stop = [&] { stopped++; };
  auto stream = pa::stream(
      numbers(100),
      [&](int) {
        EXPECT_GT(started, stopped);
        return 0;
      },
      options);
  while (stream.next()) continue;
  stream.close();
  EXPECT_GE(started, 1);
  EXPECT_EQ(started, stopped);

  options.worker_start = [] { throw std::logic_error("no"); };
  auto failing = pa::stream(
      numbers(100), [](int x) { return x; }, options);
  EXPECT_THROW(failing.next(), std::logic_error);
}

TEST(Stream, OnResultSeesEachValueBeforeItIsHandedOut) {
  std::vector<int> small;
  std::vector<std::string> large;
  pa::options options = in_order();
  options.on_result = [&](const pa::item& item) { small.push_back(item.value<int>()); };
  auto first = pa::stream(
      numbers(10), [](int x) { return x; }, options);
  options.on_result = [&](const pa::item& item) { large.push_back(item.value<std::string>()); };
  auto second = pa::stream(
      numbers(10), [](int x) { return std::to_string(x); }, options);
  for (std::size_t i = 0; i < 10; i++) {
    const int number = static_cast<int>(i);
    EXPECT_EQ(first.next()->value(), number);
    EXPECT_EQ(second.next()->value(), std::to_string(i));
    ASSERT_EQ(small.size(), i + 1);
    EXPECT_EQ(small.back(), number);
    EXPECT_EQ(large.back(), std::to_string(i));
  }
}

TEST(Stream, WhatACallbackThrowsComesAfterWhatWasDone) {
  pa::options options = in_order();
  options.on_result = [](const pa::item& item) {
    if (item.index() == 5) throw std::domain_error("not this one");
  };
  auto stream = pa::stream(
      numbers(100), [](int x) { return std::to_string(x); }, options);
  int came = 0;
  const auto walk = [&] {
    for (auto outcome : stream) came += outcome.ok();
  };
  EXPECT_THROW(walk(), std::domain_error);
  EXPECT_GE(came, 6);
  EXPECT_EQ(stream.ended(), pa::ending::failed);
}

TEST(Stream, WrongOptionsAreRefusedBeforeAnythingRuns) {
  std::atomic<int> walked{0};
  pa::options options;
  options.retry.attempts = 0;
  const pa::error error = error_of([&] {
    (void)pa::stream(
        Generator(walked), [](int x) { return x; }, options);
  });
  EXPECT_EQ(error.status(), PA_STATUS_INVALID);
  EXPECT_EQ(walked, 0);
}

TEST(Stream, InlinedItRunsOnTheCallingThread) {
  const auto me = std::this_thread::get_id();
  std::uint64_t expected = 0;
  for (auto outcome : pa::stream(
           numbers(100), [](int) { return std::this_thread::get_id(); }, inlined())) {
    EXPECT_EQ(outcome.value(), me);
    EXPECT_EQ(outcome.index(), expected++);
  }
  EXPECT_EQ(expected, 100u);
}

// ------------------------------------------------------------------ waiting

TEST(Stream, AnOutcomeMayBeWaitedForOnlySoLong) {
  Event release;
  auto stream = pa::stream(numbers(1), [&](int x) {
    release.wait();
    return x;
  });
  EXPECT_FALSE(stream.next_for(std::chrono::milliseconds(1)));
  EXPECT_FALSE(stream.ended());
  release.set();
  EXPECT_EQ(stream.next_for(std::chrono::hours(1))->value(), 0);
  EXPECT_FALSE(stream.next_for(std::chrono::hours(1)));
  EXPECT_EQ(stream.ended(), pa::ending::completed);
}

TEST(Stream, ADescriptorIsReadableWhenNextWouldNotWait) {
  auto stream = pa::stream(numbers(1000), [](int x) { return std::to_string(x); });
  pollfd readable = {stream.fd(), POLLIN, 0};
  int came = 0;
  while (!stream.ended()) {
    ASSERT_EQ(poll(&readable, 1, -1), 1);
    while (const auto outcome = stream.next_for(std::chrono::nanoseconds(0))) {
      EXPECT_EQ(outcome->value(), std::to_string(outcome->index()));
      came++;
    }
  }
  EXPECT_EQ(came, 1000);
}

// ------------------------------------------------------------------ ends

TEST(Stream, AStopEndsIt) {
  std::atomic<int> walked{0};
  pa::options options = in_order();
  options.stop.emplace();
  auto stream = pa::stream(
      Generator(walked), [](int x) { return x; }, options);
  ASSERT_TRUE(stream.next());
  options.stop->request();
  while (stream.next()) continue;
  EXPECT_EQ(stream.ended(), pa::ending::cancelled);
  EXPECT_EQ(error_of([&] { stream.check(); }).status(), PA_STATUS_CANCELLED);
}

TEST(Stream, WithoutTimeItHandsOutNothing) {
  pa::options options;
  options.timeout = std::chrono::nanoseconds(0);
  auto stream = pa::stream(
      numbers(10), [](int x) { return x; }, options);
  EXPECT_FALSE(stream.next());
  EXPECT_EQ(error_of([&] { stream.check(); }).status(), PA_STATUS_TIMED_OUT);
}

TEST(Stream, MaxErrorsEndsIt) {
  std::atomic<int> walked{0};
  pa::options options = in_order();
  options.max_errors = 3;
  int failed = 0;
  auto stream = pa::stream(
      Generator(walked), [](int) { throw std::runtime_error("never"); }, options);
  for (auto outcome : stream) failed += !outcome.ok();
  EXPECT_EQ(failed, 3);
  EXPECT_EQ(stream.ended(), pa::ending::aborted);
  EXPECT_EQ(error_of([&] { stream.check(); }).status(), PA_STATUS_ABORTED);
}

using StreamLifetime = CountedTest;

TEST_F(StreamLifetime, AValueGoesWhenTheNextIsAskedForAndMayBeMovedOut) {
  std::vector<Counted> kept;
  auto stream = pa::stream(
      numbers(10), [](int x) { return Counted(x); }, in_order(1));
  for (auto outcome : stream)
    if (outcome.index() % 2) kept.push_back(std::move(outcome.value()));
  EXPECT_EQ(Counted::living(), 5);
  EXPECT_EQ(kept[4].number, 9);
}

TEST_F(StreamLifetime, ClosingInTheMidstReleasesWhatWasNotHandedOut) {
  std::vector<Counted> items;
  for (int i = 0; i < 1000; i++) items.emplace_back(i);
  {
    auto stream = pa::stream(std::move(items), [](const Counted& x) { return Counted(x.number); });
    for (int i = 0; i < 10; i++) ASSERT_TRUE(stream.next());
    stream.close();
    EXPECT_EQ(Counted::living(), 0);  // the range, too, is gone
  }
  int next = 0;
  auto stream = pa::stream_source([&] { return std::optional<Counted>(std::in_place, next++); },
                                  [](Counted& x) { return std::move(x); });
  for (int i = 0; i < 10; i++) ASSERT_TRUE(stream.next());
}

TEST_F(StreamLifetime, AStreamMayBeMoved) {
  auto first = pa::stream(
      numbers(1000), [](int x) { return Counted(x); }, in_order());
  for (int i = 0; i < 10; i++) ASSERT_EQ(first.next()->value().number, i);
  auto second = std::move(first);
  EXPECT_FALSE(first.next());
  for (int i = 10; i < 20; i++) ASSERT_EQ(second.next()->value().number, i);
  first = std::move(second);
  for (int i = 20; i < 30; i++) ASSERT_EQ(first.next()->value().number, i);
  first = pa::stream(numbers(5), [](int x) { return Counted(x); });
  while (first.next()) continue;
}

TEST_F(StreamLifetime, WhatWasThrownIsKeptNoLongerThanItsOutcome) {
  struct Thrown {
    std::shared_ptr<Counted> counted = std::make_shared<Counted>();
  };
  std::atomic<int> walked{0};
  pa::options options = in_order();
  options.window = 10;
  auto stream = pa::stream(
      Generator(walked), [](int) -> int { throw Thrown(); }, options);
  for (int i = 0; i < 1000; i++) {
    ASSERT_TRUE(stream.next()->threw<Thrown>());
    ASSERT_LE(Counted::living(), 11);
  }
}

TEST_F(StreamLifetime, DetachedItIsClosedWhileACallIsRunning) {
  Event started, release, quiescent;
  pa::options options;
  options.detach = true;
  options.on_quiescent = [&] { quiescent.set(); };
  {
    auto stream = pa::stream(
        numbers(1),
        [&](int x) {
          started.set();
          release.wait();
          return Counted(x);
        },
        options);
    started.wait();
  }
  release.set();
  quiescent.wait();
  EXPECT_TRUE(pa::drain());
}

}  // namespace
