// Workers that are killed at any moment, while many items run: nothing is lost, and nothing is told twice.
#include "tasks.h"

#include <dirent.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef CHECK_SANITIZED
enum { KILLS = 50, PROGRAMS = 10, N = 20000 };
#else
enum { KILLS = 600, PROGRAMS = 100, N = 100000 };
#endif

static uint32_t kills, over;

// One of them. 0: there is none now.
static pid_t a_worker(uint32_t* random) {
  pid_t found[64];
  const uint32_t count = list_workers(found, 64);
  *random = *random * 1664525 + 1013904223;
  return count ? found[(*random >> 8) % count] : 0;
}

static void* kill_at_random(void* seed) {
  uint32_t random = (uint32_t)(uintptr_t)seed;
  while (!__atomic_load_n(&over, __ATOMIC_SEQ_CST) && __atomic_load_n(&kills, __ATOMIC_SEQ_CST) < KILLS) {
    const pid_t worker = a_worker(&random);
    if (worker && kill(worker, SIGKILL) == 0) __atomic_add_fetch(&kills, 1, __ATOMIC_SEQ_CST);
    random = random * 1664525 + 1013904223;
    usleep(random >> 21);  // up to 2 ms
  }
  return NULL;
}

// An item that is killed again and again has crashed; everything else has its value.
static void check_all(const pa_result* result) {
  uint64_t crashed = 0, wrong = 0;
  for (uint64_t i = 0; i < N; i++) {
    const pa_outcome outcome = outcome_at(result, i);
    if (outcome.state == PA_ITEM_OK)
      wrong += (uintptr_t)outcome.value != (i + 1) * (i + 1);
    else if (outcome.state == PA_ITEM_CRASHED && outcome.code == -SIGKILL)
      crashed++;
    else
      wrong++;
  }
  CHECK_EQ(wrong, 0);
  CHECK_LE(crashed, __atomic_load_n(&kills, __ATOMIC_SEQ_CST));
}

static void map_under_fire(uint32_t attempts, uintptr_t seed) {
  void** items = numbered(N);
  pa_process process = process_defaults();
  process.max_crashes = 1000000;
  pa_options options = processes();
  options.process = &process;
  options.workers = 4;
  options.retry.attempts = attempts;
  options.retry.backoff_ns = 0;
  kills = over = 0;
  pthread_t killer;
  REQUIRE(pthread_create(&killer, NULL, kill_at_random, (void*)seed) == 0);
  pa_error error;
  do {
    pa_result* result = NULL;
    CHECK_STATUS(pa_map(square, NULL, items, N, &options, &result, &error), PA_STATUS_OK, &error);
    if (!result) break;
    CHECK_EQ(pa_result_end(result), PA_END_COMPLETED);
    check_all(result);
    pa_result_free(result);
  } while (__atomic_load_n(&kills, __ATOMIC_SEQ_CST) < KILLS);
  __atomic_store_n(&over, 1, __ATOMIC_SEQ_CST);
  pthread_join(killer, NULL);
  CHECK_EQ(kills, KILLS);
  CHECK_EQ(pa_drain(-1, NULL), PA_STATUS_OK);
  CHECK_EQ(count_workers(), 0);
  free(items);
}

TEST(items_under_fire) { map_under_fire(1, 1); }
TEST(items_under_fire_with_retries) { map_under_fire(3, 2); }

// ---- and programs with workers that are killed

ROLE(map_for_ever) {
  void* items[64];
  for (int i = 0; i < 64; i++) items[i] = i % 4 ? "sleep 300" : "say 1";
  items[9] = "signal 9";
  pa_options options = processes();
  options.workers = 3;
  for (;;) {
    pa_result* result = NULL;
    if (pa_map(obey, NULL, items, 64, &options, &result, NULL)) exit(1);
    pa_result_free(result);
  }
}

// Processes, other than this one, that run this program.
static uint32_t count_of_this_program(void) {
  char self[4096], other[4096], path[300];
  const ssize_t size = readlink("/proc/self/exe", self, sizeof self);
  uint32_t count = 0;
  DIR* processes = opendir("/proc");
  for (const struct dirent* entry = readdir(processes); entry; entry = readdir(processes)) {
    const long number = atol(entry->d_name);
    if (number <= 0 || number == (long)getpid()) continue;
    snprintf(path, sizeof path, "/proc/%ld/exe", number);
    if (readlink(path, other, sizeof other) == size && memcmp(self, other, (size_t)size) == 0) count++;
  }
  closedir(processes);
  return count;
}

TEST(programs_that_are_killed_leave_nothing) {
  uint32_t random = 7;
  for (int i = 0; i < PROGRAMS; i++) {
    int output = -1;
    const pid_t program = check_role_start("map_for_ever", &output);
    random = random * 1664525 + 1013904223;
    usleep(random >> 17);  // up to 32 ms
    CHECK_EQ(kill(program, SIGKILL), 0);
    CHECK_EQ(waitpid(program, NULL, 0), program);
    close(output);
  }
  WAIT_UNTIL(count_of_this_program() == 0);
}
