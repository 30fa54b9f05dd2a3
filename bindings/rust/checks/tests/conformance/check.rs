//! Compares what came of a run with what the case expects.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::fmt::Debug;

use libpa::{End, ErrorKind, Key, Outcome, State};
use serde_json::Value as Json;

use crate::case::{Attempts, Expect, States};
use crate::run::{Seen, Value};
use crate::world::Failure;

fn same<V: PartialEq + Debug>(what: &str, got: V, expected: V) -> Result<(), String> {
    if got == expected { Ok(()) } else { Err(format!("{what}: expected {expected:?}, got {got:?}")) }
}

fn holds(what: &str, condition: bool) -> Result<(), String> {
    if condition { Ok(()) } else { Err(format!("this does not hold: {what}")) }
}

fn kind_name(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Invalid => "INVALID",
        ErrorKind::Source => "SOURCE",
        ErrorKind::Key => "KEY",
        ErrorKind::Callback => "CALLBACK",
        ErrorKind::WorkerStart => "WORKER_START",
        _ => "another",
    }
}

fn end_name(end: End) -> &'static str {
    match end {
        End::Completed => "COMPLETED",
        End::TimedOut => "TIMED_OUT",
        End::Aborted => "ABORTED",
        End::Cancelled => "CANCELLED",
        End::Failed => "FAILED",
        _ => "another",
    }
}

fn state_name(state: State) -> &'static str {
    match state {
        State::Ok => "OK",
        State::Failed => "FAILED",
        State::TimedOut => "TIMED_OUT",
        State::Aborted => "ABORTED",
        State::Cancelled => "CANCELLED",
        _ => "another",
    }
}

pub fn check(expect: &Expect, seen: &Seen, is_stream: bool) -> Result<(), String> {
    check_error(expect, seen)?;
    if let Some(end) = &expect.end {
        same("end", seen.end.map(end_name), Some(end))?;
    }
    if let Some(ok) = expect.ok {
        same("ok", seen.end == Some(End::Completed) && seen.outcomes.iter().all(Outcome::is_ok), ok)?;
    }
    let (count, states) = match is_stream {
        true => (expect.stream_count.or(expect.count), expect.stream_states.as_ref().or(expect.states.as_ref())),
        false => (expect.count, expect.states.as_ref()),
    };
    if let Some(count) = count {
        same("count", seen.outcomes.len(), count)?;
    }
    if let Some(states) = states {
        check_states(states, &seen.outcomes)?;
    }
    for outcome in &seen.outcomes {
        check_outcome(expect, outcome).map_err(|wrong| format!("item {}: {wrong}", outcome.index))?;
    }
    for index in expect.messages.iter().flat_map(BTreeMap::keys) {
        holds("there is an outcome for each message", seen.outcomes.iter().any(|outcome| outcome.index == *index))?;
    }
    if expect.in_order == Some(true) || !is_stream {
        holds("outcomes come in input order", seen.outcomes.is_sorted_by_key(|outcome| outcome.index))?;
    }
    check_counters(expect, seen)
}

fn check_error(expect: &Expect, seen: &Seen) -> Result<(), String> {
    same("error", seen.error.as_ref().map(|error| kind_name(error.kind())), expect.error.as_deref())?;
    let Some(error) = &seen.error else { return Ok(()) };
    if let Some(part) = &expect.message_has {
        holds(&format!("{:?} has {part:?}", error.to_string()), error.to_string().contains(part))?;
    }
    let own = match error.kind() {
        ErrorKind::Source => "source failed",
        ErrorKind::Key => "key failed",
        ErrorKind::Callback => "callback failed",
        ErrorKind::WorkerStart => "worker failed",
        _ => return same("outcomes of what was refused", seen.outcomes.len(), 0),
    };
    same("the error that the runner returned", error.source().map(ToString::to_string), Some(own.to_owned()))
}

fn check_states(states: &States, outcomes: &[Outcome<Value, Failure>]) -> Result<(), String> {
    match states {
        States::Each(each) => {
            for outcome in outcomes {
                let expected = each.get(outcome.index).map(String::as_str);
                same(&format!("state of item {}", outcome.index), Some(state_name(outcome.state())), expected)?;
            }
            Ok(())
        }
        States::Counts(counts) => {
            let mut got = BTreeMap::new();
            for outcome in outcomes {
                *got.entry(state_name(outcome.state()).to_owned()).or_insert(0) += 1;
            }
            same("states", &got, counts)
        }
    }
}

fn check_outcome(expect: &Expect, outcome: &Outcome<Value, Failure>) -> Result<(), String> {
    let index = outcome.index;
    if let Some(values) = &expect.values {
        same("value", outcome.result.as_ref().ok().copied().flatten(), values.get(index).copied().flatten())?;
    }
    if let Some(message) = expect.messages.as_ref().and_then(|messages| messages.get(&index)) {
        let got = outcome.result.as_ref().map_or_else(ToString::to_string, |_| String::new());
        holds(&format!("{got:?} has {message:?}"), got.contains(message))?;
    }
    match &expect.attempts {
        Some(Attempts::All(attempts)) => same("attempts", outcome.attempts, *attempts)?,
        Some(Attempts::Each(each)) => same("attempts", Some(&outcome.attempts), each.get(index))?,
        None => {}
    }
    if let Some(keys) = &expect.keys {
        let got = match &outcome.key {
            None => Json::Null,
            Some(Key::Int(number)) => Json::from(*number),
            Some(Key::Text(text)) => Json::from(text.as_str()),
            Some(Key::Bytes(bytes)) => serde_json::json!({"bytes": String::from_utf8_lossy(bytes)}),
        };
        same("key", Some(&got), keys.get(index))?;
    }
    Ok(())
}

fn check_counters(expect: &Expect, seen: &Seen) -> Result<(), String> {
    if let Some(calls) = expect.calls {
        same("calls", seen.calls, calls)?;
    }
    let most = [
        ("calls", seen.calls, expect.calls_at_most),
        ("calls at once", seen.most_at_once, expect.most_at_once),
        ("delivered", seen.delivered, expect.delivered_at_most),
        ("workers started", seen.workers_started, expect.workers_started_at_most),
    ];
    for (what, got, at_most) in most {
        holds(&format!("{what}: {got} is at most {at_most:?}"), at_most.is_none_or(|limit| got <= limit))?;
    }
    let least =
        [("calls", seen.calls, expect.calls_at_least), ("workers started", seen.workers_started, expect.workers_started_at_least)];
    for (what, got, at_least) in least {
        holds(&format!("{what}: {got} is at least {at_least:?}"), at_least.is_none_or(|limit| got >= limit))?;
    }
    if expect.error.as_deref() != Some("WORKER_START") {
        same("workers stopped", seen.workers_stopped, seen.workers_started)?;
    }
    if let Some(progress) = expect.progress {
        same("progress", seen.progress, progress)?;
    }
    if let Some(results) = expect.results {
        same("results", seen.results, results)?;
    }
    Ok(())
}
