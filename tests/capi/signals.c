// Real signals: a run that is stopped from a handler, and threads that leave signals alone.
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#include "support.h"

static pa_stop* to_stop;
static pthread_t main_thread;
static uint32_t handled_elsewhere;

static void stop_run(int number) {
  (void)number;
  if (!pthread_equal(pthread_self(), main_thread)) STORE(handled_elsewhere, 1);
  pa_stop_request(LOAD(to_stop));
  (void)pa_stop_requested(LOAD(to_stop));
}

static void handle(int number, void (*handler)(int)) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  CHECK(sigaction(number, &action, NULL) == 0);
}

static int32_t say_ready_and_wait(void* ctx, void* item, void** value, pa_call* call) {
  (void)ctx;
  if (pa_call_index(call) == 0) CHECK(write(1, "r", 1) == 1);
  wait_until_stopped(call);
  *value = item;
  return 0;
}

static void check_cancelled(pa_result* result, uint64_t n) {
  check_result(result);
  CHECK_EQ(pa_result_end(result), PA_END_CANCELLED);
  CHECK_EQ(pa_result_count(result), n);
  CHECK(count_state(result, PA_ITEM_OK) >= 1);
  CHECK_EQ(count_state(result, PA_ITEM_OK) + count_state(result, PA_ITEM_CANCELLED), n);
  CHECK_EQ(LOAD(handled_elsewhere), 0);
  pa_result_free(result);
}

ROLE(map_until_a_signal) {
  main_thread = pthread_self();
  REQUIRE(pa_stop_new(&to_stop, NULL) == PA_STATUS_OK);
  handle(SIGINT, stop_run);
  handle(SIGALRM, stop_run);
  void** items = numbered(1000);
  pa_options options = defaults();
  options.workers = 4;
  options.stop = to_stop;
  pa_result* result;
  pa_error error;
  REQUIRE_STATUS(pa_map(say_ready_and_wait, NULL, items, 1000, &options, &result, &error), PA_STATUS_OK, &error);
  check_cancelled(result, 1000);
  pa_stop_release(to_stop);
  free(items);
}

ROLE(start_and_wait_until_a_signal) {
  main_thread = pthread_self();
  REQUIRE(pa_stop_new(&to_stop, NULL) == PA_STATUS_OK);
  handle(SIGINT, stop_run);
  void** items = numbered(1000);
  pa_options options = defaults();
  options.workers = 4;
  options.stop = to_stop;
  pa_pending* pending;
  pa_error error;
  REQUIRE_STATUS(pa_map_start(say_ready_and_wait, NULL, items, 1000, &options, &pending, &error), PA_STATUS_OK, &error);
  CHECK_STATUS(pa_pending_wait(pending, -1, &error), PA_STATUS_OK, &error);
  pa_result* result;
  REQUIRE_STATUS(pa_pending_take(pending, &result, &error), PA_STATUS_OK, &error);
  check_cancelled(result, 1000);
  pa_pending_free(pending);
  pa_stop_release(to_stop);
  free(items);
}

ROLE(wait_for_a_token_until_a_signal) {
  main_thread = pthread_self();
  REQUIRE(pa_stop_new(&to_stop, NULL) == PA_STATUS_OK);
  handle(SIGINT, stop_run);
  void** items = numbered(1000);
  pa_options options = defaults();
  options.stop = to_stop;
  options.rate.count = 1;
  options.rate.per_ns = HOURS;
  options.workers = 2;
  pa_result* result;
  pa_error error;
  REQUIRE_STATUS(pa_map(say_ready_and_wait, NULL, items, 1000, &options, &result, &error), PA_STATUS_OK, &error);
  check_cancelled(result, 1000);
  pa_stop_release(to_stop);
  free(items);
}

static void signal_when_ready(const char* role, int number) {
  int output;
  char byte;
  const pid_t process = check_role_start(role, &output);
  CHECK(read(output, &byte, 1) == 1);
  kill(process, number);
  check_exit(process);
  close(output);
}

TEST(a_real_sigint_stops_a_run_and_nothing_is_lost) { signal_when_ready("map_until_a_signal", SIGINT); }

TEST(a_real_sigalrm_stops_a_run_and_nothing_is_lost) { signal_when_ready("map_until_a_signal", SIGALRM); }

TEST(a_real_sigint_stops_a_run_in_the_background) { signal_when_ready("start_and_wait_until_a_signal", SIGINT); }

TEST(a_real_sigint_stops_a_run_that_waits_for_tokens) { signal_when_ready("wait_for_a_token_until_a_signal", SIGINT); }

// The handler interrupts the library at any instruction, locks that it holds included, and must not wait for them.
ROLE(signals_at_any_instant) {
  main_thread = pthread_self();
  pa_stop* stops[400];
  for (size_t i = 0; i < 400; i++) REQUIRE(pa_stop_new(&stops[i], NULL) == PA_STATUS_OK);
  STORE(to_stop, stops[0]);
  handle(SIGALRM, stop_run);
  const struct itimerval often = {{0, 70}, {0, 70}};
  setitimer(ITIMER_REAL, &often, NULL);
  void** items = numbered(100);
  for (size_t i = 0; i < 400; i++) {
    STORE(to_stop, stops[i]);
    pa_options options = defaults();
    options.workers = 2;
    options.stop = stops[i];
    options.retry.attempts = UINT32_MAX;
    options.retry.backoff_ns = 1;
    pa_result* result = NULL;
    pa_error error;
    REQUIRE_STATUS(pa_map(fail_with_7, NULL, items, 100, &options, &result, &error), PA_STATUS_OK, &error);
    CHECK_EQ(pa_result_end(result), PA_END_CANCELLED);  // only the handler can end it
    pa_result_free(result);
  }
  const struct itimerval never = {{0, 0}, {0, 0}};
  setitimer(ITIMER_REAL, &never, NULL);
  CHECK_EQ(LOAD(handled_elsewhere), 0);
  for (size_t i = 0; i < 400; i++) pa_stop_release(stops[i]);
  free(items);
}

TEST(a_handler_may_request_a_stop_at_any_instant) { check_role("signals_at_any_instant"); }

// ---- what the library leaves alone

static int32_t check_mask(void* ctx, void* item, void** value, pa_call* call) {
  (void)item, (void)value, (void)call;
  counter* arrived = ctx;
  counter_up(arrived);
  counter_wait(arrived, 4);  // so that four threads take part
  sigset_t mask;
  pthread_sigmask(SIG_BLOCK, NULL, &mask);
  const int on_main = pthread_equal(pthread_self(), main_thread) ? 1 : 0;
  const int numbers[] = {SIGINT, SIGTERM, SIGALRM, SIGUSR1, SIGUSR2, SIGHUP, SIGCHLD, SIGPIPE, SIGQUIT, SIGRTMIN, SIGRTMAX};
  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) CHECK_EQ(sigismember(&mask, numbers[i]), !on_main);
  return 0;
}

TEST(threads_of_the_library_block_all_signals_and_the_callers_mask_stays) {
  main_thread = pthread_self();
  counter arrived = COUNTER_INIT;
  void** items = numbered(4);
  pa_options options = defaults();
  options.workers = 4;
  pa_result* result;
  REQUIRE(pa_map(check_mask, &arrived, items, 4, &options, &result, NULL) == PA_STATUS_OK);
  CHECK_EQ(pa_result_ok(result), 1);
  pa_result_free(result);
  sigset_t mask;
  pthread_sigmask(SIG_BLOCK, NULL, &mask);
  CHECK_EQ(sigismember(&mask, SIGINT), 0);
  free(items);
}

ROLE(no_handler_is_installed) {
  struct sigaction before[65], after;
  memset(before, 0, sizeof before);
  for (int number = 1; number < 65; number++) sigaction(number, NULL, &before[number]);
  void** items = numbered(100);
  pa_options options = defaults();
  options.workers = 3;
  options.timeout_ns = HOURS;
  pa_result* result;
  REQUIRE(pa_map(fail_with_7, NULL, items, 100, &options, &result, NULL) == PA_STATUS_OK);
  pa_result_free(result);
  CHECK_STATUS(pa_drain(-1, NULL), PA_STATUS_OK, NULL);
  for (int number = 1; number < 65; number++) {
    memset(&after, 0, sizeof after);
    if (sigaction(number, NULL, &after) != 0) continue;
    CHECK(after.sa_handler == before[number].sa_handler);
  }
  free(items);
}

TEST(the_library_installs_no_signal_handler) { check_role("no_handler_is_installed"); }
