use std::ffi::CString;
use std::fmt;
use std::time::Duration;

use libpa_sys as sys;

use crate::error::{self, Error, ErrorKind};
use crate::time::nanoseconds;

/// How often: at most `count` calls in each `per`, spread evenly, of which up to `burst` may come at once after idling.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    count: f64,
    per: Duration,
    burst: u64,
}

impl Rate {
    /// `count` calls in each `per`, with a burst of 1. It is checked where it is used: `count` must be finite and above 0.
    pub fn new(count: f64, per: Duration) -> Self {
        Self { count, per, burst: 1 }
    }

    /// So many calls a second.
    pub fn per_second(count: f64) -> Self {
        Self::new(count, Duration::from_secs(1))
    }

    /// So many calls a minute.
    pub fn per_minute(count: f64) -> Self {
        Self::new(count, Duration::from_secs(60))
    }

    /// So many calls an hour.
    pub fn per_hour(count: f64) -> Self {
        Self::new(count, Duration::from_secs(3600))
    }

    /// So many calls may come at once after idling; a limiter begins with as many. At least 1.
    #[must_use]
    pub fn burst(self, burst: u64) -> Self {
        Self { burst, ..self }
    }

    pub(crate) fn to_raw(self) -> sys::pa_rate {
        sys::pa_rate { count: self.count, per_ns: nanoseconds(self.per), burst: self.burst }
    }

    /// For libpa's options a count of 0 is "no limit"; a rate that was given must be one.
    pub(crate) fn check_count(self) -> Result<(), Error> {
        if self.count == 0.0 {
            return Err(Error::new(ErrorKind::Invalid, "options.rate.count must be finite and > 0, got 0"));
        }
        Ok(())
    }
}

/// A token bucket that any number of runs and threads share. A token is taken just before a call starts, by every attempt.
///
/// Clones are the same limiter.
///
/// ```
/// use libpa::{Limiter, Options, Rate};
///
/// let quota = Limiter::new(Rate::per_second(1e6))?;
/// for items in [[1, 2], [3, 4]] {
///     Options::new().limiter(&quota).map(&items, |x, _| Ok::<_, ()>(x * 2))?;
/// }
/// assert!(quota.acquire_timeout(1, std::time::Duration::from_secs(1))?);
/// # Ok::<_, libpa::Error>(())
/// ```
pub struct Limiter {
    raw: *mut sys::pa_limiter,
}

// SAFETY: libpa allows all calls on a limiter from any thread.
unsafe impl Send for Limiter {}
// SAFETY: as above.
unsafe impl Sync for Limiter {}

/// What [`Limiter::try_acquire`] came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acquired {
    /// The tokens were taken.
    Now,
    /// Nothing was taken. It is worth another try after so long.
    NotYet(Duration),
}

impl Limiter {
    /// Makes a limiter with a full bucket.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) for a rate that is NaN, infinite, negative or 0, and for a `per` or burst of 0.
    pub fn new(rate: Rate) -> Result<Self, Error> {
        let mut raw = std::ptr::null_mut();
        let rate = rate.to_raw();
        call(|error| {
            // SAFETY: all pointers are valid.
            unsafe { sys::pa_limiter_new(&raw const rate, &raw mut raw, error) }
        })?;
        Ok(Self { raw })
    }

    /// Waits until so many tokens can be taken, and takes them: for calls that are not made through libpa but count against the
    /// same quota.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) for 0 tokens, or more than the burst.
    pub fn acquire(&self, tokens: u64) -> Result<(), Error> {
        self.acquire_ns(tokens, -1).map(|_| ())
    }

    /// As [`acquire`](Limiter::acquire), but false, at once, if the wait would be longer than `timeout`; nothing is taken then.
    ///
    /// # Errors
    /// As `acquire`.
    pub fn acquire_timeout(&self, tokens: u64, timeout: Duration) -> Result<bool, Error> {
        self.acquire_ns(tokens, nanoseconds(timeout))
    }

    fn acquire_ns(&self, tokens: u64, timeout_ns: i64) -> Result<bool, Error> {
        // SAFETY: self is an owner of the limiter, here and below.
        let status = call(|error| unsafe { sys::pa_limiter_acquire(self.raw, tokens, timeout_ns, error) })?;
        Ok(status == sys::PA_STATUS_OK)
    }

    /// Takes the tokens if they are there: for event loops.
    ///
    /// # Errors
    /// As [`acquire`](Limiter::acquire).
    pub fn try_acquire(&self, tokens: u64) -> Result<Acquired, Error> {
        let mut wait_ns = 0;
        // SAFETY: see `acquire_ns`.
        let status = call(|error| unsafe { sys::pa_limiter_try(self.raw, tokens, &raw mut wait_ns, error) })?;
        if status == sys::PA_STATUS_OK {
            return Ok(Acquired::Now);
        }
        Ok(Acquired::NotYet(Duration::from_nanos(wait_ns.max(0) as u64)))
    }

    /// Lets nothing through for `wait` from now. Of several pauses the one that ends last holds; after it calls resume at the set
    /// pace and not as a herd.
    ///
    /// # Errors
    /// [`Forked`](ErrorKind::Forked).
    pub fn pause(&self, wait: Duration) -> Result<(), Error> {
        // SAFETY: see `acquire_ns`.
        call(|error| unsafe { sys::pa_limiter_pause(self.raw, nanoseconds(wait), error) }).map(|_| ())
    }

    /// Changes the rate from now on; those who wait look again.
    ///
    /// # Errors
    /// As [`new`](Limiter::new).
    pub fn set_rate(&self, rate: Rate) -> Result<(), Error> {
        let rate = rate.to_raw();
        // SAFETY: see `acquire_ns`.
        call(|error| unsafe { sys::pa_limiter_set_rate(self.raw, &raw const rate, error) }).map(|_| ())
    }

    /// Corrects what calls have cost once it is known: above 0 charges more, below 0 gives back.
    ///
    /// # Errors
    /// [`Forked`](ErrorKind::Forked).
    pub fn settle(&self, tokens: i64) -> Result<(), Error> {
        // SAFETY: see `acquire_ns`.
        call(|error| unsafe { sys::pa_limiter_settle(self.raw, tokens, error) }).map(|_| ())
    }

    pub(crate) fn raw(&self) -> *mut sys::pa_limiter {
        self.raw
    }
}

fn call(function: impl FnOnce(*mut sys::pa_error) -> sys::pa_status) -> Result<sys::pa_status, Error> {
    let mut error = error::blank();
    let status = function(&raw mut error);
    error::check(status, &error).map(|()| status)
}

impl Clone for Limiter {
    fn clone(&self) -> Self {
        // SAFETY: see `acquire_ns`.
        unsafe { sys::pa_limiter_retain(self.raw) };
        Self { raw: self.raw }
    }
}

impl Drop for Limiter {
    fn drop(&mut self) {
        // SAFETY: it is not used after this.
        unsafe { sys::pa_limiter_release(self.raw) }
    }
}

impl fmt::Debug for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Limiter").field(&self.raw).finish()
    }
}

/// Reads the value of an HTTP Retry-After header (RFC 9110): a number of seconds, with a fraction if need be, or a date, which is
/// compared with the system's clock. A date in the past is 0; `None` for anything else.
///
/// ```
/// use std::time::Duration;
/// assert_eq!(libpa::parse_retry_after("1.5"), Some(Duration::from_millis(1500)));
/// assert_eq!(libpa::parse_retry_after("soon"), None);
/// ```
pub fn parse_retry_after(text: &str) -> Option<Duration> {
    let text = CString::new(text).ok()?;
    // SAFETY: the text is terminated.
    let wait_ns = unsafe { sys::pa_parse_retry_after(text.as_ptr(), -1) };
    u64::try_from(wait_ns).ok().map(Duration::from_nanos)
}
