#include "core/process/station.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace pa::process {
namespace {

constexpr nanos kSpin = 50'000;

std::atomic<bool> opened{false};
int program_at = kParentAt;  // where its pidfd is

// The program is gone, be it that it was killed: nobody wants the worker's answers, or what it has started.
void end_with_program(void*) {
  pollfd end{program_at, POLLIN, 0};
  while (poll(&end, 1, -1) < 0 && errno == EINTR) {
  }
  kill(0, SIGKILL);
}

// What the variable said; 0: it was not there. Whatever this process starts by itself is no worker: the variable goes.
int protocol() noexcept {
  static const int protocol = [] {
    const char* value = std::getenv(kVariable);
    const int number = value ? std::max(1, std::atoi(value)) : 0;
    if (value) unsetenv(kVariable);
    return number;
  }();
  return protocol;
}

int moved_up(int descriptor) noexcept {
  const int moved = fcntl(descriptor, F_DUPFD_CLOEXEC, kKeptFrom);
  if (moved < 0) return descriptor;  // so many are not allowed
  close(descriptor);
  return moved;
}

}  // namespace

bool Station::requested() noexcept { return protocol() != 0; }

bool Station::is_stray() noexcept { return requested() && !opened; }

bool Station::open(const char*& problem) noexcept {
  errno = 0;
  problem = "this process was not started to be a worker";
  if (!requested() || opened) return false;
  problem = "the program speaks another protocol: it has a libpa of another version";
  if (protocol() != kProtocol) return false;
  problem = "the descriptors that the program has left are not there";
  struct stat file {};
  for (const int descriptor : {kFileAt, kBellAt, kParentAt})
    if (fcntl(descriptor, F_SETFD, FD_CLOEXEC) < 0) return false;
  if (fstat(kFileAt, &file) < 0) return false;
  const uint64_t region_size = static_cast<uint64_t>(file.st_size) / 2;
  problem = "the memory that the program has left can't be mapped";
  if (!requests_.map_to_write(kFileAt, 0, region_size)) return false;  // an item may be changed where it lies
  if (!replies_.map_to_write(kFileAt, region_size, region_size)) return false;
  close(kFileAt);
  bell_ = moved_up(kBellAt);
  if (const uint64_t bytes = program().memory_limit) {
    problem = "the memory limit can't be set";
    const rlimit limit{bytes, bytes};
    if (setrlimit(RLIMIT_DATA, &limit) < 0) return false;
  }
  problem = "the thread that watches over the program can't be started";
  program_at = moved_up(kParentAt);
  os::ThreadHandle watcher;
  if (!os::start_thread(end_with_program, nullptr, watcher)) return false;
  number_ = program().posted.load(std::memory_order_acquire);
  opened = true;
  return true;
}

bool Station::next(Request& request) noexcept {
  WorkerPage& mine = page();
  mine.over.store(number_, std::memory_order_seq_cst);
  if (program().sleeps.load(std::memory_order_seq_cst)) os::set_event(bell_);

  const std::atomic<uint32_t>& posted = program().posted;
  const auto nothing_new = [&] { return posted.load(std::memory_order_seq_cst) == number_; };
  for (const nanos give_up = os::now() + kSpin; nothing_new() && os::now() < give_up; sched_yield())
    for (int i = 0; i < 64 && nothing_new(); i++) os::cpu_relax();
  if (nothing_new()) {
    mine.sleeps.store(1, std::memory_order_seq_cst);
    while (nothing_new()) os::futex_wait_shared(posted, number_);
    mine.sleeps.store(0, std::memory_order_relaxed);
  }

  number_ = posted.load(std::memory_order_acquire);
  std::memcpy(&request, requests_.at(kRequestAt), sizeof request);
  times_ = request.item_timeout != kNever;
  mine.cpu.store(os::current_cpu(), std::memory_order_relaxed);
  note_progress(0);
  answers_.start_at(kAnswersAt);
  return request.op != Op::quit;
}

}  // namespace pa::process
