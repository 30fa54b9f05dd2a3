// pa::start: runs in the background.
#include <string>
#include <thread>

#include "support.hpp"

namespace {

TEST(Pending, HandsOutTheResultOnce) {
  const auto items = numbers(1000);
  auto pending = pa::start(items, [](int x) { return std::to_string(x); });
  const pa::result<std::string> result = pending.get();
  EXPECT_EQ(result.values()[999], "999");
  EXPECT_TRUE(pending.ready());
  EXPECT_EQ(error_of([&] { pending.get(); }).status(), PA_STATUS_INVALID);
}

TEST(Pending, RunsWhileTheCallerDoesSomethingElse) {
  Event may_end;
  auto pending = pa::start(numbers(4), [&](int x) {
    may_end.wait();
    return x;
  });
  EXPECT_FALSE(pending.ready());
  EXPECT_FALSE(pending.wait_for(std::chrono::milliseconds(1)));
  may_end.set();
  pending.wait();
  EXPECT_TRUE(pending.wait_for(std::chrono::hours(1)));
  EXPECT_TRUE(pending.get().ok());
}

TEST(Pending, KeepsARangeThatIsMovedInUntilTheEnd) {
  Event may_end;
  auto item = std::make_shared<int>(7);
  const std::weak_ptr<int> alive = item;
  std::vector<std::shared_ptr<int>> items(3, std::move(item));
  auto pending = pa::start(std::move(items), [&](const std::shared_ptr<int>& x) {
    may_end.wait();
    return *x;
  });
  EXPECT_FALSE(alive.expired());
  may_end.set();
  EXPECT_EQ(pending.get().values()[2], 7);
}

TEST(Pending, TakesKeysAndCalls) {
  auto pending = pa::start(
      numbers(10), [](int x, pa::call& call) { return call.index() == static_cast<std::uint64_t>(x); }, {},
      [](int x) { return std::to_string(x); });
  const auto result = pending.get();
  for (const bool same : result.values()) EXPECT_TRUE(same);
  EXPECT_EQ(result[3].key().kind, PA_KEY_STRING);
}

TEST(Pending, ItemsFailAsInMap) {
  auto result = pa::start(numbers(3), [](int x) {
                  if (x == 1) throw std::invalid_argument("one");
                  return x;
                }).get();
  EXPECT_EQ(result.failed(), 1u);
  EXPECT_TRUE(result[1].threw<std::invalid_argument>());
}

TEST(Pending, WhatACallbackThrowsIsThrownByGet) {
  pa::options options;
  options.on_progress = [](std::uint64_t, std::uint64_t) { throw std::range_error("enough"); };
  auto pending = pa::start(
      numbers(10), [](int x) { return x; }, options);
  EXPECT_THROW(pending.get(), std::range_error);
}

TEST(Pending, WrongOptionsAreThrownByStart) {
  pa::options options;
  options.retry.attempts = 0;
  const auto same = [](int x) { return x; };
  EXPECT_EQ(error_of([&] { (void)pa::start(numbers(1), same, options); }).status(), PA_STATUS_INVALID);
}

using PendingLifetime = CountedTest;

TEST_F(PendingLifetime, DestroyingItStopsTheRun) {
  Event running;
  std::atomic<int> calls{0};
  pa::options options;
  options.workers = 1;
  {
    auto pending = pa::start(
        numbers(1000),
        [&](int x, pa::call& call) {
          calls++;
          running.set();
          while (!call.stopped()) std::this_thread::yield();
          return Counted(x);
        },
        options);
    running.wait();
  }
  EXPECT_EQ(calls, 1);
}

TEST_F(PendingLifetime, AResultThatNobodyTookGoesWithIt) {
  auto pending = pa::start(numbers(100), [](int x) { return Counted(x); });
  pending.wait();
  EXPECT_EQ(Counted::living(), 100);
  pending = pa::start(numbers(5), [](int x) { return Counted(x); });
  const auto result = pending.get();
  EXPECT_EQ(result.size(), 5u);
}

}  // namespace
