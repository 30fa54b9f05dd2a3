#include "records.hpp"

#include <arpa/inet.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>
#include <stdexcept>

namespace cli {
void write_record(FILE* file, Format format, const char* data, size_t size) {
  if (format == Format::lengths) {
    const uint32_t length = htonl(static_cast<uint32_t>(size));
    fwrite(&length, 1, sizeof length, file);
  }
  if (size) fwrite(data, 1, size, file);
  if (format != Format::lengths) fputc(format == Format::lines ? '\n' : '\0', file);
}

// ---------------------------------------------------------------- records

// False: the input has ended.
bool Records::read_more() {
  constexpr size_t kPart = 65536;
  if (at_end_) return false;
  buffer_.erase(0, at_);
  scanned_ -= at_;
  at_ = 0;
  const size_t before = buffer_.size();
  buffer_.resize(before + kPart);
  ssize_t size;
  do {
    size = read(descriptor_, &buffer_[before], kPart);
  } while (size < 0 && errno == EINTR);
  buffer_.resize(before + (size > 0 ? static_cast<size_t>(size) : 0));
  if (size < 0) throw std::runtime_error(std::string("the input can't be read: ") + std::strerror(errno));
  at_end_ = size == 0;
  return !at_end_;
}

bool Records::cut(std::string& record) {
  if (format_ == Format::lengths) {
    uint32_t length = 0;
    if (buffer_.size() - at_ < sizeof length) return false;
    std::memcpy(&length, &buffer_[at_], sizeof length);
    length = ntohl(length);
    if (buffer_.size() - at_ - sizeof length < length) return false;
    record.assign(buffer_, at_ + sizeof length, length);
    at_ += sizeof length + length;
    scanned_ = at_;
    return true;
  }
  const size_t end = buffer_.find(format_ == Format::lines ? '\n' : '\0', scanned_);
  scanned_ = end == std::string::npos ? buffer_.size() : end + 1;
  if (end == std::string::npos) return false;
  record.assign(buffer_, at_, end - at_);
  at_ = end + 1;
  return true;
}

bool Records::next_at_hand(std::string& record) { return cut(record); }

bool Records::next(std::string& record) {
  while (!cut(record)) {
    if (read_more()) continue;
    if (at_ == buffer_.size()) return false;
    if (format_ == Format::lengths) throw std::runtime_error("the input ends in the middle of a record");
    record.assign(buffer_, at_);  // the last one may do without its end
    at_ = scanned_ = buffer_.size();
    return true;
  }
  return true;
}

// ---------------------------------------------------------------- items

void* Input::item_of(const std::string& record) const {
  if (!as_bytes_ && record.find('\0') != std::string::npos)
    throw std::runtime_error("a record has a zero byte in it, and the task takes strings");
  void* item = as_bytes_ ? static_cast<void*>(pa_bytes_new(record.data(), record.size())) : strdup(record.c_str());
  if (!item) throw std::bad_alloc();
  return item;
}

// Waits for one record, and takes those that are there besides: the next one may be long in coming.
int32_t Input::next(void* self, void** items, size_t most, size_t* got) {
  auto& input = *static_cast<Input*>(self);
  *got = 0;
  if (!input.problem_.empty()) return 1;
  try {
    for (bool more = input.records_.next(input.record_); more;
         more = *got < most && input.records_.next_at_hand(input.record_)) {
      items[*got] = input.item_of(input.record_);
      ++*got;
    }
    return 0;
  } catch (const std::exception& problem) {
    input.problem_ = problem.what();
    return *got ? 0 : 1;  // first what was whole
  }
}

pa_source Input::source() {
  pa_source source;
  pa_source_init(&source, sizeof source);
  source.next = next;
  source.ctx = this;
  source.release_item = [](void*, void* item) { std::free(item); };
  return source;
}

}  // namespace cli
