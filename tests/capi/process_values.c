// Values that come from worker processes: of libpa's own codecs, in results, in streams, taken and left.
#include "tasks.h"

#include <sched.h>
#include <stdbool.h>
#include <sys/mount.h>
#include <sys/stat.h>

enum { SIZES = 40 };
static size_t size_of(uintptr_t number) {
  return number % 8 == 7 ? 90000 + number : number;
}  // some are larger than all others together
static char byte_of(uintptr_t number) { return (char)('a' + number % 26); }

static int32_t make_string(void* ctx, void* item, void** value, pa_call* call) {
  (void)ctx, (void)call;
  const uintptr_t number = (uintptr_t)item;
  char* made = malloc(size_of(number) + 1);
  if (!made) return 1;
  memset(made, byte_of(number), size_of(number));
  made[size_of(number)] = 0;
  *value = made;
  return 0;
}

static int32_t make_bytes(void* ctx, void* item, void** value, pa_call* call) {
  char* bytes = NULL;
  if (make_string(ctx, item, (void**)&bytes, call)) return 1;
  *value = pa_bytes_new(bytes, size_of((uintptr_t)item));
  free(bytes);
  return *value == NULL;
}

typedef struct triple {
  uint64_t numbers[3];
} triple;

static int32_t make_triple(void* ctx, void* item, void** value, pa_call* call) {
  (void)ctx, (void)call;
  const uintptr_t number = (uintptr_t)item;
  triple* made = malloc(sizeof *made);
  if (!made) return 1;
  *made = (triple){{number, number * 2, number * 3}};
  *value = made;
  return 0;
}

static bool is_filled(const char* text, size_t size, uintptr_t number) {
  if (size != size_of(number)) return false;
  for (size_t i = 0; i < size; i++)
    if (text[i] != byte_of(number)) return false;
  return true;
}
static bool is_string(const void* value, uintptr_t number) { return is_filled(value, strlen(value), number); }
static bool is_bytes(const void* value, uintptr_t number) {
  const pa_bytes* bytes = value;
  return is_filled(bytes->data, bytes->size, number);
}
static bool is_triple(const void* value, uintptr_t number) {
  const triple* made = value;
  return made->numbers[0] == number && made->numbers[1] == number * 2 && made->numbers[2] == number * 3;
}

typedef bool check_fn(const void* value, uintptr_t number);
static const struct {
  pa_fn fn;
  check_fn* is;
} kinds[] = {{make_string, is_string}, {make_bytes, is_bytes}, {make_triple, is_triple}};
enum { KINDS = sizeof kinds / sizeof *kinds };

static pa_error error;

TEST(values_lie_in_the_result_and_what_is_taken_is_yours) {
  void** items = numbered(SIZES);
  for (int kind = 0; kind < KINDS; kind++) {
    const pa_options options = processes();
    pa_result* result = map_checked(kinds[kind].fn, items, SIZES, &options);
    void* taken[SIZES];
    for (uintptr_t i = 0; i < SIZES; i++) {
      const void* value = pa_result_value(result, i);
      REQUIRE(value);
      CHECK(kinds[kind].is(value, (uintptr_t)items[i]));
      CHECK_EQ((uintptr_t)value % 16, 0);
      taken[i] = NULL;
      if (i % 2) continue;
      CHECK_STATUS(pa_result_take(result, i, &taken[i], &error), PA_STATUS_OK, &error);
      CHECK(pa_result_value(result, i) == NULL);
      void* again = items;
      CHECK_STATUS(pa_result_take(result, i, &again, &error), PA_STATUS_OK, &error);
      CHECK(again == NULL);
    }
    pa_result_free(result);
    for (uintptr_t i = 0; i < SIZES; i += 2) {
      CHECK(kinds[kind].is(taken[i], (uintptr_t)items[i]));
      free(taken[i]);
    }
  }
  free(items);
}

static uint32_t released;
static void count_and_free(void* ctx, void* value) {
  CHECK(ctx == &released);
  COUNT_UP(released);
  free(value);
}

TEST(values_are_released_as_the_options_say) {
  void** items = numbered(SIZES);
  for (int kind = 0; kind < KINDS; kind++) {
    pa_options options = processes();
    options.release_value = count_and_free;
    options.release_ctx = &released;
    const uint32_t before = LOAD(released);
    pa_result* result = map_checked(kinds[kind].fn, items, SIZES, &options);
    void* taken = NULL;
    CHECK_STATUS(pa_result_take(result, 3, &taken, &error), PA_STATUS_OK, &error);
    CHECK(kinds[kind].is(taken, (uintptr_t)items[3]));
    free(taken);
    pa_result_free(result);
    CHECK_EQ(LOAD(released), before + SIZES - 1);
  }
  free(items);
}

TEST(values_of_a_stream_are_yours) {
  for (int kind = 0; kind < KINDS; kind++) {
    numbers from = {.n = SIZES};
    const pa_source source = numbers_source(&from);
    const pa_options options = processes();
    pa_iter* iter = NULL;
    REQUIRE_STATUS(pa_iter_open(kinds[kind].fn, NULL, &source, &options, &iter, &error), PA_STATUS_OK, &error);
    pa_outcome outcome;
    for (int i = 0; i < SIZES / 2; i++) {
      REQUIRE_STATUS(pa_iter_next(iter, &outcome, &error), PA_STATUS_OK, &error);
      CHECK(kinds[kind].is(outcome.value, (uintptr_t)outcome.index + 1));
      free(outcome.value);
    }
    pa_iter_close(iter);  // the address sanitizer sees what is lost of the others
  }
}

// As in a container.
ROLE(live_without_room) {
  REQUIRE(unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0);
  REQUIRE(mount("tmpfs", "/dev/shm", "tmpfs", 0, "size=4k") == 0);
  struct stat shm;
  REQUIRE(stat("/dev/shm", &shm) == 0);
  void** items = numbered(SIZES);
  const pa_options options = processes();
  pa_result* result = map_checked(make_string, items, SIZES, &options);
  CHECK_EQ(count_state(result, PA_ITEM_OK), SIZES);
  pa_result_free(result);
  struct stat after;
  REQUIRE(stat("/dev/shm", &after) == 0);
  CHECK_EQ(after.st_mtim.tv_nsec, shm.st_mtim.tv_nsec);  // nobody has made a file there
  free(items);
}

TEST(no_room_in_dev_shm_is_needed) { check_role("live_without_room"); }

TEST(a_detached_map_has_the_values_that_were_there) {
  void** items = numbered(SIZES);
  pa_options options = processes();
  options.detach = 1;
  options.timeout_ns = 2000000;
  pa_result* result = NULL;
  REQUIRE_STATUS(pa_map(make_bytes, NULL, items, SIZES, &options, &result, &error), PA_STATUS_OK, &error);
  for (uintptr_t i = 0; i < SIZES; i++) {
    const void* value = pa_result_value(result, i);
    CHECK((value != NULL) == (outcome_at(result, i).state == PA_ITEM_OK));
    if (value) CHECK(is_bytes(value, (uintptr_t)items[i]));
  }
  pa_result_free(result);
  CHECK_STATUS(pa_drain(-1, &error), PA_STATUS_OK, &error);
  free(items);
}

__attribute__((constructor(101))) static void register_makers(void) {
  static const char* const names[KINDS] = {"string", "bytes", "triple"};
  for (int kind = 0; kind < KINDS; kind++) {
    pa_task task;
    pa_task_init(&task, sizeof task);
    task.fn = kinds[kind].fn;
    pa_codec_word(&task.item);
    if (kind == 0) pa_codec_string(&task.value);
    if (kind == 1) pa_codec_bytes(&task.value);
    if (kind == 2) pa_codec_struct(&task.value, sizeof(triple));
    if (pa_task_register(names[kind], &task, NULL)) abort();
  }
}
