// The functions that worker processes may run, by name and by address.
#pragma once
#include <string>

#include "core/process/region.hpp"
#include "pa/pa.h"

namespace pa {

// A codec of libpa's own, which knows how its objects lie in memory.
struct ReadyMade {
  pa_bytes (*bytes_of)(void* ctx, const void* object);  // what is written of it
  size_t overhead;                                      // an object takes so many bytes more
  // Makes an object, in memory that is large enough and aligned to 16 bytes. nullptr: these bytes are none.
  void* (*place)(void* ctx, const void* data, size_t size, void* memory);
  // The same in bytes that stay where they are until it is not needed any more. May be nullptr.
  void* (*view)(void* ctx, const char* data, size_t size);
};

struct Task : pa_task {
  std::string name;
  std::string module;                    // the path of the module that it came from; empty: of none
  const ReadyMade* item_made = nullptr;  // where the codecs are such ones
  const ReadyMade* value_made = nullptr;
};

// Both live until the process ends. nullptr: there is none.
const Task* find_task(const char* name) noexcept;
const Task* find_task(pa_fn fn, pa_batch_fn batch_fn, bool& several) noexcept;  // several: this is one of them
// "one", "two": for messages.
std::string names_of_tasks();

// Did this program ever ask whether it is to be a worker?
bool asks_to_be_worker() noexcept;

// ---- codecs
// What the codec answers; whether there was room for it, `out` says.
int32_t encode(const pa_codec& codec, const void* object, process::Writer& out) noexcept;
int32_t encode_to(const pa_codec& codec, const void* object, std::string& bytes);  // throws std::bad_alloc
const ReadyMade* ready_made(const pa_codec& codec);                                // nullptr: the user's own

}  // namespace pa
