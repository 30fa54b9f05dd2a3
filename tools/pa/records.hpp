// How items come in and results go out: lines, texts that end with a zero byte, or records with their length in front.
#pragma once
#include <pa/pa.h>

#include <cstdio>
#include <string>

namespace cli {

enum class Format {
  lines,    // without their newline
  zeros,    // each ends with a zero byte
  lengths,  // four bytes of length, the most significant first, and so many bytes
};

void write_record(FILE* file, Format format, const char* data, size_t size);

// Records of a descriptor. Throws std::runtime_error for one that is cut off, or can't be read.
class Records {
 public:
  Records(int descriptor, Format format) : descriptor_(descriptor), format_(format) {}
  // Waits for the next record. False: there are no more.
  bool next(std::string& record);
  // The same, but only if it is there already.
  bool next_at_hand(std::string& record);

 private:
  bool read_more();
  bool cut(std::string& record);  // one that is whole

  const int descriptor_;
  const Format format_;
  std::string buffer_;
  size_t at_ = 0;       // where the next record begins
  size_t scanned_ = 0;  // up to here there is no end of it
  bool at_end_ = false;
};

// A source of items for tasks that take strings (char *), or ranges of bytes (pa_bytes *). Both are made with malloc.
class Input {
 public:
  Input(int descriptor, Format format, bool as_bytes) : records_(descriptor, format), as_bytes_(as_bytes) {}
  pa_source source();
  // What went wrong while reading; empty: nothing.
  const std::string& problem() const { return problem_; }

 private:
  static int32_t next(void* self, void** items, size_t most, size_t* got);
  void* item_of(const std::string& record) const;

  Records records_;
  const bool as_bytes_;
  std::string record_, problem_;
};

}  // namespace cli
