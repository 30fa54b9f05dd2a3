// Runs a case by one of the calls of the C ABI, and writes down what came out.
#ifndef PA_TESTS_CONFORMANCE_OBSERVE_HPP
#define PA_TESTS_CONFORMANCE_OBSERVE_HPP

#include <pa/pa.h>

#include <array>

#include "case.hpp"

namespace conformance {

struct Outcome {
  uint64_t index = 0;
  std::string state;  // "OK"
  json value;         // null if there is none
  std::string message;
  uint32_t attempts = 0;
  json key;
};

struct Observed {
  std::string error;  // "INVALID"; empty if the call succeeded
  std::string message;
  int32_t detail = 0;
  std::string end;  // "COMPLETED"; empty with INVALID
  bool ok = false;
  bool is_stream = false;
  bool in_order = true;
  std::vector<Outcome> outcomes;  // by index; of a stream those that it handed out
  uint64_t calls = 0, most_at_once = 0, delivered = 0;
  std::array<uint64_t, 3> progress{};  // calls, last done, last total
  uint64_t results = 0;
  uint64_t workers_started = 0, workers_stopped = 0;
  // What was handed over and not given back, and what was given back twice: all 0.
  int64_t values_left = 0, items_left = 0, owners_left = 0;
};

Observed observe(const Case& c, const std::string& call);

}  // namespace conformance

#endif
