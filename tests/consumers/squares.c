/* What every consumer project builds: a map over a hundred numbers, and a look at each outcome. */
#include <pa/pa.h>
#include <stdio.h>

enum { count = 100 };

static int32_t square(void *ctx, void *item, void **value, pa_call *call) {
  const int number = *(const int *)item;
  int *squares = (int *)ctx;
  int *slot = squares + pa_call_index(call);
  *slot = number * number;
  *value = slot;
  return number == 13 ? pa_call_fail(call, 13, "unlucky") : 0;
}

int main(void) {
  static int numbers[count], squares[count];
  static void *items[count];
  pa_result *result = NULL;
  pa_error error;
  uint64_t i;

  if (pa_version() != PA_VERSION_MAJOR * 1000000 + PA_VERSION_MINOR * 1000 + PA_VERSION_PATCH) {
    fprintf(stderr, "the header is not of the library that was loaded\n");
    return 1;
  }
  for (i = 0; i < count; i++) {
    numbers[i] = (int)i;
    items[i] = &numbers[i];
  }
  if (pa_map(square, squares, items, count, NULL, &result, &error) != PA_STATUS_OK) {
    fprintf(stderr, "pa_map: %s\n", error.message);
    return 1;
  }
  for (i = 0; i < count; i++) {
    const int *value = (const int *)pa_result_value(result, i);
    if (i == 13 ? value != NULL : value == NULL || *value != (int)(i * i)) {
      fprintf(stderr, "item %d has a wrong outcome\n", (int)i);
      return 1;
    }
  }
  if (pa_result_failed(result) != 1) {
    fprintf(stderr, "one item had to fail\n");
    return 1;
  }
  pa_result_free(result);
  puts("ok");
  return 0;
}
