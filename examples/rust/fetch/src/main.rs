//! fetch: gets many pages over HTTP, in parallel and politely, with ureq and libpa.
//!
//!     fetch [-w WORKERS] [-r REQUESTS_PER_SECOND] [-a ATTEMPTS] URLS REPORT
//!
//! URLS is a file with one address on each line. REPORT gets one line for each address, in the same order, with these fields between
//! tabs: state, attempts, how many of them were answered 429, SHA-256 of the body, address, why it failed.
//!
//! Exit status: 0 all pages are there, 1 some are not, 2 it could not begin, 130 stopped by Ctrl-C.

mod page;
mod report;

use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use libpa::{BoxError, End, Limiter, Options, Outcomes, Rate, Retry, StopToken};
use page::{Address, Failure, Fetcher, Page};
use signal_hook::consts::{SIGINT, SIGTERM};

const CANNOT_BEGIN: u8 = 2;
const STOPPED: u8 = 130;

struct Settings {
    workers: u32,
    requests_per_second: f64,
    attempts: u32,
    urls: String,
    report: String,
}

fn settings() -> Option<Settings> {
    let mut how = Settings { workers: 8, requests_per_second: 10.0, attempts: 5, urls: String::new(), report: String::new() };
    let (mut given, mut files) = (std::env::args().skip(1), Vec::new());
    while let Some(argument) = given.next() {
        match argument.as_str() {
            "-w" => how.workers = given.next()?.parse().ok()?,
            "-r" => how.requests_per_second = given.next()?.parse().ok()?,
            "-a" => how.attempts = given.next()?.parse().ok()?,
            _ if argument.starts_with('-') => return None,
            _ => files.push(argument),
        }
    }
    [how.urls, how.report] = files.try_into().ok()?;
    Some(how)
}

fn stop_on_signals() -> Result<StopToken, BoxError> {
    let stop = StopToken::new()?;
    for signal in [SIGINT, SIGTERM] {
        let stop = stop.clone();
        // SAFETY: a request is safe in a signal handler.
        unsafe { signal_hook::low_level::register(signal, move || stop.request())? };
    }
    Ok(stop)
}

fn fetch_all(addresses: &[Address], how: &Settings, stop: &StopToken) -> Result<Outcomes<Page, Failure>, libpa::Error> {
    let limiter = Limiter::new(Rate::per_second(how.requests_per_second))?; // any number of runs could share it, and so one quota
    let style = ProgressStyle::with_template("[{bar:40}] {pos} of {len} pages  {per_sec} ").expect("it is well formed");
    let bar = ProgressBar::new(addresses.len() as u64).with_style(style);
    let fetcher = Fetcher::new(how.workers);
    let outcomes = Options::new()
        .workers(how.workers)
        .limiter(&limiter)
        .stop(stop)
        .item_timeout(Duration::from_secs(30)) // a server that says nothing for so long has failed this attempt
        .retry(Retry::attempts(how.attempts).backoff(Duration::from_millis(200))) // when the server names no time
        .retry_if(Failure::is_worth_retrying)
        .retry_after(Failure::retry_after)
        .on_progress(|done, _| bar.set_position(done))
        .map(addresses, |address, call| fetcher.fetch(address, call));
    bar.abandon();
    outcomes
}

fn run(how: &Settings) -> Result<u8, BoxError> {
    let stop = stop_on_signals()?;
    let urls = std::fs::read_to_string(&how.urls).map_err(|error| format!("{}: {error}", how.urls))?;
    let addresses: Vec<Address> = urls.lines().filter(|line| !line.is_empty()).map(Address::new).collect();
    let began = Instant::now();
    let outcomes = fetch_all(&addresses, how, &stop)?;
    report::write(&outcomes, &addresses, &how.report).map_err(|error| format!("{}: {error}", how.report))?;
    report::summarise(&outcomes, &addresses, began.elapsed());
    Ok(if outcomes.end() == End::Cancelled { STOPPED } else { u8::from(!outcomes.is_ok()) })
}

fn main() -> ExitCode {
    let Some(how) = settings() else {
        eprintln!("usage: fetch [-w WORKERS] [-r REQUESTS_PER_SECOND] [-a ATTEMPTS] URLS REPORT");
        return CANNOT_BEGIN.into();
    };
    run(&how).map_or_else(cannot_begin, ExitCode::from)
}

fn cannot_begin(error: Box<dyn Error + Send + Sync>) -> ExitCode {
    eprintln!("fetch: {error}");
    CANNOT_BEGIN.into()
}
