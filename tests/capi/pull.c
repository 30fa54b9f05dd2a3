#include "pull.h"

#include <poll.h>
#include <time.h>

pa_job* job_of(const pa_options* options, uint64_t count, uint32_t flags) {
  pa_job* job = NULL;
  pa_error error;
  CHECK_STATUS(pa_job_open(options, count, flags, &job, &error), PA_STATUS_OK, &error);
  if (!job) abort();
  return job;
}

void take_expecting(pa_job* job, pa_lease* lease, pa_status want) { CHECK_STATUS(pa_job_take(job, lease), want, NULL); }

void take_index(pa_job* job, pa_lease* lease, uint64_t index) {
  take_expecting(job, lease, PA_STATUS_OK);
  CHECK_EQ(lease->first, index);
  CHECK_EQ(lease->count, 1);
}

void free_with(pa_job* job, pa_lease* const* takers, size_t count) {
  for (size_t i = 0; i < count; i++) CHECK_STATUS(pa_job_leave(job, takers[i]), PA_STATUS_OK, NULL);
  pa_job_free(job);
}

pa_progress progress_of(pa_job* job) {
  pa_progress progress;
  memset(&progress, 0xff, sizeof progress);
  CHECK_STATUS(pa_job_progress(job, &progress), PA_STATUS_OK, NULL);
  return progress;
}

void wait_until_readable(int descriptor) {
  struct pollfd one = {descriptor, POLLIN, 0};
  while (poll(&one, 1, -1) != 1) continue;
}

int is_readable(int descriptor) {
  struct pollfd one = {descriptor, POLLIN, 0};
  return poll(&one, 1, 0) == 1;
}

// ---- books

static void enter(uint32_t* column, uint64_t* total, const pa_chunk* chunk) {
  CHECK(chunk->count > 0);
  REQUIRE(chunk->first < MOST_ITEMS && chunk->count <= MOST_ITEMS - chunk->first);
  for (uint64_t i = 0; i < chunk->count; i++) column[chunk->first + i]++;
  *total += chunk->count;
}

void books_next(books* b, const pa_chunk* chunk) {
  enter(b->handed_out, &b->handed_out_count, chunk);
  CHECK(chunk->attempts >= 1);
  CHECK(chunk->duration_ns >= 0);
  CHECK(chunk->message != NULL);
  if (chunk->state == PA_ITEM_OK) {
    CHECK_EQ(chunk->code, 0);
    CHECK_STR(chunk->message, "");
  } else {
    CHECK(chunk->state == PA_ITEM_FAILED || chunk->state == PA_ITEM_TIMED_OUT);
    CHECK_EQ(chunk->count, 1);
    CHECK(chunk->code != 0);
    b->failed_count++;
  }
}

void books_drain(books* b, const pa_chunk* chunk) {
  enter(b->drained, &b->drained_count, chunk);
  CHECK(chunk->message != NULL);
}

void books_check(const books* b, uint64_t n) {
  uint64_t wrong = 0;
  for (uint64_t i = 0; i < MOST_ITEMS; i++) wrong += b->handed_out[i] + b->drained[i] != (i < n);
  CHECK_EQ(wrong, 0);
}

uint64_t drain_all(pa_job* job, books* b) {
  const uint64_t before = b->drained_count;
  pa_chunk chunk;
  pa_status status;
  while ((status = pa_job_drain(job, &chunk)) == PA_STATUS_OK) books_drain(b, &chunk);
  CHECK_STATUS(status, PA_STATUS_DONE, NULL);
  return b->drained_count - before;
}

// ---- a crew

static uint64_t epoch_of(crew* c, const uint64_t* epoch) {
  pthread_mutex_lock(&c->mutex);
  const uint64_t seen = *epoch;
  pthread_mutex_unlock(&c->mutex);
  return seen;
}

// Until the epoch is another, or for so long.
static void sleep_on(crew* c, pthread_cond_t* condition, const uint64_t* epoch, uint64_t seen, int64_t wait_ns) {
  const int64_t until_ns = now_ns() + (wait_ns < 0 ? 0 : wait_ns);
  const struct timespec until = {(time_t)(until_ns / SECONDS), (long)(until_ns % SECONDS)};
  pthread_mutex_lock(&c->mutex);
  while (*epoch == seen) {
    if (wait_ns < 0)
      pthread_cond_wait(condition, &c->mutex);
    else if (pthread_cond_timedwait(condition, &c->mutex, &until))
      break;
  }
  pthread_mutex_unlock(&c->mutex);
}

void crew_wake(crew* c, uint32_t takers, uint32_t consumer) {
  if (!takers && !consumer) return;
  pthread_mutex_lock(&c->mutex);
  c->epoch += takers != 0;
  c->consumer_epoch += consumer;
  if (takers >= c->size) pthread_cond_broadcast(&c->changed);
  for (uint32_t i = 0; i < takers && takers < c->size; i++) pthread_cond_signal(&c->changed);
  if (consumer) pthread_cond_broadcast(&c->consumer);
  pthread_mutex_unlock(&c->mutex);
}

void crew_wake_all(void* c) { crew_wake(c, UINT32_MAX, 1); }

void crew_settled(crew* c, const pa_lease* lease) { crew_wake(c, lease->wake, lease->wake_consumer); }

static void* take_part(void* ctx) {
  crew* c = ctx;
  pa_lease lease;
  memset(&lease, 0, sizeof lease);
  for (;;) {
    const uint64_t seen = epoch_of(c, &c->epoch);
    pa_status status = pa_job_complete_and_take(c->job, &lease);
    crew_settled(c, &lease);
    while (status == PA_STATUS_PULL) {
      status = c->pull(c, &lease);
      crew_settled(c, &lease);
    }
    if (status == PA_STATUS_OK)
      c->run(c, &lease);
    else if (status == PA_STATUS_AGAIN)
      sleep_on(c, &c->changed, &c->epoch, seen, lease.wait_ns);
    else if (status != PA_STATUS_STOPPED)
      return CHECK_STATUS(status, PA_STATUS_DONE, NULL), NULL;
  }
}

void crew_open(crew* c, const pa_options* options, uint64_t count, uint32_t flags) {
  pthread_condattr_t monotonic;
  pthread_condattr_init(&monotonic);
  pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
  pthread_mutex_init(&c->mutex, NULL);
  pthread_cond_init(&c->changed, &monotonic);
  pthread_cond_init(&c->consumer, &monotonic);
  pthread_condattr_destroy(&monotonic);
  c->job = job_of(options, count, flags);
  CHECK_STATUS(pa_job_notify(c->job, crew_wake_all, c, NULL), PA_STATUS_OK, NULL);
}

void crew_start(crew* c, uint32_t takers) {
  c->size = takers;
  for (uint32_t i = 0; i < takers; i++)
    if (pthread_create(&c->threads[i], NULL, take_part, c)) abort();
}

void crew_join(crew* c) {
  for (uint32_t i = 0; i < c->size; i++) pthread_join(c->threads[i], NULL);
}

void crew_close(crew* c) {
  pthread_cond_destroy(&c->changed);
  pthread_cond_destroy(&c->consumer);
  pthread_mutex_destroy(&c->mutex);
}

void crew_free(crew* c) {
  pa_job_free(c->job);
  crew_close(c);
}

pa_status crew_next(crew* c, pa_chunk* chunk) {
  for (;;) {
    const uint64_t seen = epoch_of(c, &c->consumer_epoch);
    const pa_status status = pa_job_next(c->job, chunk);
    crew_wake(c, chunk->wake, 0);
    if (status != PA_STATUS_AGAIN) return status;
    sleep_on(c, &c->consumer, &c->consumer_epoch, seen, chunk->wait_ns);
  }
}

void crew_consume(crew* c, books* b) {
  pa_chunk chunk;
  pa_status status;
  while ((status = crew_next(c, &chunk)) == PA_STATUS_OK) books_next(b, &chunk);
  CHECK_STATUS(status, PA_STATUS_DONE, NULL);
}

void complete_all(crew* c, pa_lease* lease) {
  if (lease->first % 2) return;  // take_part does it
  pa_job_complete(c->job, lease, lease->count);
  crew_settled(c, lease);
}
