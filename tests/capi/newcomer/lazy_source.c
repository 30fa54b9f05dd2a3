/* lazy_source: an endless source makes lines on demand (malloc'ed), the function turns a line into a value (malloc'ed)
 * or finds it malformed, and the run ends early by max_errors. Counters show that each line, each value and the source
 * itself were released exactly once, and that values taken with pa_result_take were not released but are ours. */
#include <pa/pa.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINES_MAX 100000 /* room in the counters: the run must end long before */
#define MAX_ERRORS 5
#define TAKE 10

static int wrong = 0;
#define CHECK(what) ((what) ? (void)0 : (void)(wrong++, fprintf(stderr, "line %d: not so: %s\n", __LINE__, #what)))

struct line {
  uint64_t number;
  char text[40];
};
struct parsed {
  uint64_t line_number;
  int sum;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* for what release callbacks count: they come several at a time */
static uint64_t made = 0, source_released = 0;
static unsigned char line_released[LINES_MAX], value_made[LINES_MAX], value_released[LINES_MAX];

static int32_t next_lines(void *ctx, void **items, size_t max, size_t *got) {
  uint64_t *at = ctx;
  for (*got = 0; *got < max && *got < 3 && *at < LINES_MAX; ++*got, ++*at) {
    struct line *line = malloc(sizeof *line);
    if (!line) {
      while (*got > 0) free(items[--*got]); /* "what this call stored is ignored": so it is still ours */
      return 12;
    }
    line->number = *at;
    if (*at % 10 == 9)
      sprintf(line->text, "oops");
    else
      sprintf(line->text, "%d+%d", (int)*at, 1000);
    items[*got] = line;
    made++;
  }
  return 0;
}

static int32_t parse(void *ctx, void *item, void **value, pa_call *call) {
  const struct line *line = item;
  struct parsed *parsed = malloc(sizeof *parsed);
  int a, b;
  (void)ctx;
  if (!parsed) return pa_call_fail(call, 12, "no memory");
  *parsed = (struct parsed){line->number, 0};
  *value = parsed; /* stored also when it fails: libpa releases it then */
  pthread_mutex_lock(&lock);
  value_made[line->number]++;
  pthread_mutex_unlock(&lock);
  if (sscanf(line->text, "%d+%d", &a, &b) != 2) return pa_call_fail(call, 22, line->text);
  parsed->sum = a + b;
  return 0;
}

static void release_line(void *ctx, void *item) {
  (void)ctx;
  pthread_mutex_lock(&lock);
  line_released[((struct line *)item)->number]++;
  pthread_mutex_unlock(&lock);
  free(item);
}

static void release_value(void *ctx, void *value) {
  (void)ctx;
  pthread_mutex_lock(&lock);
  value_released[((struct parsed *)value)->line_number]++;
  pthread_mutex_unlock(&lock);
  free(value);
}

static void release_source(void *ctx) { (void)ctx, source_released++; }

int main(void) {
  uint64_t at = 0, states[6] = {0}, taken = 0, i;
  pa_source source;
  pa_options options;
  pa_result *result;
  pa_outcome o;
  pa_error error;

  pa_source_init(&source, sizeof source);
  source.next = next_lines, source.release_item = release_line, source.release = release_source, source.ctx = &at;
  pa_options_init(&options, sizeof options);
  options.workers = 4, options.window = 32, options.max_errors = MAX_ERRORS, options.release_value = release_value;
  if (pa_map_source(parse, NULL, &source, &options, &result, &error)) return fprintf(stderr, "%s\n", error.message), 1;
  CHECK(source_released == 1 && pa_result_end(result) == PA_END_ABORTED && pa_result_count(result) == made);
  CHECK(pa_result_check(result, &error) == PA_STATUS_ABORTED);
  printf("%s: %s\n", pa_status_name(error.status), error.message);
  for (i = 0; i < pa_result_count(result); i++) {
    CHECK(pa_result_at(result, i, &o, &error) == PA_STATUS_OK && o.state >= PA_ITEM_OK && o.state <= PA_ITEM_CRASHED);
    CHECK(line_released[i] == 1 && value_made[i] == (o.attempts > 0) && value_released[i] == (o.state == PA_ITEM_FAILED));
    if (o.state == PA_ITEM_FAILED)
      CHECK(i % 10 == 9 && o.code == 22 && !strcmp(o.message, "oops") && !o.value);
    else
      CHECK(o.state == PA_ITEM_OK || (o.state == PA_ITEM_ABORTED && o.attempts == 0));
    states[o.state]++;
  }
  CHECK(states[PA_ITEM_FAILED] >= MAX_ERRORS && pa_result_failed(result) == made - states[PA_ITEM_OK]);
  for (i = 0; i < made && taken < TAKE; i++) {
    void *mine;
    if (!pa_result_value(result, i)) continue; /* it failed or was not done */
    CHECK(pa_result_take(result, i, &mine, &error) == PA_STATUS_OK && mine && !pa_result_value(result, i));
    CHECK(((struct parsed *)mine)->sum == (int)i + 1000);
    value_made[i] = 0, taken++; /* ours now: the result must not release it */
    free(mine);
  }
  pa_result_free(result);
  for (i = 0; i < LINES_MAX; i++) CHECK(line_released[i] == (i < made) && value_released[i] == value_made[i]);
  printf("%llu lines made: %llu ok (%llu taken), %llu failed, %llu aborted\n", (unsigned long long)made,
         (unsigned long long)states[PA_ITEM_OK], (unsigned long long)taken, (unsigned long long)states[PA_ITEM_FAILED],
         (unsigned long long)states[PA_ITEM_ABORTED]);
  return wrong != 0;
}
