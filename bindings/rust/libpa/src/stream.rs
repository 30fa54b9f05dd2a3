//! Streams: outcomes one by one, while others are still being made.

use std::ffi::c_void;
use std::iter::FusedIterator;
use std::sync::Arc;
use std::time::Duration;

use libpa_sys as sys;

use crate::Call;
use crate::error::{self, BoxError, Error, ErrorKind, Outside};
use crate::failures::Cause;
use crate::hooks::{Owned, Shared};
use crate::map::{Prepared, refuse_detach};
use crate::outcome::{self, End, ItemError, Outcome, State};
use crate::run::Run;
use crate::source::{IntoSource, Owner};
use crate::time::nanoseconds;
use crate::word::{self, Word};
use crate::work::{run_batch, run_one, run_span};

/// What a stream needs of `Shared`, whatever its items are.
pub(crate) trait Ledger<E> {
    /// # Safety
    /// libpa has filled the outcome, and its message is still there.
    unsafe fn take_failure(&self, raw: &sys::pa_outcome) -> Option<Cause<E>>;
    fn take_outside(&self) -> Option<Outside>;
}

impl<T, R, E> Ledger<E> for Shared<'_, T, R, E> {
    unsafe fn take_failure(&self, raw: &sys::pa_outcome) -> Option<Cause<E>> {
        // SAFETY: the caller says so.
        unsafe { self.failures.take_for(raw) }
    }

    fn take_outside(&self) -> Option<Outside> {
        self.take_outside()
    }
}

type SharedLedger<'b, E> = Arc<dyn Ledger<E> + Send + Sync + 'b>;

/// Neighbours that succeeded together, or one item that failed, as libpa hands them out.
struct Bunch {
    first: sys::pa_outcome,
    /// Borrowed until the next call; the values in it are ours.
    values: *mut Word,
    count: usize,
    /// So many were handed on.
    at: usize,
}

/// A stream that is open. What it borrows lives for 'b.
pub(crate) struct Open<'b, R, E> {
    handle: *mut sys::pa_iter,
    ledger: SharedLedger<'b, E>,
    bunch: Bunch,
    over: bool,
    _values: std::marker::PhantomData<fn() -> R>,
}

// SAFETY: libpa allows calls on a stream from any thread, one at a time; what comes out of it may be sent.
unsafe impl<R: Send, E: Send> Send for Open<'_, R, E> {}
// SAFETY: nothing of it can be used by a shared reference but its end and batch size.
unsafe impl<R: Send, E: Send> Sync for Open<'_, R, E> {}

impl<R, E> Open<'_, R, E> {
    #[cfg(feature = "futures")]
    pub(crate) fn handle(&self) -> *mut sys::pa_iter {
        self.handle
    }

    /// timeout_ns: -1 for as long as it takes; then several may come at a time. `None` if the stream is over.
    pub(crate) fn next(&mut self, timeout_ns: i64) -> Option<Result<Outcome<R, E>, Error>> {
        if self.bunch.at == self.bunch.count {
            if self.over {
                return None;
            }
            let (status, error) = self.fetch(timeout_ns);
            match status {
                sys::PA_STATUS_OK => {}
                sys::PA_STATUS_TIMEOUT => return Some(Err(Error::new(ErrorKind::Timeout, "nothing came in the time given"))),
                sys::PA_STATUS_DONE => {
                    self.over = true;
                    return self.early_end().map(Err);
                }
                _ => {
                    self.over = true;
                    return Some(Err(Error::from_status(status, &error, self.ledger.take_outside())));
                }
            }
        }
        Some(Ok(self.take_one()))
    }

    fn fetch(&mut self, timeout_ns: i64) -> (sys::pa_status, sys::pa_error) {
        let mut error = error::blank();
        let bunch = &mut self.bunch;
        (bunch.count, bunch.at) = (0, 0);
        let mut count = 0;
        // SAFETY: the stream is open, and `&mut self` sees to it that only one call is made at a time.
        let status = unsafe {
            if timeout_ns < 0 {
                sys::pa_iter_next_many(self.handle, &raw mut bunch.first, &raw mut bunch.values, &raw mut count, &raw mut error)
            } else {
                count = 1;
                sys::pa_iter_next_timeout(self.handle, timeout_ns, &raw mut bunch.first, &raw mut error)
            }
        };
        if status == sys::PA_STATUS_OK {
            bunch.count = count;
        }
        (status, error)
    }

    /// There is one left.
    fn take_one(&mut self) -> Outcome<R, E> {
        let mut raw = self.bunch.first;
        raw.index += self.bunch.at as u64;
        let result = match State::from_raw(raw.state) {
            State::Ok => Ok(self.next_value()),
            state => {
                self.bunch.at += 1;
                // SAFETY: libpa has filled it, and its message is there until the next call.
                Err(ItemError::new(state, unsafe { self.ledger.take_failure(&raw) }))
            }
        };
        // SAFETY: libpa has filled it, and its key is there until the next call.
        unsafe { Outcome::from_raw(&raw, result) }
    }

    /// There is one left, and it succeeded.
    fn next_value(&mut self) -> R {
        // A single outcome has its value in itself; `self` may have moved since it came.
        let values = if self.bunch.count == 1 { &raw const self.bunch.first.value } else { self.bunch.values.cast_const() };
        // SAFETY: `at` is below count, and each value is taken once.
        let value = unsafe { word::take(values.add(self.bunch.at)) };
        self.bunch.at += 1;
        value
    }

    fn end(&self) -> Option<End> {
        // SAFETY: the stream is open.
        End::from_raw(unsafe { sys::pa_iter_end(self.handle) })
    }

    /// A loop over a stream that ended early would look like one over a stream that completed.
    fn early_end(&self) -> Option<Error> {
        let end = self.end()?;
        let kind = match end {
            End::Completed => return None,
            End::TimedOut => ErrorKind::TimedOut,
            End::Aborted => ErrorKind::Aborted,
            End::Cancelled => ErrorKind::Cancelled,
            End::Failed => ErrorKind::System,
        };
        Some(Error::new(kind, end.to_string()))
    }
}

impl<R, E> Drop for Open<'_, R, E> {
    fn drop(&mut self) {
        if State::from_raw(self.bunch.first.state) == State::Ok {
            while self.bunch.at < self.bunch.count {
                drop(self.next_value());
            }
        }
        // SAFETY: it is not used after this.
        unsafe { sys::pa_iter_close(self.handle) }
    }
}

/// Outcomes one by one, in constant memory: an iterator over `Result<Outcome<R, E>, Error>`.
///
/// An item that fails is an [`Outcome`]. An `Err` comes once, as the last element, if the stream ended before its inputs did: it timed
/// out, was aborted or stopped, or a source or callback failed. So a loop with `?` never takes a part for the whole.
///
/// The source is pulled from now on, no further ahead than [`Options::window`](crate::Options::window): a slow reader slows it down.
/// The items run on threads of libpa; dropping the stream ends it and waits for the calls that are running, unless it may
/// [`detach`](crate::Options::detach). A stream owns all that it uses, so one that is forgotten is a leak and nothing worse.
///
/// ```
/// use libpa::Options;
///
/// let mut sum = 0;
/// for outcome in Options::new().ordered(true).stream(0_u64..1000, |x, _call| Ok::<_, std::fmt::Error>(x * x))? {
///     let outcome = outcome?;
///     sum += outcome.result?;
/// }
/// assert_eq!(sum, 332_833_500);
/// # Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
/// ```
#[must_use = "a stream that is dropped is stopped"]
pub struct Stream<R, E> {
    open: Open<'static, R, E>,
}

impl<R, E> Stream<R, E> {
    /// The next outcome, if it comes within `timeout`. If not, it is an `Err` of the kind [`Timeout`](ErrorKind::Timeout), and the
    /// stream goes on.
    pub fn next_timeout(&mut self, timeout: Duration) -> Option<Result<Outcome<R, E>, Error>> {
        self.open.next(nanoseconds(timeout))
    }

    /// Why the stream ended; `None` until it has said that it is over.
    pub fn end(&self) -> Option<End> {
        self.open.end()
    }

    /// For batch functions: as [`Outcomes::batch_size`](crate::Outcomes::batch_size), so far.
    pub fn batch_size(&self) -> u64 {
        // SAFETY: the stream is open.
        unsafe { sys::pa_iter_batch_size(self.open.handle) }
    }

    #[cfg(feature = "futures")]
    pub(crate) fn into_open(self) -> Open<'static, R, E> {
        self.open
    }
}

impl<R, E> Iterator for Stream<R, E> {
    type Item = Result<Outcome<R, E>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.open.next(-1)
    }
}

impl<R, E> FusedIterator for Stream<R, E> {}

impl<R, E> std::fmt::Debug for Stream<R, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream").field("end", &self.end()).finish_non_exhaustive()
    }
}

impl<T, R, E> Prepared<'static, T, R, E> {
    /// # Safety
    /// All of it is 'static, and `start` is as in `open`.
    pub(crate) unsafe fn stream<S, F>(
        self,
        source: S,
        function: F,
        start: impl FnOnce(
            *mut c_void,
            *const sys::pa_source,
            *const sys::pa_options,
            *mut *mut sys::pa_iter,
            *mut sys::pa_error,
        ) -> sys::pa_status,
    ) -> Result<Stream<R, E>, Error>
    where
        S: Iterator<Item = Result<T, BoxError>>,
        T: 'static,
        R: Send + 'static,
        E: Send + 'static,
    {
        // SAFETY: the caller says so.
        Ok(Stream { open: unsafe { self.open(source, function, start)? } })
    }
}

impl<'a, T, R, E> Prepared<'a, T, R, E> {
    /// # Safety
    /// What is borrowed for 'b lives until the stream is closed; with `detach` it is 'static. `start` opens a stream of a `Work` with
    /// this function, or of nothing that is in it.
    unsafe fn open<'b, S, F>(
        self,
        source: S,
        function: F,
        start: impl FnOnce(
            *mut c_void,
            *const sys::pa_source,
            *const sys::pa_options,
            *mut *mut sys::pa_iter,
            *mut sys::pa_error,
        ) -> sys::pa_status,
    ) -> Result<Open<'b, R, E>, Error>
    where
        'a: 'b,
        S: Iterator<Item = Result<T, BoxError>>,
        T: 'b,
        R: Send + 'b,
        E: Send + 'b,
    {
        let Self { mut raw, shared, _keep, .. } = self;
        let (mut handle, mut error, mut status) = (std::ptr::null_mut(), error::blank(), 0);
        Owner::new(source, function, shared.clone()).hand_over(&mut raw, |ctx, source, options| {
            status = start(ctx, source, options, &raw mut handle, &raw mut error);
            !handle.is_null()
        });
        error::check(status, &error)?;
        let bunch = Bunch { first: outcome::blank(), values: std::ptr::null_mut(), count: 0, at: 0 };
        Ok(Open { handle, ledger: shared, bunch, over: false, _values: std::marker::PhantomData })
    }
}

impl<'a, T, R, E> Run<'a, T, R, E> {
    /// # Safety
    /// As `open`.
    unsafe fn open_items<'b, S, F>(self, source: S, function: F) -> Result<Open<'b, R, E>, Error>
    where
        'a: 'b,
        S: Iterator<Item = Result<T, BoxError>>,
        T: 'b,
        R: Send + 'b,
        E: Send + 'b,
        F: Fn(&T, &Call) -> Result<R, E>,
    {
        // SAFETY: the caller says so; these two are for such a Work.
        unsafe {
            self.prepare::<Owned>()?.open(source, function, |ctx, source, options, handle, error| {
                let (span, one) = (run_span::<T, R, E, F, Owned>, run_one::<T, R, E, F, Owned>);
                sys::pa_iter_open_loop(Some(span), Some(one), ctx, source, options, handle, error)
            })
        }
    }

    /// See [`Options::stream_scoped`](crate::Options::stream_scoped).
    ///
    /// # Errors
    /// As there.
    pub fn stream_scoped<'b, S, F, X>(
        self,
        items: S,
        function: F,
        read: impl FnOnce(&mut dyn Iterator<Item = Result<Outcome<R, E>, Error>>) -> X,
    ) -> Result<X, Error>
    where
        'a: 'b,
        S: IntoSource<Item = T>,
        S::Source: Send + 'b,
        T: Send + Sync + 'b,
        R: Send + 'b,
        E: Send + 'b,
        F: Fn(&T, &Call) -> Result<R, E> + Send + Sync + 'b,
    {
        refuse_detach(&self.options)?;
        // SAFETY: it is closed when this function returns or unwinds, and closing waits.
        let mut open = unsafe { self.open_items(items.into_source(), function)? };
        Ok(read(&mut std::iter::from_fn(|| open.next(-1))))
    }
}

impl<T, R, E> Run<'static, T, R, E> {
    /// See [`Options::stream`](crate::Options::stream).
    ///
    /// # Errors
    /// As there.
    pub fn stream<S, F>(self, items: S, function: F) -> Result<Stream<R, E>, Error>
    where
        S: IntoSource<Item = T>,
        S::Source: Send + 'static,
        T: Send + Sync + 'static,
        R: Send + 'static,
        E: Send + 'static,
        F: Fn(&T, &Call) -> Result<R, E> + Send + Sync + 'static,
    {
        // SAFETY: all of it is 'static.
        let open = unsafe { self.open_items(items.into_source(), function)? };
        Ok(Stream { open })
    }

    /// See [`Options::stream_batch`](crate::Options::stream_batch).
    ///
    /// # Errors
    /// As there.
    pub fn stream_batch<S, F>(self, items: S, function: F) -> Result<Stream<R, E>, Error>
    where
        S: IntoSource<Item = T>,
        S::Source: Send + 'static,
        T: Send + Sync + 'static,
        R: Send + 'static,
        E: Send + Clone + 'static,
        F: Fn(&[&T], &Call) -> Result<Vec<Result<R, E>>, E> + Send + Sync + 'static,
    {
        let trampoline = Some(run_batch::<T, R, E, F, Owned> as unsafe extern "C" fn(_, _, _, _, _) -> _);
        // SAFETY: all of it is 'static, and the trampoline is for such a Work.
        unsafe {
            self.prepare::<Owned>()?.stream(items.into_source(), function, |ctx, source, options, handle, error| {
                sys::pa_iter_open_batch(trampoline, ctx, source, options, handle, error)
            })
        }
    }
}
