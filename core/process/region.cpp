#include "core/process/region.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace pa::process {
namespace {

constexpr uint64_t kMostOfARegion = uint64_t{1} << 40;
constexpr uint64_t kMappedAtFirst = uint64_t{1} << 20;

}  // namespace

int make_shared_file(uint64_t& region_size) noexcept {
  const int file = memfd_create("libpa", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (file < 0) return -1;
  region_size = kMostOfARegion;
  rlimit limit{};  // a file above it would end the program with SIGXFSZ
  if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
    region_size = std::min<uint64_t>(region_size, limit.rlim_cur / 2 & ~(Region::kPage - 1));
  const bool made = region_size >= kMappedAtFirst && ftruncate(file, static_cast<off_t>(2 * region_size)) == 0 &&
                    fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0;
  if (made) return file;
  const int why = region_size < kMappedAtFirst ? EFBIG : errno;
  close(file);
  errno = why;
  return -1;
}

Region::~Region() {
  if (base_) munmap(base_, mapped_);
}

bool Region::map_to_write(int file, uint64_t offset, uint64_t most) noexcept {
  return map(file, offset, most, PROT_READ | PROT_WRITE);
}

bool Region::map_to_read(int file, uint64_t offset, uint64_t most) noexcept {
  read_from_ = file;
  return map(file, offset, most, PROT_READ);
}

bool Region::map(int file, uint64_t offset, uint64_t most, int access) noexcept {
  const uint64_t bytes = std::min(most, kMappedAtFirst);
  void* memory = mmap(nullptr, bytes, access, MAP_SHARED | MAP_NORESERVE, file, static_cast<off_t>(offset));
  if (memory == MAP_FAILED) return false;
  madvise(memory, bytes, MADV_DONTFORK);
  base_ = static_cast<char*>(memory);
  mapped_ = bytes;
  most_ = most;
  return true;
}

bool Region::map_private() noexcept {
  void* memory = mmap(nullptr, kMappedAtFirst, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return false;
  base_ = static_cast<char*>(memory);
  mapped_ = kMappedAtFirst;
  most_ = kMostOfARegion;
  return true;
}

// Could somebody have written so many? To read what nobody has written would make pages of it.
bool Region::has_pages(uint64_t bytes) const noexcept {
  struct stat file {};
  return fstat(read_from_, &file) == 0 && bytes <= static_cast<uint64_t>(file.st_blocks) * 512 + 2 * kPage;
}

bool Region::extend(uint64_t bytes) noexcept {
  if (bytes > most_ || (read_from_ >= 0 && !has_pages(bytes))) return false;
  const uint64_t wanted = std::min(most_, std::max(2 * mapped_, (bytes + kPage - 1) & ~(kPage - 1)));
  void* memory = mremap(base_, mapped_, wanted, MREMAP_MAYMOVE);
  if (memory == MAP_FAILED) return false;
  base_ = static_cast<char*>(memory);
  mapped_ = wanted;
  return true;
}

bool Writer::close(RecordHead::Kind kind, int32_t code) noexcept {
  const uint64_t size = end_ - begin_ - sizeof(RecordHead);
  const uint64_t next = begin_ + sizeof(RecordHead) + padded(size);
  out_of_room_ = out_of_room_ || !region_.reach(next);
  if (out_of_room_) return false;
  *region_.at(end_) = '\0';
  const RecordHead head{size, code, kind};
  std::memcpy(region_.at(begin_), &head, sizeof head);
  begin_ = end_ = next;
  return true;
}

bool Reader::next(RecordHead& head, const char*& data) noexcept {
  if (!region_.reach(at_ + sizeof head)) return false;
  std::memcpy(&head, region_.at(at_), sizeof head);  // once: the other end may write what it likes
  if (head.kind > RecordHead::failure || head.size > UINT64_MAX / 2) return false;
  const uint64_t begin = at_ + sizeof head;
  if (!region_.reach(begin + padded(head.size))) return false;
  data = region_.at(begin);
  at_ = begin + padded(head.size);
  return true;
}

}  // namespace pa::process
