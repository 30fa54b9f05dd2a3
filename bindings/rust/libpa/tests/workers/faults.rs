//! Functions that fail, panic, crash or hang, and codecs that refuse.

use std::time::Duration;

use libpa::{Acquired, Batch, ErrorKind, ItemError, Limiter, Options, Outcomes, Process, Rate, Retry, State, WorkerError};
use libtest_mimic::Trial;

use crate::tasks::{Counted, tasks, texts, two};

pub fn trials() -> Vec<Trial> {
    trials![
        an_error_crosses_as_its_text_and_its_code,
        a_panic_is_its_items_error_and_not_repeated,
        a_segmentation_fault_costs_one_item,
        an_abort_costs_one_item,
        an_exit_costs_one_item,
        a_memory_limit_is_kept,
        what_hangs_is_killed,
        a_crash_can_be_repeated,
        a_poison_item_is_given_up,
        retry_if_sees_errors_and_crashes,
        a_servers_wait_replaces_the_backoff,
        a_servers_wait_pauses_the_limiter,
        a_storm_of_crashes_ends_the_run,
        a_batch_that_crashes_is_found_out_by_retries,
        a_batch_with_too_few_answers_has_none,
        what_a_codec_refuses_is_its_items_error_with_the_codecs_words,
        a_batch_runs_without_the_items_that_a_codec_refuses,
    ]
}

type Texts = Outcomes<String, WorkerError>;

/// One bad item among others.
const BAD: usize = 17;
const MANY: usize = 41;

fn with(bad: &str) -> Vec<String> {
    let mut items = vec!["say 1".to_owned(); MANY];
    items[BAD] = bad.into();
    items
}

fn run(bad: &str, options: &Options) -> Texts {
    options.map_task(&with(bad), &tasks().obey).unwrap()
}

/// What became of the bad item; the others have their values.
fn among_others(bad: &str, options: &Options) -> (ItemError<WorkerError>, u32) {
    let outcomes = run(bad, options);
    assert_eq!(outcomes.values().filter(|value| *value == "said 1").count(), MANY - 1, "{bad}");
    let outcome = outcomes.into_iter().nth(BAD).unwrap();
    (outcome.result.unwrap_err(), outcome.attempts)
}

fn crashed(error: ItemError<WorkerError>) -> WorkerError {
    assert_eq!(error.state(), State::Crashed, "{error:?}");
    match error {
        ItemError::Crashed(error) => error,
        other => panic!("assertion failed: {other:?}"),
    }
}

fn at_once(attempts: u32) -> Retry {
    Retry::attempts(attempts).backoff(Duration::ZERO)
}

fn an_error_crosses_as_its_text_and_its_code() {
    let (error, attempts) = among_others("fail 7", &two());
    let ItemError::Failed(error) = error else { panic!("assertion failed: {error:?}") };
    assert_eq!((error.message(), error.code(), attempts), ("failed with 7", Some(7), 1));
    assert_eq!((error.signal(), error.exit_code(), error.is_codec()), (None, None, false));
    let (error, _) = among_others("fail -7", &two());
    assert_eq!(error.error().unwrap().code(), Some(1)); // below 1 none is to be had
    let (error, _) = among_others("fail-long 1000", &two());
    assert_eq!(error.to_string(), "\u{20ac}".repeat(255)); // what fits into 1023 bytes, with those that C can't have
}

fn a_panic_is_its_items_error_and_not_repeated() {
    let (error, attempts) = among_others("panic 7", &two().retry(at_once(3)));
    assert_eq!((error.panic().unwrap().message(), attempts), ("panicked with 7", 1));
    let (_, attempts) = among_others("panic 7", &two().retry(at_once(3).panics(true)));
    assert_eq!(attempts, 3);
    let recovered = run("panic-once", &two().retry(at_once(3).panics(true)));
    assert_eq!(recovered.get(BAD).unwrap().result.unwrap(), "at last, attempt 2");
}

fn a_segmentation_fault_costs_one_item() {
    let (error, attempts) = among_others("segfault", &two());
    let error = crashed(error);
    assert_eq!((error.signal(), error.exit_code(), error.code(), attempts), (Some(libc::SIGSEGV), None, None, 1));
    assert!(error.message().starts_with("its worker process was killed by signal 11"), "{error}");
}

fn an_abort_costs_one_item() {
    let (error, _) = among_others("abort", &two());
    assert_eq!(crashed(error).signal(), Some(libc::SIGABRT));
    let (error, _) = among_others("kill", &two());
    assert_eq!(crashed(error).signal(), Some(libc::SIGKILL));
    let fail_fast = two().workers(1).window(1).max_errors(1);
    let error = fail_fast.map_task(&texts(["abort", "say 1"]), &tasks().obey).unwrap().into_result().unwrap_err().to_string();
    assert!(
        error.ends_with(
            "1 of 2 items were not done, 1 failed; the first, index 0: its worker process was killed by signal 6 (SIGABRT)"
        ),
        "{error}"
    );
}

fn an_exit_costs_one_item() {
    for status in [3, 0] {
        let (error, _) = among_others(&format!("exit {status}"), &two());
        let error = crashed(error);
        assert_eq!((error.exit_code(), error.signal()), (Some(status), None));
        assert_eq!(error.message(), format!("its worker process exited with status {status}"));
    }
}

fn a_memory_limit_is_kept() {
    let options = two().process(Process::new().memory_limit(64 << 20));
    let outcomes = options.map_task(&texts(["eat 1000000", "eat 500000000", "eat 1000000"]), &tasks().obey).unwrap();
    assert_eq!(outcomes.values().collect::<Vec<_>>(), ["1000000", "1000000"]);
    assert_eq!(outcomes.get(1).unwrap().result.unwrap_err().to_string(), "no memory");
}

fn what_hangs_is_killed() {
    let mut outcomes = None;
    for timeout in [50, 500, 5000, 50_000] {
        let tried = run("hang", &two().item_timeout(Duration::from_millis(timeout)));
        let enough = tried.failed() == 1;
        outcomes = Some(tried);
        if enough {
            break; // on a busy machine others time out as well
        }
    }
    let outcome = outcomes.unwrap().into_iter().nth(BAD).unwrap();
    assert!(matches!(outcome.result, Err(ItemError::TimedOut(None))), "{outcome:?}");
}

fn a_crash_can_be_repeated() {
    let outcomes = run("abort-once", &two().retry(at_once(2)));
    let outcome = outcomes.get(BAD).unwrap();
    assert_eq!((outcome.result.unwrap().as_str(), outcome.attempts), ("at last, attempt 2", 2));
    assert_eq!(outcomes.failed(), 0);
}

fn a_poison_item_is_given_up() {
    let process = Process::new().crash_attempts(2);
    let (error, attempts) = among_others("abort", &two().process(process).retry(at_once(100)));
    crashed(error);
    assert_eq!(attempts, 2);
}

fn retry_if_sees_errors_and_crashes() {
    let items = texts(["fail 7", "fail 8", "abort", "exit 3", "abort-once"]);
    let retry = two().retry(at_once(3));
    let retry = retry.retry_if(|error: &WorkerError| error.code() == Some(7) || error.signal() == Some(libc::SIGABRT));
    let outcomes = retry.map_task(&items, &tasks().obey).unwrap();
    let attempts: Vec<_> = outcomes.iter().map(|outcome| outcome.attempts).collect();
    assert_eq!(attempts, [3, 1, 3, 1, 2]);
}

fn a_servers_wait_replaces_the_backoff() {
    let hours = Retry::attempts(2).backoff(Duration::from_secs(36_000)).max_delay(Duration::from_secs(36_000));
    let run = two().retry(hours).timeout(Duration::from_secs(60)); // so that it ends
    let outcomes = run.map_task(&texts(["later", "error-later"]), &tasks().obey).unwrap();
    assert_eq!(outcomes.into_result().unwrap(), ["at last, attempt 2", "at last, attempt 2"]);
}

fn a_servers_wait_pauses_the_limiter() {
    let limiter = Limiter::new(Rate::per_second(1000.0).burst(10)).unwrap();
    let outcomes = two().limiter(&limiter).map_task(&texts(["paused"]), &tasks().obey).unwrap();
    assert_eq!(outcomes.failed(), 1);
    assert_ne!(limiter.try_acquire(1).unwrap(), Acquired::Now);
}

fn a_storm_of_crashes_ends_the_run() {
    let items = vec!["kill".to_owned(); 1000];
    let mut salvaged = None;
    let options = two().process(Process::new().max_crashes(10));
    let error = options.salvage(&mut salvaged).map_task(&items, &tasks().obey).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WorkersLost);
    assert!(error.to_string().contains("died in a row"), "{error}");
    let outcomes = salvaged.unwrap();
    let crashes = outcomes.iter().filter(|outcome| outcome.state() == State::Crashed).count();
    let aborted = outcomes.iter().filter(|outcome| outcome.state() == State::Aborted).count();
    assert!((1..=12).contains(&crashes) && crashes + aborted == 1000, "{crashes} {aborted}");

    let mut stream = two().process(Process::new().max_crashes(10)).stream_task(items, &tasks().obey).unwrap();
    let last = stream.by_ref().last().unwrap();
    assert_eq!(last.unwrap_err().kind(), ErrorKind::WorkersLost);
}

fn a_batch_that_crashes_is_found_out_by_retries() {
    let options = two().retry(at_once(2)).batch(Batch::of(10));
    let outcomes = options.map_task(&with("abort"), &tasks().obey_all).unwrap();
    assert_eq!(outcomes.failed(), 1);
    assert_eq!(outcomes.get(BAD).unwrap().state(), State::Crashed);
}

fn a_batch_with_too_few_answers_has_none() {
    let outcomes = two().batch(Batch::of(3)).map_task(&texts(["say 1", "no answer", "say 2"]), &tasks().obey_all).unwrap();
    assert!(outcomes.failures().all(|(_, error)| matches!(error, ItemError::Unanswered)), "{outcomes:?}");
    assert_eq!(outcomes.failed(), 3);
}

/// The steps of `Picky`: the item is written and read, the value is written and read.
const STEPS: std::ops::RangeInclusive<u64> = 1..=4;

fn check_refusals(outcomes: &Outcomes<Counted, WorkerError>) {
    assert_eq!(outcomes.failed(), 8);
    for step in STEPS {
        let refused = outcomes.get(step as usize).unwrap();
        let ItemError::Failed(error) = refused.result.unwrap_err() else { panic!("assertion failed: {outcomes:?}") };
        assert_eq!((error.message(), error.is_codec(), error.code()), (format!("step {step} refused").as_str(), true, None));
        let panicked = outcomes.get(step as usize + 10).unwrap().result.unwrap_err();
        assert_eq!(panicked.panic().unwrap().message(), format!("step {step} panicked"));
    }
    assert!(
        outcomes
            .values()
            .map(|value| value.0)
            .eq((0..20).filter(|x| !STEPS.contains(x) && !(11..=14).contains(x)).map(|x| x + 1000))
    );
}

fn what_a_codec_refuses_is_its_items_error_with_the_codecs_words() {
    let items: Vec<_> = (0..20).map(Counted::new).collect();
    check_refusals(&two().map_task(&items, &tasks().counted).unwrap());
    let again = two().retry(at_once(2)).map_task_iter((0..20).map(Counted::new), &tasks().counted).unwrap();
    check_refusals(&again);
    assert_eq!((again.get(1).unwrap().attempts, again.get(11).unwrap().attempts), (2, 1));
    let mut words = Vec::new();
    for outcome in two().ordered(true).stream_task((0..20).map(Counted::new), &tasks().counted).unwrap() {
        words.extend(outcome.unwrap().result.err().map(|error| error.to_string()));
    }
    assert_eq!(words[3..5], ["step 4 refused", "panicked: step 1 panicked"]);
}

fn a_batch_runs_without_the_items_that_a_codec_refuses() {
    let items: Vec<_> = (0..20).map(Counted::new).collect();
    check_refusals(&two().batch(Batch::of(20)).map_task(&items, &tasks().count_all).unwrap());
    let none = two().batch(Batch::of(2)).map_task(&items[1..3], &tasks().count_all).unwrap();
    assert_eq!(none.failures().map(|(_, error)| error.to_string()).collect::<Vec<_>>(), ["step 1 refused", "step 2 refused"]);
}
