// Worker processes against the pools of Python, and against shared memory by hand: an echo of 64 bytes.
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include "run_pa.hpp"

namespace bench {
namespace {

constexpr size_t kSize = 64;
const char* const kPools[] = {"multiprocessing", "futures", "loky"};

int32_t echo(void*, void* item, void** value, pa_call* call) {
  *value = std::malloc(kSize);
  if (!*value) return pa_call_fail(call, 1, "no memory");
  std::memcpy(*value, item, kSize);
  return 0;
}

// Before main: this program is its own worker.
const bool served = [] {
  pa_task task;
  pa_error error{};
  pa_task_init(&task, sizeof task);
  task.fn = echo;
  pa_codec_struct(&task.item, kSize);
  pa_codec_struct(&task.value, kSize);
  if (pa_task_register("echo", &task, &error)) fail(error.message);
  if (pa_worker_requested()) _exit(pa_worker_serve(nullptr) != PA_STATUS_OK);
  return true;
}();

// Python, to be asked line by line.
class Python {
 public:
  Python() {
    int ask[2], answer[2];
    require(pipe2(ask, O_CLOEXEC) == 0 && pipe2(answer, O_CLOEXEC) == 0, "pipe");
    process_ = fork();
    if (process_ == 0) {
      dup2(ask[0], STDIN_FILENO);
      dup2(answer[1], STDOUT_FILENO);
      execl(PA_BENCH_PYTHON, PA_BENCH_PYTHON, PA_BENCH_POOL_PEER, static_cast<char*>(nullptr));
      _exit(127);
    }
    close(ask[0]);
    close(answer[1]);
    questions_ = fdopen(ask[1], "w");
    answers_ = fdopen(answer[0], "r");
  }
  ~Python() {
    fclose(questions_);
    fclose(answers_);
    waitpid(process_, nullptr, 0);
  }
  Python(const Python&) = delete;
  Python& operator=(const Python&) = delete;

  double ask(const std::string& question) {
    fprintf(questions_, "%s\n", question.c_str());
    fflush(questions_);
    double answer = 0;
    require(fscanf(answers_, "%lf", &answer) == 1, "Python did not answer");
    return answer;
  }

 private:
  pid_t process_;
  FILE* questions_;
  FILE* answers_;
};

// The transport by hand: a child on shared memory, which copies what it is given; both ends spin.
class BareChild {
 public:
  static constexpr size_t kMost = 16'384;

  BareChild() {
    void* memory = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    require(memory != MAP_FAILED, "mmap");
    shared_ = new (memory) Shared;
    process_ = fork();
    if (process_ == 0) serve();
  }
  ~BareChild() {
    kill(process_, SIGKILL);
    waitpid(process_, nullptr, 0);
    munmap(shared_, sizeof(Shared));
  }
  BareChild(const BareChild&) = delete;
  BareChild& operator=(const BareChild&) = delete;

  void echo(const char* in, char* out, size_t count) {
    std::memcpy(shared_->in, in, count * kSize);
    shared_->count = count;
    const uint32_t number = shared_->asked.load(std::memory_order_relaxed) + 1;
    shared_->asked.store(number, std::memory_order_release);
    wait(shared_->answered, number);
    std::memcpy(out, shared_->out, count * kSize);
  }

 private:
  struct Shared {
    alignas(64) std::atomic<uint32_t> asked{0};
    alignas(64) std::atomic<uint32_t> answered{0};
    size_t count = 0;
    char in[kMost * kSize];
    char out[kMost * kSize];
  };
  static void wait(const std::atomic<uint32_t>& word, uint32_t number) {
    for (int spins = 0; word.load(std::memory_order_acquire) != number; spins++)
      if (spins % 64 == 63) sched_yield();
  }
  [[noreturn]] void serve() {
    for (uint32_t number = 1;; number++) {
      wait(shared_->asked, number);
      std::memcpy(shared_->out, shared_->in, shared_->count * kSize);
      shared_->answered.store(number, std::memory_order_release);
    }
  }

  Shared* shared_;
  pid_t process_;
};

struct Inputs {
  explicit Inputs(size_t count) : bytes(count * kSize), items(count) {
    for (size_t i = 0; i < count; i++) {
      std::memcpy(&bytes[i * kSize], &i, sizeof i);
      items[i] = &bytes[i * kSize];
    }
  }
  std::vector<char> bytes;
  std::vector<void*> items;
};

pa_options process_options() {
  pa_options options = options_for(kWorkers);
  options.executor = PA_EXECUTOR_PROCESSES;
  return options;
}

double bare_batch(const Inputs& inputs, std::vector<char>& out) {
  std::atomic<size_t> next{0};
  BareChild children[kWorkers];  // they spin: they must not be there while others run
  const size_t count = inputs.items.size();
  const auto work = [&](BareChild& child) {
    constexpr size_t kChunk = 4'096;
    for (size_t at = next.fetch_add(kChunk); at < count; at = next.fetch_add(kChunk))
      child.echo(&inputs.bytes[at * kSize], &out[at * kSize], std::min(kChunk, count - at));
  };
  work(children[0]);
  work(children[1]);  // once, for the memory
  next = 0;
  return timed([&] {
    std::thread other(work, std::ref(children[1]));
    work(children[0]);
    other.join();
  });
}

void batches(Python& python) {
  const Inputs inputs(items(200'000, 100'000));
  const size_t count = inputs.items.size();
  std::vector<char> out(count * kSize);
  const pa_options options = process_options();
  Race race("process_batch");
  race.add("pa_map", [&] {
    Result result;
    const double seconds = timed([&] { result = run_map(echo, nullptr, inputs.items.data(), count, options); });
    for (size_t i = 0; i < count; i++)
      require(std::memcmp(pa_result_value(result.get(), i), inputs.items[i], kSize) == 0, "a wrong value");
    return seconds;
  });
  for (const char* pool : kPools)
    race.add(pool, [&python, pool, count] { return python.ask(std::string("map ") + pool + " " + std::to_string(count)); });
  race.add("bare", [&] { return bare_batch(inputs, out); });
  race.run(rounds(15, 5));
  report.ratio("process_batch_pool", race.fastest("multiprocessing") / race.fastest("pa_map"));
  report.ratio("bare_process_batch_pool", race.fastest("multiprocessing") / race.fastest("bare"));
}

template <class Work>
double median_call(int calls, Work work) {
  std::vector<double> samples;
  for (int i = 0; i < calls; i++) samples.push_back(timed(work));
  return median_of(samples);
}

void round_trips(Python& python) {
  const Inputs inputs(1);
  char out[kSize];
  const pa_options options = process_options();
  Race race("process_hot_rtt");
  race.add("pa_map", [&] { return median_call(2'000, [&] { run_map(echo, nullptr, inputs.items.data(), 1, options); }); });
  for (const char* pool : kPools)
    race.add(pool, [&python, pool] { return python.ask(std::string("call ") + pool + " 300"); });
  race.add("bare", [&] {
    BareChild child;
    return median_call(2'000, [&] { child.echo(inputs.bytes.data(), out, 1); });
  });
  race.run(rounds(15, 5));
  report.ratio("process_hot_rtt", race.median("pa_map") / race.median("multiprocessing"));
  report.ratio("bare_process_hot_rtt", race.median("bare") / race.median("multiprocessing"));
}

// Two workers are started and answer.
void start_up(Python& python) {
  const Inputs inputs(2);
  const pa_options options = process_options();
  Race race("process_start_up");
  race.add("pa_map", [&] {
    require(pa_drain(-1, nullptr) == PA_STATUS_OK, "pa_drain");
    return timed([&] { run_map(echo, nullptr, inputs.items.data(), 2, options); });
  });
  for (const char* pool : kPools) race.add(pool, [&python, pool] { return python.ask(std::string("start ") + pool); });
  race.run(rounds(7, 3));
}

double private_bytes(pid_t process) {
  std::ifstream file("/proc/" + std::to_string(process) + "/smaps_rollup");
  double bytes = 0, kilobytes = 0;
  for (std::string word; file >> word;)
    if (word.rfind("Private_", 0) == 0 && file >> kilobytes) bytes += kilobytes * 1024;
  return bytes;
}

// A worker of pa: the child of this process that runs this program.
pid_t find_worker() {
  char self[4096], other[4096];
  const ssize_t size = readlink("/proc/self/exe", self, sizeof self);
  pid_t found = 0;
  DIR* processes = opendir("/proc");
  while (const dirent* entry = readdir(processes)) {
    const int number = std::atoi(entry->d_name);
    if (number <= getpid()) continue;
    const ssize_t length = readlink(("/proc/" + std::string(entry->d_name) + "/exe").c_str(), other, sizeof other);
    if (length == size && std::memcmp(self, other, static_cast<size_t>(size)) == 0) found = number;
  }
  closedir(processes);
  return found;
}

// Short commands, two at a time: each contender is a program that starts them.
void commands() {
  const int count = static_cast<int>(items(2'000, 500));
  char path[] = "/tmp/pa_bench_XXXXXX";
  const int file = mkstemp(path);
  require(file >= 0, "mkstemp");
  FILE* lines = fdopen(file, "w");
  for (int i = 0; i < count; i++) fprintf(lines, "%d\n", i);
  fclose(lines);
  const std::string workers = std::to_string(kWorkers), input = std::string(" < ") + path + " > /dev/null";
  const auto shell = [&input](const std::string& command) {
    return timed([&] { require(std::system((command + input).c_str()) == 0, "a command failed"); });
  };
  Race race("process_commands");
  race.add("pa map", [&] { return shell(PA_BENCH_PA " map --workers " + workers + " -- true"); });
  race.add("xargs -P", [&] { return shell("xargs -n 1 -P " + workers + " true"); });
  race.add("GNU parallel", [&] { return shell("parallel --will-cite -j " + workers + " true"); });
  race.run(rounds(5, 2));
  unlink(path);
}

void memory(Python& python) {
  const Inputs inputs(2);
  Race race("process_memory", "bytes");
  race.add("pa_map", [&] {
    run_map(echo, nullptr, inputs.items.data(), 2, process_options());
    const pid_t worker = find_worker();
    require(worker != 0, "no worker is there");
    return private_bytes(worker);
  });
  for (const char* pool : kPools) race.add(pool, [&python, pool] { return python.ask(std::string("memory ") + pool); });
  race.run(1);
}

}  // namespace

BENCH_GROUP(process) {
  require(served, "not to be a worker here");
  Python python;
  batches(python);
  round_trips(python);
  start_up(python);
  memory(python);
  commands();
}

}  // namespace bench
