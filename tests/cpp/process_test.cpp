// What concerns the whole process: signals, fork, and the threads of the library.
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>
#include <thread>

#include "support.hpp"

namespace {

// ------------------------------------------------------------------ threads

struct Farewell {
  ~Farewell() {
    if (to) ++*to;
  }
  std::atomic<int>* to = nullptr;
};
thread_local Farewell farewell;

TEST(Drain, EndsTheThreadsOfThePoolAndRunsMayBeStartedAgain) {
  for (int round = 0; round < 2; round++) {
    std::atomic<int> gathered{0}, others{0}, ended{0};
    Event all_here;
    const auto caller = std::this_thread::get_id();
    pa::options options;
    options.workers = 4;
    const auto result = pa::map(
        numbers(4),
        [&](int) {
          if (std::this_thread::get_id() != caller) {
            others++;
            farewell.to = &ended;
          }
          if (++gathered == 4) all_here.set();
          all_here.wait();
        },
        options);
    EXPECT_TRUE(result.ok());
    EXPECT_GE(others, 3);
    EXPECT_TRUE(pa::drain());
    EXPECT_EQ(ended, others);
  }
}

TEST(Drain, SaysWhetherDetachedCallsAreStillRunning) {
  Event running, may_end;
  std::atomic<bool> ended{false};
  pa::options options;
  options.workers = 2;
  options.detach = true;
  options.stop.emplace();
  std::thread stopper([&, stop = *options.stop] {
    running.wait();
    stop.request();
  });
  pa::map(
      numbers(1),
      [&](int) {
        running.set();
        may_end.wait();
        ended = true;
      },
      options);
  stopper.join();
  EXPECT_FALSE(pa::drain(std::chrono::nanoseconds(0)));
  may_end.set();
  EXPECT_TRUE(pa::drain());
  EXPECT_TRUE(ended);
}

// The thread sanitizer does not run a handler while a thread sleeps in the library.
#ifndef __SANITIZE_THREAD__

// ------------------------------------------------------------------ signals

const pa::stop* to_stop = nullptr;
std::atomic<bool> handled_elsewhere{false};
std::thread::id main_thread;

void stop_run(int) {
  if (std::this_thread::get_id() != main_thread) handled_elsewhere = true;
  to_stop->request();
}

TEST(Signals, AHandlerMayStopARunAndNothingIsLost) {
  pa::options options;
  options.workers = 4;
  options.stop.emplace();
  to_stop = &*options.stop;
  main_thread = std::this_thread::get_id();
  const auto before = std::signal(SIGINT, stop_run);
  const auto result = pa::map(
      numbers(1000),
      [](int x, pa::call& call) {
        if (x == 0) kill(getpid(), SIGINT);
        while (!call.stopped()) std::this_thread::yield();
        return x;
      },
      options);
  std::signal(SIGINT, before);
  EXPECT_EQ(result.ended(), pa::ending::cancelled);
  EXPECT_EQ(result.size(), 1000u);
  EXPECT_EQ(result[0].value(), 0) << "what was running when the stop came should keep its outcome";
  for (const auto outcome : result)
    if (!outcome.ok()) {
      ASSERT_EQ(outcome.state(), pa::item_state::cancelled);
    }
  EXPECT_EQ(result[999].state(), pa::item_state::cancelled);
  EXPECT_FALSE(handled_elsewhere);
}

#endif

// A forked child of a sanitized program may find the sanitizer's own allocator locked for ever, by a thread that it hasn't got.
#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)

// ------------------------------------------------------------------ fork

// Whether `check` returned true in a child of this process.
template <class Check>
bool true_in_child(Check&& check) {
  const pid_t child = fork();
  if (child == 0) {
    bool good = false;
    try {
      good = check();
    } catch (...) {
    }
    _exit(good ? 0 : 1);
  }
  int status = 0;
  return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool maps_100() {
  pa::options options;
  options.workers = 4;
  options.limiter = pa::limiter({1e6, std::chrono::seconds(1), 100});
  options.stop.emplace();
  return pa::map(
             numbers(100), [](int x) { return x; }, options)
      .ok();
}

TEST(Fork, NewRunsWorkInAChild) {
  ASSERT_TRUE(maps_100());  // there are threads by now, but not in a child
  EXPECT_TRUE(true_in_child(maps_100));
  EXPECT_TRUE(maps_100());
}

TEST(Fork, WhatWasMadeBeforeSaysSo) {
  pa::options limited, stoppable;
  limited.limiter = pa::limiter({1000, std::chrono::seconds(1), 10});
  stoppable.stop.emplace();
  const auto map_status = [](const pa::options& options) {
    return error_of([&] {
             pa::map(
                 numbers(3), [](int) {}, options);
           })
        .status();
  };
  EXPECT_TRUE(true_in_child([&] {
    return error_of([&] { limited.limiter->try_acquire(); }).status() == PA_STATUS_FORKED &&
           error_of([&] { limited.limiter->pause(std::chrono::seconds(1)); }).status() == PA_STATUS_FORKED &&
           map_status(limited) == PA_STATUS_FORKED && map_status(stoppable) == PA_STATUS_FORKED;
  }));
  EXPECT_FALSE(limited.limiter->try_acquire()) << "the parent's limiter goes on";
}

#endif

}  // namespace
