// Modules: shared objects with tasks.
#pragma once
#include "pa/pa.h"

namespace pa {

// Loads a module, once. Throws std::bad_alloc.
pa_status load_module(const char* path, pa_error* error);

// The path of the module whose tasks are being registered on this thread; "" if there is none.
const char* loading_module() noexcept;

}  // namespace pa
