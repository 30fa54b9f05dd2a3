//! Rounds, samples and the report, as benchmarks/harness.hpp has them.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// A name, and how it does the work.
pub type Contender<'a, V> = (&'static str, Box<dyn FnMut() -> V + 'a>);

pub struct Race {
    title: String,
    rounds: usize,
    samples: Vec<(&'static str, Vec<f64>)>,
}

impl Race {
    pub fn new(title: &str, rounds: usize) -> Self {
        Self { title: title.into(), rounds, samples: Vec::new() }
    }

    /// Every contender once in each round, another one first each time, and from rest; and one round before, which does not count.
    pub fn run<V>(&mut self, contenders: &mut [Contender<'_, V>], check: impl Fn(&V)) {
        self.samples = contenders.iter().map(|(name, _)| (*name, Vec::new())).collect();
        for round in 0..=self.rounds {
            let mut kept = Vec::new(); // so that no memory is handed from one contender to the next
            for turn in 0..contenders.len() {
                let at = (turn + round) % contenders.len();
                come_to_rest();
                let began = Instant::now();
                let values = (contenders[at].1)();
                let seconds = began.elapsed().as_secs_f64();
                check(&values);
                kept.push(values);
                if round > 0 {
                    self.samples[at].1.push(seconds);
                }
            }
        }
    }

    pub fn fastest(&self, contender: &str) -> f64 {
        let (_, samples) = self.samples.iter().find(|(name, _)| *name == contender).expect("a contender of this race");
        fastest_of(samples)
    }
}

fn fastest_of(samples: &[f64]) -> f64 {
    samples.iter().copied().fold(f64::INFINITY, f64::min)
}

fn median_of(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// rayon's threads look for work for a while after theirs is done, on a processor that the next contender wants.
fn come_to_rest() {
    let mut quiet = 0;
    for _ in 0..200 {
        let before = cpu_seconds();
        std::thread::sleep(Duration::from_millis(1));
        quiet = if cpu_seconds() - before < 100e-6 { quiet + 1 } else { 0 };
        if quiet == 2 {
            return;
        }
    }
}

/// That this process has used.
fn cpu_seconds() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is valid.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

/// A group file, as benchmarks/report.py reads it.
#[derive(Default)]
pub struct Report {
    rows: Vec<String>,
    contenders: Vec<String>,
}

impl Report {
    pub fn ratio(&mut self, row: &str, value: f64) {
        println!("  {row:<28} {value:.4}");
        self.rows.push(format!("{row:?}: {value}"));
    }

    pub fn race(&mut self, race: &Race) {
        for (name, samples) in &race.samples {
            let mut entry = format!("{{\"race\": {:?}, \"unit\": \"s\", \"contender\": {name:?}", race.title);
            let _ = write!(entry, ", \"fastest\": {}, \"median\": {}", fastest_of(samples), median_of(samples));
            let _ = write!(entry, ", \"samples\": {samples:?}}}");
            self.contenders.push(entry);
        }
    }

    pub fn write(&self, path: &str) -> std::io::Result<()> {
        let (rows, contenders) = (self.rows.join(",\n  "), self.contenders.join(",\n  "));
        std::fs::write(path, format!("{{\"rows\": {{\n  {rows}\n}},\n\"contenders\": [\n  {contenders}\n]}}\n"))
    }
}
