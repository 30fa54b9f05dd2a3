//! The cases of conformance/cases, as conformance/README.md describes them. A field that is not known is an error.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    pub name: String,
    #[serde(rename = "row")]
    _row: String,
    pub calls: Vec<CallKind>,
    pub inputs: Inputs,
    pub function: Function,
    #[serde(default)]
    pub options: Options,
    pub expect: Expect,
    #[serde(default)]
    pub not: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum CallKind {
    Map,
    Source,
    Stream,
    Ordered,
    Batch,
    BatchSource,
    BatchStream,
    BatchOrdered,
}

impl CallKind {
    pub fn is_stream(self) -> bool {
        matches!(self, Self::Stream | Self::Ordered | Self::BatchStream | Self::BatchOrdered)
    }
}

#[derive(Clone, Deserialize)]
#[serde(untagged)]
pub enum Inputs {
    List(Vec<i64>),
    Made(MadeInputs),
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MadeInputs {
    pub count: Option<i64>,
    #[serde(default)]
    pub endless: bool,
    pub hint: Option<usize>,
    pub fails_at: Option<usize>,
    #[serde(default)]
    pub one_by_one: bool,
}

#[derive(Clone, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case", deny_unknown_fields)]
pub enum Function {
    Square,
    Nothing,
    FailOnOdd,
    FailAlways,
    FailTimes { times: u32 },
    FailForGoodOnOdd,
    Throttle { times: u32, wait_ns: u64 },
    CrashOnOdd,
    StopAt { x: i64 },
    UntilStopped,
    UntilStoppedOk,
    UntilStoppedAt { x: i64 },
    Short { missing: usize },
}

#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    pub workers: Option<u32>,
    pub window: Option<u64>,
    pub batch_size: Option<u64>,
    pub batch: Option<Batch>,
    pub limiter: Option<Rate>,
    pub rate: Option<Rate>,
    pub rate_cost: Option<u64>,
    pub retry: Option<Retry>,
    pub timeout_ns: Option<i64>,
    pub item_timeout_ns: Option<i64>,
    pub max_errors: Option<u64>,
    pub stop: Option<Stop>,
    pub on_progress: Option<Callback>,
    pub on_result: Option<Callback>,
    pub item_key: Option<Naming>,
    pub worker_start: Option<WorkerStart>,
    #[serde(default)]
    pub inline: bool,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Batch {
    pub max_items: Option<u64>,
    pub linger_ns: Option<i64>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    pub count: Value,
    pub per_ns: i64,
    pub burst: u64,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    pub attempts: u32,
    pub backoff_ns: Option<i64>,
    pub max_delay_ns: Option<i64>,
    pub jitter: Option<bool>,
    pub max_server_wait_ns: Option<i64>,
}

#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(untagged)]
pub enum Stop {
    There(bool),
    Requested(RequestedStop),
}

#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum RequestedStop {
    Requested,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(untagged)]
pub enum Callback {
    Counts(bool),
    Fails(FailsAt),
}

impl Callback {
    pub fn is_there(self) -> bool {
        !matches!(self, Self::Counts(false))
    }

    pub fn fails_at(self) -> Option<i64> {
        match self {
            Self::Counts(_) => None,
            Self::Fails(FailsAt { fails_at }) => Some(fails_at),
        }
    }
}

#[derive(Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FailsAt {
    pub fails_at: i64,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(untagged)]
pub enum Naming {
    Kind(NamingKind),
    Fails(FailsAt),
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NamingKind {
    Int,
    String,
    Mixed,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(untagged)]
pub enum WorkerStart {
    Counts(bool),
    Fails(Fails),
}

impl WorkerStart {
    pub fn is_there(self) -> bool {
        !matches!(self, Self::Counts(false))
    }
}

#[derive(Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fails {
    pub fails: bool,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    pub error: Option<String>,
    pub message_has: Option<String>,
    pub end: Option<String>,
    pub ok: Option<bool>,
    pub count: Option<usize>,
    pub stream_count: Option<usize>,
    pub values: Option<Vec<Option<i64>>>,
    pub states: Option<States>,
    pub stream_states: Option<States>,
    pub messages: Option<BTreeMap<usize, String>>,
    pub attempts: Option<Attempts>,
    pub keys: Option<Vec<Value>>,
    pub calls: Option<u64>,
    pub calls_at_most: Option<u64>,
    pub calls_at_least: Option<u64>,
    pub most_at_once: Option<u64>,
    pub delivered_at_most: Option<u64>,
    pub progress: Option<[u64; 3]>,
    pub results: Option<u64>,
    pub in_order: Option<bool>,
    pub workers_started_at_most: Option<u64>,
    pub workers_started_at_least: Option<u64>,
}

#[derive(Clone, Deserialize)]
#[serde(untagged)]
pub enum States {
    Each(Vec<String>),
    Counts(BTreeMap<String, usize>),
}

#[derive(Clone, Deserialize)]
#[serde(untagged)]
pub enum Attempts {
    All(u32),
    Each(Vec<u32>),
}
