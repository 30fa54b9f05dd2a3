//! How libpa runs the function of a run: for one item after the other, for ranges of a slice, for batches.

use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use libpa_sys as sys;

use crate::call::Call;
use crate::error::Panic;
use crate::failures::Cause;
use crate::hooks::{Place, Shared};
use crate::word::{self, Word};

/// What is run. libpa gets a pointer to it as the ctx of the function.
pub(crate) struct Work<'a, T, R, E, F> {
    pub(crate) function: F,
    pub(crate) shared: Arc<Shared<'a, T, R, E>>,
}

/// Leaves `at` where `local` is, also when the user's function unwinds. While it does not, `local` lives in a register.
struct Position<'p> {
    local: usize,
    at: &'p mut usize,
}

impl Drop for Position<'_> {
    fn drop(&mut self) {
        *self.at = self.local;
    }
}

/// Runs `step` for the positions from `*at` up to `end()`, until one fails; `*at` is then where. All those that succeed share one
/// `catch_unwind`.
#[inline]
fn run_until_failure<E>(at: &mut usize, end: impl Fn() -> usize, mut step: impl FnMut(usize) -> Result<(), E>) -> Option<Cause<E>> {
    let run = catch_unwind(AssertUnwindSafe(|| {
        let mut position = Position { local: *at, at };
        while position.local < end() {
            step(position.local)?;
            position.local += 1;
        }
        Ok(())
    }));
    match run {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(Cause::Error(error)),
        Err(payload) => Some(Cause::Panic(Panic::new(payload))),
    }
}

// ---------------------------------------------------------------- what libpa calls
//
// SAFETY of all of them: ctx is what the run was started with, and lives until it is over; items, values and call are as libpa
// promises.

/// A `pa_loop_fn`: the items of a span, until one fails.
pub(crate) unsafe extern "C" fn run_span<T, R, E, F, P>(span: *mut sys::pa_span)
where
    F: Fn(&T, &Call) -> Result<R, E>,
    P: Place<T>,
{
    // SAFETY: see above. libpa changes the span during a call: so there is no reference to it here, and its count is read anew.
    unsafe {
        let work = &*(*span).ctx.cast::<Work<'_, T, R, E, F>>();
        let (items, values, began) = ((*span).items, (*span).values, (*span).at);
        // The index of a call is that of the position where its span stands.
        let first = sys::pa_call_index((*span).call) - began;
        let call = Call::new((*span).call, first);
        let mut at = began as usize;
        let end = || (*span).count as usize;
        let failure = run_until_failure(&mut at, end, |i| {
            (*span).at = i as u64;
            call.move_to(first + i as u64);
            // The value may take the place of the item. A word is not read as a pointer: what is in it may have padding.
            let item = items.add(i).cast::<MaybeUninit<Word>>().read();
            let slot = values.add(i);
            slot.write(std::ptr::null_mut());
            word::store(slot, (work.function)(P::item(item.as_ptr()), &call)?);
            Ok(())
        });
        (*span).at = at as u64;
        work.shared.forget(&call, first + began..first + at as u64);
        (*span).code = failure.map_or(0, |cause| work.shared.failed(&call, first + at as u64, cause, None));
    }
}

/// A `pa_fn`: one item.
pub(crate) unsafe extern "C" fn run_one<T, R, E, F, P>(
    ctx: *mut c_void,
    item: Word,
    value: *mut Word,
    call: *mut sys::pa_call,
) -> i32
where
    F: Fn(&T, &Call) -> Result<R, E>,
    P: Place<T>,
{
    // SAFETY: see above.
    let (work, index) = unsafe { (&*ctx.cast::<Work<'_, T, R, E, F>>(), sys::pa_call_index(call)) };
    let call = Call::new(call, index);
    let failure = run_until_failure(
        &mut 0,
        || 1,
        |_| {
            // SAFETY: the item is there for the call.
            let result = (work.function)(unsafe { P::item(&raw const item) }, &call)?;
            // SAFETY: the slot is there for the call.
            unsafe { word::store(value, result) };
            Ok(())
        },
    );
    match failure {
        None => {
            work.shared.forget(&call, index..index + 1);
            0
        }
        Some(cause) => work.shared.failed(&call, index, cause, None),
    }
}

/// For `pa_map_range`: items and values stay in arrays of ours.
pub(crate) struct Ranges<'a, T, R, E, F> {
    pub(crate) work: Work<'a, T, R, E, F>,
    pub(crate) items: *const T,
    pub(crate) values: *mut MaybeUninit<R>,
}

/// A `pa_range_fn`.
pub(crate) unsafe extern "C" fn run_range<T, R, E, F>(ctx: *mut c_void, first: u64, count: u64, call: *mut sys::pa_call) -> i32
where
    F: Fn(&T, &Call) -> Result<R, E>,
{
    // SAFETY: see above.
    let Ranges { work, items, values } = unsafe { &*ctx.cast::<Ranges<'_, T, R, E, F>>() };
    let (items, values) = (*items, *values);
    let call = Call::new(call, first);
    let end = (first + count) as usize;
    let mut at = first as usize;
    while let Some(cause) = run_until_failure(
        &mut at,
        || end,
        |i| {
            call.move_to(i as u64);
            // SAFETY: i is an index of both arrays, and nobody else runs it.
            unsafe { (*values.add(i)).write((work.function)(&*items.add(i), &call)?) };
            Ok(())
        },
    ) {
        work.shared.failed(&call, at as u64, cause, Some(at - first as usize));
        at += 1;
    }
    0
}

/// For `pa_map_batch`: libpa hands out pointers to the items, but a slice is what the function wants.
pub(crate) struct Slices<'a, T, R, E, F> {
    pub(crate) work: Work<'a, T, R, E, F>,
    pub(crate) items: *const T,
}

/// A `pa_batch_fn` for a slice.
pub(crate) unsafe extern "C" fn run_slice<T, R, E, F>(
    ctx: *mut c_void,
    _: *const Word,
    count: usize,
    values: *mut Word,
    call: *mut sys::pa_call,
) -> i32
where
    E: Clone,
    F: Fn(&[T], &Call) -> Result<Vec<Result<R, E>>, E>,
{
    // SAFETY: see above.
    let (Slices { work, items }, first) = unsafe { (&*ctx.cast::<Slices<'_, T, R, E, F>>(), sys::pa_call_index(call)) };
    // SAFETY: the items of a batch have consecutive indices.
    let items = unsafe { std::slice::from_raw_parts(items.add(first as usize), count) };
    let call = Call::new(call, first);
    answer(&work.shared, &call, count, values, || (work.function)(items, &call))
}

/// A `pa_batch_fn` for items that libpa holds.
pub(crate) unsafe extern "C" fn run_batch<T, R, E, F, P>(
    ctx: *mut c_void,
    items: *const Word,
    count: usize,
    values: *mut Word,
    call: *mut sys::pa_call,
) -> i32
where
    E: Clone,
    F: Fn(&[&T], &Call) -> Result<Vec<Result<R, E>>, E>,
    P: Place<T>,
{
    // SAFETY: see above.
    let (work, first) = unsafe { (&*ctx.cast::<Work<'_, T, R, E, F>>(), sys::pa_call_index(call)) };
    let call = Call::new(call, first);
    answer(&work.shared, &call, count, values, || {
        // SAFETY: so many items are there for the call.
        let items: Vec<&T> = (0..count).map(|i| unsafe { P::item(items.add(i)) }).collect();
        (work.function)(&items, &call)
    })
}

/// Tells libpa what a batch function has answered, or that it failed as a whole.
fn answer<T, R, E: Clone>(
    shared: &Shared<'_, T, R, E>,
    call: &Call,
    count: usize,
    values: *mut Word,
    run: impl FnOnce() -> Result<Vec<Result<R, E>>, E>,
) -> i32 {
    let first = call.index() as u64;
    let cause = match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(answers)) if answers.len() != count => {
            // Nobody knows which item each belongs to.
            call.take_gave_up();
            shared.forget(call, first..first + count as u64);
            return sys::PA_CODE_UNANSWERED;
        }
        Ok(Ok(answers)) => {
            let gave_up = call.take_gave_up();
            for (at, answer) in answers.into_iter().enumerate() {
                let index = first + at as u64;
                match answer {
                    // SAFETY: there is a slot for each item.
                    Ok(value) => unsafe { word::store(values.add(at), value) },
                    Err(error) => {
                        if gave_up {
                            call.give_up(());
                        }
                        shared.failed(call, index, Cause::Error(error), Some(at));
                        continue;
                    }
                }
                shared.forget(call, index..index + 1);
            }
            return 0;
        }
        Ok(Err(error)) => Cause::Error(error),
        Err(payload) => Cause::Panic(Panic::new(payload)),
    };
    let gave_up = call.take_gave_up();
    for at in 0..count {
        if gave_up {
            call.give_up(());
        }
        shared.failed(call, first + at as u64, cause.clone(), Some(at));
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_stops_where_a_step_fails_or_panics() {
        let mut at = 2;
        let failure = run_until_failure(&mut at, || 9, |i| if i == 5 { Err("five") } else { Ok(()) });
        assert!(matches!(failure, Some(Cause::Error("five"))));
        assert_eq!(at, 5);

        let failure = run_until_failure(&mut at, || 9, |i| if i == 7 { panic!("seven") } else { Ok::<_, ()>(()) });
        assert!(matches!(failure, Some(Cause::Panic(panic)) if panic.message() == "seven"));
        assert_eq!(at, 7);

        at = 8;
        assert!(run_until_failure(&mut at, || 9, |_| Ok::<_, ()>(())).is_none());
        assert_eq!(at, 9);
    }
}
