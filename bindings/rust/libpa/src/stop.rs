use std::fmt;

use libpa_sys as sys;

use crate::error::{self, Error};

/// A latch that ends runs: once requested it stays so.
///
/// Any number of runs may share it, and clones are the same token. A run that is started with a requested token runs nothing.
///
/// ```
/// use libpa::{End, Options, StopToken};
///
/// let stop = StopToken::new()?;
/// stop.request();
/// let outcomes = Options::new().stop(&stop).map(&[1, 2, 3], |x, _| Ok::<_, ()>(x + 1))?;
/// assert_eq!(outcomes.end(), End::Cancelled);
/// # Ok::<_, libpa::Error>(())
/// ```
pub struct StopToken {
    raw: *mut sys::pa_stop,
}

// SAFETY: libpa allows all calls on a token from any thread.
unsafe impl Send for StopToken {}
// SAFETY: as above.
unsafe impl Sync for StopToken {}

impl StopToken {
    /// Makes a token that was not requested.
    ///
    /// # Errors
    /// [`NoMemory`](crate::ErrorKind::NoMemory).
    pub fn new() -> Result<Self, Error> {
        let mut raw = std::ptr::null_mut();
        let mut error = error::blank();
        // SAFETY: both pointers are valid.
        let status = unsafe { sys::pa_stop_new(&raw mut raw, &raw mut error) };
        error::check(status, &error)?;
        Ok(Self { raw })
    }

    /// Ends every run that uses this token: nothing new starts, calls in progress see [`Call::stopped`](crate::Call::stopped).
    ///
    /// Safe in a signal handler, as is [`is_requested`](StopToken::is_requested).
    pub fn request(&self) {
        // SAFETY: self is an owner of the token, here and below.
        unsafe { sys::pa_stop_request(self.raw) }
    }

    /// Whether [`request`](StopToken::request) was called.
    pub fn is_requested(&self) -> bool {
        // SAFETY: see `request`.
        unsafe { sys::pa_stop_requested(self.raw) != 0 }
    }

    pub(crate) fn raw(&self) -> *mut sys::pa_stop {
        self.raw
    }
}

impl Clone for StopToken {
    fn clone(&self) -> Self {
        // SAFETY: see `request`.
        unsafe { sys::pa_stop_retain(self.raw) };
        Self { raw: self.raw }
    }
}

impl Drop for StopToken {
    fn drop(&mut self) {
        // SAFETY: it is not used after this.
        unsafe { sys::pa_stop_release(self.raw) }
    }
}

impl fmt::Debug for StopToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StopToken").field("requested", &self.is_requested()).finish()
    }
}
