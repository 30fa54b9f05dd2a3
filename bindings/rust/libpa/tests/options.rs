//! Options, callbacks, keys, limiters, retries, stops.

mod common;

use std::convert::Infallible;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use common::{hush, wait_until_stopped};
use libpa::{Acquired, End, ErrorKind, ItemError, Key, Limiter, Options, Rate, Retry, State, StopToken};

const HOUR: Duration = Duration::from_secs(3600);

fn quick(attempts: u32) -> Retry {
    Retry::attempts(attempts).backoff(Duration::ZERO)
}

#[test]
fn a_wrong_option_is_named_with_its_value_before_anything_runs() {
    let wrong = [
        (Options::new().workers(70_000), "workers"),
        (Options::new().rate(Rate::per_second(f64::NAN)), "rate.count"),
        (Options::new().rate(Rate::per_second(0.0)), "rate.count"),
        (Options::new().rate(Rate::per_second(1.0).burst(0)), "burst"),
        (Options::new().retry(Retry::attempts(0)), "attempts"),
        (Options::new().item_timeout(Duration::ZERO), "item_timeout_ns"),
        (Options::new().detach(true), "detach"),
    ];
    for (options, named) in wrong {
        let error = options.map(&[1], |_, _| -> Result<(), ()> { unreachable!("nothing runs") }).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains(named), "{error}");
        if named != "detach" {
            let error = options.stream(0..1, |_, _| -> Result<(), ()> { unreachable!("nothing runs") }).unwrap_err();
            assert!(error.to_string().contains(named), "{error}");
        }
    }
}

#[test]
fn nothing_is_dropped_twice_of_what_was_refused() {
    let alive = common::Alive::default();
    let items: Vec<_> = (0..3).map(|_| alive.one()).collect();
    let kept = alive.one();
    let refused = Options::new().workers(70_000).map_iter(items, move |_, _| Ok::<_, ()>(kept.clone()));
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(alive.count(), 0);
}

#[test]
fn progress_counts_up_to_the_total_on_the_calling_thread() {
    let (mut calls, me) = (Vec::new(), thread::current().id());
    let outcomes = Options::new()
        .workers(2)
        .on_progress(|done, total| {
            assert_eq!(thread::current().id(), me);
            calls.push((done, total));
        })
        .map(&[0; 50], |_, _| Ok::<_, Infallible>(()));
    assert!(outcomes.unwrap().is_ok());
    assert_eq!(calls, (1..=50).map(|done| (done, 50)).collect::<Vec<_>>());
}

#[test]
fn on_result_sees_each_item_once_with_its_value_or_error() {
    let mut seen = vec![None; 100];
    let items: Vec<usize> = (0..100).collect();
    let outcomes = Options::new()
        .on_result(|outcome| {
            let text = match outcome.result {
                Ok(value) => format!("{value}"),
                Err(error) => format!("no {error}"),
            };
            assert!(seen[outcome.index].replace(text).is_none());
        })
        .map(&items, |x, _| if x % 2 == 0 { Ok(*x) } else { Err(x.to_string()) })
        .unwrap();
    assert_eq!(outcomes.failed(), 50);
    drop(outcomes);
    for (index, text) in seen.into_iter().enumerate() {
        assert_eq!(text.unwrap(), if index % 2 == 0 { format!("{index}") } else { format!("no {index}") });
    }
}

#[test]
fn a_callback_that_fails_or_panics_ends_the_run_and_is_kept() {
    hush();
    let failing = Options::new().on_progress(|_, _| Err("full disk"));
    let error = failing.map(&[1, 2], |x, _| Ok::<_, Infallible>(*x)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Callback);
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "full disk");

    let panicking = Options::new().on_result(|outcome| assert!(!outcome.is_ok(), "in on_result"));
    let error = panicking.map(&[1, 2], |x, _| Ok::<_, Infallible>(*x)).unwrap_err();
    assert_eq!(error.panic().unwrap().message(), "in on_result");
}

#[test]
fn keys_name_outcomes_and_may_repeat() {
    let keyed = Options::new().item_key(|x: &i32| if *x < 0 { Key::from("negative") } else { Key::from(*x) });
    let outcomes = keyed.map(&[-1, -1, 5], |x, _| if *x == 5 { Err(()) } else { Ok(()) }).unwrap();
    let keys: Vec<_> = outcomes.iter().map(|outcome| outcome.key.unwrap().to_string()).collect();
    assert_eq!(keys, ["negative", "negative", "5"]);
}

#[test]
fn a_key_function_that_panics_ends_the_run() {
    hush();
    let keyed = Options::new().item_key(|x: &i32| if *x == 1 { panic!("no name") } else { *x });
    let error = keyed.map(&[0, 1], |_, _| Ok::<_, Infallible>(())).unwrap_err();
    assert_eq!((error.kind(), error.panic().unwrap().message()), (ErrorKind::Key, "no name"));
}

#[test]
fn workers_are_started_and_stopped_in_pairs() {
    let (started, stopped) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let outcomes = Options::new()
        .workers(2)
        .worker_start(|| {
            started.fetch_add(1, SeqCst);
        })
        .worker_stop(|| {
            stopped.fetch_add(1, SeqCst);
        })
        .map(&[(); 100], |(), _| if started.load(SeqCst) > 0 { Ok(()) } else { Err(()) });
    assert!(outcomes.unwrap().is_ok());
    assert_eq!(started.load(SeqCst), stopped.load(SeqCst));
}

#[test]
fn a_worker_that_can_not_start_fails_the_run_and_does_not_hang_it() {
    let failing = Options::new().workers(2).worker_start(|| Err(std::io::Error::other("no connection")));
    let error = failing.map(&[(); 100], |(), _| Ok::<_, Infallible>(())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WorkerStart);
    assert!(error.into_source().unwrap().is::<std::io::Error>());
}

#[test]
fn a_retry_that_succeeds_on_the_last_try_is_a_success() {
    let outcomes = Options::new().retry(quick(3)).map(&[(); 20], |(), call| match call.attempt() {
        3 => Ok(call.attempt()),
        attempt => Err(attempt),
    });
    let outcomes = outcomes.unwrap();
    assert!(outcomes.iter().all(|outcome| outcome.attempts == 3));
    assert_eq!(outcomes.into_result().unwrap(), [3; 20]);
}

#[test]
fn when_no_attempt_is_left_the_last_error_is_the_items() {
    let outcomes = Options::new().retry(quick(4)).map(&[()], |(), call| Err::<(), _>(call.attempt())).unwrap();
    assert!(matches!(outcomes.into_iter().next().unwrap().result, Err(ItemError::Failed(4))));
}

#[test]
fn retry_if_decides_by_the_error() {
    let run = Options::new().retry(quick(3)).retry_if(|error: &String| error == "busy");
    let outcomes = run.map(&["busy", "wrong"], |text, _| Err::<(), _>((*text).to_owned())).unwrap();
    assert_eq!(outcomes.iter().map(|outcome| outcome.attempts).collect::<Vec<_>>(), [3, 1]);
}

#[test]
fn a_retry_if_that_panics_leaves_the_item_its_own_error() {
    hush();
    let run = Options::new().retry(quick(3)).retry_if(|_: &&str| panic!("in retry_if"));
    let outcomes = run.map(&[()], |(), _| Err::<(), _>("busy")).unwrap();
    let outcome = outcomes.into_iter().next().unwrap();
    assert_eq!(outcome.attempts, 1);
    assert_eq!(outcome.result.unwrap_err().into_error(), Some("busy"));
}

#[test]
fn a_panic_is_retried_only_if_the_policy_says_so() {
    hush();
    for (retry, attempts) in [(quick(3), 1), (quick(3).panics(true), 3)] {
        let outcomes = Options::new().retry(retry).map(&[()], |(), _| -> Result<(), ()> { panic!() }).unwrap();
        assert_eq!(outcomes.get(0).unwrap().attempts, attempts);
    }
}

#[test]
fn what_the_server_asked_for_replaces_the_backoff_and_pauses_the_limiter() {
    struct Busy(Duration);
    let limiter = Limiter::new(Rate::per_second(1e6)).unwrap();
    let retry = Retry::attempts(2).backoff(HOUR);
    let run = Options::new().limiter(&limiter).retry(retry).retry_after(|busy: &Busy| Some(busy.0));
    let wait = Duration::from_millis(20);
    let began = Instant::now();
    let outcomes = run.map(&[()], |(), call| if call.attempt() == 1 { Err(Busy(wait)) } else { Ok(()) }).unwrap();
    assert!(outcomes.is_ok());
    assert!(began.elapsed() >= wait);
}

#[test]
fn a_429_on_the_last_try_still_pauses_the_limiter() {
    let limiter = Limiter::new(Rate::per_second(1e6)).unwrap();
    let run = Options::new().limiter(&limiter).map(&[()], |(), call| {
        call.retry_after(HOUR);
        Err::<(), _>(())
    });
    assert_eq!(run.unwrap().failed(), 1);
    assert!(matches!(limiter.try_acquire(1).unwrap(), Acquired::NotYet(wait) if wait > Duration::from_secs(60)));
}

#[test]
fn a_rate_may_be_given_by_the_second_the_minute_and_the_hour() {
    assert_eq!(Rate::per_second(5.0), Rate::new(5.0, Duration::from_secs(1)));
    assert_eq!(Rate::per_minute(5.0), Rate::new(5.0, Duration::from_secs(60)));
    assert_eq!(Rate::per_hour(5.0), Rate::new(5.0, HOUR));
}

#[test]
fn a_limiter_is_shared_by_clones_runs_and_whoever_waits_for_it() {
    let limiter = Limiter::new(Rate::new(1.0, HOUR).burst(3)).unwrap();
    let clone = limiter.clone();
    let outcomes = Options::new().limiter(&limiter).map(&[(); 2], |(), _| Ok::<_, Infallible>(()));
    assert!(outcomes.unwrap().is_ok());
    drop(limiter);
    assert_eq!(clone.try_acquire(1).unwrap(), Acquired::Now);
    assert!(!clone.acquire_timeout(1, Duration::from_secs(1)).unwrap());
    clone.settle(-1).unwrap();
    clone.acquire(1).unwrap();
    clone.set_rate(Rate::per_second(1e9)).unwrap();
    clone.acquire(1).unwrap();
    assert_eq!(clone.acquire(0).unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(Limiter::new(Rate::per_minute(f64::INFINITY)).unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn of_two_pauses_the_one_that_ends_last_holds() {
    let limiter = Limiter::new(Rate::per_second(1e6)).unwrap();
    limiter.pause(2 * HOUR).unwrap();
    limiter.pause(HOUR).unwrap();
    assert!(matches!(limiter.try_acquire(1).unwrap(), Acquired::NotYet(wait) if wait > HOUR));
}

#[test]
fn a_pause_is_honoured_by_those_who_wait_for_their_turn() {
    let limiter = Limiter::new(Rate::new(1.0, HOUR)).unwrap();
    let stop = StopToken::new().unwrap();
    let calls = AtomicU32::new(0);
    thread::scope(|scope| {
        let run = scope.spawn(|| {
            Options::new().workers(3).limiter(&limiter).stop(&stop).map(&[(); 10], |(), _| {
                calls.fetch_add(1, SeqCst);
                Ok::<_, Infallible>(())
            })
        });
        while calls.load(SeqCst) == 0 {
            thread::yield_now();
        }
        limiter.pause(HOUR).unwrap();
        limiter.set_rate(Rate::per_second(1e6).burst(100)).unwrap(); // wakes them: they must look at the pause again
        thread::sleep(Duration::from_millis(5));
        stop.request();
        assert_eq!(run.join().unwrap().unwrap().end(), End::Cancelled);
    });
    assert_eq!(calls.load(SeqCst), 1);
}

#[test]
fn a_pause_is_followed_by_one_call_and_then_the_set_pace() {
    let limiter = Limiter::new(Rate::new(1.0, HOUR).burst(10)).unwrap();
    limiter.pause(Duration::from_millis(1)).unwrap();
    limiter.acquire(1).unwrap();
    assert!(matches!(limiter.try_acquire(1).unwrap(), Acquired::NotYet(wait) if wait > HOUR / 2));
}

#[test]
fn a_pause_shorter_than_an_interval_mints_no_token() {
    let limiter = Limiter::new(Rate::new(1.0, HOUR)).unwrap();
    limiter.acquire(1).unwrap();
    let began = Instant::now();
    limiter.pause(Duration::from_micros(1)).unwrap();
    while began.elapsed() < Duration::from_millis(1) {
        thread::yield_now();
    }
    assert!(matches!(limiter.try_acquire(1).unwrap(), Acquired::NotYet(wait) if wait > HOUR / 2));
}

#[test]
fn every_attempt_pays() {
    let limiter = Limiter::new(Rate::new(1.0, HOUR).burst(6)).unwrap();
    let options = Options::new().limiter(&limiter).rate_cost(2).retry(quick(3));
    let outcomes = options.map(&[()], |(), call| if call.attempt() == 3 { Ok(()) } else { Err(()) });
    assert!(outcomes.unwrap().is_ok());
    assert!(matches!(limiter.try_acquire(1).unwrap(), Acquired::NotYet(_)));
}

#[test]
fn a_stop_ends_any_number_of_runs_and_is_for_ever() {
    let stop = StopToken::new().unwrap();
    let options = Options::new().workers(2).stop(&stop);
    let outcomes = options.map(&[(); 1000], |(), call| {
        stop.request();
        wait_until_stopped(call);
        Err::<(), _>(call.give_up("gave up"))
    });
    let outcomes = outcomes.unwrap();
    assert_eq!(outcomes.end(), End::Cancelled);
    assert!(!outcomes.is_ok() && stop.is_requested());
    assert!(outcomes.iter().all(|outcome| outcome.state() == State::Cancelled));
    let never_ran = options.map(&[(); 3], |(), _| Ok::<_, Infallible>(())).unwrap();
    assert_eq!(never_ran.into_result().unwrap_err().end, End::Cancelled);
}

#[test]
fn an_error_that_does_not_say_that_it_gave_up_is_a_failure() {
    let stop = StopToken::new().unwrap();
    let outcomes = Options::new().stop(&stop).map(&[()], |(), _| {
        stop.request();
        Err::<(), _>("real")
    });
    assert_eq!(outcomes.unwrap().get(0).unwrap().state(), State::Failed);
}

#[test]
fn the_time_that_remains_is_that_of_the_run_or_of_the_attempt() {
    let none = libpa::Options::new().map(&[()], |(), call| Ok::<_, Infallible>(call.remaining())).unwrap();
    assert_eq!(none.into_result().unwrap(), [None]);
    let options = Options::new().timeout(2 * HOUR).item_timeout(HOUR);
    let left = options.map(&[()], |(), call| Ok::<_, Infallible>(call.remaining())).unwrap().into_result().unwrap();
    assert!(left[0].unwrap() <= HOUR);
}

#[test]
fn an_attempt_that_outran_item_timeout_has_timed_out_and_its_value_is_dropped() {
    let alive = common::Alive::default();
    let outcomes = Options::new().item_timeout(Duration::from_millis(2)).map(&[()], |(), call| {
        wait_until_stopped(call);
        Ok::<_, Infallible>(alive.one())
    });
    let outcomes = outcomes.unwrap();
    assert!(matches!(outcomes.get(0).unwrap().result, Err(ItemError::TimedOut(None))));
    assert_eq!(alive.count(), 0);
}

#[test]
fn max_errors_is_told_before_the_failures() {
    let outcomes = Options::new().workers(1).window(1).max_errors(2).map(&[0; 10], |_, _| Err::<(), _>("bad")).unwrap();
    assert_eq!(outcomes.end(), End::Aborted);
    let error = outcomes.into_result().unwrap_err();
    assert_eq!(error.failures.len(), 10);
    let text = "the run was aborted, because too many items failed: 8 of 10 items were not done, 2 failed; the first, index 0: bad";
    assert_eq!(error.to_string(), text);
}

#[test]
fn max_errors_and_the_deadline_together_give_exactly_one_end() {
    for round in 0..300 {
        let timeout = Duration::from_micros(round % 30 * 10);
        let options = Options::new().workers(3).timeout(timeout).max_errors(3);
        let outcomes = options.map(&[(); 50], |(), _| Err::<(), _>("no")).unwrap();
        let not_done = match outcomes.end() {
            End::Aborted => State::Aborted,
            End::TimedOut => State::TimedOut,
            end => panic!("assertion failed: {end:?}"),
        };
        let failed = outcomes.iter().filter(|outcome| outcome.state() == State::Failed).count();
        assert!(outcomes.iter().all(|outcome| [State::Failed, not_done].contains(&outcome.state())));
        assert!(failed >= 3 || not_done == State::TimedOut);
    }
}

/// The deadline passes while the source is asked a fourth time, all items before being done. On a machine that is busy they may not
/// be: then with more time.
#[test]
fn a_timeout_while_nothing_runs_is_not_ok_though_all_entries_are() {
    let mut timeout = Duration::from_millis(5);
    loop {
        let (mut pulls, began) = (0, Instant::now());
        let source = std::iter::from_fn(|| {
            pulls += 1;
            if pulls <= 3 {
                return Some(pulls);
            }
            thread::sleep((2 * timeout).saturating_sub(began.elapsed()));
            None
        });
        let options = Options::new().workers(1).timeout(timeout);
        let outcomes = options.map_iter(source, |x, _| Ok::<i32, Infallible>(*x)).unwrap();
        assert_eq!(outcomes.end(), End::TimedOut);
        assert!(!outcomes.is_ok());
        let shown = outcomes.len() == 3 && outcomes.failed() == 0;
        assert_eq!(outcomes.into_result().unwrap_err().end, End::TimedOut);
        if shown && pulls == 4 {
            return;
        }
        timeout *= 2;
        assert!(timeout < HOUR);
    }
}

#[test]
fn after_a_run_that_timed_out_has_returned_no_attempt_is_made() {
    let calls = AtomicU32::new(0);
    let retry = Retry::attempts(9).backoff(Duration::from_secs(1)).jitter(false);
    let outcomes = Options::new().timeout(Duration::from_millis(100)).retry(retry).map(&[()], |(), _| {
        calls.fetch_add(1, SeqCst);
        Err::<(), _>("busy")
    });
    let outcome = outcomes.unwrap().into_iter().next().unwrap();
    assert_eq!((outcome.state(), outcome.attempts, calls.load(SeqCst)), (State::TimedOut, 1, 1));
    assert_eq!(outcome.result.unwrap_err().into_error(), Some("busy"));
}

#[test]
fn options_can_be_kept_and_used_from_several_threads() {
    let options = Options::new().workers(2).retry(quick(2));
    let sums = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let values = options.map(&[1, 2, 3], |x, _| Ok::<_, Infallible>(x * 2)).unwrap().into_result().unwrap();
                sums.lock().unwrap().push(values.iter().sum::<i32>());
            });
        }
    });
    assert_eq!(*sums.lock().unwrap(), [12; 4]);
}

#[test]
fn both_forms_of_retry_after_are_read_and_nothing_else_is() {
    assert_eq!(libpa::parse_retry_after(" 120 "), Some(Duration::from_secs(120)));
    assert_eq!(libpa::parse_retry_after("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
    for wrong in ["", "-1", "NaN", "inf", "1e999", "soon", "1\0"] {
        assert_eq!(libpa::parse_retry_after(wrong), None, "{wrong:?}");
    }
}

#[test]
fn the_version_is_that_of_the_crate() {
    let (major, minor, patch) = libpa::version();
    assert_eq!(format!("{major}.{minor}.{patch}"), env!("CARGO_PKG_VERSION"));
}

#[test]
fn the_duration_is_from_the_first_start_to_the_last_end_waits_included() {
    let wait = Duration::from_millis(20);
    let options = Options::new().retry(Retry::attempts(2).backoff(wait).jitter(false));
    let outcomes = options.map(&[()], |(), call| if call.attempt() == 1 { Err(()) } else { Ok(()) }).unwrap();
    assert!(outcomes.get(0).unwrap().duration >= wait);
}

#[test]
fn a_stop_inside_a_key_function_cancels_the_item_and_keeps_its_key() {
    let stop = StopToken::new().unwrap();
    let run = Options::new().stop(&stop).workers(1).window(1).item_key(|x: &i32| {
        stop.request();
        *x
    });
    let outcomes = run.map(&[7, 8], |_, _| -> Result<(), ()> { unreachable!("it is stopped") }).unwrap();
    let first = outcomes.get(0).unwrap();
    assert_eq!((first.state(), first.key), (State::Cancelled, Some(Key::Int(7))));
}

#[test]
fn what_max_errors_kept_from_running_is_not_paid_for() {
    let limiter = Limiter::new(Rate::new(1.0, HOUR).burst(10)).unwrap();
    let options = Options::new().workers(1).window(1).limiter(&limiter).max_errors(1);
    assert_eq!(options.map(&[(); 9], |(), _| Err::<(), _>(())).unwrap().end(), End::Aborted);
    assert_eq!(limiter.try_acquire(9).unwrap(), Acquired::Now);
}

#[test]
fn what_comes_behind_a_call_that_has_seen_the_stop_does_not_run() {
    let stop = StopToken::new().unwrap();
    let last = AtomicUsize::new(0);
    let run = |x: &usize, call: &libpa::Call| {
        last.fetch_max(*x, SeqCst);
        if *x == 5000 {
            stop.request();
            assert!(call.stopped());
        }
        Ok::<_, Infallible>(())
    };
    let items: Vec<usize> = (0..10_000).collect();
    let outcomes = Options::new().workers(1).stop(&stop).map(&items, run).unwrap();
    assert_eq!((outcomes.end(), last.load(SeqCst)), (End::Cancelled, 5000));
}
