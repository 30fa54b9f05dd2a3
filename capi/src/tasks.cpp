#include "capi/src/tasks.hpp"

#include <cstring>
#include <memory>
#include <mutex>
#include <vector>

#include "capi/src/error.hpp"
#include "capi/src/modules.hpp"
#include "core/process/station.hpp"

namespace pa {
namespace {

constexpr size_t kLongestName = 255;

std::mutex mutex;
std::vector<std::unique_ptr<const Task>>& tasks() {
  static std::vector<std::unique_ptr<const Task>> tasks;
  return tasks;
}
std::atomic<bool> asked{false};

bool same_codec(const pa_codec& a, const pa_codec& b) {
  return a.encode == b.encode && a.decode == b.decode && a.release == b.release && a.ctx == b.ctx;
}

bool same_task(const pa_task& a, const pa_task& b) {
  return a.fn == b.fn && a.batch_fn == b.batch_fn && same_codec(a.item, b.item) && same_codec(a.value, b.value) &&
         same_codec(a.context, b.context) && a.worker_start == b.worker_start && a.worker_stop == b.worker_stop;
}

pa_status check_size(const pa_task* task, pa_error* error) {
  if (!task) return PA_INVALID(error, "task must not be NULL");
  if (task->struct_size != sizeof(pa_task))
    return PA_INVALID(error, "task.struct_size must be sizeof(pa_task), set by pa_task_init, got %u", task->struct_size);
  return PA_STATUS_OK;
}

enum class Needed { yes, no };

pa_status check_codec(const pa_codec& codec, const char* name, Needed needed, pa_error* error) {
  if (!codec.encode != !codec.decode)
    return PA_INVALID(error, "%s must have both encode and decode, got only %s", name, codec.encode ? "encode" : "decode");
  if (!codec.encode && needed == Needed::yes) return PA_INVALID(error, "%s.encode must not be NULL", name);
  if (codec.reserved[0] || codec.reserved[1]) return PA_INVALID(error, "%s.reserved must be NULL", name);
  return PA_STATUS_OK;
}

pa_status check(const char* name, const pa_task& task, pa_error* error) {
  if (!name || !*name) return PA_INVALID(error, "name must not be empty");
  if (std::strlen(name) > kLongestName)
    return PA_INVALID(error, "name must have at most %zu bytes, got %zu", kLongestName, std::strlen(name));
  if (!task.fn && !task.batch_fn) return PA_INVALID(error, "task.fn or task.batch_fn must not be NULL");
  if (task.reserved0) return PA_INVALID(error, "task.reserved0 must be 0, got %u", task.reserved0);
  if (const pa_status status = check_codec(task.item, "task.item", Needed::yes, error)) return status;
  if (const pa_status status = check_codec(task.value, "task.value", Needed::no, error)) return status;
  return check_codec(task.context, "task.context", Needed::no, error);
}

}  // namespace

const Task* find_task(const char* name) noexcept {
  const std::lock_guard lock(mutex);
  for (const auto& task : tasks())
    if (task->name == name) return task.get();
  return nullptr;
}

const Task* find_task(pa_fn fn, pa_batch_fn batch_fn, bool& several) noexcept {
  const std::lock_guard lock(mutex);
  const Task* found = nullptr;
  several = false;
  for (const auto& task : tasks()) {
    if (!(fn && task->fn == fn) && !(batch_fn && task->batch_fn == batch_fn)) continue;
    several = found != nullptr;
    found = task.get();
    if (several) break;
  }
  return found;
}

std::string names_of_tasks() {
  const std::lock_guard lock(mutex);
  std::string names;
  for (const auto& task : tasks()) names += (names.empty() ? "\"" : ", \"") + task->name + "\"";
  return names.empty() ? "none" : names;
}

bool asks_to_be_worker() noexcept { return asked; }

}  // namespace pa

void pa_task_init(pa_task* task, size_t size) {
  if (!task) return;
  std::memset(task, 0, size);
  if (size >= sizeof task->struct_size) task->struct_size = static_cast<uint32_t>(size);
}

pa_status pa_task_register(const char* name, const pa_task* task, pa_error* error) {
  return pa::guarded(error, [&]() -> pa_status {
    if (const pa_status status = pa::check_size(task, error)) return status;
    if (const pa_status status = pa::check(name, *task, error)) return status;
    auto entry = std::make_unique<pa::Task>();
    static_cast<pa_task&>(*entry) = *task;
    entry->name = name;
    entry->module = pa::loading_module();
    entry->item_made = pa::ready_made(task->item);
    entry->value_made = pa::ready_made(task->value);
    const std::lock_guard lock(pa::mutex);
    for (const auto& known : pa::tasks()) {
      if (known->name != name) continue;
      if (pa::same_task(*known, *task)) return PA_STATUS_OK;
      return PA_INVALID(error, "there is another task by the name of \"%s\"", name);
    }
    pa::tasks().push_back(std::move(entry));
    return PA_STATUS_OK;
  });
}

pa_status pa_task_find(const char* name, pa_task* task, pa_error* error) {
  return pa::guarded(error, [&]() -> pa_status {
    if (!name) return PA_INVALID(error, "name must not be NULL");
    if (const pa_status status = pa::check_size(task, error)) return status;
    const pa::Task* found = pa::find_task(name);
    if (!found)
      return PA_INVALID(error, "there is no task by the name of \"%.60s\"; registered: %.120s", name,
                        pa::names_of_tasks().c_str());
    *task = *found;
    return PA_STATUS_OK;
  });
}

const char* pa_task_name(uint64_t position) {
  const std::lock_guard lock(pa::mutex);
  return position < pa::tasks().size() ? pa::tasks()[position]->name.c_str() : nullptr;
}

int32_t pa_worker_requested(void) {
  pa::asked = true;
  return pa::process::Station::requested();
}
