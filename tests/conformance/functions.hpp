// The named functions that cases apply to their inputs.
#ifndef PA_TESTS_CONFORMANCE_FUNCTIONS_HPP
#define PA_TESTS_CONFORMANCE_FUNCTIONS_HPP

#include <pa/pa.h>

#include <atomic>

#include "case.hpp"

namespace conformance {

// A value of an item: a number that is counted while it lives.
struct Value {
  explicit Value(int64_t n) : number(n) { living++; }
  Value(const Value&) = delete;
  ~Value() { living--; }
  const int64_t number;
  static std::atomic<int64_t> living;
};

// A function at work: the ctx of run_item and run_batch.
struct Program {
  Program(const Function& f, pa_stop* stop_token) : function(f), stop(stop_token) {}
  const Function function;
  pa_stop* const stop;
  std::atomic<uint64_t> calls{0}, now{0}, most_at_once{0};
};

// A pa_fn; item is an int64_t.
int32_t run_item(void* program, void* item, void** value, pa_call* call);

// A pa_batch_fn.
int32_t run_batch(void* program, void* const* items, size_t count, void** values, pa_call* call);

// A pa_retry.retry_if: repeats all but what fail_for_good_on_odd calls final.
int32_t not_final(void*, const pa_outcome* failure);

}  // namespace conformance

#endif
