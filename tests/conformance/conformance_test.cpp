// Every case of conformance/cases, by every call that it names.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "observe.hpp"

namespace conformance {
namespace {

struct Parameter {
  Case c;
  std::string call;
};

void PrintTo(const Parameter& parameter, std::ostream* out) { *out << parameter.c.name << " (" << parameter.call << ")"; }

// Compares what a case expects with what was seen.
class Judge {
 public:
  Judge(const json& expect, const Observed& seen) : expect_(expect), seen_(seen) {}

  void check() {
    const std::map<std::string, void (Judge::*)(const json&)> checks = {
        {"error", &Judge::error},
        {"message_has", &Judge::message_has},
        {"end", &Judge::end},
        {"ok", &Judge::ok},
        {"count", &Judge::count},
        {"stream_count", &Judge::elsewhere},
        {"values", &Judge::values},
        {"states", &Judge::states},
        {"stream_states", &Judge::elsewhere},
        {"messages", &Judge::messages},
        {"attempts", &Judge::attempts},
        {"keys", &Judge::keys},
        {"calls", &Judge::calls},
        {"calls_at_most", &Judge::calls_at_most},
        {"calls_at_least", &Judge::calls_at_least},
        {"most_at_once", &Judge::most_at_once},
        {"delivered_at_most", &Judge::delivered_at_most},
        {"progress", &Judge::progress},
        {"results", &Judge::results},
        {"in_order", &Judge::in_order},
        {"workers_started_at_most", &Judge::workers_started_at_most},
        {"workers_started_at_least", &Judge::workers_started_at_least},
    };
    for (const auto& [name, value] : expect_.items()) {
      const auto found = checks.find(name);
      ASSERT_NE(found, checks.end()) << "nobody knows the expectation " << name;
      (this->*found->second)(value);
    }
    if (!expect_.contains("error")) {
      EXPECT_EQ(seen_.error, "") << seen_.message;
    }
    nothing_is_left();
  }

 private:
  void nothing_is_left() {
    EXPECT_EQ(seen_.values_left, 0);
    EXPECT_EQ(seen_.items_left, 0);
    EXPECT_EQ(seen_.owners_left, 0) << "on_quiescent and source.release come once";
    EXPECT_EQ(seen_.workers_started, seen_.workers_stopped);
  }

  void error(const json& v) {
    EXPECT_EQ(seen_.error, v) << seen_.message;
    const std::map<std::string, int32_t> details = {{"SOURCE", 77}, {"CALLBACK", 78}, {"KEY", 79}, {"WORKER_START", 80}};
    if (details.count(v)) {
      EXPECT_EQ(seen_.detail, details.at(v));
    }
    if (v == "INVALID") {
      EXPECT_EQ(seen_.end, "");
    }
  }
  void message_has(const json& v) {
    EXPECT_NE(seen_.message.find(v.get<std::string>()), std::string::npos) << seen_.message;
  }
  void end(const json& v) { EXPECT_EQ(seen_.end, v); }
  void ok(const json& v) { EXPECT_EQ(seen_.ok, v.get<bool>()); }
  void elsewhere(const json&) {}  // see count and states
  void count(const json& v) { EXPECT_EQ(seen_.outcomes.size(), for_streams("stream_count", v).get<uint64_t>()); }
  void values(const json& v) {
    for (const Outcome& o : seen_.outcomes) EXPECT_EQ(o.value, v.at(o.index)) << "of item " << o.index;
  }
  void states(const json& v) {
    const json& wanted = for_streams("stream_states", v);
    if (wanted.is_array()) {
      for (const Outcome& o : seen_.outcomes) EXPECT_EQ(o.state, wanted.at(o.index)) << "of item " << o.index;
      return;
    }
    json found = json::object();
    for (const Outcome& o : seen_.outcomes) found[o.state] = found.value(o.state, 0) + 1;
    EXPECT_EQ(found, wanted);
  }
  void messages(const json& v) {
    for (const auto& [index, text] : v.items()) {
      const auto at = std::find_if(seen_.outcomes.begin(), seen_.outcomes.end(),
                                   [&, i = std::stoull(index)](const Outcome& o) { return o.index == i; });
      ASSERT_NE(at, seen_.outcomes.end()) << "there is no item " << index;
      EXPECT_NE(at->message.find(text.get<std::string>()), std::string::npos) << at->message;
    }
  }
  void attempts(const json& v) {
    for (const Outcome& o : seen_.outcomes) EXPECT_EQ(o.attempts, v.is_array() ? v.at(o.index) : v) << "of item " << o.index;
  }
  void keys(const json& v) {
    for (const Outcome& o : seen_.outcomes) EXPECT_EQ(o.key, v.at(o.index)) << "of item " << o.index;
  }
  void calls(const json& v) { EXPECT_EQ(seen_.calls, v); }
  void calls_at_most(const json& v) { EXPECT_LE(seen_.calls, v); }
  void calls_at_least(const json& v) { EXPECT_GE(seen_.calls, v); }
  void most_at_once(const json& v) { EXPECT_LE(seen_.most_at_once, v); }
  void delivered_at_most(const json& v) { EXPECT_LE(seen_.delivered, v); }
  void progress(const json& v) { EXPECT_EQ(json(seen_.progress), v); }
  void results(const json& v) { EXPECT_EQ(seen_.results, v); }
  void in_order(const json& v) { EXPECT_EQ(seen_.in_order, v.get<bool>()); }
  void workers_started_at_most(const json& v) { EXPECT_LE(seen_.workers_started, v); }
  void workers_started_at_least(const json& v) { EXPECT_GE(seen_.workers_started, v); }

  const json& for_streams(const std::string& name, const json& otherwise) const {
    return seen_.is_stream && expect_.contains(name) ? expect_[name] : otherwise;
  }

  const json& expect_;
  const Observed& seen_;
};

class Conformance : public testing::TestWithParam<Parameter> {};

TEST_P(Conformance, Case) {
  const auto& [c, call] = GetParam();
  SCOPED_TRACE(c.name + " (" + call + ")");
  const Observed seen = observe(c, call);
  Judge(c.expect, seen).check();
}

std::vector<Parameter> all() {
  std::vector<Parameter> parameters;
  for (const Case& c : read_cases(PA_CONFORMANCE_CASES))
    for (const std::string& call : c.calls)
      if (!c.not_in_c) parameters.push_back({c, call});
  return parameters;
}

// GoogleTest wants letters and digits.
std::string name_of(const testing::TestParamInfo<Parameter>& info) {
  std::string name = info.param.call + "_" + info.param.c.name;
  std::replace_if(
      name.begin(), name.end(), [](unsigned char letter) { return !std::isalnum(letter); }, '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(C, Conformance, testing::ValuesIn(all()), name_of);

}  // namespace
}  // namespace conformance
