#include "events.h"

#include <dirent.h>
#include <time.h>

void counter_reset(counter* c) {
  pthread_mutex_lock(&c->mutex);
  c->value = 0;
  pthread_mutex_unlock(&c->mutex);
}

uint64_t counter_up(counter* c) {
  pthread_mutex_lock(&c->mutex);
  const uint64_t value = ++c->value;
  pthread_cond_broadcast(&c->changed);
  pthread_mutex_unlock(&c->mutex);
  return value;
}

uint64_t counter_value(counter* c) {
  pthread_mutex_lock(&c->mutex);
  const uint64_t value = c->value;
  pthread_mutex_unlock(&c->mutex);
  return value;
}

void counter_wait(counter* c, uint64_t at_least) {
  pthread_mutex_lock(&c->mutex);
  while (c->value < at_least) pthread_cond_wait(&c->changed, &c->mutex);
  pthread_mutex_unlock(&c->mutex);
}

void raise_to(uint32_t* highest, uint32_t seen) {
  uint32_t before = LOAD(*highest);
  while (before < seen && !__atomic_compare_exchange_n(highest, &before, seen, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
    continue;
}

void nap(void) {
  const struct timespec moment = {0, 100 * 1000};
  nanosleep(&moment, NULL);
}

int64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * SECONDS + now.tv_nsec;
}

void wait_until_ns(int64_t instant) { WAIT_UNTIL(now_ns() >= instant); }

uint64_t thread_count(void) {
  uint64_t count = 0;
  DIR* tasks = opendir("/proc/self/task");
  if (!tasks) abort();
  for (struct dirent* entry = readdir(tasks); entry; entry = readdir(tasks)) count += entry->d_name[0] != '.';
  closedir(tasks);
  return count;
}

static void* do_nothing(void* unused) { return unused; }

uint64_t settled_thread_count(void) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, do_nothing, NULL) != 0) abort();
  pthread_join(thread, NULL);
  uint64_t lowest = thread_count();
  for (int i = 0; i < 50; i++) {
    nap();
    const uint64_t count = thread_count();
    if (count < lowest) lowest = count;
  }
  return lowest;
}
