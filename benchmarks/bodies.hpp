// The work that all contenders do. The functions are compiled on their own and handed out through volatile pointers, so that
// no compiler can inline them into one contender's loop and not into another's.
#pragma once
#include <pa/pa.h>

#include <cstdint>
#include <vector>

namespace bench {

// value = item * item
extern const volatile pa_fn square;
extern const volatile pa_batch_fn square_batch;
// out[i] = i * i; ctx: the array `out` of uint64_t
extern const volatile pa_range_fn square_range;

// Computes for as long as ctx (a number made by spin_for) says; value = item.
extern const volatile pa_fn spin;
void* spin_for(double nanoseconds);

// Like spin, for as long as the plan says of this item; value = item.
struct Plan {
  void* light;
  void* heavy;
  std::vector<uint8_t> is_heavy;  // by item
};
extern const volatile pa_fn skewed;  // ctx: Plan
// 1 us for each of `count` items but `heavy_count`, which take 1 ms: scattered, the first ones, or the last ones.
enum class Where { random, head, tail };
Plan skewed_plan(uint64_t count, uint64_t heavy_count, Where where);

// Sleeps for as many nanoseconds as ctx says; value = item.
extern const volatile pa_fn nap;

// The items 0, 1, 2, ...
std::vector<void*> numbered(uint64_t count);

// The loop that everything is compared with: an indirect call for each item, and its result stored.
void serial(pa_fn body, void* ctx, void* const* items, void** values, uint64_t first, uint64_t end);

}  // namespace bench
