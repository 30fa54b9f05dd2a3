use std::os::fd::RawFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use libpa_sys as sys;

use crate::error::{self, Error, ErrorKind};
use crate::outcome::Outcome;
use crate::reactor::Reactor;
use crate::run::Run;
use crate::source::IntoSource;
use crate::stream::{Open, Stream};
use crate::task::Task;
use crate::worker_error::WorkerError;
use crate::{Call, Options};

/// A [`Stream`] for asynchronous programs: a `futures` stream over `Result<Outcome<R, E>, Error>`. It works with any executor.
///
/// The function is an ordinary one, and runs on libpa's threads: it may block. Polling never blocks, nor does dropping the stream: it
/// ends the run, and calls that are running end on their own, as with [`Options::detach`].
///
/// ```
/// use futures::StreamExt;
/// use libpa::Options;
///
/// let squares = Options::new().ordered(true).stream_async(0..10, |x, _call| Ok::<_, ()>(x * x))?;
/// let values = futures::executor::block_on(squares.map(|outcome| outcome.unwrap().result.unwrap()).collect::<Vec<_>>());
/// assert_eq!(values, [0, 1, 4, 9, 16, 25, 36, 49, 64, 81]);
/// # Ok::<_, libpa::Error>(())
/// ```
#[must_use = "a stream that is dropped is stopped"]
pub struct AsyncStream<R, E> {
    open: Open<'static, R, E>,
    /// Belongs to `open`.
    descriptor: RawFd,
    reactor: Arc<Reactor>,
    id: u64,
}

impl<R, E> AsyncStream<R, E> {
    /// Of one that was opened with `detach`.
    fn new(stream: Stream<R, E>) -> Result<Self, Error> {
        let open = stream.into_open();
        let mut error = error::blank();
        // SAFETY: the stream is open.
        let descriptor = unsafe { sys::pa_iter_fd(open.handle(), &raw mut error) };
        error::check(descriptor.min(0), &error)?;
        let no_reactor = |error| Error::new(ErrorKind::System, format!("the thread that wakes streams can't be made: {error}"));
        let reactor = Reactor::share().map_err(no_reactor)?;
        Ok(Self { open, descriptor, reactor, id: Reactor::new_id() })
    }
}

impl<R, E> futures_core::Stream for AsyncStream<R, E> {
    type Item = Result<Outcome<R, E>, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.open.next(0) {
            Some(Err(error)) if error.kind() == ErrorKind::Timeout => {
                // It was found empty, so the descriptor becomes readable with what comes next.
                self.reactor.wake_when_readable(self.id, self.descriptor, context.waker());
                Poll::Pending
            }
            next => Poll::Ready(next),
        }
    }
}

impl<R, E> Drop for AsyncStream<R, E> {
    fn drop(&mut self) {
        self.reactor.forget(self.id); // before the descriptor is closed
    }
}

impl<R, E> std::fmt::Debug for AsyncStream<R, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AsyncStream").finish_non_exhaustive()
    }
}

fn detached(options: Options) -> Result<Options, Error> {
    if options.is_inline() {
        return Err(Error::new(
            ErrorKind::Invalid,
            "options.inline must be false for an asynchronous stream: polling it may not block",
        ));
    }
    Ok(options.detach(true))
}

impl<T, R, E> Run<'static, T, R, E> {
    /// See [`Options::stream_async`].
    ///
    /// # Errors
    /// As there.
    pub fn stream_async<S, F>(mut self, items: S, function: F) -> Result<AsyncStream<R, E>, Error>
    where
        S: IntoSource<Item = T>,
        S::Source: Send + 'static,
        T: Send + Sync + 'static,
        R: Send + 'static,
        E: Send + 'static,
        F: Fn(&T, &Call) -> Result<R, E> + Send + Sync + 'static,
    {
        self.options = detached(self.options)?;
        AsyncStream::new(self.stream(items, function)?)
    }

    /// See [`Options::stream_batch_async`].
    ///
    /// # Errors
    /// As there.
    pub fn stream_batch_async<S, F>(mut self, items: S, function: F) -> Result<AsyncStream<R, E>, Error>
    where
        S: IntoSource<Item = T>,
        S::Source: Send + 'static,
        T: Send + Sync + 'static,
        R: Send + 'static,
        E: Send + Clone + 'static,
        F: Fn(&[&T], &Call) -> Result<Vec<Result<R, E>>, E> + Send + Sync + 'static,
    {
        self.options = detached(self.options)?;
        AsyncStream::new(self.stream_batch(items, function)?)
    }
}

impl<T, R> Run<'static, T, R, WorkerError> {
    /// See [`Options::stream_task_async`].
    ///
    /// # Errors
    /// As there.
    pub fn stream_task_async<S>(mut self, items: S, task: &Task<T, R>) -> Result<AsyncStream<R, WorkerError>, Error>
    where
        S: IntoSource<Item = T>,
        S::Source: Send + 'static,
        T: Send + 'static,
        R: Send + 'static,
    {
        self.options = detached(self.options)?;
        AsyncStream::new(self.stream_task(items, task)?)
    }
}

/// For asynchronous programs (feature `futures`).
impl Options {
    /// As [`stream`](Options::stream), for asynchronous programs. See [`AsyncStream`].
    ///
    /// # Errors
    /// As `stream`; [`inline`](Options::inline) is refused.
    pub fn stream_async<S, R, E, F>(&self, items: S, function: F) -> Result<AsyncStream<R, E>, Error>
    where
        S: IntoSource,
        S::Source: Send + 'static,
        S::Item: Send + Sync + 'static,
        R: Send + 'static,
        E: Send + 'static,
        F: Fn(&S::Item, &Call) -> Result<R, E> + Send + Sync + 'static,
    {
        Run::from(self.clone()).stream_async(items, function)
    }

    /// As [`stream_batch`](Options::stream_batch), for asynchronous programs.
    ///
    /// # Errors
    /// As [`stream_async`](Options::stream_async).
    pub fn stream_batch_async<S, R, E, F>(&self, items: S, function: F) -> Result<AsyncStream<R, E>, Error>
    where
        S: IntoSource,
        S::Source: Send + 'static,
        S::Item: Send + Sync + 'static,
        R: Send + 'static,
        E: Send + Clone + 'static,
        F: Fn(&[&S::Item], &Call) -> Result<Vec<Result<R, E>>, E> + Send + Sync + 'static,
    {
        Run::from(self.clone()).stream_batch_async(items, function)
    }

    /// As [`stream_task`](Options::stream_task), for asynchronous programs.
    ///
    /// # Errors
    /// As [`stream_task`](Options::stream_task).
    pub fn stream_task_async<S, R>(&self, items: S, task: &Task<S::Item, R>) -> Result<AsyncStream<R, WorkerError>, Error>
    where
        S: IntoSource,
        S::Source: Send + 'static,
        S::Item: Send + 'static,
        R: Send + 'static,
    {
        Run::from(self.clone()).stream_task_async(items, task)
    }
}
