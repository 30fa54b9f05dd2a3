// The worker's end: where requests arrive and answers leave.
#pragma once
#include "core/os.hpp"
#include "core/process/wire.hpp"

namespace pa::process {

class Station {
 public:
  // Was this process started to be a worker? The answer stays the same.
  static bool requested() noexcept;
  // It was, and has not opened its station: it is a program that is about to do its main job for a second time.
  static bool is_stray() noexcept;

  // Takes up what the program has left for this process. False: `problem` says why, and errno.
  bool open(const char*& problem) noexcept;

  // Answers the last request as over, and waits for the next. False: to end.
  bool next(Request& request) noexcept;
  Reader& records() {
    records_.start_at(kItemsAt);
    return records_;
  }
  Writer& answers() { return answers_; }  // starts anew with each request

  void begin_item(uint64_t position) noexcept {
    if (times_) page().started.store(os::now(), std::memory_order_relaxed);
    note_progress(2 * position + 1);
  }
  void end_items(uint64_t count) noexcept { note_progress(2 * count); }

  bool is_recalled() const noexcept { return program().recalled.load(std::memory_order_relaxed) == number_; }
  bool is_stopped() const noexcept { return program().stopped.load(std::memory_order_relaxed) == number_; }
  nanos item_started() const noexcept { return page().started.load(std::memory_order_relaxed); }

 private:
  void note_progress(uint64_t progress) noexcept {
    page().progress.store(uint64_t{number_} << 32 | progress, std::memory_order_release);
  }
  WorkerPage& page() const { return replies_.page<WorkerPage>(); }
  const ProgramPage& program() const { return requests_.page<const ProgramPage>(); }

  Region requests_, replies_;
  Reader records_{requests_};
  Writer answers_{replies_};
  int bell_ = kBellAt;
  uint32_t number_ = 0;
  bool times_ = false;
};

}  // namespace pa::process
