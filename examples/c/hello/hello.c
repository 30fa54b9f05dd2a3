#include <pa/pa.h>
#include <stdio.h>

static int32_t count_lines(void *ctx, void *item, void **value, pa_call *call) {
  (void)ctx;
  FILE *file = fopen(item, "r");
  if (!file) return pa_call_fail(call, 1, "can't be opened");  // this item has failed; the others go on
  size_t lines = 0;
  for (int c; (c = getc(file)) != EOF;) lines += c == '\n';
  fclose(file);
  *value = (void *)lines;  // any pointer, or a number in its place
  return 0;
}

int main(void) {
  void *files[] = {"LICENSE", "no-such-file", "capi/abi/foreign-symbols.txt"};
  pa_result *result;
  if (pa_map(count_lines, NULL, files, 3, NULL, &result, NULL)) return 1;
  pa_outcome file;
  for (uint64_t i = 0; pa_result_at(result, i, &file, NULL) == PA_STATUS_OK; i++)
    if (file.state == PA_ITEM_OK)
      printf("%s: %zu lines\n", (char *)files[i], (size_t)file.value);
    else
      printf("%s: %s\n", (char *)files[i], file.message);
  pa_result_free(result);
}
