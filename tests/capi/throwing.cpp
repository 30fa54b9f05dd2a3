// Functions that C++ exceptions leave, for exception.c, iter_nested.c and process_faults.c.
#include <pa/pa.h>

#include <stdexcept>

namespace {

[[noreturn]] void throw_one(uint64_t index) {
  switch (index % 3) {
    case 0:
      throw std::runtime_error("it broke");
    case 1:
      throw 42;
    default:
      throw std::logic_error("it was wrong");
  }
}

}  // namespace

extern "C" {

int32_t throw_from_item(void*, void* item, void** value, pa_call* call) {
  *value = item;
  if (pa_call_index(call) % 2 == 0) throw_one(pa_call_index(call) / 2);
  return 0;
}

int32_t throw_from_batch(void*, void* const* items, size_t count, void** values, pa_call* call) {
  for (size_t i = 0; i < count; i++) values[i] = items[i];
  pa_call_ok_at(call, 0);
  throw std::runtime_error("it broke");
}

int32_t throw_from_range(void*, uint64_t, uint64_t, pa_call* call) {
  pa_call_fail_at(call, 0, 7, "seven");
  throw std::runtime_error("it broke");
}
}
