/* rate_limited_fan_out: two runs, one in the background, call one service that throttles. They share a limiter; a call
 * that the service turns away ("429, retry after 20 ms") says so with pa_call_retry_after and is tried again, a 404 is
 * not. Shown: every item ends with exactly one outcome, progress counts up by one, and the attempts that the outcomes
 * report are the calls that the service counted. */
#include <pa/pa.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define ITEMS 60
#define TRIES 50

static int wrong = 0;
#define CHECK(what) ((what) ? (void)0 : (void)(wrong++, fprintf(stderr, "line %d: not so: %s\n", __LINE__, #what)))

/* The fake service: at most one call each 500 us, and it is not awake for the first one. */
struct service {
  pthread_mutex_t lock;
  int64_t open_at_ns;
  uint64_t calls, throttled;
};

static int service_get(struct service *s, int id, const char **retry_after) {
  struct timespec t;
  int status = id % 20 == 7 ? 404 : 200;
  pthread_mutex_lock(&s->lock);
  clock_gettime(CLOCK_MONOTONIC, &t);
  int64_t now = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
  if (s->calls++ == 0 || now < s->open_at_ns) {
    s->throttled++;
    status = 429, *retry_after = "0.02";
  } else {
    s->open_at_ns = now + 500000;
  }
  pthread_mutex_unlock(&s->lock);
  return status;
}

static int32_t fetch(void *ctx, void *item, void **value, pa_call *call) {
  const char *retry_after = NULL;
  int status = service_get(ctx, *(int *)item, &retry_after);
  if (status == 429) pa_call_retry_after(call, pa_parse_retry_after(retry_after, -1));
  if (status != 200) return pa_call_fail(call, status, status == 404 ? "no such thing" : "slow down");
  *value = item;
  return 0;
}

static int32_t only_if_throttled(void *ctx, const pa_outcome *failure) {
  (void)ctx;
  return failure->code == 429;
}

/* What the callbacks of one run saw. They come one at a time, so no lock is needed. */
struct view {
  uint64_t last_done, outcomes[ITEMS];
};

static int32_t on_progress(void *ctx, uint64_t done, uint64_t total) {
  struct view *v = ctx;
  CHECK(total == ITEMS && done == v->last_done + 1);
  v->last_done = done;
  return 0;
}

static int32_t on_result(void *ctx, const pa_outcome *outcome) {
  ((struct view *)ctx)->outcomes[outcome->index]++;
  return 0;
}

static uint64_t check_result(const pa_result *result, const struct view *v, int *ids) {
  uint64_t attempts = 0;
  CHECK(pa_result_count(result) == ITEMS && pa_result_end(result) == PA_END_COMPLETED);
  CHECK(v->last_done == ITEMS);
  for (uint64_t i = 0; i < pa_result_count(result); i++) {
    pa_outcome o;
    CHECK(pa_result_at(result, i, &o, NULL) == PA_STATUS_OK && o.index == i && v->outcomes[i] == 1);
    if (ids[i] % 20 == 7)
      CHECK(o.state == PA_ITEM_FAILED && o.code == 404 && !strcmp(o.message, "no such thing"));
    else
      CHECK(o.state == PA_ITEM_OK && o.code == 0 && o.value == &ids[i]);
    CHECK(o.attempts >= 1 && o.attempts <= TRIES);
    attempts += o.attempts;
  }
  return attempts;
}

int main(void) {
  static struct service service = {.lock = PTHREAD_MUTEX_INITIALIZER};
  static struct view views[2];
  static int ids[2][ITEMS];
  static void *items[2][ITEMS];
  pa_rate rate = {.count = 1000, .per_ns = 1000000000, .burst = 8};
  pa_limiter *limiter;
  pa_options options[2];
  pa_pending *pending;
  pa_result *results[2];
  pa_error error;

  if (pa_limiter_new(&rate, &limiter, &error)) return fprintf(stderr, "%s\n", error.message), 1;
  for (int r = 0; r < 2; r++) {
    for (int i = 0; i < ITEMS; i++) ids[r][i] = r * ITEMS + i, items[r][i] = &ids[r][i];
    pa_options_init(&options[r], sizeof options[r]);
    options[r].workers = 8;
    options[r].limiter = limiter;
    options[r].retry.attempts = TRIES;
    options[r].retry.retry_if = only_if_throttled;
    options[r].on_progress = on_progress, options[r].progress_ctx = &views[r];
    options[r].on_result = on_result, options[r].result_ctx = &views[r];
  }
  if (pa_map_start(fetch, &service, items[0], ITEMS, &options[0], &pending, &error) ||
      pa_map(fetch, &service, items[1], ITEMS, &options[1], &results[1], &error) || pa_pending_wait(pending, -1, &error) ||
      pa_pending_take(pending, &results[0], &error))
    return fprintf(stderr, "%s\n", error.message), 1;
  uint64_t attempts = check_result(results[0], &views[0], ids[0]) + check_result(results[1], &views[1], ids[1]);
  CHECK(attempts == service.calls && service.throttled >= 1);
  printf("%d items, %llu attempts, the service counted %llu calls and turned %llu away\n", 2 * ITEMS,
         (unsigned long long)attempts, (unsigned long long)service.calls, (unsigned long long)service.throttled);
  pa_result_free(results[0]), pa_result_free(results[1]), pa_pending_free(pending);
  pa_limiter_release(limiter);
  return wrong != 0;
}
