#include "capi/src/modules.hpp"

#include <dlfcn.h>
#include <stdlib.h>

#include <algorithm>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "capi/src/error.hpp"
#include "pa/plugin.h"

namespace pa {
namespace {

// Those of the first version of the ABI.
constexpr size_t kLeastInfo = sizeof(pa_module_info);

std::mutex mutex;
std::vector<std::string>& loaded() {
  static std::vector<std::string> paths;
  return paths;
}
thread_local const char* loading = "";

// Workers have another working directory, it may be.
std::string absolute(const char* path) {
  std::string text(path);
  if (text.find('/') == std::string::npos) return text;
  const std::unique_ptr<char, decltype(&free)> real(realpath(path, nullptr), free);
  return real ? real.get() : text;
}

pa_status check(const pa_module_info* info, const char* path, pa_error* error) {
  if (!info) return PA_INVALID(error, "%.120s is no module of libpa: its " PA_MODULE_ENTRY " returned NULL", path);
  if (info->abi != PA_MODULE_ABI)
    return PA_INVALID(error,
                      "the module %.100s is too %s for this libpa: it was built for ABI %u of modules, and this is %d", path,
                      info->abi < PA_MODULE_ABI ? "old" : "new", info->abi, PA_MODULE_ABI);
  if (info->struct_size < kLeastInfo)
    return PA_INVALID(error, "the module %.100s must set struct_size to sizeof(pa_module_info) of %zu, got %u", path,
                      kLeastInfo, info->struct_size);
  if (info->pa_version / 1000000 != PA_VERSION_MAJOR)
    return PA_INVALID(error, "the module %.100s was built for version %u of libpa, and this is %d", path,
                      info->pa_version / 1000000, PA_VERSION_MAJOR);
  if (!info->name || !*info->name || !info->register_tasks)
    return PA_INVALID(error, "the module %.120s must have a name and register_tasks", path);
  return PA_STATUS_OK;
}

pa_status load_now(const std::string& path, pa_error* error) {
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) return report(error, PA_STATUS_SYSTEM, 0, "the module could not be loaded: %.180s", dlerror());
  const auto entry = reinterpret_cast<pa_module_entry_fn>(dlsym(library, PA_MODULE_ENTRY));
  const pa_status status = entry
                               ? check(entry(), path.c_str(), error)
                               : PA_INVALID(error, "%.120s is no module of libpa: it has no " PA_MODULE_ENTRY, path.c_str());
  if (status) {
    dlclose(library);
    return status;
  }
  return entry()->register_tasks(pa_get_api(PA_VERSION_MAJOR), error);
}

}  // namespace

const char* loading_module() noexcept { return loading; }

pa_status load_module(const char* given, pa_error* error) {
  const std::string path = absolute(given);
  const std::lock_guard lock(mutex);
  if (std::find(loaded().begin(), loaded().end(), path) != loaded().end()) return PA_STATUS_OK;
  loaded().reserve(loaded().size() + 1);
  loading = path.c_str();
  const pa_status status = load_now(path, error);
  loading = "";
  if (status == PA_STATUS_OK) loaded().push_back(path);
  return status;
}

}  // namespace pa

pa_status pa_module_load(const char* path, pa_error* error) {
  return pa::guarded(error, [&]() -> pa_status {
    if (!path || !*path) return PA_INVALID(error, "path must not be empty");
    if (*pa::loading) return PA_INVALID(error, "a module must not load another one while it registers its tasks");
    return pa::load_module(path, error);
  });
}
