/* pthreads: a job of libpa that four plain threads run; libpa makes none.
 *
 * The items are the numbers 0 ... 19999; running one finds its smallest divisor. One in a hundred is "busy" at its first attempt
 * and is retried. The main thread is the consumer: it gets outcomes in the order of the numbers and checks them.
 *
 * What to look at:
 *   take_part   a taker, from its first pa_job_take to PA_STATUS_DONE
 *   park, wake  how takers sleep: a condition variable, and an epoch that says whether something happened meanwhile
 *   consume     the other end of the stream
 *
 * Exit status: 0 if each number had exactly one outcome, in order, and the right one; else 1. */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <pa/pa.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { THREADS = 4, NUMBERS = 20000, BUSY_EVERY = 100, BUSY = 11 };

static pa_job* job;
static uint64_t divisors[NUMBERS]; /* values are the host's own: libpa knows indices only */

/* ------------------------------------------------------------------ sleeping */

/* Takers and the consumer sleep in the same way. The epoch is read before the job is asked: if it has moved by the time the
 * answer is "not now", that answer is out of date. */
typedef struct bed {
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  uint64_t epoch;
} bed;

static bed takers, consumer;

static void make_bed(bed* b) {
  pthread_condattr_t monotonic;
  pthread_condattr_init(&monotonic);
  pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
  pthread_mutex_init(&b->mutex, NULL);
  pthread_cond_init(&b->changed, &monotonic);
  pthread_condattr_destroy(&monotonic);
}

static uint64_t epoch_of(bed* b) {
  pthread_mutex_lock(&b->mutex);
  const uint64_t epoch = b->epoch;
  pthread_mutex_unlock(&b->mutex);
  return epoch;
}

/* Until woken, or for wait_ns if that is not -1. */
static void park(bed* b, uint64_t seen, int64_t wait_ns) {
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  if (wait_ns > 0) {
    until.tv_sec += (time_t)(wait_ns / 1000000000);
    until.tv_nsec += (long)(wait_ns % 1000000000);
    if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
  }
  pthread_mutex_lock(&b->mutex);
  int in_time = 1;
  while (b->epoch == seen && in_time) {
    if (wait_ns < 0)
      pthread_cond_wait(&b->changed, &b->mutex);
    else
      in_time = pthread_cond_timedwait(&b->changed, &b->mutex, &until) == 0;
  }
  pthread_mutex_unlock(&b->mutex);
}

static void wake(bed* b, uint32_t count) {
  if (count == 0) return;
  pthread_mutex_lock(&b->mutex);
  b->epoch++;
  if (count >= THREADS) pthread_cond_broadcast(&b->changed);
  for (uint32_t i = 0; i < count && count < THREADS; i++) pthread_cond_signal(&b->changed);
  pthread_mutex_unlock(&b->mutex);
}

/* After every call: others may have something to do now. */
static void pass_on(const pa_lease* lease) {
  wake(&takers, lease->wake);
  wake(&consumer, lease->wake_consumer);
}

/* ------------------------------------------------------------------ takers */

static uint64_t smallest_divisor(uint64_t number) {
  for (uint64_t divisor = 2; divisor * divisor <= number; divisor++)
    if (number % divisor == 0) return divisor;
  return number;
}

/* Returns 0, or the code of a failure. */
static int32_t run(uint64_t index, uint32_t attempt) {
  if (index % BUSY_EVERY == 0 && attempt == 1) return BUSY;
  divisors[index] = smallest_divisor(index);
  return 0;
}

static void run_lease(pa_lease* lease) {
  pa_status status = PA_STATUS_OK;
  for (uint64_t i = lease->first, end = i + lease->count; i < end && status != PA_STATUS_STOPPED; i++) {
    const int32_t code = run(i, lease->attempt);
    if (code == 0) continue;
    status = pa_job_fail(job, lease, i, 0, -1, code, "busy");
    pass_on(lease);
  }
  if (status != PA_STATUS_STOPPED) return;
  pa_job_complete(job, lease, 0); /* the job has ended: what is left goes back */
  pass_on(lease);
}

static void* take_part(void* unused) {
  pa_lease lease = {0};
  for (;;) {
    const uint64_t seen = epoch_of(&takers);
    const pa_status status = pa_job_complete_and_take(job, &lease);
    pass_on(&lease);
    if (status == PA_STATUS_OK)
      run_lease(&lease);
    else if (status == PA_STATUS_AGAIN)
      park(&takers, seen, lease.wait_ns);
    else
      return unused; /* PA_STATUS_DONE */
  }
}

/* ------------------------------------------------------------------ the consumer */

static pa_status next(pa_chunk* chunk) {
  for (;;) {
    const uint64_t seen = epoch_of(&consumer);
    const pa_status status = pa_job_next(job, chunk);
    wake(&takers, chunk->wake); /* there may be room for more */
    if (status != PA_STATUS_AGAIN) return status;
    park(&consumer, seen, chunk->wait_ns);
  }
}

/* Returns how many outcomes were not as they should be. */
static uint64_t consume(void) {
  uint64_t expected = 0, wrong = 0;
  pa_chunk chunk;
  while (next(&chunk) == PA_STATUS_OK) {
    if (chunk.first != expected) wrong++;
    for (uint64_t i = chunk.first; i < chunk.first + chunk.count; i++) {
      if (chunk.state != PA_ITEM_OK || divisors[i] != smallest_divisor(i)) wrong++;
      if (chunk.attempts != (i % BUSY_EVERY == 0 ? 2 : 1)) wrong++;
    }
    expected = chunk.first + chunk.count;
  }
  if (expected != NUMBERS || pa_job_end(job) != PA_END_COMPLETED) wrong++;
  while (pa_job_drain(job, &chunk) == PA_STATUS_OK) wrong++; /* all of them were handed out */
  return wrong;
}

int main(void) {
  pthread_t threads[THREADS];
  pa_options options;
  pa_error error;
  pa_options_init(&options, sizeof options);
  options.workers = THREADS;
  options.ordered = 1;
  options.retry.attempts = 2;
  options.retry.backoff_ns = 1000000;
  if (pa_job_open(&options, NUMBERS, PA_JOB_STREAM, &job, &error)) {
    fprintf(stderr, "pthreads: %s\n", error.message);
    return 1;
  }

  make_bed(&takers);
  make_bed(&consumer);
  for (int i = 0; i < THREADS; i++)
    if (pthread_create(&threads[i], NULL, take_part, NULL)) abort();
  const uint64_t wrong = consume();
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  pa_job_free(job);

  printf("%d numbers over %d threads: %" PRIu64 " outcomes were not as they should be\n", NUMBERS, THREADS, wrong);
  return wrong != 0;
}
