// The C functions of the pull interface. Most have no pa_error: a wrong argument has no effect, and is PA_STATUS_INVALID.
#include <cstring>

#include "capi/src/job_record.hpp"

namespace pa {
namespace {

constexpr uint32_t kJobFlags = PA_JOB_STREAM | PA_JOB_PULL | PA_JOB_PUSH | PA_JOB_BATCH;
constexpr uint32_t kFailFlags = PA_FAIL_FINAL | PA_FAIL_TIMED_OUT | PA_FAIL_STOPPED;

pa_status check_flags(uint32_t flags, pa_error* error) noexcept {
  if (flags & ~kJobFlags) return PA_INVALID(error, "flags must be made of PA_JOB_*, got 0x%x", flags);
  if ((flags & PA_JOB_PULL) && (flags & PA_JOB_PUSH))
    return PA_INVALID(error, "flags must not have both PA_JOB_PULL and PA_JOB_PUSH, got 0x%x", flags);
  return PA_STATUS_OK;
}

// A job calls nothing and watches no call.
pa_status check_calls_nothing(const pa_options& o, pa_error* error) noexcept {
  if (o.executor != PA_EXECUTOR_THREADS)
    return PA_INVALID(error, "options.executor must be PA_EXECUTOR_THREADS for pa_job_open, got %d", o.executor);
  if (o.detach) return PA_INVALID(error, "options.detach must be 0 for pa_job_open, got %u", o.detach);
  if (o.item_timeout_ns != -1)
    return PA_INVALID(error, "options.item_timeout_ns must be -1 for pa_job_open, got %lld",
                      static_cast<long long>(o.item_timeout_ns));
  const struct {
    const char* name;
    bool set;
  } callbacks[] = {
      {"retry.retry_if", o.retry.retry_if != nullptr}, {"on_progress", o.on_progress != nullptr},
      {"on_result", o.on_result != nullptr},           {"item_key", o.item_key != nullptr},
      {"release_value", o.release_value != nullptr},   {"release_item", o.release_item != nullptr},
      {"worker_start", o.worker_start != nullptr},     {"worker_stop", o.worker_stop != nullptr},
      {"on_quiescent", o.on_quiescent != nullptr},
  };
  for (const auto& callback : callbacks)
    if (callback.set) return PA_INVALID(error, "options.%s must be NULL for pa_job_open", callback.name);
  return PA_STATUS_OK;
}

pa_status read_job_options(const pa_options* options, uint32_t flags, Settings& settings, pa_error* error) noexcept {
  const Kind kind = flags & PA_JOB_BATCH ? Kind::batch : Kind::items;
  if (const pa_status status = read_options(options, kind, false, settings, error)) return status;
  if (settings.ordered > 1) return PA_INVALID(error, "options.ordered must be 0 or 1, got %u", settings.ordered);
  return check_calls_nothing(settings, error);
}

pa_status check(const pa_job* job) noexcept {
  if (!job) return PA_STATUS_INVALID;
  return job->from_before_fork() ? PA_STATUS_FORKED : PA_STATUS_OK;
}

template <class Argument>
pa_status check(const pa_job* job, const Argument* argument) noexcept {
  return argument ? check(job) : PA_STATUS_INVALID;
}

pa_status check(const pa_job* job, pa_error* error) noexcept {
  if (!job) return PA_INVALID(error, "job must not be NULL");
  return job->from_before_fork() ? forked(error, "the job") : PA_STATUS_OK;
}

}  // namespace
}  // namespace pa

using pa::check;

static_assert(sizeof(pa_lease) == 256 && sizeof(pa_chunk) == 96 && sizeof(pa_progress) == 80, "frozen");

pa_status pa_job_open(const pa_options* options, uint64_t count, uint32_t flags, pa_job** job, pa_error* error) {
  if (job) *job = nullptr;
  return pa::guarded(error, [&]() -> pa_status {
    if (!job) return PA_INVALID(error, "job must not be NULL");
    const pa::nanos now = pa::os::now();
    if (const pa_status status = pa::check_flags(flags, error)) return status;
    pa::Settings settings;
    if (const pa_status status = pa::read_job_options(options, flags, settings, error)) return status;
    *job = new pa_job(settings, count, flags, now);
    return PA_STATUS_OK;
  });
}

pa_status pa_job_take(pa_job* job, pa_lease* lease) {
  if (const pa_status status = check(job, lease)) return status;
  return job->take(*lease);
}

pa_status pa_job_supply(pa_job* job, pa_lease* lease, uint64_t got, int32_t end) {
  if (const pa_status status = check(job, lease)) return status;
  if (end != 0 && end != 1) return PA_STATUS_INVALID;
  return job->supply(*lease, got, end == 1);
}

pa_status pa_job_step(pa_job* job, pa_lease* lease, uint64_t done) {
  if (const pa_status status = check(job, lease)) return status;
  return job->step(*lease, done);
}

pa_status pa_job_fail(pa_job* job, pa_lease* lease, uint64_t index, uint32_t flags, int64_t retry_after_ns, int32_t code,
                      const char* message) {
  if (const pa_status status = check(job, lease)) return status;
  if (flags & ~pa::kFailFlags) return PA_STATUS_INVALID;
  char kept[PA_MESSAGE_MAX + 1];
  const size_t size = message ? strnlen(message, PA_MESSAGE_MAX) : 0;
  if (size) std::memcpy(kept, message, size);
  kept[size] = '\0';

  pa::Attempt attempt;
  attempt.failure.retryable = !(flags & PA_FAIL_FINAL);
  attempt.failure.server_wait_ns = retry_after_ns;
  attempt.failure.gave_up = flags & PA_FAIL_STOPPED;
  if (flags & PA_FAIL_TIMED_OUT) attempt.state = PA_ITEM_TIMED_OUT;
  attempt.code = code ? code : -1;
  attempt.message = kept;
  return job->fail(*lease, index, attempt);
}

pa_status pa_job_complete(pa_job* job, pa_lease* lease, uint64_t done) {
  if (const pa_status status = check(job, lease)) return status;
  return job->complete(*lease, done);
}

pa_status pa_job_complete_and_take(pa_job* job, pa_lease* lease) {
  if (const pa_status status = check(job, lease)) return status;
  return job->complete_and_take(*lease);
}

pa_status pa_job_leave(pa_job* job, pa_lease* lease) {
  if (const pa_status status = check(job, lease)) return status;
  return job->leave(*lease);
}

pa_status pa_job_next(pa_job* job, pa_chunk* chunk) {
  if (const pa_status status = check(job, chunk)) return status;
  return job->has(PA_JOB_STREAM) ? job->next(*chunk) : PA_STATUS_INVALID;
}

uint64_t pa_job_room(pa_job* job) { return check(job) == PA_STATUS_OK && job->has(PA_JOB_PUSH) ? job->room() : 0; }

pa_status pa_job_admit(pa_job* job, uint64_t got, uint64_t cookie, pa_progress* progress) {
  if (const pa_status status = check(job, progress)) return status;
  if (!job->has(PA_JOB_PUSH)) return PA_STATUS_INVALID;
  return pa::guarded(nullptr, [&] { return job->admit(got, cookie, false, *progress); });
}

pa_status pa_job_end_input(pa_job* job, pa_progress* progress) {
  if (const pa_status status = check(job, progress)) return status;
  if (!job->has(PA_JOB_PUSH)) return PA_STATUS_INVALID;
  return pa::guarded(nullptr, [&] { return job->admit(0, 0, true, *progress); });
}

pa_status pa_job_poll(pa_job* job, pa_progress* progress) {
  if (const pa_status status = check(job, progress)) return status;
  job->poll(*progress);
  return PA_STATUS_OK;
}

pa_status pa_job_progress(pa_job* job, pa_progress* progress) {
  if (const pa_status status = check(job, progress)) return status;
  job->progress(*progress, pa::os::now(), {});
  return PA_STATUS_OK;
}

pa_status pa_job_notify(pa_job* job, void (*notify)(void* ctx), void* ctx, pa_error* error) {
  if (const pa_status status = check(job, error)) return status;
  return job->events().call(notify, ctx, error);
}

int32_t pa_job_fd(pa_job* job, pa_error* error) {
  if (const pa_status status = check(job, error)) return status;
  return job->events().descriptor(error);
}

pa_status pa_job_stop(pa_job* job) {
  if (const pa_status status = check(job)) return status;
  job->stop();
  return PA_STATUS_OK;
}

pa_status pa_job_drain(pa_job* job, pa_chunk* chunk) {
  if (const pa_status status = check(job, chunk)) return status;
  return job->drain(*chunk);
}

int32_t pa_job_end(const pa_job* job) { return job ? job->end() : PA_END_NONE; }

pa_status pa_job_close(pa_job* job) {
  if (const pa_status status = check(job)) return status;
  return pa::guarded(nullptr, [&] {
    job->close();
    return PA_STATUS_OK;
  });
}

void pa_job_free(pa_job* job) {
  if (job) job->free();
}
