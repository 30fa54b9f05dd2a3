// Allocations of the engine that fail, each in turn: the run ends as failed for want of memory, and every index still gets
// exactly one outcome.
#include <gtest/gtest.h>

#include <cstdlib>
#include <new>

#include "stage.hpp"

namespace {

thread_local long allocations_left = -1;  // -1: all succeed

bool may_allocate() { return allocations_left < 0 || allocations_left-- > 0; }

void* allocate(std::size_t bytes, std::size_t alignment) {
  if (!may_allocate()) return nullptr;
  void* memory = nullptr;
  if (alignment <= alignof(std::max_align_t)) return std::malloc(bytes ? bytes : 1);
  return posix_memalign(&memory, alignment, bytes) == 0 ? memory : nullptr;
}

void* allocate_or_throw(std::size_t bytes, std::size_t alignment) {
  if (void* memory = allocate(bytes, alignment)) return memory;
  throw std::bad_alloc();
}

}  // namespace

void* operator new(std::size_t bytes) { return allocate_or_throw(bytes, 1); }
void* operator new[](std::size_t bytes) { return allocate_or_throw(bytes, 1); }
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return allocate_or_throw(bytes, static_cast<std::size_t>(alignment));
}
void* operator new[](std::size_t bytes, std::align_val_t alignment) {
  return allocate_or_throw(bytes, static_cast<std::size_t>(alignment));
}
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept { return allocate(bytes, 1); }
void* operator new[](std::size_t bytes, const std::nothrow_t&) noexcept { return allocate(bytes, 1); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { std::free(memory); }

namespace pa {
namespace {

// Lets the n-th allocation in its scope fail, and all after it.
class Shortage {
 public:
  explicit Shortage(long succeeding) { allocations_left = succeeding; }
  ~Shortage() { allocations_left = -1; }
  bool has_struck() const { return allocations_left == 0; }
};

struct Silent final : Witness {
  uint64_t final_failures = 0;
  void failed(uint64_t, Verdict verdict) noexcept override { final_failures += verdict == Verdict::final; }
  void succeeded(uint64_t, uint64_t) noexcept override {}
};

// Three takers work on the job until its end; every other first attempt fails, and leases go back half run. The whole of it,
// but the making of the job, is short of memory.
struct Story {
  bool ran_short = false;
  End end = End::none;
  bool noticed = false;
  uint64_t outcomes = 0;
  uint64_t expected = 0;
};

// What the consumer of a stream gets, until nothing is left for him for now.
uint64_t hand_out(Job& job, nanos now) {
  uint64_t count = 0;
  Chunk chunk;
  Wake wake;
  while (job.next(now, chunk, wake) == Next::chunk) count += chunk.count;
  return count;
}

Story tell(const JobConfig& config, long succeeding) {
  Job job(config);
  Silent witness;
  Story story;
  uint64_t supplied = 0, drained = 0, handed_out = 0;
  std::vector<Unrun> taken;
  {
    const Shortage shortage{succeeding};
    Lease leases[3];
    nanos now = 1;
    for (int idle = 0; idle < 20; idle++) {
      for (Lease& lease : leases) {
        Wake wake;
        now += 10;
        const Take take = job.take(now, lease, wake);
        if (take == Take::pull) {
          const uint64_t got = std::min<uint64_t>(lease.count, 20 - supplied);
          supplied += got;
          job.supply(now, got, supplied == 20, 0, wake);
        }
        if (take != Take::lease) continue;
        idle = 0;
        if (lease.attempt == 1 && lease.first % 2 == 0) job.fail(now, lease, lease.first, {}, witness, wake);
        job.complete(now, lease, lease.count / 2 + lease.count % 2, witness, wake);
      }
      if (job.end() != End::none) break;
      if (config.stream && idle) handed_out += hand_out(job, now);
    }
    story.ran_short = shortage.has_struck();
  }
  story.end = job.end();
  story.noticed = job.out_of_memory();
  if (config.stream) handed_out += hand_out(job, kNever - 1);
  while (const std::optional<Unrun> unrun = job.drain()) drained += unrun->count;
  story.outcomes = (config.stream ? handed_out : job.resolved()) + drained;
  story.expected = config.fetched ? supplied : config.stream ? job.admitted() : config.count;
  EXPECT_TRUE(job.settled());
  return story;
}

void torture(const JobConfig& config) {
  int struck = 0;
  for (long succeeding = 0; succeeding < 200; succeeding++) {
    const Story story = tell(config, succeeding);
    EXPECT_EQ(story.outcomes, story.expected) << "when allocation " << succeeding << " fails";
    if (story.noticed) {
      struck++;
      EXPECT_EQ(story.end, End::failed) << "when allocation " << succeeding << " fails";
    } else {
      EXPECT_EQ(story.end, End::completed) << "when allocation " << succeeding << " fails";
      if (!story.ran_short) break;
    }
  }
  EXPECT_GT(struck, 0) << "no allocation was met";
}

JobConfig retrying(JobConfig config) {
  config.retry.attempts = 2;
  config.retry.backoff_ns = 0;
  config.lease_target_ns = 1'000'000;
  return config;
}

TEST(OutOfMemory, OnLanes) { torture(retrying(array_of(60, 2))); }

TEST(OutOfMemory, UnderTheLock) {
  JobConfig config = retrying(array_of(60, 2));
  config.detachable = true;
  torture(config);
}

TEST(OutOfMemory, WithASource) { torture(retrying(source_of(kUnsized, 2))); }

// Room for all that a lease may bring is made before it is given out: nothing that is done is lost.
TEST(OutOfMemory, OfAStream) {
  for (const bool ordered : {false, true}) {
    for (JobConfig config : {array_of(60, 2), source_of(kUnsized, 2)}) {
      config = retrying(config);
      config.stream = true;
      config.ordered = ordered;
      config.window = 30;
      torture(config);
    }
  }
}

TEST(OutOfMemory, AdmitThrowsBeforeItChangesAnything) {
  JobConfig config = source_of(kUnsized);
  config.stream = config.pushed = true;
  Stage stage{config};
  {
    const Shortage shortage{0};
    EXPECT_THROW(stage.admit(1, false), std::bad_alloc);
  }
  EXPECT_EQ(stage.job.admitted(), 0u);
  EXPECT_EQ(stage.job.end(), End::none);
  EXPECT_TRUE(stage.admit(1, true));
}

TEST(OutOfMemory, RevokeThrowsBeforeItChangesAnything) {
  JobConfig config = array_of(4);
  config.detachable = true;
  Stage stage{config};
  Lease lease;
  ASSERT_EQ(stage.take(lease), Take::lease);
  stage.end_as(End::cancelled);
  std::vector<Unrun> taken;
  {
    const Shortage shortage{0};
    EXPECT_THROW(stage.job.revoke(taken), std::bad_alloc);
  }
  EXPECT_TRUE(taken.empty());
  stage.complete(lease);
  EXPECT_FALSE(lease.revoked);
  EXPECT_EQ(stage.job.resolved(), 1u);
}

TEST(OutOfMemory, AListenerThatCanNotBeAdded) {
  struct Ear : Listener {
    void notified() noexcept override {}
  };
  Listeners listeners;
  Ear ears[8], one_too_many;
  for (Ear& ear : ears) listeners.add(ear);
  const Shortage shortage{0};
  EXPECT_THROW(listeners.add(one_too_many), std::bad_alloc);
  listeners.notify();
}

}  // namespace
}  // namespace pa
