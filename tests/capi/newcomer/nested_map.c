/* nested_map: a function that itself calls pa_map. The outer items are orders, the inner ones their lines. The inner run
 * gets what is left of the outer item's time and the same stop; where it has failures, pa_result_check puts them into one
 * sentence, which becomes the message of the outer item. The last order fails inside with a wrong argument instead. */
#include <pa/pa.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ORDERS 40
#define LINES 25

static int wrong = 0;
#define CHECK(what) ((what) ? (void)0 : (void)(wrong++, fprintf(stderr, "line %d: not so: %s\n", __LINE__, #what)))

struct order {
  int number;
  void *lines[LINES]; /* each a string: a price, or nonsense */
};

static int32_t parse_price(void *ctx, void *item, void **value, pa_call *call) {
  char *end, message[80];
  long *price = malloc(sizeof *price);
  (void)ctx;
  if (!price) return pa_call_fail(call, 12, "no memory");
  *value = price;
  *price = strtol(item, &end, 10);
  if (!*end) return 0;
  snprintf(message, sizeof message, "'%s' is not a price", (const char *)item);
  return pa_call_fail(call, 22, message);
}

static void release(void *ctx, void *value) {
  (void)ctx;
  free(value);
}

static int32_t total(void *ctx, void *item, void **value, pa_call *call) {
  struct order *order = item;
  pa_options options;
  pa_result *result;
  pa_error error;
  pa_outcome failure;
  uint64_t cursor = 0;
  int32_t code = 0;

  pa_options_init(&options, sizeof options);
  options.stop = ctx; /* a stop of the outer run stops the inner ones, too */
  options.timeout_ns = pa_call_remaining_ns(call);
  options.release_value = release;
  options.workers = order->number == ORDERS - 1 ? PA_WORKERS_MAX + 1 : 3;
  /* A negative status: nothing has run, there is no result. */
  if (pa_map(parse_price, NULL, order->lines, LINES, &options, &result, &error))
    return pa_call_fail(call, error.status, error.message);

  if (pa_result_next_failure(result, &cursor, &failure, NULL) == PA_STATUS_OK) {
    pa_result_check(result, &error);
    code = pa_call_fail(call, failure.code, error.message); /* copied: the result may go */
  } else {
    long *sum = calloc(1, sizeof *sum);
    if (!sum) code = pa_call_fail(call, 12, "no memory");
    for (uint64_t i = 0; sum && i < LINES; i++) *sum += *(long *)pa_result_value(result, i);
    *value = sum;
  }
  pa_result_free(result);
  return code;
}

int main(void) {
  static struct order orders[ORDERS];
  static char texts[ORDERS][LINES][16];
  static void *items[ORDERS];
  pa_options options;
  pa_result *result;
  pa_error error;
  pa_stop *stop;

  for (int n = 0; n < ORDERS; n++) {
    for (int i = 0; i < LINES; i++) {
      sprintf(texts[n][i], n % 10 == 3 && i % 10 == 4 ? "%dx" : "%d", n + i);
      orders[n].lines[i] = texts[n][i];
    }
    orders[n].number = n, items[n] = &orders[n];
  }
  if (pa_stop_new(&stop, &error)) return fprintf(stderr, "%s\n", error.message), 1;
  pa_options_init(&options, sizeof options);
  options.workers = 4, options.stop = stop, options.timeout_ns = (int64_t)600 * 1000000000;
  options.release_value = release;
  if (pa_map(total, stop, items, ORDERS, &options, &result, &error)) return fprintf(stderr, "%s\n", error.message), 1;

  CHECK(pa_result_count(result) == ORDERS && pa_result_end(result) == PA_END_COMPLETED);
  for (int n = 0; n < ORDERS; n++) {
    pa_outcome o;
    CHECK(pa_result_at(result, (uint64_t)n, &o, &error) == PA_STATUS_OK && o.attempts == 1);
    if (n == ORDERS - 1) {
      CHECK(o.state == PA_ITEM_FAILED && o.code == PA_STATUS_INVALID && strstr(o.message, "workers"));
    } else if (n % 10 == 3) {
      char first[40];
      sprintf(first, "'%dx' is not a price", n + 4);
      CHECK(o.state == PA_ITEM_FAILED && o.code == 22 && strstr(o.message, first) && strstr(o.message, "3 of 25"));
    } else {
      CHECK(o.state == PA_ITEM_OK && *(long *)o.value == n * LINES + LINES * (LINES - 1) / 2);
    }
    if (o.state != PA_ITEM_OK) printf("order %d: %s (code %d)\n", n, o.message, (int)o.code);
  }
  CHECK(pa_result_failed(result) == 5 && pa_result_check(result, &error) == PA_STATUS_ITEMS_FAILED);
  printf("%s\n", error.message);
  pa_result_free(result);
  pa_stop_release(stop);
  return wrong != 0;
}
