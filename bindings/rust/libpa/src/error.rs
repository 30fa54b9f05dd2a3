use std::any::Any;
use std::error::Error as StdError;
use std::ffi::CStr;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use libpa_sys as sys;

/// Any error, as callbacks and sources return it.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// What kind of [`Error`] it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An option or argument is wrong. Nothing has run.
    Invalid,
    /// An allocation failed.
    NoMemory,
    /// The operating system refused.
    System,
    /// The object was made before a `fork`.
    Forked,
    /// The source of the inputs failed or panicked.
    Source,
    /// The function that names items failed or panicked.
    Key,
    /// `on_progress` or `on_result` failed or panicked.
    Callback,
    /// `worker_start` failed or panicked, or worker processes can't run the task.
    WorkerStart,
    /// Worker processes do not come to serve, or die one after the other.
    WorkersLost,
    /// The run ended by [`Options::timeout`](crate::Options::timeout).
    TimedOut,
    /// The run ended by [`Options::max_errors`](crate::Options::max_errors).
    Aborted,
    /// The run ended by [`Options::stop`](crate::Options::stop).
    Cancelled,
    /// A call took longer than it was allowed to.
    Timeout,
}

impl ErrorKind {
    fn from_status(status: sys::pa_status) -> Self {
        match status {
            sys::PA_STATUS_INVALID => Self::Invalid,
            sys::PA_STATUS_NO_MEMORY => Self::NoMemory,
            sys::PA_STATUS_FORKED => Self::Forked,
            sys::PA_STATUS_SOURCE => Self::Source,
            sys::PA_STATUS_KEY => Self::Key,
            sys::PA_STATUS_CALLBACK => Self::Callback,
            sys::PA_STATUS_WORKER_START => Self::WorkerStart,
            sys::PA_STATUS_WORKERS_LOST => Self::WorkersLost,
            sys::PA_STATUS_TIMED_OUT => Self::TimedOut,
            sys::PA_STATUS_ABORTED => Self::Aborted,
            sys::PA_STATUS_CANCELLED => Self::Cancelled,
            sys::PA_STATUS_TIMEOUT => Self::Timeout,
            _ => Self::System,
        }
    }
}

/// Why a call failed, or a run ended before its time.
///
/// An item that fails is not an error but data: it is in the outcomes. `source()` is what a source, key function or callback of
/// yours returned; if it panicked, [`panic`](Error::panic) has that.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    cause: Option<Outside>,
}

impl Error {
    /// What kind of error it is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What panicked, if it was a panic of a source, key function or callback that ended the run.
    pub fn panic(&self) -> Option<&Panic> {
        match &self.cause {
            Some(Outside::Panic(panic)) => Some(panic),
            _ => None,
        }
    }

    /// What a source, key function or callback of yours returned, to be owned.
    pub fn into_source(self) -> Option<BoxError> {
        match self.cause {
            Some(Outside::Error(error)) => Some(error),
            _ => None,
        }
    }

    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), cause: None }
    }

    /// `cause`: what code of the user's has ended the run, if it did.
    pub(crate) fn from_status(status: sys::pa_status, error: &sys::pa_error, cause: Option<Outside>) -> Self {
        let kind = ErrorKind::from_status(status);
        let by_user = matches!(kind, ErrorKind::Source | ErrorKind::Key | ErrorKind::Callback | ErrorKind::WorkerStart);
        Self { kind, message: message_of(error), cause: cause.filter(|_| by_user) }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            ErrorKind::Source => "the source",
            ErrorKind::Key => "the key function",
            ErrorKind::Callback => "a callback",
            ErrorKind::WorkerStart => "worker_start",
            _ => return f.write_str(&self.message),
        };
        match &self.cause {
            Some(Outside::Error(error)) => write!(f, "{what} failed: {error}"),
            Some(Outside::Panic(panic)) => write!(f, "{what} panicked: {}", panic.message()),
            None => f.write_str(&self.message),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.cause {
            Some(Outside::Error(error)) => Some(&**error),
            _ => None,
        }
    }
}

/// How code of the user's that is not the function ended a run.
#[derive(Debug)]
pub(crate) enum Outside {
    Error(BoxError),
    Panic(Panic),
}

/// An empty one, for libpa to fill.
pub(crate) fn blank() -> sys::pa_error {
    sys::pa_error { status: 0, detail: 0, message: [0; 248] }
}

fn message_of(error: &sys::pa_error) -> String {
    let bytes = error.message.map(|c| c as u8);
    CStr::from_bytes_until_nul(&bytes).map(|text| text.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Turns the status of a call into a result. Statuses above 0 are success here.
pub(crate) fn check(status: sys::pa_status, error: &sys::pa_error) -> Result<(), Error> {
    if status < 0 { Err(Error::from_status(status, error, None)) } else { Ok(()) }
}

/// A panic that was caught: of your function, then it is its item's error, or of a callback.
///
/// Clones share the payload.
#[derive(Clone)]
pub struct Panic {
    message: Arc<str>,
    payload: Arc<Mutex<Option<Box<dyn Any + Send>>>>,
}

impl Panic {
    pub(crate) fn new(payload: Box<dyn Any + Send>) -> Self {
        let message = match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
            (Some(text), _) => Arc::from(*text),
            (_, Some(text)) => Arc::from(text.as_str()),
            _ => Arc::from("a panic whose payload is not a text"),
        };
        Self { message, payload: Arc::new(Mutex::new(Some(payload))) }
    }

    /// What `panic!` was given, where it is a text.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What `panic!` or [`std::panic::panic_any`] was given. `None` if it was taken before, from this one or a clone.
    pub fn take_payload(&self) -> Option<Box<dyn Any + Send>> {
        self.payload.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Goes on with the panic on this thread, as if it had not been caught.
    pub fn resume(self) -> ! {
        let payload = self.take_payload().unwrap_or_else(|| Box::new(self.message.to_string()));
        std::panic::resume_unwind(payload)
    }
}

impl fmt::Debug for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Panic").field(&&*self.message).finish()
    }
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "panicked: {}", self.message)
    }
}
