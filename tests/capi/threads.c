// Many threads at once: runs beside each other, and what they may share.
#include "support.h"

enum { threads = 6 };

static void in_threads(void* (*body)(void*), void* ctx) {
  pthread_t all[threads];
  int made = 0;
  while (made < threads && CHECK(pthread_create(&all[made], NULL, body, ctx) == 0)) made++;
  for (int i = 0; i < made; i++) pthread_join(all[i], NULL);
}

static void* run_maps(void* unused) {
  (void)unused;
  void** items = numbered(500);
  for (int round = 0; round < 30; round++) {
    pa_options options = defaults();
    options.workers = 1 + round % 4;
    pa_result* result = NULL;
    pa_error error;
    if (!CHECK_STATUS(pa_map(echo, NULL, items, 500, &options, &result, &error), PA_STATUS_OK, &error)) break;
    CHECK_EQ(pa_result_ok(result), 1);
    for (uint64_t i = 0; i < 500; i++) CHECK(pa_result_value(result, i) == items[i]);
    pa_result_free(result);
  }
  free(items);
  return NULL;
}

TEST(runs_may_go_on_beside_each_other_with_the_threads_that_they_asked_for) {
  const uint64_t before = settled_thread_count();
  in_threads(run_maps, NULL);
  CHECK_LE(thread_count(), before + threads * 4);  // idle ones stay a while
}

static int32_t nap_as_often_as(void* ctx, void* item, void** value, pa_call* call) {
  (void)item, (void)value, (void)call;
  for (uint32_t i = 0; i < *(uint32_t*)ctx; i++) nap();
  return 0;
}

// Quick at first, then slow: what was learnt about the function is wrong each time.
static void* run_quick_and_slow(void* unused) {
  (void)unused;
  void** items = numbered(20);
  for (uint32_t round = 0; round < 40; round++) {
    uint32_t naps = round % 2;
    pa_options options = defaults();
    options.workers = round % 4 < 2 ? 1 : 3;
    pa_result* result = NULL;
    if (!CHECK_STATUS(pa_map(nap_as_often_as, &naps, items, 20, &options, &result, NULL), PA_STATUS_OK, NULL)) break;
    CHECK_EQ(pa_result_ok(result), 1);
    pa_result_free(result);
  }
  free(items);
  return NULL;
}

TEST(runs_of_one_worker_ask_for_no_threads) {
  const uint64_t before = settled_thread_count();
  in_threads(run_quick_and_slow, NULL);
  CHECK_LE(thread_count(), before + threads * 3);
}

static void* acquire_100(void* limiter) {
  for (int i = 0; i < 100; i++) CHECK_STATUS(pa_limiter_acquire(limiter, 1, -1, NULL), PA_STATUS_OK, NULL);
  return NULL;
}

static void* drain_once(void* unused) {
  (void)unused;
  CHECK_STATUS(pa_drain(-1, NULL), PA_STATUS_OK, NULL);
  return NULL;
}

TEST(the_pool_may_be_drained_by_several_at_once_while_others_use_it) {
  void** items = numbered(8);
  pa_options options = defaults();
  options.workers = 3;
  for (int round = 0; round < 100; round++) {
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) REQUIRE(pthread_create(&threads[i], NULL, drain_once, NULL) == 0);
    for (int i = 0; i < 20; i++) {
      pa_result* result;
      REQUIRE(pa_map(echo, NULL, items, 8, &options, &result, NULL) == PA_STATUS_OK);
      CHECK_EQ(pa_result_ok(result), 1);
      pa_result_free(result);
    }
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
  }
  free(items);
}

TEST(a_limiter_keeps_its_rate_for_all_threads_together) {
  const pa_rate rate = {50000, SECONDS, 3};
  pa_limiter* limiter;
  REQUIRE(pa_limiter_new(&rate, &limiter, NULL) == PA_STATUS_OK);
  const int64_t before = now_ns();
  in_threads(acquire_100, limiter);
  CHECK(now_ns() - before >= (threads * 100 - 3) * 20 * MICROSECONDS);
  pa_limiter_release(limiter);
}

static void* change_everything(void* limiter) {
  for (int i = 1; i <= 200; i++) {
    const pa_rate rate = {1e6 + i, SECONDS, 10};
    CHECK_STATUS(pa_limiter_set_rate(limiter, &rate, NULL), PA_STATUS_OK, NULL);
    CHECK_STATUS(pa_limiter_pause(limiter, i, NULL), PA_STATUS_OK, NULL);
    CHECK_STATUS(pa_limiter_settle(limiter, i % 3 - 1, NULL), PA_STATUS_OK, NULL);
    CHECK(pa_limiter_try(limiter, 1, NULL, NULL) >= 0);
    pa_limiter_retain(limiter);
    CHECK_STATUS(pa_limiter_acquire(limiter, 2, -1, NULL), PA_STATUS_OK, NULL);
    pa_limiter_release(limiter);
  }
  return NULL;
}

TEST(a_limiter_may_be_changed_while_others_wait_for_it) {
  const pa_rate rate = {1e6, SECONDS, 10};
  pa_limiter* limiter;
  REQUIRE(pa_limiter_new(&rate, &limiter, NULL) == PA_STATUS_OK);
  in_threads(change_everything, limiter);
  pa_limiter_release(limiter);
}

typedef struct shared {
  pa_stop* stop;
  counter started;
} shared;

static int32_t say_started_and_wait(void* ctx, void* item, void** value, pa_call* call) {
  shared* s = ctx;
  (void)item, (void)value;
  counter_up(&s->started);
  wait_until_stopped(call);
  return 0;
}

static void* run_or_stop(void* of) {
  shared* s = of;
  void** items = numbered(50);
  pa_options options = defaults();
  options.stop = s->stop;
  options.workers = 2;
  pa_result* result = NULL;
  if (CHECK_STATUS(pa_map(say_started_and_wait, s, items, 50, &options, &result, NULL), PA_STATUS_OK, NULL)) {
    CHECK_EQ(pa_result_end(result), PA_END_CANCELLED);
    pa_result_free(result);
  }
  free(items);
  return NULL;
}

static void* request_stop(void* of) {
  shared* s = of;
  counter_wait(&s->started, 3);
  pa_stop_request(s->stop);
  return NULL;
}

TEST(any_thread_may_request_a_stop_also_several_at_once) {
  for (int round = 0; round < 20; round++) {
    shared s = {NULL, COUNTER_INIT};
    REQUIRE(pa_stop_new(&s.stop, NULL) == PA_STATUS_OK);
    pthread_t stoppers[2];
    for (int i = 0; i < 2; i++) REQUIRE(pthread_create(&stoppers[i], NULL, request_stop, &s) == 0);
    in_threads(run_or_stop, &s);
    for (int i = 0; i < 2; i++) pthread_join(stoppers[i], NULL);
    pa_stop_release(s.stop);
  }
}

static void* retain_and_release(void* stop) {
  for (int i = 0; i < 1000; i++) {
    pa_stop_retain(stop);
    CHECK_LE(pa_stop_requested(stop), 1);
    pa_stop_release(stop);
  }
  return NULL;
}

TEST(owners_may_come_and_go_on_any_thread) {
  pa_stop* stop;
  REQUIRE(pa_stop_new(&stop, NULL) == PA_STATUS_OK);
  in_threads(retain_and_release, stop);
  pa_stop_release(stop);
}

static int32_t echo_all(void* ctx, void* item, void** value, pa_call* call) {
  (void)ctx, (void)call;
  *value = item;
  return 0;
}

static void* start_here_free_there(void* slot) {
  pa_pending** pending = slot;
  static void* items[100];
  CHECK_STATUS(pa_map_start(echo_all, NULL, items, 100, NULL, pending, NULL), PA_STATUS_OK, NULL);
  return NULL;
}

TEST(a_handle_may_be_used_by_another_thread_than_the_one_that_made_it) {
  pa_pending* pending = NULL;
  pthread_t thread;
  REQUIRE(pthread_create(&thread, NULL, start_here_free_there, &pending) == 0);
  pthread_join(thread, NULL);  // the thread that started the run is gone
  CHECK_STATUS(pa_pending_wait(pending, -1, NULL), PA_STATUS_OK, NULL);
  pa_pending_free(pending);
}
