// A fiber: a function with a stack of its own, that is resumed and stands still by turns.
#pragma once
#include <ucontext.h>
#include <functional>
#include <memory>

namespace pa::interleave {

class Fiber {
 public:
  Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  void start(std::function<void()> body);  // from its beginning, at the next resume; whatever it did before is forgotten
  void resume();                           // from outside: until it stands still or has finished
  void stand_still();                      // from inside
  bool finished() const { return finished_; }

 private:
  static void main(unsigned high, unsigned low);

  static constexpr size_t kStackBytes = 128 * 1024;
  std::unique_ptr<char[]> stack_;
  ucontext_t context_{};
  ucontext_t outside_{};
  std::function<void()> body_;
  bool finished_ = true;
};

}  // namespace pa::interleave
