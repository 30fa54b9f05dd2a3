#include "bodies.hpp"

#include <time.h>

#include <algorithm>
#include <random>
#include <utility>

#include "harness.hpp"

namespace bench {
namespace {

// A chain of multiplications, each of which waits for the one before.
uint64_t chain(uint64_t steps, uint64_t seed) {
  uint64_t x = seed | 1;
  for (uint64_t i = 0; i < steps; i++) x = x * 6364136223846793005u + 1442695040888963407u;
  return x;
}

volatile uint64_t sink;

extern "C" {

static int32_t square_body(void*, void* item, void** value, pa_call*) {
  const auto x = reinterpret_cast<uintptr_t>(item);
  *value = reinterpret_cast<void*>(x * x);
  return 0;
}

static int32_t square_batch_body(void*, void* const* items, size_t count, void** values, pa_call*) {
  for (size_t i = 0; i < count; i++) {
    const auto x = reinterpret_cast<uintptr_t>(items[i]);
    values[i] = reinterpret_cast<void*>(x * x);
  }
  return 0;
}

static int32_t square_range_body(void* ctx, uint64_t first, uint64_t count, pa_call*) {
  auto* out = static_cast<uint64_t*>(ctx);
  for (uint64_t i = first; i < first + count; i++) out[i] = i * i;
  return 0;
}

static int32_t spin_body(void* ctx, void* item, void** value, pa_call*) {
  const uint64_t x = chain(reinterpret_cast<uintptr_t>(ctx), reinterpret_cast<uintptr_t>(item));
  // The result depends on the chain, in a way that the compiler does not see and that changes nothing.
  *value = reinterpret_cast<void*>(reinterpret_cast<uintptr_t>(item) + (x == 0));
  return 0;
}

static int32_t skewed_body(void* ctx, void* item, void** value, pa_call* call) {
  const auto* plan = static_cast<const Plan*>(ctx);
  return spin_body(plan->is_heavy[reinterpret_cast<uintptr_t>(item)] ? plan->heavy : plan->light, item, value, call);
}

static int32_t nap_body(void* ctx, void* item, void** value, pa_call*) {
  const auto nanoseconds = static_cast<long>(reinterpret_cast<uintptr_t>(ctx));
  const timespec time{nanoseconds / 1'000'000'000, nanoseconds % 1'000'000'000};
  nanosleep(&time, nullptr);
  *value = item;
  return 0;
}

}  // extern "C"

double nanoseconds_per_step() {
  constexpr uint64_t kSteps = 100'000;  // short enough for some of the samples to be undisturbed
  std::vector<double> samples;
  for (int i = 0; i < 300; i++) samples.push_back(timed([] { sink = chain(kSteps, sink); }));
  return fastest_of(samples) * 1e9 / kSteps;
}

}  // namespace

const volatile pa_fn square = square_body;
const volatile pa_batch_fn square_batch = square_batch_body;
const volatile pa_range_fn square_range = square_range_body;
const volatile pa_fn spin = spin_body;
const volatile pa_fn skewed = skewed_body;
const volatile pa_fn nap = nap_body;

void* spin_for(double nanoseconds) {
  static const double per_step = nanoseconds_per_step();
  return reinterpret_cast<void*>(static_cast<uintptr_t>(std::max(1.0, nanoseconds / per_step)));
}

Plan skewed_plan(uint64_t count, uint64_t heavy_count, Where where) {
  std::vector<uint8_t> is_heavy(count);
  if (where == Where::random) {
    std::mt19937_64 random(1);
    for (uint64_t set = 0; set < heavy_count;) {
      uint8_t& heavy = is_heavy[random() % count];
      set += heavy == 0;
      heavy = 1;
    }
  } else {
    for (uint64_t i = 0; i < heavy_count; i++) is_heavy[where == Where::head ? i : count - 1 - i] = 1;
  }
  return {spin_for(1'000), spin_for(1'000'000), std::move(is_heavy)};
}

std::vector<void*> numbered(uint64_t count) {
  std::vector<void*> items(count);
  for (uint64_t i = 0; i < count; i++) items[i] = reinterpret_cast<void*>(static_cast<uintptr_t>(i));
  return items;
}

void serial(pa_fn body, void* ctx, void* const* items, void** values, uint64_t first, uint64_t end) {
  for (uint64_t i = first; i < end; i++) {
    void* value = nullptr;
    body(ctx, items[i], &value, nullptr);
    values[i] = value;
  }
}

}  // namespace bench
