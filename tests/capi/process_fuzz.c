// Noise from either end of the shared memory: a program survives whatever a worker writes, and a worker whatever a program does.
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tasks.h"

#ifdef CHECK_SANITIZED
enum { ROUNDS = 4, REQUESTS = 40, N = 200 };
#else
enum { ROUNDS = 40, REQUESTS = 200, N = 300 };
#endif
enum { PAGE = 4096, REGION = 1 << 22 };

// As core/process/wire.hpp has it.
typedef struct program_page {
  uint64_t memory_limit;
  uint64_t gap[7];
  uint32_t posted, sleeps, recalled, stopped;
} program_page;
typedef struct worker_page {
  uint32_t over, sleeps;
  uint64_t progress;
  int64_t started;
} worker_page;
typedef struct request {
  uint32_t op, attempt;
  uint64_t first, count;
  int64_t deadline, item_timeout;
} request;
typedef struct record {
  uint64_t size;
  int32_t code;
  uint32_t kind;
} record;

static uint64_t state = 1;
static uint64_t noise(uint64_t below) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return (state >> 3) % below;
}
static uint64_t odd_number(void) {
  static const uint64_t odd[] = {0,         1, 2, 3, 15, 16, 17, 4095, 4096, 1u << 20, 1u << 31, UINT32_MAX, UINT64_MAX / 2,
                                 UINT64_MAX};
  return noise(2) ? odd[noise(sizeof odd / sizeof odd[0])] : noise(UINT64_MAX);
}

// Records that may make sense, up to `end`.
static void write_records(char* at, const char* end, uint64_t count) {
  for (uint64_t i = 0; i < count && at + 2 * sizeof(record) + 64 < end; i++) {
    record head = {noise(48), (int32_t)noise(3), (uint32_t)noise(3)};
    if (noise(40) == 0) head.size = odd_number();
    if (noise(40) == 0) head.kind = (uint32_t)odd_number();
    memcpy(at, &head, sizeof head);
    for (int k = 0; k < 48; k++) at[16 + k] = (char)noise(256);
    at += sizeof head + (((head.size & 63) + 1 + 15) & ~(uint64_t)15);
  }
}

// ---- a worker that has lost its mind

__attribute__((noreturn)) static void be_mad(void) {
  struct stat file;
  fstat(3, &file);
  const off_t half = file.st_size / 2;
  program_page* program = mmap(NULL, REGION, PROT_READ | PROT_WRITE, MAP_SHARED, 3, 0);
  char* mine = mmap(NULL, REGION, PROT_READ | PROT_WRITE, MAP_SHARED, 3, half);
  worker_page* page = (worker_page*)mine;
  const request* asked = (const request*)((char*)program + PAGE);
  state = (uint64_t)getpid() * 2654435761u + 1;
  uint32_t seen = 1;
  __atomic_store_n(&page->over, 1, __ATOMIC_SEQ_CST);  // it serves
  if (write(4, &(uint64_t){1}, 8) < 0) _exit(1);
  for (int tasks = 0;; tasks++) {
    while (__atomic_load_n(&program->posted, __ATOMIC_SEQ_CST) == seen) {
      sched_yield();
      if (getppid() == 1) _exit(0);
    }
    seen = __atomic_load_n(&program->posted, __ATOMIC_SEQ_CST);
    if (asked->op == 4) _exit(0);
    if (asked->op == 1) {  // it begins as it should, as a rule
      memset(mine + PAGE, 0, 64);
      if (noise(20) == 0) write_records(mine + PAGE, mine + REGION, 1);
    } else {
      write_records(mine + PAGE, mine + REGION, asked->count);
      uint64_t progress = 2 * asked->count;
      if (noise(4) == 0) progress = noise(2 * asked->count + 2);
      if (noise(16) == 0) progress = odd_number() & UINT32_MAX;
      if (noise(4) == 0) page->started = (int64_t)odd_number();
      page->progress = (uint64_t)(noise(30) ? seen : noise(100)) << 32 | progress;
      if (noise(20) == 0) _exit((int)noise(3));
      if (noise(50) == 0) kill(getpid(), SIGKILL);
    }
    __atomic_store_n(&page->over, noise(60) ? seen : (uint32_t)odd_number(), __ATOMIC_SEQ_CST);
    if (page->over != seen) _exit(7);
    if (write(4, &(uint64_t){1}, 8) < 0) _exit(1);
  }
}

TEST(a_program_survives_mad_workers) {
  char* items[N];
  const char* environment[] = {"PA_TEST_MAD=1", NULL};
  for (int i = 0; i < N; i++) items[i] = "say 1";
  pa_process process = process_defaults();
  process.environment = environment;
  process.max_crashes = 1000000;
  pa_options options = processes();
  options.process = &process;
  options.retry.attempts = 2;
  options.retry.max_server_wait_ns = 0;  // noise asks for long ones
  options.retry.backoff_ns = 0;
  pa_error error;
  uint64_t crashed = 0, ok = 0;
  for (int round = 0; round < ROUNDS; round++) {
    pa_result* result = NULL;
    options.item_timeout_ns = round % 4 < 2 ? -1 : HOURS;  // when an item began is noise, too
    const pa_status status = round % 2 ? pa_map(obey, NULL, (void**)items, N, &options, &result, &error)
                                       : pa_map_batch(obey_all, NULL, (void**)items, N, &options, &result, &error);
    CHECK(status == PA_STATUS_OK || status == PA_STATUS_WORKER_START);
    REQUIRE(result != NULL);
    check_result(result);
    crashed += count_state(result, PA_ITEM_CRASHED);
    ok += count_state(result, PA_ITEM_OK);
    pa_result_free(result);
  }
  CHECK(crashed > 0);
  CHECK(ok > 0);
  CHECK_EQ(pa_drain(-1, NULL), PA_STATUS_OK);
  CHECK_EQ(count_workers(), 0);
}

// ---- a program that has

static void be_worker_of(int file, int bell, int program) {
  dup2(file, 100), dup2(bell, 101), dup2(program, 102);
  dup2(100, 3), dup2(101, 4), dup2(102, 5);
  setenv("PA_WORKER", "1", 1);
  execl("/proc/self/exe", "worker", (char*)NULL);
  _exit(127);
}

TEST(a_worker_survives_a_mad_program) {
  const int program = (int)syscall(SYS_pidfd_open, getpid(), 0);
  uint32_t refused = 0, served = 0;
  for (int i = 0; i < REQUESTS; i++) {
    const int file = memfd_create("fuzz", MFD_CLOEXEC), bell = eventfd(0, 0);
    REQUIRE(ftruncate(file, 2 * REGION) == 0);
    char* memory = mmap(NULL, 2 * REGION, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    program_page* page = (program_page*)memory;
    const worker_page* worker = (const worker_page*)(memory + REGION);
    page->posted = 1;
    const pid_t process = fork();
    if (process == 0) be_worker_of(file, bell, program);
    int status = 0, ended = 0;
    for (uint32_t number = 1; !ended; number++) {
      while (__atomic_load_n(&worker->over, __ATOMIC_SEQ_CST) != number && !ended) {
        ended = waitpid(process, &status, WNOHANG) == process;
        sched_yield();
      }
      if (ended || number == 20) break;
      request* ask = (request*)(memory + PAGE);
      char* records = memory + PAGE + 64;
      *ask = (request){1, 1, noise(1000), 0, INT64_MAX, INT64_MAX};
      if (number == 1) {  // begins as it should, and nonsense from then on
        const record name = {4, 0, 1}, none = {0, 0, 0};
        memcpy(records, &name, sizeof name);
        memcpy(records + 16, "obey", 5);
        memcpy(records + 32, &none, sizeof none);
      } else {
        ask->op = (uint32_t)noise(4);
        ask->count = noise(10) ? noise(50) : odd_number();
        if (noise(10) == 0) ask->op = (uint32_t)odd_number();
        write_records(records, memory + REGION, 50);
        page->recalled = noise(5) ? 0 : number + 1;
      }
      if (noise(20) == 0) ask->op = 4;
      __atomic_store_n(&page->posted, number + 1, __ATOMIC_SEQ_CST);
      syscall(SYS_futex, &page->posted, 1 /* FUTEX_WAKE */, 1, NULL, NULL, 0);
      served += number > 1;
    }
    if (!ended) kill(process, SIGKILL), waitpid(process, &status, 0);
    if (ended) CHECK(WIFEXITED(status) && WEXITSTATUS(status) <= 1);  // it ends, and does not crash
    refused += ended && WEXITSTATUS(status) == 1;
    munmap(memory, 2 * REGION);
    close(file), close(bell);
  }
  close(program);
  CHECK(refused > 0);
  CHECK(served > refused);
}

__attribute__((constructor(102))) static void lose_the_mind_if_asked(void) {
  if (getenv("PA_TEST_MAD")) be_mad();
}
