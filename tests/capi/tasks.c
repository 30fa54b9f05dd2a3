#include "tasks.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <unistd.h>

static char* text(const char* format, ...) __attribute__((format(printf, 1, 2)));
static char* text(const char* format, ...) {
  char* made = NULL;
  va_list arguments;
  va_start(arguments, format);
  if (vasprintf(&made, format, arguments) < 0) made = NULL;
  va_end(arguments);
  return made;
}

static int is(const char* item, const char* word, long* number) {
  const size_t size = strlen(word);
  if (strncmp(item, word, size) != 0 || (item[size] && item[size] != ' ')) return 0;
  *number = atol(item + size);
  return 1;
}

static int32_t spoil_the_shared_memory(void);

int32_t obey(void* ctx, void* item, void** value, pa_call* call) {
  (void)ctx;
  const char* word = item;
  long n = 0;
  if (!word) return 0;
  if (is(word, "say", &n)) *value = text("said %ld", n);
  if (is(word, "pid", &n)) *value = text("%ld", (long)getpid());
  if (is(word, "index", &n)) *value = text("%" PRIu64 " %" PRIu32, pa_call_index(call), pa_call_attempt(call));
  if (is(word, "fail", &n)) return pa_call_fail(call, (int32_t)n, "as it was told");
  if (is(word, "fail-twice", &n)) {
    if (pa_call_attempt(call) < 3) return pa_call_fail(call, 5, "not yet");
    *value = text("at last");
  }
  if (is(word, "crash-once", &n)) {
    if (pa_call_attempt(call) == 1) abort();
    *value = text("at last");
  }
  if (is(word, "later", &n)) {
    pa_call_retry_after(call, n * 1000000);
    if (pa_call_attempt(call) == 1) return pa_call_fail(call, 429, "later");
    *value = text("now");
  }
  if (is(word, "signal", &n)) {
    const struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    signal((int)n, SIG_DFL);
    kill(getpid(), (int)n);
    for (;;) pause();
  }
  if (is(word, "exit", &n)) exit((int)n);
  if (is(word, "_exit", &n)) _exit((int)n);
  if (is(word, "hang", &n))
    for (;;) pause();
  if (is(word, "hang-politely", &n)) {
    while (!pa_call_stopped(call)) usleep(200);
    return PA_CODE_STOPPED;
  }
  if (is(word, "leave-a-child", &n)) {
    const pid_t child = fork();
    if (child == 0)
      for (;;) pause();
    *value = text("%ld", (long)child);
  }
  if (is(word, "sleep", &n)) usleep((useconds_t)n);
  if (is(word, "spoil", &n)) return spoil_the_shared_memory();
  if (is(word, "close", &n))
    for (int descriptor = 0; descriptor < 64; descriptor++) close(descriptor);
  if (is(word, "eat", &n)) {
    char* memory = malloc((size_t)n);
    if (!memory) return pa_call_fail(call, ENOMEM, "no memory");
    memset(memory, 1, (size_t)n);
    free(memory);
  }
  if (is(word, "large", &n)) {
    char* made = malloc((size_t)n + 1);
    memset(made, 'x', (size_t)n);
    made[n] = 0;
    *value = made;
  }
  if (is(word, "environment", &n)) *value = text("%s", getenv("PA_TEST") ? getenv("PA_TEST") : "none");
  if (is(word, "directory", &n)) *value = getcwd(NULL, 0);
  if (is(word, "descriptors", &n)) {
    DIR* all = opendir("/proc/self/fd");
    for (const struct dirent* entry = readdir(all); entry; entry = readdir(all)) n++;
    closedir(all);
    *value = text("%ld", n);
  }
  if (is(word, "input", &n)) *value = text("%zd", read(STDIN_FILENO, &n, 1));
  return 0;
}

// Writes noise over the answers, its own and those of others, and says that there is one.
static int32_t spoil_the_shared_memory(void) {
  FILE* maps = fopen("/proc/self/maps", "r");
  char line[512];
  while (maps && fgets(line, sizeof line, maps)) {
    unsigned long from = 0, to = 0, offset = 0;
    if (!strstr(line, "memfd:libpa") || sscanf(line, "%lx-%lx %*s %lx", &from, &to, &offset) != 3 || offset == 0) continue;
    memset((void*)(from + 4096), 0x5a, to - from - 4096);
    uint64_t* progress = (uint64_t*)(from + 8);
    *progress |= 2;
    *progress &= ~(uint64_t)1;
    _exit(0);
  }
  if (maps) fclose(maps);
  return 0;
}

int32_t obey_all(void* ctx, void* const* items, size_t count, void** values, pa_call* call) {
  for (size_t i = 0; i < count; i++) {
    const int32_t code = obey(ctx, items[i], &values[i], call);
    if (code) pa_call_fail_at(call, i, code, "as it was told");
  }
  return 0;
}

int32_t square(void* ctx, void* item, void** value, pa_call* call) {
  (void)ctx, (void)call;
  *value = (void*)((uintptr_t)item * (uintptr_t)item);
  return 0;
}

int32_t add(void* ctx, void* item, void** value, pa_call* call) {
  (void)call;
  *value = (void*)((uintptr_t)item + (ctx ? strlen(ctx) : 0));
  return 0;
}

static void append_to(const char* path, const char* text) {
  FILE* file = path && *path == '/' ? fopen(path, "a") : NULL;
  if (!file) return;
  fputs(text, file);
  fclose(file);
}
static int32_t start_adding(void* ctx) {
  append_to(ctx, "+");
  return ctx && strcmp(ctx, "refuse") == 0 ? 77 : 0;
}
static void stop_adding(void* ctx) { append_to(ctx, "-"); }

pa_options processes(void) {
  pa_options options = defaults();
  options.executor = PA_EXECUTOR_PROCESSES;
  options.workers = 2;
  return options;
}

pa_process process_defaults(void) {
  pa_process process;
  pa_process_init(&process, sizeof process);
  return process;
}

uint32_t list_workers(pid_t* workers, uint32_t most) {
  uint32_t count = 0;
  DIR* threads = opendir("/proc/self/task");
  for (const struct dirent* thread = readdir(threads); thread; thread = readdir(threads)) {
    char path[300];
    snprintf(path, sizeof path, "/proc/self/task/%s/children", thread->d_name);
    FILE* children = fopen(path, "r");
    long process;
    while (children && fscanf(children, "%ld", &process) == 1) {
      if (count < most) workers[count] = (pid_t)process;
      count++;
    }
    if (children) fclose(children);
  }
  closedir(threads);
  return count;
}

uint32_t count_workers(void) { return list_workers(NULL, 0); }

pa_result* map_checked(pa_fn fn, void* const* items, uint64_t n, const pa_options* options) {
  pa_result* result = NULL;
  pa_error error;
  CHECK_STATUS(pa_map(fn, NULL, items, n, options, &result, &error), PA_STATUS_OK, &error);
  if (result) check_result(result);
  return result;
}

__attribute__((constructor)) static void serve_if_asked(void) {
  pa_task task;
  pa_error error;
  pa_task_init(&task, sizeof task);
  task.fn = obey;
  task.batch_fn = obey_all;
  pa_codec_string(&task.item);
  pa_codec_string(&task.value);
  pa_status status = pa_task_register("obey", &task, &error);

  pa_task_init(&task, sizeof task);
  task.fn = square;
  pa_codec_word(&task.item);
  pa_codec_word(&task.value);
  if (!status) status = pa_task_register("square", &task, &error);

  task.fn = add;
  pa_codec_string(&task.context);
  task.worker_start = start_adding;
  task.worker_stop = stop_adding;
  if (!status) status = pa_task_register("add", &task, &error);
  if (status) {
    fprintf(stderr, "%s\n", error.message);
    exit(1);
  }
  if (pa_worker_requested()) exit(pa_worker_serve(NULL) != PA_STATUS_OK);
}
