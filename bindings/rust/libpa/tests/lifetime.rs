//! Exactly once: every item, value and error is dropped once, however a run goes, and nothing is left of it.
//!
//! One test function, because it counts the threads and descriptors of the process.

mod common;

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use common::{Alive, Counted, hush};
use libpa::{Batch, Options, Retry, StopToken};

/// Succeeds, fails, panics, or fails once.
fn mixed(alive: &Alive, index: usize, attempt: u32) -> Result<Counted, Counted> {
    match index % 1000 {
        1 | 2 => Err(alive.one()),
        3 => panic!("item {index}"),
        4 | 5 if attempt == 1 => Err(alive.one()),
        _ => Ok(alive.one()),
    }
}

fn retry() -> Retry {
    Retry::attempts(2).backoff(Duration::ZERO)
}

fn maps(alive: &Alive, count: usize) {
    let items: Vec<Counted> = (0..count).map(|_| alive.one()).collect();
    for options in [Options::new(), Options::new().retry(retry()), Options::new().inline(), Options::new().max_errors(5)] {
        let outcomes = options.workers(3).map(&items, |_, call| mixed(alive, call.index(), call.attempt())).unwrap();
        assert_eq!(outcomes.len(), count);
        drop(outcomes.into_iter().take(count / 2));
        assert_eq!(alive.count(), count as i64);
    }
    drop(items);
    let source = (0..count).map(|_| alive.one());
    let outcomes = Options::new().retry(retry()).map_iter(source, |_, call| mixed(alive, call.index(), call.attempt()));
    assert!(outcomes.unwrap().into_result().is_err());
    assert_eq!(alive.count(), 0);
}

fn stopped_maps(alive: &Alive, count: usize) {
    for at in [0, 1, count / 2] {
        let stop = StopToken::new().unwrap();
        let source = (0..count).map(|_| alive.one());
        let outcomes = Options::new().stop(&stop).retry(retry()).map_iter(source, |_, call| {
            if call.index() == at {
                stop.request();
            }
            mixed(alive, call.index(), call.attempt())
        });
        drop(outcomes.unwrap());
        assert_eq!(alive.count(), 0);
    }
}

fn batches(alive: &Alive, count: usize) {
    let source = (0..count).map(|_| alive.one());
    let outcomes = Options::new().batch(Batch::of(50)).retry(retry()).map_batch_iter(source, |items, call| {
        let answers = items.len() - usize::from(call.index() == 100);
        Ok((0..answers).map(|at| mixed(alive, (call.index() + at) / 4 * 4, call.attempt())).collect())
    });
    drop(outcomes.unwrap());
    assert_eq!(alive.count(), 0);
}

fn streams(alive: &Alive, count: usize) {
    for read in [0, 1, count / 3, count] {
        for ordered in [false, true] {
            let (makes, owned) = (alive.clone(), alive.one());
            let source = (0..count).map(move |_| owned.clone());
            let stream = Options::new()
                .workers(3)
                .ordered(ordered)
                .retry(retry())
                .stream(source, move |_, call| mixed(&makes, call.index(), call.attempt()));
            let seen = stream.unwrap().take(read).filter(Result::is_ok).count();
            assert_eq!(seen, read);
            assert_eq!(alive.count(), 0);
        }
    }
}

/// Callbacks that fail, keys that fail, sources that fail.
fn broken_runs(alive: &Alive, count: usize) {
    let source = || (0..count).map(|_| alive.one());
    let run = |_: &Counted, call: &libpa::Call| mixed(alive, call.index(), call.attempt());
    let broken = AtomicUsize::new(0);
    let failing = |done: u64, _: u64| if done == 77 { Err("enough") } else { Ok(()) };
    broken.fetch_add(Options::new().on_progress(failing).map_iter(source(), run).is_err().into(), SeqCst);
    let mut left = count / 2;
    let name = move |_: &Counted| {
        left -= 1;
        if left == 0 { Err("no name") } else { Ok(1) }
    };
    broken.fetch_add(Options::new().try_item_key(name).map_iter(source(), run).is_err().into(), SeqCst);
    let rows = source().map(Ok).chain([Err("no more")]);
    broken.fetch_add(Options::new().map_iter(libpa::fallible(rows), run).is_err().into(), SeqCst);
    assert_eq!((broken.into_inner(), alive.count()), (3, 0));
}

/// Threads and descriptors.
fn what_is_open() -> (usize, usize) {
    (entries("/proc/self/task"), entries("/proc/self/fd"))
}

fn entries(directory: &str) -> usize {
    fs::read_dir(directory).unwrap().count()
}

#[test]
fn after_a_million_items_with_failures_panics_stops_and_early_drops_nothing_is_left() {
    hush();
    let alive = Alive::default();
    let all = |count| {
        maps(&alive, count);
        stopped_maps(&alive, count);
        batches(&alive, count);
        streams(&alive, count);
        broken_runs(&alive, count);
        assert!(libpa::drain(None).unwrap());
        what_is_open()
    };
    let after_few = all(1000);
    let mut after_many = all(60_000);
    // A thread that was joined may still be listed for a moment; one that was left would be for ever.
    let began = Instant::now();
    while after_many != after_few && began.elapsed() < Duration::from_secs(30) {
        std::thread::yield_now();
        after_many = what_is_open();
    }
    assert_eq!(after_many, after_few, "threads and descriptors");
    assert_eq!(alive.count(), 0);
}
