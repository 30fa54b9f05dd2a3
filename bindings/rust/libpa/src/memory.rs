//! Memory for values.

use std::mem::MaybeUninit;

/// From here on memory is new from the system, and most of what a short function costs is the faults that bring it in.
const MUCH: usize = 4 << 20;
const HUGE_PAGE: usize = 2 << 20;

/// A vector of so many values that are not written yet.
pub(crate) fn unwritten<R>(count: usize) -> Vec<MaybeUninit<R>> {
    let mut values = Vec::with_capacity(count);
    // SAFETY: there is room for them, and they need not be written.
    unsafe { values.set_len(count) };
    let (begin, size) = (values.as_ptr() as usize, count * size_of::<R>());
    if size >= MUCH {
        let (from, to) = (begin.next_multiple_of(HUGE_PAGE), (begin + size) & !(HUGE_PAGE - 1));
        // SAFETY: the pages are within the vector's memory. Advice that is refused changes nothing.
        unsafe { libc::madvise(from as *mut libc::c_void, to - from, libc::MADV_HUGEPAGE) };
    }
    values
}

#[cfg(test)]
mod tests {
    #[test]
    fn much_and_little_can_be_written_to_the_end() {
        for count in [0, 1, 3 << 20] {
            let mut values = super::unwritten::<u64>(count);
            assert_eq!(values.len(), count);
            for value in &mut values {
                value.write(7);
            }
        }
        assert_eq!(super::unwritten::<()>(usize::MAX).len(), usize::MAX);
    }
}
