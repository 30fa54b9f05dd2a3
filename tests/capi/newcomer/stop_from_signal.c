/* stop_from_signal: far more work than fits; a timer's SIGALRM (or your Ctrl-C) asks the run to stop from the signal
 * handler. The function looks at pa_call_stopped every millisecond and gives up early. What was done by then is
 * reported: that includes the calls that gave up, which are FAILED with the code that they returned. What was never
 * started, and so never done, is CANCELLED. */
#include <errno.h>
#include <pa/pa.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define ITEMS 5000
#define STEPS 10 /* of a millisecond each */

static int wrong = 0;
#define CHECK(what) ((what) ? (void)0 : (void)(wrong++, fprintf(stderr, "line %d: not so: %s\n", __LINE__, #what)))

static pa_stop *stop; /* set before the handler is installed, released after it is gone */

static void on_signal(int number) {
  (void)number;
  pa_stop_request(stop);
}

static void sleep_ms(long ms) {
  struct timespec left = {ms / 1000, ms % 1000 * 1000000};
  while (nanosleep(&left, &left) != 0 && errno == EINTR) {
  } /* the calling thread may help, and gets our signals */
}

struct shared {
  pthread_mutex_t lock;
  uint64_t started, interrupted, reported;
};

static int32_t work(void *ctx, void *item, void **value, pa_call *call) {
  struct shared *s = ctx;
  pthread_mutex_lock(&s->lock);
  s->started++;
  pthread_mutex_unlock(&s->lock);
  for (int step = 0; step < STEPS; step++) {
    if (pa_call_stopped(call)) {
      pthread_mutex_lock(&s->lock);
      s->interrupted++;
      pthread_mutex_unlock(&s->lock);
      return pa_call_fail(call, EINTR, "gave up in the middle");
    }
    sleep_ms(1);
  }
  *value = item;
  return 0;
}

static int32_t report(void *ctx, const pa_outcome *outcome) {
  struct shared *s = ctx;
  s->reported++;
  if (s->reported <= 5) printf("item %llu: state %d\n", (unsigned long long)outcome->index, (int)outcome->state);
  return 0;
}

int main(void) {
  static struct shared shared = {.lock = PTHREAD_MUTEX_INITIALIZER};
  static int data[ITEMS];
  static void *items[ITEMS];
  struct sigaction action, old_alarm, old_int;
  struct sigevent event;
  struct itimerspec when = {.it_value = {0, 100000000}};
  timer_t timer;
  uint64_t states[6] = {0}, ran = 0;
  pa_options options;
  pa_result *result;
  pa_error error;

  for (int i = 0; i < ITEMS; i++) items[i] = &data[i];
  if (pa_stop_new(&stop, &error)) return fprintf(stderr, "%s\n", error.message), 1;
  memset(&action, 0, sizeof action);
  action.sa_handler = on_signal;
  sigaction(SIGALRM, &action, &old_alarm);
  sigaction(SIGINT, &action, &old_int);
  memset(&event, 0, sizeof event);
  event.sigev_notify = SIGEV_SIGNAL, event.sigev_signo = SIGALRM;
  CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0 && timer_settime(timer, 0, &when, NULL) == 0);

  pa_options_init(&options, sizeof options);
  options.workers = 4, options.stop = stop, options.on_result = report, options.result_ctx = &shared;
  if (pa_map(work, &shared, items, ITEMS, &options, &result, &error)) return fprintf(stderr, "%s\n", error.message), 1;
  timer_delete(timer);
  sigaction(SIGALRM, &old_alarm, NULL);
  sigaction(SIGINT, &old_int, NULL);

  CHECK(pa_stop_requested(stop) && pa_result_end(result) == PA_END_CANCELLED && !pa_result_ok(result));
  CHECK(pa_result_count(result) == ITEMS && pa_result_check(result, &error) == PA_STATUS_CANCELLED);
  printf("%s\n", error.message);
  for (uint64_t i = 0; i < ITEMS; i++) {
    pa_outcome o;
    CHECK(pa_result_at(result, i, &o, &error) == PA_STATUS_OK);
    if (o.state == PA_ITEM_OK)
      CHECK(o.value == items[i] && o.attempts == 1);
    else if (o.state == PA_ITEM_FAILED)
      CHECK(o.code == EINTR && o.attempts == 1 && strstr(o.message, "gave up"));
    else
      CHECK(o.state == PA_ITEM_CANCELLED && o.code == 0 && o.attempts == 0);
    states[o.state]++, ran += o.attempts;
  }
  CHECK(ran == shared.started && shared.interrupted == states[PA_ITEM_FAILED]);
  CHECK(shared.reported == states[PA_ITEM_OK] + states[PA_ITEM_FAILED]);
  printf("%llu succeeded, %llu gave up in the middle, %llu were cancelled\n", (unsigned long long)states[PA_ITEM_OK],
         (unsigned long long)states[PA_ITEM_FAILED], (unsigned long long)states[PA_ITEM_CANCELLED]);
  pa_result_free(result);
  pa_stop_release(stop);
  return wrong != 0;
}
