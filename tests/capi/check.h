// Tests in plain C: named tests, checks that print file, line and values, and an exit code.
//
//     #include "check.h"
//     TEST(an_empty_input_completes) {
//       CHECK_STATUS(pa_map(fn, NULL, NULL, 0, NULL, &result, &error), PA_STATUS_OK, &error);
//       CHECK_EQ(pa_result_count(result), 0);
//     }
//
// A program runs all of its tests, or those named on its command line, and prints one line for each. A ROLE is what a
// test runs in a process of its own, for real signals and exits: it runs only when it is named.
//
// Checks may fail on any thread, and the test goes on; REQUIRE leaves the function.
#ifndef PA_TESTS_CHECK_H
#define PA_TESTS_CHECK_H

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CHECK_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define CHECK_SANITIZED 1
#endif
#endif

#include <inttypes.h>
#include <pa/pa.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

typedef struct check_test {
  const char* name;
  void (*body)(void);
  int is_role;
  struct check_test* next;
} check_test;

#define TEST(name) CHECK_REGISTER(name, 0)
#define ROLE(name) CHECK_REGISTER(name, 1)
#define CHECK_REGISTER(name, is_role)                                                         \
  static void name(void);                                                                     \
  static check_test name##_test = {#name, name, is_role, NULL};                               \
  __attribute__((constructor)) static void name##_register(void) { check_add(&name##_test); } \
  static void name(void)

#define CHECK(condition) check_true((condition) ? 1 : 0, __FILE__, __LINE__, #condition)
#define CHECK_EQ(got, want) check_equal((int64_t)(got), (int64_t)(want), __FILE__, __LINE__, #got, #want)
#define CHECK_LE(got, limit) check_at_most((int64_t)(got), (int64_t)(limit), __FILE__, __LINE__, #got, #limit)
#define CHECK_STR(got, want) check_string((got), (want), __FILE__, __LINE__, #got)
#define CHECK_CONTAINS(text, part) check_contains((text), (part), __FILE__, __LINE__, #text)
#define CHECK_STATUS(got, want, error) check_status((got), (want), (error), __FILE__, __LINE__, #got)

#define REQUIRE(condition)         \
  do {                             \
    if (!CHECK(condition)) return; \
  } while (0)
#define REQUIRE_STATUS(got, want, error)         \
  do {                                           \
    if (!CHECK_STATUS(got, want, error)) return; \
  } while (0)

// Each returns 1 if the check holds.
int check_true(int holds, const char* file, int line, const char* text);
int check_equal(int64_t got, int64_t want, const char* file, int line, const char* got_text, const char* want_text);
int check_at_most(int64_t got, int64_t limit, const char* file, int line, const char* got_text, const char* limit_text);
int check_string(const char* got, const char* want, const char* file, int line, const char* text);
int check_contains(const char* text, const char* part, const char* file, int line, const char* expression);
int check_status(pa_status got, pa_status want, const pa_error* error, const char* file, int line, const char* text);

void check_add(check_test* test);
int check_failures(void);  // in this process, so far

// Runs a role in a process of its own, and checks that it exits with 0.
void check_role(const char* name);
// Starts a role. What it writes to descriptor 1 can be read from *output.
pid_t check_role_start(const char* name, int* output);
// Waits for a process, and checks that it exits with 0.
void check_exit(pid_t process);
// Runs `body` in a child made by fork() alone, and checks that no check fails there.
void check_child(void (*body)(void));

#endif
