#include "core/stop.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <csignal>
#include <memory>
#include <thread>
#include <vector>

namespace pa {
namespace {

struct Ear : Listener {
  std::atomic<int> heard{0};
  void notified() noexcept override { heard.fetch_add(1); }
};

TEST(StopToken, OnceRequestedStaysSo) {
  StopToken stop;
  EXPECT_FALSE(stop.requested());
  stop.request();
  stop.request();
  EXPECT_TRUE(stop.requested());
}

TEST(StopToken, ListenersHearOnce) {
  StopToken stop;
  Ear ear;
  stop.listeners().add(ear);
  stop.request();
  stop.request();
  EXPECT_EQ(ear.heard, 1);
  stop.listeners().remove(ear);
}

TEST(Listeners, WhoeverWasRemovedHearsNothing) {
  Listeners listeners;
  Ear gone, stays;
  listeners.add(gone);
  listeners.add(stays);
  listeners.remove(gone);
  listeners.notify();
  EXPECT_EQ(gone.heard, 0);
  EXPECT_EQ(stays.heard, 1);
  listeners.remove(stays);
}

TEST(Listeners, AnyNumberOfThem) {
  Listeners listeners;
  std::vector<std::unique_ptr<Ear>> ears;
  for (int i = 0; i < 100; i++) {
    ears.push_back(std::make_unique<Ear>());
    listeners.add(*ears.back());
  }
  for (int i = 0; i < 100; i += 3) listeners.remove(*ears[static_cast<size_t>(i)]);
  listeners.notify();
  for (int i = 0; i < 100; i++) EXPECT_EQ(ears[static_cast<size_t>(i)]->heard, i % 3 ? 1 : 0) << i;
}

TEST(Listeners, AFreedPlaceIsUsedAgain) {
  Listeners listeners;
  for (int i = 0; i < 10'000; i++) {
    Ear ear;
    listeners.add(ear);
    listeners.notify();
    ASSERT_EQ(ear.heard, 1);
    listeners.remove(ear);
  }
}

// ---------------------------------------------------------------- signals

StopToken* stop_of_handler = nullptr;

TEST(StopToken, CanBeRequestedInASignalHandler) {
  StopToken stop;
  Ear ear;
  stop.listeners().add(ear);
  stop_of_handler = &stop;
  const auto previous = std::signal(SIGUSR1, [](int) { stop_of_handler->request(); });
  std::raise(SIGUSR1);
  std::signal(SIGUSR1, previous);
  EXPECT_TRUE(stop.requested());
  EXPECT_EQ(ear.heard, 1);
  stop.listeners().remove(ear);
}

Listeners* listeners_of_handler = nullptr;
std::atomic<int> handled{0};

// A signal may land anywhere, in a thread that holds the lock of add and remove as well.
TEST(Listeners, ASignalMayLandInsideAddAndRemove) {
  constexpr int kSignals = 200;
  Listeners listeners;
  Ear stays;
  listeners.add(stays);
  listeners_of_handler = &listeners;
  handled = 0;
  const auto previous = std::signal(SIGUSR1, [](int) {
    listeners_of_handler->notify();
    handled.fetch_add(1);
  });
  std::atomic<bool> done{false};
  std::thread busy([&] {
    while (!done) {
      Ear ear;
      listeners.add(ear);
      listeners.remove(ear);
    }
  });
  for (int sent = 0; sent < kSignals; sent++) {
    EXPECT_EQ(pthread_kill(busy.native_handle(), SIGUSR1), 0);
    while (handled <= sent) std::this_thread::yield();
  }
  done = true;
  busy.join();
  std::signal(SIGUSR1, previous);
  EXPECT_EQ(stays.heard, kSignals);
  listeners.remove(stays);
}

// After remove has returned, the listener may be destroyed: no notify may still be using it.
TEST(Listeners, RemoveWaitsForThoseWhoNotify) {
  Listeners listeners;
  std::atomic<bool> done{false};
  std::thread notifier([&] {
    while (!done) listeners.notify();
  });
  for (int i = 0; i < 2'000; i++) {
    auto ear = std::make_unique<Ear>();
    listeners.add(*ear);
    listeners.remove(*ear);
  }
  done = true;
  notifier.join();
}

}  // namespace
}  // namespace pa
