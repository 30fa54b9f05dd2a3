// The functions that worker processes may run, by name and by address.
#pragma once
#include <string>

#include "core/process/region.hpp"
#include "pa/pa.h"

namespace pa {

// An object that lies in bytes which stay where they are until it is not needed any more; nullptr: it can't.
using View = void* (*)(void* ctx, const char* data, size_t size);

struct Task : pa_task {
  std::string name;
  std::string module;   // the path of the module that it came from; empty: of none
  View view = nullptr;  // of the item codec
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
// A ready-made codec's; nullptr for others.
View view_of(const pa_codec& codec);

}  // namespace pa
