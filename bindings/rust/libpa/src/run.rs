use std::time::Duration;

use crate::error::{BoxError, Error};
use crate::hooks::{CallbackResult, Hooks};
use crate::options::Options;
use crate::outcome::{Key, Outcome};
use crate::word::Boxed;
use crate::{Call, IntoSource, Outcomes, Stream};

/// [`Options`], and closures: what belongs to one run.
///
/// `T` is the type of its items, `R` and `E` what its function returns; they are found out by the call that starts it.
///
/// ```
/// use libpa::Options;
///
/// let mut seen = 0;
/// let outcomes = Options::new()
///     .on_progress(|done, total| println!("{done} of {total}"))
///     .on_result(|outcome| if outcome.is_ok() { seen += 1 })
///     .map(&["1", "2", "x"], |text, _call| text.parse::<i32>())?;
/// assert_eq!(outcomes.failed(), 1);
/// drop(outcomes);
/// assert_eq!(seen, 2);
/// # Ok::<_, libpa::Error>(())
/// ```
#[must_use = "it runs when `map`, `stream` or the like is called"]
pub struct Run<'a, T, R, E> {
    pub(crate) options: Options,
    pub(crate) hooks: Hooks<'a, T, R, E>,
}

impl<T, R, E> From<Options> for Run<'_, T, R, E> {
    fn from(options: Options) -> Self {
        Self { options, hooks: Hooks::default() }
    }
}

impl<'a, T: 'a, R, E> Run<'a, T, R, E> {
    pub(crate) fn boxed(self) -> Run<'a, Boxed<T>, R, E> {
        Run { options: self.options, hooks: self.hooks.boxed() }
    }
}

impl<'a, T, R, E> Run<'a, T, R, E> {
    /// See [`Options::on_progress`].
    pub fn on_progress<C: CallbackResult>(mut self, mut callback: impl FnMut(u64, u64) -> C + Send + 'a) -> Self {
        self.hooks.on_progress = Some(Box::new(move |done, total| callback(done, total).into_result()));
        self
    }

    /// See [`Options::on_result`].
    pub fn on_result<C: CallbackResult>(mut self, mut callback: impl FnMut(Outcome<&R, &E>) -> C + Send + 'a) -> Self {
        self.hooks.on_result = Some(Box::new(move |outcome| callback(outcome).into_result()));
        self
    }

    /// See [`Options::item_key`].
    pub fn item_key<K: Into<Key>>(mut self, mut name: impl FnMut(&T) -> K + Send + 'a) -> Self {
        self.hooks.item_key = Some(Box::new(move |item| Ok(name(item).into())));
        self
    }

    /// See [`Options::try_item_key`].
    pub fn try_item_key<K, X>(mut self, mut name: impl FnMut(&T) -> Result<K, X> + Send + 'a) -> Self
    where
        K: Into<Key>,
        X: Into<BoxError>,
    {
        self.hooks.item_key = Some(Box::new(move |item| name(item).map(Into::into).map_err(Into::into)));
        self
    }

    /// See [`Options::worker_start`].
    pub fn worker_start<C: CallbackResult>(mut self, start: impl Fn() -> C + Send + Sync + 'a) -> Self {
        self.hooks.worker_start = Some(Box::new(move || start().into_result()));
        self
    }

    /// See [`Options::worker_stop`].
    pub fn worker_stop(mut self, stop: impl Fn() + Send + Sync + 'a) -> Self {
        self.hooks.worker_stop = Some(Box::new(stop));
        self
    }

    /// See [`Options::retry_if`].
    pub fn retry_if(mut self, worth_it: impl Fn(&E) -> bool + Send + Sync + 'a) -> Self {
        self.hooks.retry_if = Some(Box::new(worth_it));
        self
    }

    /// See [`Options::retry_after`].
    pub fn retry_after(mut self, wait: impl Fn(&E) -> Option<Duration> + Send + Sync + 'a) -> Self {
        self.hooks.retry_after = Some(Box::new(wait));
        self
    }

    /// See [`Options::salvage`].
    pub fn salvage(mut self, place: &'a mut Option<Outcomes<R, E>>) -> Self {
        self.hooks.salvage = Some(place);
        self
    }
}

/// Closures for one run.
impl Options {
    /// Called after each item that was done (not for items that were never done): `done` counts up by one, `total` is the number of
    /// inputs, or of those admitted so far when it is not known. On the thread that called the map, or that reads the stream, and
    /// after `on_result` of the same item. If it returns an error or panics, the run ends with
    /// [`ErrorKind::Callback`](crate::ErrorKind::Callback).
    pub fn on_progress<'a, T, R, E, C>(self, callback: impl FnMut(u64, u64) -> C + Send + 'a) -> Run<'a, T, R, E>
    where
        C: CallbackResult,
    {
        Run::from(self).on_progress(callback)
    }

    /// Called after each item that was done, in the order in which they finish. Threads and errors: as
    /// [`on_progress`](Options::on_progress).
    pub fn on_result<'a, T, R, E, C>(self, callback: impl FnMut(Outcome<&R, &E>) -> C + Send + 'a) -> Run<'a, T, R, E>
    where
        C: CallbackResult,
    {
        Run::from(self).on_result(callback)
    }

    /// Names an item: called once for each input when it is admitted, one call at a time, on any thread. If it panics, the run ends
    /// with [`ErrorKind::Key`](crate::ErrorKind::Key).
    pub fn item_key<'a, T, R, E, K: Into<Key>>(self, name: impl FnMut(&T) -> K + Send + 'a) -> Run<'a, T, R, E> {
        Run::from(self).item_key(name)
    }

    /// As [`item_key`](Options::item_key), for a function that can fail, which ends the run.
    pub fn try_item_key<'a, T, R, E, K, X>(self, name: impl FnMut(&T) -> Result<K, X> + Send + 'a) -> Run<'a, T, R, E>
    where
        K: Into<Key>,
        X: Into<BoxError>,
    {
        Run::from(self).try_item_key(name)
    }

    /// Called on each worker before its first item of the run: for connections and other state of a thread, to be kept in a
    /// `thread_local!`. If it returns an error or panics, the run ends with
    /// [`ErrorKind::WorkerStart`](crate::ErrorKind::WorkerStart).
    pub fn worker_start<'a, T, R, E, C>(self, start: impl Fn() -> C + Send + Sync + 'a) -> Run<'a, T, R, E>
    where
        C: CallbackResult,
    {
        Run::from(self).worker_start(start)
    }

    /// Called on each worker after its last item of the run, if `worker_start` succeeded there.
    pub fn worker_stop<'a, T, R, E>(self, stop: impl Fn() + Send + Sync + 'a) -> Run<'a, T, R, E> {
        Run::from(self).worker_stop(stop)
    }

    /// Decides by its error whether a failed attempt may be repeated, where attempts are left. Without it all are, but for panics
    /// (see [`Retry::panics`](crate::Retry::panics)). If it panics, the item keeps its own error and is not repeated. On workers,
    /// several at a time.
    pub fn retry_if<'a, T, R, E>(self, worth_it: impl Fn(&E) -> bool + Send + Sync + 'a) -> Run<'a, T, R, E> {
        Run::from(self).retry_if(worth_it)
    }

    /// Says how long the server asked to wait, if an error knows (HTTP 429 or 503 with Retry-After). The wait replaces the backoff:
    /// no jitter, no `max_delay`, at most `max_server_wait`. It also pauses the run's limiter, with all runs that share it, even if
    /// no attempt is left. [`parse_retry_after`](crate::parse_retry_after) reads the header.
    pub fn retry_after<'a, T, R, E>(self, wait: impl Fn(&E) -> Option<Duration> + Send + Sync + 'a) -> Run<'a, T, R, E> {
        Run::from(self).retry_after(wait)
    }

    /// Where a map puts the outcomes that it can't return, because a source, key function, callback or `worker_start` ended it: what
    /// was done until then is in there, and the rest is [`Aborted`](crate::ItemError::Aborted). Without it they are dropped. A stream
    /// needs it not, since it hands out what was done before it says why it ended.
    ///
    /// ```
    /// let mut salvaged = None;
    /// let lines = ["1", "2", "3"].map(Ok).into_iter().chain([Err("the disk is gone")]);
    /// let run = libpa::Options::new().salvage(&mut salvaged);
    /// let error = run.map_iter(libpa::fallible(lines), |line, _call| line.parse::<i32>()).unwrap_err();
    /// assert_eq!(error.to_string(), "the source failed: the disk is gone");
    /// assert!(salvaged.unwrap().len() >= 3);
    /// ```
    pub fn salvage<'a, T, R, E>(self, place: &'a mut Option<Outcomes<R, E>>) -> Run<'a, T, R, E> {
        Run::from(self).salvage(place)
    }
}

/// What can be run.
impl Options {
    /// Applies `function` to each item of a slice, waits, and returns one outcome for each, in input order.
    ///
    /// # Errors
    /// Wrong options, and what ends a run from outside: a callback that fails. An item that fails is not an error of the map.
    pub fn map<T, R, E, F>(&self, items: &[T], function: F) -> Result<Outcomes<R, E>, Error>
    where
        T: Sync,
        R: Send,
        E: Send,
        F: Fn(&T, &Call) -> Result<R, E> + Sync,
    {
        Run::from(self.clone()).map(items, function)
    }

    /// As [`map`](Options::map), for the items of an iterator, which is pulled as they are needed, by one thread at a time. They are
    /// dropped as soon as they are done. An iterator whose items may fail is given as [`fallible`](crate::fallible).
    ///
    /// # Errors
    /// As `map`, and [`ErrorKind::Source`](crate::ErrorKind::Source).
    pub fn map_iter<S, R, E, F>(&self, items: S, function: F) -> Result<Outcomes<R, E>, Error>
    where
        S: IntoSource,
        S::Source: Send,
        S::Item: Send + Sync,
        R: Send,
        E: Send,
        F: Fn(&S::Item, &Call) -> Result<R, E> + Sync,
    {
        Run::from(self.clone()).map_iter(items, function)
    }

    /// As [`map_iter`](Options::map_iter), for what is owned: so it may [`detach`](Options::detach).
    ///
    /// # Errors
    /// As `map_iter`.
    pub fn map_owned<S, R, E, F>(&self, items: S, function: F) -> Result<Outcomes<R, E>, Error>
    where
        S: IntoSource,
        S::Source: Send + 'static,
        S::Item: Send + Sync + 'static,
        R: Send + 'static,
        E: Send + 'static,
        F: Fn(&S::Item, &Call) -> Result<R, E> + Send + Sync + 'static,
    {
        Run::from(self.clone()).map_owned(items, function)
    }

    /// As [`map`](Options::map), for a function that takes several items in one call: where one statement, request or vector
    /// instruction can do many. It answers for each item, in their order, or fails as a whole. [`batch`](Options::batch) says how
    /// many it gets; items that failed are repeated one by one.
    ///
    /// # Errors
    /// As `map`.
    pub fn map_batch<T, R, E, F>(&self, items: &[T], function: F) -> Result<Outcomes<R, E>, Error>
    where
        T: Sync,
        R: Send,
        E: Send + Clone,
        F: Fn(&[T], &Call) -> Result<Vec<Result<R, E>>, E> + Sync,
    {
        Run::from(self.clone()).map_batch(items, function)
    }

    /// As [`map_batch`](Options::map_batch), for the items of an iterator.
    ///
    /// # Errors
    /// As [`map_iter`](Options::map_iter).
    pub fn map_batch_iter<S, R, E, F>(&self, items: S, function: F) -> Result<Outcomes<R, E>, Error>
    where
        S: IntoSource,
        S::Source: Send,
        S::Item: Send + Sync,
        R: Send,
        E: Send + Clone,
        F: Fn(&[&S::Item], &Call) -> Result<Vec<Result<R, E>>, E> + Sync,
    {
        Run::from(self.clone()).map_batch_iter(items, function)
    }

    /// Applies `function` to the items of an iterator, and hands the outcomes out one by one, in constant memory, while others are
    /// still being made. See [`Stream`].
    ///
    /// # Errors
    /// Wrong options, before anything runs.
    pub fn stream<S, R, E, F>(&self, items: S, function: F) -> Result<Stream<R, E>, Error>
    where
        S: IntoSource,
        S::Source: Send + 'static,
        S::Item: Send + Sync + 'static,
        R: Send + 'static,
        E: Send + 'static,
        F: Fn(&S::Item, &Call) -> Result<R, E> + Send + Sync + 'static,
    {
        Run::from(self.clone()).stream(items, function)
    }

    /// As [`stream`](Options::stream), for a function that takes several items in one call, as
    /// [`map_batch`](Options::map_batch) has it.
    ///
    /// # Errors
    /// As `stream`.
    pub fn stream_batch<S, R, E, F>(&self, items: S, function: F) -> Result<Stream<R, E>, Error>
    where
        S: IntoSource,
        S::Source: Send + 'static,
        S::Item: Send + Sync + 'static,
        R: Send + 'static,
        E: Send + Clone + 'static,
        F: Fn(&[&S::Item], &Call) -> Result<Vec<Result<R, E>>, E> + Send + Sync + 'static,
    {
        Run::from(self.clone()).stream_batch(items, function)
    }

    /// As [`stream`](Options::stream), for what is borrowed: the stream lives while `read` does, and is then closed, which waits for
    /// the calls that are running.
    ///
    /// # Errors
    /// As `stream`.
    ///
    /// ```
    /// let words = ["three", "blind", "mice"];
    /// let longest = libpa::Options::new().stream_scoped(
    ///     &words,
    ///     |word, _call| Ok::<_, libpa::Error>(word.len()),
    ///     |stream| stream.filter_map(|outcome| outcome.ok()?.result.ok()).max(),
    /// )?;
    /// assert_eq!(longest, Some(5));
    /// # Ok::<_, libpa::Error>(())
    /// ```
    pub fn stream_scoped<'b, S, R, E, F, X>(
        &self,
        items: S,
        function: F,
        read: impl FnOnce(&mut dyn Iterator<Item = Result<Outcome<R, E>, Error>>) -> X,
    ) -> Result<X, Error>
    where
        S: IntoSource,
        S::Source: Send + 'b,
        S::Item: Send + Sync + 'b,
        R: Send + 'b,
        E: Send + 'b,
        F: Fn(&S::Item, &Call) -> Result<R, E> + Send + Sync + 'b,
    {
        Run::from(self.clone()).stream_scoped(items, function, read)
    }
}
