// Starting runs: the arguments are checked here, before anything happens.
#include "capi/src/map.hpp"

#include <cstring>

namespace pa {

pa_status check_array(const Work& work, pa_error* error) noexcept {
  if (!work.loop) return PA_INVALID(error, "loop must not be NULL: pass pa_item_loop");
  if (work.kind != Kind::range && !work.items && work.count)
    return PA_INVALID(error, "items must not be NULL when n is %llu", static_cast<unsigned long long>(work.count));
  if (work.count > kMostItems)
    return PA_INVALID(error, "n must be at most %llu, got %llu", static_cast<unsigned long long>(kMostItems),
                      static_cast<unsigned long long>(work.count));
  return PA_STATUS_OK;
}

pa_status read_source(const pa_source* source, Work& work, pa_error* error) noexcept {
  if (!source) return PA_INVALID(error, "source must not be NULL");
  const size_t size = source->struct_size;
  if (size < sizeof(pa_source))
    return PA_INVALID(error, "source.struct_size must be sizeof(pa_source), set by pa_source_init, got %zu", size);
  const auto* bytes = reinterpret_cast<const unsigned char*>(source);
  for (size_t i = sizeof(pa_source); i < size; i++)
    if (bytes[i])
      return PA_INVALID(error, "source has a non-zero byte at offset %zu, beyond the %zu that this version of libpa knows",
                        i, sizeof(pa_source));
  if (source->reserved) return PA_INVALID(error, "source.reserved must be 0, got %u", source->reserved);
  if (!source->next) return PA_INVALID(error, "source.next must not be NULL");
  if (source->size_hint != PA_UNSIZED && source->size_hint > kMostItems)
    return PA_INVALID(error, "source.size_hint must be at most %llu, or PA_UNSIZED, got %llu",
                      static_cast<unsigned long long>(kMostItems), static_cast<unsigned long long>(source->size_hint));
  std::memcpy(&work.source, source, sizeof(pa_source));
  work.count = source->size_hint;
  return PA_STATUS_OK;
}

namespace {

bool has_function(const Work& work) { return work.fn || work.batch_fn || work.range_fn; }

}  // namespace

pa_status read_plan(const pa_options* options, const Work& work, Settings& settings, pa_error* error) {
  if (!has_function(work) && !(options && options->executor == PA_EXECUTOR_PROCESSES))
    return PA_INVALID(error, "fn must not be NULL");
  if (const pa_status status = read_options(options, work.kind, work.from_source(), settings, error)) return status;
  if (!has_function(work) && !settings.task) return PA_INVALID(error, "fn must not be NULL, unless options.task is set");
  return staff(work, settings, error);
}

namespace {

pa_status run(const Work& work, const pa_options* options, pa_result** result, pa_error* error) {
  const nanos now = os::now();
  Settings settings;
  if (const pa_status status = read_plan(options, work, settings, error)) return status;
  *result = new pa_result(work, settings, now);
  return (*result)->run(now, error);
}

pa_status map_array(const Work& work, const pa_options* options, pa_result** result, pa_error* error) {
  if (result) *result = nullptr;
  return guarded(error, [&]() -> pa_status {
    if (!result) return PA_INVALID(error, "result must not be NULL");
    if (const pa_status status = check_array(work, error)) return status;
    return run(work, options, result, error);
  });
}

pa_status map_source(Work& work, const pa_source* source, const pa_options* options, pa_result** result, pa_error* error) {
  if (result) *result = nullptr;
  return guarded(error, [&]() -> pa_status {
    if (!result) return PA_INVALID(error, "result must not be NULL");
    if (const pa_status status = read_source(source, work, error)) return status;
    return run(work, options, result, error);
  });
}

}  // namespace
}  // namespace pa

using pa::Kind;
using pa::Work;

pa_status pa_map_loop(pa_loop_fn loop, pa_fn fn, void* ctx, void* const* items, uint64_t n, const pa_options* options,
                      pa_result** result, pa_error* error) {
  Work work;
  work.loop = loop;
  work.fn = fn;
  work.ctx = ctx;
  work.items = items;
  work.count = n;
  return pa::map_array(work, options, result, error);
}

pa_status(pa_map)(pa_fn fn, void* ctx, void* const* items, uint64_t n, const pa_options* options, pa_result** result,
                  pa_error* error) {
  return pa_map_loop(pa_item_loop, fn, ctx, items, n, options, result, error);
}

pa_status pa_map_batch(pa_batch_fn fn, void* ctx, void* const* items, uint64_t n, const pa_options* options,
                       pa_result** result, pa_error* error) {
  Work work;
  work.kind = Kind::batch;
  work.batch_fn = fn;
  work.ctx = ctx;
  work.items = items;
  work.count = n;
  return pa::map_array(work, options, result, error);
}

pa_status pa_map_range(pa_range_fn fn, void* ctx, uint64_t n, const pa_options* options, pa_result** result,
                       pa_error* error) {
  Work work;
  work.kind = Kind::range;
  work.range_fn = fn;
  work.ctx = ctx;
  work.count = n;
  return pa::map_array(work, options, result, error);
}

pa_status pa_map_source(pa_fn fn, void* ctx, const pa_source* source, const pa_options* options, pa_result** result,
                        pa_error* error) {
  Work work;
  work.fn = fn;
  work.ctx = ctx;
  return pa::map_source(work, source, options, result, error);
}

pa_status pa_map_batch_source(pa_batch_fn fn, void* ctx, const pa_source* source, const pa_options* options,
                              pa_result** result, pa_error* error) {
  Work work;
  work.kind = Kind::batch;
  work.batch_fn = fn;
  work.ctx = ctx;
  return pa::map_source(work, source, options, result, error);
}
