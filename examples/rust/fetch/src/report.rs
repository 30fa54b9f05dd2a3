//! What became of the pages.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use libpa::{Outcomes, State};

use crate::page::{Address, Failure, Page};

const FAILURES_SHOWN: usize = 10;

fn name_of(state: State) -> &'static str {
    match state {
        State::Ok => "ok",
        State::Failed => "failed",
        State::TimedOut => "timed out",
        State::Aborted => "aborted",
        State::Cancelled => "cancelled",
        _ => "unknown",
    }
}

pub fn write(outcomes: &Outcomes<Page, Failure>, addresses: &[Address], path: &str) -> io::Result<()> {
    let mut report = BufWriter::new(File::create(path)?);
    for (outcome, address) in outcomes.iter().zip(addresses) {
        let (state, attempts, refused) = (name_of(outcome.state()), outcome.attempts, address.refused.load(Relaxed));
        let (sha256, why) = match outcome.result {
            Ok(page) => (page.sha256.as_str(), String::new()),
            Err(error) => ("-", error.to_string()),
        };
        writeln!(report, "{state}\t{attempts}\t{refused}\t{sha256}\t{}\t{why}", address.url)?;
    }
    report.flush()
}

pub fn summarise(outcomes: &Outcomes<Page, Failure>, addresses: &[Address], took: Duration) {
    let is_not_done = |state| matches!(state, State::Cancelled | State::Aborted);
    let not_done = outcomes.failures().filter(|(_, error)| is_not_done(error.state())).count();
    let failed = outcomes.failed() - not_done;
    let size_bytes: u64 = outcomes.values().map(|page| page.size_bytes).sum();
    let attempts: u32 = outcomes.iter().map(|outcome| outcome.attempts).sum();
    let refused: u32 = addresses.iter().map(|address| address.refused.load(Relaxed)).sum();
    println!(
        "{} pages: {} fetched ({:.1} MB), {failed} failed, {not_done} not done; {attempts} attempts, of which {refused} were \
         answered 429; {:.2} s",
        outcomes.len(),
        outcomes.values().count(),
        size_bytes as f64 / 1e6,
        took.as_secs_f64()
    );
    for (index, error) in outcomes.failures().filter(|(_, error)| !is_not_done(error.state())).take(FAILURES_SHOWN) {
        let attempts = outcomes.get(index).map_or(0, |outcome| outcome.attempts);
        eprintln!("fetch: {}: {error} ({attempts} attempts)", addresses[index].url);
    }
}
