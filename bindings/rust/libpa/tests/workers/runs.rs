//! What goes right.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use futures::StreamExt;
use libpa::{Batch, End, ErrorKind, Key, Options, Process, Retry, State, StopToken};
use libtest_mimic::Trial;

use crate::tasks::{Shape, tasks, texts, two};

pub fn trials() -> Vec<Trial> {
    trials![
        each_item_gets_its_value,
        of_nothing_there_is_nothing,
        codecs_are_chosen_for_each_task_for_items_and_for_values,
        items_of_zeroes_and_of_no_size_go_through_their_codec,
        large_items_and_values_come_and_go,
        an_iterator_is_pulled_and_may_fail,
        the_call_knows_index_attempt_and_time,
        a_batch_function_answers_for_each,
        a_stream_hands_out_each_outcome_once_in_any_order,
        a_stream_that_is_dropped_early_leaves_nothing,
        an_asynchronous_stream_goes_through_workers,
        progress_and_results_come_on_the_calling_thread,
        keys_name_outcomes,
        a_window_holds_for_workers_too,
        a_stop_reaches_the_calls_in_the_workers,
        a_timeout_is_told_and_max_errors_aborts,
        workers_outlive_the_run_and_end_with_drain,
        a_worker_is_replaced_after_max_items,
        directory_and_environment_are_those_that_were_given,
        a_command_names_the_workers,
        each_worker_is_started_and_stopped_once,
    ]
}

fn each_item_gets_its_value() {
    let items: Vec<u64> = (0..100_000).collect();
    let values = two().map_task(&items, &tasks().square).unwrap().into_result().unwrap();
    assert!(values.iter().zip(&items).all(|(value, item)| *value == item * item));
    assert_eq!(values.len(), items.len());
}

fn of_nothing_there_is_nothing() {
    assert!(two().map_task(&[], &tasks().square).unwrap().is_empty());
    assert!(two().map_task_iter([], &tasks().square).unwrap().is_ok());
    assert!(two().stream_task([], &tasks().square).unwrap().next().is_none());
}

fn codecs_are_chosen_for_each_task_for_items_and_for_values() {
    let dot = Shape { name: "\u{2022}\0".into(), corners: vec![], parent: None };
    let line = Shape { name: "line".into(), corners: vec![(0.1, 2.0), (-1e300, 3.5)], parent: Some(Box::new(dot.clone())) };
    let items = [dot, line];
    let grown = two().map_task(&items, &tasks().by_json).unwrap().into_result().unwrap();
    assert_eq!(grown[1].parent.as_deref(), Some(&items[1]));
    assert_eq!(grown[0].name, "\u{2022}\0 grown");
    let corners = two().map_task(&items, &tasks().by_both).unwrap().into_result().unwrap();
    assert_eq!(corners, [("\u{2022}\0".to_owned(), 0), ("line".to_owned(), 2)]);
}

/// libpa knows a null pointer as no item, and writes none.
fn items_of_zeroes_and_of_no_size_go_through_their_codec() {
    let items = [0, 1, 2, 0, 9];
    let halves = [0, 0, 1, 0, 4];
    assert_eq!(two().map_task(&items, &tasks().digits).unwrap().into_result().unwrap(), halves);
    assert_eq!(two().map_task_iter(items, &tasks().digits).unwrap().into_result().unwrap(), halves);
    assert_eq!(two().map_task(&[(); 3], &tasks().nothing).unwrap().into_result().unwrap(), [(); 3]);
    assert_eq!(two().map_task_iter([(); 3], &tasks().nothing).unwrap().into_result().unwrap(), [(); 3]);
    assert_eq!(
        two().stream_task([(); 3], &tasks().nothing).unwrap().filter(|outcome| outcome.as_ref().unwrap().is_ok()).count(),
        3
    );
}

fn large_items_and_values_come_and_go() {
    let long = format!("large 7 {}", "x".repeat(20_000_000));
    let items = texts(["large 30000000", &long, "say 3"]);
    let values = two().map_task(&items, &tasks().obey).unwrap().into_result().unwrap();
    assert_eq!(values.iter().map(String::len).collect::<Vec<_>>(), [30_000_000, 0, 6]);
}

fn an_iterator_is_pulled_and_may_fail() {
    let squares = two().map_task_iter((0_u64..5000).filter(|x| x % 2 == 0), &tasks().square).unwrap();
    assert_eq!(squares.len(), 2500);
    assert_eq!(squares.get(7).unwrap().result.unwrap(), &196);

    let mut salvaged = None;
    let lines = [Ok(1), Ok(2), Err("no more rows")];
    let run = two().salvage(&mut salvaged);
    let error = run.map_task_iter(libpa::fallible(lines), &tasks().square).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Source);
    assert_eq!(error.to_string(), "the source failed: no more rows");
    assert!(salvaged.unwrap().len() >= 2);
}

fn the_call_knows_index_attempt_and_time() {
    let items = texts(["fail-once", "call", "call"]);
    let run = two().retry(Retry::attempts(2).backoff(Duration::ZERO));
    let values = run.map_task(&items, &tasks().obey).unwrap().into_result().unwrap();
    assert_eq!(values, ["at last, attempt 2", "1 1 false", "2 1 false"]);
    let hurried = two().timeout(Duration::from_secs(600)).map_task(&items[1..], &tasks().obey).unwrap();
    assert_eq!(hurried.into_result().unwrap(), ["0 1 true", "1 1 true"]);
}

fn a_batch_function_answers_for_each() {
    let items = texts(["say 1", "fail 3", "say 2", "say 4"]);
    for outcomes in [
        two().batch(Batch::of(10)).map_task(&items, &tasks().obey_all).unwrap(),
        two().batch(Batch::of(2)).map_task_iter(items.clone(), &tasks().obey_all).unwrap(),
    ] {
        assert_eq!(outcomes.values().collect::<Vec<_>>(), ["said 1", "said 2", "said 4"]);
        let failed = outcomes.get(1).unwrap().result.unwrap_err();
        assert_eq!(failed.error().map(|error| (error.message(), error.code())), Some(("failed with 3", Some(3))));
    }
    let all = two().batch(Batch::of(10)).map_task(&texts(["say 1", "fail all"]), &tasks().obey_all).unwrap();
    assert_eq!(all.failures().filter(|(_, error)| error.to_string() == "all of them").count(), 2);
    let stream = two().ordered(true).batch(Batch::of(2)).stream_task(items, &tasks().obey_all).unwrap();
    let states: Vec<_> = stream.map(|outcome| outcome.unwrap().state()).collect();
    assert_eq!(states, [State::Ok, State::Failed, State::Ok, State::Ok]);
}

fn a_stream_hands_out_each_outcome_once_in_any_order() {
    for ordered in [true, false] {
        let mut seen = vec![0; 50_000];
        let stream = two().ordered(ordered).stream_task(0..50_000_u64, &tasks().square).unwrap();
        for (position, outcome) in stream.enumerate() {
            let outcome = outcome.unwrap();
            assert!(!ordered || outcome.index == position);
            seen[outcome.index] += 1;
            assert_eq!(outcome.result.unwrap(), (outcome.index * outcome.index) as u64);
        }
        assert!(seen.iter().all(|times| *times == 1));
    }
    let items = texts(["say 1", "abort", "fail 2", "say 3"]);
    let outcomes = two().ordered(true).stream_task(items, &tasks().obey).unwrap();
    let states: Vec<_> = outcomes.map(|outcome| outcome.unwrap().state()).collect();
    assert_eq!(states, [State::Ok, State::Crashed, State::Failed, State::Ok]);
}

fn a_stream_that_is_dropped_early_leaves_nothing() {
    let held = Arc::new(());
    for (ordered, detach) in [(true, false), (false, false), (false, true)] {
        let token = held.clone();
        let items = (0_u64..).inspect(move |_| assert!(Arc::strong_count(&token) > 1));
        let options = two().ordered(ordered).detach(detach).window(100);
        let mut stream = options.stream_task(items, &tasks().square).unwrap();
        for _ in 0..10 {
            assert!(stream.next().unwrap().unwrap().is_ok());
        }
        drop(stream);
    }
    assert!(libpa::drain(None).unwrap()); // waits for what was detached
    assert_eq!(Arc::strong_count(&held), 1);
}

fn an_asynchronous_stream_goes_through_workers() {
    let squares = two().ordered(true).stream_task_async(0..100_u64, &tasks().square).unwrap();
    let values: Vec<u64> = futures::executor::block_on(squares.map(|outcome| outcome.unwrap().result.unwrap()).collect());
    assert!(values.iter().zip(0..).all(|(value, x)| *value == x * x));
    assert_eq!(values.len(), 100);
}

fn progress_and_results_come_on_the_calling_thread() {
    let caller = std::thread::current().id();
    let (mut progress, mut results) = (Vec::new(), Vec::new());
    let outcomes = two()
        .on_progress(|done, total| {
            assert_eq!(std::thread::current().id(), caller);
            progress.push((done, total));
        })
        .on_result(|outcome| {
            let text = outcome.result.map_or_else(|error| error.to_string(), String::clone);
            results.push((outcome.index, text));
        })
        .map_task(&texts(["say 1", "fail 2", "panic 3"]), &tasks().obey);
    drop(outcomes.unwrap());
    assert_eq!(progress, [(1, 3), (2, 3), (3, 3)]);
    results.sort();
    let expected = ["said 1", "failed with 2", "panicked: panicked with 3"];
    assert!(results.iter().zip(expected).all(|((_, text), expected)| text == expected), "{results:?}");
}

fn keys_name_outcomes() {
    let name = |x: &u64| format!("number {x}");
    let key = |number: u64| Some(Key::Text(format!("number {number}")));
    let of_slice = two().item_key(name).map_task(&[3, 4], &tasks().square).unwrap();
    assert_eq!(of_slice.get(1).unwrap().key, key(4));
    let of_iterator = two().item_key(name).map_task_iter([5, 0], &tasks().square).unwrap();
    assert_eq!(of_iterator.get(1).unwrap().key, key(0));
    let mut stream = two().ordered(true).item_key(name).stream_task([6, 7], &tasks().square).unwrap();
    assert_eq!(stream.next().unwrap().unwrap().key, key(6));
}

fn a_window_holds_for_workers_too() {
    let pulled = Arc::new(AtomicU64::new(0));
    let counted = pulled.clone();
    let items = (0_u64..300).inspect(move |_| {
        counted.fetch_add(1, SeqCst);
    });
    let mut seen = 0;
    for outcome in two().window(7).stream_task(items, &tasks().square).unwrap() {
        assert!(outcome.unwrap().is_ok());
        seen += 1;
        assert!(pulled.load(SeqCst) <= seen + 7);
    }
    assert_eq!(seen, 300);
}

fn a_stop_reaches_the_calls_in_the_workers() {
    for task in [&tasks().obey, &tasks().obey_all] {
        let stop = StopToken::new().unwrap();
        let path = temporary("stop");
        let items = vec![format!("announce {}", path.display()); 50];
        let outcomes = std::thread::scope(|scope| {
            scope.spawn(|| {
                while !path.exists() {
                    std::thread::sleep(Duration::from_millis(1));
                }
                stop.request();
            });
            two().batch(Batch::of(5)).stop(&stop).map_task(&items, task).unwrap() // each call waits until it is stopped
        });
        std::fs::remove_file(&path).unwrap();
        assert_eq!((outcomes.end(), outcomes.len(), outcomes.failed()), (End::Cancelled, 50, 50));
        assert!(outcomes.iter().all(|outcome| outcome.state() == State::Cancelled), "{outcomes:?}");
        assert!(outcomes.iter().any(|outcome| outcome.attempts == 1));
    }
}

fn temporary(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("libpa-rust-{name}-{}", std::process::id()))
}

fn a_timeout_is_told_and_max_errors_aborts() {
    let none = two().timeout(Duration::ZERO).map_task(&[1, 2], &tasks().square).unwrap();
    assert_eq!((none.end(), none.failed()), (End::TimedOut, 2));
    let items = texts(["fail 1", "fail 2", "fail 3", "fail 4"]);
    let aborted = two().workers(1).window(1).max_errors(2).map_task(&items, &tasks().obey).unwrap();
    assert_eq!(aborted.end(), End::Aborted);
    let states: Vec<_> = aborted.iter().map(|outcome| outcome.state()).collect();
    assert_eq!(states, [State::Failed, State::Failed, State::Aborted, State::Aborted]);
}

/// With an environment of its own, by which no other test has its workers.
fn own_workers(test: &str) -> Process {
    let path = std::env::var("LD_LIBRARY_PATH").unwrap_or_default();
    Process::new().environment([("PA_TEST", test), ("LD_LIBRARY_PATH", &path)])
}

fn pids(options: &Options, count: usize) -> Vec<String> {
    options.map_task(&vec!["pid".to_owned(); count], &tasks().obey).unwrap().into_result().unwrap()
}

fn workers_outlive_the_run_and_end_with_drain() {
    let options = Options::new().workers(1).process(own_workers("outlive"));
    let (first, second) = (pids(&options, 3), pids(&options, 1));
    assert!(first.iter().all(|pid| *pid == second[0]) && second[0] != std::process::id().to_string());
    assert!(libpa::drain(None).unwrap());
    assert_ne!(pids(&options, 1), second);
}

fn a_worker_is_replaced_after_max_items() {
    let pids = pids(&Options::new().workers(1).process(own_workers("max").max_items(3)), 10);
    let changes = pids.windows(2).filter(|pair| pair[0] != pair[1]).count();
    assert_eq!(changes, 3, "{pids:?}");
}

fn directory_and_environment_are_those_that_were_given() {
    let items = texts(["environment", "directory"]);
    let process = own_workers("from the test").directory("/");
    let said = two().process(process).map_task(&items, &tasks().obey).unwrap().into_result().unwrap();
    assert_eq!(said, ["from the test", "/"]);
}

fn a_command_names_the_workers() {
    let program = std::env::current_exe().unwrap();
    let command = Process::new().command([program.as_os_str(), "to".as_ref(), "serve".as_ref()]);
    let said = two().process(command).map_task(&texts(["arguments"]), &tasks().obey).unwrap();
    assert_eq!(said.into_result().unwrap(), ["to serve"]);
    assert_eq!(two().map_task(&texts(["arguments"]), &tasks().obey).unwrap().into_result().unwrap(), [""]);
}

fn each_worker_is_started_and_stopped_once() {
    let path = temporary("log");
    std::fs::write(&path, "").unwrap();
    let libraries = std::env::var("LD_LIBRARY_PATH").unwrap_or_default();
    let process = Process::new().environment([("PA_TEST_LOG", path.as_os_str()), ("LD_LIBRARY_PATH", libraries.as_ref())]);
    let options = Options::new().workers(1).process(process);
    for _ in 0..2 {
        assert!(options.map_task(&[(); 100], &tasks().logged).unwrap().is_ok());
    }
    assert!(libpa::drain(None).unwrap());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "+-"); // the second run finds what the first has started
    std::fs::remove_file(&path).unwrap();
}
