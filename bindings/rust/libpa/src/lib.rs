//! Applies one function to many inputs, in parallel, and gives one outcome for every input: with rate limits, Retry-After, retries,
//! deadlines, stop, progress, and streams in constant memory.
//!
//! ```
//! // All or nothing, with all defaults:
//! let squares = libpa::map(&[1, 2, 3], |x| Ok::<_, std::fmt::Error>(x * x))?.into_result()?;
//! assert_eq!(squares, [1, 4, 9]);
//!
//! // Politely, and one outcome for each:
//! use libpa::{Options, Rate, Retry};
//! use std::time::Duration;
//!
//! let outcomes = Options::new()
//!     .workers(64)
//!     .rate(Rate::per_second(1000.0))
//!     .retry(Retry::attempts(3).backoff(Duration::from_millis(1)))
//!     .map(&["1", "2", "three"], |text, call| {
//!         println!("attempt {} at item {}", call.attempt(), call.index());
//!         text.parse::<i32>()
//!     })?;
//! for outcome in &outcomes {
//!     match outcome.result {
//!         Ok(number) => println!("{number}"),
//!         Err(error) => println!("item {}: {error} ({} attempts)", outcome.index, outcome.attempts),
//!     }
//! }
//! # Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
//! ```
//!
//! # What there is
//!
//! | | inputs | outcomes |
//! | --- | --- | --- |
//! | [`map`], [`Options::map`] | a slice | all at once, in input order |
//! | [`Options::map_iter`], [`map_owned`](Options::map_owned) | an iterator | the same |
//! | [`Options::map_batch`], [`map_batch_iter`](Options::map_batch_iter) | several in one call | the same |
//! | [`Options::stream`], [`stream_batch`](Options::stream_batch) | an iterator | one by one, in constant memory |
//! | [`Options::stream_scoped`] | an iterator that borrows | the same |
//! | `Options::stream_async` (feature `futures`) | an iterator | the same, as a `futures` stream |
//!
//! These run a closure on threads. [`Options::map_task`], [`map_task_iter`](Options::map_task_iter) and
//! [`stream_task`](Options::stream_task) run a [`task`](task()) in worker processes, where a crash costs one item.
//!
//! # What holds everywhere
//!
//! - **Items that fail are data.** What the function returned comes out of its [`Outcome`] as it went in. A panic is that item's
//!   error; the others go on. (`panic = "abort"` aborts, as ever.)
//! - **Truncation is told before failures**: [`Outcomes::into_result`] and the last element of a stream say first that a run timed
//!   out, was aborted or stopped.
//! - **Wrong options** are an [`Error`] of the call that uses them, before anything has run; its message names the option, what would
//!   be right, and the value.
//! - **Threads.** The function runs on threads of libpa's pool, and on the calling thread; `on_progress` and `on_result` on the calling
//!   thread alone. Closures may start maps of their own. [`drain`] ends the idle threads of the pool.
//! - **Nothing is left** of a call that has returned, but with [`Options::detach`].
#![cfg_attr(docsrs, feature(doc_cfg))]

mod call;
mod codec;
mod error;
mod failures;
mod hooks;
mod limiter;
mod map;
mod memory;
mod options;
mod outcome;
mod outcomes;
mod process;
mod remote;
mod run;
mod run_task;
mod source;
mod stop;
mod stream;
mod task;
mod time;
mod word;
mod work;
mod worker_error;

#[cfg(feature = "futures")]
mod asynchronous;
#[cfg(feature = "futures")]
mod reactor;

use std::time::Duration;

pub use call::Call;
#[cfg(feature = "json")]
pub use codec::Json;
#[cfg(feature = "postcard")]
pub use codec::Postcard;
pub use codec::{Codec, Raw};
pub use error::{BoxError, Error, ErrorKind, Panic};
pub use hooks::CallbackResult;
pub use limiter::{Acquired, Limiter, Rate, parse_retry_after};
pub use options::{Batch, Options, Retry};
pub use outcome::{End, ItemError, Key, Outcome, State};
pub use outcomes::{IntoIter, Iter, MapError, Outcomes};
pub use process::Process;
pub use run::Run;
pub use source::{Fallible, IntoSource, Sure, Unsure, fallible};
pub use stop::StopToken;
pub use stream::Stream;
pub use task::{NewTask, Task, batch_task, task, worker_main};
pub use worker_error::WorkerError;

#[cfg(feature = "futures")]
pub use asynchronous::AsyncStream;

/// Applies `function` to each item, with all defaults. See [`Options::map`].
///
/// # Errors
/// As [`Options::map`].
pub fn map<T, R, E, F>(items: &[T], function: F) -> Result<Outcomes<R, E>, Error>
where
    T: Sync,
    R: Send,
    E: Send,
    F: Fn(&T) -> Result<R, E> + Sync,
{
    Options::new().map(items, |item, _| function(item))
}

/// Waits for work that was detached, ends the idle threads of libpa's pool, and gives cached memory back. Not needed before the end
/// of a program. Runs may be started again afterwards.
///
/// False if detached calls were still running after `timeout` (`None`: for as long as it takes). Not from within a closure of a run.
///
/// # Errors
/// [`ErrorKind::Invalid`] from within a closure of a run.
pub fn drain(timeout: Option<Duration>) -> Result<bool, Error> {
    let mut error = error::blank();
    // SAFETY: the pointer is valid.
    let status = unsafe { libpa_sys::pa_drain(timeout.map_or(-1, time::nanoseconds), &raw mut error) };
    error::check(status, &error)?;
    Ok(status == libpa_sys::PA_STATUS_OK)
}

/// The version of the library that is loaded: major, minor, patch.
pub fn version() -> (u32, u32, u32) {
    // SAFETY: it has no preconditions.
    let version = unsafe { libpa_sys::pa_version() };
    (version / 1_000_000, version / 1000 % 1000, version % 1000)
}
