//! What concerns the whole process: signals and fork.

mod common;

use std::convert::Infallible;
use std::sync::OnceLock;

use common::wait_until_stopped;
use libpa::{Acquired, End, ErrorKind, Limiter, Options, Rate, State, StopToken};

static TO_STOP: OnceLock<StopToken> = OnceLock::new();

extern "C" fn stop_the_run(_: libc::c_int) {
    if let Some(stop) = TO_STOP.get() {
        stop.request();
    }
}

#[test]
fn a_signal_handler_may_stop_a_run_and_nothing_is_lost() {
    let stop = TO_STOP.get_or_init(|| StopToken::new().unwrap());
    // SAFETY: the handler does nothing but what is safe there.
    let before = unsafe { libc::signal(libc::SIGUSR1, stop_the_run as *const () as libc::sighandler_t) };
    let outcomes = Options::new().workers(4).stop(stop).map(&[(); 1000], |(), call| {
        if call.index() == 0 {
            // SAFETY: there is a handler.
            unsafe { libc::kill(libc::getpid(), libc::SIGUSR1) };
        }
        wait_until_stopped(call);
        Ok::<_, Infallible>(call.index())
    });
    // SAFETY: it is the one that was there.
    unsafe { libc::signal(libc::SIGUSR1, before) };
    let outcomes = outcomes.unwrap();
    assert_eq!((outcomes.end(), outcomes.len()), (End::Cancelled, 1000));
    assert_eq!(outcomes.get(0).unwrap().result.unwrap(), &0); // what was running keeps its outcome
    assert!(outcomes.failures().all(|(_, error)| error.state() == State::Cancelled));
}

/// Whether `check` returns true in a child of this process. It must not panic: the child has but this thread, and what others hold
/// stays locked there.
fn true_in_child(check: impl FnOnce() -> bool) -> bool {
    // SAFETY: the child calls libpa, which allows it, and ends without running anything of the parent's.
    unsafe {
        let child = libc::fork();
        if child == 0 {
            libc::_exit(if check() { 0 } else { 1 });
        }
        let mut status = 0;
        libc::waitpid(child, &raw mut status, 0) == child && libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0
    }
}

fn maps_100() -> bool {
    let limited = Options::new().workers(4).rate(Rate::per_second(1e6).burst(100));
    limited.map(&[1; 100], |x, _| Ok::<i32, Infallible>(*x)).is_ok_and(|outcomes| outcomes.is_ok())
}

#[test]
fn new_runs_work_in_a_forked_child() {
    assert!(maps_100()); // there are threads by now, but not in a child
    assert!(true_in_child(maps_100));
    assert!(maps_100());
}

#[test]
fn what_was_made_before_a_fork_says_so_in_the_child() {
    let limiter = Limiter::new(Rate::per_second(1000.0).burst(10)).unwrap();
    let limited = Options::new().limiter(&limiter);
    let stoppable = Options::new().stop(&StopToken::new().unwrap());
    let forked = |options: &Options| {
        let ended = options.map(&[(); 3], |(), _| Ok::<_, Infallible>(()));
        ended.is_err_and(|error| error.kind() == ErrorKind::Forked)
    };
    assert!(true_in_child(|| {
        let refused = limiter.try_acquire(1).is_err_and(|error| error.kind() == ErrorKind::Forked);
        refused && forked(&limited) && forked(&stoppable)
    }));
    assert_eq!(limiter.try_acquire(1).unwrap(), Acquired::Now); // the parent's goes on
}
