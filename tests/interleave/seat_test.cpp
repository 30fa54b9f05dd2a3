// Handing a task to a thread that waits for it: whatever overlaps, one of the two has it.
#include "core/drivers/seat.hpp"

#include <gtest/gtest.h>

#include <string>

#include "explorer.hpp"

namespace pa::interleave {
namespace {

struct Task {
  int done = 0;
  int kept = 0;  // by whoever offered it
};

class SeatProgram : public Program {
 public:
  void finish() override {
    for (const Task& task : tasks_)
      if (task.done + task.kept != 1) fail("a task was done or kept " + std::to_string(task.done + task.kept) + " times");
  }

 protected:
  void serve(int looks) {
    const bool seated = seat_.sit();
    Task* task = nullptr;
    for (int i = 0; seated && !task && i < looks; i++) task = seat_.offered();
    if (seated && !task) task = seat_.stand();
    if (task) task->done++;
  }
  void offer(Task& task) {
    if (!seat_.offer(task)) task.kept++;
  }
  void offer_and_withdraw(Task& task) {
    if (!seat_.offer(task) || seat_.take_back(task)) task.kept++;
  }

  Seat<Task> seat_;
  Task tasks_[2];
};

struct OneServesOneOffers : SeatProgram {
  OneServesOneOffers() {
    fiber([this] { serve(2); });
    fiber([this] { offer(tasks_[0]); });
    tasks_[1].kept = 1;
  }
};

TEST(Seat, ATaskThatIsAcceptedIsDone) {
  const Report report = explore<OneServesOneOffers>(4);
  EXPECT_EQ("", report.failure);
  EXPECT_GT(report.schedules, 10u);
}

struct TwoServeTwoOffer : SeatProgram {
  TwoServeTwoOffer() {
    fiber([this] { serve(1); });
    fiber([this] { serve(1); });
    fiber([this] { offer_and_withdraw(tasks_[0]); });
    fiber([this] { offer(tasks_[1]); });
  }
};

TEST(Seat, WithdrawingAndStandingUpLoseNothing) {
  const Report report = explore<TwoServeTwoOffer>(3);
  EXPECT_EQ("", report.failure);
  EXPECT_GT(report.schedules, 100u);
}

}  // namespace
}  // namespace pa::interleave
