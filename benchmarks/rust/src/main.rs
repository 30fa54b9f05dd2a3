//! Races of libpa's Rust binding against rayon: `bench-rust [--quick] OUTPUT.json`.
//!
//! What benchmarks/README.md says holds: contenders run by turns in one process, each from rest, on two threads; what counts is the
//! fastest of the rounds, and only ratios are told.

mod harness;
mod team;

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::hint::black_box;
use std::time::Instant;

use harness::{Contender, Race, Report};
use libpa::Options;
use rayon::prelude::*;
use team::Team;

const WORKERS: u32 = 2;

/// What a body could fail with; it never does, and the compiler can't know.
#[derive(Debug, Clone)]
struct TooLarge(#[allow(dead_code)] String);

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("too large")
    }
}

fn square(x: u64) -> u64 {
    x.wrapping_mul(x)
}

#[inline]
fn checked_square(x: u64, limit: u64) -> Result<u64, TooLarge> {
    if x < limit { Ok(square(x)) } else { Err(TooLarge(x.to_string())) }
}

/// A chain of multiplications, each of which waits for the one before.
#[inline(never)]
fn chain(steps: u64, seed: u64) -> u64 {
    (0..steps).fold(seed | 1, |x, _| x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407))
}

/// So many steps take a microsecond.
fn steps_of_a_microsecond() -> u64 {
    const STEPS: u64 = 100_000;
    let seed = RandomState::new().build_hasher().finish();
    let fastest = (0..300).map(|_| {
        let began = Instant::now();
        black_box(chain(black_box(STEPS), seed));
        began.elapsed().as_secs_f64()
    });
    (STEPS as f64 * 1e-6 / fastest.fold(f64::INFINITY, f64::min)) as u64
}

/// Every contender maps `items` into a vector that is new, and stays until the round is over.
fn race(report: &mut Report, row: &str, title: &str, rounds: usize, check: u64, mut contenders: [Contender<'_, Vec<u64>>; 3]) {
    let mut race = Race::new(title, rounds);
    race.run(&mut contenders, |values| assert_eq!(*values.last().unwrap(), check, "a wrong value must not be timed"));
    report.ratio(row, race.fastest("libpa") / race.fastest("rayon"));
    report.ratio(&format!("bare_{row}"), race.fastest("bare") / race.fastest("rayon"));
    report.race(&race);
}

fn main() {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let quick = arguments.first().is_some_and(|argument| argument == "--quick");
    if quick {
        arguments.remove(0);
    }
    let [output] = arguments.as_slice() else {
        eprintln!("usage: bench-rust [--quick] OUTPUT.json");
        std::process::exit(2);
    };

    rayon::ThreadPoolBuilder::new().num_threads(WORKERS as usize).build_global().unwrap();
    let options = Options::new().workers(WORKERS);
    let team = Team::new();
    let mut report = Report::default();
    let rounds = if quick { 15 } else { 31 };

    // Below 32 MiB results would come from the allocator's heap, and not be new.
    let items: Vec<u64> = (0..5_000_000).collect();
    let last = square(*items.last().unwrap());
    race(
        &mut report,
        "rust_sq_rayon",
        "x*x, Rust",
        rounds,
        last,
        [
            ("libpa", Box::new(|| options.map(&items, |x, _| Ok::<_, TooLarge>(square(*x))).unwrap().into_result().unwrap())),
            ("rayon", Box::new(|| items.par_iter().map(|x| square(*x)).collect())),
            ("bare", Box::new(|| team.map(&items, |x| Ok::<_, TooLarge>(square(*x))).unwrap())),
        ],
    );

    let limit = black_box(u64::MAX);
    race(
        &mut report,
        "rust_result_rayon",
        "x*x as Result, Rust",
        rounds,
        last,
        [
            ("libpa", Box::new(|| options.map(&items, |x, _| checked_square(*x, limit)).unwrap().into_result().unwrap())),
            ("rayon", Box::new(|| items.par_iter().map(|x| checked_square(*x, limit)).collect::<Result<_, _>>().unwrap())),
            ("bare", Box::new(|| team.map(&items, |x| checked_square(*x, limit)).unwrap())),
        ],
    );

    let steps = steps_of_a_microsecond();
    let few = &items[..if quick { 5_000 } else { 20_000 }];
    let last = chain(steps, *few.last().unwrap());
    race(
        &mut report,
        "rust_1us_rayon",
        "bodies of 1 us, Rust",
        rounds,
        last,
        [
            ("libpa", Box::new(|| options.map(few, |x, _| Ok::<_, TooLarge>(chain(steps, *x))).unwrap().into_result().unwrap())),
            ("rayon", Box::new(|| few.par_iter().map(|x| chain(steps, *x)).collect())),
            ("bare", Box::new(|| team.map(few, |x| Ok::<_, TooLarge>(chain(steps, *x))).unwrap())),
        ],
    );
    report.write(output).unwrap_or_else(|error| panic!("can't write {output}: {error}"));
}
