// The functions that worker processes may run, by name and by address.
#pragma once
#include <string>

#include "core/process/region.hpp"
#include "pa/pa.h"

namespace pa {

struct Task : pa_task {
  std::string name;
  // Makes an object of bytes that stay where they are until it is not needed any more. nullptr: there is no such thing.
  void* (*view)(const char* data, size_t size) = nullptr;
};

// Both live until the process ends. nullptr: there is none.
const Task* find_task(const char* name) noexcept;
const Task* find_task(pa_fn fn, pa_batch_fn batch_fn) noexcept;
// "one", "two": for messages.
std::string names_of_tasks();

// Did this program ever ask whether it is to be a worker?
bool asks_to_be_worker() noexcept;

// ---- codecs
// What a codec answers, or that there is no memory.
int32_t encode(const pa_codec& codec, const void* object, process::Writer& out) noexcept;
int32_t encode_to(const pa_codec& codec, const void* object, std::string& bytes);  // throws std::bad_alloc
// A ready-made codec's own way to see an object in bytes that stay; nullptr for others.
void* (*view_of(const pa_codec& codec))(const char* data, size_t size);

}  // namespace pa
