/* The raw layer of Go, package internal/palow. Only integers and pointers to memory of C cross the border: handles are uintptr,
 * structs are laid out in Go as they are in C, live in memory that palow.Alloc gives, and are read and written in place. */

%{
#include <stdlib.h>
%}

/* Who runs the user's function, and holds items, values and messages, is Go: of pa.h it needs what has no callback and no text. */
%rename("$ignore", regextarget=1) "^pa_(map|iter|result|pending|call|get_api|source|drain|status_name|end_name|item_name)";
%rename("$ignore", regextarget=1) "^pa_(job_notify|job_fd|job_room|job_admit|job_end_input|limiter_retain|stop_retain)$";
%rename("$ignore", regextarget=1) "^PA_(EXPORT|API|H$|VERSION|EXECUTOR|KEY|CODE)";
%ignore pa_options; %ignore pa_rate; %ignore pa_retry; %ignore pa_batch; %ignore pa_error; %ignore pa_outcome; %ignore pa_key;
%ignore pa_lease; %ignore pa_chunk; %ignore pa_progress; %ignore pa_api; %ignore pa_job; %ignore pa_limiter; %ignore pa_stop;

/* Numbers have the size that their name says. (SWIG's own stdint.i makes every uintptr_t one of 32 bits.) */
%define NUMBER(C_TYPE, GO_TYPE)
%typemap(gotype) C_TYPE, const C_TYPE & "GO_TYPE"
%typemap(in) C_TYPE %{ $1 = ($1_ltype)$input; %}
%typemap(out) C_TYPE %{ $result = $1; %}
%enddef
NUMBER(int32_t, int32)
NUMBER(pa_status, int32)
NUMBER(uint32_t, uint32)
NUMBER(int64_t, int64)
NUMBER(uint64_t, uint64)
NUMBER(size_t, uintptr)

/* A handle is an address that Go never looks behind. */
%define HANDLE(C_TYPE)
%typemap(gotype) C_TYPE *, const C_TYPE * "uintptr"
%typemap(in) C_TYPE *, const C_TYPE * %{ $1 = ($1_ltype)$input; %}
%typemap(gotype) C_TYPE ** "*uintptr"
%typemap(in) C_TYPE ** %{ $1 = ($1_ltype)$input; %}
%enddef
HANDLE(pa_job)
HANDLE(pa_limiter)
HANDLE(pa_stop)

%define STRUCT(C_TYPE, GO_TYPE)
%typemap(gotype) C_TYPE *, const C_TYPE * "*GO_TYPE"
%typemap(in) C_TYPE *, const C_TYPE * %{ $1 = ($1_ltype)$input; %}
%enddef
STRUCT(pa_lease, Lease)
STRUCT(pa_chunk, Chunk)
STRUCT(pa_progress, Progress)
STRUCT(pa_options, Options)
STRUCT(pa_rate, Rate)
STRUCT(pa_error, Error)
STRUCT(int64_t, int64)
%typemap(gotype) const char * "*byte"
%typemap(in) const char * %{ $1 = ($1_ltype)$input; %}
%typemap(freearg) const char * "" /* SWIG's own would free it: a copy that its own `in` makes */
%typemap(gotype) void * "unsafe.Pointer"
%typemap(in) void * %{ $1 = ($1_ltype)$input; %}
%typemap(out) void * %{ $result = $1; %}

%go_import("unsafe")

/* The structs are laid out again in structs.go, and a test there has the same numbers. */
%{
#define PA_SAME(condition) _Static_assert(condition, #condition ": bindings/go/palow.i says otherwise")
PA_SAME(sizeof(pa_error) == 256);
PA_SAME(sizeof(pa_lease) == 256 && offsetof(pa_lease, attempt) == 24 && offsetof(pa_lease, wait_ns) == 40);
PA_SAME(sizeof(pa_chunk) == 96 && offsetof(pa_chunk, state) == 24 && offsetof(pa_chunk, attempts) == 40);
PA_SAME(offsetof(pa_chunk, wait_ns) == 56);
PA_SAME(sizeof(pa_progress) == 80 && offsetof(pa_progress, end) == 24 && offsetof(pa_progress, wait_ns) == 40);
PA_SAME(sizeof(pa_options) == 304 && offsetof(pa_options, window) == 16 && offsetof(pa_options, limiter) == 48);
PA_SAME(offsetof(pa_options, rate_cost) == 80 && offsetof(pa_options, retry) == 88 && offsetof(pa_options, timeout_ns) == 136);
PA_SAME(offsetof(pa_options, stop) == 160 && offsetof(pa_options, ordered) == 280);
%}

%inline %{
/* Zeroed memory of C, or NULL. */
static void *pa_go_alloc(size_t size) { return calloc(1, size); }
static void pa_go_free(void *memory) { free(memory); }
%}

%include <pa/pa.h>
%include <pa/job.h>
