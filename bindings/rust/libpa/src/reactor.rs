//! Wakes tasks when a descriptor is readable: one thread for all streams of the program, which lives while there are any.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Waker;

/// A share in the thread. The last one that goes ends it, without waiting for it.
pub(crate) struct Reactor {
    core: Arc<Core>,
}

struct Core {
    /// Readable when the thread shall look at `state` again.
    event: OwnedFd,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// By the id of who waits. A descriptor that is ready is taken out.
    waiting: HashMap<u64, (RawFd, Waker)>,
    over: bool,
}

static SHARED: Mutex<Weak<Reactor>> = Mutex::new(Weak::new());
static NEXT_ID: AtomicU64 = AtomicU64::new(0);

impl Reactor {
    /// The one of the program; starts it if need be.
    pub(crate) fn share() -> io::Result<Arc<Self>> {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reactor) = shared.upgrade() {
            return Ok(reactor);
        }
        // SAFETY: it has no preconditions.
        let event = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if event < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: it was just made, and is nobody else's.
        let event = unsafe { OwnedFd::from_raw_fd(event) };
        let core = Arc::new(Core { event, state: Mutex::default() });
        let reactor = Arc::new(Self { core: core.clone() });
        std::thread::Builder::new().name("libpa-reactor".into()).spawn(move || core.run())?;
        *shared = Arc::downgrade(&reactor);
        Ok(reactor)
    }

    /// A name for one who waits.
    pub(crate) fn new_id() -> u64 {
        NEXT_ID.fetch_add(1, Ordering::Relaxed)
    }

    /// Wakes the task once, when `descriptor` is readable. A waker that was given before under this id is forgotten.
    pub(crate) fn wake_when_readable(&self, id: u64, descriptor: RawFd, waker: &Waker) {
        let old = self.core.lock().waiting.insert(id, (descriptor, waker.clone()));
        drop(old); // not under the lock: a waker may do anything
        self.core.interrupt();
    }

    /// From now on the descriptor may be closed.
    pub(crate) fn forget(&self, id: u64) {
        let old = self.core.lock().waiting.remove(&id);
        drop(old);
    }
}

impl Drop for Reactor {
    fn drop(&mut self) {
        self.core.lock().over = true;
        self.core.interrupt();
    }
}

impl Core {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It can fail only by being readable already.
    fn interrupt(&self) {
        let one = 1_u64;
        // SAFETY: the descriptor is open, and eight bytes are there.
        unsafe { libc::write(self.event.as_raw_fd(), (&raw const one).cast(), 8) };
    }

    fn run(&self) {
        loop {
            let Some((ids, mut polled)) = self.what_to_poll() else { return };
            // SAFETY: so many are there. A descriptor that is closed meanwhile wakes nobody: its id has been forgotten.
            unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, -1) };
            let mut count = 0_u64;
            // SAFETY: the descriptor is open, and there is room for eight bytes. It fails if there is nothing to read.
            unsafe { libc::read(self.event.as_raw_fd(), (&raw mut count).cast(), 8) };
            let ready = ids.iter().zip(&polled[1..]).filter(|(_, polled)| polled.revents != 0).map(|(id, _)| *id);
            for waker in self.take(ready) {
                waker.wake();
            }
        }
    }

    fn what_to_poll(&self) -> Option<(Vec<u64>, Vec<libc::pollfd>)> {
        let state = self.lock();
        if state.over {
            return None;
        }
        let readable = |fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        let mut ids = Vec::with_capacity(state.waiting.len());
        let mut polled = vec![readable(self.event.as_raw_fd())];
        for (id, (descriptor, _)) in &state.waiting {
            ids.push(*id);
            polled.push(readable(*descriptor));
        }
        Some((ids, polled))
    }

    fn take(&self, ids: impl Iterator<Item = u64>) -> Vec<Waker> {
        let mut state = self.lock();
        ids.filter_map(|id| state.waiting.remove(&id)).map(|(_, waker)| waker).collect()
    }
}
