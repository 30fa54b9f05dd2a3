use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use libpa_sys as sys;

use crate::error::Panic;
use crate::failures::Cause;

/// What became of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// The function succeeded.
    Ok,
    /// The last attempt failed, or panicked.
    Failed,
    /// Its last attempt outran `item_timeout`, or the run timed out before it was done.
    TimedOut,
    /// The run ended by `max_errors`, or by an error of its own, before this item was done.
    Aborted,
    /// The run was stopped before this item was done.
    Cancelled,
    /// Its worker process died in the last attempt.
    Crashed,
}

impl State {
    pub(crate) fn from_raw(state: i32) -> Self {
        match state {
            sys::PA_ITEM_OK => Self::Ok,
            sys::PA_ITEM_TIMED_OUT => Self::TimedOut,
            sys::PA_ITEM_ABORTED => Self::Aborted,
            sys::PA_ITEM_CANCELLED => Self::Cancelled,
            sys::PA_ITEM_CRASHED => Self::Crashed,
            _ => Self::Failed,
        }
    }
}

/// Why a run ended. Of two reasons at once the first wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum End {
    /// Every input was run to its end.
    Completed,
    /// [`Options::timeout`](crate::Options::timeout) passed.
    TimedOut,
    /// [`Options::max_errors`](crate::Options::max_errors) items had failed.
    Aborted,
    /// [`Options::stop`](crate::Options::stop) was requested.
    Cancelled,
    /// A source, key function, callback, `worker_start` or an allocation failed, or worker processes did not come to serve, or died.
    Failed,
}

impl End {
    /// `None` while the run goes on.
    pub(crate) fn from_raw(end: i32) -> Option<Self> {
        match end {
            sys::PA_END_COMPLETED => Some(Self::Completed),
            sys::PA_END_TIMED_OUT => Some(Self::TimedOut),
            sys::PA_END_ABORTED => Some(Self::Aborted),
            sys::PA_END_CANCELLED => Some(Self::Cancelled),
            sys::PA_END_FAILED => Some(Self::Failed),
            _ => None,
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Completed => "the run completed",
            Self::TimedOut => "the run timed out",
            Self::Aborted => "the run was aborted, because too many items failed",
            Self::Cancelled => "the run was stopped",
            Self::Failed => "the run failed",
        })
    }
}

/// Why an item has no value.
///
/// `E` is what your function returns. Where an item was not done, it is the error of its last attempt, if there was one.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ItemError<E> {
    /// The last attempt failed with this.
    Failed(E),
    /// The last attempt panicked.
    Panicked(Panic),
    /// A batch function gave more or fewer answers than it got items, so that nobody knows which is whose.
    Unanswered,
    /// The last attempt outran `item_timeout`, or the run timed out before the item was done.
    TimedOut(Option<E>),
    /// The run ended by `max_errors`, or by an error of its own, before the item was done.
    Aborted(Option<E>),
    /// The run was stopped before the item was done.
    Cancelled(Option<E>),
    /// Its worker process died in the last attempt; [`WorkerError`](crate::WorkerError) says how.
    Crashed(E),
}

impl<E> ItemError<E> {
    /// The state of the item.
    pub fn state(&self) -> State {
        match self {
            Self::Failed(_) | Self::Panicked(_) | Self::Unanswered => State::Failed,
            Self::TimedOut(_) => State::TimedOut,
            Self::Aborted(_) => State::Aborted,
            Self::Cancelled(_) => State::Cancelled,
            Self::Crashed(_) => State::Crashed,
        }
    }

    /// What your function returned in the last attempt, if it returned an error; how its worker process died, if it crashed.
    pub fn error(&self) -> Option<&E> {
        match self {
            Self::Failed(error) | Self::Crashed(error) => Some(error),
            Self::TimedOut(error) | Self::Aborted(error) | Self::Cancelled(error) => error.as_ref(),
            Self::Panicked(_) | Self::Unanswered => None,
        }
    }

    /// The same, to be owned.
    pub fn into_error(self) -> Option<E> {
        match self {
            Self::Failed(error) | Self::Crashed(error) => Some(error),
            Self::TimedOut(error) | Self::Aborted(error) | Self::Cancelled(error) => error,
            Self::Panicked(_) | Self::Unanswered => None,
        }
    }

    /// What panicked in the last attempt.
    pub fn panic(&self) -> Option<&Panic> {
        match self {
            Self::Panicked(panic) => Some(panic),
            _ => None,
        }
    }

    /// The same, with a reference to what your function returned.
    pub fn as_ref(&self) -> ItemError<&E> {
        match self {
            Self::Failed(error) => ItemError::Failed(error),
            Self::Panicked(panic) => ItemError::Panicked(panic.clone()),
            Self::Unanswered => ItemError::Unanswered,
            Self::TimedOut(error) => ItemError::TimedOut(error.as_ref()),
            Self::Aborted(error) => ItemError::Aborted(error.as_ref()),
            Self::Cancelled(error) => ItemError::Cancelled(error.as_ref()),
            Self::Crashed(error) => ItemError::Crashed(error),
        }
    }

    /// `state` is not `Ok`.
    pub(crate) fn new(state: State, cause: Option<Cause<E>>) -> Self {
        let (error, panic) = match cause {
            Some(Cause::Error(error)) => (Some(error), None),
            Some(Cause::Panic(panic)) => (None, Some(panic)),
            None => (None, None),
        };
        match (state, error, panic) {
            (State::TimedOut, error, _) => Self::TimedOut(error),
            (State::Aborted, error, _) => Self::Aborted(error),
            (State::Cancelled, error, _) => Self::Cancelled(error),
            (State::Crashed, Some(error), _) => Self::Crashed(error),
            (_, Some(error), _) => Self::Failed(error),
            (_, _, Some(panic)) => Self::Panicked(panic),
            _ => Self::Unanswered,
        }
    }
}

impl<E: fmt::Display> fmt::Display for ItemError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, error) = match self {
            Self::Failed(error) | Self::Crashed(error) => return error.fmt(f),
            Self::Panicked(panic) => return panic.fmt(f),
            Self::Unanswered => return f.write_str("the batch function gave more or fewer answers than it got items"),
            Self::TimedOut(error) => ("timed out", error),
            Self::Aborted(error) => ("not done, because the run was aborted", error),
            Self::Cancelled(error) => ("not done, because the run was stopped", error),
        };
        f.write_str(what)?;
        error.as_ref().map_or(Ok(()), |error| write!(f, "; its last attempt failed: {error}"))
    }
}

impl<E: StdError + 'static> StdError for ItemError<E> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Failed(error) | Self::Crashed(error) => error.source(), // Display is that of the error itself
            _ => self.error().map(|error| error as _),
        }
    }
}

/// A name that you give to an item. It labels outcomes and never affects order; names may repeat.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// A number.
    Int(i64),
    /// A text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

impl Key {
    /// # Safety
    /// `key` is one that libpa filled, and its data is still there.
    pub(crate) unsafe fn from_raw(key: &sys::pa_key) -> Option<Self> {
        let bytes = || match key.size {
            0 => &[],
            // SAFETY: libpa says that so many bytes are there.
            size => unsafe { std::slice::from_raw_parts(key.data.cast::<u8>(), size as usize) },
        };
        match key.kind {
            sys::PA_KEY_INT => Some(Self::Int(key.number)),
            sys::PA_KEY_STRING => Some(Self::Text(String::from_utf8_lossy(bytes()).into_owned())),
            sys::PA_KEY_BYTES => Some(Self::Bytes(bytes().to_vec())),
            _ => None,
        }
    }

    /// Borrows the data from `self`.
    pub(crate) fn to_raw(&self) -> sys::pa_key {
        let mut raw = sys::pa_key { kind: sys::PA_KEY_NONE, reserved: 0, number: 0, data: std::ptr::null(), size: 0 };
        let (kind, bytes) = match self {
            Self::Int(number) => {
                raw.kind = sys::PA_KEY_INT;
                raw.number = *number;
                return raw;
            }
            Self::Text(text) => (sys::PA_KEY_STRING, text.as_bytes()),
            Self::Bytes(bytes) => (sys::PA_KEY_BYTES, bytes.as_slice()),
        };
        raw.kind = kind;
        raw.data = bytes.as_ptr().cast();
        raw.size = bytes.len() as u64;
        raw
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(number) => number.fmt(f),
            Self::Text(text) => text.fmt(f),
            Self::Bytes(bytes) => String::from_utf8_lossy(bytes).fmt(f),
        }
    }
}

macro_rules! key_from_integers {
    ($($integer:ty),*) => {$(
        impl From<$integer> for Key {
            fn from(number: $integer) -> Self {
                Self::Int(number.into())
            }
        }
    )*};
}
key_from_integers!(i8, i16, i32, i64, u8, u16, u32);

impl From<String> for Key {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Key {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<Vec<u8>> for Key {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<&[u8]> for Key {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(bytes.to_vec())
    }
}

/// What became of one item.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Outcome<R, E> {
    /// The position of the input, from 0.
    pub index: usize,
    /// The value, or why there is none.
    pub result: Result<R, ItemError<E>>,
    /// Attempts that were started; 0 if the item never ran.
    pub attempts: u32,
    /// From the start of the first attempt to the end of the last, waits between them included. Short items share the average of
    /// those that ran with them; one of a batch took as long as its call.
    pub duration: Duration,
    /// What [`Options::item_key`](crate::Options::item_key) gave.
    pub key: Option<Key>,
}

impl<R, E> Outcome<R, E> {
    /// What became of the item, in one word.
    pub fn state(&self) -> State {
        self.result.as_ref().map_or_else(ItemError::state, |_| State::Ok)
    }

    /// Whether the function succeeded.
    pub fn is_ok(&self) -> bool {
        self.result.is_ok()
    }

    /// # Safety
    /// `raw` is one that libpa filled, and its key is still there.
    pub(crate) unsafe fn from_raw(raw: &sys::pa_outcome, result: Result<R, ItemError<E>>) -> Self {
        Self {
            index: raw.index as usize,
            result,
            attempts: raw.attempts,
            duration: Duration::from_nanos(raw.duration_ns.max(0) as u64),
            // SAFETY: the caller says so.
            key: unsafe { Key::from_raw(&raw.key) },
        }
    }
}

/// An empty one, for libpa to fill.
pub(crate) fn blank() -> sys::pa_outcome {
    // SAFETY: all of it is integers and pointers.
    unsafe { std::mem::zeroed() }
}
