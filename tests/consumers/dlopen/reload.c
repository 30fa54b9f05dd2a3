/* A program that knows libpa only by dlopen and pa_get_api, as a plugin host does. It loads the library, runs maps, and
 * unloads it again and again: nothing may be left behind, no thread, no descriptor, no mapping. usage: reload LIBRARY */
#include <dirent.h>
#include <dlfcn.h>
#include <pa/pa.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { count = 64, workers = 8, warm_up_rounds = 10, rounds = 100 };

static void *items[count];

static int32_t identity(void *ctx, void *item, void **value, pa_call *call) {
  (void)ctx;
  (void)call;
  *value = item;
  return 0;
}

static int directory_entries(const char *path) {
  DIR *directory = opendir(path);
  int entries = 0;
  if (directory == NULL) return -1;
  while (readdir(directory) != NULL) entries++;
  closedir(directory);
  return entries;
}

/* Lines of this process' memory map that hold `text`; all lines for "". */
static int mappings(const char *text) {
  FILE *file = fopen("/proc/self/maps", "r");
  char line[4096];
  int lines = 0;
  if (file == NULL) return -1;
  while (fgets(line, sizeof line, file) != NULL) lines += strstr(line, text) != NULL;
  fclose(file);
  return lines;
}

/* A thread that was joined may still be listed for a moment: the kernel says that it ended before it forgets it. */
static int only_threads(int threads) {
  const struct timespec pause = {0, 1000000};
  int tries;
  for (tries = 0; tries < 2000; tries++) {
    if (directory_entries("/proc/self/task") == threads) return 1;
    nanosleep(&pause, NULL);
  }
  return 0;
}

static int use(const pa_api *pa) {
  pa_options options;
  pa_result *result = NULL;
  pa_error error;
  uint64_t i;

  pa->options_init(&options, sizeof options);
  options.workers = workers;
  if (pa->map(identity, NULL, items, count, &options, &result, &error) != PA_STATUS_OK) {
    fprintf(stderr, "map: %s\n", error.message);
    return 0;
  }
  for (i = 0; i < count; i++) {
    if (pa->result_value(result, i) != items[i]) {
      fprintf(stderr, "item %d has a wrong value\n", (int)i);
      return 0;
    }
  }
  pa->result_free(result);
  if (pa->drain(-1, &error) != PA_STATUS_OK) {
    fprintf(stderr, "drain: %s\n", error.message);
    return 0;
  }
  return 1;
}

int main(int argc, char **argv) {
  int threads, descriptors, mapped = 0, round;

  if (argc != 2) {
    fprintf(stderr, "usage: %s LIBRARY\n", argv[0]);
    return 2;
  }
  for (round = 0; round < count; round++) items[round] = &items[round];
  threads = directory_entries("/proc/self/task");
  descriptors = directory_entries("/proc/self/fd");

  for (round = 0; round < rounds; round++) {
    const pa_api *(*get_api)(uint32_t);
    const pa_api *pa;
    void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
      fprintf(stderr, "%s\n", dlerror());
      return 1;
    }
    *(void **)&get_api = dlsym(library, "pa_get_api"); /* C has no cast from an object pointer to a function pointer */
    pa = get_api ? get_api(PA_VERSION_MAJOR) : NULL;
    if (pa == NULL || get_api(PA_VERSION_MAJOR + 1) != NULL) {
      fprintf(stderr, "pa_get_api hands out its own major version, and no other\n");
      return 1;
    }
    if (!use(pa)) return 1;
    if (!only_threads(threads)) {
      fprintf(stderr, "round %d: a thread was left after drain\n", round);
      return 1;
    }
    if (dlclose(library) != 0) {
      fprintf(stderr, "%s\n", dlerror());
      return 1;
    }
    if (mappings("libpa.so") != 0) {
      fprintf(stderr, "round %d: the library is still mapped after dlclose\n", round);
      return 1;
    }
    if (directory_entries("/proc/self/fd") != descriptors) {
      fprintf(stderr, "round %d: a descriptor was left open\n", round);
      return 1;
    }
    if (round == warm_up_rounds) mapped = mappings("");
  }
  /* The C library keeps stacks and heaps of threads that ended, for later ones. */
  if (mappings("") > mapped + 2 * workers) {
    fprintf(stderr, "%d mappings after %d rounds, %d after %d\n", mappings(""), rounds, mapped, warm_up_rounds);
    return 1;
  }
  puts("ok");
  return 0;
}
