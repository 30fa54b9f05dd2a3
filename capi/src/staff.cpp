// Runs with worker processes: the options are read and checked here, before anything happens.
#include <unistd.h>

#include <cstring>

#include "capi/src/map.hpp"
#include "capi/src/workforce.hpp"
#include "core/process/station.hpp"

namespace pa {
namespace {

pa_process defaults() {
  pa_process p{};
  p.struct_size = sizeof p;
  p.crash_attempts = 3;
  p.max_crashes = 64;
  p.start_timeout_ns = 30'000'000'000;
  return p;
}

pa_status read(const pa_process* given, pa_process& p, pa_error* error) noexcept {
  p = defaults();
  if (!given) return PA_STATUS_OK;
  if (given->struct_size != sizeof p)
    return PA_INVALID(error, "options.process->struct_size must be sizeof(pa_process), set by pa_process_init, got %u",
                      given->struct_size);
  p = *given;
  if (p.crash_attempts < 1) return PA_INVALID(error, "options.process->crash_attempts must be >= 1, got 0");
  if (p.max_crashes < 1) return PA_INVALID(error, "options.process->max_crashes must be >= 1, got 0");
  if (p.start_timeout_ns <= 0)
    return PA_INVALID(error, "options.process->start_timeout_ns must be > 0, got %lld",
                      static_cast<long long>(p.start_timeout_ns));
  if (p.command && !*p.command) return PA_INVALID(error, "options.process->command must name a program, or be NULL");
  if (p.directory && access(p.directory, X_OK) != 0)
    return PA_INVALID(error, "options.process->directory can't be entered: \"%.120s\"", p.directory);
  return PA_STATUS_OK;
}

pa_status find(const Work& work, const Settings& settings, const Task*& task, pa_error* error) {
  const bool batch = work.kind == Kind::batch;
  bool several = false;
  task = settings.task ? find_task(settings.task) : find_task(work.fn, work.batch_fn, several);
  if (!task && settings.task)
    return PA_INVALID(error, "options.task must be the name of a registered task, got \"%.60s\"; registered: %.120s",
                      settings.task, names_of_tasks().c_str());
  if (!task)
    return PA_INVALID(error,
                      "fn must be registered as a task (pa_task_register) for PA_EXECUTOR_PROCESSES; registered: %.120s",
                      names_of_tasks().c_str());
  if (several)
    return PA_INVALID(error, "fn is that of several tasks: options.task must say which; registered: %.120s",
                      names_of_tasks().c_str());
  if (batch ? !task->batch_fn : !task->fn)
    return PA_INVALID(error, "the task \"%.60s\" has no %s", task->name.c_str(), batch ? "batch_fn" : "fn");
  if ((work.fn && work.fn != task->fn) || (work.batch_fn && work.batch_fn != task->batch_fn))
    return PA_INVALID(error, "fn must be NULL, or that of the task \"%.60s\" that options.task names", task->name.c_str());
  return PA_STATUS_OK;
}

pa_status read_context(void* ctx, Workforce& workforce, pa_error* error) {
  if (!ctx) return PA_STATUS_OK;
  const pa_codec& codec = workforce.task.context;
  if (!codec.encode)
    return PA_INVALID(error, "ctx must be NULL, as the task \"%.60s\" has no codec for it (task.context)",
                      workforce.task.name.c_str());
  std::string bytes;
  if (const int32_t code = encode_to(codec, ctx, bytes))
    return PA_INVALID(error, "ctx could not be encoded (code %d)", code);
  workforce.context = std::move(bytes);
  return PA_STATUS_OK;
}

}  // namespace

pa_status staff(const Work& work, Settings& settings, pa_error* error) {
  if (settings.executor != PA_EXECUTOR_PROCESSES) return PA_STATUS_OK;
  if (work.kind == Kind::range)
    return PA_INVALID(error, "pa_map_range works on the arrays of this process: options.executor must not be PROCESSES");
  if (settings.worker_start || settings.worker_stop)
    return PA_INVALID(error, "options.%s must be NULL for PA_EXECUTOR_PROCESSES: give it to the task (pa_task)",
                      settings.worker_start ? "worker_start" : "worker_stop");
  pa_process process;
  if (const pa_status status = read(settings.process, process, error)) return status;
  const Task* task = nullptr;
  if (const pa_status status = find(work, settings, task, error)) return status;
  if (process::Station::is_stray())
    return PA_INVALID(error, "this process was started to be a worker, and must call pa_worker_serve");
  if (!process.command && !asks_to_be_worker() && task->module.empty())
    return PA_INVALID(
        error,
        "the program must call pa_worker_requested at the beginning of main, to be run again as a worker; or set "
        "options.process->command");
  auto workforce = std::make_shared<Workforce>(*task, process, work.kind == Kind::batch);
  if (const pa_status status = read_context(work.ctx, *workforce, error)) return status;
  settings.workforce = std::move(workforce);
  return PA_STATUS_OK;
}

}  // namespace pa

void pa_process_init(pa_process* process, size_t size) {
  if (!process) return;
  const pa_process defaults = pa::defaults();
  std::memset(process, 0, size);
  std::memcpy(process, &defaults, std::min(size, sizeof defaults));
  if (size >= sizeof process->struct_size) process->struct_size = static_cast<uint32_t>(size);
}
