// pa::map_source and pa::map_batch_source: items that are made on demand.
#include <deque>
#include <string>
#include <thread>

#include "support.hpp"

namespace {

// 0, 1, ... count - 1.
auto counter(int count) {
  return [next = 0, count]() mutable { return next < count ? std::optional<int>(next++) : std::nullopt; };
}

TEST(Source, ItemsAreNumberedAsTheyWereDelivered) {
  auto result = pa::map_source(counter(10'000), [](int x, pa::call& call) {
    EXPECT_EQ(call.index(), static_cast<std::uint64_t>(x));
    return std::to_string(x);
  });
  EXPECT_TRUE(result.ok());
  ASSERT_EQ(result.size(), 10'000u);
  EXPECT_EQ(result.values().data(), nullptr);
  int expected = 0;
  for (const std::string& text : result.values()) ASSERT_EQ(text, std::to_string(expected++));
  const std::vector<std::string> moved = std::move(result).values();
  EXPECT_EQ(moved[9'999], "9999");
}

TEST(Source, MayBeEmpty) {
  EXPECT_TRUE(pa::map_source(counter(0), [](int x) { return x; }).ok());
  EXPECT_TRUE(pa::map_source([] { return std::vector<int>(); }, [](int x) { return x; }).ok());
}

TEST(Source, IsNotAskedAgainAfterItsEnd) {
  int calls = 0;
  const auto result = pa::map_source(
      [&]() -> std::optional<int> {
        EXPECT_LE(++calls, 4);
        return calls <= 3 ? std::optional<int>(calls) : std::nullopt;
      },
      [](int x) { return x; });
  EXPECT_EQ(result.size(), 3u);
  EXPECT_EQ(calls, 4);
}

TEST(Source, MayWaitForItsOwnItems) {
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<int> found{1};
  int open = 1;
  const auto next = [&]() -> std::optional<int> {
    std::unique_lock<std::mutex> lock(mutex);
    changed.wait(lock, [&] { return !found.empty() || open == 0; });
    if (found.empty()) return std::nullopt;
    const int page = found.front();
    found.pop_front();
    return page;
  };
  const auto crawl = [&](int page) {
    const std::lock_guard<std::mutex> lock(mutex);
    for (const int link : {2 * page, 2 * page + 1}) {
      if (link > 100) continue;
      found.push_back(link);
      open++;
    }
    open--;
    changed.notify_all();
    return page;
  };
  const auto result = pa::map_source(next, crawl);
  int sum = 0;
  for (const int page : result.values()) sum += page;
  EXPECT_EQ(sum, 5050);
}

TEST(Source, WhatItThrowsIsThrownAgain) {
  struct Mine : std::runtime_error {
    Mine() : std::runtime_error("the file is broken") {}
  };
  int calls = 0;
  EXPECT_THROW(pa::map_source(
                   [&]() -> std::optional<std::string> {
                     if (++calls == 3) throw Mine();
                     return "x";
                   },
                   [](std::string&) {}),
               Mine);
  EXPECT_EQ(calls, 3);
}

TEST(Source, AnEarlyEndIsPaddedToTheSizeHint) {
  pa::options options = inlined();
  options.max_errors = 1;
  options.size_hint = 10;
  const auto result = pa::map_source(
      counter(10), [](int) -> int { throw std::runtime_error("no"); }, options);
  EXPECT_EQ(result.size(), 10u);
  EXPECT_EQ(result[9].state(), pa::item_state::aborted);
}

TEST(Source, KeysNameItems) {
  const auto result = pa::map_source(
      counter(3), [](int x) { return x; }, {}, [](int x) { return 10 * x; });
  EXPECT_EQ(result[2].key().number, 20);
}

TEST(Source, BatchFunctionsTakeItsItemsByPosition) {
  const auto result = pa::map_batch_source(counter(1000), [](auto& part) {
    std::vector<int> doubled;
    for (const int x : part) doubled.push_back(2 * x);
    return doubled;
  });
  ASSERT_EQ(result.size(), 1000u);
  for (std::size_t i = 0; i < 1000; i++) ASSERT_EQ(result.values()[i], static_cast<int>(2 * i));
}

// The places for values are made by whoever needs one first.
TEST(Source, ThreadsThatNeedAPlaceAtOnceGetTheSame) {
  for (int round = 0; round < 100; round++) {
    pa::detail::slots<int> slots;
    std::atomic<int> waiting{2};
    std::vector<int*> places[2];
    const auto make = [&](std::vector<int*>& mine) {
      for (waiting--; waiting > 0;) std::this_thread::yield();
      for (std::uint64_t index = 0; index < 10'000; index = 2 * index + 64) mine.push_back(slots.make(index));
    };
    std::thread other([&] { make(places[1]); });
    make(places[0]);
    other.join();
    ASSERT_EQ(places[0], places[1]);
  }
}

using SourceLifetime = CountedTest;

TEST_F(SourceLifetime, ItemsGoWhenTheyAreDone) {
  int made = 0;
  const auto result = pa::map_source(
      [&]() -> std::optional<Counted> {
        if (made == 1000) return std::nullopt;
        return Counted(made++);
      },
      [](Counted& item) { return item.number; });
  EXPECT_EQ(Counted::living(), 0);
  EXPECT_EQ(result.values()[999], 999);
}

TEST_F(SourceLifetime, ItemsThatNobodyTookGoToo) {
  pa::options options;
  options.max_errors = 1;
  const auto result = pa::map_source(
      [] {
        std::vector<Counted> chunk;
        for (int i = 0; i < 10'000; i++) chunk.emplace_back(i);
        return chunk;
      },
      [](Counted& item) {
        if (item.number == 5) throw std::runtime_error("five");
      },
      options);
  EXPECT_EQ(result.ended(), pa::ending::aborted);
  EXPECT_EQ(Counted::living(), 0);
}

TEST_F(SourceLifetime, ValuesThatCannotMoveStayWhereTheyWereMade) {
  struct Pinned : Counted {
    explicit Pinned(int number) : Counted(number), self(this) {}
    Pinned(Pinned&&) = delete;
    Pinned* self;
  };
  const auto result = pa::map_source(counter(5000), [](int x) { return Pinned(x); });
  EXPECT_EQ(Counted::living(), 5000);
  for (const Pinned& pinned : result.values()) ASSERT_EQ(pinned.self, &pinned);
}

TEST_F(SourceLifetime, WrongOptionsLeaveTheSourceAlone) {
  auto captured = std::make_shared<Counted>();
  const std::weak_ptr<Counted> alive = captured;
  pa::options options;
  options.rate.count = -1;
  const pa::error error = error_of([&] {
    pa::map_source(
        [captured = std::move(captured)]() -> std::optional<int> {
          ADD_FAILURE() << "the source was asked";
          return 1;
        },
        [](int) {}, options);
  });
  EXPECT_EQ(error.status(), PA_STATUS_INVALID);
  EXPECT_TRUE(alive.expired());
}

}  // namespace
