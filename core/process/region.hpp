// Memory that a program shares with one of its worker processes: two regions of one file that has no name, either written by one
// end and read by the other. The file is larger than anybody will ever need, and has pages only where something was written; an end
// maps what it has come across so far. So nothing has to be agreed upon when a region grows, and no access beyond what was
// written can end in SIGBUS.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace pa::process {

class Region {
 public:
  Region() = default;
  ~Region();
  Region(const Region&) = delete;
  Region& operator=(const Region&) = delete;

  static constexpr uint64_t kPage = 4096;  // the control page in front

  // To write into; or to read what the other end has written, and then no further than `file`, which stays open, has pages.
  // False with errno.
  bool map_to_write(int file, uint64_t offset, uint64_t most) noexcept;
  bool map_to_read(int file, uint64_t offset, uint64_t most) noexcept;
  // Memory of this process alone, to write into. False with errno.
  bool map_private() noexcept;
  // Makes the first `bytes` accessible. What was there may move. False: there is no room.
  bool reach(uint64_t bytes) noexcept { return bytes <= mapped_ || extend(bytes); }
  char* at(uint64_t offset) const { return base_ + offset; }
  template <class T>
  T& page() const {
    static_assert(sizeof(T) <= kPage);
    return *reinterpret_cast<T*>(base_);
  }
  uint64_t mapped() const { return mapped_; }

 private:
  bool map(int file, uint64_t offset, uint64_t most, int access) noexcept;
  bool extend(uint64_t bytes) noexcept;
  bool has_pages(uint64_t bytes) const noexcept;

  char* base_ = nullptr;
  uint64_t mapped_ = 0;
  uint64_t most_ = 0;
  int read_from_ = -1;
};

// The file for both regions. -1 with errno. Closed on exec.
int make_shared_file(uint64_t& region_size) noexcept;

// ---------------------------------------------------------------------------------------------------------- records

// What an area consists of: a head, `size` bytes, a zero byte, and padding.
struct RecordHead {
  enum Kind : uint32_t { null, bytes, failure };
  uint64_t size;
  int32_t code;
  uint32_t kind;
};
static_assert(sizeof(RecordHead) == 16);

class Writer {
 public:
  explicit Writer(Region& region) : region_(region) {}

  void start_at(uint64_t offset) { begin_ = end_ = offset; }
  // Between open and close, bytes are appended. What was appended since open is forgotten by reopening.
  bool open() noexcept {
    end_ = begin_ + sizeof(RecordHead);
    out_of_room_ = !region_.reach(end_ + 1);
    return !out_of_room_;
  }
  bool append(const void* data, size_t size) noexcept {
    if (size > UINT64_MAX / 2 || !region_.reach(end_ + size + 1)) out_of_room_ = true;
    if (out_of_room_) return false;
    if (size) std::memcpy(region_.at(end_), data, size);
    end_ += size;
    return true;
  }
  // False: not everything found room.
  bool close(RecordHead::Kind kind, int32_t code) noexcept;
  bool out_of_room() const { return out_of_room_; }
  uint64_t position() const { return begin_; }
  // What was appended since open.
  const char* data() const { return region_.at(begin_ + sizeof(RecordHead)); }
  uint64_t size() const { return end_ - begin_ - sizeof(RecordHead); }

 private:
  Region& region_;
  uint64_t begin_ = 0;  // of the record
  uint64_t end_ = 0;
  bool out_of_room_ = false;
};

class Reader {
 public:
  explicit Reader(Region& region) : region_(region) {}

  void start_at(uint64_t offset) { at_ = offset; }
  // The next record. False: there can't be one of that kind or size. `data` is good until the next call that may extend the region.
  bool next(RecordHead& head, const char*& data) noexcept;

 private:
  Region& region_;
  uint64_t at_ = 0;
};

inline uint64_t padded(uint64_t size) { return (size + 1 + 15) & ~uint64_t{15}; }

}  // namespace pa::process
