#include "check.h"

#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef CHECK_SANITIZED
// Allocations that are too large must fail as they do without a sanitizer, and a forked child may start threads.
const char* __asan_default_options(void);
__attribute__((weak)) const char* __asan_default_options(void) { return "allocator_may_return_null=1"; }
const char* __tsan_default_options(void);
const char* __tsan_default_options(void) { return "allocator_may_return_null=1:die_after_fork=0:halt_on_error=1"; }
#endif

static check_test* first_test;
static check_test** last_test = &first_test;
static int failures;

void check_add(check_test* test) {
  *last_test = test;
  last_test = &test->next;
}

int check_failures(void) { return __atomic_load_n(&failures, __ATOMIC_SEQ_CST); }

static int fail(void) {
  __atomic_fetch_add(&failures, 1, __ATOMIC_SEQ_CST);
  return 0;
}

int check_true(int holds, const char* file, int line, const char* text) {
  if (holds) return 1;
  fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, text);
  return fail();
}

int check_equal(int64_t got, int64_t want, const char* file, int line, const char* got_text, const char* want_text) {
  if (got == want) return 1;
  fprintf(stderr, "%s:%d: %s is %" PRId64 ", not %" PRId64 " (%s)\n", file, line, got_text, got, want, want_text);
  return fail();
}

int check_at_most(int64_t got, int64_t limit, const char* file, int line, const char* got_text, const char* limit_text) {
  if (got <= limit) return 1;
  fprintf(stderr, "%s:%d: %s is %" PRId64 ", above %" PRId64 " (%s)\n", file, line, got_text, got, limit, limit_text);
  return fail();
}

int check_string(const char* got, const char* want, const char* file, int line, const char* text) {
  if (got && strcmp(got, want) == 0) return 1;
  fprintf(stderr, "%s:%d: %s is \"%s\", not \"%s\"\n", file, line, text, got ? got : "(NULL)", want);
  return fail();
}

int check_contains(const char* text, const char* part, const char* file, int line, const char* expression) {
  if (text && strstr(text, part)) return 1;
  fprintf(stderr, "%s:%d: %s is \"%s\", which lacks \"%s\"\n", file, line, expression, text ? text : "(NULL)", part);
  return fail();
}

int check_status(pa_status got, pa_status want, const pa_error* error, const char* file, int line, const char* text) {
  if (got == want) return 1;
  fprintf(stderr, "%s:%d: %s is %d, not %d: %s\n", file, line, text, got, want, error && got < 0 ? error->message : "");
  return fail();
}

pid_t check_role_start(const char* name, int* output) {
  int ends[2];
  if (pipe(ends) != 0) abort();
  fflush(NULL);
  const pid_t process = fork();
  if (process == 0) {
    dup2(ends[1], 1);
    close(ends[0]);
    close(ends[1]);
    execl("/proc/self/exe", "role", name, (char*)NULL);
    _exit(127);
  }
  close(ends[1]);
  *output = ends[0];
  return process;
}

void check_exit(pid_t process) {
  int status = 0;
  while (waitpid(process, &status, 0) < 0 && errno == EINTR) continue;
  if (WIFSIGNALED(status)) CHECK_EQ(WTERMSIG(status), 0);
  if (WIFEXITED(status)) CHECK_EQ(WEXITSTATUS(status), 0);
}

void check_role(const char* name) {
  int output;
  const pid_t process = check_role_start(name, &output);
  check_exit(process);
  close(output);
}

void check_child(void (*body)(void)) {
  fflush(NULL);
  const pid_t process = fork();
  if (process == 0) {
    const int before = check_failures();
    body();
    _exit(check_failures() == before ? 0 : 1);
  }
  check_exit(process);
}

static int named(const check_test* test, int argc, char** argv) {
  if (argc < 2) return !test->is_role;
  for (int i = 1; i < argc; i++)
    if (strcmp(argv[i], test->name) == 0) return 1;
  return 0;
}

int main(int argc, char** argv) {
  int ran = 0;
  for (check_test* test = first_test; test; test = test->next) {
    if (!named(test, argc, argv)) continue;
    const int before = check_failures();
    test->body();
    ran++;
    if (test->is_role) continue;
    printf("%s %s\n", check_failures() == before ? "ok    " : "FAILED", test->name);
    fflush(stdout);
  }
  if (ran == 0) fprintf(stderr, "no test has this name\n");
  return ran == 0 || check_failures() ? 1 : 0;
}
