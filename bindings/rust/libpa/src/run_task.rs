//! Runs in worker processes.

use std::ffi::c_void;

use libpa_sys as sys;

use crate::error::{Error, ErrorKind};
use crate::failures::Failures;
use crate::hooks::{Borrowed, Owned, Place};
use crate::map::{Ended, Prepared, pointers, refuse_detach};
use crate::outcomes::Outcomes;
use crate::run::Run;
use crate::source::IntoSource;
use crate::stream::Stream;
use crate::task::{Task, asks_to_be_worker};
use crate::word::Boxed;
use crate::worker_error::{WorkerError, read_failure};
use crate::{BoxError, Options};

impl<'a, T, R> Run<'a, T, R, WorkerError> {
    fn prepare_task<P: Place<T>, I>(self, task: &Task<I, R>) -> Result<Prepared<'a, T, R, WorkerError>, Error> {
        let refuse = |message: &str| Err(Error::new(ErrorKind::Invalid, message));
        if self.options.is_inline() {
            return refuse("options.inline must be false for a task, which runs in worker processes");
        }
        if self.hooks.retry_after.is_some() {
            return refuse("options.retry_after must not be set for a task: give it to the task (NewTask::retry_after)");
        }
        if !asks_to_be_worker() && !self.options.has_worker_command() {
            return refuse(
                "the program must call libpa::worker_main at the beginning of main, to be run again as a worker; or set \
                 Process::command",
            );
        }
        // SAFETY: libpa fills the outcomes that are read.
        let mut prepared = self.prepare_with::<P>(Failures::read_by(read_failure))?;
        prepared.raw.executor = sys::PA_EXECUTOR_PROCESSES;
        prepared.raw.task = task.name.as_ptr();
        Ok(prepared)
    }

    /// See [`Options::map_task`].
    ///
    /// # Errors
    /// As there.
    pub fn map_task(self, items: &[T], task: &Task<T, R>) -> Result<Outcomes<R, WorkerError>, Error>
    where
        T: Sync,
        R: Send,
    {
        refuse_detach(&self.options)?;
        let Prepared { raw, shared, salvage, _keep } = self.prepare_task::<Borrowed, T>(task)?;
        let pointers = pointers(items);
        // SAFETY: all of it lives until the call returns, and the run is over then.
        let ended = Ended::of(|result, error| unsafe {
            let (ctx, items, count) = (task.entry, pointers.as_ptr(), pointers.len() as u64);
            if task.batch {
                sys::pa_map_batch(None, ctx, items, count, &raw const raw, result, error)
            } else {
                sys::pa_map(None, ctx, items, count, &raw const raw, result, error)
            }
        });
        // SAFETY: the task's codec stores words.
        ended.conclude(&shared, salvage, |result| unsafe { Outcomes::of_words(result, &shared.failures) })
    }

    /// See [`Options::map_task_iter`].
    ///
    /// # Errors
    /// As there.
    pub fn map_task_iter<S>(self, items: S, task: &Task<T, R>) -> Result<Outcomes<R, WorkerError>, Error>
    where
        S: IntoSource<Item = T>,
        S::Source: Send,
        T: Send,
        R: Send,
    {
        refuse_detach(&self.options)?;
        let prepared = self.boxed().prepare_task::<Owned, T>(task)?;
        // SAFETY: without detach nothing of the run is left when the call returns.
        unsafe {
            prepared.map_source(boxed(items), (), |_: *mut c_void, source, options, result, error| {
                if task.batch {
                    sys::pa_map_batch_source(None, task.entry, source, options, result, error)
                } else {
                    sys::pa_map_source(None, task.entry, source, options, result, error)
                }
            })
        }
    }
}

impl<T, R> Run<'static, T, R, WorkerError> {
    /// See [`Options::stream_task`].
    ///
    /// # Errors
    /// As there.
    pub fn stream_task<S>(self, items: S, task: &Task<T, R>) -> Result<Stream<R, WorkerError>, Error>
    where
        S: IntoSource<Item = T>,
        S::Source: Send + 'static,
        T: Send + 'static,
        R: Send + 'static,
    {
        let prepared = self.boxed().prepare_task::<Owned, T>(task)?;
        // SAFETY: all of it is 'static.
        unsafe {
            prepared.stream(boxed(items), (), |_, source, options, handle, error| {
                if task.batch {
                    sys::pa_iter_open_batch(None, task.entry, source, options, handle, error)
                } else {
                    sys::pa_iter_open(None, task.entry, source, options, handle, error)
                }
            })
        }
    }
}

/// The items of a source, each as a pointer to it: a codec is not called for a word of zeroes.
fn boxed<S: IntoSource>(items: S) -> impl Iterator<Item = Result<Boxed<S::Item>, BoxError>> {
    items.into_source().map(|item| item.map(Boxed))
}

/// In worker processes.
impl Options {
    /// As [`map`](Options::map), for a [`task`](crate::task()), which runs in worker processes: a crash, a leak or a hang costs one
    /// item. [`process`](Options::process) says how the workers are run. Limiter, retries, stop, deadlines, progress and `max_errors`
    /// work as with threads, and closures run in this program.
    ///
    /// What outruns `item_timeout` is killed. An item whose worker died is [`Crashed`](crate::ItemError::Crashed); a crash is a failed
    /// attempt, which `retry` may repeat.
    ///
    /// # Errors
    /// As `map`; [`ErrorKind::WorkersLost`] if workers die one after the other or don't come to serve, [`ErrorKind::System`] if none can
    /// be started, [`ErrorKind::WorkerStart`] if they can't run the task. `inline`, `worker_start` and `retry_after` are refused: the
    /// last two are the [task](crate::NewTask)'s.
    pub fn map_task<T, R>(&self, items: &[T], task: &Task<T, R>) -> Result<Outcomes<R, WorkerError>, Error>
    where
        T: Sync,
        R: Send,
    {
        Run::from(self.clone()).map_task(items, task)
    }

    /// As [`map_task`](Options::map_task), for the items of an iterator, which is pulled as they are needed.
    ///
    /// # Errors
    /// As `map_task`, and [`ErrorKind::Source`].
    pub fn map_task_iter<S, R>(&self, items: S, task: &Task<S::Item, R>) -> Result<Outcomes<R, WorkerError>, Error>
    where
        S: IntoSource,
        S::Source: Send,
        S::Item: Send,
        R: Send,
    {
        Run::from(self.clone()).map_task_iter(items, task)
    }

    /// As [`stream`](Options::stream), in worker processes.
    ///
    /// # Errors
    /// Wrong options, before anything runs, as [`map_task`](Options::map_task); what ends it later is the last element of the stream.
    pub fn stream_task<S, R>(&self, items: S, task: &Task<S::Item, R>) -> Result<Stream<R, WorkerError>, Error>
    where
        S: IntoSource,
        S::Source: Send + 'static,
        S::Item: Send + 'static,
        R: Send + 'static,
    {
        Run::from(self.clone()).stream_task(items, task)
    }
}
