#include "allocations.h"

#include <errno.h>
#include <link.h>
#include <string.h>

#include <atomic>
#include <new>

extern "C" {
// Sanitizers have an allocator of their own, which must still see every block. (This file is itself not instrumented, since
// it is called before their runtime has started.)
#ifdef PA_TESTS_SANITIZED
void* __interceptor_malloc(size_t size);
void* __interceptor_calloc(size_t count, size_t size);
void* __interceptor_realloc(void* block, size_t size);
void* __interceptor_memalign(size_t alignment, size_t size);
void __interceptor_free(void* block);
#define REAL(name) __interceptor_##name
// Leaks are counted here. The sanitizer would take this allocator for the one that leaks what the dynamic linker keeps.
const char* __asan_default_options() { return "allocator_may_return_null=1:detect_leaks=0"; }
#else
void* __libc_malloc(size_t size);
void* __libc_calloc(size_t count, size_t size);
void* __libc_realloc(void* block, size_t size);
void* __libc_memalign(size_t alignment, size_t size);
void __libc_free(void* block);
#define REAL(name) __libc_##name
#endif
}

#define CALLER reinterpret_cast<uintptr_t>(__builtin_return_address(0))

namespace {

struct Segment {
  uintptr_t begin, end;
};

Segment segments[64];
int segment_count;
std::atomic<bool> armed{false};
std::atomic<bool> keep_failing{false};
std::atomic<uint64_t> fail_at{0};
std::atomic<uint64_t> seen{0};
std::atomic<uint64_t> failed{0};
std::atomic<int64_t> live{0};

// The blocks of the library, in a hash table with linear probing.
constexpr size_t kSlots = size_t{1} << 20;
uintptr_t blocks[kSlots];
uint64_t held;
std::atomic_flag busy = ATOMIC_FLAG_INIT;

class Lock {
 public:
  Lock() {
    while (busy.test_and_set(std::memory_order_acquire)) continue;
  }
  ~Lock() { busy.clear(std::memory_order_release); }
};

size_t home_of(uintptr_t block) { return (block >> 4) * 0x9E3779B97F4A7C15u >> 44; }

void note_allocated(void* pointer) {
  const auto block = reinterpret_cast<uintptr_t>(pointer);
  Lock lock;
  size_t at = home_of(block);
  while (blocks[at]) at = (at + 1) % kSlots;
  blocks[at] = block;
  held++;
}

void note_freed(void* pointer) {
  const auto block = reinterpret_cast<uintptr_t>(pointer);
  Lock lock;
  if (held == 0) return;
  size_t at = home_of(block);
  while (blocks[at] && blocks[at] != block) at = (at + 1) % kSlots;
  if (!blocks[at]) return;
  held--;
  blocks[at] = 0;
  // Close the gap: move up what would not be found any more.
  for (size_t next = (at + 1) % kSlots; blocks[next]; next = (next + 1) % kSlots) {
    const size_t distance = (next - home_of(blocks[next]) + kSlots) % kSlots;
    if (distance < (next - at + kSlots) % kSlots) continue;
    blocks[at] = blocks[next];
    blocks[next] = 0;
    at = next;
  }
}

bool of_library(uintptr_t caller) {
  for (int i = 0; i < segment_count; i++)
    if (caller >= segments[i].begin && caller < segments[i].end) return true;
  return false;
}

bool must_fail(uintptr_t caller) {
  if (!armed.load(std::memory_order_relaxed) || !of_library(caller)) return false;
  const uint64_t number = seen.fetch_add(1) + 1;
  const uint64_t which = fail_at.load(std::memory_order_relaxed);
  if (number != which && !(keep_failing.load(std::memory_order_relaxed) && number > which)) return false;
  failed.fetch_add(1);
  return true;
}

void* allocated(void* block, uintptr_t caller) {
  if (!block) return nullptr;
  live.fetch_add(1, std::memory_order_relaxed);
  if (segment_count && of_library(caller)) note_allocated(block);
  return block;
}

void* allocate(size_t size, uintptr_t caller) {
  if (must_fail(caller)) return nullptr;
  return allocated(REAL(malloc)(size), caller);
}

void* allocate_aligned(size_t alignment, size_t size, uintptr_t caller) {
  if (must_fail(caller)) return nullptr;
  return allocated(REAL(memalign)(alignment, size), caller);
}

void release(void* block) {
  if (!block) return;
  live.fetch_sub(1, std::memory_order_relaxed);
  if (segment_count) note_freed(block);
  REAL(free)(block);
}

int note_object(dl_phdr_info* object, size_t, void*) {
  if (!object->dlpi_name || (!strstr(object->dlpi_name, "/libpa.") && !strstr(object->dlpi_name, "/libstdc++."))) return 0;
  for (int i = 0; i < object->dlpi_phnum; i++) {
    const auto& header = object->dlpi_phdr[i];
    if (header.p_type != PT_LOAD || !(header.p_flags & PF_X) || segment_count == 64) continue;
    const uintptr_t begin = object->dlpi_addr + header.p_vaddr;
    segments[segment_count++] = {begin, begin + header.p_memsz};
  }
  return 0;
}

void* allocate_or_throw(size_t size, uintptr_t caller) {
  if (void* block = allocate(size, caller)) return block;
  throw std::bad_alloc();
}

void* allocate_aligned_or_throw(std::align_val_t alignment, size_t size, uintptr_t caller) {
  if (void* block = allocate_aligned(static_cast<size_t>(alignment), size, caller)) return block;
  throw std::bad_alloc();
}

}  // namespace

extern "C" {

void allocations_watch(void) { dl_iterate_phdr(note_object, nullptr); }

void allocations_fail(uint64_t which, int how) {
  seen = 0;
  failed = 0;
  fail_at = which;
  keep_failing = how == fail_from_then_on;
  armed = true;
}

uint64_t allocations_stop(void) {
  armed = false;
  return failed;
}

uint64_t allocations_held(void) {
  Lock lock;
  return held;
}

int64_t allocations_live(void) { return live; }

void* malloc(size_t size) { return allocate(size, CALLER); }

void* calloc(size_t count, size_t size) {
  if (must_fail(CALLER)) return nullptr;
  return allocated(REAL(calloc)(count, size), CALLER);
}

void* realloc(void* block, size_t size) {
  if (must_fail(CALLER)) return nullptr;
  if (block && segment_count) note_freed(block);
  void* moved = REAL(realloc)(block, size);
  if (block && (moved || size == 0)) live.fetch_sub(1, std::memory_order_relaxed);
  return allocated(moved, CALLER);
}

void* aligned_alloc(size_t alignment, size_t size) { return allocate_aligned(alignment, size, CALLER); }
void* memalign(size_t alignment, size_t size) { return allocate_aligned(alignment, size, CALLER); }

int posix_memalign(void** block, size_t alignment, size_t size) {
  void* made = allocate_aligned(alignment, size, CALLER);
  if (!made) return ENOMEM;
  *block = made;
  return 0;
}

void free(void* block) { release(block); }

}  // extern "C"

void* operator new(size_t size) { return allocate_or_throw(size, CALLER); }
void* operator new[](size_t size) { return allocate_or_throw(size, CALLER); }
void* operator new(size_t size, const std::nothrow_t&) noexcept { return allocate(size, CALLER); }
void* operator new[](size_t size, const std::nothrow_t&) noexcept { return allocate(size, CALLER); }
void* operator new(size_t size, std::align_val_t alignment) { return allocate_aligned_or_throw(alignment, size, CALLER); }
void* operator new[](size_t size, std::align_val_t alignment) { return allocate_aligned_or_throw(alignment, size, CALLER); }
void* operator new(size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  return allocate_aligned(static_cast<size_t>(alignment), size, CALLER);
}
void* operator new[](size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  return allocate_aligned(static_cast<size_t>(alignment), size, CALLER);
}
void operator delete(void* block) noexcept { release(block); }
void operator delete[](void* block) noexcept { release(block); }
void operator delete(void* block, size_t) noexcept { release(block); }
void operator delete[](void* block, size_t) noexcept { release(block); }
void operator delete(void* block, std::align_val_t) noexcept { release(block); }
void operator delete[](void* block, std::align_val_t) noexcept { release(block); }
void operator delete(void* block, size_t, std::align_val_t) noexcept { release(block); }
void operator delete[](void* block, size_t, std::align_val_t) noexcept { release(block); }
void operator delete(void* block, const std::nothrow_t&) noexcept { release(block); }
void operator delete[](void* block, const std::nothrow_t&) noexcept { release(block); }
