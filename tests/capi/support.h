// What several test programs share: numbered items, functions to be mapped, a ledger of what was run and released how often.
#ifndef PA_TESTS_SUPPORT_H
#define PA_TESTS_SUPPORT_H

#include "check.h"
#include "events.h"

void wait_until_stopped(const pa_call* call);

// n pointers, of which the i-th is the number i + 1. Free it with free().
void** numbered(uint64_t n);
uint64_t number_of(const void* item);  // i

// Functions to be mapped.
int32_t return_0(void* ctx, void* item, void** value, pa_call* call);
int32_t echo(void* ctx, void* item, void** value, pa_call* call);  // *value = item
int32_t fail_with_7(void* ctx, void* item, void** value, pa_call* call);
int32_t count_calls(void* ctx, void* item, void** value, pa_call* call);  // ctx: uint32_t

pa_options defaults(void);
pa_outcome outcome_at(const pa_result* result, uint64_t index);
uint64_t count_state(const pa_result* result, int32_t state);
// Checks what holds for every result: indices, states that fit the end, messages, `ok` and `failed`.
void check_result(const pa_result* result);

// Runs that time out: a body that needs something to have happened before the timeout is repeated with a longer one until
// it did, so that no speed of the machine matters.
#define GROWING_TIMEOUT(timeout_ns, happened) \
  for (int64_t timeout_ns = MILLISECONDS; !(happened) && timeout_ns < HOURS; timeout_ns *= 4)

// How often each numbered item was run and released.
typedef struct ledger {
  uint64_t n;
  uint32_t* calls;
  uint32_t* items_released;
  uint32_t* values_stored;
  uint32_t* values_released;
  uint32_t quiescent;
} ledger;

void ledger_init(ledger* l, uint64_t n);
void ledger_free(ledger* l);
void ledger_call(ledger* l, const void* item);
// Stores a value for the item: a pointer that names it.
void ledger_store(ledger* l, const void* item, void** value);
void ledger_release_item(void* l, void* item);
void ledger_release_value(void* l, void* value);
void ledger_quiescent(void* l);
void ledger_watch(ledger* l, pa_options* options);  // sets release_item, release_value and on_quiescent
uint64_t ledger_total(const uint32_t* counts, uint64_t n);
// Every item released exactly `times`, every stored value released exactly once.
void ledger_check_released(const ledger* l, uint32_t times);

// A source of numbered items.
typedef struct numbers {
  uint64_t n;          // how many; UINT64_MAX: endless
  uint64_t at_a_time;  // at most so many for one call; 0: as many as are asked for
  uint64_t delivered;
  uint32_t pulls;
  uint32_t released;  // times that release was called
  uint32_t busy;      // a call is in progress
  uint64_t items_released;
  ledger* ledger;  // may be NULL
} numbers;
int32_t numbers_next(void* ctx, void** items, size_t max, size_t* got);
void numbers_release_item(void* ctx, void* item);
void numbers_release(void* ctx);
pa_source numbers_source(numbers* from);

#endif
