// pa_iter_fd: a consumer that waits in poll.
#include <poll.h>

#include "streams.h"

static int readable(int fd, int timeout_ms) {
  struct pollfd one = {fd, POLLIN, 0};
  return poll(&one, 1, timeout_ms) == 1 && (one.revents & POLLIN);
}

static int fd_of(stream* s) {
  const int32_t fd = pa_iter_fd(s->iter, &s->error);
  CHECK(fd >= 0);
  CHECK_EQ(pa_iter_fd(s->iter, NULL), fd);  // there is one for each stream
  return fd;
}

// As an event loop does. Returns what ended it.
static pa_status poll_and_read(stream* s, int fd, uint64_t most) {
  while (s->count < most) {
    if (!CHECK(readable(fd, -1))) return PA_STATUS_SYSTEM;
    pa_status status;
    while ((status = stream_next_timeout(s, 0)) == PA_STATUS_OK && s->count < most) continue;
    if (status != PA_STATUS_OK && status != PA_STATUS_TIMEOUT) return status;
  }
  return PA_STATUS_OK;
}

TEST(a_poll_loop_loses_nothing) {
  for (uint32_t ordered = 0; ordered <= 1; ordered++)
    for (uint32_t workers = 1; workers <= 4; workers += 3)
      for (uint64_t at_a_time = 0; at_a_time <= 1; at_a_time++) {
        stream s;
        stream_init(&s, 100000, at_a_time);
        s.options.ordered = ordered;
        s.options.workers = workers;
        stream_open(&s, store_and_fail_tenths);
        CHECK_STATUS(poll_and_read(&s, fd_of(&s), UINT64_MAX), PA_STATUS_DONE, &s.error);
        CHECK_EQ(s.count, 100000);
        CHECK_EQ(pa_iter_end(s.iter), PA_END_COMPLETED);
        stream_close(&s);
      }
}

TEST(a_poll_loop_loses_nothing_with_a_window_of_1) {
  stream s;
  stream_init(&s, 5000, 0);
  s.options.window = 1;
  s.options.workers = 2;
  stream_open(&s, store);
  CHECK_STATUS(poll_and_read(&s, fd_of(&s), UINT64_MAX), PA_STATUS_DONE, &s.error);
  CHECK_EQ(s.count, 5000);
  stream_close(&s);
}

static int32_t no_progress(void* ctx, uint64_t done, uint64_t total) {
  (void)ctx, (void)done, (void)total;
  return 0;
}

TEST(a_poll_loop_loses_nothing_with_retries_callbacks_and_a_limiter) {
  stream s;
  stream_init(&s, 3000, 5);
  s.options.workers = 3;
  s.options.retry.attempts = 2;
  s.options.retry.backoff_ns = 50 * MICROSECONDS;
  s.options.rate.count = 1e5;
  s.options.rate.burst = 10;
  s.options.on_progress = no_progress;
  stream_open(&s, store_and_fail_tenths);
  CHECK_STATUS(poll_and_read(&s, fd_of(&s), UINT64_MAX), PA_STATUS_DONE, &s.error);
  CHECK_EQ(s.count, 3000);
  stream_close(&s);
}

TEST(polling_and_waiting_may_take_turns) {
  stream s;
  stream_init(&s, 60000, 0);
  s.options.workers = 2;
  stream_open(&s, store);
  const int fd = fd_of(&s);
  pa_status status = PA_STATUS_OK;
  while (status == PA_STATUS_OK) {
    for (int i = 0; i < 500 && status == PA_STATUS_OK; i++) status = stream_next(&s);
    if (status == PA_STATUS_OK) status = poll_and_read(&s, fd, s.count + 500);
  }
  CHECK_STATUS(status, PA_STATUS_DONE, &s.error);
  CHECK_EQ(s.count, 60000);
  stream_close(&s);
}

// ---- when it is readable

static counter gate = COUNTER_INIT;

static int32_t wait_at_gate(void* ctx, void* item, void** value, pa_call* call) {
  counter_wait(&gate, number_of(item) + 1);
  return store(ctx, item, value, call);
}

TEST(it_is_readable_when_there_is_an_outcome_and_not_before) {
  counter_reset(&gate);
  stream s;
  stream_init(&s, 20, 0);
  s.options.workers = 2;
  s.options.window = 2;  // one item for each lease
  stream_open(&s, wait_at_gate);
  const int fd = fd_of(&s);
  for (int i = 0; i < 20; i++) {
    CHECK_STATUS(stream_next_timeout(&s, 0), PA_STATUS_TIMEOUT, &s.error);
    CHECK(!readable(fd, 0));
    counter_up(&gate);
    CHECK(readable(fd, -1));
    CHECK_STATUS(stream_next_timeout(&s, 0), PA_STATUS_OK, &s.error);
  }
  WAIT_UNTIL(stream_next_timeout(&s, 0) == PA_STATUS_DONE);
  stream_close(&s);
}

TEST(it_is_readable_for_what_was_there_before_it_was_made) {
  stream s;
  stream_init(&s, 10, 0);
  stream_open(&s, store);
  WAIT_UNTIL(ledger_total(s.l.calls, 10) == 10);
  const int fd = fd_of(&s);
  CHECK(readable(fd, -1));
  CHECK_STATUS(poll_and_read(&s, fd, UINT64_MAX), PA_STATUS_DONE, &s.error);
  CHECK_EQ(s.count, 10);
  stream_close(&s);
}

TEST(it_stays_readable_while_outcomes_are_left_and_when_the_stream_is_over) {
  stream s;
  stream_init(&s, 1000, 0);
  s.options.batch.max_items = 100;
  stream_open_batch(&s, store_batch);
  const int fd = fd_of(&s);
  while (s.count < 1000) {
    CHECK(readable(fd, -1));
    CHECK(stream_next_timeout(&s, 0) >= 0);
  }
  CHECK(readable(fd, -1));
  WAIT_UNTIL(stream_next_timeout(&s, 0) == PA_STATUS_DONE);
  CHECK(readable(fd, 0));
  stream_close(&s);
}

TEST(it_becomes_readable_at_the_end_of_an_empty_source) {
  stream s;
  stream_init(&s, 0, 0);
  stream_open(&s, store);
  CHECK_STATUS(poll_and_read(&s, fd_of(&s), UINT64_MAX), PA_STATUS_DONE, &s.error);
  stream_close(&s);
}

// ---- what else ends the wait

static int32_t run_until_stopped(void* ctx, void* item, void** value, pa_call* call) {
  counter_up(&gate);
  wait_until_stopped(call);
  return store(ctx, item, value, call);
}

TEST(a_stop_wakes_a_consumer_who_polls) {
  for (uint32_t detach = 0; detach <= 1; detach++) {
    counter_reset(&gate);
    stream s;
    stream_init(&s, UINT64_MAX, 0);
    s.options.workers = 2;
    s.options.detach = detach;
    REQUIRE(pa_stop_new(&s.options.stop, NULL) == PA_STATUS_OK);
    stream_open(&s, run_until_stopped);
    const int fd = fd_of(&s);
    CHECK_STATUS(stream_next_timeout(&s, 0), PA_STATUS_TIMEOUT, &s.error);
    counter_wait(&gate, 2);
    CHECK(!readable(fd, 0));
    pa_stop_request(s.options.stop);
    CHECK_STATUS(poll_and_read(&s, fd, UINT64_MAX), PA_STATUS_DONE, &s.error);
    CHECK_EQ(pa_iter_end(s.iter), PA_END_CANCELLED);
    stream_close(&s);
    pa_stop_release(s.options.stop);
  }
}

TEST(a_timeout_wakes_a_consumer_who_polls) {
  for (uint32_t detach = 0; detach <= 1; detach++) {
    stream s;
    stream_init(&s, UINT64_MAX, 0);
    s.options.workers = 2;
    s.options.detach = detach;
    s.options.timeout_ns = 5 * MILLISECONDS;
    stream_open(&s, run_until_stopped);
    CHECK_STATUS(poll_and_read(&s, fd_of(&s), UINT64_MAX), PA_STATUS_DONE, &s.error);
    CHECK_EQ(pa_iter_end(s.iter), PA_END_TIMED_OUT);
    stream_close(&s);
  }
}

static counter supply = COUNTER_INIT;

static int32_t pull_one_when_supplied(void* ctx, void** items, size_t max, size_t* got) {
  stream* s = ctx;
  (void)max;
  counter_wait(&supply, s->from.pulls + 1);
  return stream_pull(s, items, 1, got);
}

// The one worker must not be found in the source while an item is due.
TEST(a_source_that_blocks_keeps_no_retry_from_a_consumer_who_polls) {
  counter_reset(&supply);
  for (int i = 0; i < 1000; i++) counter_up(&supply);
  stream s;
  stream_init(&s, 1200, 1);
  s.source.next = pull_one_when_supplied;
  s.options.workers = 1;
  s.options.retry.attempts = 2;
  s.options.retry.backoff_ns = 100 * MICROSECONDS;
  stream_open(&s, store_and_fail_tenths);
  const int fd = fd_of(&s);
  while (s.count < 900) CHECK_EQ(stream_next(&s), PA_STATUS_OK);
  CHECK_EQ(poll_and_read(&s, fd, 1000), PA_STATUS_OK);
  for (int i = 1000; i < 1200; i++) {
    counter_up(&supply);
    CHECK_EQ(poll_and_read(&s, fd, (uint64_t)i + 1), PA_STATUS_OK);
  }
  counter_up(&supply);
  CHECK_EQ(poll_and_read(&s, fd, UINT64_MAX), PA_STATUS_DONE);
  stream_close(&s);
}

// ---- misuse

TEST(there_is_none_for_the_inline_executor) {
  stream s;
  stream_init(&s, 10, 0);
  s.options.executor = PA_EXECUTOR_INLINE;
  stream_open(&s, store);
  CHECK_STATUS(pa_iter_fd(s.iter, &s.error), PA_STATUS_INVALID, &s.error);
  CHECK_CONTAINS(s.error.message, "options.executor must not be PA_EXECUTOR_INLINE");
  CHECK_STATUS(pa_iter_fd(NULL, &s.error), PA_STATUS_INVALID, &s.error);
  CHECK_CONTAINS(s.error.message, "iter must not be NULL");
  stream_read_to(&s, PA_STATUS_DONE, PA_END_COMPLETED);
  stream_close(&s);
}
