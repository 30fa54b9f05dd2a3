/* The raw layer for Java: a class of static methods that only integers, and the text of a Retry-After header, go through. Handles,
 * and addresses of structs, are `long`s. What takes a pointer to a function is left out: a pull binding hands out none.
 *
 * A struct lies in a direct ByteBuffer of Java's. What is read after every call (lease, chunk) Java reads there by the offsets below;
 * what is set once (options, a rate) it sets by the generated accessors. */

%{
#include <stdatomic.h>
#include <stddef.h>
%}

%include "stdint.i"
%javaconst(1);

/* Indices and sizes of libpa stay below 2^62: a long does, where SWIG would make a BigInteger. */
%apply long long { uint64_t, size_t };
typedef int32_t pa_status;

%typemap(jni) SWIGTYPE * "jlong"
%typemap(jtype) SWIGTYPE * "long"
%typemap(jstype) SWIGTYPE * "long"
%typemap(javain) SWIGTYPE * "$javainput"
%typemap(javaout) SWIGTYPE * { return $jnicall; }

/* The one object that crosses the border, once for each buffer that is made. */
%typemap(jni) void *direct_buffer "jobject"
%typemap(jtype) void *direct_buffer "java.nio.ByteBuffer"
%typemap(jstype) void *direct_buffer "java.nio.ByteBuffer"
%typemap(in) void *direct_buffer "$1 = (*jenv)->GetDirectBufferAddress(jenv, $input);"

%define PA_EXPORT
%enddef

%rename("$ignore", regexmatch$name="^pa_(map|iter|result|pending|call|source|key|outcome|api|get_api|drain|notify)") "";
%rename("$ignore", regexmatch$name="^pa_job_(open|free|fd|notify|admit|room|end_input|progress)$") "";
%rename("$ignore", regexmatch$name="^pa_(limiter|stop)_(new|release|retain|acquire)$") "";
%rename("$ignore", regexmatch$name="^PA_EXECUTOR|^PA_KEY|^PA_CODE|^PA_MESSAGE_MAX|^PA_UNSIZED") "";
%rename("$ignore", regexmatch$name="^(retry_if|retry_ctx|on_progress|on_result|item_key|release_value|release_item|worker_start)$") "";
%rename("$ignore", regexmatch$name="^(worker_stop|on_quiescent|progress_ctx|result_ctx|key_ctx|release_ctx|worker_ctx)$") "";
%rename("$ignore", regexmatch$name="^(quiescent_ctx|reserved.*|message|notify|task|process)$") "";
%rename("$ignore", regexmatch$name="^pa_(lease|chunk|progress|error)$") "";
%nodefaultctor;
%nodefaultdtor;

%include "pa/pa.h"
%include "pa/job.h"

/* Handles are counted, so that tests can see that none is left. */
%{
static atomic_llong handles;

static long long made(void *handle) {
  if (handle) atomic_fetch_add(&handles, 1);
  return (long long)(intptr_t)handle;
}

static void dropped(const void *handle) {
  if (handle) atomic_fetch_sub(&handles, 1);
}
%}

%inline %{
/* Handles that were made and not yet dropped. */
static long long live_handles(void) { return atomic_load(&handles); }

/* The three that make a handle return 0 where they failed, and have then filled *error. */
static long long job_new(const pa_options *options, uint64_t count, uint32_t flags, pa_error *error) {
  pa_job *job = NULL;
  pa_job_open(options, count, flags, &job, error);
  return made(job);
}

static void job_drop(pa_job *job) {
  dropped(job);
  pa_job_free(job);
}

static long long limiter_new(const pa_rate *rate, pa_error *error) {
  pa_limiter *limiter = NULL;
  pa_limiter_new(rate, &limiter, error);
  return made(limiter);
}

static void limiter_drop(pa_limiter *limiter) {
  dropped(limiter);
  pa_limiter_release(limiter);
}

static long long stop_new(pa_error *error) {
  pa_stop *stop = NULL;
  pa_stop_new(&stop, error);
  return made(stop);
}

static void stop_drop(pa_stop *stop) {
  dropped(stop);
  pa_stop_release(stop);
}

static void *address_of(void *direct_buffer) { return direct_buffer; }
%}

/* Layouts, which are frozen, but for pa_options, of which only the size is asked. */
%define LAYOUT(name, value)
%javaconst(0) name;
%constant int name = (int)(value);
%enddef
LAYOUT(SIZEOF_OPTIONS, sizeof(pa_options))
LAYOUT(SIZEOF_RATE, sizeof(pa_rate))
LAYOUT(SIZEOF_ERROR, sizeof(pa_error))
LAYOUT(ERROR_MESSAGE, offsetof(pa_error, message))
LAYOUT(SIZEOF_PROGRESS, sizeof(pa_progress))
LAYOUT(PROGRESS_WAKE, offsetof(pa_progress, wake))
LAYOUT(SIZEOF_LEASE, sizeof(pa_lease))
LAYOUT(LEASE_FIRST, offsetof(pa_lease, first))
LAYOUT(LEASE_COUNT, offsetof(pa_lease, count))
LAYOUT(LEASE_COOKIE, offsetof(pa_lease, cookie))
LAYOUT(LEASE_ATTEMPT, offsetof(pa_lease, attempt))
LAYOUT(LEASE_WAKE, offsetof(pa_lease, wake))
LAYOUT(LEASE_WAKE_CONSUMER, offsetof(pa_lease, wake_consumer))
LAYOUT(LEASE_WAIT_NS, offsetof(pa_lease, wait_ns))
LAYOUT(SIZEOF_CHUNK, sizeof(pa_chunk))
LAYOUT(CHUNK_FIRST, offsetof(pa_chunk, first))
LAYOUT(CHUNK_COUNT, offsetof(pa_chunk, count))
LAYOUT(CHUNK_COOKIE, offsetof(pa_chunk, cookie))
LAYOUT(CHUNK_STATE, offsetof(pa_chunk, state))
LAYOUT(CHUNK_ATTEMPTS, offsetof(pa_chunk, attempts))
LAYOUT(CHUNK_WAKE, offsetof(pa_chunk, wake))
LAYOUT(CHUNK_DURATION_NS, offsetof(pa_chunk, duration_ns))
LAYOUT(CHUNK_WAIT_NS, offsetof(pa_chunk, wait_ns))
