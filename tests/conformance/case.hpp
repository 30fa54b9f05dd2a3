// A case of conformance/cases, as conformance/README.md describes it.
#ifndef PA_TESTS_CONFORMANCE_CASE_HPP
#define PA_TESTS_CONFORMANCE_CASE_HPP

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace conformance {

using json = nlohmann::json;

struct Inputs {
  std::vector<int64_t> items;  // unless endless
  bool endless = false;
  bool one_by_one = false;
  std::optional<uint64_t> hint;
  std::optional<uint64_t> fails_at;
};

struct Function {
  std::string name;
  int64_t times = 0, x = 0, wait_ns = 0, missing = 0;
};

struct Case {
  std::string name;
  std::vector<std::string> calls;
  Inputs inputs;
  Function function;
  json options;
  json expect;
  std::optional<std::string> not_in_c;  // why
};

// Reads every case of every file below the folder. Throws if one has a field that nobody knows.
std::vector<Case> read_cases(const std::filesystem::path& folder);

// Throws unless every field of the object is one of these.
void expect_fields(const json& object, const std::set<std::string>& known, const std::string& where);

}  // namespace conformance

#endif
