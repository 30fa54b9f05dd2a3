use std::time::Duration;

use libpa_sys as sys;

use crate::error::Error;
use crate::limiter::{Limiter, Rate};
use crate::process::{Process, RawProcess};
use crate::stop::StopToken;
use crate::time::nanoseconds;

/// Whether and when failed attempts are repeated. An item that waits for its next attempt occupies no worker.
///
/// [`Options::retry_if`] decides by the error which failures are worth it, and [`Options::retry_after`] how long a server asked to
/// wait.
#[derive(Clone, Debug, PartialEq)]
pub struct Retry {
    attempts: u32,
    backoff: Option<Duration>,
    max_delay: Option<Duration>,
    jitter: Option<bool>,
    max_server_wait: Option<Option<Duration>>,
    panics: bool,
}

impl Retry {
    /// So many tries in all, the first included; at least 1.
    pub fn attempts(attempts: u32) -> Self {
        Self { attempts, backoff: None, max_delay: None, jitter: None, max_server_wait: None, panics: false }
    }

    /// The delay before the second attempt; it doubles each time. By default a second.
    #[must_use]
    pub fn backoff(self, delay: Duration) -> Self {
        Self { backoff: Some(delay), ..self }
    }

    /// The cap of the delay, before jitter. By default a minute.
    #[must_use]
    pub fn max_delay(self, delay: Duration) -> Self {
        Self { max_delay: Some(delay), ..self }
    }

    /// Whether each delay is multiplied by a random factor of 0.5 to 1.5. By default it is.
    #[must_use]
    pub fn jitter(self, jitter: bool) -> Self {
        Self { jitter: Some(jitter), ..self }
    }

    /// The cap of what a server may ask for; `None`: no cap. By default ten minutes.
    #[must_use]
    pub fn max_server_wait(self, wait: Option<Duration>) -> Self {
        Self { max_server_wait: Some(wait), ..self }
    }

    /// Whether an attempt that panicked is repeated as well. By default it is not: a panic is a defect, and seldom goes away.
    #[must_use]
    pub fn panics(self, panics: bool) -> Self {
        Self { panics, ..self }
    }

    fn fill(&self, raw: &mut sys::pa_retry) {
        raw.attempts = self.attempts;
        set(&mut raw.backoff_ns, self.backoff.map(nanoseconds));
        set(&mut raw.max_delay_ns, self.max_delay.map(nanoseconds));
        set(&mut raw.jitter, self.jitter.map(u32::from));
        set(&mut raw.max_server_wait_ns, self.max_server_wait.map(|wait| wait.map_or(-1, nanoseconds)));
    }
}

/// How many items one call of a batch function gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    max_items: u64,
    linger: Duration,
}

impl Batch {
    /// So many items for each call but the last, at most 1,048,576. 0: libpa finds a size that pays.
    pub fn of(max_items: u64) -> Self {
        Self { max_items, linger: Duration::ZERO }
    }

    /// With a source that delivers slowly: how long the first item of a batch waits for others to fill it. By default a call gets
    /// what is there.
    #[must_use]
    pub fn linger(self, linger: Duration) -> Self {
        Self { linger, ..self }
    }
}

/// How to run. What is not set has its default.
///
/// It can be kept, cloned and used again. What belongs to one run, because it is a closure, is set last: from
/// [`on_progress`](Options::on_progress) and the like on it is a [`Run`](crate::Run), which has the same functions.
///
/// Options are checked by the call that uses them, before any work starts: an [`Error`] of the kind
/// [`Invalid`](crate::ErrorKind::Invalid) names the option, what would be right, and the value.
///
/// ```
/// use libpa::{Options, Rate, Retry};
///
/// let polite = Options::new().workers(8).rate(Rate::per_second(10_000.0).burst(100)).retry(Retry::attempts(3));
/// let lengths = polite.map(&["a", "bc"], |text, _call| Ok::<_, std::io::Error>(text.len()))?.into_result()?;
/// assert_eq!(lengths, [1, 2]);
/// # Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Options {
    inline: bool,
    workers: Option<u32>,
    window: Option<u64>,
    batch_size: Option<u64>,
    batch: Option<Batch>,
    limiter: Option<Limiter>,
    rate: Option<Rate>,
    rate_cost: Option<u64>,
    retry: Option<Retry>,
    timeout: Option<Duration>,
    item_timeout: Option<Duration>,
    max_errors: Option<u64>,
    stop: Option<StopToken>,
    ordered: bool,
    detach: bool,
    process: Option<Process>,
}

impl Options {
    /// All defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Calls at a time, at most 65,535. By default, and with 0, the CPUs that this process may use.
    #[must_use]
    pub fn workers(self, workers: u32) -> Self {
        Self { workers: Some(workers), ..self }
    }

    /// Runs everything on the calling thread, one by one, in input order: for debugging and sequential programs.
    #[must_use]
    pub fn inline(self) -> Self {
        Self { inline: true, ..self }
    }

    /// Inputs admitted but not done, at most; of a stream, not yet handed out. By default, and with 0: for slices no bound, for
    /// iterators a little more than the workers need, for streams what each worker does in about 5 ms.
    #[must_use]
    pub fn window(self, window: u64) -> Self {
        Self { window: Some(window), ..self }
    }

    /// Admits inputs in chunks of so many, each finished before the next is admitted. By default, and with 0, it does not.
    /// (How many items a call of a batch function gets is [`batch`](Options::batch).)
    #[must_use]
    pub fn batch_size(self, batch_size: u64) -> Self {
        Self { batch_size: Some(batch_size), ..self }
    }

    /// For batch functions: how many items a call gets. By default libpa finds a size that pays.
    #[must_use]
    pub fn batch(self, batch: Batch) -> Self {
        Self { batch: Some(batch), ..self }
    }

    /// A limiter to share with other runs.
    #[must_use]
    pub fn limiter(self, limiter: &Limiter) -> Self {
        Self { limiter: Some(limiter.clone()), ..self }
    }

    /// A limiter of this run's own; not together with [`limiter`](Options::limiter).
    #[must_use]
    pub fn rate(self, rate: Rate) -> Self {
        Self { rate: Some(rate), ..self }
    }

    /// Tokens that an attempt takes; 1 to the burst. A batch function takes them once for each call. By default 1.
    #[must_use]
    pub fn rate_cost(self, tokens: u64) -> Self {
        Self { rate_cost: Some(tokens), ..self }
    }

    /// Whether and when failed attempts are repeated. By default they are not.
    #[must_use]
    pub fn retry(self, retry: Retry) -> Self {
        Self { retry: Some(retry), ..self }
    }

    /// For the whole run, from the call on; with 0 nothing runs. By default none.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
    }

    /// For each attempt, above 0: when it has passed, [`Call::stopped`](crate::Call::stopped) turns true, and the attempt counts as
    /// timed out whatever it returns. The call is not interrupted. By default none.
    #[must_use]
    pub fn item_timeout(self, timeout: Duration) -> Self {
        Self { item_timeout: Some(timeout), ..self }
    }

    /// Ends the run when so many items have failed for good; 1 is fail-fast. By default, and with 0, it goes on.
    #[must_use]
    pub fn max_errors(self, errors: u64) -> Self {
        Self { max_errors: Some(errors), ..self }
    }

    /// Ends the run when the token is requested.
    #[must_use]
    pub fn stop(self, token: &StopToken) -> Self {
        Self { stop: Some(token.clone()), ..self }
    }

    /// Streams: whether outcomes come in the order of the inputs. By default they come as items finish.
    #[must_use]
    pub fn ordered(self, ordered: bool) -> Self {
        Self { ordered, ..self }
    }

    /// Whether an early end (a timeout, a stop, the drop of a stream) returns at once, while calls are still running. Those count as
    /// not done, and what they own is dropped when they return. By default they are waited for, and keep their real outcome.
    ///
    /// For [`map_owned`](Options::map_owned) and streams. What works on borrowed data refuses it, since a call could outlive that.
    #[must_use]
    pub fn detach(self, detach: bool) -> Self {
        Self { detach, ..self }
    }

    /// How to run worker processes: for [`map_task`](Options::map_task) and the like, and for these only.
    #[must_use]
    pub fn process(self, process: Process) -> Self {
        Self { process: Some(process), ..self }
    }

    pub(crate) fn has_worker_command(&self) -> bool {
        self.process.as_ref().is_some_and(Process::has_command)
    }

    pub(crate) fn detaches(&self) -> bool {
        self.detach
    }

    pub(crate) fn is_inline(&self) -> bool {
        self.inline
    }

    pub(crate) fn retries(&self) -> bool {
        self.retry.as_ref().is_some_and(|retry| retry.attempts > 1)
    }

    pub(crate) fn retries_panics(&self) -> bool {
        self.retry.as_ref().is_some_and(|retry| retry.panics)
    }

    /// Whether what holds is decided between one item and the next: if not, a worker may run ranges of them.
    pub(crate) fn treats_items_alone(&self) -> bool {
        let paced = self.limiter.is_some() || self.rate.is_some();
        let ends_early = self.timeout.is_some() || self.stop.is_some() || self.max_errors.is_some();
        self.retry.is_some() || paced || self.item_timeout.is_some() || ends_early
    }

    /// Those of libpa, and what they point to besides what is in `self`.
    pub(crate) fn to_raw(&self) -> Result<(sys::pa_options, Option<Box<RawProcess>>), Error> {
        // SAFETY: all of it is integers, pointers and optional functions; pa_options_init writes it.
        let mut raw = unsafe {
            let mut raw: sys::pa_options = std::mem::zeroed();
            sys::pa_options_init(&raw mut raw, size_of::<sys::pa_options>());
            raw
        };
        if self.inline {
            raw.executor = sys::PA_EXECUTOR_INLINE;
        }
        set(&mut raw.workers, self.workers);
        set(&mut raw.window, self.window);
        set(&mut raw.batch_size, self.batch_size);
        if let Some(batch) = self.batch {
            raw.batch.max_items = batch.max_items;
            raw.batch.linger_ns = nanoseconds(batch.linger);
        }
        if let Some(limiter) = &self.limiter {
            raw.limiter = limiter.raw();
        }
        if let Some(rate) = self.rate {
            rate.check_count()?;
            raw.rate = rate.to_raw();
        }
        set(&mut raw.rate_cost, self.rate_cost);
        if let Some(retry) = &self.retry {
            retry.fill(&mut raw.retry);
        }
        set(&mut raw.timeout_ns, self.timeout.map(nanoseconds));
        set(&mut raw.item_timeout_ns, self.item_timeout.map(nanoseconds));
        set(&mut raw.max_errors, self.max_errors);
        if let Some(stop) = &self.stop {
            raw.stop = stop.raw();
        }
        raw.ordered = self.ordered.into();
        raw.detach = self.detach.into();
        let process = self.process.as_ref().map(Process::to_raw).transpose()?;
        if let Some(process) = &process {
            raw.process = &raw const process.raw;
        }
        Ok((raw, process))
    }
}

fn set<V>(field: &mut V, value: Option<V>) {
    if let Some(value) = value {
        *field = value;
    }
}
