// pa_job: what its takers ask and say.
#include <algorithm>
#include <cstring>
#include <iterator>
#include <new>
#include <type_traits>

#include "capi/src/job_record.hpp"

using pa::End;
using pa::Lease;
using pa::nanos;
using pa::Taker;
using pa::Verdict;
using pa::Wake;
using Phase = pa::Taker::Phase;

static_assert(sizeof(Taker) <= sizeof(pa_lease::reserved) && alignof(Taker) <= alignof(uint64_t),
              "the layout of pa_lease is frozen");
static_assert(std::is_trivially_destructible_v<Taker>, "a lease may be dropped like any other memory");

namespace {

void say(pa_lease& out, const Wake& wake) {
  out.wake = wake.takers;
  out.wake_consumer = wake.owner;
}

void show(pa_lease& out, const Lease& lease) {
  out.first = lease.first;
  out.count = lease.count;
  out.cookie = lease.cookie;
  out.attempt = lease.attempt;
  out.wait_ns = -1;
}

// Nobody else can be in the lease: it belongs to one taker.
Taker* taker_in(pa_lease& out) { return std::launder(reinterpret_cast<Taker*>(out.reserved)); }

bool is_zeroed(const pa_lease& out) {
  return std::all_of(std::begin(out.reserved), std::end(out.reserved), [](uint64_t word) { return word == 0; });
}

}  // namespace

// Notes why an item failed, under the job's lock: before a consumer can be handed the item.
class pa_job::FailureWitness final : public pa::Witness {
 public:
  FailureWitness(pa_job& job, const pa::Attempt& attempt, uint32_t number) : job_(job), attempt_(attempt), number_(number) {}
  bool out_of_memory() const { return out_of_memory_; }

  void failed(uint64_t index, Verdict verdict) noexcept override {
    if (verdict == Verdict::stopped && attempt_.failure.gave_up) return;  // no failure; that of the attempt before stays
    if (verdict == Verdict::final && !job_.has(PA_JOB_STREAM)) {          // its taker is told, and nobody else ever
      job_.notes_.take(index);
      return;
    }
    out_of_memory_ = !job_.notes_.write(index, attempt_.state, attempt_.code, number_, 0, attempt_.message);
  }
  void succeeded(uint64_t, uint64_t) noexcept override {}

 private:
  pa_job& job_;
  const pa::Attempt& attempt_;
  const uint32_t number_;
  bool out_of_memory_ = false;
};

namespace {

// For calls in which nothing fails.
class NoWitness final : public pa::Witness {
  void failed(uint64_t, Verdict) noexcept override {}
  void succeeded(uint64_t, uint64_t) noexcept override {}
} no_witness;

}  // namespace

Taker* pa_job::taker_of(pa_lease& out) const noexcept {
  Taker* taker = taker_in(out);
  return taker->mark == Taker::kMark && taker->job == this ? taker : nullptr;
}

Taker* pa_job::enrolled(pa_lease& out) noexcept {
  if (Taker* taker = taker_of(out)) return taker;
  if (!is_zeroed(out)) return nullptr;
  auto* taker = new (out.reserved) Taker;
  taker->job = this;
  retain();
  return taker;
}

Taker* pa_job::holder(pa_lease& out) const noexcept {
  Taker* taker = taker_of(out);
  return taker && taker->phase == Phase::leased ? taker : nullptr;
}

void pa_job::dismiss(pa_lease& out) noexcept {
  std::memset(out.reserved, 0, sizeof out.reserved);
  out.count = 0;
  out.wait_ns = -1;
  if (drop()) delete this;
}

pa_status pa_job::take(pa_lease& out) noexcept {
  Taker* taker = enrolled(out);
  if (!taker || taker->phase == Phase::pulling) return PA_STATUS_INVALID;
  Wake wake;
  const nanos now = pa::os::now();
  if (!still_holds(*taker, now, wake)) return take(*taker, out, now, wake);
  say(out, wake);
  show(out, taker->lease);
  return PA_STATUS_OK;
}

// False: there is nothing left of its lease, which is over now, if it had one.
bool pa_job::still_holds(Taker& taker, nanos now, Wake& wake) noexcept {
  if (taker.phase != Phase::leased) return false;
  if (!job_.step(now, taker.lease, 0, no_witness, wake)) return false;
  if (taker.lease.count) return true;
  job_.complete(now, taker.lease, 0, no_witness, wake);
  return false;
}

pa_status pa_job::take(Taker& taker, pa_lease& out, nanos now, Wake& wake) noexcept {
  const pa::Take taken = job_.take(now, taker.lease, wake);
  return answer(taken, taker, out, now, wake);
}

pa_status pa_job::answer(pa::Take answer, Taker& taker, pa_lease& out, nanos now, const Wake& wake) noexcept {
  say(out, wake);
  switch (answer) {
    case pa::Take::lease:
      taker.phase = Phase::leased;
      show(out, taker.lease);
      return PA_STATUS_OK;
    case pa::Take::pull:
      taker.phase = Phase::pulling;
      taker.lease.cookie = 0;
      show(out, taker.lease);
      return PA_STATUS_PULL;
    case pa::Take::again:
      taker.phase = Phase::parked;
      out.count = 0;
      out.wait_ns = pa::wait_until(taker.lease.come_back, now);
      return PA_STATUS_AGAIN;
    case pa::Take::done:
      break;
  }
  dismiss(out);
  return PA_STATUS_DONE;
}

pa_status pa_job::supply(pa_lease& out, uint64_t got, bool end) noexcept {
  Taker* taker = taker_of(out);
  if (!taker || taker->phase != Phase::pulling || got > taker->lease.count) return PA_STATUS_INVALID;
  Wake wake;
  const nanos now = pa::os::now();
  if (job_.supply(now, got, end, out.cookie, wake)) return take(*taker, out, now, wake);
  say(out, wake);
  return stopped(*taker, out);
}

pa_status pa_job::stopped(Taker& taker, pa_lease& out) noexcept {
  taker.phase = Phase::stopped;
  taker.lease.count = 0;
  show(out, taker.lease);
  return PA_STATUS_STOPPED;
}

pa_status pa_job::step(pa_lease& out, uint64_t done) noexcept {
  Taker* taker = holder(out);
  if (!taker || done > taker->lease.count) return PA_STATUS_INVALID;
  Wake wake;
  const bool goes_on = job_.step(pa::os::now(), taker->lease, done, no_witness, wake);
  forget_error(taker->lease, done);
  say(out, wake);
  if (!goes_on) return stopped(*taker, out);
  show(out, taker->lease);
  return PA_STATUS_OK;
}

pa_status pa_job::fail(pa_lease& out, uint64_t index, const pa::Attempt& attempt) noexcept {
  Taker* taker = holder(out);
  if (!taker) return PA_STATUS_INVALID;
  Lease& lease = taker->lease;
  if (index < lease.first || index - lease.first >= lease.count) return PA_STATUS_INVALID;
  Wake wake;
  const nanos now = pa::os::now();
  FailureWitness witness(*this, attempt, lease.attempt);
  const Verdict verdict = job_.fail(now, lease, index, attempt.failure, witness, wake);
  if (witness.out_of_memory()) job_.end_as(End::failed, wake);
  const bool over = verdict == Verdict::stopped && (lease.revoked || !lease.count);
  if (over && !lease.revoked) job_.complete(now, lease, 0, no_witness, wake);
  say(out, wake);
  if (over) return stopped(*taker, out);
  show(out, lease);
  return verdict == Verdict::final ? PA_STATUS_FINAL : verdict == Verdict::retry ? PA_STATUS_RETRY : PA_STATUS_STOPPED;
}

pa_status pa_job::complete(pa_lease& out, uint64_t done) noexcept {
  Taker* taker = taker_of(out);
  if (!taker) return PA_STATUS_INVALID;
  // A taker that was told so by pa_job_fail and completes what is left of its lease: that is nothing.
  if (taker->phase == Phase::stopped && done == 0) return PA_STATUS_STOPPED;
  if (taker->phase != Phase::leased || done > taker->lease.count) return PA_STATUS_INVALID;
  Wake wake;
  job_.complete(pa::os::now(), taker->lease, done, no_witness, wake);
  forget_error(taker->lease, done);
  say(out, wake);
  if (taker->lease.revoked) return stopped(*taker, out);
  taker->phase = Phase::idle;
  show(out, taker->lease);
  return PA_STATUS_OK;
}

pa_status pa_job::complete_and_take(pa_lease& out) noexcept {
  Taker* taker = holder(out);
  if (!taker) return take(out);
  Wake wake;
  const nanos now = pa::os::now();
  if (taker->lease.attempt == 1) {
    const pa::Take taken = job_.complete_and_take(now, taker->lease, no_witness, wake);
    return answer(taken, *taker, out, now, wake);
  }
  const uint64_t done = taker->lease.count;
  job_.complete(now, taker->lease, done, no_witness, wake);
  forget_error(taker->lease, done);
  return take(*taker, out, now, wake);
}

// An item that is retried is leased alone.
void pa_job::forget_error(const Lease& lease, uint64_t succeeded) noexcept {
  if (succeeded && lease.attempt > 1 && !lease.revoked) notes_.take(lease.first - 1);
}

pa_status pa_job::leave(pa_lease& out) noexcept {
  Taker* taker = taker_of(out);
  if (!taker) return is_zeroed(out) ? PA_STATUS_OK : PA_STATUS_INVALID;
  Wake wake;
  const nanos now = pa::os::now();
  if (taker->phase == Phase::leased) job_.complete(now, taker->lease, 0, no_witness, wake);
  if (taker->phase == Phase::pulling) job_.supply(now, 0, false, 0, wake);
  job_.leave(taker->lease, wake);
  say(out, wake);
  dismiss(out);
  return PA_STATUS_OK;
}
