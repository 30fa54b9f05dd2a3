//! What the attempts of items failed with. libpa keeps only codes and messages; the errors themselves never leave Rust. Those of worker
//! processes come as codes and messages, and are read when they are wanted.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use libpa_sys as sys;

use crate::error::Panic;

/// Why an attempt failed.
#[derive(Clone, Debug)]
pub(crate) enum Cause<E> {
    Error(E),
    Panic(Panic),
}

/// The last failure of each item that has failed and is not yet accounted for.
///
/// One lock for all: failures are for what is rare. No code of the user's, destructors included, runs under it.
pub(crate) struct Failures<E> {
    by_index: Mutex<HashMap<u64, Cause<E>>>,
    read: Option<Read<E>>,
}

/// Makes an error of what libpa says, which has filled the outcome.
type Read<E> = unsafe fn(&sys::pa_outcome) -> Option<Cause<E>>;

impl<E> Failures<E> {
    pub(crate) fn new() -> Self {
        Self { by_index: Mutex::new(HashMap::new()), read: None }
    }

    /// For worker processes.
    pub(crate) fn read_by(read: Read<E>) -> Self {
        Self { read: Some(read), ..Self::new() }
    }

    pub(crate) fn put(&self, index: u64, cause: Cause<E>) {
        let old = self.lock().insert(index, cause);
        drop(old);
    }

    pub(crate) fn take(&self, index: u64) -> Option<Cause<E>> {
        self.lock().remove(&index)
    }

    /// Why the item of this outcome has failed.
    ///
    /// # Safety
    /// libpa has filled the outcome, and its message is still there.
    pub(crate) unsafe fn take_for(&self, raw: &sys::pa_outcome) -> Option<Cause<E>> {
        match self.read {
            // SAFETY: the caller says so.
            Some(read) => unsafe { read(raw) },
            None => self.take(raw.index),
        }
    }

    /// Only one attempt at an item runs at a time, and only the one who settles it looks: so it may be away meanwhile.
    ///
    /// # Safety
    /// As `take_for`.
    pub(crate) unsafe fn look_at<X>(&self, raw: &sys::pa_outcome, look: impl FnOnce(Option<&Cause<E>>) -> X) -> X {
        if let Some(read) = self.read {
            // SAFETY: the caller says so.
            return look(unsafe { read(raw) }.as_ref());
        }
        let away = Away { failures: self, index: raw.index, cause: self.take(raw.index) };
        look(away.cause.as_ref())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Cause<E>>> {
        self.by_index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Goes back also if whoever looks at it panics.
struct Away<'a, E> {
    failures: &'a Failures<E>,
    index: u64,
    cause: Option<Cause<E>>,
}

impl<E> Drop for Away<'_, E> {
    fn drop(&mut self) {
        if let Some(cause) = self.cause.take() {
            self.failures.put(self.index, cause);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(index: u64) -> sys::pa_outcome {
        sys::pa_outcome { index, ..crate::outcome::blank() }
    }

    #[test]
    fn a_failure_that_is_looked_at_is_still_there_afterwards() {
        let failures = Failures::new();
        failures.put(3, Cause::Error("gone"));
        // SAFETY: nothing but the index is looked at.
        assert!(unsafe { failures.look_at(&at(3), |cause| matches!(cause, Some(Cause::Error("gone")))) });
        assert!(failures.take(3).is_some());
        assert!(failures.take(3).is_none());
    }

    #[test]
    fn a_failure_survives_a_panic_of_whoever_looks_at_it() {
        let failures = Failures::new();
        failures.put(0, Cause::Error(1));
        // SAFETY: nothing but the index is looked at.
        let look = || unsafe { failures.look_at(&at(0), |_| panic!("looked")) };
        let looked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(look));
        assert!(looked.is_err());
        assert!(matches!(failures.take(0), Some(Cause::Error(1))));
    }
}
