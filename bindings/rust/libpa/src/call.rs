use std::cell::Cell;
use std::time::Duration;

use libpa_sys as sys;

/// One call of your function: which item is being run, and whether it still matters.
///
/// It is borrowed for the call, and stays on its thread.
#[derive(Debug)]
pub struct Call {
    raw: *mut sys::pa_call,
    index: Cell<usize>,
    gave_up: Cell<bool>,
}

impl Call {
    pub(crate) fn new(raw: *mut sys::pa_call, index: u64) -> Self {
        Self { raw, index: Cell::new(index as usize), gave_up: Cell::new(false) }
    }

    /// The index of the item; of the first one for a batch.
    pub fn index(&self) -> usize {
        self.index.get()
    }

    /// Which attempt at this item this is; the first is 1.
    pub fn attempt(&self) -> u32 {
        // SAFETY: a Call lives no longer than what it was made from, here and below.
        unsafe { sys::pa_call_attempt(self.raw) }
    }

    /// Whether the run has ended or must end, or this attempt has outrun `item_timeout`. A long function that looks now and then,
    /// and returns early with [`give_up`](Call::give_up), makes stops prompt.
    pub fn stopped(&self) -> bool {
        // SAFETY: see `attempt`.
        unsafe { sys::pa_call_stopped(self.raw) != 0 }
    }

    /// How long until the deadline of the run or of this attempt, whichever is first: to be handed on as the timeout of what the
    /// function calls. 0 if it has passed or the run has ended; `None` if there is no deadline.
    pub fn remaining(&self) -> Option<Duration> {
        // SAFETY: see `attempt`.
        let left = unsafe { sys::pa_call_remaining_ns(self.raw) };
        u64::try_from(left).ok().map(Duration::from_nanos)
    }

    /// Says that the server asked to wait so long before the next attempt (HTTP 429 or 503 with Retry-After), and then return an
    /// error; if the call succeeds it has no effect. The wait replaces the backoff, and pauses the run's limiter with all who share
    /// it. [`Options::retry_after`](crate::Options::retry_after) does this where the error knows the wait.
    pub fn retry_after(&self, wait: Duration) {
        let wait_ns = i64::try_from(wait.as_nanos()).unwrap_or(i64::MAX);
        // SAFETY: see `attempt`.
        unsafe { sys::pa_call_retry_after(self.raw, wait_ns) }
    }

    /// Hands `error` back, and notes that this call gives up because [`stopped`](Call::stopped) is true:
    /// `return Err(call.give_up(error))` makes the item one that was not done (cancelled, ... as the run ended), where `Err(error)`
    /// alone makes it one that failed.
    pub fn give_up<E>(&self, error: E) -> E {
        self.gave_up.set(true);
        error
    }

    pub(crate) fn raw(&self) -> *mut sys::pa_call {
        self.raw
    }

    pub(crate) fn move_to(&self, index: u64) {
        self.index.set(index as usize);
    }

    /// Whether the last attempt gave up; from now on it did not.
    pub(crate) fn take_gave_up(&self) -> bool {
        self.gave_up.replace(false)
    }
}
