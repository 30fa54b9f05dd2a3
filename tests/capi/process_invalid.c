// What is said, before anything is run, of tasks, codecs and options for worker processes that can't be.
#include "tasks.h"

#include <errno.h>

static pa_error error;

static int32_t nobody_knows(void* ctx, void* item, void** value, pa_call* call) {
  (void)ctx, (void)item, (void)value, (void)call;
  return 0;
}

static pa_task a_task(void) {
  pa_task task;
  pa_task_init(&task, sizeof task);
  task.fn = nobody_knows;
  pa_codec_word(&task.item);
  return task;
}

static void refuse_task(const char* name, const pa_task* task, const char* words) {
  CHECK_STATUS(pa_task_register(name, task, &error), PA_STATUS_INVALID, &error);
  CHECK_CONTAINS(error.message, words);
}

TEST(tasks_that_can_not_be) {
  pa_task task = a_task();
  refuse_task(NULL, &task, "name");
  refuse_task("", &task, "name");
  refuse_task("x", NULL, "task");
  char long_name[257];
  memset(long_name, 'n', 256);
  long_name[256] = 0;
  refuse_task(long_name, &task, "255");
  task.struct_size = 0;
  refuse_task("x", &task, "struct_size");
  task = a_task();
  task.fn = NULL;
  refuse_task("x", &task, "batch_fn");
  task = a_task();
  task.item.encode = NULL;
  refuse_task("x", &task, "task.item");
  task = a_task();
  task.item.encode = NULL;
  task.item.decode = NULL;
  refuse_task("x", &task, "task.item.encode");
  task = a_task();
  pa_codec_word(&task.value);
  task.value.decode = NULL;
  refuse_task("x", &task, "task.value");
  task = a_task();
  task.value.reserved[1] = &task;
  refuse_task("x", &task, "reserved");
  task = a_task();
  task.reserved0 = 1;
  refuse_task("x", &task, "reserved0");
  task = a_task();
  refuse_task("obey", &task, "another task");
}

TEST(the_same_task_again_is_no_error) {
  pa_task task;
  pa_task_init(&task, sizeof task);
  task.fn = square;
  pa_codec_word(&task.item);
  pa_codec_word(&task.value);
  CHECK_STATUS(pa_task_register("square", &task, &error), PA_STATUS_OK, &error);
}

static void refuse_run(pa_fn fn, void* ctx, const pa_options* options, const char* words) {
  void* items[] = {NULL, NULL};
  pa_result* result = (pa_result*)items;
  CHECK_STATUS(pa_map(fn, ctx, items, 2, options, &result, &error), PA_STATUS_INVALID, &error);
  CHECK_CONTAINS(error.message, words);
  CHECK(result == NULL);
}

// The codec's ctx says what the function is to do: how other languages register all of theirs.
static int32_t twice_the_word(void* ctx, void* item, void** value, pa_call* call) {
  (void)call;
  *value = (void*)((uintptr_t)item * 2 + *(const uintptr_t*)ctx);
  return 0;
}
static int32_t encode_nothing(void* ctx, const void* object, pa_buffer* out) {
  (void)ctx, (void)object, (void)out;
  return 0;
}
static int32_t decode_own(void* ctx, const void* data, size_t size, void** object) {
  (void)data, (void)size;
  *object = ctx;
  return 0;
}
static uintptr_t one = 1, five = 5;

TEST(a_function_with_several_names_is_told_which_it_has) {
  static char anything;
  void* items[] = {(void*)10, (void*)20};
  pa_options options = processes();
  refuse_run(twice_the_word, &anything, &options, "options.task must say which");
  const char* names[] = {"and one", "and five"};
  const uintptr_t expected[] = {21, 41, 25, 45};
  for (int i = 0; i < 2; i++) {
    options.task = names[i];
    pa_result* result = NULL;
    REQUIRE_STATUS(pa_map(twice_the_word, &anything, items, 2, &options, &result, &error), PA_STATUS_OK, &error);
    CHECK_EQ((uintptr_t)pa_result_value(result, 0), expected[2 * i]);
    CHECK_EQ((uintptr_t)pa_result_value(result, 1), expected[2 * i + 1]);
    pa_result_free(result);
  }
}

static int32_t start_worker(void* ctx) { return ctx != NULL; }

TEST(runs_that_can_not_be) {
  pa_options options = processes();
  refuse_run(nobody_knows, NULL, &options, "\"obey\", \"square\"");
  refuse_run(NULL, NULL, &options, "fn must not be NULL");
  refuse_run(obey, &options, &options, "no codec");
  options.task = "nothing";
  refuse_run(NULL, NULL, &options, "\"nothing\"");
  options.task = "square";
  refuse_run(obey, NULL, &options, "\"square\"");
  options = processes();
  options.worker_start = start_worker;
  refuse_run(obey, NULL, &options, "worker_start");
  options = defaults();
  options.task = "obey";
  refuse_run(obey, NULL, &options, "options.task");
  const pa_process process = process_defaults();
  options = defaults();
  options.process = &process;
  refuse_run(obey, NULL, &options, "options.process");

  options = processes();
  void* items[] = {NULL};
  pa_result* result = NULL;
  CHECK_STATUS(pa_map_batch(NULL, NULL, items, 1, &options, &result, &error), PA_STATUS_INVALID, &error);
  options.task = "square";
  CHECK_STATUS(pa_map_batch(NULL, NULL, items, 1, &options, &result, &error), PA_STATUS_INVALID, &error);
  CHECK_CONTAINS(error.message, "batch_fn");
}

static int32_t no_range(void* ctx, uint64_t first, uint64_t count, pa_call* call) {
  (void)ctx, (void)first, (void)count, (void)call;
  return 0;
}

TEST(ranges_stay_in_the_program) {
  const pa_options options = processes();
  pa_result* result = NULL;
  CHECK_STATUS(pa_map_range(no_range, NULL, 10, &options, &result, &error), PA_STATUS_INVALID, &error);
  CHECK_CONTAINS(error.message, "pa_map_range");
}

static void refuse_process(const pa_process* process, const char* words) {
  pa_options options = processes();
  options.process = process;
  refuse_run(obey, NULL, &options, words);
}

TEST(process_options_that_can_not_be) {
  pa_process process = process_defaults();
  process.struct_size = 3;
  refuse_process(&process, "struct_size");
  process = process_defaults();
  process.crash_attempts = 0;
  refuse_process(&process, "crash_attempts");
  process = process_defaults();
  process.max_crashes = 0;
  refuse_process(&process, "max_crashes");
  process = process_defaults();
  process.start_timeout_ns = 0;
  refuse_process(&process, "start_timeout_ns");
  process = process_defaults();
  process.directory = "/nowhere";
  refuse_process(&process, "/nowhere");
  const char* nothing[] = {NULL};
  process = process_defaults();
  process.command = nothing;
  refuse_process(&process, "command");
}

TEST(one_that_is_no_worker_does_not_serve) {
  CHECK_EQ(pa_worker_requested(), 0);
  CHECK_STATUS(pa_worker_serve(&error), PA_STATUS_INVALID, &error);
  CHECK_CONTAINS(error.message, "not started to be a worker");
}

// ---- codecs that fail

static int32_t encode_odd(void* ctx, const void* object, pa_buffer* out) {
  (void)ctx;
  if ((uintptr_t)object % 2 == 0) return 21;
  if (object == (void*)9) {  // there is no room for that, whatever is returned
    CHECK_EQ(pa_buffer_append(out, &object, SIZE_MAX / 4), PA_STATUS_NO_MEMORY);
    return 0;
  }
  const char behind[16] = "";  // records of all sizes
  return pa_buffer_append(out, &object, sizeof object) || pa_buffer_append(out, behind, (uintptr_t)object / 2 % 16);
}
static int32_t decode_below_100(void* ctx, const void* data, size_t size, void** object) {
  (void)ctx;
  uintptr_t number = 0;
  if ((uintptr_t)data % 16 != 0 || ((const char*)data)[size] != 0) return 23;
  memcpy(&number, data, sizeof number);
  if (number >= 100) return 22;
  *object = (void*)number;
  return 0;
}
static uint32_t values_released;  // in this process
static void count_release(void* ctx, void* object) {
  (void)ctx, (void)object;
  COUNT_UP(values_released);
}
static int32_t times_ten(void* ctx, void* item, void** value, pa_call* call) {
  (void)ctx, (void)call;
  *value = (void*)((uintptr_t)item * 10 + 1);  // odd
  if (item == (void*)7) *value = (void*)2;     // even: can't be encoded
  return 0;
}

TEST(what_a_codec_refuses_fails_alone) {
  enum { N = 120 };
  void** items = numbered(N);
  const pa_options options = processes();
  pa_result* result = NULL;
  REQUIRE_STATUS(pa_map(times_ten, NULL, items, N, &options, &result, &error), PA_STATUS_OK, &error);
  check_result(result);
  for (uint64_t i = 0; i < N; i++) {
    const uint64_t number = i + 1;
    const pa_outcome outcome = outcome_at(result, i);
    if (number == 9) {
      CHECK_EQ(outcome.code, ENOMEM);
      CHECK_CONTAINS(outcome.message, "item could not be encoded");
    } else if (number % 2 == 0) {
      CHECK_EQ(outcome.code, 21);
      CHECK_CONTAINS(outcome.message, "item could not be encoded");
    } else if (number >= 100) {
      CHECK_EQ(outcome.code, 22);
      CHECK_CONTAINS(outcome.message, "item could not be decoded");
    } else if (number == 7) {
      CHECK_EQ(outcome.code, 21);
      CHECK_CONTAINS(outcome.message, "value could not be encoded");
    } else if (number * 10 + 1 >= 100) {
      CHECK_EQ(outcome.code, 22);
      CHECK_CONTAINS(outcome.message, "value could not be decoded");
    } else {
      CHECK_EQ((uintptr_t)outcome.value, number * 10 + 1);
    }
  }
  const uint64_t values = count_state(result, PA_ITEM_OK);
  pa_result_free(result);
  CHECK(values > 0);
  CHECK_EQ(LOAD(values_released), values);  // by the codec that made them, as no option says otherwise
  free(items);
}

TEST(bytes_and_structs) {
  char abc[] = {'a', 0, 'c'};
  pa_bytes* bytes = pa_bytes_new(abc, 3);
  CHECK_EQ(bytes->size, 3);
  CHECK_EQ(memcmp(bytes->data, abc, 3), 0);
  free(bytes);
  bytes = pa_bytes_new(NULL, 0);
  CHECK_EQ(bytes->size, 0);
  free(bytes);
  pa_codec codec;
  void* object = NULL;
  pa_codec_struct(&codec, 4);
  CHECK_EQ(codec.decode(codec.ctx, "abcd", 4, &object), 0);
  CHECK_EQ(memcmp(object, "abcd", 4), 0);
  codec.release(codec.ctx, object);
  CHECK(codec.decode(codec.ctx, "abcde", 5, &object) != 0);
  pa_codec_word(&codec);
  CHECK(codec.decode(codec.ctx, "abc", 3, &object) != 0);
  pa_codec_bytes(&codec);
  CHECK_EQ(codec.decode(codec.ctx, "abcde", 5, &object), 0);
  CHECK_EQ(((pa_bytes*)object)->size, 5);
  codec.release(codec.ctx, object);
}

__attribute__((constructor(101))) static void register_odd_codec(void) {
  pa_task task;
  pa_task_init(&task, sizeof task);
  task.fn = times_ten;
  task.item.encode = encode_odd;
  task.item.decode = decode_below_100;
  task.value = task.item;
  task.value.release = count_release;
  if (pa_task_register("times_ten", &task, &error)) abort();

  pa_task_init(&task, sizeof task);
  task.fn = twice_the_word;
  pa_codec_word(&task.item);
  pa_codec_word(&task.value);
  task.context.encode = encode_nothing;
  task.context.decode = decode_own;
  task.context.ctx = &one;
  if (pa_task_register("and one", &task, &error)) abort();
  task.context.ctx = &five;
  if (pa_task_register("and five", &task, &error)) abort();
}
