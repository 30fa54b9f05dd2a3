// pa_job beyond its own threads: signals, and forked children.
#include <signal.h>
#include <unistd.h>

#include "pull.h"

static pa_stop* stop;
static pa_job* job;
static pa_lease lease;
static counter told = COUNTER_INIT;

static void tell(void* ctx) { counter_up(ctx); }

static void on_signal(int number) {
  (void)number;
  pa_stop_request(stop);
}

TEST(a_signal_handler_may_stop_a_job) {
  pa_options options = defaults();
  CHECK_STATUS(pa_stop_new(&stop, NULL), PA_STATUS_OK, NULL);
  options.stop = stop;
  job = job_of(&options, 10, 0);
  counter_reset(&told);
  CHECK_STATUS(pa_job_notify(job, tell, &told, NULL), PA_STATUS_OK, NULL);
  const int32_t descriptor = pa_job_fd(job, NULL);
  signal(SIGUSR1, on_signal);
  raise(SIGUSR1);
  wait_until_readable(descriptor);
  counter_wait(&told, 1);
  pa_progress progress;
  CHECK_STATUS(pa_job_poll(job, &progress), PA_STATUS_OK, NULL);
  CHECK_EQ(progress.end, PA_END_CANCELLED);
  signal(SIGUSR1, SIG_DFL);
  pa_job_free(job);
  pa_stop_release(stop);
}

static void use_what_was_made_before(void) {
  pa_lease fresh = {0};
  pa_chunk chunk;
  pa_progress progress;
  pa_error error;
  CHECK_STATUS(pa_job_take(job, &fresh), PA_STATUS_FORKED, NULL);
  CHECK_STATUS(pa_job_take(job, &lease), PA_STATUS_FORKED, NULL);
  CHECK_STATUS(pa_job_supply(job, &lease, 0, 0), PA_STATUS_FORKED, NULL);
  CHECK_STATUS(pa_job_step(job, &lease, 1), PA_STATUS_FORKED, NULL);
  CHECK_STATUS(pa_job_fail(job, &lease, 0, 0, -1, 1, NULL), PA_STATUS_FORKED, NULL);
  CHECK_STATUS(pa_job_complete(job, &lease, 1), PA_STATUS_FORKED, NULL);
  CHECK_STATUS(pa_job_leave(job, &lease), PA_STATUS_FORKED, NULL);
  CHECK_STATUS(pa_job_next(job, &chunk), PA_STATUS_FORKED, NULL);
  CHECK_EQ(pa_job_room(job), 0);
  CHECK_STATUS(pa_job_admit(job, 1, 0, &progress), PA_STATUS_FORKED, NULL);
  CHECK_STATUS(pa_job_end_input(job, &progress), PA_STATUS_FORKED, NULL);
  CHECK_STATUS(pa_job_poll(job, &progress), PA_STATUS_FORKED, NULL);
  CHECK_STATUS(pa_job_progress(job, &progress), PA_STATUS_FORKED, NULL);
  CHECK_STATUS(pa_job_notify(job, tell, &told, &error), PA_STATUS_FORKED, &error);
  CHECK_CONTAINS(error.message, "the job was made before fork()");
  CHECK_STATUS(pa_job_fd(job, &error), PA_STATUS_FORKED, &error);
  CHECK_STATUS(pa_job_stop(job), PA_STATUS_FORKED, NULL);
  CHECK_STATUS(pa_job_drain(job, &chunk), PA_STATUS_FORKED, NULL);
  CHECK_EQ(pa_job_end(job), PA_END_NONE);
  CHECK_STATUS(pa_job_close(job), PA_STATUS_FORKED, NULL);
  pa_stop_request(stop);  // the parent's descriptor is not to hear of it
  pa_job_free(job);
}

static void make_and_use_a_new_one(void) {
  pa_job_free(job);
  pa_options options = defaults();
  options.batch.max_items = 1;
  pa_job* mine = job_of(&options, 3, PA_JOB_STREAM);
  pa_lease taker = {0};
  pa_chunk chunk;
  counter_reset(&told);
  CHECK_STATUS(pa_job_notify(mine, tell, &told, NULL), PA_STATUS_OK, NULL);
  for (uint64_t i = 0; i < 3; i++) {
    take_index(mine, &taker, i);
    pa_job_complete(mine, &taker, 1);
    CHECK_STATUS(pa_job_next(mine, &chunk), PA_STATUS_OK, NULL);
  }
  CHECK_STATUS(pa_job_next(mine, &chunk), PA_STATUS_DONE, NULL);
  pa_job_free(mine);
}

TEST(a_child_is_told_that_the_job_is_not_its_own) {
  pa_options options = defaults();
  CHECK_STATUS(pa_stop_new(&stop, NULL), PA_STATUS_OK, NULL);
  options.stop = stop;
  options.batch.max_items = 1;
  job = job_of(&options, PA_UNSIZED, PA_JOB_PUSH | PA_JOB_STREAM);
  memset(&lease, 0, sizeof lease);
  pa_progress progress;
  CHECK_STATUS(pa_job_admit(job, 2, 0, &progress), PA_STATUS_OK, NULL);
  CHECK_STATUS(pa_job_notify(job, tell, &told, NULL), PA_STATUS_OK, NULL);
  const int32_t descriptor = pa_job_fd(job, NULL);
  take_index(job, &lease, 0);
  check_child(use_what_was_made_before);
  check_child(make_and_use_a_new_one);
  CHECK(!is_readable(descriptor));
  CHECK_STATUS(pa_job_complete(job, &lease, 1), PA_STATUS_OK, NULL);  // the parent goes on
  take_index(job, &lease, 1);
  pa_job_free(job);
  pa_job_leave(job, &lease);
  pa_stop_release(stop);
}
