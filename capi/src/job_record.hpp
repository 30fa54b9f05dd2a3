// The pull interface: core's Job, for takers and a consumer who live outside of libpa. This is what stands behind pa_job. All
// policy is in pa::Job; what is here translates, remembers why items failed, and counts those who may still come.
//
// job.cpp has the C functions and checks their arguments; here they are as they should be, but for what only the taker's
// phase can tell. job_takers.cpp is the takers' part, job_record.cpp the rest.
#pragma once
#include <algorithm>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "capi/src/ends.hpp"
#include "capi/src/job_events.hpp"
#include "capi/src/options.hpp"
#include "core/job.hpp"
#include "core/notes.hpp"

namespace pa {

// What libpa keeps in pa_lease.reserved. All zeroes: no taker of any job.
struct Taker {
  enum class Phase : uint32_t {
    idle,
    parked,
    pulling,
    leased,
    stopped,  // was told that its lease is over
  };
  static constexpr uint32_t kMark = 0x70617461;

  uint32_t mark = kMark;
  Phase phase = Phase::idle;
  pa_job* job = nullptr;
  Lease lease;
};

// What pa_job_fail says of an attempt.
struct Attempt {
  Failure failure;
  int32_t state = PA_ITEM_FAILED;
  int32_t code = 0;
  const char* message = nullptr;
};

// As the C ABI has it: -1 is never.
inline int64_t wait_until(nanos instant, nanos now) { return instant == kNever ? -1 : std::max<nanos>(0, instant - now); }

}  // namespace pa

// Owned by the host, and by each taker from its first take until it is told that the job is over, or leaves.
struct pa_job final : pa::Shared {
  // The settings have been checked. Throws std::bad_alloc, and has then taken nothing over.
  pa_job(const pa::Settings& settings, uint64_t count, uint32_t flags, pa::nanos now);

  bool has(uint32_t flag) const { return (flags_ & flag) != 0; }

  // ---- takers
  pa_status take(pa_lease& out) noexcept;
  pa_status supply(pa_lease& out, uint64_t got, bool end) noexcept;
  pa_status step(pa_lease& out, uint64_t done) noexcept;
  pa_status fail(pa_lease& out, uint64_t index, const pa::Attempt& attempt) noexcept;
  pa_status complete(pa_lease& out, uint64_t done) noexcept;
  pa_status complete_and_take(pa_lease& out) noexcept;
  pa_status leave(pa_lease& out) noexcept;

  // ---- the consumer
  pa_status next(pa_chunk& out) noexcept;
  pa_status drain(pa_chunk& out) noexcept;

  // ---- anyone
  uint64_t room() const noexcept { return job_.room_for_inputs(); }
  pa_status admit(uint64_t got, uint64_t cookie, bool end, pa_progress& out);  // throws std::bad_alloc
  void poll(pa_progress& out) noexcept;
  void progress(pa_progress& out, pa::nanos now, const pa::Wake& wake) const noexcept;
  int32_t end() const noexcept { return pa::public_end(job_.end()); }
  void stop() noexcept;
  void close();  // throws std::bad_alloc: then what takers hold was not taken back
  void free() noexcept;
  pa::JobEvents& events() { return events_; }

 private:
  class FailureWitness;

  ~pa_job();
  void listen();
  void unlisten() noexcept;

  pa::Taker* taker_of(pa_lease& out) const noexcept;  // nullptr: it is none of this job's
  pa::Taker* enrolled(pa_lease& out) noexcept;        // likewise; a zeroed lease becomes one
  pa::Taker* holder(pa_lease& out) const noexcept;    // nullptr: it holds no lease
  bool still_holds(pa::Taker& taker, pa::nanos now, pa::Wake& wake) noexcept;
  pa_status take(pa::Taker& taker, pa_lease& out, pa::nanos now, pa::Wake& wake) noexcept;
  pa_status answer(pa::Take answer, pa::Taker& taker, pa_lease& out, pa::nanos now, const pa::Wake& wake) noexcept;
  pa_status stopped(pa::Taker& taker, pa_lease& out) noexcept;
  void forget_error(const pa::Lease& lease, uint64_t succeeded) noexcept;
  void dismiss(pa_lease& out) noexcept;  // may free the job

  std::optional<pa::Unrun> next_unrun() noexcept;
  void describe_failure(pa_chunk& out) noexcept;

  const pa::Settings settings_;
  const uint32_t flags_;
  const std::unique_ptr<pa_limiter> own_limiter_;
  pa::Job job_;
  pa::JobEvents events_;

  // Errors of items that failed for good and were not handed out, or that wait for their next attempt: no others, so that a
  // stream without end needs constant memory.
  pa::Notes notes_;

  mutable std::mutex consumer_mutex_;   // of the three below. Taken before the job's own
  std::optional<pa::Note> handed_out_;  // its message is borrowed
  std::vector<pa::Unrun> revoked_;
  bool closed_ = false;
};
