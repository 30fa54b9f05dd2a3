//! Worker processes. This program is its own worker: it has a main, and lists its tests by name.

macro_rules! trials {
    ($($test:ident),* $(,)?) => {
        vec![$(Trial::test(stringify!($test), || { $test(); Ok(()) })),*]
    };
}

#[path = "../common/mod.rs"]
mod common;
mod faults;
mod ownership;
mod refused;
mod runs;
mod tasks;

use libtest_mimic::Arguments;

fn main() {
    common::hush();
    tasks::register();
    if std::env::args().nth(1).is_some_and(|argument| argument == refused::NEVER_ASKS) {
        return refused::say_why(); // a worker, which has no arguments, does not come here
    }
    libpa::worker_main();
    let trials = [runs::trials(), faults::trials(), ownership::trials(), refused::trials()].into_iter().flatten().collect();
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(1); // they count what is alive, and end idle workers
    libtest_mimic::run(&arguments, trials).exit();
}
