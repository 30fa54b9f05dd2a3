// pa::map: which ranges, functions and results it takes.
#include <array>
#include <deque>
#include <iterator>
#include <list>
#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <thread>

#include "support.hpp"

// clang can't read the views of GCC's library before its version 16.
#if defined(__cpp_lib_ranges) && !(defined(__clang__) && __clang_major__ < 16)
#define HAS_VIEWS
#include <ranges>
#include <span>
#endif

namespace {

const auto square = [](int x) { return x * x; };
const std::vector<int> squares{0, 1, 4, 9};

template <class Range>
std::vector<int> squares_of(Range&& range) {
  return pa::map(std::forward<Range>(range), square).values();
}

TEST(Map, ValuesComeInInputOrder) {
  const auto items = numbers(10'000);
  const auto result = pa::map(items, square);
  EXPECT_TRUE(result.ok());
  EXPECT_EQ(result.ended(), pa::ending::completed);
  ASSERT_EQ(result.size(), items.size());
  for (std::size_t i = 0; i < items.size(); i++) ASSERT_EQ(result.values()[i], square(items[i]));
}

TEST(Map, TakesContiguousRanges) {
  std::vector<int> vector{0, 1, 2, 3};
  int array[] = {0, 1, 2, 3};
  EXPECT_EQ(squares_of(vector), squares);
  EXPECT_EQ(squares_of(std::as_const(vector)), squares);
  EXPECT_EQ(squares_of(std::vector<int>{0, 1, 2, 3}), squares);
  EXPECT_EQ(squares_of(std::array<int, 4>{0, 1, 2, 3}), squares);
  EXPECT_EQ(squares_of(array), squares);
  EXPECT_EQ(squares_of(std::initializer_list<int>{0, 1, 2, 3}), squares);
  EXPECT_EQ(squares_of(pa::subrange(array, array + 4)), squares);
  EXPECT_EQ(squares_of(pa::view<int>(array, 4)), squares);
}

TEST(Map, TakesRandomAccessRanges) {
  std::deque<int> deque{0, 1, 2, 3};
  EXPECT_EQ(squares_of(deque), squares);
  EXPECT_EQ(squares_of(std::as_const(deque)), squares);
  EXPECT_EQ(squares_of(pa::subrange(deque.cbegin(), deque.cend())), squares);
  EXPECT_EQ(squares_of(std::vector<bool>{false, true}), (std::vector<int>{0, 1}));
}

TEST(Map, TakesForwardRanges) {
  std::list<int> list{0, 1, 2, 3};
  EXPECT_EQ(squares_of(list), squares);
  EXPECT_EQ(squares_of(std::as_const(list)), squares);
  EXPECT_EQ(squares_of(std::set<int>{3, 2, 1, 0}), squares);
  std::map<int, std::string> names{{1, "one"}, {2, "three"}};
  const auto lengths = pa::map(names, [](std::pair<const int, std::string>& entry) { return entry.second.size(); });
  EXPECT_EQ(lengths.values()[1], 5u);
}

TEST(Map, TakesRangesThatCanBeReadOnce) {
  std::istringstream text("0 1 2 3");
  EXPECT_EQ(squares_of(pa::subrange(std::istream_iterator<int>(text), std::istream_iterator<int>())), squares);
}

#ifdef HAS_VIEWS
TEST(Map, TakesViews) {
  std::vector<int> vector{0, 1, 2, 3};
  EXPECT_EQ(squares_of(std::span<int>(vector)), squares);
  EXPECT_EQ(squares_of(std::views::iota(0, 4)), squares);
  EXPECT_EQ(squares_of(std::views::iota(0) | std::views::take(4)), squares);
  EXPECT_EQ(squares_of(vector | std::views::transform([](int x) { return -x; })), squares);
  EXPECT_EQ(squares_of(vector | std::views::filter([](int x) { return x < 2; })), (std::vector<int>{0, 1}));
}
#endif

TEST(Map, OfNothingIsOk) {
  const auto result = pa::map(std::vector<int>{}, square);
  EXPECT_TRUE(result.ok());
  EXPECT_TRUE(result.empty());
  EXPECT_TRUE(result.values().empty());
  EXPECT_EQ(result.begin(), result.end());
}

TEST(Map, HandsOutTheElementsThemselves) {
  std::vector<std::unique_ptr<int>> vector(10);
  std::list<std::unique_ptr<int>> list(10);
  const auto address = [](std::unique_ptr<int>& item) { return &item; };
  const auto in_vector = pa::map(vector, address);
  const auto in_list = pa::map(list, address);
  std::size_t i = 0;
  for (auto& item : vector) EXPECT_EQ(in_vector.values()[i++], &item);
  i = 0;
  for (auto& item : list) EXPECT_EQ(in_list.values()[i++], &item);
}

TEST(Map, MayChangeTheElements) {
  auto items = numbers(1000);
  EXPECT_TRUE(pa::map(items, [](int& x) { x = -x; }).ok());
  for (int i = 0; i < 1000; i++) ASSERT_EQ(items[static_cast<std::size_t>(i)], -i);
}

TEST(Map, KeepsARangeThatIsMovedIn) {
  auto text = std::make_shared<std::string>("text");
  std::vector<std::shared_ptr<std::string>> items{text};
  const auto result = pa::map(std::move(items), [](const std::shared_ptr<std::string>& item) { return item.use_count(); });
  EXPECT_EQ(result.values()[0], 2);
  EXPECT_EQ(text.use_count(), 1) << "the range should be gone when map returns, though the result is still there";
}

TEST(Map, TakesWhateverCanBeInvoked) {
  struct Page {
    int size;
    int twice() const { return 2 * size; }
  };
  const std::vector<Page> pages{{1}, {2}};
  EXPECT_EQ(pa::map(pages, &Page::size).values(), (std::vector<int>{1, 2}));
  EXPECT_EQ(pa::map(pages, &Page::twice).values(), (std::vector<int>{2, 4}));
  EXPECT_EQ(pa::map(numbers(2), [unique = std::make_unique<int>(7)](int x) { return x + *unique; }).values(),
            (std::vector<int>{7, 8}));
}

TEST(Map, DoesNotCopyAFunctionThatIsReferredTo) {
  struct Summing {
    std::atomic<int> sum{0};
    void operator()(int x) { sum += x; }
  } summing;
  EXPECT_TRUE(pa::map(numbers(100), std::ref(summing)).ok());
  EXPECT_EQ(summing.sum, 4950);
}

TEST(Map, LetsTheFunctionAskAboutItsCall) {
  const auto items = numbers(1000);
  const auto result = pa::map(items, [](int x, pa::call& call) {
    EXPECT_EQ(call.index(), static_cast<std::uint64_t>(x));
    EXPECT_EQ(call.attempt(), 1u);
    EXPECT_FALSE(call.stopped());
    EXPECT_FALSE(call.remaining());
    return call.index();
  });
  for (std::size_t i = 0; i < items.size(); i++) ASSERT_EQ(result.values()[i], i);
}

TEST(Map, OfAFunctionWithoutResult) {
  std::atomic<int> calls{0};
  const auto result = pa::map(numbers(1000), [&](int) { calls++; });
  static_assert(std::is_same_v<decltype(result.values()), void>);
  result.values();
  EXPECT_TRUE(result.ok());
  EXPECT_EQ(calls, 1000);
}

TEST(Map, CopiesWhatAReferenceRefersTo) {
  const std::vector<std::string> items{"a", "b"};
  auto result = pa::map(items, [](const std::string& item) -> const std::string& { return item; });
  static_assert(std::is_same_v<decltype(result), pa::result<std::string>>);
  EXPECT_EQ(result.values()[1], "b");
  EXPECT_NE(&result.values()[1], &items[1]);
}

TEST(Map, MovesResultsOut) {
  auto result = pa::map(numbers(100), [](int x) { return std::make_unique<int>(x); });
  const std::unique_ptr<int> taken = std::move(result.values()[3]);
  EXPECT_EQ(*taken, 3);
  const std::vector<std::unique_ptr<int>> rest = std::move(result).values();
  EXPECT_EQ(rest[3], nullptr);
  EXPECT_EQ(*rest[99], 99);
}

TEST(Map, MakesResultsInPlaceThatCannotMove) {
  struct Pinned {
    explicit Pinned(int number) : self(this), number(number) {}
    Pinned(Pinned&&) = delete;
    Pinned* self;
    int number;
  };
  const auto result = pa::map(numbers(1000), [](int x) { return Pinned(x); });
  int expected = 0;
  for (const Pinned& pinned : result.values()) {
    ASSERT_EQ(pinned.self, &pinned);
    ASSERT_EQ(pinned.number, expected++);
  }
}

TEST(Map, ResultsMayBeOverAligned) {
  struct alignas(128) Wide {
    int number;
  };
  const auto result = pa::map(numbers(100), [](int x) { return Wide{x}; });
  for (const Wide& wide : result.values()) ASSERT_EQ(reinterpret_cast<std::uintptr_t>(&wide) % 128, 0u);
}

TEST(Map, ResultsMayBeBooleans) {
  const std::vector<bool> odd = pa::map(numbers(4), [](int x) { return x % 2 == 1; }).values();
  EXPECT_EQ(odd, (std::vector<bool>{false, true, false, true}));
}

TEST(Map, ResultsLargerThanAHugePageAreWhole) {
  const auto items = numbers(2'000'000);
  const auto result = pa::map(items, [](int x) { return std::uint64_t(x) + 1; });
  std::uint64_t sum = 0;
  for (const std::uint64_t value : result.values()) sum += value;
  EXPECT_EQ(sum, 2'000'000ull * 2'000'001 / 2);
}

TEST(Map, ValuesAreARandomAccessRange) {
  auto result = pa::map(numbers(10), square);
  auto values = result.values();
  EXPECT_EQ(values.end() - values.begin(), 10);
  EXPECT_EQ(values.begin()[3], 9);
  EXPECT_EQ(*(values.end() - 1), 81);
  ASSERT_NE(values.data(), nullptr);
  EXPECT_EQ(&values[3], values.data() + 3);
  std::reverse(values.begin(), values.end());
  EXPECT_EQ(result.values()[0], 81);
  static_assert(std::is_same_v<decltype(std::as_const(result).values()[0]), const int&>);
#ifdef HAS_VIEWS
  static_assert(std::ranges::random_access_range<decltype(values)>);
  static_assert(std::ranges::random_access_range<decltype(result)>);
#endif
}

TEST(Map, OutcomesCanBeWalked) {
  auto result = pa::map(numbers(10), square);
  std::uint64_t index = 0;
  for (auto outcome : result) {
    EXPECT_EQ(outcome.index(), index);
    EXPECT_EQ(outcome.state(), pa::item_state::ok);
    EXPECT_EQ(outcome.code(), 0);
    EXPECT_EQ(outcome.message(), "");
    EXPECT_EQ(outcome.attempts(), 1u);
    EXPECT_GE(outcome.duration().count(), 0);
    EXPECT_EQ(outcome.key().kind, PA_KEY_NONE);
    EXPECT_EQ(outcome.exception(), nullptr);
    outcome.value() += 1;
    index++;
  }
  EXPECT_EQ(index, 10u);
  EXPECT_EQ(std::as_const(result)[3].value(), 10);
  EXPECT_TRUE(result.failures().empty());
}

TEST(Map, InlinedRunsOnTheCallingThreadInInputOrder) {
  std::vector<int> seen;
  const auto caller = std::this_thread::get_id();
  const auto result = pa::map(
      numbers(100),
      [&](int x) {
        EXPECT_EQ(std::this_thread::get_id(), caller);
        seen.push_back(x);
      },
      inlined());
  EXPECT_TRUE(result.ok());
  EXPECT_EQ(seen, numbers(100));
}

TEST(Map, MayBeNested) {
  pa::options options;
  options.workers = 4;
  const auto result = pa::map(
      numbers(20),
      [&](int x) {
        int sum = 0;
        for (const int y : pa::map(
                               numbers(20), [x](int y) { return x * y; }, options)
                               .values())
          sum += y;
        return sum;
      },
      options);
  for (int x = 0; x < 20; x++) EXPECT_EQ(result.values()[static_cast<std::size_t>(x)], x * 190);
}

using MapLifetime = CountedTest;

TEST_F(MapLifetime, ValuesGoWithTheResult) {
  auto result = pa::map(numbers(1000), [](int x) { return Counted(x); });
  EXPECT_EQ(Counted::living(), 1000);
  auto moved = std::move(result);
  EXPECT_EQ(moved.values()[7].number, 7);
  moved = pa::map(numbers(10), [](int x) { return Counted(x); });
  EXPECT_EQ(moved.values()[7].number, 7);
}

TEST_F(MapLifetime, ValuesMovedOutAreNotDestroyedTwice) {
  const std::vector<Counted> values = pa::map(numbers(1000), [](int x) { return Counted(x); }).values();
  EXPECT_EQ(Counted::living(), 1000);
  EXPECT_EQ(values[999].number, 999);
}

TEST_F(MapLifetime, TheFunctionGoesWithTheRun) {
  auto captured = std::make_shared<int>(0);
  const std::weak_ptr<int> alive = captured;
  const auto result = pa::map(numbers(10), [captured = std::move(captured)](int x) { return x + *captured; });
  EXPECT_TRUE(alive.expired());
  EXPECT_EQ(result.values()[9], 9);
}

}  // namespace
