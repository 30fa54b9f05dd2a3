#include "functions.hpp"

#include <chrono>
#include <cstring>
#include <functional>
#include <map>
#include <stdexcept>
#include <thread>

namespace conformance {

std::atomic<int64_t> Value::living{0};

namespace {

constexpr int32_t kFailed = 7;

// While it lives, one call more is running.
class Running {
 public:
  explicit Running(Program& program) : program_(program) {
    program_.calls++;
    const uint64_t now = ++program_.now;
    for (uint64_t most = program_.most_at_once; most < now && !program_.most_at_once.compare_exchange_weak(most, now);) {
    }
  }
  ~Running() { program_.now--; }

 private:
  Program& program_;
};

struct Answer {
  bool ok;
  std::string message;
};

constexpr bool odd(int64_t x) { return x % 2 != 0; }

void wait_until_stopped(const pa_call* call) {
  while (!pa_call_stopped(call)) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

Answer first_attempts_fail(int64_t times, const pa_call* call, const std::string& word) {
  const uint32_t attempt = pa_call_attempt(call);
  return {attempt > times, word.empty() ? "attempt " + std::to_string(attempt) : word};
}

// What each function that answers for an item by itself says about x. `stopped` is for those that give up.
using Rule = std::function<Answer(const Program&, int64_t x, pa_call*, bool& stopped)>;
const std::map<std::string, Rule> rules = {
    {"square",
     [](auto&&...) {
       return Answer{true, ""};
     }},
    {"nothing",
     [](auto&&...) {
       return Answer{true, ""};
     }},
    {"fail_on_odd",
     [](auto&, int64_t x, auto&&...) {
       return Answer{!odd(x), "odd: " + std::to_string(x)};
     }},
    {"fail_always",
     [](auto&&...) {
       return Answer{false, "always"};
     }},
    {"fail_times", [](auto& p, int64_t, pa_call* call, bool&) { return first_attempts_fail(p.function.times, call, ""); }},
    {"fail_for_good_on_odd",
     [](auto&, int64_t x, pa_call* call, bool&) {
       return odd(x) ? Answer{false, "final: " + std::to_string(x)} : first_attempts_fail(1, call, "once");
     }},
    {"throttle",
     [](auto& p, int64_t, pa_call* call, bool&) {
       const Answer answer = first_attempts_fail(p.function.times, call, "throttled");
       if (!answer.ok) pa_call_retry_after(call, p.function.wait_ns);
       return answer;
     }},
    {"crash_on_odd",
     [](auto&, int64_t x, auto&&...) {
       if (odd(x)) throw std::runtime_error("crash: " + std::to_string(x));
       return Answer{true, ""};
     }},
    {"stop_at",
     [](auto& p, int64_t x, auto&&...) {
       if (x == p.function.x) pa_stop_request(p.stop);
       return Answer{true, ""};
     }},
    {"until_stopped",
     [](auto&, int64_t, pa_call* call, bool& stopped) {
       wait_until_stopped(call);
       stopped = true;
       return Answer{false, ""};
     }},
    {"until_stopped_ok",
     [](auto&, int64_t, pa_call* call, bool&) {
       wait_until_stopped(call);
       return Answer{true, ""};
     }},
    {"until_stopped_at",
     [](auto& p, int64_t x, pa_call* call, bool& stopped) {
       if (x != p.function.x) return Answer{true, ""};
       wait_until_stopped(call);
       stopped = true;
       return Answer{false, ""};
     }},
};

const Rule& rule_of(const Function& function) {
  const auto found = rules.find(function.name);
  if (found == rules.end()) throw std::invalid_argument("nobody knows the function " + function.name);
  return found->second;
}

}  // namespace

int32_t run_item(void* ctx, void* item, void** value, pa_call* call) {
  Program& program = *static_cast<Program*>(ctx);
  const Running running(program);
  const int64_t x = *static_cast<const int64_t*>(item);
  bool stopped = false;
  const Answer answer = rule_of(program.function)(program, x, call, stopped);
  if (stopped) return PA_CODE_STOPPED;
  if (!answer.ok) return pa_call_fail(call, kFailed, answer.message.c_str());
  if (program.function.name != "nothing") *value = new Value(x * x);
  return 0;
}

int32_t run_batch(void* ctx, void* const* items, size_t count, void** values, pa_call* call) {
  Program& program = *static_cast<Program*>(ctx);
  const Running running(program);
  const std::string& name = program.function.name;
  if (name == "fail_always") return pa_call_fail(call, kFailed, "always");
  const bool is_short = name == "short";
  const Function each = is_short ? Function{.name = "square"} : program.function;
  const size_t answered = is_short ? count - std::min<size_t>(count, static_cast<size_t>(program.function.missing)) : count;
  for (size_t i = 0; i < answered; i++) {
    const int64_t x = *static_cast<const int64_t*>(items[i]);
    bool stopped = false;
    const Answer answer = rule_of(each)(program, x, call, stopped);
    if (stopped) return PA_CODE_STOPPED;
    if (answer.ok) {
      values[i] = new Value(x * x);
      if (is_short) pa_call_ok_at(call, i);
    } else {
      pa_call_fail_at(call, i, kFailed, answer.message.c_str());
    }
  }
  return answered < count ? pa_call_fail(call, PA_CODE_UNANSWERED, "the batch function gave too few answers") : 0;
}

int32_t not_final(void*, const pa_outcome* failure) { return std::strncmp(failure->message, "final", 5) != 0; }

}  // namespace conformance
