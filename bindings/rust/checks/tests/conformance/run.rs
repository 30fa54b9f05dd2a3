//! Runs a case by one of its calls, and compares what came with what was expected.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use libpa::{Batch, End, Error, ErrorKind, Key, Limiter, Options, Outcome, Rate, Retry, Run, StopToken, fallible};

use crate::case::{self, CallKind, Case, Naming, NamingKind, RequestedStop, Stop, WorkerStart};
use crate::check;
use crate::world::{Failure, Source, World, list};

pub type Value = Option<i64>;

/// What came of a run.
#[derive(Default)]
pub struct Seen {
    pub error: Option<Error>,
    pub end: Option<End>,
    pub outcomes: Vec<Outcome<Value, Failure>>,
    pub calls: u64,
    pub most_at_once: u64,
    pub delivered: u64,
    pub workers_started: u64,
    pub workers_stopped: u64,
    pub progress: [u64; 3],
    pub results: u64,
}

fn duration(ns: i64) -> Duration {
    Duration::from_nanos(u64::try_from(ns).expect("a Duration is never negative: the case must say `not` rust"))
}

fn number(value: &serde_json::Value) -> f64 {
    match value {
        serde_json::Value::String(text) if text == "NaN" => f64::NAN,
        serde_json::Value::String(text) if text == "Infinity" => f64::INFINITY,
        value => value.as_f64().expect("a number"),
    }
}

fn rate(given: &case::Rate) -> Rate {
    Rate::new(number(&given.count), duration(given.per_ns)).burst(given.burst)
}

fn retry(given: &case::Retry) -> Retry {
    let mut retry = Retry::attempts(given.attempts);
    if let Some(ns) = given.backoff_ns {
        retry = retry.backoff(duration(ns));
    }
    if let Some(ns) = given.max_delay_ns {
        retry = retry.max_delay(duration(ns));
    }
    if let Some(jitter) = given.jitter {
        retry = retry.jitter(jitter);
    }
    if let Some(ns) = given.max_server_wait_ns {
        retry = retry.max_server_wait(if ns == -1 { None } else { Some(duration(ns)) });
    }
    retry
}

fn options(given: &case::Options, stop: Option<&StopToken>, ordered: bool) -> Result<Options, Error> {
    let mut options = Options::new().ordered(ordered);
    if let Some(workers) = given.workers {
        options = options.workers(workers);
    }
    if let Some(window) = given.window {
        options = options.window(window);
    }
    if let Some(size) = given.batch_size {
        options = options.batch_size(size);
    }
    if let Some(batch) = given.batch {
        options = options.batch(Batch::of(batch.max_items.unwrap_or(0)).linger(duration(batch.linger_ns.unwrap_or(0))));
    }
    if let Some(given) = &given.limiter {
        options = options.limiter(&Limiter::new(rate(given))?);
    }
    if let Some(given) = &given.rate {
        options = options.rate(rate(given));
    }
    if let Some(tokens) = given.rate_cost {
        options = options.rate_cost(tokens);
    }
    if let Some(given) = &given.retry {
        options = options.retry(retry(given));
    }
    if let Some(ns) = given.timeout_ns {
        options = options.timeout(duration(ns));
    }
    if let Some(ns) = given.item_timeout_ns {
        options = options.item_timeout(duration(ns));
    }
    if let Some(errors) = given.max_errors {
        options = options.max_errors(errors);
    }
    if let Some(stop) = stop {
        options = options.stop(stop);
    }
    if given.inline {
        options = options.inline();
    }
    Ok(options)
}

fn stop_token(given: Option<Stop>) -> Option<StopToken> {
    let given = given.filter(|stop| *stop != Stop::There(false))?;
    let stop = StopToken::new().unwrap();
    if given == Stop::Requested(RequestedStop::Requested) {
        stop.request();
    }
    Some(stop)
}

fn key(naming: Naming, x: i64) -> Result<Key, &'static str> {
    Ok(match naming {
        Naming::Fails(at) if at.fails_at == x => return Err("key failed"),
        Naming::Kind(NamingKind::String) => Key::from(format!("k{x}")),
        Naming::Kind(NamingKind::Mixed) if x % 3 == 1 => Key::from(x.to_string()),
        Naming::Kind(NamingKind::Mixed) if x % 3 == 2 => Key::from(x.to_string().into_bytes()),
        _ => Key::from(x),
    })
}

/// Counters of callbacks.
#[derive(Default)]
struct Callbacks {
    progress: [AtomicU64; 3],
    results: AtomicU64,
}

fn with_hooks<'a>(
    options: Options,
    given: &case::Options,
    world: &'a World,
    callbacks: &'a Callbacks,
) -> Run<'a, i64, Value, Failure> {
    let mut run: Run<'a, i64, Value, Failure> =
        Run::from(options).retry_if(|e: &Failure| !e.is_final).retry_after(|e: &Failure| e.wait);
    if let Some(callback) = given.on_progress.filter(|callback| callback.is_there()) {
        run = run.on_progress(move |done, total| {
            let calls = callbacks.progress[0].fetch_add(1, SeqCst) + 1;
            callbacks.progress[1].store(done, SeqCst);
            callbacks.progress[2].store(total, SeqCst);
            if callback.fails_at() == Some(calls as i64) { Err("callback failed") } else { Ok(()) }
        });
    }
    if let Some(callback) = given.on_result.filter(|callback| callback.is_there()) {
        run = run.on_result(move |_| {
            let calls = callbacks.results.fetch_add(1, SeqCst) + 1;
            if callback.fails_at() == Some(calls as i64) { Err("callback failed") } else { Ok(()) }
        });
    }
    if let Some(naming) = given.item_key {
        run = run.try_item_key(move |x| key(naming, *x));
    }
    if let Some(start) = given.worker_start.filter(|start| start.is_there()) {
        run = run
            .worker_start(move || {
                world.workers_started.fetch_add(1, SeqCst);
                if matches!(start, WorkerStart::Fails(case::Fails { fails: true })) { Err("worker failed") } else { Ok(()) }
            })
            .worker_stop(|| {
                world.workers_stopped.fetch_add(1, SeqCst);
            });
    }
    run
}

pub fn run_case(case: &Case, by: CallKind) -> Result<(), String> {
    // A stream owns what it uses; so that it may be used here too, it is leaked, as it would be shared in a program.
    let stop = stop_token(case.options.stop);
    let world: &'static World = Box::leak(Box::new(World { stop: stop.clone(), ..World::default() }));
    let callbacks: &'static Callbacks = Box::leak(Box::new(Callbacks::default()));
    let mut seen = Seen::default();
    let ordered = matches!(by, CallKind::Ordered | CallKind::BatchOrdered);
    match options(&case.options, stop.as_ref(), ordered) {
        Err(error) => seen.error = Some(error),
        Ok(options) => start(with_hooks(options, &case.options, world, callbacks), case, by, world, &mut seen),
    }
    seen.calls = world.calls.load(SeqCst);
    seen.most_at_once = world.most_at_once.load(SeqCst);
    seen.delivered = world.delivered.load(SeqCst);
    seen.workers_started = world.workers_started.load(SeqCst);
    seen.workers_stopped = world.workers_stopped.load(SeqCst);
    seen.progress = callbacks.progress.each_ref().map(|counter| counter.load(SeqCst));
    seen.results = callbacks.results.load(SeqCst);
    check::check(&case.expect, &seen, by.is_stream())
}

fn start(run: Run<'static, i64, Value, Failure>, case: &Case, by: CallKind, world: &'static World, seen: &mut Seen) {
    let function = Arc::new(case.function.clone());
    let source = fallible(Source::new(&case.inputs, world));
    let one = {
        let function = function.clone();
        move |x: &i64, call: &libpa::Call| world.run(&function, *x, call)
    };
    let many = {
        let function = function.clone();
        move |items: &[&i64], call: &libpa::Call| world.run_batch(&function, items.iter().copied(), call)
    };
    if by.is_stream() {
        let opened = match by {
            CallKind::Stream | CallKind::Ordered => run.stream(source, one),
            _ => run.stream_batch(source, many),
        };
        match opened {
            Err(error) => seen.error = Some(error),
            Ok(stream) => read(stream, seen),
        }
        return;
    }
    let mut salvaged = None;
    let run = Run::salvage(run, &mut salvaged);
    let outcomes = match by {
        CallKind::Map => run.map(&list(&case.inputs), one),
        CallKind::Source => run.map_iter(source, one),
        CallKind::Batch => run.map_batch(&list(&case.inputs), |items, call| world.run_batch(&function, items.iter(), call)),
        _ => run.map_batch_iter(source, many),
    };
    let outcomes = match outcomes {
        Ok(outcomes) => Some(outcomes),
        Err(error) => {
            seen.error = Some(error);
            salvaged
        }
    };
    if let Some(outcomes) = outcomes {
        seen.end = Some(outcomes.end());
        seen.outcomes = outcomes.into_iter().collect();
    }
}

fn read(mut stream: libpa::Stream<Value, Failure>, seen: &mut Seen) {
    for outcome in &mut stream {
        match outcome {
            Ok(outcome) => seen.outcomes.push(outcome),
            // That it ended early is told by the end as well.
            Err(error) if matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::Aborted | ErrorKind::Cancelled) => {}
            Err(error) => seen.error = Some(error),
        }
    }
    seen.end = stream.end();
}
