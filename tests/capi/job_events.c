// What comes to a pa_job from outside: stop requests, limiters that change; and how its host hears of it.
#include <errno.h>
#include <sys/resource.h>

#include "pull.h"

static counter told = COUNTER_INIT;
static counter gate = COUNTER_INIT;

static void tell(void* ctx) {
  CHECK(ctx == &told);
  counter_up(&told);
}

static pa_stop* new_stop(void) {
  pa_stop* stop = NULL;
  CHECK_STATUS(pa_stop_new(&stop, NULL), PA_STATUS_OK, NULL);
  return stop;
}

static pa_progress poll_job(pa_job* job) {
  pa_progress progress;
  CHECK_STATUS(pa_job_poll(job, &progress), PA_STATUS_OK, NULL);
  return progress;
}

static void notify_by_tell(pa_job* job) {
  counter_reset(&told);
  CHECK_STATUS(pa_job_notify(job, tell, &told, NULL), PA_STATUS_OK, NULL);
}

TEST(a_stop_ends_the_job_and_is_told) {
  pa_options options = defaults();
  options.stop = new_stop();
  pa_job* job = job_of(&options, 10, 0);
  pa_lease lease = {0};
  notify_by_tell(job);
  pa_stop_request(options.stop);
  counter_wait(&told, 1);
  CHECK_EQ(poll_job(job).end, PA_END_CANCELLED);
  take_expecting(job, &lease, PA_STATUS_DONE);
  FREE_WITH(job, &lease);
  pa_stop_release(options.stop);
}

TEST(a_job_outlives_its_program_s_hold_on_stop_and_limiter) {
  const pa_rate rate = {1, HOURS, 1};
  pa_options options = defaults();
  options.stop = new_stop();
  CHECK_STATUS(pa_limiter_new(&rate, &options.limiter, NULL), PA_STATUS_OK, NULL);
  pa_job* job = job_of(&options, 10, 0);
  pa_lease lease = {0};
  pa_stop_release(options.stop);
  pa_limiter_release(options.limiter);
  take_expecting(job, &lease, PA_STATUS_OK);
  FREE_WITH(job, &lease);
}

TEST(a_job_with_a_requested_stop_runs_nothing) {
  pa_options options = defaults();
  options.stop = new_stop();
  pa_stop_request(options.stop);
  pa_job* job = job_of(&options, 10, 0);
  pa_lease lease = {0};
  take_expecting(job, &lease, PA_STATUS_DONE);
  CHECK_EQ(pa_job_end(job), PA_END_CANCELLED);
  FREE_WITH(job, &lease);
  pa_stop_release(options.stop);
}

TEST(the_descriptor_is_readable_after_an_event_until_poll) {
  pa_options options = defaults();
  options.stop = new_stop();
  pa_job* job = job_of(&options, 10, 0);
  const int32_t descriptor = pa_job_fd(job, NULL);
  CHECK(descriptor >= 0);
  CHECK_EQ(pa_job_fd(job, NULL), descriptor);
  CHECK(!is_readable(descriptor));
  pa_stop_request(options.stop);
  wait_until_readable(descriptor);
  CHECK_EQ(poll_job(job).end, PA_END_CANCELLED);
  CHECK(!is_readable(descriptor));
  pa_job_close(job);
  CHECK(is_readable(descriptor));
  pa_job_free(job);
  pa_stop_release(options.stop);
}

TEST(an_event_before_the_descriptor_was_made_is_not_lost) {
  pa_options options = defaults();
  options.stop = new_stop();
  pa_job* job = job_of(&options, 10, 0);
  pa_stop_request(options.stop);
  CHECK(is_readable(pa_job_fd(job, NULL)));
  counter_reset(&told);
  notify_by_tell(job);
  counter_wait(&told, 1);  // nor for notify
  pa_job_free(job);
  pa_stop_release(options.stop);
}

TEST(a_descriptor_that_can_not_be_made_is_an_error) {
  pa_job* job = job_of(NULL, 10, 0);
  pa_error error;
  struct rlimit before;
  CHECK_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const struct rlimit none = {0, before.rlim_max};
  CHECK_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  const int32_t got = pa_job_fd(job, &error);
  CHECK_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  CHECK_STATUS(got, PA_STATUS_SYSTEM, &error);
  CHECK_EQ(error.detail, EMFILE);
  CHECK(pa_job_fd(job, NULL) >= 0);
  pa_job_free(job);
}

TEST(a_limiter_that_changes_is_told) {
  const pa_rate slow = {1, HOURS, 1}, fast = {1e6, SECONDS, 100};
  pa_options options = defaults();
  options.workers = 4;
  options.batch.max_items = 1;
  CHECK_STATUS(pa_limiter_new(&slow, &options.limiter, NULL), PA_STATUS_OK, NULL);
  pa_job* job = job_of(&options, 10, 0);
  pa_lease a = {0}, b = {0};
  const int32_t descriptor = pa_job_fd(job, NULL);
  take_expecting(job, &a, PA_STATUS_OK);
  take_expecting(job, &b, PA_STATUS_AGAIN);
  CHECK(b.wait_ns > HOURS / 2);
  pa_limiter_set_rate(options.limiter, &fast, NULL);
  wait_until_readable(descriptor);
  poll_job(job);
  pa_status status;
  while ((status = pa_job_take(job, &b)) == PA_STATUS_AGAIN) wait_until_ns(now_ns() + b.wait_ns);
  CHECK_STATUS(status, PA_STATUS_OK, NULL);
  FREE_WITH(job, &a, &b);
  pa_limiter_release(options.limiter);
}

TEST(stop_and_close_are_told) {
  pa_job* job = job_of(NULL, 10, 0);
  notify_by_tell(job);
  pa_job_stop(job);
  counter_wait(&told, 1);
  pa_job_close(job);
  counter_wait(&told, 2);
  pa_job_free(job);
}

static void wait_inside(void* ctx) {
  (void)ctx;
  counter_up(&told);
  counter_wait(&gate, 1);
}

static void* open_gate(void* ctx) {
  (void)ctx;
  counter_up(&gate);
  return NULL;
}

TEST(no_call_is_under_way_when_notify_was_taken_back) {
  pa_job* job = job_of(NULL, 10, 0);
  pthread_t opener;
  counter_reset(&told);
  counter_reset(&gate);
  CHECK_STATUS(pa_job_notify(job, wait_inside, NULL, NULL), PA_STATUS_OK, NULL);
  pa_job_stop(job);
  counter_wait(&told, 1);
  if (pthread_create(&opener, NULL, open_gate, NULL)) abort();
  CHECK_STATUS(pa_job_notify(job, NULL, NULL, NULL), PA_STATUS_OK, NULL);
  CHECK_EQ(counter_value(&gate), 1);
  pthread_join(opener, NULL);
  pa_job_close(job);
  CHECK_EQ(counter_value(&told), 1);
  pa_job_free(job);
}

TEST(notify_may_be_replaced) {
  pa_job* job = job_of(NULL, 10, 0);
  counter_reset(&gate);
  CHECK_STATUS(pa_job_notify(job, wait_inside, NULL, NULL), PA_STATUS_OK, NULL);
  notify_by_tell(job);
  pa_job_stop(job);
  counter_wait(&told, 1);
  pa_job_free(job);
}

typedef struct caller {
  pa_job* job;
  pa_status status;
  pa_error error;
} caller;

static void replace_itself(void* ctx) {
  caller* c = ctx;
  c->status = pa_job_notify(c->job, tell, &told, &c->error);
  counter_up(&told);
}

TEST(notify_can_not_replace_itself) {
  caller c = {job_of(NULL, 10, 0), PA_STATUS_OK, {0}};
  counter_reset(&told);
  CHECK_STATUS(pa_job_notify(c.job, replace_itself, &c, NULL), PA_STATUS_OK, NULL);
  pa_job_stop(c.job);
  counter_wait(&told, 1);
  CHECK_STATUS(c.status, PA_STATUS_INVALID, &c.error);
  CHECK_CONTAINS(c.error.message, "pa_job_notify");
  pa_job_free(c.job);
}

TEST(free_ends_the_thread_that_calls_notify) {
  const uint64_t before = settled_thread_count();
  pa_job* job = job_of(NULL, 10, 0);
  notify_by_tell(job);
  CHECK(thread_count() > before);
  pa_job_free(job);
  CHECK_EQ(settled_thread_count(), before);
}

TEST(drain_neither_waits_for_a_notify_thread_nor_ends_it) {
  pa_options options = defaults();
  options.stop = new_stop();
  pa_job* job = job_of(&options, 10, 0);
  notify_by_tell(job);
  CHECK_STATUS(pa_drain(-1, NULL), PA_STATUS_OK, NULL);
  pa_stop_request(options.stop);
  counter_wait(&told, 1);
  pa_job_free(job);
  pa_stop_release(options.stop);
}

static void* request_stop(void* stop) {
  pa_stop_request(stop);
  return NULL;
}

TEST(a_stop_that_comes_while_the_job_is_freed_is_harmless) {
  for (int round = 0; round < 50; round++) {
    pa_options options = defaults();
    pthread_t other;
    options.stop = new_stop();
    pa_job* job = job_of(&options, 10, 0);
    notify_by_tell(job);
    pa_job_fd(job, NULL);
    if (pthread_create(&other, NULL, request_stop, options.stop)) abort();
    pa_job_free(job);
    pthread_join(other, NULL);
    pa_stop_release(options.stop);
  }
}
