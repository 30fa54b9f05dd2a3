// The prices inside the engine, in readings of the clock: of a lease, and of a token. Linked with core, not with the
// library.
#include "core/job.hpp"

#include <algorithm>
#include <atomic>
#include <vector>

#include "core/limiter.hpp"
#include "core/os.hpp"
#include "harness.hpp"
#include "team.hpp"

namespace bench {
namespace {

volatile pa::nanos sink;

struct Nobody final : pa::Witness {
  void failed(uint64_t, pa::Verdict) noexcept override {}
  void succeeded(uint64_t, uint64_t) noexcept override {}
};

// Takes and completes until the job is done, with one reading of the clock per lease, as drivers do.
uint64_t run_leases(pa::Job& job) {
  pa::Lease lease;
  pa::Wake wake;
  Nobody witness;
  uint64_t leases = 0;
  pa::nanos now = pa::os::now();
  for (;;) {
    const pa::Take take = job.take(now, lease, wake);
    if (take == pa::Take::done) return leases;
    if (take == pa::Take::lease) {
      leases++;
      now = pa::os::now();
      job.complete(now, lease, lease.count, witness, wake);
    } else {
      if (job.end() != pa::End::none) {
        job.leave(lease, wake);
        return leases;
      }
      now = pa::os::now();
    }
  }
}

}  // namespace

BENCH_GROUP(job) {
  const uint64_t leases = items(1'000'000, 300'000);
  constexpr uint64_t kTokensPerLease = 16;
  Team team(2);

  Race race("price of a lease and of a token");
  race.add("clock_gettime", [&] {
    return timed([&] {
             for (uint64_t i = 0; i < leases; i++) sink = pa::os::now();
           }) /
           static_cast<double>(leases);
  });
  race.add("lease of 1", [&] {
    pa::JobConfig config;
    config.count = leases;
    config.fixed_lease = 1;
    pa::Job job(config);
    uint64_t ran = 0;
    const double seconds = timed([&] { ran = run_leases(job); });
    require(ran == leases && job.end() == pa::End::completed, "the job lost leases");
    return seconds / static_cast<double>(leases);
  });
  // What a counter and a count of what is done would cost.
  race.add("bare lease of 1", [&] {
    std::atomic<uint64_t> next{0}, done{0};
    return timed([&] {
             while (next.fetch_add(1) < leases) {
               sink = pa::os::now();
               done.fetch_add(1);
             }
           }) /
           static_cast<double>(leases);
  });
  race.add("token", [&] {
    pa::Limiter limiter(pa::Rate{1e9, 1'000'000'000, 1u << 20});
    const uint64_t tokens_each = leases * kTokensPerLease / 2;
    return timed([&] {
             team.run([&](uint32_t) {
               for (uint64_t got = 0; got < tokens_each;) got += limiter.take(pa::os::now(), kTokensPerLease, 1).units;
             });
           }) /
           static_cast<double>(2 * tokens_each);
  });
  // One word that is moved on by compare-and-swap.
  race.add("bare token", [&] {
    constexpr int64_t kBurst = 1 << 20, kStep = kTokensPerLease;  // a token is a nanosecond
    std::atomic<int64_t> empty_at{pa::os::now() - kBurst};
    const uint64_t tokens_each = leases * kTokensPerLease / 2;
    return timed([&] {
             team.run([&](uint32_t) {
               for (uint64_t got = 0; got < tokens_each;) {
                 const pa::nanos now = pa::os::now();
                 int64_t seen = empty_at.load(std::memory_order_relaxed);
                 const int64_t from = std::max<int64_t>(seen, now - kBurst);
                 if (from + kStep <= now && empty_at.compare_exchange_weak(seen, from + kStep)) got += kTokensPerLease;
               }
             });
           }) /
           static_cast<double>(2 * tokens_each);
  });
  // Only for the plots: with all that taking and completing a lease costs.
  race.add("token in a job", [&] {
    pa::Limiter limiter(pa::Rate{1e9, 1'000'000'000, 1u << 20});
    pa::JobConfig config;
    config.count = leases * kTokensPerLease;
    config.workers = config.cpus = 2;
    config.fixed_lease = config.lease_max = kTokensPerLease;
    config.limiter = &limiter;
    pa::Job job(config);
    const double seconds = timed([&] { team.run([&](uint32_t) { run_leases(job); }); });
    require(job.end() == pa::End::completed, "the job lost leases");
    return seconds / static_cast<double>(config.count);
  });
  race.run(rounds(25, 15));

  const double clock_s = race.fastest("clock_gettime");
  report.ratio("job_overhead", race.fastest("lease of 1") / clock_s);
  report.ratio("bare_job_overhead", race.fastest("bare lease of 1") / clock_s);
  report.ratio("limiter_cost", race.fastest("token") / clock_s);
  report.ratio("bare_limiter_cost", race.fastest("bare token") / clock_s);
}

}  // namespace bench
