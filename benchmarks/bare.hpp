// Hand-written loops without any library: what a careful programmer gets out of plain threads for exactly this work, and so
// what the machine allows. A row of libpa that misses its goal is excused only where it is within 5 % of its bare_ row.
#pragma once
#include <atomic>
#include <cstdint>
#include <thread>

#include "peers.hpp"
#include "team.hpp"

namespace bench {

// Each thread one contiguous part.
void bare_static(Team& team, const Loop& loop);

// Each thread takes `step` items at a time from one counter.
void bare_counter(Team& team, const Loop& loop, uint64_t step);

// A stream of the items 0 ... count-1 in chunks: a helper and the caller, who adds the values up, take turns at a source and a
// list of chunks that are done, both under one mutex. At most 32 chunks are ahead. Returns the sum.
uint64_t bare_stream(pa_fn body, void* ctx, uint64_t count, uint64_t chunk);

// For small loops: a helper that spins for 100 us before it sleeps, on another CPU than the caller's, where the kernel would
// often wake it; and a caller that waits for no helper that came too late. One array of items for its lifetime: a late
// helper may look at it at any time.
class SmallLoop {
 public:
  explicit SmallLoop(const Loop& loop);
  ~SmallLoop();
  SmallLoop(const SmallLoop&) = delete;
  SmallLoop& operator=(const SmallLoop&) = delete;

  void run();

 private:
  bool take_one();
  void serve();

  const Loop loop_;
  // Which run it is in the upper half, the next item in the lower one: a helper that comes late finds another run.
  alignas(64) std::atomic<uint64_t> next_;
  alignas(64) std::atomic<uint64_t> done_{0};
  alignas(64) std::atomic<uint32_t> run_{0};
  std::atomic<bool> asleep_{false};
  std::atomic<bool> over_{false};
  std::thread helper_;
};

}  // namespace bench
