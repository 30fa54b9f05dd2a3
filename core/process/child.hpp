// A worker process, as the program sees it. One thread at a time has it.
#pragma once
#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/process/wire.hpp"

namespace pa::process {

// What kind of worker: those of one kind may stand in for each other.
struct Kind {
  std::vector<std::string> command;                     // empty: this program itself
  std::optional<std::vector<std::string>> environment;  // none: that of the program
  std::string directory;                                // empty: that of the program
  uint64_t memory_limit = 0;
  bool operator==(const Kind&) const = default;
};

// How a worker has ended.
struct Death {
  enum How { exited, killed, unknown } how = unknown;  // unknown: somebody else has waited for it
  int number = 0;                                      // exit status or signal
};

class Child {
 public:
  // Starts one; it serves when its first request is over. nullptr with errno. Throws std::bad_alloc.
  static std::unique_ptr<Child> start(const Kind& kind);
  ~Child();  // kills it, if need be
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  const Kind& kind() const { return kind_; }

  // ---- a request: write its records, post it, wait until it is over, read the answers
  Writer& records() {
    records_.start_at(kItemsAt);
    return records_;
  }
  void post(const Request& request) noexcept;
  enum class State { over, dead, busy };
  // `busy`: `until` has come.
  State wait(nanos now, nanos until) noexcept;
  void recall() noexcept { page_of_program().recalled.store(number_, std::memory_order_relaxed); }
  void stop() noexcept { page_of_program().stopped.store(number_, std::memory_order_relaxed); }
  void reread_answers() noexcept { answers_.start_at(kAnswersAt); }
  bool next_answer(RecordHead& head, const char*& data) noexcept { return answers_.next(head, data); }

  struct Progress {
    uint64_t finished = 0;
    bool running = false;  // the one after them
    nanos started = 0;     // when
  };
  Progress progress() const noexcept;

  // ---- the end
  // Asks it to end by itself, when it is idle.
  void dismiss() noexcept;
  void kill() noexcept;
  // False: it lives.
  bool is_dead() const noexcept;
  // After kill(), or once it is dead: waits for that.
  Death bury() noexcept;
  int end_descriptor() const { return pidfd_; }  // readable when it is dead

  // Memory that it shares with the program.
  uint64_t footprint() const { return requests_.mapped() + replies_.mapped(); }

  // ---- what the last requests have told it
  std::string begun_task;
  std::optional<std::string> begun_context;
  uint64_t items_run = 0;

 private:
  explicit Child(const Kind& kind) : kind_(kind) {}
  bool spawn();
  ProgramPage& page_of_program() const { return requests_.page<ProgramPage>(); }
  const WorkerPage& page_of_worker() const { return replies_.page<const WorkerPage>(); }
  void keep_apart(nanos now) noexcept;
  bool is_over() const noexcept { return page_of_worker().over.load(std::memory_order_acquire) == number_; }

  const Kind kind_;
  Region requests_, replies_;
  Writer records_{requests_};
  Reader answers_{replies_};
  uint32_t number_ = 1;
  bool spins_ = false;  // the last request was over so soon that it is worth spinning for the next
  nanos posted_at_ = 0;
  nanos stay_until_ = 0;
  int file_ = -1;
  int bell_ = -1;
  int pidfd_ = -1;
  pid_t pid_ = -1;
  bool buried_ = false;
};

}  // namespace pa::process
