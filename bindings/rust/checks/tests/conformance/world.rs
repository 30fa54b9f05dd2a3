//! What the functions of the cases do, and what is counted while they do it.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use libpa::{BoxError, Call, StopToken};

use crate::case::{Function, Inputs, MadeInputs};

/// What functions fail with.
#[derive(Clone, Debug)]
pub struct Failure {
    message: String,
    pub is_final: bool,
    pub wait: Option<Duration>,
}

impl Failure {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), is_final: false, wait: None }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// Counters of one run, and its stop token.
#[derive(Default)]
pub struct World {
    pub calls: AtomicU64,
    pub now: AtomicU64,
    pub most_at_once: AtomicU64,
    pub delivered: AtomicU64,
    pub workers_started: AtomicU64,
    pub workers_stopped: AtomicU64,
    pub stop: Option<StopToken>,
}

/// A call that is under way.
struct UnderWay<'w>(&'w World);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, SeqCst);
    }
}

impl World {
    fn enter(&self) -> UnderWay<'_> {
        self.calls.fetch_add(1, SeqCst);
        self.most_at_once.fetch_max(self.now.fetch_add(1, SeqCst) + 1, SeqCst);
        UnderWay(self)
    }

    pub fn run(&self, function: &Function, x: i64, call: &Call) -> Result<Option<i64>, Failure> {
        let _under_way = self.enter();
        self.answer(function, x, call)
    }

    pub fn run_batch<'x>(
        &self,
        function: &Function,
        items: impl ExactSizeIterator<Item = &'x i64> + Clone,
        call: &Call,
    ) -> Result<Vec<Result<Option<i64>, Failure>>, Failure> {
        let _under_way = self.enter();
        match function {
            Function::FailAlways | Function::UntilStopped => self.answer(function, 0, call).map(|_| Vec::new()),
            Function::Short { missing } => {
                let answered = items.len() - missing.min(&items.len());
                Ok(items.take(answered).map(|x| Ok(Some(x * x))).collect())
            }
            _ => Ok(items.map(|x| self.answer(function, *x, call)).collect()),
        }
    }

    fn answer(&self, function: &Function, x: i64, call: &Call) -> Result<Option<i64>, Failure> {
        let odd = x % 2 != 0;
        match function {
            Function::Nothing => return Ok(None),
            Function::FailOnOdd if odd => return Err(Failure::new(format!("odd: {x}"))),
            Function::FailAlways => return Err(Failure::new("always")),
            Function::FailTimes { times } if call.attempt() <= *times => {
                return Err(Failure::new(format!("attempt {}", call.attempt())));
            }
            Function::FailForGoodOnOdd if odd => {
                return Err(Failure { is_final: true, ..Failure::new(format!("final: {x}")) });
            }
            Function::FailForGoodOnOdd if call.attempt() == 1 => return Err(Failure::new("once")),
            Function::Throttle { times, wait_ns } if call.attempt() <= *times => {
                return Err(Failure { wait: Some(Duration::from_nanos(*wait_ns)), ..Failure::new("throttled") });
            }
            Function::CrashOnOdd if odd => panic!("crash: {x}"),
            Function::StopAt { x: at } if *at == x => self.stop.as_ref().expect("the case has a stop token").request(),
            Function::UntilStopped => return Err(give_up(call)),
            Function::UntilStoppedAt { x: at } if *at == x => return Err(give_up(call)),
            Function::UntilStoppedOk => wait_until_stopped(call),
            Function::Short { .. } => panic!("`short` is for batches"),
            _ => {}
        }
        Ok(Some(x * x))
    }
}

fn wait_until_stopped(call: &Call) {
    while !call.stopped() {
        std::thread::sleep(Duration::from_micros(100)); // there is nothing but to ask again
    }
}

fn give_up(call: &Call) -> Failure {
    wait_until_stopped(call);
    call.give_up(Failure::new("gave up"))
}

/// Delivers the inputs of a case.
pub struct Source<'w> {
    world: &'w World,
    next: usize,
    count: Option<usize>,
    list: Option<Vec<i64>>,
    hint: Option<usize>,
    one_by_one: bool,
    fails_at: Option<usize>,
}

impl<'w> Source<'w> {
    pub fn new(inputs: &Inputs, world: &'w World) -> Self {
        match inputs {
            Inputs::List(list) => {
                let (count, list) = (Some(list.len()), Some(list.clone()));
                Self { world, next: 0, count, list, hint: None, one_by_one: false, fails_at: None }
            }
            Inputs::Made(made) => {
                assert!(!(made.one_by_one && made.hint.is_some()), "an iterator that knows its length delivers many at a time");
                let count = if made.endless { None } else { Some(made.count.expect("a count") as usize) };
                let MadeInputs { hint, one_by_one, fails_at, .. } = *made;
                Self { world, next: 0, count, list: None, hint, one_by_one, fails_at }
            }
        }
    }
}

impl Iterator for Source<'_> {
    type Item = Result<i64, BoxError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.fails_at == Some(self.next) {
            return Some(Err("source failed".into()));
        }
        if self.count == Some(self.next) {
            return None;
        }
        let item = self.list.as_ref().map_or(self.next as i64, |list| list[self.next]);
        self.next += 1;
        self.world.delivered.fetch_add(1, SeqCst);
        Some(Ok(item))
    }

    /// An iterator delivers many at a time only if it says that it has them; and it knows its size only if both bounds agree.
    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.count.map_or(usize::MAX, |count| count - self.next);
        match self.hint {
            _ if self.one_by_one => (0, None),
            None => (left, None),
            Some(hint) => (hint, Some(hint)),
        }
    }
}

/// All at once, for the calls that take a slice.
pub fn list(inputs: &Inputs) -> Vec<i64> {
    match inputs {
        Inputs::List(list) => list.clone(),
        Inputs::Made(made) => (0..made.count.expect("a count")).collect(),
    }
}
