#include <fstream>
#include <iostream>
#include <pa/pa.hpp>
#include <string>
#include <vector>

static std::string kind_of(const std::string& name) {
  std::ifstream file(name, std::ios::binary);
  if (!file) throw pa::failure(1, "can't be opened");  // this item has failed; the others go on
  return file.get() == '#' ? "a script" : "no script";
}

int main() {
  const std::vector<std::string> files = {"run", "no-such-file", "LICENSE"};
  for (auto file : pa::map(files, kind_of, {.workers = 2}))
    std::cout << files[file.index()] << ": " << (file.ok() ? file.value() : file.message()) << '\n';
}
