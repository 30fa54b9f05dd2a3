// The same loop through other libraries, each as its own documentation would have it written. All use two threads, like
// pa_map here, unless a function says otherwise.
#pragma once
#include <pa/pa.h>

#include <cstdint>
#include <memory>
#include <vector>

namespace bench {

inline constexpr uint32_t kWorkers = 2;

struct Loop {
  pa_fn body;
  void* ctx;
  void* const* items;
  void** values;
  uint64_t count;
};

// Sets the number of threads of oneTBB and rayon, for the rest of the program.
void start_peers();

void tbb_auto(const Loop& loop);
void openmp_static(const Loop& loop);
void openmp_guided(const Loop& loop);
void openmp_dynamic(const Loop& loop, uint32_t threads);  // one item at a time
void std_transform(const Loop& loop);

// The values in a vector that is made for them.
std::vector<void*> tbb_fresh(pa_fn body, void* const* items, uint64_t count);

// Pipelines over the items 0 ... count-1: a serial source, the body in parallel, a serial sink that adds the values up. Each returns
// the sum.
uint64_t tbb_pipeline(pa_fn body, void* ctx, uint64_t count);
uint64_t tbb_pipeline_in_chunks(pa_fn body, void* ctx, uint64_t count, uint64_t chunk);

struct RayonValuesDeleter {
  void operator()(void* values) const;
};
using RayonValues = std::unique_ptr<void, RayonValuesDeleter>;
RayonValues rayon_fresh(pa_fn body, void* const* items, uint64_t count);
uint64_t rayon_value(const RayonValues& values, uint64_t index);

}  // namespace bench
