use std::error::Error as StdError;
use std::fmt;
use std::iter::FusedIterator;
use std::mem::{MaybeUninit, needs_drop};

use libpa_sys as sys;

use crate::failures::Failures;
use crate::memory;
use crate::outcome::{self, End, ItemError, Outcome, State};
use crate::word::{self, Word};

/// What libpa noted about a run: states, attempts, durations, keys.
struct Receipts(*mut sys::pa_result);

// SAFETY: a result that nobody changes may be read by many threads; taking values happens before it is shared.
unsafe impl Send for Receipts {}
// SAFETY: as above.
unsafe impl Sync for Receipts {}

impl Receipts {
    fn count(&self) -> usize {
        // SAFETY: the result is there until drop, here and below.
        unsafe { sys::pa_result_count(self.0) as usize }
    }

    /// `index` is below `count`.
    fn at(&self, index: usize) -> sys::pa_outcome {
        let mut raw = outcome::blank();
        // SAFETY: see `count`.
        unsafe { sys::pa_result_at(self.0, index as u64, &raw mut raw, std::ptr::null_mut()) };
        raw
    }

    /// Those that are not ok, in order.
    fn failed(&self) -> impl Iterator<Item = sys::pa_outcome> {
        let mut cursor = 0;
        std::iter::from_fn(move || {
            let mut raw = outcome::blank();
            // SAFETY: see `count`.
            let status = unsafe { sys::pa_result_next_failure(self.0, &raw mut cursor, &raw mut raw, std::ptr::null_mut()) };
            (status == sys::PA_STATUS_OK).then_some(raw)
        })
    }
}

impl Drop for Receipts {
    fn drop(&mut self) {
        // SAFETY: it is not used after this.
        unsafe { sys::pa_result_free(self.0) }
    }
}

/// One outcome for each input, in input order.
///
/// It iterates over [`Outcome`]s, borrowed or owned. [`into_result`](Outcomes::into_result) is for those who want all values or
/// none.
///
/// ```
/// use libpa::Options;
///
/// let outcomes = Options::new().map(&["7", "x"], |text, _call| text.parse::<i32>())?;
/// for outcome in &outcomes {
///     match outcome.result {
///         Ok(number) => println!("{number}"),
///         Err(error) => println!("item {}: {error}", outcome.index),
///     }
/// }
/// assert_eq!(outcomes.values().collect::<Vec<_>>(), [&7]);
/// assert_eq!(outcomes.into_result().unwrap_err().to_string(), "1 of 2 items failed; the first, index 1: invalid digit found in string");
/// # Ok::<_, libpa::Error>(())
/// ```
#[must_use = "items that failed are in here"]
pub struct Outcomes<R, E> {
    receipts: Receipts,
    /// Those are written whose index is not in `failed`.
    values: Vec<MaybeUninit<R>>,
    /// By index.
    failed: Vec<(usize, ItemError<E>)>,
}

impl<R, E> Outcomes<R, E> {
    /// # Safety
    /// `result` is a result whose run is over; the value of each item that is ok was written.
    pub(crate) unsafe fn of_values(result: *mut sys::pa_result, values: Vec<MaybeUninit<R>>, failures: &Failures<E>) -> Self {
        let receipts = Receipts(result);
        let failed = receipts.failed().map(|raw| {
            // SAFETY: libpa has filled it, and the result is there.
            let cause = unsafe { failures.take_for(&raw) };
            (raw.index as usize, ItemError::new(State::from_raw(raw.state), cause))
        });
        let failed = failed.collect();
        Self { receipts, values, failed }
    }

    /// # Safety
    /// `result` is a result whose run is over; its values were stored as words of type R.
    pub(crate) unsafe fn of_words(result: *mut sys::pa_result, failures: &Failures<E>) -> Self {
        // SAFETY: the values are written below.
        let mut this = unsafe { Self::of_values(result, Vec::new(), failures) };
        let count = this.receipts.count();
        this.values = memory::unwritten(count);
        let mut failed = this.failed.iter().map(|(index, _)| *index).peekable();
        for (index, value) in this.values.iter_mut().enumerate() {
            if failed.next_if_eq(&index).is_some() {
                continue;
            }
            let mut word: Word = std::ptr::null_mut();
            // SAFETY: the index is below the count, and the item is ok: a value was stored.
            unsafe {
                sys::pa_result_take(result, index as u64, &raw mut word, std::ptr::null_mut());
                value.write(word::take(&raw const word));
            }
        }
        this
    }

    /// How many there are: one for each input, those that were not done included. If a run over an iterator ended early, at least as
    /// many as the iterator said that it has.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Why the run ended.
    pub fn end(&self) -> End {
        // SAFETY: the result is there.
        End::from_raw(unsafe { sys::pa_result_end(self.receipts.0) }).unwrap_or(End::Failed)
    }

    /// Whether the run completed and no item failed. What ended early is never ok.
    pub fn is_ok(&self) -> bool {
        self.end() == End::Completed && self.failed.is_empty()
    }

    /// How many items have no value: those that failed, and those that were not done.
    pub fn failed(&self) -> usize {
        self.failed.len()
    }

    /// What became of an item; `None` if there is no such index.
    pub fn get(&self, index: usize) -> Option<Outcome<&R, &E>> {
        let value = self.values.get(index)?;
        let result = match self.failed.binary_search_by_key(&index, |(index, _)| *index) {
            Ok(at) => Err(self.failed[at].1.as_ref()),
            // SAFETY: it has not failed.
            Err(_) => Ok(unsafe { value.assume_init_ref() }),
        };
        // SAFETY: libpa has filled it, and the result is still there.
        Some(unsafe { Outcome::from_raw(&self.receipts.at(index), result) })
    }

    /// All outcomes, in input order.
    pub fn iter(&self) -> Iter<'_, R, E> {
        Iter { outcomes: self, at: 0 }
    }

    /// The values of the items that have one, in input order.
    pub fn values(&self) -> impl Iterator<Item = &R> {
        let mut failed = self.failed.iter().map(|(index, _)| *index).peekable();
        self.values.iter().enumerate().filter_map(move |(index, value)| match failed.next_if_eq(&index) {
            Some(_) => None,
            // SAFETY: it has not failed.
            None => Some(unsafe { value.assume_init_ref() }),
        })
    }

    /// The items that have none, by their index.
    pub fn failures(&self) -> impl ExactSizeIterator<Item = (usize, &ItemError<E>)> {
        self.failed.iter().map(|(index, error)| (*index, error))
    }

    /// For batch functions: how many items a call was given, the ends of the input aside. With an automatic size a good value for
    /// [`Batch::of`](crate::Batch::of). 0 for other maps.
    pub fn batch_size(&self) -> u64 {
        // SAFETY: the result is there.
        unsafe { sys::pa_result_batch_size(self.receipts.0) }
    }

    /// All values, or what is missing: truncation is told before failures.
    ///
    /// # Errors
    /// If the run ended early, or an item failed.
    pub fn into_result(mut self) -> Result<Vec<R>, MapError<E>> {
        if !self.is_ok() {
            return Err(MapError { end: self.end(), count: self.len(), failures: self.take_failed() });
        }
        let mut values = std::mem::ManuallyDrop::new(std::mem::take(&mut self.values));
        // SAFETY: none has failed, so all are written; MaybeUninit<R> has the layout of R.
        Ok(unsafe { Vec::from_raw_parts(values.as_mut_ptr().cast::<R>(), values.len(), values.capacity()) })
    }

    /// Drops the values, which `failed` is needed for.
    fn take_failed(&mut self) -> Vec<(usize, ItemError<E>)> {
        self.drop_values();
        std::mem::take(&mut self.failed)
    }

    fn drop_values(&mut self) {
        let values = std::mem::take(&mut self.values);
        if !needs_drop::<R>() {
            return;
        }
        let mut failed = self.failed.iter().map(|(index, _)| *index).peekable();
        for (index, mut value) in values.into_iter().enumerate() {
            if failed.next_if_eq(&index).is_none() {
                // SAFETY: it has not failed.
                unsafe { value.assume_init_drop() };
            }
        }
    }
}

impl<R, E> Drop for Outcomes<R, E> {
    fn drop(&mut self) {
        self.drop_values();
    }
}

impl<R: fmt::Debug, E: fmt::Debug> fmt::Debug for Outcomes<R, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

/// Iterates over outcomes. See [`Outcomes::iter`].
pub struct Iter<'a, R, E> {
    outcomes: &'a Outcomes<R, E>,
    at: usize,
}

impl<'a, R, E> Iterator for Iter<'a, R, E> {
    type Item = Outcome<&'a R, &'a E>;

    fn next(&mut self) -> Option<Self::Item> {
        let outcome = self.outcomes.get(self.at)?;
        self.at += 1;
        Some(outcome)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.outcomes.len() - self.at;
        (left, Some(left))
    }
}

impl<R, E> ExactSizeIterator for Iter<'_, R, E> {}
impl<R, E> FusedIterator for Iter<'_, R, E> {}

impl<'a, R, E> IntoIterator for &'a Outcomes<R, E> {
    type Item = Outcome<&'a R, &'a E>;
    type IntoIter = Iter<'a, R, E>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Iterates over outcomes that it owns. See [`Outcomes`].
pub struct IntoIter<R, E> {
    // Dropped after what is left of the values was: it says which are there.
    rest: std::iter::Enumerate<std::vec::IntoIter<MaybeUninit<R>>>,
    failed: std::iter::Peekable<std::vec::IntoIter<(usize, ItemError<E>)>>,
    receipts: Outcomes<R, E>,
}

impl<R, E> IntoIterator for Outcomes<R, E> {
    type Item = Outcome<R, E>;
    type IntoIter = IntoIter<R, E>;

    fn into_iter(mut self) -> Self::IntoIter {
        let rest = std::mem::take(&mut self.values).into_iter().enumerate();
        let failed = std::mem::take(&mut self.failed).into_iter().peekable();
        IntoIter { rest, failed, receipts: self }
    }
}

impl<R, E> IntoIter<R, E> {
    fn next_result(&mut self) -> Option<(usize, Result<R, ItemError<E>>)> {
        let (index, value) = self.rest.next()?;
        let result = match self.failed.next_if(|(failed, _)| *failed == index) {
            Some((_, error)) => Err(error),
            // SAFETY: it has not failed, and each is read once.
            None => Ok(unsafe { value.assume_init() }),
        };
        Some((index, result))
    }
}

impl<R, E> Iterator for IntoIter<R, E> {
    type Item = Outcome<R, E>;

    fn next(&mut self) -> Option<Self::Item> {
        let (index, result) = self.next_result()?;
        // SAFETY: libpa has filled it, and the result is still there.
        Some(unsafe { Outcome::from_raw(&self.receipts.receipts.at(index), result) })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.rest.size_hint()
    }
}

impl<R, E> ExactSizeIterator for IntoIter<R, E> {}
impl<R, E> FusedIterator for IntoIter<R, E> {}

impl<R, E> Drop for IntoIter<R, E> {
    fn drop(&mut self) {
        while self.next_result().is_some() {}
    }
}

/// Why [`Outcomes::into_result`] has no values to give: the run ended early, or items failed.
#[derive(Debug)]
#[non_exhaustive]
pub struct MapError<E> {
    /// Why the run ended.
    pub end: End,
    /// How many items there were.
    pub count: usize,
    /// Those that have no value, by index: what failed, and what was not done.
    pub failures: Vec<(usize, ItemError<E>)>,
}

impl<E> MapError<E> {
    /// The first item that failed; if none did, the first that was not done.
    pub fn first(&self) -> Option<&(usize, ItemError<E>)> {
        self.failures.iter().find(|(_, error)| error.error().is_some() || error.panic().is_some()).or(self.failures.first())
    }
}

impl<E: fmt::Display> fmt::Display for MapError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.end != End::Completed {
            let not_done =
                self.failures.iter().filter(|(_, error)| !matches!(error.state(), State::Failed | State::Crashed)).count();
            write!(f, "{}: {not_done} of {} items were not done", self.end, self.count)?;
            let failed = self.failures.len() - not_done;
            if failed == 0 {
                return Ok(());
            }
            write!(f, ", {failed} failed")?;
        } else {
            write!(f, "{} of {} items failed", self.failures.len(), self.count)?;
        }
        self.first().map_or(Ok(()), |(index, error)| write!(f, "; the first, index {index}: {error}"))
    }
}

impl<E: StdError + 'static> StdError for MapError<E> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.first().and_then(|(_, error)| error.error()).map(|error| error as _)
    }
}
