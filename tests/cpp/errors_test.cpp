// What becomes of exceptions, failures and wrong arguments.
#include <cmath>
#include <limits>
#include <string>
#include <system_error>
#include <thread>

#include "support.hpp"

namespace {

TEST(Errors, AnExceptionFailsItsItemAlone) {
  const auto result = pa::map(numbers(100), [](int x) {
    if (x % 10 == 3) throw std::invalid_argument("bad " + std::to_string(x));
    return x;
  });
  EXPECT_FALSE(result.ok());
  EXPECT_EQ(result.ended(), pa::ending::completed);
  EXPECT_EQ(result.failed(), 10u);
  for (const auto outcome : result) {
    if (outcome.index() % 10 != 3) {
      EXPECT_EQ(outcome.value(), static_cast<int>(outcome.index()));
      continue;
    }
    EXPECT_EQ(outcome.state(), pa::item_state::failed);
    EXPECT_EQ(outcome.code(), PA_CODE_EXCEPTION);
    EXPECT_EQ(outcome.message(), "bad " + std::to_string(outcome.index()));
    EXPECT_THROW(outcome.value(), std::invalid_argument);
    EXPECT_THROW(outcome.rethrow(), std::invalid_argument);
    EXPECT_TRUE(outcome.threw<std::logic_error>());
    EXPECT_FALSE(outcome.threw<std::system_error>());
  }
}

TEST(Errors, TheExceptionItselfIsKept) {
  const auto result =
      pa::map(numbers(1), [](int) -> int { throw std::system_error(ENOENT, std::generic_category(), "open"); });
  try {
    std::rethrow_exception(result[0].exception());
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code().value(), ENOENT);
    return;
  }
  FAIL() << "not the same exception";
}

TEST(Errors, AnythingMayBeThrown) {
  const auto result = pa::map(numbers(1), [](int x) -> int { throw x + 42; });
  EXPECT_EQ(result[0].message(), "an exception that is no std::exception");
  EXPECT_TRUE(result[0].threw<int>());
}

TEST(Errors, AFailureCarriesACode) {
  const auto result = pa::map(numbers(1), [](int) { throw pa::failure(404, "gone"); });
  EXPECT_EQ(result[0].code(), 404);
  EXPECT_EQ(result[0].message(), "gone");
  EXPECT_THROW(result[0].value(), pa::failure);
}

TEST(Errors, AnAnswerFailsWithoutThrowing) {
  const auto result = pa::map(numbers(1000), [](int x) -> pa::answer<std::string> {
    if (x % 2) return pa::failure(x, "odd");
    return std::to_string(x);
  });
  static_assert(std::is_same_v<decltype(result[0].value()), const std::string&>);
  EXPECT_EQ(result.failed(), 500u);
  EXPECT_EQ(result[998].value(), "998");
  EXPECT_EQ(result[7].code(), 7);
  EXPECT_EQ(result[7].message(), "odd");
  EXPECT_EQ(result[7].exception(), nullptr);
  const pa::error error = error_of([&] { result[7].value(); });
  EXPECT_STREQ(error.what(), "item 7: odd");
}

TEST(Errors, AnAnswerMayHaveNoValue) {
  const auto result = pa::map(numbers(2), [](int x) -> pa::answer<void> {
    if (x) return pa::failure(5, "no");
    return {};
  });
  EXPECT_TRUE(result[0].ok());
  EXPECT_EQ(result[1].code(), 5);
}

TEST(Errors, ValuesThrowsWhatFailedInOrderOfIndex) {
  const auto result = pa::map(numbers(10), [](int x) {
    if (x == 3) throw pa::failure(404, "gone");
    if (x == 7) throw std::runtime_error("broken");
    return x;
  });
  try {
    result.values();
    FAIL() << "nothing was thrown";
  } catch (const pa::items_failed& error) {
    EXPECT_EQ(error.status(), PA_STATUS_ITEMS_FAILED);
    EXPECT_NE(std::string(error.what()).find("2 of 10 items failed"), std::string::npos) << error.what();
    ASSERT_EQ(error.failures().size(), 2u);
    EXPECT_EQ(error.failures()[0].index(), 3u);
    EXPECT_EQ(error.failures()[0].code(), 404);
    EXPECT_STREQ(error.failures()[1].what(), "item 7: broken");
    EXPECT_EQ(error.failures()[1].state(), pa::item_state::failed);
    EXPECT_THROW(std::rethrow_exception(error.failures()[1].exception()), std::runtime_error);
  }
  EXPECT_THROW(result.check(), pa::items_failed);
}

TEST(Errors, FailuresAreListedInOrderOfIndex) {
  const auto result = pa::map(numbers(100), [](int x) {
    if (x % 50 == 1) throw std::runtime_error("no");
    return x;
  });
  const auto failures = result.failures();
  ASSERT_EQ(failures.size(), 2u);
  EXPECT_EQ(failures[0].index(), 1u);
  EXPECT_EQ(failures[1].index(), 51u);
}

TEST(Errors, TruncationIsReportedBeforeFailures) {
  pa::options options = inlined();
  options.max_errors = 2;
  const auto result = pa::map(
      numbers(10),
      [](int x) {
        if (x >= 3) throw std::runtime_error("no");
        return x;
      },
      options);
  EXPECT_EQ(result.ended(), pa::ending::aborted);
  EXPECT_EQ(result.size(), 10u);
  EXPECT_EQ(result[2].value(), 2);
  EXPECT_EQ(result[4].state(), pa::item_state::failed);
  EXPECT_EQ(result[5].state(), pa::item_state::aborted);
  EXPECT_EQ(result[5].attempts(), 0u);
  EXPECT_EQ(error_of([&] { result.values(); }).status(), PA_STATUS_ABORTED);
  EXPECT_EQ(error_of([&] { result[5].value(); }).status(), PA_STATUS_ITEMS_FAILED);
}

TEST(Errors, ARunWithoutTimeRunsNothing) {
  pa::options options;
  options.timeout = std::chrono::seconds(0);
  std::atomic<int> calls{0};
  const auto result = pa::map(
      numbers(5),
      [&](int x) {
        calls++;
        return x;
      },
      options);
  EXPECT_EQ(calls, 0);
  EXPECT_EQ(result.ended(), pa::ending::timed_out);
  EXPECT_EQ(result.size(), 5u);
  EXPECT_EQ(result[4].state(), pa::item_state::timed_out);
  EXPECT_EQ(error_of([&] { result.values(); }).status(), PA_STATUS_TIMED_OUT);
}

// Wrong options are reported before the function runs, and leave nothing behind.
void expect_invalid(const pa::options& options, const std::string& field) {
  auto captured = std::make_shared<int>(0);
  const std::weak_ptr<int> alive = captured;
  const pa::error error = error_of([&] {
    pa::map(
        numbers(3), [captured = std::move(captured)](int) { ADD_FAILURE() << "the function ran"; }, options);
  });
  EXPECT_EQ(error.status(), PA_STATUS_INVALID);
  EXPECT_NE(std::string(error.what()).find(field), std::string::npos) << error.what();
  EXPECT_TRUE(alive.expired());
}

TEST(Errors, WrongOptionsAreReportedBeforeAnyWork) {
  pa::options options;
  options.rate.count = std::nan("");
  expect_invalid(options, "rate.count");
  options = {};
  options.rate.count = -std::numeric_limits<double>::infinity();
  expect_invalid(options, "rate.count");
  options = {};
  options.workers = PA_WORKERS_MAX + 1;
  expect_invalid(options, "workers");
  options = {};
  options.retry.attempts = 0;
  expect_invalid(options, "retry.attempts");
  options = {};
  options.retry.max_server_wait = std::chrono::nanoseconds(-1);
  expect_invalid(options, "max_server_wait");
}

TEST(Errors, ANegativeTimeIsNotTakenForNone) {
  pa::options options;
  options.timeout = std::chrono::nanoseconds(-1);
  expect_invalid(options, "timeout_ns");
  options = {};
  options.item_timeout = std::chrono::nanoseconds(-1);
  expect_invalid(options, "item_timeout_ns");
}

TEST(Errors, AnIndexBeyondTheEndIsInvalid) {
  const auto result = pa::map(numbers(3), [](int x) { return x; });
  EXPECT_EQ(error_of([&] { result[3]; }).status(), PA_STATUS_INVALID);
}

TEST(Errors, AValueOfAnotherTypeIsInvalid) {
  const auto result = pa::map(numbers(1), [](int x) { return x; });
  const pa::item item = result[0];
  EXPECT_EQ(item.value<int>(), 0);
  EXPECT_EQ(item.value<const int>(), 0);
  EXPECT_EQ(error_of([&] { item.value<long>(); }).status(), PA_STATUS_INVALID);
}

TEST(Errors, WhatEarlierAttemptsThrewIsDroppedOnSuccess) {
  auto captured = std::make_shared<int>(0);
  struct Error : std::runtime_error {
    explicit Error(std::shared_ptr<int> kept) : std::runtime_error("not yet"), kept(std::move(kept)) {}
    std::shared_ptr<int> kept;
  };
  const auto result = pa::map(
      numbers(5),
      [&](int x, pa::call& call) {
        if (call.attempt() < 3) throw Error(captured);
        return x;
      },
      attempts(3));
  EXPECT_TRUE(result.ok());
  EXPECT_EQ(result[4].attempts(), 3u);
  EXPECT_EQ(result[4].exception(), nullptr);
  EXPECT_EQ(captured.use_count(), 1);
}

TEST(Errors, AnAnswerReplacesWhatTheEarlierAttemptThrew) {
  const auto result = pa::map(
      numbers(1),
      [](int, pa::call& call) -> pa::answer<int> {
        if (call.attempt() == 1) throw std::runtime_error("first");
        return pa::failure(2, "second");
      },
      attempts(2));
  EXPECT_EQ(result[0].message(), "second");
  EXPECT_EQ(result[0].exception(), nullptr);
}

using ErrorsLifetime = CountedTest;

TEST_F(ErrorsLifetime, NothingIsLeftOfFailedAttempts) {
  const auto result = pa::map(
      numbers(1000),
      [](int x, pa::call& call) {
        Counted value(x);
        if (x % 3 == 0 && call.attempt() < 2) throw std::runtime_error("again");
        if (x % 3 == 1) throw std::runtime_error("never");
        return value;
      },
      attempts(2));
  EXPECT_EQ(result.failed(), 333u);
  EXPECT_EQ(Counted::living(), 667);
}

// libpa keeps its storage for the next run, and does not clean it.
TEST_F(ErrorsLifetime, WhatAnotherRunLeftBehindIsNotTakenForAValue) {
  std::vector<void*> items(1000, &items);
  pa_result* other = nullptr;
  const pa_fn keep_item = [](void*, void* item, void** value, pa_call*) {
    *value = item;
    return std::int32_t{0};
  };
  ASSERT_EQ(pa_map(keep_item, nullptr, items.data(), items.size(), nullptr, &other, nullptr), PA_STATUS_OK);
  pa_result_free(other);
  const auto result = pa::map(numbers(1000), [](int x) -> Counted { throw std::runtime_error(std::to_string(x)); });
  EXPECT_EQ(result.failed(), 1000u);
  EXPECT_EQ(Counted::living(), 0);
}

TEST_F(ErrorsLifetime, TheValueOfAnAttemptThatCameTooLateIsDestroyed) {
  pa::options options = attempts(2);
  options.item_timeout = std::chrono::milliseconds(1);
  const auto result = pa::map(
      numbers(4),
      [](int x, pa::call& call) {
        while (!call.stopped()) std::this_thread::yield();
        return Counted(x);
      },
      options);
  EXPECT_EQ(result.failed(), 4u);
  EXPECT_EQ(result[0].state(), pa::item_state::timed_out);
  EXPECT_EQ(result[0].attempts(), 2u);
  EXPECT_EQ(Counted::living(), 0);
}

}  // namespace
