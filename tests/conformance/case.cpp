#include "case.hpp"

#include <fstream>
#include <stdexcept>

namespace conformance {

namespace {

Inputs read_inputs(const json& from, const std::string& where) {
  Inputs inputs;
  if (from.is_array()) {
    inputs.items = from.get<std::vector<int64_t>>();
    return inputs;
  }
  expect_fields(from, {"items", "count", "endless", "hint", "fails_at", "one_by_one"}, where);
  if (from.contains("items")) inputs.items = from["items"].get<std::vector<int64_t>>();
  for (int64_t x = 0; x < from.value("count", int64_t{0}); x++) inputs.items.push_back(x);
  inputs.endless = from.value("endless", false);
  inputs.one_by_one = from.value("one_by_one", false);
  if (from.contains("hint")) inputs.hint = from["hint"].get<uint64_t>();
  if (from.contains("fails_at")) inputs.fails_at = from["fails_at"].get<uint64_t>();
  return inputs;
}

Function read_function(const json& from, const std::string& where) {
  expect_fields(from, {"name", "times", "x", "wait_ns", "missing"}, where);
  return {from.at("name"), from.value("times", int64_t{0}), from.value("x", int64_t{0}), from.value("wait_ns", int64_t{0}),
          from.value("missing", int64_t{0})};
}

Case read_case(const json& from, const std::string& file) {
  Case c;
  c.name = from.at("name");
  const std::string where = file + ": " + c.name;
  expect_fields(from, {"name", "row", "calls", "inputs", "function", "options", "expect", "not"}, where);
  c.calls = from.at("calls").get<std::vector<std::string>>();
  c.inputs = read_inputs(from.at("inputs"), where);
  c.function = read_function(from.at("function"), where);
  c.options = from.value("options", json::object());
  c.expect = from.at("expect");
  const json exceptions = from.value("not", json::object());
  expect_fields(exceptions, {"c", "go", "rust", "java"}, where);
  if (exceptions.contains("c")) c.not_in_c = exceptions["c"].get<std::string>();
  return c;
}

}  // namespace

void expect_fields(const json& object, const std::set<std::string>& known, const std::string& where) {
  for (const auto& [name, value] : object.items())
    if (!known.count(name)) throw std::invalid_argument(where + ": nobody knows the field " + name);
}

std::vector<Case> read_cases(const std::filesystem::path& folder) {
  std::set<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.path().extension() == ".json") files.insert(entry.path());
  std::vector<Case> cases;
  for (const auto& file : files)
    for (const json& from : json::parse(std::ifstream(file))) cases.push_back(read_case(from, file.filename()));
  return cases;
}

}  // namespace conformance
