// What worker processes need of JNI: libpa's threads call Java for inputs, and in a worker Java runs the items. Items and values cross
// the border as bytes, which Java has written and will read. The Java side is libpa.NativeTasks and libpa.ProcessRun.
#include <errno.h>
#include <jni.h>
#include <pa/pa.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { CODE_EXCEPTION = 1, CODE_ERROR = 2, CODE_UNENCODED = 3 };                     // why an item failed: NativeTasks names them, too
enum { RETRY_EXCEPTION = 1, RETRY_ERROR = 2, RETRY_TIMED_OUT = 4, RETRY_CRASHED = 8 };  // what may be repeated
enum { PACKED_NULL = -1, PACKED_REFUSED = -2 };                                      // sizes in what ProcessRun.pull has packed

// Runs, and items and values that are on their way: so that tests can see that none is left.
static atomic_llong blocks;

static void* counted(void* block) {
  if (block) atomic_fetch_add(&blocks, 1);
  return block;
}

static void drop(void* block) {
  if (block) atomic_fetch_sub(&blocks, 1);
  free(block);
}

JNIEXPORT jlong JNICALL Java_libpa_NativeTasks_liveBlocks(JNIEnv* env, jclass type) { return atomic_load(&blocks); }

// ---- threads of libpa

// They are Java's as long as they call it, and no longer: at the end of the program libpa waits for its idle threads, and one that Java
// knows could not end any more.
typedef struct visit {
  JavaVM* vm;
  JNIEnv* env;
  int attached;
} visit;

// False: Java will have no more threads.
static int enter(visit* visit, JavaVM* vm) {
  visit->vm = vm;
  visit->attached = 0;
  if ((*vm)->GetEnv(vm, (void**)&visit->env, JNI_VERSION_1_8) == JNI_OK) return 1;
  char name[] = "libpa-native";
  JavaVMAttachArgs arguments = {JNI_VERSION_1_8, name, NULL};
  visit->attached = (*vm)->AttachCurrentThreadAsDaemon(vm, (void**)&visit->env, &arguments) == JNI_OK;
  return visit->attached;
}

static void leave(const visit* visit) {
  if (visit->attached) (*visit->vm)->DetachCurrentThread(visit->vm);
}

// What is called here catches everything: an exception that comes out is one of the virtual machine at its end.
static int has_thrown(JNIEnv* env) {
  if (!(*env)->ExceptionCheck(env)) return 0;
  (*env)->ExceptionClear(env);
  return 1;
}

static void throw_no_memory(JNIEnv* env, const char* words) {
  jclass type = (*env)->FindClass(env, "java/lang/OutOfMemoryError");
  if (type) (*env)->ThrowNew(env, type, words);
}

// NULL where the virtual machine has no memory; an exception is then pending.
static jbyteArray to_java(JNIEnv* env, const void* data, size_t size) {
  if (size > INT32_MAX - 8) {
    throw_no_memory(env, "more bytes than an array of Java can hold");
    return NULL;
  }
  jbyteArray array = (*env)->NewByteArray(env, (jsize)size);
  if (array) (*env)->SetByteArrayRegion(env, array, 0, (jsize)size, data);
  return array;
}

static pa_bytes* to_bytes(JNIEnv* env, jbyteArray array) {
  const jsize size = (*env)->GetArrayLength(env, array);
  void* data = (*env)->GetPrimitiveArrayCritical(env, array, NULL);
  if (!data) return NULL;
  pa_bytes* bytes = pa_bytes_new(data, (size_t)size);
  (*env)->ReleasePrimitiveArrayCritical(env, array, data, JNI_ABORT);
  return bytes;
}

// A C string, to be given to free().
static char* to_text(JNIEnv* env, jbyteArray array) {
  const jsize size = (*env)->GetArrayLength(env, array);
  char* text = malloc((size_t)size + 1);
  if (!text) return NULL;
  (*env)->GetByteArrayRegion(env, array, 0, size, (jbyte*)text);
  text[size] = '\0';
  return text;
}

static void free_texts(char** texts) {
  for (char** text = texts; text && *text; text++) free(*text);
  free(texts);
}

static char** to_texts(JNIEnv* env, jobjectArray array) {
  const jsize count = (*env)->GetArrayLength(env, array);
  char** texts = calloc((size_t)count + 1, sizeof *texts);
  for (jsize i = 0; texts && i < count; i++) {
    jbyteArray one = (*env)->GetObjectArrayElement(env, array, i);
    texts[i] = to_text(env, one);
    (*env)->DeleteLocalRef(env, one);
    if (texts[i]) continue;
    free_texts(texts);
    return NULL;
  }
  return texts;
}

// ---- in the program: inputs, and whether to repeat

typedef struct run {
  JavaVM* vm;
  jobject object;  // the ProcessRun
  jmethodID pull, may_retry, quiescent;
  int retries;  // RETRY_*
  int asks;     // besides, there is a predicate
  char* task;
} run;

static void free_run(JNIEnv* env, run* run) {
  (*env)->DeleteGlobalRef(env, run->object);
  free(run->task);
  drop(run);
}

// Inputs in the program, and in a worker what the function gets.
typedef struct item {
  int32_t number;  // of its task, by which Java knows it; only in a worker
  char is_null;    // one of Java's: what is NULL to libpa would not come with a number
  size_t size;
  char data[];
} item;

static item* new_item(int32_t number, char is_null, const char* data, size_t size) {
  item* made = counted(malloc(sizeof *made + size));
  if (!made) return NULL;
  made->number = number;
  made->is_null = is_null;
  made->size = size;
  memcpy(made->data, data, size);
  return made;
}

static item refused;  // stands for an item that its codec did not encode: it fails alone, and not the source

static void release_item(void* ctx, void* item) {
  if (item != &refused) drop(item);
}

// The packed bytes are a count, and for each item its size and its bytes. False: there is no memory.
static int unpack(const char* packed, void** items, size_t* got) {
  int32_t count, size;
  memcpy(&count, packed, sizeof count);
  packed += sizeof count;
  for (*got = 0; *got < (size_t)count; ++*got) {
    memcpy(&size, packed, sizeof size);
    packed += sizeof size;
    const size_t bytes = size < 0 ? 0 : (size_t)size;
    items[*got] = size == PACKED_REFUSED ? &refused : new_item(0, size == PACKED_NULL, packed, bytes);
    if (!items[*got]) return 0;
    packed += bytes;
  }
  return 1;
}

static int32_t pull_by(JNIEnv* env, const run* run, void** items, size_t max, size_t* got) {
  const jint most = max > INT32_MAX ? INT32_MAX : (jint)max;
  jbyteArray array = (*env)->CallObjectMethod(env, run->object, run->pull, most);
  if (has_thrown(env) || !array) return -1;  // ProcessRun knows why
  char* packed = (*env)->GetPrimitiveArrayCritical(env, array, NULL);
  const int whole = packed && unpack(packed, items, got);
  if (packed) (*env)->ReleasePrimitiveArrayCritical(env, array, packed, JNI_ABORT);
  (*env)->DeleteLocalRef(env, array);
  if (whole) return 0;
  for (size_t i = 0; i < *got; i++) release_item(NULL, items[i]);
  return ENOMEM;
}

static int32_t pull(void* ctx, void** items, size_t max, size_t* got) {
  const run* run = ctx;
  visit visit;
  *got = 0;
  if (!enter(&visit, run->vm)) return ENOMEM;
  const int32_t code = pull_by(visit.env, run, items, max, got);
  leave(&visit);
  return code;
}

static int ask(JNIEnv* env, const run* run, const pa_outcome* failure) {
  jbyteArray message = to_java(env, failure->message, strlen(failure->message));
  const jboolean retry = message && (*env)->CallBooleanMethod(env, run->object, run->may_retry, (jlong)failure->index,
                                                              (jint)failure->state, (jint)failure->code, message);
  const int thrown = has_thrown(env);
  (*env)->DeleteLocalRef(env, message);
  return !thrown && retry;
}

static int32_t may_retry(void* ctx, const pa_outcome* failure) {
  const run* run = ctx;
  int kind = RETRY_EXCEPTION;
  if (failure->state == PA_ITEM_TIMED_OUT) kind = RETRY_TIMED_OUT;
  else if (failure->state == PA_ITEM_CRASHED) kind = RETRY_CRASHED;
  else if (failure->code == CODE_UNENCODED) return 0;  // it would not be encoded again
  else if (failure->code == CODE_ERROR) kind = RETRY_ERROR;
  if (!(run->retries & kind) || !run->asks) return (run->retries & kind) != 0;
  visit visit;
  if (!enter(&visit, run->vm)) return 0;
  const int retry = ask(visit.env, run, failure);
  leave(&visit);
  return retry;
}

// Nothing will touch the run any more.
static void quiescent(void* ctx) {
  run* run = ctx;
  visit visit;
  if (!enter(&visit, run->vm)) return;  // the virtual machine is going, and everything with it
  (*visit.env)->CallVoidMethod(visit.env, run->object, run->quiescent);
  has_thrown(visit.env);
  free_run(visit.env, run);
  leave(&visit);
}

static int find_methods(JNIEnv* env, run* run) {
  jclass type = (*env)->GetObjectClass(env, run->object);
  run->pull = (*env)->GetMethodID(env, type, "pull", "(I)[B");
  if (run->pull) run->may_retry = (*env)->GetMethodID(env, type, "mayRetry", "(JII[B)Z");
  if (run->may_retry) run->quiescent = (*env)->GetMethodID(env, type, "quiescent", "()V");
  (*env)->DeleteLocalRef(env, type);
  return run->quiescent != NULL;
}

static int32_t never_started(void* ctx) { return 0; }

// Opens a stream by what Settings has written, and the rest. Returns 0 where it failed, and has then filled *error or thrown.
JNIEXPORT jlong JNICALL Java_libpa_NativeTasks_open(JNIEnv* env, jclass type, jobject object, jlong at, jlong size_hint, jbyteArray task,
                                                    jboolean batch, jboolean starts_workers, jint retries, jboolean asks,
                                                    jlongArray numbers, jobjectArray command, jobjectArray environment,
                                                    jbyteArray directory, jlong error_at) {
  pa_options options = *(const pa_options*)(intptr_t)at;
  pa_error* error = (pa_error*)(intptr_t)error_at;
  pa_process process;
  pa_source source;
  pa_iter* iter = NULL;
  jlong number[5];
  error->status = PA_STATUS_NO_MEMORY;
  strcpy(error->message, "out of memory");
  run* made = counted(calloc(1, sizeof *made));
  char** words = to_texts(env, command);
  char** variables = environment ? to_texts(env, environment) : NULL;
  char* folder = directory ? to_text(env, directory) : NULL;
  if (!made || !words || (environment && !variables) || (directory && !folder)) goto failed;
  made->task = to_text(env, task);
  made->object = (*env)->NewGlobalRef(env, object);
  made->retries = retries;
  made->asks = asks;
  if (!made->task || !made->object || (*env)->GetJavaVM(env, &made->vm) || !find_methods(env, made)) goto failed;

  pa_process_init(&process, sizeof process);
  (*env)->GetLongArrayRegion(env, numbers, 0, 5, number);
  process.crash_attempts = (uint32_t)number[0];
  process.max_items = (uint64_t)number[1];
  process.memory_limit = (uint64_t)number[2];
  process.max_crashes = (uint64_t)number[3];
  process.start_timeout_ns = number[4];
  process.directory = folder;
  process.environment = (const char* const*)variables;
  process.command = (const char* const*)words;

  pa_source_init(&source, sizeof source);
  source.next = pull;
  source.release_item = release_item;
  source.ctx = made;
  source.size_hint = (uint64_t)size_hint;  // -1 is PA_UNSIZED

  options.executor = PA_EXECUTOR_PROCESSES;
  options.task = made->task;
  options.process = &process;
  options.retry.retry_if = may_retry;
  options.retry.retry_ctx = made;
  options.on_quiescent = quiescent;
  options.quiescent_ctx = made;
  if (starts_workers) options.worker_start = never_started;  // libpa says that it can't be
  const pa_status status = batch ? pa_iter_open_batch(NULL, NULL, &source, &options, &iter, error)
                                 : (pa_iter_open)(NULL, NULL, &source, &options, &iter, error);
  if (status == PA_STATUS_OK) made = NULL;  // until it is quiescent
failed:
  free_texts(words);
  free_texts(variables);
  free(folder);
  if (made) free_run(env, made);
  return (jlong)(intptr_t)counted(iter);
}

// ---- in the program: outcomes

enum { FACT_STATUS, FACT_INDEX, FACT_STATE, FACT_CODE, FACT_ATTEMPTS, FACT_DURATION, FACT_SIGNAL, FACT_EXIT };

static void tell_death(int32_t code, int64_t* facts) {
  facts[FACT_SIGNAL] = facts[FACT_EXIT] = -1;
  if (code == PA_CODE_GARBAGE) return;
  if (code == PA_CODE_EXITED) facts[FACT_EXIT] = 0;
  else if (code < 0) facts[FACT_SIGNAL] = -(int64_t)code;
  else facts[FACT_EXIT] = code;
}

// Its facts, and its value, or its message where it has none.
static jbyteArray tell_outcome(JNIEnv* env, const pa_outcome* outcome, int64_t* facts) {
  facts[FACT_INDEX] = (int64_t)outcome->index;
  facts[FACT_STATE] = outcome->state;
  facts[FACT_CODE] = outcome->code;
  facts[FACT_ATTEMPTS] = outcome->attempts;
  facts[FACT_DURATION] = outcome->duration_ns;
  if (outcome->state == PA_ITEM_CRASHED) tell_death(outcome->code, facts);
  if (outcome->state != PA_ITEM_OK) return to_java(env, outcome->message, strlen(outcome->message));
  pa_bytes* value = outcome->value;
  if (!value) return NULL;
  jbyteArray bytes = to_java(env, value->data, value->size);
  drop(value);
  return bytes;
}

// The next outcome. timeout_ns is -1 for as long as it takes.
JNIEXPORT jbyteArray JNICALL Java_libpa_NativeTasks_next(JNIEnv* env, jclass type, jlong iter, jlong timeout_ns, jlong facts_at,
                                                         jlong error) {
  int64_t* facts = (int64_t*)(intptr_t)facts_at;
  pa_outcome outcome;
  facts[FACT_STATUS] =
      pa_iter_next_timeout((pa_iter*)(intptr_t)iter, timeout_ns, &outcome, (pa_error*)(intptr_t)error);
  return facts[FACT_STATUS] == PA_STATUS_OK ? tell_outcome(env, &outcome, facts) : NULL;
}

// Likewise of the items that the stream did not hand out, once it is over.
JNIEXPORT jbyteArray JNICALL Java_libpa_NativeTasks_remnant(JNIEnv* env, jclass type, jlong iter, jlong facts_at, jlong error) {
  int64_t* facts = (int64_t*)(intptr_t)facts_at;
  pa_outcome outcome;
  facts[FACT_STATUS] = pa_iter_drain((pa_iter*)(intptr_t)iter, &outcome, (pa_error*)(intptr_t)error);
  return facts[FACT_STATUS] == PA_STATUS_OK ? tell_outcome(env, &outcome, facts) : NULL;
}

JNIEXPORT jint JNICALL Java_libpa_NativeTasks_end(JNIEnv* env, jclass type, jlong iter) { return pa_iter_end((pa_iter*)(intptr_t)iter); }

JNIEXPORT jlong JNICALL Java_libpa_NativeTasks_batchSize(JNIEnv* env, jclass type, jlong iter) {
  return (jlong)pa_iter_batch_size((pa_iter*)(intptr_t)iter);
}

JNIEXPORT void JNICALL Java_libpa_NativeTasks_close(JNIEnv* env, jclass type, jlong iter) {
  atomic_fetch_sub(&blocks, 1);
  pa_iter_close((pa_iter*)(intptr_t)iter);
}

JNIEXPORT jint JNICALL Java_libpa_NativeTasks_drain(JNIEnv* env, jclass type, jlong timeout_ns) { return pa_drain(timeout_ns, NULL); }

// ---- in a worker

// A worker runs one item at a time, on the thread of Java that serves.
static struct {
  JNIEnv* env;
  jclass type;  // NativeTasks
  jmethodID item, batch;
} worker;
static int32_t failure;  // the code of the call that runs; 0: it has not failed

static int32_t failed_badly(pa_call* call) {
  return pa_call_fail(call, CODE_ERROR, "java.lang.VirtualMachineError\nthe virtual machine of the worker failed");
}

static int32_t run_item(void* ctx, void* object, void** value, pa_call* call) {
  JNIEnv* env = worker.env;
  const item* item = object;
  jbyteArray in = item->is_null ? NULL : to_java(env, item->data, item->size);
  if (!item->is_null && !in) {
    has_thrown(env);
    return failed_badly(call);
  }
  failure = 0;
  jbyteArray out = (*env)->CallStaticObjectMethod(env, worker.type, worker.item, (jint)item->number, in, (jlong)pa_call_index(call),
                                                  (jint)pa_call_attempt(call), (jlong)(intptr_t)call);
  int32_t code = has_thrown(env) ? failed_badly(call) : failure;
  if (!code && out && !(*value = counted(to_bytes(env, out)))) code = failed_badly(call);
  (*env)->DeleteLocalRef(env, out);
  (*env)->DeleteLocalRef(env, in);
  return code;
}

// NULL where the virtual machine has no memory.
static jobjectArray to_arrays(JNIEnv* env, void* const* items, size_t count) {
  jclass bytes = (*env)->FindClass(env, "[B");
  jobjectArray all = bytes ? (*env)->NewObjectArray(env, (jsize)count, bytes, NULL) : NULL;
  (*env)->DeleteLocalRef(env, bytes);
  for (size_t i = 0; all && i < count; i++) {
    const item* item = items[i];
    jbyteArray one = item->is_null ? NULL : to_java(env, item->data, item->size);
    if (!item->is_null && !one) {
      (*env)->DeleteLocalRef(env, all);
      return NULL;
    }
    (*env)->SetObjectArrayElement(env, all, (jsize)i, one);
    (*env)->DeleteLocalRef(env, one);
  }
  return all;
}

static int32_t run_batch(void* ctx, void* const* items, size_t count, void** values, pa_call* call) {
  JNIEnv* env = worker.env;
  jobjectArray in = to_arrays(env, items, count);
  if (!in) {
    has_thrown(env);
    return failed_badly(call);
  }
  jobjectArray out =
      (*env)->CallStaticObjectMethod(env, worker.type, worker.batch, ((const item*)items[0])->number, in, (jlong)pa_call_index(call),
                                     (jint)pa_call_attempt(call), (jlong)(intptr_t)call);
  int32_t code = has_thrown(env) || !out ? failed_badly(call) : 0;
  for (size_t i = 0; !code && i < count; i++) {
    jbyteArray one = (*env)->GetObjectArrayElement(env, out, (jsize)i);
    if (one && !(values[i] = counted(to_bytes(env, one)))) code = failed_badly(call);
    (*env)->DeleteLocalRef(env, one);
  }
  (*env)->DeleteLocalRef(env, out);
  (*env)->DeleteLocalRef(env, in);
  return code;
}

// Notes why the call fails; code 0: it gives up since it is stopped. position: -1, or that of the item in its batch.
JNIEXPORT void JNICALL Java_libpa_NativeTasks_fail(JNIEnv* env, jclass type, jlong call_at, jint position, jint code,
                                                   jbyteArray message, jlong server_wait_ns) {
  pa_call* call = (pa_call*)(intptr_t)call_at;
  char text[PA_MESSAGE_MAX + 1];
  const jsize size = (*env)->GetArrayLength(env, message);
  const jsize kept = size < PA_MESSAGE_MAX ? size : PA_MESSAGE_MAX;
  (*env)->GetByteArrayRegion(env, message, 0, kept, (jbyte*)text);
  text[kept] = '\0';
  if (!code) code = PA_CODE_STOPPED;
  if (server_wait_ns >= 0) pa_call_retry_after(call, server_wait_ns);
  if (position < 0) failure = pa_call_fail(call, code, text);
  else pa_call_fail_at(call, (size_t)position, code, text);
}

JNIEXPORT jboolean JNICALL Java_libpa_NativeTasks_isStopped(JNIEnv* env, jclass type, jlong call) {
  return pa_call_stopped((const pa_call*)(intptr_t)call) != 0;
}

JNIEXPORT jlong JNICALL Java_libpa_NativeTasks_remaining(JNIEnv* env, jclass type, jlong call) {
  return pa_call_remaining_ns((const pa_call*)(intptr_t)call);
}

// ---- in both

static int32_t encode_item(void* ctx, const void* object, pa_buffer* out) {
  const item* item = object;
  if (item == &refused) return CODE_UNENCODED;
  if (pa_buffer_append(out, &item->is_null, 1)) return ENOMEM;
  return pa_buffer_append(out, item->data, item->size) ? ENOMEM : 0;
}

// All tasks have the same functions. The number of the task comes with each item, and not by the codec of a context: that would make a worker
// begin anew with each run.
static int32_t decode_item(void* ctx, const void* data, size_t size, void** object) {
  const char* bytes = data;
  if (size < 1) return EBADMSG;
  return (*object = new_item((int32_t)(intptr_t)ctx, bytes[0], bytes + 1, size - 1)) ? 0 : ENOMEM;
}

static int32_t encode_value(void* ctx, const void* object, pa_buffer* out) {
  const pa_bytes* bytes = object;
  return pa_buffer_append(out, bytes->data, bytes->size) ? ENOMEM : 0;
}

static int32_t decode_value(void* ctx, const void* data, size_t size, void** object) {
  return (*object = counted(pa_bytes_new(data, size))) ? 0 : ENOMEM;
}

static void release_value(void* ctx, void* object) { drop(object); }

// number: from 1.
JNIEXPORT void JNICALL Java_libpa_NativeTasks_register(JNIEnv* env, jclass type, jbyteArray name, jint number, jboolean batch,
                                                       jlong error_at) {
  pa_error* error = (pa_error*)(intptr_t)error_at;
  error->status = PA_STATUS_NO_MEMORY;
  strcpy(error->message, "out of memory");
  char* text = to_text(env, name);
  if (!text) return;
  pa_task task;
  pa_task_init(&task, sizeof task);
  if (batch) task.batch_fn = run_batch;
  else task.fn = run_item;
  const pa_codec item = {encode_item, decode_item, release_item, (void*)(intptr_t)number, {NULL, NULL}};
  const pa_codec value = {encode_value, decode_value, release_value, NULL, {NULL, NULL}};
  task.item = item;
  task.value = value;
  if (pa_task_register(text, &task, error) == PA_STATUS_OK) error->status = PA_STATUS_OK;
  free(text);
}

JNIEXPORT jboolean JNICALL Java_libpa_NativeTasks_isWorker(JNIEnv* env, jclass type) { return pa_worker_requested() != 0; }

JNIEXPORT void JNICALL Java_libpa_NativeTasks_serve(JNIEnv* env, jclass type, jlong error_at) {
  pa_error* error = (pa_error*)(intptr_t)error_at;
  worker.env = env;
  worker.type = type;
  worker.item = (*env)->GetStaticMethodID(env, type, "runItem", "(I[BJIJ)[B");
  if (worker.item) worker.batch = (*env)->GetStaticMethodID(env, type, "runBatch", "(I[[BJIJ)[[B");
  if (!worker.batch) return;  // an error is pending
  error->status = PA_STATUS_OK;
  pa_worker_serve(error);
}
