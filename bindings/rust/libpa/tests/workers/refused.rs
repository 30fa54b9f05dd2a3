//! Runs that can't be: options, programs that are no workers, tasks that workers do not know.

use std::convert::Infallible;
use std::time::Duration;

use libpa::{ErrorKind, Options, Process, Raw, State};
use libtest_mimic::Trial;

use crate::tasks::{tasks, two};

pub fn trials() -> Vec<Trial> {
    trials![
        options_that_make_no_sense_are_refused_before_any_work,
        a_name_is_taken_once,
        a_program_that_never_asks_is_refused_unless_it_names_its_workers,
        a_task_that_workers_do_not_know_ends_the_run,
        a_worker_that_can_not_start_ends_the_run,
        a_program_that_is_not_there_ends_the_run,
        a_program_that_is_no_worker_ends_the_run,
        a_program_that_never_serves_ends_the_run,
    ]
}

fn refused(options: &Options) -> String {
    let error = options.map_task(&[1, 2], &tasks().square).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    let of_stream = options.stream_task([1, 2], &tasks().square).unwrap_err();
    assert_eq!(of_stream.kind(), ErrorKind::Invalid, "{of_stream}");
    error.to_string()
}

fn options_that_make_no_sense_are_refused_before_any_work() {
    let process = |process: Process| refused(&two().process(process));
    assert_eq!(process(Process::new().crash_attempts(0)), "options.process->crash_attempts must be >= 1, got 0");
    assert_eq!(process(Process::new().max_crashes(0)), "options.process->max_crashes must be >= 1, got 0");
    assert_eq!(process(Process::new().start_timeout(Duration::ZERO)), "options.process->start_timeout_ns must be > 0, got 0");
    assert_eq!(process(Process::new().command([""; 0])), "options.process->command must name a program, or be NULL");
    assert_eq!(process(Process::new().directory("/nowhere")), "options.process->directory can't be entered: \"/nowhere\"");
    assert_eq!(process(Process::new().directory("a\0b")), "options.process->directory must have no byte 0, got \"a\\0b\"");
    assert_eq!(process(Process::new().command(["a\0b"])), "options.process->command must have no byte 0, got \"a\\0b\"");
    assert!(process(Process::new().environment([("A", "\0")])).starts_with("options.process->environment must have no byte 0"));
    assert_eq!(refused(&two().workers(70_000)), "options.workers must be 0 (the usable CPUs) to 65535, got 70000");
    assert_eq!(refused(&two().inline()), "options.inline must be false for a task, which runs in worker processes");

    let by_thread = two().process(Process::new()).map(&[1], |x, _| Ok::<i32, Infallible>(*x)).unwrap_err();
    assert_eq!(by_thread.to_string(), "options.process must be NULL but for PA_EXECUTOR_PROCESSES");
    let detached = two().detach(true).map_task(&[1, 2], &tasks().square).unwrap_err();
    assert!(detached.to_string().starts_with("options.detach must be false"), "{detached}");
    let started = two().worker_start(|| ()).map_task(&[1, 2], &tasks().square).unwrap_err();
    assert!(started.to_string().starts_with("options.worker_start must be NULL"), "{started}");
    let waits = two().retry_after(|_| None).map_task(&[1, 2], &tasks().square).unwrap_err();
    assert!(waits.to_string().starts_with("options.retry_after must not be set for a task"), "{waits}");
}

fn a_name_is_taken_once() {
    let register =
        |name: &str| libpa::task(name, |text: String, _| Ok::<_, Infallible>(text)).register(Raw).map(|task| task.name().len());
    assert_eq!(register("taken").unwrap(), 5);
    assert_eq!(register("taken").unwrap_err().to_string(), "there is another task by the name of \"taken\"");
    assert_eq!(register("").unwrap_err().to_string(), "name must not be empty");
    assert_eq!(register(&"x".repeat(256)).unwrap_err().to_string(), "name must have at most 255 bytes, got 256");
    assert_eq!(register("a\0b").unwrap_err().kind(), ErrorKind::Invalid);
}

/// The argument by which this program plays one that never calls `worker_main`.
pub const NEVER_ASKS: &str = "never-asks";

pub fn say_why() {
    let error = two().map_task(&[1, 2], &tasks().square).unwrap_err();
    println!("{:?}: {error}", error.kind());
    let workers = Process::new().command([std::env::current_exe().unwrap()]);
    println!("{:?}", two().process(workers).map_task(&[3], &tasks().square).unwrap().into_result().unwrap());
}

fn a_program_that_never_asks_is_refused_unless_it_names_its_workers() {
    let program = std::env::current_exe().unwrap();
    let said = std::process::Command::new(program).arg(NEVER_ASKS).output().unwrap();
    let expected = "Invalid: the program must call libpa::worker_main at the beginning of main, to be run again as a worker; or set \
                    Process::command\n[9]\n";
    assert_eq!(String::from_utf8(said.stdout).unwrap(), expected);
}

fn a_task_that_workers_do_not_know_ends_the_run() {
    let late = libpa::task("too late", |text: String, _| Ok::<_, Infallible>(text)).register(Raw).unwrap();
    let error = two().map_task(&["x".into()], &late).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WorkerStart);
    assert!(error.to_string().contains("\"too late\": no task of that name is registered in the worker"), "{error}");
}

fn a_worker_that_can_not_start_ends_the_run() {
    let mut salvaged = None;
    let error = two().salvage(&mut salvaged).map_task(&[(); 10], &tasks().never_starts).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WorkerStart);
    assert!(error.to_string().contains("\"never starts\": worker_start failed"), "{error}");
    assert!(salvaged.unwrap().iter().all(|outcome| (outcome.state(), outcome.attempts) == (State::Aborted, 0)));
}

fn without_workers(process: Process) -> libpa::Error {
    two().process(process).map_task(&[1, 2], &tasks().square).unwrap_err()
}

fn a_program_that_is_not_there_ends_the_run() {
    let error = without_workers(Process::new().command(["/nowhere/worker"]));
    assert_eq!(error.kind(), ErrorKind::System);
    assert!(error.to_string().contains("/nowhere/worker: No such file"), "{error}");
}

fn a_program_that_is_no_worker_ends_the_run() {
    let error = without_workers(Process::new().command(["true"]));
    assert_eq!(error.kind(), ErrorKind::WorkersLost);
    assert!(error.to_string().contains("exited with status 0 before"), "{error}");
}

fn a_program_that_never_serves_ends_the_run() {
    let error = without_workers(Process::new().command(["sleep", "1000"]).start_timeout(Duration::from_millis(50)));
    assert_eq!(error.kind(), ErrorKind::WorkersLost);
    assert!(error.to_string().contains("start_timeout"), "{error}");
}
