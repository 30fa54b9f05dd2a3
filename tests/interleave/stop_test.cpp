// The listeners of stop tokens and limiters: notify takes no lock, and still no listener is called after remove has
// returned.
#include "core/stop.hpp"

#include <gtest/gtest.h>

#include <deque>

#include "explorer.hpp"

namespace pa::interleave {
namespace {

struct Ear : Listener {
  bool removed = false;
  int heard = 0;
  void notified() noexcept override {
    point();  // a listener takes its time
    if (removed) fail("a listener is called after it was removed");
    heard++;
  }
};

struct NotifyAgainstRemove : Program {
  NotifyAgainstRemove() {
    listeners_.add(ear_);
    listeners_.add(other_);
    fiber([this] { listeners_.notify(); });
    fiber([this] {
      listeners_.remove(ear_);
      ear_.removed = true;
    });
    fiber([this] { listeners_.notify(); });
  }
  void finish() override {
    if (other_.heard != 2) fail("a listener that stayed was not called each time");
  }
  Listeners listeners_;
  Ear ear_, other_;
};

TEST(Listeners, NoneIsCalledAfterItWasRemoved) {
  const Report report = explore<NotifyAgainstRemove>(3);
  EXPECT_EQ("", report.failure);
  EXPECT_GT(report.schedules, 100u);
}

// A run adds itself and then looks: it hears of the stop, or it sees it.
struct RequestAgainstAdd : Program {
  RequestAgainstAdd() {
    fiber([this] { stop_.request(); });
    fiber([this] {
      stop_.listeners().add(ear_);
      saw_ = stop_.requested();
    });
  }
  void finish() override {
    if (!saw_ && !ear_.heard) fail("a stop is neither heard of nor seen");
  }
  StopToken stop_;
  Ear ear_;
  bool saw_ = false;
};

TEST(Listeners, AStopIsHeardOfOrSeen) { EXPECT_EQ("", explore<RequestAgainstAdd>(3).failure); }

// More listeners than one block holds.
struct ManyAgainstNotify : Program {
  ManyAgainstNotify() : ears_(10) {
    for (int i = 0; i < 7; i++) listeners_.add(ears_[i]);
    fiber([this] {
      for (int i = 7; i < 10; i++) listeners_.add(ears_[i]);
    });
    fiber([this] { listeners_.notify(); });
    fiber([this] {
      listeners_.remove(ears_[0]);
      ears_[0].removed = true;
    });
  }
  void finish() override {
    for (int i = 1; i < 7; i++)
      if (ears_[i].heard != 1) fail("a listener missed the call");
  }
  Listeners listeners_;
  std::deque<Ear> ears_;
};

TEST(Listeners, BlocksGrowWhileSomebodyNotifies) { EXPECT_EQ("", explore<ManyAgainstNotify>(2).failure); }

}  // namespace
}  // namespace pa::interleave
