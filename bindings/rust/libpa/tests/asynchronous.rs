//! Asynchronous streams (feature `futures`).
#![cfg(feature = "futures")]

mod common;

use std::convert::Infallible;
use std::fs;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use common::{Alive, Gate};
use futures::executor::block_on;
use futures::future::join_all;
use futures::{Stream, StreamExt};
use libpa::{ErrorKind, Options, fallible};

#[test]
fn all_outcomes_come_and_then_the_end() {
    let stream = Options::new().ordered(true).stream_async(0..100_000_u64, |x, _| Ok::<_, Infallible>(x * x)).unwrap();
    let values: Vec<u64> = block_on(stream.map(|outcome| outcome.unwrap().result.unwrap()).collect());
    assert!(values.iter().enumerate().all(|(x, value)| *value == (x * x) as u64));
    assert_eq!(values.len(), 100_000);
}

#[test]
fn many_streams_share_one_task_and_one_thread() {
    let sums = join_all((0..20_u64).map(|n| {
        let stream = Options::new().workers(2).stream_async(0..1000, move |x, _| Ok::<_, Infallible>(x * n)).unwrap();
        stream.fold(0, |sum, outcome| async move { sum + outcome.unwrap().result.unwrap() })
    }));
    assert_eq!(block_on(sums), (0..20).map(|n| 499_500 * n).collect::<Vec<_>>());
}

#[test]
fn an_error_comes_after_what_was_done() {
    let rows = (0..3).map(Ok).chain([Err("gone")]);
    let stream = Options::new().stream_async(fallible(rows), |x, _| Ok::<i32, Infallible>(*x)).unwrap();
    let outcomes: Vec<_> = block_on(stream.collect());
    assert_eq!(outcomes.len(), 4);
    assert_eq!(outcomes[3].as_ref().unwrap_err().kind(), ErrorKind::Source);
}

struct Woken {
    flag: AtomicBool,
    gate: Gate,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.flag.store(true, SeqCst);
        self.gate.open();
    }
}

#[test]
fn polling_never_blocks_and_the_task_is_woken_when_something_comes() {
    let gate = Gate::default();
    let opens = gate.clone();
    let stream = Options::new().stream_async(0..1, move |x, _| {
        gate.wait();
        Ok::<_, Infallible>(*x)
    });
    let mut stream = pin!(stream.unwrap());
    let woken = Arc::new(Woken { flag: AtomicBool::new(false), gate: Gate::default() });
    let waker = Waker::from(woken.clone());
    let mut context = Context::from_waker(&waker);
    assert!(stream.as_mut().poll_next(&mut context).is_pending());
    assert!(!woken.flag.load(SeqCst));
    opens.open();
    woken.gate.wait();
    while stream.as_mut().poll_next(&mut context).is_pending() {
        std::thread::yield_now(); // to be woken for nothing is allowed
    }
}

#[test]
fn dropping_never_blocks_and_what_it_owns_goes_when_the_last_call_is_over() {
    let (alive, started, gate) = (Alive::default(), Gate::default(), Gate::default());
    let (starts, waits, owned) = (started.clone(), gate.clone(), alive.one());
    let stream = Options::new().workers(1).stream_async(0..100, move |_, _| {
        starts.open();
        waits.wait();
        Ok::<_, Infallible>(owned.clone())
    });
    let stream = stream.unwrap();
    started.wait();
    drop(stream); // the call still waits
    gate.open();
    assert!(libpa::drain(Some(Duration::from_secs(600))).unwrap());
    assert_eq!(alive.count(), 0);
}

#[test]
fn a_stream_that_is_closed_while_it_is_waited_for_leaves_nothing() {
    let descriptors = || fs::read_dir("/proc/self/fd").unwrap().count();
    for _ in 0..200 {
        let gate = Gate::default();
        let opens = gate.clone();
        let stream = Options::new().stream_async(0..1, move |x, _| {
            gate.wait();
            Ok::<_, Infallible>(*x)
        });
        let mut stream = pin!(stream.unwrap());
        assert!(stream.as_mut().poll_next(&mut Context::from_waker(Waker::noop())).is_pending());
        opens.open();
    }
    assert!(descriptors() < 200, "each stream would leave one");
}

#[test]
fn batches_are_streamed_too() {
    let stream = Options::new()
        .ordered(true)
        .stream_batch_async(0..100, |items, _| Ok::<_, ()>(items.iter().map(|x| Ok(**x + 1)).collect()));
    let values: Vec<i32> = block_on(stream.unwrap().map(|outcome| outcome.unwrap().result.unwrap()).collect());
    assert_eq!(values, (1..=100).collect::<Vec<_>>());
}

#[test]
fn what_would_block_is_refused() {
    let refused = Options::new().inline().stream_async(0..1, |x, _| Ok::<i32, Infallible>(*x));
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid);
}
