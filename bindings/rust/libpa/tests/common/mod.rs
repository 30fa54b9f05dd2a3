//! What several tests need.
#![allow(dead_code)]

use std::sync::atomic::{AtomicI64, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use libpa::Call;

/// Counts what is alive: made, and not yet dropped.
#[derive(Clone, Default)]
pub struct Alive(Arc<AtomicI64>);

impl Alive {
    pub fn one(&self) -> Counted {
        self.0.fetch_add(1, SeqCst);
        Counted(self.0.clone())
    }

    pub fn count(&self) -> i64 {
        self.0.load(SeqCst)
    }
}

/// Dropped twice, the count would go below 0; never, it would stay above.
#[derive(Debug)]
pub struct Counted(Arc<AtomicI64>);

impl Clone for Counted {
    fn clone(&self) -> Self {
        self.0.fetch_add(1, SeqCst);
        Self(self.0.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

/// Something that threads wait for.
#[derive(Clone, Default)]
pub struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    pub fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    pub fn wait(&self) {
        let mut open = self.0.0.lock().unwrap();
        while !*open {
            open = self.0.1.wait(open).unwrap();
        }
    }
}

/// Until the run or the attempt is over; there is nothing but to ask again.
pub fn wait_until_stopped(call: &Call) {
    while !call.stopped() {
        std::thread::sleep(Duration::from_micros(50));
    }
}

/// So that panics that are meant to be caught do not fill the output of the tests. What an assertion has to say is still told.
pub fn hush() {
    std::panic::set_hook(Box::new(|panic| {
        let text = panic.to_string();
        if text.contains("assertion") || text.contains("called `") {
            eprintln!("{text}");
        }
    }));
}
