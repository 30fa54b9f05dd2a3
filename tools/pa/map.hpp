// `pa map`: a task of a module, or a command, over all records of the input.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "records.hpp"

namespace cli {

struct MapOptions {
  std::string module, task;
  std::vector<std::string> command;
  std::string input = "-", failures;
  Format format = Format::lines;
  uint32_t workers = 0;
  double rate = 0;
  uint64_t burst = 1;
  uint32_t attempts = 1;
  double backoff = 1, timeout = -1, item_timeout = -1;
  uint64_t max_errors = 0;
  bool processes = false, unordered = false, progress = false, json = false;
};

// What `pa` exits with.
enum Exit { all_ok = 0, some_failed = 1, wrong_usage = 2, run_failed = 3, timed_out = 124, interrupted = 130 };

int map(const MapOptions& options);

}  // namespace cli
