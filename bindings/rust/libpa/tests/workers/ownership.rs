//! Every item and value is dropped once, in the program and in the worker, whatever becomes of it.

use std::time::Duration;

use libpa::{Batch, ErrorKind, Options, Process, Retry, StopToken};
use libtest_mimic::Trial;

use crate::tasks::{Counted, alive, tasks, texts, two};

pub fn trials() -> Vec<Trial> {
    trials![items_and_values_are_dropped_once_in_the_program, items_and_values_are_dropped_once_in_the_worker,]
}

/// Among 30 some that a codec refuses at each step, that fail, panic, succeed at the second attempt, and crash.
fn items(count: u64) -> impl Iterator<Item = Counted> {
    (0..count).map(|i| Counted::new(i % 30))
}

/// The same, but for those that crash.
fn harmless(count: u64) -> impl Iterator<Item = Counted> {
    (0..count).map(|i| Counted::new(i % 24))
}

fn every_way(options: &Options, count: u64) {
    let lent: Vec<_> = items(count).collect();
    for task in [&tasks().counted, &tasks().count_all] {
        let outcomes = options.map_task(&lent, task).unwrap();
        drop(outcomes.into_iter().take(count as usize / 2));
        assert_eq!(alive(), count as i64);
    }
    drop(lent);
    for task in [&tasks().counted, &tasks().count_all] {
        assert!(options.map_task_iter(items(count), task).unwrap().into_result().is_err());
        assert_eq!(alive(), 0);
        assert_eq!(options.stream_task(items(count), task).unwrap().count(), count as usize);
        assert_eq!(alive(), 0);
        let mut dropped = options.stream_task(items(count), task).unwrap();
        assert!(dropped.nth(count as usize / 3).is_some());
        drop(dropped);
        assert_eq!(alive(), 0);
    }
}

fn items_and_values_are_dropped_once_in_the_program() {
    assert_eq!(alive(), 0);
    let retry = Retry::attempts(2).backoff(Duration::ZERO);
    let batches = two().batch(Batch::of(7));
    every_way(&batches, 200);
    every_way(&batches.clone().retry(retry.clone()), 200);
    every_way(&batches.ordered(true).item_timeout(Duration::from_secs(600)), 100);

    for at in [0, 5, 60] {
        let stop = StopToken::new().unwrap();
        let run = two().stop(&stop).retry(retry.clone()).on_result(|outcome| {
            if outcome.index >= at {
                stop.request();
            }
        });
        drop(run.map_task_iter(items(1000), &tasks().counted).unwrap());
        assert_eq!(alive(), 0);
    }
    drop(two().max_errors(3).map_task_iter(items(1000), &tasks().counted).unwrap());
    assert_eq!(alive(), 0);
    let storm = two().process(Process::new().max_crashes(2)).map_task_iter((0..100).map(|_| Counted::new(24)), &tasks().counted);
    assert_eq!(storm.unwrap_err().kind(), ErrorKind::WorkersLost);
    assert_eq!(alive(), 0);
    let mut detached = two().detach(true).stream_task(items(1000), &tasks().counted).unwrap();
    assert!(detached.nth(3).is_some());
    drop(detached);
    assert!(libpa::drain(None).unwrap());
    assert_eq!(alive(), 0);
}

fn items_and_values_are_dropped_once_in_the_worker() {
    let libraries = std::env::var("LD_LIBRARY_PATH").unwrap_or_default();
    let process = Process::new().environment([("PA_TEST", "owner"), ("LD_LIBRARY_PATH", &libraries)]);
    let options = Options::new().workers(1).process(process);
    let pid = || options.map_task(&texts(["pid"]), &tasks().obey).unwrap().into_result().unwrap();
    let before = pid();
    for task in [&tasks().counted, &tasks().count_all] {
        let items: Vec<_> = harmless(5000).collect(); // with an iterator a second worker may come
        drop(options.clone().batch(Batch::of(7)).map_task(&items, task).unwrap());
        let alive = options.map_task(&[()], &tasks().alive).unwrap().into_result().unwrap();
        assert_eq!(alive, [0]);
    }
    assert_eq!(pid(), before); // it is the worker that ran them
}
