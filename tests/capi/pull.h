// What the tests of pa_job_* share: books in which each index is entered once, calls that must succeed, and a crew of threads
// that take and park as a host would.
#ifndef PA_TESTS_PULL_H
#define PA_TESTS_PULL_H

#include "events.h"
#include "support.h"

pa_job* job_of(const pa_options* options, uint64_t count, uint32_t flags);
// Takes, and checks what that says.
void take_expecting(pa_job* job, pa_lease* lease, pa_status want);
// Takes a lease of one item.
void take_index(pa_job* job, pa_lease* lease, uint64_t index);
// Frees a job whose takers will not come back.
#define FREE_WITH(job, ...)                                                   \
  do {                                                                        \
    pa_lease* const takers_of_it[] = {__VA_ARGS__};                           \
    free_with(job, takers_of_it, sizeof takers_of_it / sizeof *takers_of_it); \
  } while (0)
void free_with(pa_job* job, pa_lease* const* takers, size_t count);
pa_progress progress_of(pa_job* job);
void wait_until_readable(int descriptor);
int is_readable(int descriptor);

// ---- books

enum { MOST_ITEMS = 20000 };

typedef struct books {
  uint32_t handed_out[MOST_ITEMS];
  uint32_t drained[MOST_ITEMS];
  uint64_t handed_out_count, drained_count, failed_count;
} books;

void books_next(books* b, const pa_chunk* chunk);   // what pa_job_next gave
void books_drain(books* b, const pa_chunk* chunk);  // what pa_job_drain gave
// Each of the first n indices was handed out or drained, exactly once; no other was.
void books_check(const books* b, uint64_t n);
// Drains until all is accounted for; leases must not be out. Returns how many items came.
uint64_t drain_all(pa_job* job, books* b);

// ---- a crew

typedef struct crew crew;
struct crew {
  pa_job* job;
  // Runs a lease, and settles it; what is left of it then has succeeded.
  void (*run)(crew* c, pa_lease* lease);
  // Answers PA_STATUS_PULL; NULL: never asked.
  pa_status (*pull)(crew* c, pa_lease* lease);
  void* ctx;

  pthread_mutex_t mutex;
  pthread_cond_t changed, consumer;
  uint64_t epoch, consumer_epoch;
  uint32_t size;
  pthread_t threads[32];
};

// Opens the crew's job, whose events wake everybody.
void crew_open(crew* c, const pa_options* options, uint64_t count, uint32_t flags);
void crew_start(crew* c, uint32_t takers);
void crew_join(crew* c);
void crew_close(crew* c);  // after pa_job_free
void crew_free(crew* c);   // both
void crew_wake(crew* c, uint32_t takers, uint32_t consumer);
void crew_wake_all(void* c);                        // for pa_job_notify
void crew_settled(crew* c, const pa_lease* lease);  // wakes whom a call named
// Waits for the consumer's next chunk.
pa_status crew_next(crew* c, pa_chunk* chunk);
void crew_consume(crew* c, books* b);  // until the stream is over

void complete_all(crew* c, pa_lease* lease);  // a crew's run; some leases are left to the call that takes the next one

#endif
