#include "capi/src/record.hpp"

#include <cstdarg>
#include <cstdio>

#include "capi/src/workforce.hpp"

namespace pa {
namespace {

// Values that a codec has made are its to release, unless the options say otherwise.
bool codec_releases(const Settings& settings) { return settings.workforce && !settings.release_value; }

// Those of a map lie in memory of the run, if the codec is libpa's own: pa_result_take makes a copy.
bool run_keeps_values(const Settings& settings, const JobConfig& config) {
  return codec_releases(settings) && settings.workforce->task.value_made && !config.stream;
}

}  // namespace

Record::Record(const Work& work, const Settings& settings, const JobConfig& config, std::unique_ptr<pa_limiter>&& own)
    : Run(config),
      work_(work),
      settings_(settings),
      own_limiter_(std::move(own)),
      keeps_values_(run_keeps_values(settings, config)),
      commits_each_(config.observed || config.detachable || settings.item_timeout_ns > 0),
      release_item_(work.from_source() ? work.source.release_item : settings.release_item),
      release_item_ctx_(work.from_source() ? work.source.ctx : settings.release_ctx),
      release_value_(keeps_values_              ? nullptr
                     : codec_releases(settings) ? settings.workforce->task.value.release
                                                : settings.release_value),
      release_value_ctx_(codec_releases(settings) ? settings.workforce->task.value.ctx : settings.release_ctx) {}

void Record::take_over() noexcept {
  if (settings_.limiter) settings_.limiter->retain();
  if (settings_.stop) settings_.stop->retain();
}

void Record::abandon() noexcept {
  unlisten();
  pa_limiter_release(settings_.limiter);
  pa_stop_release(settings_.stop);
  release();
}

void Record::quiescent() noexcept {
  if (work_.source.release) work_.source.release(work_.source.ctx);
  if (settings_.on_quiescent) settings_.on_quiescent(settings_.quiescent_ctx);
  pa_limiter_release(settings_.limiter);
  pa_stop_release(settings_.stop);
}

void Record::end_failed(pa_status status, int32_t detail, const char* format, ...) noexcept {
  Wake wakes;
  {
    std::lock_guard lock(failure_mutex_);
    if (!job.end_as(End::failed, wakes)) return;
    failure_.status = status;
    failure_.detail = detail;
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(failure_.message, sizeof failure_.message, format, arguments);
    va_end(arguments);
  }
  wake(wakes);
}

pa_status Record::report_failure(pa_error* error) const noexcept {
  std::unique_lock lock(failure_mutex_, std::defer_lock);
  if (!from_before_fork()) lock.lock();
  if (failure_.status == PA_STATUS_OK) return no_memory(error);  // the job itself ran out of it
  if (error) *error = failure_;
  return failure_.status;
}

}  // namespace pa
