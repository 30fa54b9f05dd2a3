// Where pa.hpp keeps what functions return: objects that are made in place by any thread, each under its own index, and that
// never move.
#ifndef PA_DETAIL_STORAGE_HPP
#define PA_DETAIL_STORAGE_HPP

#include <sys/mman.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <new>
#include <type_traits>

namespace pa {
inline namespace v0 {
namespace detail {

// Memory for objects of T. It neither makes nor destroys them: who does keeps the account.
template <class T>
class slots {
 public:
  // For any index: the memory comes in segments of doubling size, when it is first needed.
  slots() = default;
  slots(const slots&) = delete;
  slots& operator=(const slots&) = delete;
  ~slots() {
    deallocate(data_, count_);
    for (unsigned s = 0; s < segment_count; s++) deallocate(segments_[s].load(std::memory_order_relaxed), segment_size(s));
  }

  // Puts the indices below `count` into one array; before anything else.
  void reserve(std::uint64_t count) {
    data_ = allocate(count);
    count_ = count;
  }

  // That array; nullptr if there are segments.
  T* data() const noexcept { return data_; }

  // The place for `index`; it must have been made.
  T* at(std::uint64_t index) const noexcept {
    if (index < count_) return data_ + index;
    const unsigned s = segment_of(index);
    return segments_[s].load(std::memory_order_acquire) + (index + smallest - segment_size(s));
  }

  // The place for `index`, allocated if need be. Throws std::bad_alloc.
  T* make(std::uint64_t index) {
    if (index < count_) return data_ + index;
    std::atomic<T*>& segment = segments_[segment_of(index)];
    if (!segment.load(std::memory_order_acquire)) {
      const std::uint64_t size = segment_size(segment_of(index));
      T* mine = allocate(size);
      T* expected = nullptr;
      if (!segment.compare_exchange_strong(expected, mine, std::memory_order_acq_rel)) deallocate(mine, size);
    }
    return at(index);
  }

 private:
  // Segment s holds the indices from segment_size(s) - smallest on, as many as the sum of all before it, and `smallest`.
  static constexpr std::uint64_t smallest = 64;
  static constexpr unsigned segment_count = 58;
  static constexpr std::size_t huge_page = std::size_t{1} << 21;

  static std::uint64_t segment_size(unsigned s) noexcept { return smallest << s; }
  static unsigned segment_of(std::uint64_t index) noexcept {
    return 63u - static_cast<unsigned>(__builtin_clzll(index + smallest)) - 6u;
  }

  static bool is_large(std::uint64_t count) noexcept { return count >= 2 * huge_page / sizeof(T); }
  static std::align_val_t alignment(std::uint64_t count) noexcept {
    return std::align_val_t(is_large(count) && alignof(T) < huge_page ? huge_page : alignof(T));
  }
  static T* allocate(std::uint64_t count) {
    if (count == 0) return nullptr;
    if (count > std::numeric_limits<std::ptrdiff_t>::max() / sizeof(T)) throw std::bad_array_new_length();
    const std::size_t size = static_cast<std::size_t>(count) * sizeof(T);
    void* memory = ::operator new(size, alignment(count));
#ifdef MADV_HUGEPAGE
    // All of it is about to be touched for the first time: with small pages that would cost more than small work does.
    if (is_large(count)) ::madvise(memory, size, MADV_HUGEPAGE);
#endif
    return static_cast<T*>(memory);
  }
  static void deallocate(T* memory, std::uint64_t count) noexcept {
    if (memory) ::operator delete(memory, alignment(count));
  }

  T* data_ = nullptr;
  std::uint64_t count_ = 0;
  std::atomic<T*> segments_[segment_count] = {};
};

template <class T>
struct slots_access {
  const detail::slots<std::remove_const_t<T>>* slots = nullptr;
  T& operator[](std::uint64_t i) const noexcept { return *slots->at(i); }
};

// Functions that return nothing leave nothing to keep.
template <>
class slots<void> {
 public:
  void reserve(std::uint64_t) noexcept {}
  void* data() const noexcept { return nullptr; }
  void* at(std::uint64_t) const noexcept { return nullptr; }
  void* make(std::uint64_t) noexcept { return nullptr; }
};

}  // namespace detail
}  // namespace v0
}  // namespace pa

#endif
