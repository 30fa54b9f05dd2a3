//! Items and values as libpa holds them: in the room of one pointer. What is small and has no destructor lies in it, everything else
//! in a box that it points to.

use std::ffi::c_void;
use std::mem::{align_of, needs_drop, size_of};

pub(crate) type Word = *mut c_void;

/// libpa takes a word of zeroes for no value and does not release it: what has a destructor must never look so.
const fn fits<V>() -> bool {
    size_of::<V>() <= size_of::<Word>() && align_of::<V>() <= align_of::<Word>() && !needs_drop::<V>()
}

/// # Safety
/// `slot` is writable, and what lies in it is not to be dropped.
pub(crate) unsafe fn store<V>(slot: *mut Word, value: V) {
    // SAFETY: the caller says so; in the first case the value fits. The slot is written and never read as a pointer here, since a
    // value may have padding.
    unsafe {
        if fits::<V>() {
            slot.write(std::ptr::null_mut());
            slot.cast::<V>().write(value);
        } else {
            slot.write(Box::into_raw(Box::new(value)).cast());
        }
    }
}

/// # Safety
/// A `V` was stored in `slot`, and is still there.
pub(crate) unsafe fn look<'a, V>(slot: *const Word) -> &'a V {
    // SAFETY: the caller says so.
    unsafe { if fits::<V>() { &*slot.cast::<V>() } else { &*(*slot).cast::<V>() } }
}

/// # Safety
/// A `V` was stored in `slot`; it is there no more after this.
pub(crate) unsafe fn take<V>(slot: *const Word) -> V {
    // SAFETY: the caller says so.
    unsafe { if fits::<V>() { slot.cast::<V>().read() } else { *Box::from_raw((*slot).cast::<V>()) } }
}

/// An item that is never in the word itself, however small it is: what is stored is a pointer to a V.
#[repr(transparent)]
pub(crate) struct Boxed<V>(pub(crate) V);

impl<V> Drop for Boxed<V> {
    fn drop(&mut self) {} // by which it doesn't fit
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn what_is_boxed_is_pointed_to_and_dropped_once() {
        let counted = Arc::new(());
        let mut slot: Word = std::ptr::null_mut();
        // SAFETY: the slot is there, and what is stored is taken once.
        unsafe {
            store(&raw mut slot, Boxed(0_u64));
            assert_eq!(*slot.cast::<u64>(), 0);
            drop(take::<Boxed<u64>>(&raw const slot));
            store(&raw mut slot, Boxed(counted.clone()));
            assert_eq!(Arc::strong_count(&*slot.cast::<Arc<()>>()), 2);
            drop(take::<Boxed<Arc<()>>>(&raw const slot));
        }
        assert_eq!(Arc::strong_count(&counted), 1);
    }

    fn there_and_back<V>(value: V, seen: impl FnOnce(&V)) -> V {
        let mut slot: Word = std::ptr::null_mut();
        // SAFETY: the slot is there, and what is stored is taken once.
        unsafe {
            store(&raw mut slot, value);
            seen(look::<V>(&raw const slot));
            take::<V>(&raw const slot)
        }
    }

    #[test]
    fn small_large_padded_and_empty_values_come_back() {
        assert_eq!(there_and_back(7_u64, |v| assert_eq!(*v, 7)), 7);
        assert_eq!(there_and_back((1_u32, 2_u8), |v| assert_eq!(v.1, 2)), (1, 2));
        assert_eq!(there_and_back([1_u64; 5], |v| assert_eq!(v[4], 1)), [1; 5]);
        assert_eq!(there_and_back(String::from("x"), |v| assert_eq!(v, "x")), "x");
        assert_eq!(there_and_back(u128::MAX, |v| assert_eq!(*v, u128::MAX)), u128::MAX);
        there_and_back((), |()| ());
        let text = "borrowed";
        assert_eq!(there_and_back(&text[..3], |v| assert_eq!(*v, "bor")), "bor");
    }

    #[test]
    fn what_has_a_destructor_never_looks_like_no_value() {
        struct Small(#[allow(dead_code)] u32);
        impl Drop for Small {
            fn drop(&mut self) {}
        }
        let mut slot: Word = std::ptr::null_mut();
        // SAFETY: the slot is there, and what is stored is taken once.
        unsafe {
            store(&raw mut slot, Small(0));
            assert!(!slot.is_null());
            drop(take::<Small>(&raw const slot));
        }
    }

    #[test]
    fn a_value_is_dropped_once() {
        let counted = Arc::new(());
        drop(there_and_back(counted.clone(), |v| assert_eq!(Arc::strong_count(v), 2)));
        assert_eq!(Arc::strong_count(&counted), 1);
    }
}
