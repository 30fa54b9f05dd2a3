#include <pa/pa.h>
#include <stdio.h>

static int32_t kind_of(void *ctx, void *item, void **value, pa_call *call) {
  (void)ctx;
  FILE *file = fopen(item, "rb");
  if (!file) return pa_call_fail(call, 1, "can't be opened");  // this item has failed; the others go on
  *value = getc(file) == '#' ? "a script" : "no script";       // any pointer of yours
  return fclose(file);
}

int main(void) {
  void *files[] = {"run", "no-such-file", "LICENSE"};
  pa_result *result;
  if (pa_map(kind_of, NULL, files, 3, NULL, &result, NULL)) return 1;
  pa_outcome file;
  for (uint64_t i = 0; pa_result_at(result, i, &file, NULL) == PA_STATUS_OK; i++)
    printf("%s: %s\n", (char *)files[i], file.state == PA_ITEM_OK ? (char *)file.value : file.message);
  pa_result_free(result);
}
