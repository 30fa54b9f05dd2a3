// pa_map and its siblings as contenders: checked calls, and results that free themselves.
#pragma once
#include <pa/pa.h>

#include <cstdint>
#include <memory>

#include "bodies.hpp"
#include "harness.hpp"
#include "peers.hpp"

namespace bench {

struct ResultDeleter {
  void operator()(pa_result* result) const { pa_result_free(result); }
};
using Result = std::unique_ptr<pa_result, ResultDeleter>;

inline pa_options options_for(uint32_t workers) {
  pa_options options;
  pa_options_init(&options, sizeof options);
  options.workers = workers;
  return options;
}

inline Result completed(pa_status status, pa_result* result, const pa_error& error) {
  if (status != PA_STATUS_OK) fail(error.message);
  Result owned(result);
  require(pa_result_ok(result), "a run of pa did not complete");
  return owned;
}

// The macro of pa.h: the item loop is compiled here.
inline Result run_map(pa_fn body, void* ctx, void* const* items, uint64_t count, const pa_options& options) {
  pa_result* result = nullptr;
  pa_error error{};
  const pa_status status = pa_map(body, ctx, items, count, &options, &result, &error);
  return completed(status, result, error);
}

inline Result run_map_batch(pa_batch_fn body, void* const* items, uint64_t count, const pa_options& options) {
  pa_result* result = nullptr;
  pa_error error{};
  const pa_status status = pa_map_batch(body, nullptr, items, count, &options, &result, &error);
  return completed(status, result, error);
}

inline Result run_map_range(pa_range_fn body, void* ctx, uint64_t count, const pa_options& options) {
  pa_result* result = nullptr;
  pa_error error{};
  const pa_status status = pa_map_range(body, ctx, count, &options, &result, &error);
  return completed(status, result, error);
}

// Starts the pool's threads, so that the next run finds them there.
inline void warm_pool(uint32_t workers) {
  std::vector<void*> items(static_cast<size_t>(workers) * 16);
  for (int i = 0; i < 5; i++) run_map(spin, spin_for(10'000), items.data(), items.size(), options_for(workers));
}

}  // namespace bench
