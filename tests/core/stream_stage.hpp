// A stage for streams: which items were handed out, and items that are done when a test says so.
#pragma once
#include <memory>

#include "stage.hpp"

namespace pa {

inline JobConfig fetched_stream(uint32_t workers = 1) {
  JobConfig config = source_of(kUnsized, workers);
  config.stream = true;
  config.window = 100;
  return config;
}

inline JobConfig pushed_stream(uint32_t workers = 1) {
  JobConfig config = fetched_stream(workers);
  config.pushed = true;
  return config;
}

using Indices = std::vector<uint64_t>;

// Every item is a lease of its own, so that a test says which of them is done when.
inline JobConfig singly(JobConfig config, bool ordered = false) {
  config.fixed_lease = 1;
  config.batch_max = 1;
  config.ordered = ordered;
  return config;
}

// A stage with a taker for each item: item i is leased to takers[i].
struct Play : Stage {
  Play(const JobConfig& config, size_t count) : Stage(config) {
    for (size_t i = 0; i < count; i++) {
      takers.push_back(std::make_unique<Lease>());
      EXPECT_EQ(take(*takers[i]), Take::lease);
      EXPECT_EQ(takers[i]->first, i);
    }
  }
  void succeed(size_t index) { complete(*takers[index]); }
  Verdict fail_for_good(size_t index) {
    const Verdict verdict = fail(*takers[index], {.retryable = false});
    if (!takers[index]->revoked) complete(*takers[index], 0);
    return verdict;
  }
  std::vector<std::unique_ptr<Lease>> takers;
};

// What the consumer is handed out now, index by index.
inline Indices handed_out(Stage& stage) {
  Indices indices;
  while (stage.next() == Next::chunk)
    for (uint64_t i = 0; i < stage.chunk.count; i++) indices.push_back(stage.chunk.first + i);
  return indices;
}

}  // namespace pa
