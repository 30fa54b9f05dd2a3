//! Functions that worker processes may run.

use std::any::Any;
use std::ffi::{CStr, CString, c_void};
use std::fmt::Display;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use libpa_sys as sys;

use crate::Call;
use crate::codec::Codec;
use crate::error::{self, Error, ErrorKind};
use crate::hooks::CallbackResult;
use crate::remote::{self, Entry, Function, TaskHooks};

/// A function for worker processes, under a name: [`register`](NewTask::register) it, in the program and in its workers, before
/// [`worker_main`]. Then [`Options::map_task`](crate::Options::map_task) and the like run it in processes, where a crash, a leak or a
/// hang costs one item.
///
/// The function gets each item as its own, since it was made anew in the worker. Its error needs no codec: its text crosses, as a
/// [`WorkerError`](crate::WorkerError).
///
/// ```standalone_crate
/// use libpa::{Options, Raw};
/// use std::num::ParseIntError;
///
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let double = libpa::task("double", |text: String, _call| Ok::<_, ParseIntError>(format!("{}", text.parse::<i32>()? * 2)));
///     let double = double.register(Raw)?;
///     libpa::worker_main(); // the workers are this program, and go no further
///
///     let items = ["1", "2", "x"].map(String::from);
///     let outcomes = Options::new().workers(2).map_task(&items, &double)?;
///     assert_eq!(outcomes.values().collect::<Vec<_>>(), ["2", "4"]);
///     let error = outcomes.into_result().unwrap_err();
///     assert_eq!(error.to_string(), "1 of 3 items failed; the first, index 2: invalid digit found in string");
///     Ok(())
/// }
/// ```
pub fn task<T, R, E, F>(name: &str, function: F) -> NewTask<T, R, E>
where
    T: 'static,
    R: 'static,
    E: Display + 'static,
    F: Fn(T, &Call) -> Result<R, E> + Send + Sync + 'static,
{
    NewTask::new(name, Function::One(Box::new(function)))
}

/// As [`task`], for a function that takes several items in one call. It answers for each item, in their order, or fails as a whole;
/// [`Options::batch`](crate::Options::batch) says how many it gets.
pub fn batch_task<T, R, E, F>(name: &str, function: F) -> NewTask<T, R, E>
where
    T: 'static,
    R: 'static,
    E: Display + 'static,
    F: Fn(Vec<T>, &Call) -> Result<Vec<Result<R, E>>, E> + Send + Sync + 'static,
{
    NewTask::new(name, Function::Many(Box::new(function)))
}

/// What is registered by this name, and by this function. See [`task`].
#[must_use = "a task is known once it is registered"]
pub struct NewTask<T, R, E> {
    name: String,
    function: Function<T, R, E>,
    hooks: TaskHooks<E>,
}

/// All entries: what only libpa knows would look like a leak.
static ENTRIES: Mutex<Vec<&(dyn Any + Send + Sync)>> = Mutex::new(Vec::new());

impl<T: 'static, R: 'static, E: Display + 'static> NewTask<T, R, E> {
    fn new(name: &str, function: Function<T, R, E>) -> Self {
        Self { name: name.to_owned(), function, hooks: TaskHooks::default() }
    }

    /// A number for an error, above 0, which crosses beside its text: [`WorkerError::code`](crate::WorkerError::code). What is less counts
    /// as 1.
    pub fn error_code(mut self, code: impl Fn(&E) -> i32 + Send + Sync + 'static) -> Self {
        self.hooks.error_code = Some(Box::new(code));
        self
    }

    /// Says how long the server asked to wait, if an error knows: as [`Options::retry_after`](crate::Options::retry_after) does for
    /// threads. It is called in the worker.
    pub fn retry_after(mut self, wait: impl Fn(&E) -> Option<Duration> + Send + Sync + 'static) -> Self {
        self.hooks.retry_after = Some(Box::new(wait));
        self
    }

    /// Called in each worker before its first item: for connections and other state of a process. A worker that stays for the next run
    /// of the task is not started again; one that runs another task in between is. If it returns an error or
    /// panics, the run ends with [`ErrorKind::WorkerStart`], and the text of the error is on the worker's standard error.
    pub fn worker_start<C: CallbackResult>(mut self, start: impl Fn() -> C + Send + Sync + 'static) -> Self {
        self.hooks.worker_start = Some(Box::new(move || start().into_result()));
        self
    }

    /// Called in each worker after its last item, if `worker_start` succeeded there; not when the worker dies.
    pub fn worker_stop(mut self, stop: impl Fn() + Send + Sync + 'static) -> Self {
        self.hooks.worker_stop = Some(Box::new(stop));
        self
    }

    /// Makes the task known by its name; items and values cross by this codec. What is registered stays until the process ends.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a name that is taken, or has less than 1 or more than 255 bytes.
    pub fn register<C: Codec<T> + Codec<R> + Clone>(self, codec: C) -> Result<Task<T, R>, Error> {
        self.register_with(codec.clone(), codec)
    }

    /// As [`register`](NewTask::register), with a codec for items and one for values.
    ///
    /// # Errors
    /// As `register`.
    pub fn register_with(self, items: impl Codec<T>, values: impl Codec<R>) -> Result<Task<T, R>, Error> {
        let Self { name, function, hooks } = self;
        let invalid = |_| Error::new(ErrorKind::Invalid, "name must have no byte 0");
        let name = CString::new(name).map_err(invalid)?;
        let batch = matches!(function, Function::Many(_));
        let entry = Entry { name, function, items: Box::new(items), values: Box::new(values), hooks };
        let entry = Box::into_raw(Box::new(entry));
        let task = remote::describe(entry);
        let mut error = error::blank();
        // SAFETY: the pointers are valid; libpa copies the name and the task, and the entry stays.
        let status = unsafe { sys::pa_task_register((*entry).name.as_ptr(), &raw const task, &raw mut error) };
        if let Err(error) = error::check(status, &error) {
            // SAFETY: libpa has not taken it.
            drop(unsafe { Box::from_raw(entry) });
            return Err(error);
        }
        // SAFETY: it is never freed or changed.
        let shared: &'static Entry<T, R, E> = unsafe { &*entry };
        ENTRIES.lock().unwrap_or_else(PoisonError::into_inner).push(shared);
        Ok(Task { name: &shared.name, entry: entry.cast(), batch, types: PhantomData })
    }
}

impl<T, R, E> std::fmt::Debug for NewTask<T, R, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewTask").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A function that was registered for worker processes: items are `T`, values `R`. It is small, and may be copied. See [`task`].
pub struct Task<T, R> {
    pub(crate) name: &'static CStr,
    /// Of these types, and of an error that only the entry knows.
    pub(crate) entry: *mut c_void,
    pub(crate) batch: bool,
    types: PhantomData<fn(T) -> R>,
}

// SAFETY: the entry is never changed or freed, and what is in it may be used by any thread.
unsafe impl<T, R> Send for Task<T, R> {}
// SAFETY: as above.
unsafe impl<T, R> Sync for Task<T, R> {}

impl<T, R> Task<T, R> {
    /// By which it was registered.
    pub fn name(&self) -> &str {
        self.name.to_str().unwrap_or_default()
    }
}

impl<T, R> Clone for Task<T, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T, R> Copy for Task<T, R> {}

impl<T, R> std::fmt::Debug for Task<T, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Task").field(&self.name()).finish()
    }
}

static ASKED: AtomicBool = AtomicBool::new(false);

/// Whether this program may be run again as a worker.
pub(crate) fn asks_to_be_worker() -> bool {
    ASKED.load(Ordering::Relaxed)
}

/// Serves, if this process was started to be a worker, and then exits; otherwise it returns at once. To be called at the beginning
/// of `main`, behind the registration of tasks, and before the program does what it is there for: workers are the program itself, run
/// again without arguments. A program that never calls it is never run again.
pub fn worker_main() {
    ASKED.store(true, Ordering::Relaxed);
    // SAFETY: it has no preconditions.
    if unsafe { sys::pa_worker_requested() } == 0 {
        return;
    }
    let mut error = error::blank();
    // SAFETY: the pointer is valid.
    let status = unsafe { sys::pa_worker_serve(&raw mut error) };
    if let Err(error) = error::check(status, &error) {
        eprintln!("libpa: {error}");
        std::process::exit(1);
    }
    std::process::exit(0);
}
