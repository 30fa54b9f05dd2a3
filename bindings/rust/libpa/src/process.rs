use std::ffi::{CString, OsString, c_char};
use std::os::unix::ffi::OsStringExt;
use std::time::Duration;

use libpa_sys as sys;

use crate::error::{Error, ErrorKind};
use crate::time::nanoseconds;

/// How to run worker processes: for [`Options::process`](crate::Options::process). What is not set has its default.
///
/// Workers are this program itself, run again without arguments. They outlive the run, and serve the next one that wants the same
/// kind; [`drain`](crate::drain) ends them, and so does the end of this program, however it comes.
#[derive(Clone, Debug, Default)]
pub struct Process {
    crash_attempts: Option<u32>,
    max_items: Option<u64>,
    memory_limit: Option<u64>,
    max_crashes: Option<u64>,
    start_timeout: Option<Duration>,
    directory: Option<OsString>,
    environment: Option<Vec<OsString>>,
    command: Option<Vec<OsString>>,
}

impl Process {
    /// All defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// An item whose attempts have cost so many workers has crashed for good, even if attempts are left; at least 1. A crash is a failed
    /// attempt like any other besides. By default 3.
    #[must_use]
    pub fn crash_attempts(self, attempts: u32) -> Self {
        Self { crash_attempts: Some(attempts), ..self }
    }

    /// A worker that has run so many items is replaced: for functions that leak. By default, and with 0, none is.
    #[must_use]
    pub fn max_items(self, items: u64) -> Self {
        Self { max_items: Some(items), ..self }
    }

    /// Bytes of private memory (`RLIMIT_DATA`) that a worker may have. Rust aborts where memory is refused, so an item that wants more has
    /// crashed, unless it asks by `try_reserve`. By default, and with 0, no limit.
    #[must_use]
    pub fn memory_limit(self, bytes: u64) -> Self {
        Self { memory_limit: Some(bytes), ..self }
    }

    /// When so many workers have died in a row, and no item was done in between, the run ends with
    /// [`ErrorKind::WorkersLost`]; at least 1. By default 64.
    #[must_use]
    pub fn max_crashes(self, crashes: u64) -> Self {
        Self { max_crashes: Some(crashes), ..self }
    }

    /// A worker that does not serve by then could not be started; above 0. By default 30 seconds.
    #[must_use]
    pub fn start_timeout(self, timeout: Duration) -> Self {
        Self { start_timeout: Some(timeout), ..self }
    }

    /// The workers' working directory. By default that of the program.
    #[must_use]
    pub fn directory(self, directory: impl Into<OsString>) -> Self {
        Self { directory: Some(directory.into()), ..self }
    }

    /// The workers' environment, all of it. By default that of the program.
    #[must_use]
    pub fn environment<K, V>(self, variables: impl IntoIterator<Item = (K, V)>) -> Self
    where
        K: Into<OsString>,
        V: Into<OsString>,
    {
        let entry = |(name, value): (K, V)| {
            let mut entry = name.into();
            entry.push("=");
            entry.push(value.into());
            entry
        };
        Self { environment: Some(variables.into_iter().map(entry).collect()), ..self }
    }

    /// The program that is a worker (with a path, or found by `PATH`), and its arguments. It must register the same tasks and call
    /// [`worker_main`](crate::worker_main). By default this program itself.
    #[must_use]
    pub fn command<W: Into<OsString>>(self, words: impl IntoIterator<Item = W>) -> Self {
        Self { command: Some(words.into_iter().map(Into::into).collect()), ..self }
    }

    pub(crate) fn has_command(&self) -> bool {
        self.command.is_some()
    }

    pub(crate) fn to_raw(&self) -> Result<Box<RawProcess>, Error> {
        let directory = self.directory.as_ref().map(|directory| text("directory", directory)).transpose()?;
        let environment = self.environment.as_ref().map(|list| Texts::new("environment", list)).transpose()?;
        let command = self.command.as_ref().map(|list| Texts::new("command", list)).transpose()?;
        // SAFETY: all of it is integers and pointers; pa_process_init writes it.
        let mut raw = unsafe {
            let mut raw: sys::pa_process = std::mem::zeroed();
            sys::pa_process_init(&raw mut raw, size_of::<sys::pa_process>());
            raw
        };
        raw.crash_attempts = self.crash_attempts.unwrap_or(raw.crash_attempts);
        raw.max_items = self.max_items.unwrap_or(raw.max_items);
        raw.memory_limit = self.memory_limit.unwrap_or(raw.memory_limit);
        raw.max_crashes = self.max_crashes.unwrap_or(raw.max_crashes);
        raw.start_timeout_ns = self.start_timeout.map_or(raw.start_timeout_ns, nanoseconds);
        raw.directory = directory.as_ref().map_or(std::ptr::null(), |directory| directory.as_ptr());
        raw.environment = environment.as_ref().map_or(std::ptr::null(), Texts::as_ptr);
        raw.command = command.as_ref().map_or(std::ptr::null(), Texts::as_ptr);
        Ok(Box::new(RawProcess { raw, _directory: directory, _lists: [environment, command] }))
    }
}

/// What libpa reads, and what that points to.
pub(crate) struct RawProcess {
    pub(crate) raw: sys::pa_process,
    _directory: Option<CString>,
    _lists: [Option<Texts>; 2],
}

fn text(option: &str, text: &OsString) -> Result<CString, Error> {
    CString::new(text.clone().into_vec()).map_err(|_| {
        let message = format!("options.process->{option} must have no byte 0, got {text:?}");
        Error::new(ErrorKind::Invalid, message)
    })
}

/// A list of texts as C has it: pointers, the last of them NULL.
struct Texts {
    pointers: Vec<*const c_char>,
    _texts: Vec<CString>,
}

impl Texts {
    fn new(option: &str, list: &[OsString]) -> Result<Self, Error> {
        let texts = list.iter().map(|of| text(option, of)).collect::<Result<Vec<_>, _>>()?;
        let pointers = texts.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect();
        Ok(Self { pointers, _texts: texts })
    }

    fn as_ptr(&self) -> *const *const c_char {
        self.pointers.as_ptr()
    }
}
