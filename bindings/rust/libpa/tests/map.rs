//! Maps: slices and iterators, what functions get and give, panics, nesting.

mod common;

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;

use common::{Gate, hush, wait_until_stopped};
use libpa::{End, ErrorKind, ItemError, Options, State, fallible};

#[test]
fn values_come_in_input_order() {
    let items: Vec<u64> = (0..100_000).collect();
    let squares = libpa::map(&items, |x| Ok::<_, Infallible>(x * x)).unwrap().into_result().unwrap();
    assert!(squares.iter().zip(&items).all(|(square, x)| *square == x * x));
    assert_eq!(squares.len(), items.len());
}

#[test]
fn of_nothing_there_is_nothing_and_that_is_ok() {
    let outcomes = libpa::map(&[] as &[u8], |_| Ok::<(), Infallible>(())).unwrap();
    assert!(outcomes.is_empty() && outcomes.is_ok());
    assert_eq!(outcomes.end(), End::Completed);
    assert_eq!(outcomes.into_result().unwrap(), []);
}

#[test]
fn the_error_that_a_function_returns_comes_out_as_it_went_in() {
    let texts = ["1", "x", "3"];
    for options in [Options::new(), Options::new().max_errors(9)] {
        let outcomes = options.map(&texts, |text, _| text.parse::<i32>()).unwrap();
        assert_eq!(outcomes.failed(), 1);
        let expected = "x".parse::<i32>().unwrap_err();
        assert_eq!(outcomes.get(1).unwrap().result.unwrap_err().error(), Some(&&expected));
        assert_eq!(outcomes.values().collect::<Vec<_>>(), [&1, &3]);
    }
}

#[test]
fn a_panic_is_the_error_of_its_item_and_the_others_go_on() {
    hush();
    let items: Vec<usize> = (0..1000).collect();
    let run = |x: &usize| -> Result<String, Infallible> {
        assert!(x % 100 != 7, "at {x}");
        Ok(x.to_string())
    };
    let by_ranges = Options::new().map(&items, |x, _| run(x)).unwrap();
    let by_items = Options::new().max_errors(1000).map(&items, |x, _| run(x)).unwrap();
    let by_source = Options::new().map_iter(items.clone(), |x, _| run(x)).unwrap();
    for outcomes in [by_ranges, by_items, by_source] {
        assert_eq!(outcomes.end(), End::Completed);
        let failed: Vec<usize> = outcomes.failures().map(|(index, _)| index).collect();
        assert_eq!(failed, (0..10).map(|i| i * 100 + 7).collect::<Vec<_>>());
        for (index, error) in outcomes.failures() {
            assert_eq!(error.panic().unwrap().message(), format!("at {index}"));
        }
        for outcome in outcomes.into_iter().filter(|outcome| outcome.is_ok()) {
            assert_eq!(outcome.result.unwrap(), outcome.index.to_string());
        }
    }
}

#[test]
fn the_payload_of_a_panic_can_be_had_and_resumed() {
    hush();
    let outcomes = libpa::map(&[5], |x| -> Result<(), Infallible> { std::panic::panic_any(*x) }).unwrap();
    let ItemError::Panicked(panic) = outcomes.into_iter().next().unwrap().result.unwrap_err() else { panic!("it panicked") };
    let payload = std::panic::catch_unwind(|| panic.clone().resume()).unwrap_err();
    assert_eq!(payload.downcast_ref::<i32>(), Some(&5));
    assert!(panic.take_payload().is_none());
}

#[test]
fn a_call_knows_its_index_and_attempt() {
    let items: Vec<usize> = (0..5000).collect();
    for options in [Options::new(), Options::new().max_errors(1)] {
        let told = options.map(&items, |x, call| if call.index() == *x && call.attempt() == 1 { Ok(()) } else { Err(()) }).unwrap();
        assert!(told.is_ok());
        let told = options.map_iter(items.iter(), |x, call| if call.index() == **x { Ok(()) } else { Err(()) }).unwrap();
        assert!(told.is_ok());
    }
}

#[test]
fn there_are_as_many_calls_at_a_time_as_workers_and_no_more() {
    let (now, most, all_there) = (AtomicUsize::new(0), AtomicUsize::new(0), Gate::default());
    let outcomes = Options::new().workers(4).map(&[(); 64], |(), _| {
        let running = now.fetch_add(1, SeqCst) + 1;
        most.fetch_max(running, SeqCst);
        if running == 4 {
            all_there.open();
        }
        all_there.wait();
        now.fetch_sub(1, SeqCst);
        Ok::<_, Infallible>(())
    });
    assert!(outcomes.unwrap().is_ok());
    assert_eq!(most.load(SeqCst), 4);
}

#[test]
fn inline_everything_runs_on_the_calling_thread_in_input_order() {
    let (seen, me) = (Mutex::new(Vec::new()), thread::current().id());
    let options = Options::new().inline();
    let outcomes = options.map(&[3, 1, 2], |x, _| {
        seen.lock().unwrap().push(*x);
        if thread::current().id() == me { Ok(()) } else { Err(()) }
    });
    assert!(outcomes.unwrap().is_ok());
    assert_eq!(*seen.lock().unwrap(), [3, 1, 2]);
}

#[test]
fn an_iterator_is_pulled_and_its_items_are_dropped_when_they_are_done() {
    let alive = common::Alive::default();
    let outcomes = Options::new()
        .workers(2)
        .window(8)
        .map_iter((0..1000).map(|_| alive.one()), |_, _| if alive.count() <= 8 { Ok(()) } else { Err(alive.count()) });
    assert!(outcomes.unwrap().is_ok());
    assert_eq!(alive.count(), 0);
}

#[test]
fn an_iterator_may_borrow_and_so_may_values() {
    let text = String::from("a bc def");
    let words = Options::new().map_iter(text.split(' '), |word, _| Ok::<&str, Infallible>(&word[..1])).unwrap();
    assert_eq!(words.into_result().unwrap(), ["a", "b", "d"]);
}

#[test]
fn what_a_source_fails_with_is_the_source_of_the_error_and_what_was_done_can_be_salvaged() {
    let rows = (0..5).map(Ok).chain([Err(std::fmt::Error)]);
    let mut salvaged = None;
    let run = Options::new().salvage(&mut salvaged);
    let error = run.map_iter(fallible(rows), |x, _| Ok::<i32, Infallible>(x * 2)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Source);
    assert!(error.into_source().unwrap().is::<std::fmt::Error>());
    let salvaged = salvaged.unwrap();
    assert_eq!(salvaged.end(), End::Failed);
    assert_eq!(salvaged.len(), 6); // the iterator said that it has so many
    for outcome in &salvaged {
        match outcome.result {
            Ok(value) => assert_eq!(*value, outcome.index as i32 * 2),
            Err(error) => assert_eq!(error.state(), State::Aborted),
        }
    }
}

#[test]
fn a_source_that_fails_while_calls_run_is_asked_no_more_and_they_keep_their_outcome() {
    let (running, pulls) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let rows = std::iter::from_fn(|| {
        if pulls.fetch_add(1, SeqCst) < 2 {
            return Some(Ok(()));
        }
        while running.load(SeqCst) < 2 {
            thread::yield_now();
        }
        Some(Err("no more rows"))
    });
    let mut salvaged = None;
    let run = Options::new().workers(3).salvage(&mut salvaged);
    let error = run.map_iter(fallible(rows), |(), call| {
        running.fetch_add(1, SeqCst);
        wait_until_stopped(call);
        Ok::<_, Infallible>(call.index())
    });
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Source);
    assert_eq!((pulls.load(SeqCst), running.load(SeqCst)), (3, 2));
    assert_eq!(salvaged.unwrap().values().collect::<Vec<_>>(), [&0, &1]);
}

#[test]
fn a_source_that_times_out_itself_is_no_run_that_timed_out() {
    let rows = [Ok(1), Err(std::io::Error::from(std::io::ErrorKind::TimedOut))];
    let mut salvaged = None;
    let run = Options::new().timeout(std::time::Duration::from_secs(3600)).salvage(&mut salvaged);
    let error = run.map_iter(fallible(rows), |x, _| Ok::<i32, Infallible>(*x)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Source);
    assert!(error.into_source().unwrap().is::<std::io::Error>());
    assert_eq!(salvaged.unwrap().end(), End::Failed);
}

#[test]
fn a_panic_of_a_source_ends_the_run_and_is_kept() {
    hush();
    let rows = (0..3).map(|i| if i == 2 { panic!("row {i}") } else { i });
    let error = Options::new().map_iter(rows, |x, _| Ok::<i32, Infallible>(*x)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Source);
    assert_eq!(error.panic().unwrap().message(), "row 2");
    assert_eq!(error.to_string(), "the source panicked: row 2");
}

#[test]
fn a_second_run_takes_what_failed() {
    let words = ["1", "x", "3", "y"];
    let first = Options::new().map(&words, |word, _| word.parse::<i32>()).unwrap();
    let again: Vec<_> = first.failures().map(|(index, _)| words[index]).collect();
    let second = Options::new().map(&again, |word, _| i32::from_str_radix(word, 36)).unwrap();
    assert_eq!(again, ["x", "y"]);
    assert_eq!(second.into_result().unwrap(), [33, 34]);
}

#[test]
fn maps_nest_whatever_the_number_of_workers() {
    let options = Options::new().workers(2);
    let sums = options.map(&[1_u64, 2, 3, 4], |x, _| {
        let inner: Vec<u64> = (0..100).map(|i| i * x).collect();
        options.map(&inner, |y, _| Ok::<_, Infallible>(y + 1)).map(|inner| inner.into_result().unwrap().iter().sum::<u64>())
    });
    assert_eq!(sums.unwrap().into_result().unwrap(), [5050, 10_000, 14_950, 19_900]);
}

#[test]
fn a_value_may_be_nothing_and_a_type_may_have_no_size() {
    let outcomes = libpa::map(&[(); 100], |()| Ok::<Option<u8>, Infallible>(None)).unwrap();
    assert!(outcomes.into_result().unwrap().iter().all(Option::is_none));
    let outcomes = Options::new().map_iter(std::iter::repeat_n((), 100), |(), _| Ok::<(), Infallible>(())).unwrap();
    assert_eq!(outcomes.into_result().unwrap().len(), 100);
}

#[test]
fn values_that_are_larger_or_stricter_than_a_pointer_come_back() {
    #[repr(align(64))]
    #[derive(Clone, PartialEq, Debug)]
    struct Line([u8; 64]);
    for options in [Options::new(), Options::new().max_errors(1)] {
        let lines = options.map(&[1, 2], |x, _| Ok::<_, Infallible>(Line([*x; 64]))).unwrap();
        assert_eq!(lines.into_result().unwrap(), [Line([1; 64]), Line([2; 64])]);
    }
}

#[test]
fn worker_threads_are_those_of_libpa_and_the_caller() {
    let threads = Mutex::new(HashSet::new());
    let both = Gate::default();
    let outcomes = Options::new().workers(2).map(&[(); 2], |(), _| {
        let mut threads = threads.lock().unwrap();
        threads.insert(thread::current().id());
        if threads.len() == 2 {
            both.open();
        }
        drop(threads);
        both.wait();
        Ok::<_, Infallible>(())
    });
    assert!(outcomes.unwrap().is_ok());
    assert_eq!(threads.into_inner().unwrap().len(), 2);
}
