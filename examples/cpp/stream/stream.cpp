// A stream in C++: readings of a sensor come as lines of text without end, are parsed by several threads, and are added up in the
// order in which they came, in constant memory. A line that is broken fails alone.
//
// usage: stream [LINES]        stops after so many lines; exits with 1 if the sums are not what was sent
#include <pa/pa.hpp>

#include <cstdint>
#include <iostream>
#include <iterator>
#include <stdexcept>
#include <string>

// An endless range that can be walked once: line n is "n value", and each hundredth is broken.
class Sensor {
 public:
  class iterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using value_type = std::string;
    using difference_type = std::ptrdiff_t;
    using pointer = const std::string*;
    using reference = std::string;

    std::string operator*() const {
      return number_ % 100 == 99 ? "?" : std::to_string(number_) + ' ' + std::to_string(number_ % 7);
    }
    iterator& operator++() {
      number_++;
      return *this;
    }
    void operator++(int) { number_++; }
    bool operator==(const iterator&) const { return false; }
    bool operator!=(const iterator&) const { return true; }

   private:
    std::uint64_t number_ = 0;
  };

  iterator begin() const { return {}; }
  iterator end() const { return {}; }
};

static std::uint64_t parse(const std::string& line) {
  const std::size_t space = line.find(' ');
  if (space == std::string::npos) throw std::runtime_error("\"" + line + "\" is no reading");
  return std::stoull(line.substr(space + 1));
}

int main(int argc, char** argv) {
  const std::uint64_t lines = argc > 1 ? std::stoull(argv[1]) : 1'000'000;
  std::uint64_t sum = 0, broken = 0, sent = 0;

  for (auto reading : pa::stream(Sensor(), parse, {.window = 1000, .ordered = true})) {
    if (reading.index() == lines) break;  // closes the stream: the sensor is not asked again
    if (reading.ok())
      sum += reading.value();
    else if (broken++ == 0)
      std::cout << "line " << reading.index() << ": " << reading.message() << '\n';
  }
  for (std::uint64_t n = 0; n < lines; n++) sent += n % 100 == 99 ? 0 : n % 7;
  std::cout << lines << " lines, " << broken << " of them broken; the readings add up to " << sum << '\n';
  return sum == sent && broken == lines / 100 ? 0 : 1;
}
