// Worker processes, as a run of the C ABI sees them: what its threads have in common, and the worker behind each of them.
#pragma once
#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "capi/src/tasks.hpp"
#include "core/job.hpp"
#include "core/process/child.hpp"

namespace pa {

class Record;

class Workforce {
 public:
  // The options have been checked. Throws std::bad_alloc.
  Workforce(const Task& task, const pa_process& options, bool batch);

  const Task task;           // a copy: a detached run may go on when the process exits, and the registry goes
  const Task* const origin;  // of it
  const bool batch;
  const pa_process options;  // its pointers are not looked at any more
  const process::Kind kind;
  std::optional<std::string> context;

  // The item has cost a worker: may it cost another one?
  bool may_crash_again(uint64_t index) noexcept;
  void item_was_done() noexcept {
    if (losses_.load(std::memory_order_relaxed)) losses_.store(0, std::memory_order_relaxed);
  }
  // How many workers died since an item was done.
  uint64_t worker_was_lost() noexcept { return losses_.fetch_add(1, std::memory_order_relaxed) + 1; }
  // Nobody knows which of `items` made a worker write garbage: they are run one by one.
  void be_careful(uint64_t items) noexcept { suspects_.fetch_add(items, std::memory_order_relaxed); }
  bool must_be_careful() noexcept {
    uint64_t left = suspects_.load(std::memory_order_relaxed);
    while (left && !suspects_.compare_exchange_weak(left, left - 1, std::memory_order_relaxed)) {
    }
    return left != 0;
  }
  // Room for values that stay with the run, until that is gone. nullptr: there is none.
  char* make_room(size_t size) noexcept;
  // How many in a row have not even come to serve.
  std::atomic<uint32_t> false_starts{0};

 private:
  std::atomic<uint64_t> losses_{0};
  std::atomic<uint64_t> suspects_{0};
  std::mutex mutex_;
  std::unordered_map<uint64_t, uint32_t> crashes_;
  std::vector<std::unique_ptr<char[]>> rooms_;
};

// What the worker says about one item.
struct RemoteAnswer {
  enum Kind { value, failure, garbage } kind = garbage;
  const char* data = nullptr;  // of a value, nullptr for none; of a failure its message
  size_t size = 0;
  int32_t code = 0;
  nanos server_wait_ns = -1;
  bool late = false;
};

// The worker process behind one thread.
class Remote {
 public:
  Remote(Record& run, Workforce& workforce) : run_(run), workforce_(workforce) {}
  ~Remote() { let_go(); }
  Remote(const Remote&) = delete;
  Remote& operator=(const Remote&) = delete;

  // Is there a worker that can run items at once? Takes one that waits.
  bool is_ready() noexcept;
  // Starts one, or tells one that waits what this run needs. False: the run has ended.
  bool start() noexcept;
  // The worker may serve other runs.
  void let_go() noexcept;

  // Sends the first items of the lease, and returns how many: not all, where there is no room or one can't be encoded. 0: the
  // first of them is such a one; `code` says why.
  uint64_t send(const Lease& lease, int32_t& code) noexcept;
  // Waits until the worker has run them, or died, or was killed because an item took too long; or, if that takes a while, until
  // more than `known` of them are finished.
  struct Report {
    bool over = true;
    uint64_t finished = 0;  // so many have an answer
    bool running = false;   // the worker died in the one after them
    bool dead = false;
    bool timed_out = false;               // it was killed for that
    std::optional<process::Death> death;  // of its own
  };
  Report wait(uint64_t known) noexcept;
  // Waits likewise for a request whose answers nobody wants any more.
  void await_end(Report& report) noexcept;
  // The next item's answer. Good until the next call.
  RemoteAnswer next() noexcept;
  // The value that the answer holds, to stay with the run. nullptr: the bytes are none, or there is no memory.
  void* keep(const RemoteAnswer& answer) noexcept;
  // The worker wrote what can't be.
  Report give_up_mad() noexcept;
  // A worker was lost: ends the run if it was one too many.
  void count_loss(const char* how) noexcept;

 private:
  bool is_begun() const noexcept;
  bool is_worn() const noexcept { return workforce_.options.max_items && child_->items_run >= workforce_.options.max_items; }
  bool begin(bool& lost);  // throws std::bad_alloc
  process::Child::State wait_until(nanos deadline) noexcept;
  bool fail_start(const char* why) noexcept;
  nanos start_of(const process::Child::Progress& progress, nanos now) const noexcept;

  Record& run_;
  Workforce& workforce_;
  std::unique_ptr<process::Child> child_;
  bool ready_ = false;
  // Room for values.
  char* room_ = nullptr;
  size_t room_left_ = 0;
  // The request that is under way.
  uint64_t sent_ = 0;
  nanos sent_at_ = 0;
  bool recalled_ = false;
  bool stopped_ = false;
};

// In words: "was killed by signal 11 (SEGV)".
std::string describe(const process::Death& death);
// As an item's code.
int32_t code_of(const process::Death& death) noexcept;

}  // namespace pa
