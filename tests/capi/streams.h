// Streams as tests use them: a source of numbered items, a ledger of what was run and released, and a consumer who checks
// each outcome that he is handed.
#ifndef PA_TESTS_STREAMS_H
#define PA_TESTS_STREAMS_H

#include "support.h"

#define ENDLESS (UINT64_C(1) << 18)  // items that a ledger has room for, where the source never ends

typedef struct stream {
  pa_options options;
  pa_source source;
  numbers from;
  ledger l;
  pa_iter* iter;
  pa_outcome outcome;  // the one that was handed out last; its value has been given back to the ledger
  pa_error error;
  uint32_t* given;      // how often each index was handed out
  uint64_t count;       // handed out so far,
  uint64_t failed;      // and of these, failures
  uint64_t came_back;   // what the consumer has come back from
  uint64_t most_ahead;  // how many inputs were asked for and not come back from, at most
  uint32_t closed;      // the source must not be touched
} stream;

// A source of n items (UINT64_MAX: endless), and default options that watch the ledger; change both, then open.
void stream_init(stream* s, uint64_t n, uint64_t at_a_time);
// The stream is the ctx of fn.
void stream_open(stream* s, pa_fn fn);
void stream_open_batch(stream* s, pa_batch_fn fn);
// Hands out the next outcome, and checks what holds for each.
pa_status stream_next(stream* s);
pa_status stream_next_timeout(stream* s, int64_t timeout_ns);
// Notes an outcome that was handed out.
void stream_note(stream* s, const pa_outcome* outcome);
// Reads until no outcome comes; returns the status that came instead.
pa_status stream_read(stream* s);
void stream_read_to(stream* s, pa_status status, int32_t end);  // checks both
// Closes, and checks that everything was released exactly once. With options.detach it waits until that is so.
void stream_close(stream* s);
void stream_check_released(stream* s);  // stream_close in parts:
void stream_free(stream* s);            // pa_iter_close comes before
// The source's next.
int32_t stream_pull(void* ctx, void** items, size_t max, size_t* got);

// Functions to be mapped. Each notes the call, and stores a value that the ledger knows.
int32_t store(void* ctx, void* item, void** value, pa_call* call);
int32_t store_and_fail_tenths(void* ctx, void* item, void** value, pa_call* call);  // 9, 19, 29, ... with code 9
int32_t store_and_fail(void* ctx, void* item, void** value, pa_call* call);
int32_t store_batch(void* ctx, void* const* items, size_t count, void** values, pa_call* call);

#endif
