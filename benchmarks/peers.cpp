#include "peers.hpp"

#include <tbb/blocked_range.h>
#include <tbb/global_control.h>
#include <tbb/parallel_for.h>
#include <tbb/parallel_pipeline.h>

#include <algorithm>
#include <execution>

#include "bodies.hpp"
#include "harness.hpp"

extern "C" {
bool rayon_peer_start(size_t threads);
void* rayon_peer_map(pa_fn body, void* const* items, size_t count);
uint64_t rayon_peer_value(const void* values, size_t index);
void rayon_peer_free(void* values);
}

namespace bench {
namespace {

void* call(pa_fn body, void* ctx, void* item) {
  void* value = nullptr;
  body(ctx, item, &value, nullptr);
  return value;
}

}  // namespace

void start_peers() {
  static tbb::global_control threads(tbb::global_control::max_allowed_parallelism, kWorkers);
  static const bool rayon_started = rayon_peer_start(kWorkers);
  require(rayon_started, "rayon's pool can't be set up");
}

void tbb_auto(const Loop& loop) {
  tbb::parallel_for(
      tbb::blocked_range<uint64_t>(0, loop.count),
      [&](const tbb::blocked_range<uint64_t>& part) {
        serial(loop.body, loop.ctx, loop.items, loop.values, part.begin(), part.end());
      },
      tbb::auto_partitioner());
}

void openmp_static(const Loop& loop) {
  const Loop l = loop;
#pragma omp parallel for schedule(static) num_threads(kWorkers) firstprivate(l)
  for (uint64_t i = 0; i < l.count; i++) l.values[i] = call(l.body, l.ctx, l.items[i]);
}

void openmp_guided(const Loop& loop) {
  const Loop l = loop;
#pragma omp parallel for schedule(guided) num_threads(kWorkers) firstprivate(l)
  for (uint64_t i = 0; i < l.count; i++) l.values[i] = call(l.body, l.ctx, l.items[i]);
}

void openmp_dynamic(const Loop& loop, uint32_t threads) {
  const Loop l = loop;
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads) firstprivate(l)
  for (uint64_t i = 0; i < l.count; i++) l.values[i] = call(l.body, l.ctx, l.items[i]);
}

void std_transform(const Loop& loop) {
  std::transform(std::execution::par, loop.items, loop.items + loop.count, loop.values,
                 [body = loop.body, ctx = loop.ctx](void* item) { return call(body, ctx, item); });
}

uint64_t tbb_pipeline(pa_fn body, void* ctx, uint64_t count) {
  uint64_t at = 0, sum = 0;
  const auto source = [&](tbb::flow_control& flow) -> uint64_t {
    if (at == count) {
      flow.stop();
      return 0;
    }
    return at++;
  };
  const auto work = [=](uint64_t item) { return call(body, ctx, reinterpret_cast<void*>(static_cast<uintptr_t>(item))); };
  const auto sink = [&](void* value) { sum += reinterpret_cast<uintptr_t>(value); };
  tbb::parallel_pipeline(64, tbb::make_filter<void, uint64_t>(tbb::filter_mode::serial_in_order, source) &
                                 tbb::make_filter<uint64_t, void*>(tbb::filter_mode::parallel, work) &
                                 tbb::make_filter<void*, void>(tbb::filter_mode::serial_out_of_order, sink));
  return sum;
}

uint64_t tbb_pipeline_in_chunks(pa_fn body, void* ctx, uint64_t count, uint64_t chunk) {
  using Values = std::vector<void*>;
  uint64_t at = 0, sum = 0;
  const auto source = [&](tbb::flow_control& flow) -> Values* {
    if (at == count) {
      flow.stop();
      return nullptr;
    }
    auto* values = new Values;
    values->reserve(chunk);
    while (values->size() < chunk && at < count) values->push_back(reinterpret_cast<void*>(static_cast<uintptr_t>(at++)));
    return values;
  };
  const auto work = [=](Values* values) {
    for (void*& value : *values) value = call(body, ctx, value);
    return values;
  };
  const auto sink = [&](Values* values) {
    for (const void* value : *values) sum += reinterpret_cast<uintptr_t>(value);
    delete values;
  };
  tbb::parallel_pipeline(16, tbb::make_filter<void, Values*>(tbb::filter_mode::serial_in_order, source) &
                                 tbb::make_filter<Values*, Values*>(tbb::filter_mode::parallel, work) &
                                 tbb::make_filter<Values*, void>(tbb::filter_mode::serial_out_of_order, sink));
  return sum;
}

std::vector<void*> tbb_fresh(pa_fn body, void* const* items, uint64_t count) {
  std::vector<void*> values(count);
  tbb_auto({body, nullptr, items, values.data(), count});
  return values;
}

void RayonValuesDeleter::operator()(void* values) const { rayon_peer_free(values); }

RayonValues rayon_fresh(pa_fn body, void* const* items, uint64_t count) {
  return RayonValues(rayon_peer_map(body, items, count));
}

uint64_t rayon_value(const RayonValues& values, uint64_t index) { return rayon_peer_value(values.get(), index); }

}  // namespace bench
