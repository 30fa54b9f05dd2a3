//! What the attempts of items failed with. libpa keeps only codes and messages; the errors themselves never leave Rust.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

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
}

impl<E> Failures<E> {
    pub(crate) fn new() -> Self {
        Self { by_index: Mutex::new(HashMap::new()) }
    }

    pub(crate) fn put(&self, index: u64, cause: Cause<E>) {
        let old = self.lock().insert(index, cause);
        drop(old);
    }

    pub(crate) fn take(&self, index: u64) -> Option<Cause<E>> {
        self.lock().remove(&index)
    }

    /// Only one attempt at an item runs at a time, and only the one who settles it looks: so it may be away meanwhile.
    pub(crate) fn look_at<X>(&self, index: u64, look: impl FnOnce(Option<&Cause<E>>) -> X) -> X {
        let away = Away { failures: self, index, cause: self.take(index) };
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

    #[test]
    fn a_failure_that_is_looked_at_is_still_there_afterwards() {
        let failures = Failures::new();
        failures.put(3, Cause::Error("gone"));
        assert!(failures.look_at(3, |cause| matches!(cause, Some(Cause::Error("gone")))));
        assert!(failures.take(3).is_some());
        assert!(failures.take(3).is_none());
    }

    #[test]
    fn a_failure_survives_a_panic_of_whoever_looks_at_it() {
        let failures = Failures::new();
        failures.put(0, Cause::Error(1));
        let looked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| failures.look_at(0, |_| panic!("looked"))));
        assert!(looked.is_err());
        assert!(matches!(failures.take(0), Some(Cause::Error(1))));
    }
}
