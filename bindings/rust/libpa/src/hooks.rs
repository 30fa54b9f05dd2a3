//! The closures of a run besides its function, and how libpa calls them.

use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use libpa_sys as sys;

use crate::call::Call;
use crate::error::{BoxError, Outside, Panic};
use crate::failures::{Cause, Failures};
use crate::outcome::{ItemError, Key, Outcome, State};
use crate::outcomes::Outcomes;
use crate::word::{self, Boxed, Word};

/// What a callback returns: nothing, or a `Result` whose error ends the run.
pub trait CallbackResult {
    /// As a result.
    ///
    /// # Errors
    /// What the callback failed with.
    fn into_result(self) -> Result<(), BoxError>;
}

impl CallbackResult for () {
    fn into_result(self) -> Result<(), BoxError> {
        Ok(())
    }
}

impl<E: Into<BoxError>> CallbackResult for Result<(), E> {
    fn into_result(self) -> Result<(), BoxError> {
        self.map_err(Into::into)
    }
}

type OnProgress<'a> = Box<dyn FnMut(u64, u64) -> Result<(), BoxError> + Send + 'a>;
type OnResult<'a, R, E> = Box<dyn FnMut(Outcome<&R, &E>) -> Result<(), BoxError> + Send + 'a>;
type ItemKey<'a, T> = Box<dyn FnMut(&T) -> Result<Key, BoxError> + Send + 'a>;
pub(crate) type WorkerStart<'a> = Box<dyn Fn() -> Result<(), BoxError> + Send + Sync + 'a>;
pub(crate) type WorkerStop<'a> = Box<dyn Fn() + Send + Sync + 'a>;
type RetryIf<'a, E> = Box<dyn Fn(&E) -> bool + Send + Sync + 'a>;
pub(crate) type RetryAfter<'a, E> = Box<dyn Fn(&E) -> Option<Duration> + Send + Sync + 'a>;

/// The closures, as they were given.
pub(crate) struct Hooks<'a, T, R, E> {
    pub(crate) on_progress: Option<OnProgress<'a>>,
    pub(crate) on_result: Option<OnResult<'a, R, E>>,
    pub(crate) item_key: Option<ItemKey<'a, T>>,
    pub(crate) worker_start: Option<WorkerStart<'a>>,
    pub(crate) worker_stop: Option<WorkerStop<'a>>,
    pub(crate) retry_if: Option<RetryIf<'a, E>>,
    pub(crate) retry_after: Option<RetryAfter<'a, E>>,
    /// Where outcomes go that the call can't return.
    pub(crate) salvage: Option<&'a mut Option<Outcomes<R, E>>>,
}

impl<T, R, E> Default for Hooks<'_, T, R, E> {
    fn default() -> Self {
        Self {
            on_progress: None,
            on_result: None,
            item_key: None,
            worker_start: None,
            worker_stop: None,
            retry_if: None,
            retry_after: None,
            salvage: None,
        }
    }
}

impl<'a, T: 'a, R, E> Hooks<'a, T, R, E> {
    /// The same, for items that are boxed.
    pub(crate) fn boxed(self) -> Hooks<'a, Boxed<T>, R, E> {
        let Self { on_progress, on_result, item_key, worker_start, worker_stop, retry_if, retry_after, salvage } = self;
        let item_key = item_key.map(|mut name| -> ItemKey<'a, Boxed<T>> { Box::new(move |item| name(&item.0)) });
        Hooks { on_progress, on_result, item_key, worker_start, worker_stop, retry_if, retry_after, salvage }
    }
}

/// How a run finds the item that libpa hands it as a word.
pub(crate) trait Place<T> {
    /// # Safety
    /// `word` is where libpa keeps the item, which is still there.
    unsafe fn item<'x>(word: *const Word) -> &'x T;
}

/// The word points to an item that is somebody else's.
pub(crate) struct Borrowed;
/// The word holds the item.
pub(crate) struct Owned;

impl<T> Place<T> for Borrowed {
    unsafe fn item<'x>(word: *const Word) -> &'x T {
        // SAFETY: the caller says so.
        unsafe { &*(*word).cast::<T>() }
    }
}

impl<T> Place<T> for Owned {
    unsafe fn item<'x>(word: *const Word) -> &'x T {
        // SAFETY: the caller says so.
        unsafe { word::look(word) }
    }
}

/// The code of an attempt that failed, for libpa. What it failed with is in `Failures`.
const CODE_ERROR: i32 = 1;
const CODE_PANIC: i32 = 2;

/// What the calls of a run and its owner share. libpa gets a pointer to it as the ctx of all closures but the function.
pub(crate) struct Shared<'a, T, R, E> {
    pub(crate) failures: Failures<E>,
    outside: Mutex<Option<Outside>>,
    on_progress: Option<Mutex<OnProgress<'a>>>,
    on_result: Option<Mutex<OnResult<'a, R, E>>>,
    /// The last key stays until the next call, because libpa copies it only then.
    item_key: Option<Mutex<(ItemKey<'a, T>, Key)>>,
    worker_start: Option<WorkerStart<'a>>,
    worker_stop: Option<WorkerStop<'a>>,
    retry_if: Option<RetryIf<'a, E>>,
    retry_after: Option<RetryAfter<'a, E>>,
    retries: bool,
    retries_panics: bool,
}

impl<'a, T, R, E> Shared<'a, T, R, E> {
    pub(crate) fn new(hooks: Hooks<'a, T, R, E>, failures: Failures<E>, retries: bool, retries_panics: bool) -> Self {
        Self {
            failures,
            outside: Mutex::new(None),
            on_progress: hooks.on_progress.map(Mutex::new),
            on_result: hooks.on_result.map(Mutex::new),
            item_key: hooks.item_key.map(|name| Mutex::new((name, Key::Int(0)))),
            worker_start: hooks.worker_start,
            worker_stop: hooks.worker_stop,
            retry_if: hooks.retry_if,
            retry_after: hooks.retry_after,
            retries,
            retries_panics,
        }
    }

    /// Tells libpa which closures there are. `self` must stay where it is until the run is over.
    pub(crate) fn install<P: Place<T>>(&self, raw: &mut sys::pa_options) {
        let ctx = std::ptr::from_ref(self).cast_mut().cast::<c_void>();
        if self.on_progress.is_some() {
            raw.on_progress = Some(on_progress::<T, R, E>);
            raw.progress_ctx = ctx;
        }
        if self.on_result.is_some() {
            raw.on_result = Some(on_result::<T, R, E>);
            raw.result_ctx = ctx;
        }
        if self.item_key.is_some() {
            raw.item_key = Some(item_key::<T, R, E, P>);
            raw.key_ctx = ctx;
        }
        if self.worker_start.is_some() || self.worker_stop.is_some() {
            raw.worker_start = Some(worker_start::<T, R, E>);
            raw.worker_stop = Some(worker_stop::<T, R, E>);
            raw.worker_ctx = ctx;
        }
        if self.retries {
            raw.retry.retry_if = Some(retry_if::<T, R, E>);
            raw.retry.retry_ctx = ctx;
        }
        raw.release_value = Some(release_value::<R>);
    }

    /// Notes why the attempt that `call` stands at has failed, and returns the code for libpa. `at`: its place in a batch or range.
    pub(crate) fn failed(&self, call: &Call, index: u64, cause: Cause<E>, at: Option<usize>) -> i32 {
        let code = match &cause {
            _ if call.take_gave_up() => sys::PA_CODE_STOPPED,
            Cause::Error(_) => CODE_ERROR,
            Cause::Panic(_) => CODE_PANIC,
        };
        if let (Cause::Error(error), Some(retry_after)) = (&cause, &self.retry_after) {
            // A closure that panics knows no wait.
            if let Ok(Some(wait)) = catch_unwind(AssertUnwindSafe(|| retry_after(error))) {
                call.retry_after(wait);
            }
        }
        quietly(|| self.failures.put(index, cause));
        if let Some(at) = at {
            // SAFETY: the call is under way.
            unsafe { sys::pa_call_fail_at(call.raw(), at, code, std::ptr::null()) };
        }
        code
    }

    /// What earlier attempts at the items that have now succeeded failed with is forgotten.
    pub(crate) fn forget(&self, call: &Call, indices: std::ops::Range<u64>) {
        if self.retries && call.attempt() > 1 {
            for index in indices {
                quietly(|| drop(self.failures.take(index)));
            }
        }
    }

    pub(crate) fn take_outside(&self) -> Option<Outside> {
        self.outside.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Runs a closure of the user's that may end the run; returns what libpa wants to hear. The first that fails is the reason.
    pub(crate) fn outside(&self, run: impl FnOnce() -> Result<(), BoxError>) -> i32 {
        let failure = match catch_unwind(AssertUnwindSafe(run)) {
            Ok(Ok(())) => return 0,
            Ok(Err(error)) => Outside::Error(error),
            Err(payload) => Outside::Panic(Panic::new(payload)),
        };
        self.note_outside(failure);
        1
    }

    pub(crate) fn note_outside(&self, failure: Outside) {
        let mut outside = self.outside.lock().unwrap_or_else(PoisonError::into_inner);
        if outside.is_none() {
            *outside = Some(failure);
        }
    }
}

/// Runs a destructor of the user's on a thread of libpa. One that panics must not unwind into C; there is nobody to tell.
pub(crate) fn quietly(run: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(run)) {
        std::mem::forget(payload);
    }
}

// ---------------------------------------------------------------- what libpa calls
//
// SAFETY of all of them: ctx is what `install` gave, and libpa calls none of them after the run is over.

unsafe extern "C" fn on_progress<T, R, E>(ctx: *mut c_void, done: u64, total: u64) -> i32 {
    // SAFETY: see above.
    let shared = unsafe { &*ctx.cast::<Shared<'_, T, R, E>>() };
    let Some(callback) = &shared.on_progress else { return 0 };
    let mut callback = callback.lock().unwrap_or_else(PoisonError::into_inner);
    shared.outside(|| callback(done, total))
}

unsafe extern "C" fn on_result<T, R, E>(ctx: *mut c_void, outcome: *const sys::pa_outcome) -> i32 {
    // SAFETY: see above; the outcome is borrowed for the call.
    let (shared, raw) = unsafe { (&*ctx.cast::<Shared<'_, T, R, E>>(), &*outcome) };
    let Some(callback) = &shared.on_result else { return 0 };
    let mut callback = callback.lock().unwrap_or_else(PoisonError::into_inner);
    shared.outside(|| match State::from_raw(raw.state) {
        // SAFETY: it is ok, so a value was stored; the key is borrowed for the call.
        State::Ok => callback(unsafe { Outcome::from_raw(raw, Ok(word::look::<R>(&raw const raw.value))) }),
        // SAFETY: the message and the key are borrowed for the call.
        state => unsafe {
            shared.failures.look_at(raw, |cause| {
                let cause = cause.map(|cause| match cause {
                    Cause::Error(error) => Cause::Error(error),
                    Cause::Panic(panic) => Cause::Panic(panic.clone()),
                });
                callback(Outcome::from_raw(raw, Err(ItemError::new(state, cause))))
            })
        },
    })
}

unsafe extern "C" fn item_key<T, R, E, P: Place<T>>(ctx: *mut c_void, item: Word, key: *mut sys::pa_key) -> i32 {
    // SAFETY: see above; the item is there.
    let (shared, item) = unsafe { (&*ctx.cast::<Shared<'_, T, R, E>>(), P::item(&raw const item)) };
    let Some(naming) = &shared.item_key else { return 0 };
    let mut naming = naming.lock().unwrap_or_else(PoisonError::into_inner);
    let (name, last) = &mut *naming;
    shared.outside(|| {
        *last = name(item)?;
        // SAFETY: libpa gives a valid pointer.
        unsafe { *key = last.to_raw() };
        Ok(())
    })
}

unsafe extern "C" fn worker_start<T, R, E>(ctx: *mut c_void) -> i32 {
    // SAFETY: see above.
    let shared = unsafe { &*ctx.cast::<Shared<'_, T, R, E>>() };
    shared.worker_start.as_ref().map_or(0, |start| shared.outside(start))
}

unsafe extern "C" fn worker_stop<T, R, E>(ctx: *mut c_void) {
    // SAFETY: see above.
    let shared = unsafe { &*ctx.cast::<Shared<'_, T, R, E>>() };
    if let Some(stop) = &shared.worker_stop {
        quietly(stop);
    }
}

unsafe extern "C" fn retry_if<T, R, E>(ctx: *mut c_void, failure: *const sys::pa_outcome) -> i32 {
    // SAFETY: see above; the outcome is borrowed for the call.
    let (shared, failure) = unsafe { (&*ctx.cast::<Shared<'_, T, R, E>>(), &*failure) };
    // SAFETY: as above.
    let decided = catch_unwind(AssertUnwindSafe(|| unsafe {
        shared.failures.look_at(failure, |cause| match (cause, &shared.retry_if) {
            (Some(Cause::Error(error)), Some(worth_it)) => worth_it(error),
            (Some(Cause::Panic(_)), _) => shared.retries_panics,
            _ => true,
        })
    }));
    decided.map_or(-1, i32::from)
}

/// Drops a value that came too late, or that nobody took.
unsafe extern "C" fn release_value<R>(_: *mut c_void, value: Word) {
    // SAFETY: libpa releases each value once, and only those that were stored.
    quietly(|| drop(unsafe { word::take::<R>(&raw const value) }));
}
