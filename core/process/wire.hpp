// What a program and its worker agree upon: the control pages in front of the two regions, and what a request consists of.
//
// One request is under way at a time. The program writes it, with its records, behind its control page and counts `posted` up;
// the worker answers with records behind its own page, counts `progress` as it goes, and sets `over` to the request's number.
// Request 1 is posted from the beginning: a worker that is ready to serve answers it with nothing.
//
// Either page is written by one end only, and read by the other with the suspicion due to somebody who may have lost his mind.
#pragma once
#include <atomic>
#include <cstdint>

#include "core/process/region.hpp"
#include "core/time.hpp"

namespace pa::process {

inline constexpr uint32_t kProtocol = 1;
inline constexpr const char* kVariable = "PA_WORKER";  // of a worker's environment: the protocol's number

// A worker finds these descriptors open.
inline constexpr int kFileAt = 3;    // the shared file
inline constexpr int kBellAt = 4;    // an eventfd: rung when a request is over, where the program sleeps
inline constexpr int kParentAt = 5;  // a pidfd of the program
inline constexpr int kFirstFree = 6;
// And moves the last two up, out of the way of code that closes what it takes for its own and opens something else instead.
inline constexpr int kKeptFrom = 200;

struct ProgramPage {
  uint64_t memory_limit;
  alignas(64) std::atomic<uint32_t> posted;  // the number of the last request; the worker sleeps on it
  std::atomic<uint32_t> sleeps;              // 1: ring the bell
  std::atomic<uint32_t> recalled;            // the number of a request to be cut short after the item that runs
  std::atomic<uint32_t> stopped;             // the number of a request whose run has ended
};

struct WorkerPage {
  alignas(64) std::atomic<uint32_t> over;  // the number of the last request that is over
  std::atomic<uint32_t> sleeps;            // 1: wake whoever sleeps on `posted`
  std::atomic<uint64_t> progress;  // the request's number << 32, twice the items finished, and 1 if the next one runs
  std::atomic<int64_t> started;    // when it began, if the request has an item_timeout
  std::atomic<int32_t> cpu;        // that the worker runs on
};

static_assert(std::atomic<uint64_t>::is_always_lock_free);

enum class Op : uint32_t {
  serve,  // the first request: no records, no answer
  begin,  // a run: the task's name, its context. Answer: null, or a failure
  items,  // `count` items, called one by one. Answer: a record for each
  batch,  // the same in one call
  quit,
};

struct Request {
  Op op = Op::serve;
  uint32_t attempt = 0;
  uint64_t first = 0;
  uint64_t count = 0;
  nanos deadline = kNever;  // of the run
  nanos item_timeout = kNever;
};
inline constexpr uint64_t kMostAtOnce = 1u << 20;  // items of a request
inline constexpr uint64_t kRequestAt = Region::kPage;
inline constexpr uint64_t kItemsAt = Region::kPage + 64;
inline constexpr uint64_t kAnswersAt = Region::kPage;
static_assert(sizeof(Request) <= 64);

// In front of a failure's message.
struct FailureHead {
  int64_t server_wait_ns;  // -1: none
  uint32_t late;           // the attempt outran item_timeout
  uint32_t reserved;
};

}  // namespace pa::process
