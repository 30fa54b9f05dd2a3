// dlopen and dlclose: this program is not linked with the library, whose path is PA_LIBRARY.
#include <dlfcn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "allocations.h"
#include "events.h"

static const pa_api* pa;

static void* load(void) {
  void* library = dlopen(PA_LIBRARY, RTLD_NOW | RTLD_LOCAL);
  if (!CHECK(library != NULL)) fprintf(stderr, "%s\n", dlerror()), abort();
  const pa_api* (*get_api)(uint32_t);
  *(void**)(&get_api) = dlsym(library, "pa_get_api");  // the way POSIX recommends, as C forbids the conversion
  if (!CHECK(get_api != NULL)) abort();
  pa = get_api(PA_VERSION_MAJOR);
  if (!CHECK(pa != NULL)) abort();
  CHECK(get_api(PA_VERSION_MAJOR + 1) == NULL);
  return library;
}

static int is_loaded(void) {
  void* library = dlopen(PA_LIBRARY, RTLD_NOW | RTLD_NOLOAD);
  if (library) dlclose(library);
  return library != NULL;
}

static counter together = COUNTER_INIT;

static int32_t meet(void* ctx, void* item, void** value, pa_call* call) {
  (void)ctx, (void)call;
  counter_up(&together);
  counter_wait(&together, 4);  // so that the pool has threads
  *value = item;
  return 0;
}

static void map_with_four_workers(void) {
  static void* items[4] = {&together, &together, &together, &together};
  counter_reset(&together);
  pa_options options;
  pa_result* result = NULL;
  pa_error error;
  pa->options_init(&options, sizeof options);
  options.workers = 4;
  REQUIRE_STATUS(pa->map(meet, NULL, items, 4, &options, &result, &error), PA_STATUS_OK, &error);
  CHECK_EQ(pa->result_ok(result), 1);
  for (uint64_t i = 0; i < 4; i++) CHECK(pa->result_value(result, i) == &together);
  pa->result_free(result);
}

TEST(the_table_serves_a_program_that_is_not_linked_with_the_library) {
  void* library = load();
  CHECK_EQ(pa->struct_size, sizeof(pa_api));
  map_with_four_workers();
  CHECK_STATUS(pa->drain(-1, NULL), PA_STATUS_OK, NULL);
  CHECK_EQ(dlclose(library), 0);
}

TEST(after_drain_the_library_can_be_unloaded) {
  void* library = load();
  map_with_four_workers();
  CHECK_STATUS(pa->drain(-1, NULL), PA_STATUS_OK, NULL);
  CHECK_EQ(dlclose(library), 0);
#ifndef CHECK_SANITIZED  // whose runtime keeps libraries loaded
  CHECK(!is_loaded());
#endif
}

// What libstdc++ and the loader keep is there after the first rounds; what grows from then on is a leak.
TEST(loading_and_unloading_many_times_leaks_neither_threads_nor_memory) {
  const uint64_t threads = settled_thread_count();
  int64_t after_ten = 0;
  for (int round = 0; round < 60; round++) {
    void* library = load();
    map_with_four_workers();
    CHECK_STATUS(pa->drain(-1, NULL), PA_STATUS_OK, NULL);
    CHECK_EQ(dlclose(library), 0);
    WAIT_UNTIL(thread_count() <= threads);
    if (round == 9) after_ten = allocations_live();
  }
#ifdef CHECK_SANITIZED  // libc's list of what is to be done at exit gets a block of 32 entries for every few rounds
  CHECK_LE(allocations_live(), after_ten + 25);
#else
  CHECK_LE(allocations_live(), after_ten + 10);
#endif
}

TEST(unloading_with_idle_threads_is_harmless) {
  const uint64_t threads = settled_thread_count();
  for (int round = 0; round < 400; round++) {
    void* library = load();
    map_with_four_workers();
    CHECK_EQ(dlclose(library), 0);
    CHECK_LE(thread_count(), threads + 8);
  }
  void* library = load();
  CHECK_STATUS(pa->drain(-1, NULL), PA_STATUS_OK, NULL);
  CHECK_EQ(dlclose(library), 0);
  WAIT_UNTIL(thread_count() <= threads);
}

#ifndef CHECK_SANITIZED  // whose runtime keeps libraries loaded, and their workers
static void map_with_a_worker_process(void) {
  const char* command[] = {MODULE_WORKER, NULL};
  void* items[] = {"one", "two", "three"};
  pa_process process;
  pa_options options;
  pa_result* result = NULL;
  pa_error error;
  pa->process_init(&process, sizeof process);
  pa->options_init(&options, sizeof options);
  process.command = command;
  options.executor = PA_EXECUTOR_PROCESSES;
  options.process = &process;
  options.task = "length";
  REQUIRE_STATUS(pa->module_load(MODULE, &error), PA_STATUS_OK, &error);
  REQUIRE_STATUS(pa->map(NULL, NULL, items, 3, &options, &result, &error), PA_STATUS_OK, &error);
  CHECK_EQ((uintptr_t)pa->result_value(result, 2), 5);
  pa->result_free(result);
}

TEST(unloading_with_idle_worker_processes_ends_them) {
  const uint64_t threads = settled_thread_count();
  for (int round = 0; round < 20; round++) {
    void* library = load();
    map_with_a_worker_process();
    CHECK_EQ(dlclose(library), 0);
    CHECK_EQ(waitpid(-1, NULL, WNOHANG), -1);  // no child, and no zombie
    WAIT_UNTIL(thread_count() <= threads);
  }
}
#endif

TEST(unloading_without_any_use_is_harmless) {
  for (int round = 0; round < 40; round++) CHECK_EQ(dlclose(load()), 0);
}

// ---- detached work

static counter running = COUNTER_INIT;
static counter gate = COUNTER_INIT;
static counter quiescent = COUNTER_INIT;
static pa_stop* stop;

static int32_t wait_at_gate(void* ctx, void* item, void** value, pa_call* call) {
  (void)ctx, (void)item, (void)value, (void)call;
  counter_up(&running);
  counter_wait(&gate, 1);
  return pa->call_fail(call, 3, "from code that must still be there");
}

static void note_quiescence(void* ctx) {
  (void)ctx;
  counter_up(&quiescent);
}

static void* stop_when_running(void* unused) {
  (void)unused;
  counter_wait(&running, 1);
  pa->stop_request(stop);
  return NULL;
}

static void leave_a_call_running(void) {
  static void* items[2];
  counter_reset(&running);
  counter_reset(&gate);
  counter_reset(&quiescent);
  pa_options options;
  pa_result* result = NULL;
  pthread_t stopper;
  pa->options_init(&options, sizeof options);
  REQUIRE(pa->stop_new(&stop, NULL) == PA_STATUS_OK);
  options.stop = stop;
  options.detach = 1;
  options.workers = 2;
  options.on_quiescent = note_quiescence;
  REQUIRE(pthread_create(&stopper, NULL, stop_when_running, NULL) == 0);
  REQUIRE(pa->map(wait_at_gate, NULL, items, 2, &options, &result, NULL) == PA_STATUS_OK);
  pthread_join(stopper, NULL);
  CHECK_EQ(pa->result_end(result), PA_END_CANCELLED);
  pa->result_free(result);
  pa->stop_release(stop);
}

TEST(detached_work_keeps_the_library_loaded_until_it_is_done) {
  for (int round = 0; round < 10; round++) {
    void* library = load();
    leave_a_call_running();
    CHECK_STATUS(pa->drain(0, NULL), PA_STATUS_TIMEOUT, NULL);
    CHECK_EQ(dlclose(library), 0);
    CHECK(is_loaded());
    counter_up(&gate);
    counter_wait(&quiescent, 1);
    library = load();
    CHECK_STATUS(pa->drain(-1, NULL), PA_STATUS_OK, NULL);
    CHECK_EQ(dlclose(library), 0);
  }
}

TEST(drain_waits_for_detached_work_before_an_unload) {
  for (int round = 0; round < 10; round++) {
    void* library = load();
    leave_a_call_running();
    counter_up(&gate);
    CHECK_STATUS(pa->drain(-1, NULL), PA_STATUS_OK, NULL);
    CHECK_EQ(counter_value(&quiescent), 1);
    CHECK_EQ(dlclose(library), 0);
  }
#ifndef CHECK_SANITIZED
  CHECK(!is_loaded());
#endif
}
