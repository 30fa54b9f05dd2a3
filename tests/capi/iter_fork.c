// fork: in a child, a stream that was opened before says so, can be closed, and new ones work.
#include "streams.h"

static stream s;
static counter gate = COUNTER_INIT;
static counter running = COUNTER_INIT;

static void new_streams_work(void) {
  stream new;
  stream_init(&new, 1000, 0);
  new.options.workers = 3;
  stream_open(&new, store_and_fail_tenths);
  stream_read_to(&new, PA_STATUS_DONE, PA_END_COMPLETED);
  CHECK_EQ(new.count, 1000);
  stream_close(&new);
}

TEST(new_streams_work_in_a_child) {
  new_streams_work();
  check_child(new_streams_work);
}

static void says_forked(void) {
  pa_outcome outcome;
  void** values;
  size_t count;
  pa_error error;
  CHECK_STATUS(pa_iter_next(s.iter, &outcome, &error), PA_STATUS_FORKED, &error);
  CHECK_EQ(error.status, PA_STATUS_FORKED);
  CHECK(error.message[0] != 0);
  CHECK_STATUS(pa_iter_next_timeout(s.iter, 0, &outcome, &error), PA_STATUS_FORKED, &error);
  CHECK_STATUS(pa_iter_next_timeout(s.iter, -1, &outcome, NULL), PA_STATUS_FORKED, NULL);
  CHECK_STATUS(pa_iter_next_many(s.iter, &outcome, &values, &count, &error), PA_STATUS_FORKED, &error);
  CHECK_STATUS(pa_iter_fd(s.iter, &error), PA_STATUS_FORKED, &error);
  pa_iter_close(s.iter);
  CHECK_EQ(s.from.released, 0);
  CHECK_EQ(s.l.quiescent, 0);
  new_streams_work();
}

static int32_t wait_at_gate(void* ctx, void* item, void** value, pa_call* call) {
  counter_up(&running);
  counter_wait(&gate, 1);
  return store(ctx, item, value, call);
}

TEST(a_stream_in_progress_says_so_in_the_child_and_goes_on_in_the_parent) {
  for (int round = 0; round < 5; round++) {
    counter_reset(&gate);
    counter_reset(&running);
    stream_init(&s, 1000, 0);
    s.options.workers = 3;
    stream_open(&s, wait_at_gate);
    counter_wait(&running, 1);
    check_child(says_forked);
    counter_up(&gate);
    stream_read_to(&s, PA_STATUS_DONE, PA_END_COMPLETED);
    CHECK_EQ(s.count, 1000);
    stream_close(&s);
  }
}

TEST(so_does_one_that_is_read_halfway) {
  for (int executor = PA_EXECUTOR_THREADS; executor <= PA_EXECUTOR_INLINE; executor++) {
    stream_init(&s, 1000, 0);
    s.options.executor = executor;
    s.options.batch.max_items = 100;
    stream_open_batch(&s, store_batch);
    for (int i = 0; i < 150; i++) CHECK_EQ(stream_next(&s), PA_STATUS_OK);
    if (executor == PA_EXECUTOR_THREADS) check_child(says_forked);
    CHECK_EQ(stream_read(&s), PA_STATUS_DONE);
    CHECK_EQ(s.count, 1000);
    if (executor == PA_EXECUTOR_THREADS) check_child(says_forked);
    stream_close(&s);
  }
}

static void close_and_go_on(void) {
  pa_iter_close(s.iter);
  new_streams_work();
}

// Whatever lock a thread of the parent holds at the fork, the child does not wait for it.
TEST(a_fork_at_any_instant_leaves_the_child_free) {
  for (int round = 0; round < 30; round++) {
    stream_init(&s, UINT64_MAX, 0);
    s.options.workers = 3;
    s.options.window = 50;
    stream_open(&s, store_and_fail_tenths);
    for (int i = 0; i < round * 20; i++) CHECK_EQ(stream_next(&s), PA_STATUS_OK);
    check_child(close_and_go_on);
    CHECK_EQ(stream_next(&s), PA_STATUS_OK);
    stream_close(&s);
  }
}
