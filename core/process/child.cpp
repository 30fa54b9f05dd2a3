#include "core/process/child.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

#include "core/os.hpp"

extern char** environ;

namespace pa::process {
namespace {

constexpr nanos kSpin = 50'000;
// How long a thread stays on a CPU that it shares with its worker.
constexpr nanos kStay = 500'000;

int open_pidfd(pid_t process) noexcept { return static_cast<int>(syscall(SYS_pidfd_open, process, 0)); }

bool wait_for(pid_t process, siginfo_t& info, int options) noexcept {
  int result;
  do {
    result = waitid(P_PID, static_cast<id_t>(process), &info, options);
  } while (result < 0 && errno == EINTR);
  return result == 0;
}

// A descriptor for the shared file, the bell or a pidfd, out of the way of the numbers that the worker finds them at.
int moved_up(int descriptor) noexcept {
  if (descriptor < 0 || descriptor >= kFirstFree) return descriptor;
  const int moved = fcntl(descriptor, F_DUPFD_CLOEXEC, kFirstFree);
  const int why = errno;
  close(descriptor);
  errno = why;
  return moved;
}

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(moved_up(number)) {}
  ~Descriptor() {
    if (number_ >= 0) close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int number() const { return number_; }
  int release() { return std::exchange(number_, -1); }

 private:
  int number_;
};

std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> all;
  all.reserve(strings.size() + 1);
  for (const std::string& string : strings) all.push_back(const_cast<char*>(string.c_str()));
  all.push_back(nullptr);
  return all;
}

std::vector<std::string> environment_of(const Kind& kind) {
  std::vector<std::string> all;
  if (kind.environment)
    all = *kind.environment;
  else
    for (char** entry = environ; entry && *entry; entry++) all.emplace_back(*entry);
  const std::string name = std::string(kVariable) + "=";
  std::erase_if(all, [&](const std::string& entry) { return entry.compare(0, name.size(), name) == 0; });
  all.push_back(name + std::to_string(kProtocol));
  return all;
}

// What posix_spawn is told. Throws std::bad_alloc.
class SpawnPlan {
 public:
  SpawnPlan() {
    check(posix_spawn_file_actions_init(&actions));
    check(posix_spawnattr_init(&attributes));
  }
  ~SpawnPlan() {
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
  }
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;

  // The worker is the head of a process group of its own: Ctrl-C is for the program to handle, and what the worker has started
  // is killed with it. It starts with signals as a program does that was started by hand.
  void set_signals() {
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    check(posix_spawnattr_setsigmask(&attributes, &none));
    check(posix_spawnattr_setsigdefault(&attributes, &all));
    check(posix_spawnattr_setpgroup(&attributes, 0));
    check(posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP));
  }
  void put(int descriptor, int at) { check(posix_spawn_file_actions_adddup2(&actions, descriptor, at)); }
  void set_input_empty() { check(posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)); }
  void close_from(int first) {
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 34)
    check(posix_spawn_file_actions_addclosefrom_np(&actions, first));
#else
    static_cast<void>(first);
#endif
  }
  void change_to(const std::string& directory) {
    if (!directory.empty()) check(posix_spawn_file_actions_addchdir_np(&actions, directory.c_str()));
  }

  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;

 private:
  static void check(int error) {
    if (error) throw std::bad_alloc();
  }
};

}  // namespace

// ---------------------------------------------------------------------------------------------------------- the beginning

std::unique_ptr<Child> Child::start(const Kind& kind) {
  std::unique_ptr<Child> child(new Child(kind));
  uint64_t region_size = 0;
  child->file_ = moved_up(make_shared_file(region_size));
  if (child->file_ < 0) return nullptr;
  if (!child->requests_.map_to_write(child->file_, 0, region_size)) return nullptr;
  if (!child->replies_.map_to_read(child->file_, region_size, region_size)) return nullptr;
  ProgramPage& page = child->page_of_program();
  page.memory_limit = kind.memory_limit;
  page.posted = child->number_;
  return child->spawn() ? std::move(child) : nullptr;
}

bool Child::spawn() {
  Descriptor bell(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  const Descriptor program(open_pidfd(getpid()));
  if (bell.number() < 0 || program.number() < 0) return false;

  SpawnPlan plan;
  plan.set_signals();
  plan.set_input_empty();
  plan.put(file_, kFileAt);
  plan.put(bell.number(), kBellAt);
  plan.put(program.number(), kParentAt);
  plan.close_from(kFirstFree);
  plan.change_to(kind_.directory);

  const bool itself = kind_.command.empty();
  const std::vector<std::string> command = itself ? std::vector<std::string>{program_invocation_name} : kind_.command;
  const std::vector<std::string> environment = environment_of(kind_);
  const std::vector<char*> arguments = pointers(command), variables = pointers(environment);
  pid_t pid = -1;
  const int error =
      itself ? posix_spawn(&pid, "/proc/self/exe", &plan.actions, &plan.attributes, arguments.data(), variables.data())
             : posix_spawnp(&pid, arguments[0], &plan.actions, &plan.attributes, arguments.data(), variables.data());
  if (error) {
    errno = error;
    return false;
  }
  pid_ = pid;
  bell_ = bell.release();
  pidfd_ = open_pidfd(pid);
  if (pidfd_ >= 0) return true;
  const int why = errno;
  kill();
  bury();
  errno = why;
  return false;
}

Child::~Child() {
  if (pid_ > 0 && !buried_) {
    kill();
    bury();
  }
  if (file_ >= 0) close(file_);
  if (bell_ >= 0) close(bell_);
  if (pidfd_ >= 0) close(pidfd_);
}

// ---------------------------------------------------------------------------------------------------------- requests

void Child::post(const Request& request) noexcept {
  std::memcpy(requests_.at(kRequestAt), &request, sizeof request);
  posted_at_ = os::now();
  page_of_program().posted.store(++number_, std::memory_order_seq_cst);
  if (page_of_worker().sleeps.load(std::memory_order_seq_cst)) os::futex_wake_shared(page_of_program().posted);
}

// Two that hand work to and fro on one CPU are slower than on two; the kernel takes milliseconds to part them.
void Child::keep_apart(nanos now) noexcept {
  const int cpu = os::current_cpu();
  if (now < stay_until_ || cpu != page_of_worker().cpu.load(std::memory_order_relaxed)) return;
  stay_until_ = now + kStay;
  os::move_off_cpu(cpu);
}

Child::State Child::wait(nanos now, nanos until) noexcept {
  if (spins_) {
    keep_apart(now);
    for (const nanos give_up = std::min(until, posted_at_ + kSpin); now < give_up; now = os::now()) {
      for (int i = 0; i < 64; i++) {
        if (is_over()) return State::over;
        os::cpu_relax();
      }
      sched_yield();
    }
  }
  State state = State::busy;
  ProgramPage& page = page_of_program();
  page.sleeps.store(1, std::memory_order_seq_cst);
  while (!is_over()) {
    if (now >= until) break;
    pollfd ends[] = {{bell_, POLLIN, 0}, {pidfd_, POLLIN, 0}};
    const nanos wait = until - now;
    const timespec patience{static_cast<time_t>(wait / 1'000'000'000), static_cast<long>(wait % 1'000'000'000)};
    ppoll(ends, 2, until == kNever ? nullptr : &patience, nullptr);
    uint64_t rung;
    if (ends[0].revents) static_cast<void>(!read(bell_, &rung, sizeof rung));
    if (ends[1].revents && !is_over()) {
      state = State::dead;
      break;
    }
    now = os::now();
  }
  page.sleeps.store(0, std::memory_order_relaxed);
  if (is_over()) {
    state = State::over;
    spins_ = os::now() - posted_at_ < kSpin;
  }
  return state;
}

Child::Progress Child::progress() const noexcept {
  const WorkerPage& page = page_of_worker();
  const nanos started = page.started.load(std::memory_order_acquire);
  const uint64_t word = page.progress.load(std::memory_order_acquire);
  if (word >> 32 != number_) return {};  // it has not come to look at the request
  const auto progress = static_cast<uint32_t>(word);
  return {progress / 2, progress % 2 != 0, started};
}

// ---------------------------------------------------------------------------------------------------------- the end

void Child::dismiss() noexcept {
  Request request;
  request.op = Op::quit;
  post(request);
}

void Child::kill() noexcept {
  if (pid_ <= 0 || buried_ || (pidfd_ >= 0 && is_dead())) return;
  ::kill(-pid_, SIGKILL);  // and what it has started
  ::kill(pid_, SIGKILL);   // it may not have come to have a group yet
}

bool Child::is_dead() const noexcept {
  pollfd end{pidfd_, POLLIN, 0};
  return poll(&end, 1, 0) > 0;
}

Death Child::bury() noexcept {
  siginfo_t info{};
  const bool ours = wait_for(pid_, info, WEXITED | WNOWAIT);
  if (ours) {
    ::kill(-pid_, SIGKILL);  // as long as it is not waited for, no other group has this number
    wait_for(pid_, info, WEXITED);
  }
  buried_ = true;
  if (!ours) return {};
  return info.si_code == CLD_EXITED ? Death{Death::exited, info.si_status} : Death{Death::killed, info.si_status};
}

}  // namespace pa::process
