//! Streams.

mod common;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use common::{Alive, Gate, hush, wait_until_stopped};
use libpa::{Batch, End, ErrorKind, Options, Retry, State, StopToken, Stream, fallible};

fn square(x: &u64, _: &libpa::Call) -> Result<u64, Infallible> {
    Ok(x * x)
}

/// Reads a stream whose items all succeed.
fn values<E: std::fmt::Debug>(stream: Stream<u64, E>) -> Vec<u64> {
    stream.map(|outcome| outcome.unwrap().result.unwrap()).collect()
}

#[test]
fn each_input_has_one_outcome_whatever_the_order() {
    let mut seen = values(Options::new().workers(2).stream(0..100_000, square).unwrap());
    seen.sort_unstable();
    assert!(seen.iter().enumerate().all(|(x, value)| *value == (x * x) as u64));
    assert_eq!(seen.len(), 100_000);
}

#[test]
fn in_order_outcomes_come_one_after_the_other() {
    let stream = Options::new().workers(2).ordered(true).stream(0..50_000, square).unwrap();
    for (index, outcome) in stream.enumerate() {
        let outcome = outcome.unwrap();
        assert_eq!((outcome.index, outcome.result.unwrap()), (index, (index * index) as u64));
    }
}

#[test]
fn as_they_come_a_straggler_holds_up_nobody() {
    let (gate, held) = (Gate::default(), AtomicUsize::new(0));
    let opens = gate.clone();
    let stream = Options::new().workers(2).stream(0..100_u64, move |x, _| {
        if *x == 0 {
            gate.wait();
        }
        Ok::<_, Infallible>(*x)
    });
    for outcome in stream.unwrap() {
        if outcome.unwrap().index != 0 && held.fetch_add(1, SeqCst) == 50 {
            opens.open(); // more than fifty came before the first
        }
    }
    assert_eq!(held.load(SeqCst), 99);
}

#[test]
fn failures_and_panics_are_outcomes_of_their_items() {
    hush();
    let stream = Options::new().ordered(true).stream(0..30, |x, _| match x % 3 {
        0 => Ok(*x),
        1 => Err(format!("bad {x}")),
        _ => panic!("worse {x}"),
    });
    for outcome in stream.unwrap() {
        let outcome = outcome.unwrap();
        match (outcome.index % 3, outcome.result) {
            (0, Ok(value)) => assert_eq!(value, outcome.index),
            (1, Err(error)) => assert_eq!(error.error().unwrap(), &format!("bad {}", outcome.index)),
            (2, Err(error)) => assert_eq!(error.panic().unwrap().message(), format!("worse {}", outcome.index)),
            (_, other) => panic!("{other:?}"),
        }
    }
}

#[test]
fn an_endless_source_is_pulled_no_further_than_the_window() {
    let pulled = Arc::new(AtomicUsize::new(0));
    let counted = pulled.clone();
    let source = std::iter::from_fn(move || Some(counted.fetch_add(1, SeqCst) as u64));
    let mut stream = Options::new().workers(2).window(10).stream(source, square).unwrap();
    for handed_out in 1..200 {
        stream.next().unwrap().unwrap();
        assert!(pulled.load(SeqCst) <= handed_out + 10);
    }
}

#[test]
fn of_a_million_items_no_more_are_there_than_the_window_holds() {
    let alive = common::Alive::default();
    let made = alive.clone();
    let rows = (0..1_000_000).map(move |_| made.one());
    let (mut most, mut count) = (0, 0);
    for outcome in Options::new().window(100).ordered(true).stream(rows, |row, _| Ok::<_, Infallible>(row.clone())).unwrap() {
        most = most.max(alive.count());
        drop(outcome.unwrap().result.unwrap());
        count += 1;
    }
    assert_eq!((count, alive.count()), (1_000_000, 0));
    assert!(most <= 200, "{most}"); // rows and values
}

#[test]
fn what_a_source_fails_with_comes_after_what_was_done() {
    let rows = (0..10).map(Ok).chain([Err("the disk is gone")]);
    let mut stream = Options::new().ordered(true).stream(fallible(rows), square).unwrap();
    for index in 0..10 {
        assert_eq!(stream.next().unwrap().unwrap().index, index);
    }
    let error = stream.next().unwrap().unwrap_err();
    assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Source, "the source failed: the disk is gone"));
    assert!(stream.next().is_none());
    assert_eq!(stream.end(), Some(End::Failed));
}

#[test]
fn a_stream_that_ends_early_says_so_last() {
    let stop = StopToken::new().unwrap();
    let requests = stop.clone();
    let stopped = Options::new().stop(&stop).window(4).stream(0.., move |x: &u64, _| {
        if *x == 20 {
            requests.request();
        }
        Ok::<_, Infallible>(*x)
    });
    let kinds = |stream: Stream<u64, _>| stream.filter_map(Result::err).map(|error| error.kind()).collect::<Vec<_>>();
    assert_eq!(kinds(stopped.unwrap()), [ErrorKind::Cancelled]);
    assert_eq!(kinds(Options::new().timeout(Duration::ZERO).stream(0..9, square).unwrap()), [ErrorKind::TimedOut]);

    let aborted = Options::new().max_errors(3).workers(1).window(1).stream(0..100, |_, _| Err::<(), _>("bad")).unwrap();
    let outcomes: Vec<_> = aborted.collect();
    assert_eq!(outcomes.len(), 4);
    assert!(outcomes[..3].iter().all(|outcome| outcome.as_ref().unwrap().state() == State::Failed));
    assert_eq!(outcomes[3].as_ref().unwrap_err().kind(), ErrorKind::Aborted);
}

#[test]
fn waiting_for_so_long_hands_out_nothing_and_the_stream_goes_on() {
    let gate = Gate::default();
    let opens = gate.clone();
    let mut stream = Options::new()
        .stream(0..1_u64, move |x, _| {
            gate.wait();
            Ok::<_, Infallible>(*x)
        })
        .unwrap();
    let error = stream.next_timeout(Duration::from_millis(1)).unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    opens.open();
    assert_eq!(stream.next_timeout(Duration::from_secs(600)).unwrap().unwrap().result.unwrap(), 0);
    assert!(stream.next().is_none());
}

#[test]
fn retries_keep_their_place_in_order() {
    let stream = Options::new()
        .ordered(true)
        .retry(Retry::attempts(2).backoff(Duration::ZERO))
        .stream(0..1000, |x, call| if x % 7 == 0 && call.attempt() == 1 { Err("once") } else { Ok(*x) });
    for (index, outcome) in stream.unwrap().enumerate() {
        let outcome = outcome.unwrap();
        assert_eq!((outcome.result.unwrap(), outcome.attempts), (index, if index % 7 == 0 { 2 } else { 1 }));
    }
}

#[test]
fn inline_nothing_is_run_before_it_is_asked_for_and_then_on_the_readers_thread() {
    let (calls, me) = (Arc::new(AtomicUsize::new(0)), thread::current().id());
    let counted = calls.clone();
    let mut stream = Options::new()
        .inline()
        .stream(0..3, move |_, _| {
            counted.fetch_add(1, SeqCst);
            if thread::current().id() == me { Ok(()) } else { Err(()) }
        })
        .unwrap();
    assert_eq!(calls.load(SeqCst), 0);
    assert!(stream.next().unwrap().unwrap().is_ok());
    assert_eq!(calls.load(SeqCst), 1);
    assert!(stream.all(|outcome| outcome.unwrap().is_ok()));
}

#[test]
fn callbacks_and_keys_work_as_in_a_map() {
    let (sender, progress) = channel();
    let results = Arc::new(AtomicUsize::new(0));
    let counted = results.clone();
    let stream = Options::new()
        .on_progress(move |done, total| sender.send((done, total)))
        .on_result(move |_| {
            counted.fetch_add(1, SeqCst);
        })
        .item_key(|x: &u64| format!("item {x}"))
        .stream(vec![5, 6, 7], square)
        .unwrap();
    for outcome in stream {
        let outcome = outcome.unwrap();
        assert_eq!(outcome.key.unwrap().to_string(), format!("item {}", outcome.index + 5));
    }
    assert_eq!(progress.iter().collect::<Vec<_>>(), [(1, 3), (2, 3), (3, 3)]);
    assert_eq!(results.load(SeqCst), 3);
}

#[test]
fn dropping_a_stream_waits_for_the_calls_that_run_and_drops_what_was_not_handed_out() {
    let alive = Alive::default();
    let inside = Arc::new(AtomicBool::new(false));
    for read in [0, 1, 10, 500] {
        let (makes, running) = (alive.clone(), inside.clone());
        let source_owns = alive.one();
        let items = (0..1000).map(move |_| source_owns.clone());
        let mut stream = Options::new()
            .workers(2)
            .stream(items, move |_, _| {
                running.store(true, SeqCst);
                let value = makes.one();
                running.store(false, SeqCst);
                Ok::<_, Infallible>(value)
            })
            .unwrap();
        for _ in 0..read {
            stream.next().unwrap().unwrap();
        }
        drop(stream);
        assert_eq!(alive.count(), 0);
        assert!(!inside.load(SeqCst));
    }
}

#[test]
fn a_stream_that_is_forgotten_goes_on_with_what_it_owns() {
    let alive = Alive::default();
    let items: Vec<_> = (0..10).map(|_| alive.one()).collect();
    let all_ran = Gate::default();
    let (opens, calls) = (all_ran.clone(), AtomicUsize::new(0));
    let stream = Options::new().stream(items, move |_, _| {
        if calls.fetch_add(1, SeqCst) == 9 {
            opens.open();
        }
        Ok::<_, Infallible>(())
    });
    std::mem::forget(stream.unwrap());
    all_ran.wait();
}

#[test]
fn a_detached_stream_is_dropped_while_a_call_runs_and_what_it_owns_goes_when_that_is_over() {
    let (alive, started, gate) = (Alive::default(), Gate::default(), Gate::default());
    let (starts, waits, owned) = (started.clone(), gate.clone(), alive.one());
    let stream = Options::new().detach(true).workers(1).stream(0..10, move |_, _| {
        starts.open();
        waits.wait();
        Ok::<_, Infallible>(owned.clone())
    });
    let stream = stream.unwrap();
    started.wait();
    drop(stream);
    assert!(alive.count() > 0);
    gate.open();
    assert!(libpa::drain(None).unwrap());
    assert_eq!(alive.count(), 0);
}

#[test]
fn a_detached_map_returns_while_a_call_runs_and_drops_its_value() {
    let (alive, started, gate) = (Alive::default(), Gate::default(), Gate::default());
    let stop = StopToken::new().unwrap();
    let (starts, waits, owned) = (started.clone(), gate.clone(), alive.one());
    let requester = {
        let stop = stop.clone();
        thread::spawn(move || {
            started.wait();
            stop.request();
        })
    };
    let outcomes = Options::new().detach(true).stop(&stop).workers(1).map_owned(vec![1, 2], move |_, _| {
        starts.open();
        waits.wait();
        Ok::<_, Infallible>(owned.clone())
    });
    let outcomes = outcomes.unwrap();
    assert_eq!(outcomes.end(), End::Cancelled);
    let attempts: Vec<_> = outcomes.iter().map(|outcome| outcome.attempts).collect();
    assert_eq!(attempts, [1, 0]);
    drop(outcomes);
    requester.join().unwrap();
    gate.open();
    assert!(libpa::drain(None).unwrap());
    assert_eq!(alive.count(), 0);
}

#[test]
fn a_scoped_stream_may_borrow_and_is_closed_behind_its_reader() {
    let words = vec![String::from("a"), String::from("bc")];
    let calls = AtomicUsize::new(0);
    let read = Options::new().ordered(true).stream_scoped(
        &words,
        |word, _| {
            calls.fetch_add(1, SeqCst);
            Ok::<_, Infallible>(word.as_str())
        },
        |stream| stream.next().unwrap().unwrap().result.unwrap(),
    );
    assert_eq!(read.unwrap(), "a");
    let (after, calls) = (calls.load(SeqCst), calls);
    assert_eq!(calls.load(SeqCst), after);
    drop(words);
}

#[test]
fn a_scoped_stream_is_closed_also_if_its_reader_panics() {
    hush();
    let running = AtomicUsize::new(0);
    let read = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        Options::new().workers(2).stream_scoped(
            0..1000,
            |_, call| {
                running.fetch_add(1, SeqCst);
                if call.index() > 0 {
                    wait_until_stopped(call);
                }
                running.fetch_sub(1, SeqCst);
                Ok::<_, Infallible>(())
            },
            |stream| {
                stream.next();
                panic!("in the reader");
            },
        )
    }));
    assert!(read.is_err() as u8 == 1);
    assert_eq!(running.load(SeqCst), 0);
}

#[test]
fn batches_are_streamed_too() {
    let stream = Options::new().ordered(true).batch(Batch::of(64)).stream_batch(0..1000_u64, |items, _| {
        Ok::<_, String>(items.iter().map(|x| if **x == 500 { Err("wrong".to_owned()) } else { Ok(**x * 2) }).collect())
    });
    for (index, outcome) in stream.unwrap().enumerate() {
        let outcome = outcome.unwrap();
        match outcome.result {
            Ok(value) => assert_eq!(value, index as u64 * 2),
            Err(error) => assert_eq!((index, error.into_error().unwrap().as_str()), (500, "wrong")),
        }
    }
}

#[test]
fn a_stream_may_move_between_threads_while_it_is_read() {
    let mut stream = Options::new().workers(2).stream(0..10_000_u64, square).unwrap();
    let mut sum = stream.by_ref().take(100).map(|outcome| outcome.unwrap().result.unwrap()).sum::<u64>();
    sum += thread::spawn(move || values(stream).into_iter().sum::<u64>()).join().unwrap();
    assert_eq!(sum, (0..10_000).map(|x| x * x).sum::<u64>());
}

#[test]
fn the_error_of_an_earlier_attempt_is_gone_when_a_later_one_succeeds() {
    let alive = Alive::default();
    let makes = alive.clone();
    let options = Options::new().retry(Retry::attempts(2).backoff(Duration::ZERO));
    let mut stream = options.stream(0..1000, move |x, call| if call.attempt() == 1 { Err(makes.one()) } else { Ok(*x) }).unwrap();
    assert_eq!(stream.by_ref().filter(|outcome| outcome.as_ref().unwrap().is_ok()).count(), 1000);
    assert_eq!(alive.count(), 0); // and the stream is still there
    drop(stream);
}
