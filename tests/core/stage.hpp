// A job on a stage: a fake clock, and a witness that remembers what it was told.
#pragma once
#include <gtest/gtest.h>

#include <optional>
#include <utility>
#include <vector>

#include "core/job.hpp"

namespace pa {

inline std::ostream& operator<<(std::ostream& out, Take take) {
  static constexpr const char* kNames[] = {"lease", "pull", "again", "done"};
  return out << kNames[static_cast<int>(take)];
}
inline std::ostream& operator<<(std::ostream& out, Next next) {
  static constexpr const char* kNames[] = {"chunk", "again", "done"};
  return out << kNames[static_cast<int>(next)];
}
inline std::ostream& operator<<(std::ostream& out, End end) {
  static constexpr const char* kNames[] = {"none", "completed", "timed_out", "aborted", "cancelled", "failed"};
  return out << kNames[static_cast<int>(end)];
}
inline std::ostream& operator<<(std::ostream& out, Verdict verdict) {
  static constexpr const char* kNames[] = {"final", "retry", "stopped"};
  return out << kNames[static_cast<int>(verdict)];
}

// `count` inputs in an array, no limits; the tests change what they are about.
inline JobConfig array_of(uint64_t count, uint32_t workers = 1) {
  JobConfig config;
  config.count = count;
  config.workers = config.cpus = workers;
  config.retry.jitter = false;
  return config;
}

inline JobConfig source_of(uint64_t hint, uint32_t workers = 1) {
  JobConfig config = array_of(hint, workers);
  config.fetched = true;
  return config;
}

// A stream of `count` inputs from an array.
inline JobConfig stream_of(uint64_t count, uint32_t workers = 1) {
  JobConfig config = array_of(count, workers);
  config.stream = true;
  return config;
}

class Stage : public Witness {
 public:
  explicit Stage(const JobConfig& config) : job(config) {}

  // Each call leaves in `wake` what it alone asked for.
  Take take(Lease& lease) { return job.take(now, lease, fresh_wake()); }
  bool supply(uint64_t got, bool end, uint64_t cookie = 0) { return job.supply(now, got, end, cookie, fresh_wake()); }
  bool admit(uint64_t got, bool end, uint64_t cookie = 0) { return job.admit(now, got, end, cookie, fresh_wake()); }
  bool step(Lease& lease, uint64_t done) { return job.step(now, lease, done, *this, fresh_wake()); }
  bool advance(Lease& lease, uint64_t done) { return job.advance(now, lease, done, *this, fresh_wake()); }
  Verdict fail(Lease& lease, Failure failure = {}) { return fail_at(lease, lease.first, failure); }
  Verdict fail_at(Lease& lease, uint64_t index, Failure failure = {}) {
    return job.fail(now, lease, index, failure, *this, fresh_wake());
  }
  void complete(Lease& lease, uint64_t done) { job.complete(now, lease, done, *this, fresh_wake()); }
  void complete(Lease& lease) { complete(lease, lease.count); }
  Next next() { return job.next(now, chunk, fresh_wake()); }
  End poll() { return job.poll(now, fresh_wake()); }
  bool end_as(End why) { return job.end_as(why, fresh_wake()); }

  // Everything that nobody will run, in the order in which it is handed out.
  std::vector<Unrun> drain() {
    std::vector<Unrun> all;
    while (const std::optional<Unrun> unrun = job.drain()) all.push_back(*unrun);
    return all;
  }
  uint64_t drained_count() {
    uint64_t count = 0;
    for (const Unrun& unrun : drain()) count += unrun.count;
    return count;
  }

  struct Told {
    uint64_t index;
    Verdict verdict;
    uint64_t resolved_then;
    End end_then;
  };

  Job job;
  nanos now = 1'000;
  Wake wake;
  Chunk chunk;  // that next() handed out
  std::vector<Told> failures;
  std::vector<std::pair<uint64_t, uint64_t>> successes;

 private:
  Wake& fresh_wake() {
    wake = {};
    return wake;
  }
  void failed(uint64_t index, Verdict verdict) noexcept override {
    failures.push_back({index, verdict, job.resolved(), job.end()});
  }
  void succeeded(uint64_t first, uint64_t count) noexcept override { successes.emplace_back(first, count); }
};

}  // namespace pa
