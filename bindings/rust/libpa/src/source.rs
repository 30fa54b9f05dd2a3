//! Inputs that are pulled: iterators, and what libpa asks of them.

use std::cell::UnsafeCell;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use libpa_sys as sys;

use crate::error::{BoxError, Outside, Panic};
use crate::hooks::{Shared, quietly};
use crate::word::{self, Word};
use crate::work::Work;

/// What inputs may come from: whatever can be iterated, and [`fallible`].
pub trait IntoSource {
    /// The inputs.
    type Item;
    /// Delivers them; the first error ends the run.
    type Source: Iterator<Item = Result<Self::Item, BoxError>>;
    /// Makes the source.
    fn into_source(self) -> Self::Source;
}

impl<I: IntoIterator> IntoSource for I {
    type Item = I::Item;
    type Source = Sure<I::IntoIter>;

    fn into_source(self) -> Self::Source {
        Sure(self.into_iter())
    }
}

/// A source that can't fail.
#[derive(Debug)]
pub struct Sure<I>(I);

impl<I: Iterator> Iterator for Sure<I> {
    type Item = Result<I::Item, BoxError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(Ok)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

/// Makes a source of an iterator whose items may be errors: the lines of a file, the rows of a query. The first error ends the run
/// with [`ErrorKind::Source`](crate::ErrorKind::Source), and is the `source()` of that [`Error`](crate::Error).
///
/// ```
/// use std::io::{BufRead, Cursor};
///
/// let lines = Cursor::new("1\n2\n").lines();
/// let numbers = libpa::Options::new().map_iter(libpa::fallible(lines), |line, _| line.parse::<i32>())?;
/// assert_eq!(numbers.into_result()?, [1, 2]);
/// # Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
/// ```
pub fn fallible<I, T, X>(items: I) -> Fallible<I>
where
    I: IntoIterator<Item = Result<T, X>>,
    X: Into<BoxError>,
{
    Fallible(items)
}

/// See [`fallible`].
#[derive(Debug)]
pub struct Fallible<I>(I);

impl<I, T, X> IntoSource for Fallible<I>
where
    I: IntoIterator<Item = Result<T, X>>,
    X: Into<BoxError>,
{
    type Item = T;
    type Source = Unsure<I::IntoIter>;

    fn into_source(self) -> Self::Source {
        Unsure(self.0.into_iter())
    }
}

/// A source that can fail.
#[derive(Debug)]
pub struct Unsure<I>(I);

impl<I, T, X> Iterator for Unsure<I>
where
    I: Iterator<Item = Result<T, X>>,
    X: Into<BoxError>,
{
    type Item = Result<T, BoxError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|item| item.map_err(Into::into))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

/// A source, and how it ended.
pub(crate) struct Feed<S> {
    source: S,
    over: bool,
    /// A failure that came after items of the same call: these are delivered first.
    held_back: Option<Outside>,
}

impl<S, T> Feed<S>
where
    S: Iterator<Item = Result<T, BoxError>>,
{
    fn new(source: S) -> Self {
        Self { source, over: false, held_back: None }
    }

    /// An iterator may wait for its next item, and libpa wants what is there without waiting: so one at a time, but for those that
    /// know how many they have.
    ///
    /// # Safety
    /// `items` has room for `max`.
    unsafe fn fill(&mut self, items: *mut Word, max: usize) -> Result<usize, Outside> {
        if let Some(failure) = self.held_back.take() {
            return Err(failure);
        }
        let (mut got, over) = (0, &mut self.over);
        let source = &mut self.source;
        let pulled = catch_unwind(AssertUnwindSafe(|| {
            if *over {
                return Ok(());
            }
            let wanted = max.min(source.size_hint().0.max(1));
            while got < wanted {
                let Some(item) = source.next() else {
                    *over = true;
                    return Ok(());
                };
                // SAFETY: got is below max.
                unsafe { word::store(items.add(got), item?) };
                got += 1;
            }
            Ok(())
        }));
        let failure = match pulled {
            Ok(Ok(())) => return Ok(got),
            Ok(Err(error)) => Outside::Error(error),
            Err(payload) => Outside::Panic(Panic::new(payload)),
        };
        self.over = true;
        if got == 0 {
            return Err(failure);
        }
        self.held_back = Some(failure);
        Ok(got)
    }

    fn size(&self) -> u64 {
        match self.source.size_hint() {
            (at_least, Some(at_most)) if at_least == at_most => at_most as u64,
            _ => sys::PA_UNSIZED,
        }
    }
}

/// All that a run with a source needs. It belongs to the run, which drops it when nothing of it is in use any more: that may be
/// after its owner has gone.
pub(crate) struct Owner<'a, S, T, R, E, F> {
    pub(crate) work: Work<'a, T, R, E, F>,
    feed: UnsafeCell<Feed<S>>,
}

impl<'a, S, T, R, E, F> Owner<'a, S, T, R, E, F>
where
    S: Iterator<Item = Result<T, BoxError>>,
{
    pub(crate) fn new(source: S, function: F, shared: Arc<Shared<'a, T, R, E>>) -> Box<Self> {
        Box::new(Self { work: Work { function, shared }, feed: UnsafeCell::new(Feed::new(source)) })
    }

    /// Hands itself over to `start`, which gives it to libpa, and takes itself back if `start` says that nothing has begun.
    pub(crate) fn hand_over(
        self: Box<Self>,
        options: &mut sys::pa_options,
        start: impl FnOnce(*mut c_void, *const sys::pa_source, *const sys::pa_options) -> bool,
    ) {
        // SAFETY: nothing runs yet.
        let size = unsafe { &*self.feed.get() }.size();
        let this = Box::into_raw(self);
        // SAFETY: all of it is integers, pointers and optional functions; pa_source_init writes it.
        let mut source = unsafe {
            let mut source: sys::pa_source = std::mem::zeroed();
            sys::pa_source_init(&raw mut source, size_of::<sys::pa_source>());
            source
        };
        source.next = Some(next::<S, T, R, E, F>);
        source.ctx = this.cast();
        source.size_hint = size;
        source.release_item = Some(release_item::<T>);
        options.on_quiescent = Some(quiescent::<S, T, R, E, F>);
        options.quiescent_ctx = this.cast();
        // SAFETY: `this` is there; with an early `quiescent` it is libpa's already when start returns.
        let begun = start(unsafe { (&raw mut (*this).work).cast() }, &raw const source, &raw const *options);
        if !begun {
            // SAFETY: libpa has not touched it, and will not.
            drop(unsafe { Box::from_raw(this) });
        }
    }
}

// ---------------------------------------------------------------- what libpa calls
//
// SAFETY of all of them: ctx is the Owner, and `quiescent` comes last.

unsafe extern "C" fn next<S, T, R, E, F>(ctx: *mut c_void, items: *mut Word, max: usize, got: *mut usize) -> i32
where
    S: Iterator<Item = Result<T, BoxError>>,
{
    // SAFETY: see above. Only one call is made at a time, and nobody else touches the feed.
    let (shared, feed) = unsafe {
        let owner = &*ctx.cast::<Owner<'_, S, T, R, E, F>>();
        (&owner.work.shared, &mut *owner.feed.get())
    };
    // SAFETY: libpa says that there is room.
    match unsafe { feed.fill(items, max) } {
        Ok(delivered) => {
            // SAFETY: libpa gives a valid pointer.
            unsafe { *got = delivered };
            0
        }
        Err(failure) => {
            shared.note_outside(failure);
            1
        }
    }
}

unsafe extern "C" fn release_item<T>(_: *mut c_void, item: Word) {
    // SAFETY: libpa releases each item once.
    quietly(|| drop(unsafe { word::take::<T>(&raw const item) }));
}

unsafe extern "C" fn quiescent<S, T, R, E, F>(ctx: *mut c_void) {
    // SAFETY: it was made by `hand_over`, and nothing is called with it after this.
    quietly(|| drop(unsafe { Box::from_raw(ctx.cast::<Owner<'_, S, T, R, E, F>>()) }));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pulls up to `max` items, and says what came.
    fn pull<S: Iterator<Item = Result<u64, BoxError>>>(feed: &mut Feed<S>, max: usize) -> Result<Vec<u64>, String> {
        let mut words: Vec<Word> = vec![std::ptr::null_mut(); max];
        // SAFETY: there is room, and what was stored is taken once.
        unsafe {
            match feed.fill(words.as_mut_ptr(), max) {
                Ok(got) => Ok(words[..got].iter().map(|word| word::take::<u64>(word)).collect()),
                Err(Outside::Error(error)) => Err(error.to_string()),
                Err(Outside::Panic(panic)) => Err(panic.to_string()),
            }
        }
    }

    #[test]
    fn an_iterator_that_knows_its_length_delivers_many_at_a_time() {
        let mut feed = Feed::new(vec![1, 2, 3].into_source());
        assert_eq!(feed.size(), 3);
        assert_eq!(pull(&mut feed, 2), Ok(vec![1, 2]));
        assert_eq!(pull(&mut feed, 2), Ok(vec![3]));
        assert_eq!(pull(&mut feed, 2), Ok(vec![]));
    }

    #[test]
    fn one_that_may_wait_delivers_one_at_a_time_and_is_not_asked_after_its_end() {
        let mut left = vec![None, Some(2), Some(1)];
        let mut feed = Feed::new(std::iter::from_fn(move || left.pop().expect("asked after its end")).into_source());
        assert_eq!(feed.size(), sys::PA_UNSIZED);
        assert_eq!(pull(&mut feed, 8), Ok(vec![1]));
        assert_eq!(pull(&mut feed, 8), Ok(vec![2]));
        assert_eq!(pull(&mut feed, 8), Ok(vec![]));
        assert_eq!(pull(&mut feed, 8), Ok(vec![]));
    }

    #[test]
    fn what_came_before_a_failure_is_delivered_before_it() {
        let items = vec![Ok(1), Ok(2), Err("no more rows")];
        let mut feed = Feed::new(fallible(items).into_source());
        assert_eq!(pull(&mut feed, 8), Ok(vec![1, 2]));
        assert_eq!(pull(&mut feed, 8), Err("no more rows".into()));
        assert_eq!(pull(&mut feed, 8), Ok(vec![]));
    }

    #[test]
    fn a_panic_is_a_failure() {
        let mut feed = Feed::new((0_u64..2).map(|i| if i == 1 { panic!("at 1") } else { i }).into_source());
        assert_eq!(pull(&mut feed, 8), Ok(vec![0]));
        assert_eq!(pull(&mut feed, 8), Err("panicked: at 1".into()));
    }
}
