// What the simulation says when the job broke a promise.
#pragma once
#include <cstdarg>
#include <cstdio>
#include <stdexcept>
#include <string>

#include "core/time.hpp"

namespace pa::simulation {

struct Violation : std::runtime_error {
  using std::runtime_error::runtime_error;
};

[[gnu::format(printf, 1, 2)]] inline std::string text(const char* format, ...) {
  char buffer[512];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(buffer, sizeof buffer, format, arguments);
  va_end(arguments);
  return buffer;
}

inline std::string instant(nanos value) { return value == kNever ? "-" : std::to_string(value); }

// printf wants one type for 64 bits on every platform.
using ull = unsigned long long;
using ll = long long;

}  // namespace pa::simulation

#define PA_CHECK(condition, ...)                                                                             \
  do {                                                                                                       \
    if (!(condition))                                                                                        \
      throw pa::simulation::Violation(pa::simulation::text(__VA_ARGS__) + " (" + #condition + " is false)"); \
  } while (0)
