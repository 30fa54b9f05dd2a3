// Events to wait for: tests wait until something has happened, never for some time.
#ifndef PA_TESTS_EVENTS_H
#define PA_TESTS_EVENTS_H

#include "check.h"

#define MICROSECONDS INT64_C(1000)
#define MILLISECONDS INT64_C(1000000)
#define SECONDS INT64_C(1000000000)
#define HOURS (3600 * SECONDS)  // "never", for a test: ctest's own timeout comes first

// A number that goes up, and that threads can wait for: the way in which these tests wait.
typedef struct counter {
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  uint64_t value;
} counter;
#define COUNTER_INIT \
  { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0 }

void counter_reset(counter* c);
uint64_t counter_up(counter* c);  // the new value
uint64_t counter_value(counter* c);
void counter_wait(counter* c, uint64_t at_least);

// Plain counts, safe on any thread.
#define COUNT_UP(number) __atomic_add_fetch(&(number), 1, __ATOMIC_SEQ_CST)
#define COUNT_DOWN(number) __atomic_sub_fetch(&(number), 1, __ATOMIC_SEQ_CST)
#define LOAD(number) __atomic_load_n(&(number), __ATOMIC_SEQ_CST)
#define STORE(number, to) __atomic_store_n(&(number), (to), __ATOMIC_SEQ_CST)
void raise_to(uint32_t* highest, uint32_t seen);

// For what gives no event: looks, naps, looks again.
#define WAIT_UNTIL(condition) \
  while (!(condition)) nap()
void nap(void);
int64_t now_ns(void);  // monotonic
void wait_until_ns(int64_t instant);
uint64_t thread_count(void);          // of this process
uint64_t settled_thread_count(void);  // with the thread of its own that a sanitizer adds, without any that is just ending

#endif
