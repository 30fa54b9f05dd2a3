// pa::map_batch and pa::map_range: functions that take many items at once.
#include <array>
#include <list>
#include <string>
#include <thread>

#include "support.hpp"

#if defined(__cpp_lib_span)
#include <span>
#endif

namespace {

pa::options batches_of(std::uint64_t items) {
  pa::options options = inlined();
  options.batch.max_items = items;
  return options;
}

TEST(Batch, ResultsBelongToItemsByPosition) {
  const auto items = numbers(10'000);
  std::atomic<int> calls{0};
  const auto result = pa::map_batch(items, [&](pa::view<const int> part) {
    calls++;
    std::vector<std::string> texts;
    for (const int x : part) texts.push_back(std::to_string(x));
    return texts;
  });
  EXPECT_TRUE(result.ok());
  for (std::size_t i = 0; i < items.size(); i++) ASSERT_EQ(result.values()[i], std::to_string(items[i]));
  EXPECT_GE(result.batch_size(), 1u);
  EXPECT_LT(calls, 10'000) << "libpa never tried more than one item at a time";
}

TEST(Batch, PartsOfAContiguousRangeAreViewsOfIt) {
  const auto items = numbers(10);
  const auto result = pa::map_batch(
      items,
      [&](pa::view<const int> part, pa::call& call) {
        EXPECT_EQ(part.data(), items.data() + call.index());
        return std::vector<std::size_t>(part.size(), part.size());
      },
      batches_of(4));
  EXPECT_EQ(result.values()[0], 4u);
  EXPECT_EQ(result.values()[9], 2u);
  EXPECT_EQ(result.batch_size(), 4u);
}

TEST(Batch, PartsOfOtherRangesCanBeWalked) {
  std::list<int> items{1, 2, 3, 4, 5};
  const auto result = pa::map_batch(
      items,
      [](auto& part) {
        EXPECT_EQ(part.begin() + static_cast<std::ptrdiff_t>(part.size()), part.end());
        std::vector<int> doubled;
        for (int& x : part) doubled.push_back(2 * x);
        EXPECT_EQ(doubled[0], 2 * part[0]);
        return doubled;
      },
      batches_of(2));
  EXPECT_EQ(result.values()[4], 10);
}

#if defined(__cpp_lib_span)
TEST(Batch, PartsConvertToSpans) {
  const auto result =
      pa::map_batch(numbers(10), [](std::span<const int> part) { return std::vector<int>(part.begin(), part.end()); });
  EXPECT_EQ(result.values()[9], 9);
}
#endif

TEST(Batch, ResultsMayBeAnyRangeOfAnything) {
  const auto moved = pa::map_batch(numbers(3), [](pa::view<int> part) {
    std::list<std::unique_ptr<int>> made;
    for (const int x : part) made.push_back(std::make_unique<int>(x));
    return made;
  });
  EXPECT_EQ(*moved.values()[2], 2);
  const auto booleans = pa::map_batch(numbers(3), [](pa::view<int> part) { return std::vector<bool>(part.size(), true); });
  EXPECT_EQ(booleans.values()[2], true);
  const auto fixed = pa::map_batch(
      numbers(4),
      [](pa::view<int> part) {
        return std::array<int, 2>{part[0], part[1]};
      },
      batches_of(2));
  EXPECT_EQ(fixed.values()[3], 3);
}

TEST(Batch, ItemsWithoutAResultAreUnanswered) {
  const auto result = pa::map_batch(
      numbers(5), [](pa::view<int> part) { return std::vector<int>(part.begin(), part.begin() + 3); }, batches_of(5));
  EXPECT_EQ(result.failed(), 2u);
  EXPECT_EQ(result[2].value(), 2);
  EXPECT_EQ(result[3].code(), PA_CODE_UNANSWERED);
  EXPECT_EQ(result[3].message(), "the batch function returned 3 results for 5 items");
}

TEST(Batch, TooManyResultsFailAllItems) {
  const auto result = pa::map_batch(
      numbers(2), [](pa::view<int>) { return std::vector<int>(3); }, batches_of(2));
  EXPECT_EQ(result.failed(), 2u);
  EXPECT_TRUE(result[0].threw<std::length_error>());
  EXPECT_EQ(result[1].message(), "the batch function returned 3 results for 2 items");
}

TEST(Batch, AnExceptionFailsTheItemsOfItsCall) {
  const auto result = pa::map_batch(
      numbers(6),
      [](pa::view<int> part) {
        if (part[0] == 2) throw std::runtime_error("broken");
        return std::vector<int>(part.begin(), part.end());
      },
      batches_of(2));
  EXPECT_EQ(result.failed(), 2u);
  EXPECT_EQ(result[1].value(), 1);
  EXPECT_TRUE(result[2].threw<std::runtime_error>());
  EXPECT_TRUE(result[3].threw<std::runtime_error>());
  EXPECT_EQ(result[4].value(), 4);
}

TEST(Batch, FailedItemsAreRetriedOneByOne) {
  pa::options options = batches_of(4);
  options.retry = attempts(2).retry;
  std::vector<std::vector<int>> calls;
  const auto result = pa::map_batch(
      numbers(4),
      [&](pa::view<int> part) {
        calls.emplace_back(part.begin(), part.end());
        for (const int x : part)
          if (x == 2) throw std::runtime_error("two spoils it");
        return std::vector<int>(part.begin(), part.end());
      },
      options);
  EXPECT_EQ(result.failed(), 1u);
  EXPECT_EQ(result[2].message(), "two spoils it");
  EXPECT_EQ(result[3].value(), 3);
  EXPECT_EQ(calls, (std::vector<std::vector<int>>{{0, 1, 2, 3}, {0}, {1}, {2}, {3}}));
}

TEST(Batch, AnswersFailSingly) {
  const auto result = pa::map_batch(numbers(100), [](pa::view<int> part) {
    std::vector<pa::answer<std::string>> answers;
    for (const int x : part) {
      if (x == 42)
        answers.push_back(pa::failure(409, "exists already"));
      else
        answers.push_back(std::to_string(x));
    }
    return answers;
  });
  static_assert(std::is_same_v<decltype(result)::value_type, std::string>);
  EXPECT_EQ(result.failed(), 1u);
  EXPECT_EQ(result[42].code(), 409);
  EXPECT_EQ(result[42].message(), "exists already");
  EXPECT_EQ(result[43].value(), "43");
}

TEST(Batch, AFunctionWithoutResultsMayNameItems) {
  const auto result = pa::map_batch(
      numbers(4),
      [](pa::view<int>, pa::batch_call& call) {
        call.ok_at(0);
        call.fail_at(1, pa::failure(7, "seven"));
        throw std::runtime_error("the rest");
      },
      batches_of(4));
  EXPECT_TRUE(result[0].ok());
  EXPECT_EQ(result[1].code(), 7);
  EXPECT_EQ(result[2].message(), "the rest");
  EXPECT_TRUE(pa::map_batch(numbers(100), [](pa::view<int>) {}).ok());
}

TEST(Batch, EachItemOfAFailedCallCountsForMaxErrors) {
  pa::options options;
  options.workers = 1;
  options.batch.max_items = 10;
  options.max_errors = 15;
  const auto result = pa::map_batch(
      numbers(100), [](pa::view<int>) { throw std::runtime_error("broken"); }, options);
  EXPECT_EQ(result.ended(), pa::ending::aborted);
  EXPECT_EQ(result[19].state(), pa::item_state::failed) << "the call that reached the limit keeps its real outcome";
  EXPECT_EQ(result[20].state(), pa::item_state::aborted);
}

TEST(Batch, ACallThatOutranItsTimeHasTimedOut) {
  pa::options options;
  options.batch.max_items = 3;
  options.item_timeout = std::chrono::milliseconds(1);
  const auto result = pa::map_batch(
      numbers(6),
      [](pa::view<int> part, pa::call& call) {
        while (!call.stopped()) std::this_thread::yield();
        return std::vector<int>(part.begin(), part.end());
      },
      options);
  EXPECT_EQ(result.failed(), 6u);
  EXPECT_EQ(result[5].state(), pa::item_state::timed_out);
}

// ------------------------------------------------------------------ slow sources

TEST(Batch, LingersUntilItIsFullOrTheInputEnds) {
  pa::options options;
  options.workers = 2;
  options.batch.max_items = 10;
  options.batch.linger = std::chrono::hours(1);
  std::atomic<int> calls{0};
  const auto result =
      pa::map_batch_source([next = 0]() mutable { return next < 25 ? std::optional<int>(next++) : std::nullopt; },
                           [&](auto&) { calls++; }, options);
  EXPECT_TRUE(result.ok());
  EXPECT_EQ(calls, 3);
}

TEST(Batch, LingersNoLongerThanItShouldWhileTheSourceBlocks) {
  pa::options options;
  options.workers = 1;
  options.batch.max_items = 10;
  options.batch.linger = std::chrono::milliseconds(1);
  Event first_batch;
  int pulls = 0;
  const auto result = pa::map_batch_source(
      [&]() -> std::optional<int> {
        if (++pulls == 1) return 1;
        first_batch.wait();
        return std::nullopt;
      },
      [&](auto& part) {
        EXPECT_EQ(part.size(), 1u);
        first_batch.set();
      },
      options);
  EXPECT_TRUE(result.ok());
}

// ------------------------------------------------------------------ what is left behind

using BatchLifetime = CountedTest;

TEST_F(BatchLifetime, NothingIsLeftOfFailedBatches) {
  pa::options options;
  options.batch.max_items = 7;
  options.retry = attempts(2).retry;
  const auto result = pa::map_batch(
      numbers(1000),
      [](pa::view<int> part, pa::call& call) {
        std::vector<pa::answer<Counted>> answers;
        for (const int x : part) {
          if (x % 5 == 0 && call.attempt() == 1)
            answers.push_back(pa::failure(1, "again"));
          else
            answers.push_back(Counted(x));
          if (x % 50 == 49) break;
        }
        return answers;
      },
      options);
  EXPECT_TRUE(result.ok());
  for (int i = 0; i < 1000; i++) ASSERT_EQ(result[static_cast<std::uint64_t>(i)].value().number, i);
  EXPECT_EQ(Counted::living(), 1000);
}

// ------------------------------------------------------------------ ranges of indices

TEST(Range, CoversEachIndexOnce) {
  std::vector<int> in = numbers(100'000), out(in.size(), -1);
  const auto result = pa::map_range(in.size(), [&](std::uint64_t first, std::uint64_t count) {
    for (std::uint64_t i = first; i < first + count; i++) out[i] = out[i] == -1 ? 2 * in[i] : -2;
  });
  EXPECT_TRUE(result.ok());
  EXPECT_EQ(result.size(), in.size());
  for (std::size_t i = 0; i < in.size(); i++) ASSERT_EQ(out[i], 2 * in[i]);
}

TEST(Range, AnExceptionFailsTheIndicesOfItsCall) {
  std::mutex mutex;
  std::uint64_t failed_first = 0, failed_count = 0;
  const auto result = pa::map_range(100'000, [&](std::uint64_t first, std::uint64_t count) {
    if (first > 5000 || first + count <= 5000) return;
    const std::lock_guard<std::mutex> lock(mutex);
    failed_first = first;
    failed_count = count;
    throw std::range_error("five thousand");
  });
  EXPECT_EQ(result.failed(), failed_count);
  EXPECT_TRUE(result[failed_first].threw<std::range_error>());
  EXPECT_TRUE(result[failed_first + failed_count - 1].threw<std::range_error>());
  EXPECT_EQ(result[5000].message(), "five thousand");
}

TEST(Range, SingleIndicesMayFail) {
  const auto result = pa::map_range(100, [](std::uint64_t first, std::uint64_t count, pa::batch_call& call) {
    if (first <= 42 && 42 < first + count) call.fail_at(42 - first, pa::failure(1, "forty-two"));
  });
  EXPECT_EQ(result.failed(), 1u);
  EXPECT_EQ(result[42].message(), "forty-two");
}

}  // namespace
