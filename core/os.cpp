#include "os.hpp"

#include <dlfcn.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

namespace pa::os {

nanos now() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return nanos{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

// ---------------------------------------------------------------------------------------------------------- futex

void futex_wait(std::atomic<uint32_t>& word, uint32_t seen, nanos now, nanos until) noexcept {
  if (until <= now) return;
  const nanos wait = until - now;
  const timespec relative{static_cast<time_t>(wait / 1'000'000'000), static_cast<long>(wait % 1'000'000'000)};
  syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word), FUTEX_WAIT_PRIVATE, seen, until == kNever ? nullptr : &relative,
          nullptr, 0);
}

// Only for the sleep itself: the slack is the thread's, and the user's own sleeps are none of our business.
void futex_wait_precisely(std::atomic<uint32_t>& word, uint32_t seen, nanos now, nanos until) noexcept {
  const int slack = prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0);
  prctl(PR_SET_TIMERSLACK, 1UL, 0, 0, 0);
  futex_wait(word, seen, now, until);
  prctl(PR_SET_TIMERSLACK, slack > 0 ? static_cast<unsigned long>(slack) : 0UL, 0, 0, 0);
}

uint32_t futex_wake(std::atomic<uint32_t>& word, uint32_t count) noexcept {
  const int saved = errno;
  const long woken = syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word), FUTEX_WAKE_PRIVATE,
                             std::min<uint32_t>(count, INT_MAX), nullptr, nullptr, 0);
  errno = saved;
  return woken > 0 ? static_cast<uint32_t>(woken) : 0;
}

void futex_wait_shared(const std::atomic<uint32_t>& word, uint32_t seen) noexcept {
  const timespec a_second{1, 0};
  syscall(SYS_futex, reinterpret_cast<const uint32_t*>(&word), FUTEX_WAIT, seen, &a_second, nullptr, 0);
}

void futex_wake_shared(const std::atomic<uint32_t>& word) noexcept {
  syscall(SYS_futex, reinterpret_cast<const uint32_t*>(&word), FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

void nap(nanos time) noexcept {
  const timespec relative{0, static_cast<long>(time)};
  nanosleep(&relative, nullptr);
}

// ---------------------------------------------------------------------------------------------------------- CPUs

namespace {

bool read_file(const std::string& path, char* text, size_t size) {
  const std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(path.c_str(), "re"), std::fclose);
  if (!file) return false;
  const size_t got = std::fread(text, 1, size - 1, file.get());
  text[got] = '\0';
  return got != 0;
}

uint32_t quota_cpus(double quota, double period) {
  return quota > 0 && period > 0 ? std::max(1u, static_cast<uint32_t>((quota + period - 1) / period)) : 0;
}

// The smallest quota of a cgroup and of those above it.
template <class Read>
uint32_t tightest(std::string path, Read read) {
  uint32_t cpus = 0;
  for (;;) {
    if (const uint32_t here = read(path)) cpus = cpus ? std::min(cpus, here) : here;
    const size_t slash = path.rfind('/');
    if (path.empty() || slash == std::string::npos) return cpus;
    path.resize(slash);
  }
}

uint32_t cgroup_v2_cpus(const std::string& root, const std::string& path) {
  return tightest(path, [&](const std::string& group) -> uint32_t {
    char text[64];
    double quota = 0, period = 0;
    if (!read_file(root + "/sys/fs/cgroup" + group + "/cpu.max", text, sizeof text)) return 0;
    return std::sscanf(text, "%lf %lf", &quota, &period) == 2 ? quota_cpus(quota, period) : 0;  // "max 100000": no quota
  });
}

uint32_t cgroup_v1_cpus(const std::string& root, const std::string& path) {
  return tightest(path, [&](const std::string& group) -> uint32_t {
    char quota[32], period[32];
    const std::string folder = root + "/sys/fs/cgroup/cpu" + group;
    if (!read_file(folder + "/cpu.cfs_quota_us", quota, sizeof quota)) return 0;
    if (!read_file(folder + "/cpu.cfs_period_us", period, sizeof period)) return 0;
    return quota_cpus(std::atof(quota), std::atof(period));
  });
}

bool names_cpu(const char* controllers, const char* end) {
  for (const char* name = controllers; name < end;) {
    const char* comma = std::find(name, end, ',');
    if (comma - name == 3 && std::memcmp(name, "cpu", 3) == 0) return true;
    name = comma == end ? end : comma + 1;
  }
  return false;
}

}  // namespace

uint32_t cgroup_cpus(const char* root) {
  char groups[4096];
  if (!read_file(std::string(root) + "/proc/self/cgroup", groups, sizeof groups)) return 0;
  uint32_t cpus = 0;
  for (char* line = groups; line && *line;) {  // "0::/path" is version 2, "4:cpu,cpuacct:/path" version 1
    char* end = std::strchr(line, '\n');
    if (end) *end = '\0';
    const char* controllers = std::strchr(line, ':');
    const char* path = controllers ? std::strchr(controllers + 1, ':') : nullptr;
    if (path) {
      const bool v2 = path == controllers + 1;
      const std::string group = std::strcmp(path + 1, "/") == 0 ? "" : path + 1;
      uint32_t here = 0;
      if (v2)
        here = cgroup_v2_cpus(root, group);
      else if (names_cpu(controllers + 1, path))
        here = cgroup_v1_cpus(root, group);
      if (here) cpus = cpus ? std::min(cpus, here) : here;
    }
    line = end ? end + 1 : nullptr;
  }
  return cpus;
}

uint32_t usable_cpus() {
  static const uint32_t cpus = [] {
    uint32_t count = 0;
    for (size_t size = 1024; size <= 1u << 20 && !count; size *= 2) {  // a machine may have more CPUs than a cpu_set_t holds
      const std::unique_ptr<cpu_set_t, void (*)(cpu_set_t*)> set(CPU_ALLOC(size), [](cpu_set_t* s) { CPU_FREE(s); });
      if (!set) break;
      if (sched_getaffinity(0, CPU_ALLOC_SIZE(size), set.get()) == 0)
        count = static_cast<uint32_t>(CPU_COUNT_S(CPU_ALLOC_SIZE(size), set.get()));
      else if (errno != EINVAL)
        break;
    }
    count = std::max(1u, count);
    try {
      if (const uint32_t quota = cgroup_cpus("")) count = std::min(count, quota);
    } catch (const std::bad_alloc&) {  // the affinity alone, then
    }
    return count;
  }();
  return cpus;
}

int current_cpu() noexcept { return sched_getcpu(); }

void move_off_cpu(int cpu) noexcept {
  cpu_set_t allowed;
  if (cpu < 0 || cpu >= CPU_SETSIZE || sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
  cpu_set_t others = allowed;
  CPU_CLR(cpu, &others);
  if (CPU_COUNT(&others) == 0 || sched_setaffinity(0, sizeof others, &others) != 0) return;
  sched_setaffinity(0, sizeof allowed, &allowed);
}

// ---------------------------------------------------------------------------------------------------------- fork

namespace {
std::atomic<uint32_t> generation{0};
// Registered with this library as its owner: dlclose takes it back.
const int at_fork = pthread_atfork(nullptr, nullptr, [] { generation.fetch_add(1, std::memory_order_relaxed); });
}  // namespace

uint32_t fork_generation() noexcept {
  (void)at_fork;
  return generation.load(std::memory_order_relaxed);
}

// ---------------------------------------------------------------------------------------------------------- threads

namespace {
struct Start {
  void (*body)(void*);
  void* argument;
};
}  // namespace

bool start_thread(void (*body)(void*), void* argument, ThreadHandle& handle) noexcept {
  auto* start = static_cast<Start*>(std::malloc(sizeof(Start)));
  if (!start) {
    errno = ENOMEM;
    return false;
  }
  *start = {body, argument};
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  const int error = pthread_create(
      &thread, nullptr,
      [](void* given) -> void* {
        const Start mine = *static_cast<Start*>(given);
        std::free(given);
        mine.body(mine.argument);
        return nullptr;
      },
      start);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (error) {
    std::free(start);
    errno = error;
    return false;
  }
  handle = thread;
  return true;
}

void join_thread(ThreadHandle handle) noexcept { pthread_join(handle, nullptr); }

// ---------------------------------------------------------------------------------------------------------- events

int make_event() noexcept { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }

void set_event(int event) noexcept {
  const int kept = errno;
  eventfd_write(event, 1);  // one that is full is readable, too
  errno = kept;
}

void clear_event(int event) noexcept {
  eventfd_t count;
  eventfd_read(event, &count);
}

void close_event(int event) noexcept { close(event); }

// ---------------------------------------------------------------------------------------------------------- memory

void* pin_library() noexcept {
  Dl_info info;
  if (!dladdr(reinterpret_cast<void*>(&pin_library), &info) || !info.dli_fname) return nullptr;
  return dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
}

void unpin_library(void* pin) noexcept {
  if (pin) dlclose(pin);
}

void* map_pages(uint64_t bytes) noexcept {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  madvise(memory, bytes, MADV_HUGEPAGE);
  return memory;
}

void unmap_pages(void* memory, uint64_t bytes) noexcept {
  if (memory) munmap(memory, bytes);
}

}  // namespace pa::os
