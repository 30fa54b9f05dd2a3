// The allocator of a test program: says what the library holds, and fails the allocation that a test picks.
//
// Only what is allocated from within libpa or libstdc++ counts as the library's: so a test's own allocations, and those
// that the C library makes for a new thread, never fail.
#ifndef PA_TESTS_ALLOCATIONS_H
#define PA_TESTS_ALLOCATIONS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { fail_once, fail_from_then_on };

void allocations_watch(void);                    // finds the libraries; call it once, after they are loaded
void allocations_fail(uint64_t which, int how);  // counts from here on: the first is 1
uint64_t allocations_stop(void);                 // no more failures; how many there were
uint64_t allocations_held(void);                 // blocks that the library has allocated and not freed
int64_t allocations_live(void);                  // blocks of the whole process

#ifdef __cplusplus
}
#endif

#endif
