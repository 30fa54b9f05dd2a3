//! Why an item has no value that was run in a worker process: what libpa says about it, as an error of Rust.

use std::ffi::CStr;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use libpa_sys as sys;

use crate::error::Panic;
use crate::failures::Cause;

/// What the function panicked with.
pub(crate) const CODE_PANIC: i32 = -1000;
/// The item could not be encoded or decoded, or the value not encoded.
pub(crate) const CODE_CODEC: i32 = -1001;
/// The value could not be decoded: the text is in `Refusals`, at the place that is subtracted.
const CODE_REFUSED: i32 = -2000;
/// The code of an error for which a task has none.
pub(crate) const CODE_ERROR: i32 = 1;

/// Why an item has no value that a worker process has run: what your function returned, as a text, or how the worker died.
///
/// The error itself stays in the worker, since it may be of any type. A task can give it a
/// [code](crate::NewTask::error_code), by which [`retry_if`](crate::Options::retry_if) may decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerError {
    message: String,
    fault: Fault,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Returned(i32),
    Codec,
    Signal(i32),
    Exited(i32),
    Garbage,
}

impl WorkerError {
    /// The text of the error that your function returned (at most 1023 bytes), what a codec said, or how the worker died.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What [`NewTask::error_code`](crate::NewTask::error_code) made of the error that your function returned, or 1; `None` if it is none
    /// of your function's.
    pub fn code(&self) -> Option<i32> {
        match self.fault {
            Fault::Returned(code) => Some(code),
            _ => None,
        }
    }

    /// Whether a [`Codec`](crate::Codec) refused the item or the value.
    pub fn is_codec(&self) -> bool {
        self.fault == Fault::Codec
    }

    /// The signal that killed the worker.
    pub fn signal(&self) -> Option<i32> {
        match self.fault {
            Fault::Signal(number) => Some(number),
            _ => None,
        }
    }

    /// The status with which the worker exited: 0 also if somebody else has waited for it, so that nobody knows how it ended.
    pub fn exit_code(&self) -> Option<i32> {
        match self.fault {
            Fault::Exited(status) => Some(status),
            _ => None,
        }
    }
}

impl fmt::Display for WorkerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for WorkerError {}

/// Reads why the last attempt failed, if one did.
///
/// # Safety
/// libpa has filled `raw`, and its message is still there.
pub(crate) unsafe fn read_failure(raw: &sys::pa_outcome) -> Option<Cause<WorkerError>> {
    // SAFETY: the caller says so.
    let message = || unsafe { CStr::from_ptr(raw.message) }.to_string_lossy().into_owned();
    let crashed = raw.state == sys::PA_ITEM_CRASHED;
    let fault = match raw.code {
        sys::PA_CODE_UNANSWERED => return None,
        sys::PA_CODE_GARBAGE => Fault::Garbage,
        sys::PA_CODE_EXITED => Fault::Exited(0),
        CODE_PANIC => return Some(Cause::Panic(Panic::new(Box::new(message())))),
        CODE_CODEC => Fault::Codec,
        code if code <= CODE_REFUSED && code > CODE_REFUSED - Refusals::MOST => {
            return Some(REFUSALS.lock().unwrap_or_else(PoisonError::into_inner).look_up(code));
        }
        code @ -64..=-1 => Fault::Signal(-code),
        0 => return None,
        code if crashed => Fault::Exited(code),
        code if code < 0 => Fault::Returned(CODE_ERROR), // it gave up in a run that goes on
        code => Fault::Returned(code),
    };
    Some(Cause::Error(WorkerError { message: message(), fault }))
}

/// Why a codec did not do what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Error(String),
    Panic(String),
}

/// What was said where libpa carries no text: about values that can't be decoded, on which the program's own side fails. Texts
/// repeat, so each is kept once, by its code; and no more than `MOST` of them.
struct Refusals {
    texts: Vec<Refusal>,
}

static REFUSALS: Mutex<Refusals> = Mutex::new(Refusals { texts: Vec::new() });

impl Refusals {
    const MOST: i32 = 200;

    fn look_up(&self, code: i32) -> Cause<WorkerError> {
        let said = self.texts.get((CODE_REFUSED - code) as usize).cloned();
        match said.unwrap_or_else(|| Refusal::Error("the value could not be decoded".into())) {
            Refusal::Error(message) => Cause::Error(WorkerError { message, fault: Fault::Codec }),
            Refusal::Panic(message) => Cause::Panic(Panic::new(Box::new(message))),
        }
    }

    fn code_of(&mut self, refusal: Refusal) -> i32 {
        let at = self.texts.iter().position(|known| *known == refusal).unwrap_or_else(|| {
            if self.texts.len() < Self::MOST as usize - 1 {
                self.texts.push(refusal);
                return self.texts.len() - 1;
            }
            Self::MOST as usize - 1 // the place of those of which nothing more is known
        });
        CODE_REFUSED - at as i32
    }
}

/// The code that `read_failure` makes this refusal of.
pub(crate) fn code_of_refusal(refusal: Refusal) -> i32 {
    REFUSALS.lock().unwrap_or_else(PoisonError::into_inner).code_of(refusal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_kept_once_each_and_not_without_end() {
        let mut refusals = Refusals { texts: Vec::new() };
        let first = refusals.code_of(Refusal::Error("no number".into()));
        let second = refusals.code_of(Refusal::Panic("no number".into()));
        assert_eq!(first, refusals.code_of(Refusal::Error("no number".into())));
        assert!(matches!(refusals.look_up(first), Cause::Error(error) if error.message() == "no number" && error.is_codec()));
        assert!(matches!(refusals.look_up(second), Cause::Panic(panic) if panic.message() == "no number"));
        for i in 0..300 {
            let code = refusals.code_of(Refusal::Error(format!("{i}")));
            assert!(code <= CODE_REFUSED && code > CODE_REFUSED - Refusals::MOST);
        }
        assert!(refusals.texts.len() < 200);
        let last = refusals.code_of(Refusal::Error("one more".into()));
        assert!(matches!(refusals.look_up(last), Cause::Error(error) if error.message() == "the value could not be decoded"));
    }
}
