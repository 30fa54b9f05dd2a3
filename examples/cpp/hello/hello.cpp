#include <algorithm>
#include <fstream>
#include <iostream>
#include <iterator>
#include <pa/pa.hpp>
#include <string>
#include <vector>

static std::ptrdiff_t count_lines(const std::string& name) {
  std::ifstream file(name);
  if (!file) throw pa::failure(1, "can't be opened");  // this item has failed; the others go on
  return std::count(std::istreambuf_iterator<char>(file), {}, '\n');
}

int main() {
  const std::vector<std::string> names = {"LICENSE", "no-such-file", "capi/abi/foreign-symbols.txt"};
  for (auto file : pa::map(names, count_lines, {.workers = 2}))
    if (file.ok())
      std::cout << names[file.index()] << ": " << file.value() << " lines\n";
    else
      std::cout << names[file.index()] << ": " << file.message() << '\n';
}
