//! Maps: all at once.

use std::ffi::c_void;
use std::sync::Arc;

use libpa_sys as sys;

use crate::error::{self, BoxError, Error, ErrorKind};
use crate::failures::Failures;
use crate::hooks::{Borrowed, Owned, Place, Shared};
use crate::memory;
use crate::process::RawProcess;
use crate::run::Run;
use crate::source::{IntoSource, Owner};
use crate::word::Word;
use crate::work::{Ranges, Slices, Work, run_batch, run_one, run_range, run_slice, run_span};
use crate::{Call, Options, Outcomes};

/// What a call of libpa says: its status, and the result if there is one.
pub(crate) struct Ended {
    status: sys::pa_status,
    result: *mut sys::pa_result,
    error: sys::pa_error,
}

impl Ended {
    pub(crate) fn of(call: impl FnOnce(*mut *mut sys::pa_result, *mut sys::pa_error) -> sys::pa_status) -> Self {
        let (mut result, mut error) = (std::ptr::null_mut(), error::blank());
        let status = call(&raw mut result, &raw mut error);
        Self { status, result, error }
    }

    /// The outcomes, or the error of the call; then what was done goes to `salvage`.
    pub(crate) fn conclude<T, R, E>(
        self,
        shared: &Shared<'_, T, R, E>,
        salvage: Option<&mut Option<Outcomes<R, E>>>,
        outcomes: impl FnOnce(*mut sys::pa_result) -> Outcomes<R, E>,
    ) -> Result<Outcomes<R, E>, Error> {
        let outcomes = (!self.result.is_null()).then(|| outcomes(self.result));
        match outcomes {
            Some(outcomes) if self.status >= 0 => Ok(outcomes),
            outcomes => {
                if let Some(place) = salvage {
                    *place = outcomes;
                }
                Err(Error::from_status(self.status, &self.error, shared.take_outside()))
            }
        }
    }
}

pub(crate) fn refuse_detach(options: &Options) -> Result<(), Error> {
    if options.detaches() {
        let message = "options.detach must be false for what is borrowed: calls that outlive the run would still use it";
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    Ok(())
}

pub(crate) fn pointers<T>(items: &[T]) -> Vec<Word> {
    items.iter().map(|item| std::ptr::from_ref(item).cast_mut().cast()).collect()
}

fn ctx_of<C>(ctx: &C) -> *mut c_void {
    std::ptr::from_ref(ctx).cast_mut().cast()
}

/// What a call of libpa needs besides the function.
pub(crate) struct Prepared<'a, T, R, E> {
    /// Refers to the others.
    pub(crate) raw: sys::pa_options,
    pub(crate) shared: Arc<Shared<'a, T, R, E>>,
    pub(crate) salvage: Option<&'a mut Option<Outcomes<R, E>>>,
    /// Owns the limiter, the token, and what is said about processes.
    pub(crate) _keep: (Options, Option<Box<RawProcess>>),
}

impl<'a, T, R, E> Run<'a, T, R, E> {
    pub(crate) fn prepare<P: Place<T>>(self) -> Result<Prepared<'a, T, R, E>, Error> {
        self.prepare_with::<P>(Failures::new())
    }

    pub(crate) fn prepare_with<P: Place<T>>(self, failures: Failures<E>) -> Result<Prepared<'a, T, R, E>, Error> {
        let Self { options, mut hooks } = self;
        let salvage = hooks.salvage.take();
        let (mut raw, process) = options.to_raw()?;
        let shared = Arc::new(Shared::new(hooks, failures, options.retries(), options.retries_panics()));
        shared.install::<P>(&mut raw);
        Ok(Prepared { raw, shared, salvage, _keep: (options, process) })
    }

    /// See [`Options::map`].
    ///
    /// # Errors
    /// As there.
    pub fn map<F>(self, items: &[T], function: F) -> Result<Outcomes<R, E>, Error>
    where
        T: Sync,
        R: Send,
        E: Send,
        F: Fn(&T, &Call) -> Result<R, E> + Sync,
    {
        refuse_detach(&self.options)?;
        let looks_at_items = self.hooks.item_key.is_some() || self.hooks.on_result.is_some();
        if looks_at_items || self.options.treats_items_alone() {
            self.map_items(items, function)
        } else {
            self.map_ranges(items, function)
        }
    }

    /// Values are written where they stay.
    fn map_ranges<F>(self, items: &[T], function: F) -> Result<Outcomes<R, E>, Error>
    where
        F: Fn(&T, &Call) -> Result<R, E>,
    {
        let Prepared { raw, shared, salvage, _keep } = self.prepare::<Borrowed>()?;
        let mut values = memory::unwritten(items.len());
        let work = Work { function, shared: shared.clone() };
        let ctx = Ranges { work, items: items.as_ptr(), values: values.as_mut_ptr() };
        // SAFETY: all of it lives until the call returns, and the run is over then.
        let ended = Ended::of(|result, error| unsafe {
            let count = items.len() as u64;
            sys::pa_map_range(Some(run_range::<T, R, E, F>), ctx_of(&ctx), count, &raw const raw, result, error)
        });
        // SAFETY: an item is ok only if its value was written.
        ended.conclude(&shared, salvage, |result| unsafe { Outcomes::of_values(result, values, &shared.failures) })
    }

    /// Values go through libpa, which can then tell each item from the next.
    fn map_items<F>(self, items: &[T], function: F) -> Result<Outcomes<R, E>, Error>
    where
        F: Fn(&T, &Call) -> Result<R, E>,
    {
        let Prepared { raw, shared, salvage, _keep } = self.prepare::<Borrowed>()?;
        let pointers = pointers(items);
        let ctx = Work { function, shared: shared.clone() };
        // SAFETY: as above.
        let ended = Ended::of(|result, error| unsafe {
            sys::pa_map_loop(
                Some(run_span::<T, R, E, F, Borrowed>),
                Some(run_one::<T, R, E, F, Borrowed>),
                ctx_of(&ctx),
                pointers.as_ptr(),
                pointers.len() as u64,
                &raw const raw,
                result,
                error,
            )
        });
        // SAFETY: run_span and run_one store words.
        ended.conclude(&shared, salvage, |result| unsafe { Outcomes::of_words(result, &shared.failures) })
    }

    /// See [`Options::map_batch`].
    ///
    /// # Errors
    /// As there.
    pub fn map_batch<F>(self, items: &[T], function: F) -> Result<Outcomes<R, E>, Error>
    where
        T: Sync,
        R: Send,
        E: Send + Clone,
        F: Fn(&[T], &Call) -> Result<Vec<Result<R, E>>, E> + Sync,
    {
        refuse_detach(&self.options)?;
        let Prepared { raw, shared, salvage, _keep } = self.prepare::<Borrowed>()?;
        let pointers = pointers(items);
        let ctx = Slices { work: Work { function, shared: shared.clone() }, items: items.as_ptr() };
        let function = Some(run_slice::<T, R, E, F> as unsafe extern "C" fn(_, _, _, _, _) -> _);
        // SAFETY: as above.
        let ended = Ended::of(|result, error| unsafe {
            let count = pointers.len() as u64;
            sys::pa_map_batch(function, ctx_of(&ctx), pointers.as_ptr(), count, &raw const raw, result, error)
        });
        // SAFETY: run_slice stores words.
        ended.conclude(&shared, salvage, |result| unsafe { Outcomes::of_words(result, &shared.failures) })
    }

    /// See [`Options::map_iter`].
    ///
    /// # Errors
    /// As there.
    pub fn map_iter<S, F>(self, items: S, function: F) -> Result<Outcomes<R, E>, Error>
    where
        S: IntoSource<Item = T>,
        S::Source: Send,
        T: Send + Sync,
        R: Send,
        E: Send,
        F: Fn(&T, &Call) -> Result<R, E> + Sync,
    {
        refuse_detach(&self.options)?;
        // SAFETY: without detach nothing of the run is left when the call returns.
        unsafe { self.map_items_of(items.into_source(), function) }
    }

    /// See [`Options::map_batch_iter`].
    ///
    /// # Errors
    /// As there.
    pub fn map_batch_iter<S, F>(self, items: S, function: F) -> Result<Outcomes<R, E>, Error>
    where
        S: IntoSource<Item = T>,
        S::Source: Send,
        T: Send + Sync,
        R: Send,
        E: Send + Clone,
        F: Fn(&[&T], &Call) -> Result<Vec<Result<R, E>>, E> + Sync,
    {
        refuse_detach(&self.options)?;
        let trampoline = Some(run_batch::<T, R, E, F, Owned> as unsafe extern "C" fn(_, _, _, _, _) -> _);
        // SAFETY: as above, and the trampoline is for such a Work.
        unsafe {
            self.prepare::<Owned>()?.map_source(items.into_source(), function, |ctx, source, options, result, error| {
                sys::pa_map_batch_source(trampoline, ctx, source, options, result, error)
            })
        }
    }

    /// # Safety
    /// With `detach` all types are 'static.
    unsafe fn map_items_of<S, F>(self, source: S, function: F) -> Result<Outcomes<R, E>, Error>
    where
        S: Iterator<Item = Result<T, BoxError>>,
        F: Fn(&T, &Call) -> Result<R, E>,
    {
        // SAFETY: the caller says so, and the trampoline is for such a Work.
        unsafe {
            self.prepare::<Owned>()?.map_source(source, function, |ctx, source, options, result, error| {
                sys::pa_map_source(Some(run_one::<T, R, E, F, Owned>), ctx, source, options, result, error)
            })
        }
    }
}

impl<T, R, E> Prepared<'_, T, R, E> {
    /// # Safety
    /// With `detach` all types are 'static. `start` starts a map of a `Work` with this function, or of nothing that is in it.
    pub(crate) unsafe fn map_source<S, F>(
        self,
        source: S,
        function: F,
        start: impl FnOnce(
            *mut c_void,
            *const sys::pa_source,
            *const sys::pa_options,
            *mut *mut sys::pa_result,
            *mut sys::pa_error,
        ) -> sys::pa_status,
    ) -> Result<Outcomes<R, E>, Error>
    where
        S: Iterator<Item = Result<T, BoxError>>,
    {
        let Self { mut raw, shared, salvage, _keep } = self;
        let mut ended = None;
        Owner::new(source, function, shared.clone()).hand_over(&mut raw, |ctx, source, options| {
            let said = Ended::of(|result, error| start(ctx, source, options, result, error));
            !ended.insert(said).result.is_null()
        });
        let ended = ended.expect("hand_over calls its argument");
        // SAFETY: the trampolines store words.
        ended.conclude(&shared, salvage, |result| unsafe { Outcomes::of_words(result, &shared.failures) })
    }
}

impl<T, R, E> Run<'static, T, R, E> {
    /// See [`Options::map_owned`].
    ///
    /// # Errors
    /// As there.
    pub fn map_owned<S, F>(self, items: S, function: F) -> Result<Outcomes<R, E>, Error>
    where
        S: IntoSource<Item = T>,
        S::Source: Send + 'static,
        T: Send + Sync + 'static,
        R: Send + 'static,
        E: Send + 'static,
        F: Fn(&T, &Call) -> Result<R, E> + Send + Sync + 'static,
    {
        // SAFETY: all types are 'static.
        unsafe { self.map_items_of(items.into_source(), function) }
    }
}
