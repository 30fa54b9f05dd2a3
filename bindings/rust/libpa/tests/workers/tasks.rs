//! What the workers can do.

use std::convert::Infallible;
use std::fmt;
use std::io::Write;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};
use std::time::Duration;

use libpa::{BoxError, Call, Codec, Json, Options, Postcard, Raw, Task};

use crate::common::wait_until_stopped;

/// Two workers.
pub fn two() -> Options {
    Options::new().workers(2)
}

pub fn texts<const N: usize>(items: [&str; N]) -> [String; N] {
    items.map(String::from)
}

/// An error with all that a task may tell of it.
#[derive(Clone, Debug)]
pub struct Told {
    text: String,
    code: i32,
    wait: Option<Duration>,
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn fail(text: impl Into<String>, code: i32) -> Result<String, Told> {
    Err(Told { text: text.into(), code, wait: None })
}

/// Does what it is told: a word and a number, or a path.
fn obey(order: &str, call: &Call) -> Result<String, Told> {
    let (word, number) = order.split_once(' ').unwrap_or((order, ""));
    let number: i64 = number.parse().unwrap_or(0);
    let first = call.attempt() == 1;
    match word {
        "say" => Ok(format!("said {number}")),
        "large" => Ok("x".repeat(number as usize)),
        "fail" => fail(format!("failed with {number}"), number as i32),
        "fail-long" => fail("\0\u{20ac}".repeat(number as usize), 1), // of three bytes each, and one that C can't have
        "fail-once" if first => fail("not yet", 1),
        "later" if first => {
            call.retry_after(Duration::from_millis(1));
            fail("later", 1)
        }
        "error-later" if first => Err(Told { text: "later".into(), code: 1, wait: Some(Duration::from_millis(1)) }),
        "panic" => panic!("panicked with {number}"),
        "panic-once" if first => panic!("not yet"),
        "abort" => std::process::abort(),
        "abort-once" if first => std::process::abort(),
        "segfault" => {
            // SAFETY: none: this is what a defect does.
            unsafe { std::hint::black_box(std::ptr::null_mut::<u8>()).write_volatile(1) };
            fail("it is still there", 1)
        }
        "exit" => std::process::exit(number as i32),
        "kill" => {
            // SAFETY: it has no preconditions.
            unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
            fail("it is still there", 1)
        }
        "hang" => loop {
            std::thread::sleep(Duration::from_millis(10));
        },
        "announce" => {
            std::fs::write(order.trim_start_matches("announce "), "here").unwrap();
            wait_until_stopped(call);
            Err(call.give_up(Told { text: "gave up".into(), code: 1, wait: None }))
        }
        "call" => Ok(format!("{} {} {}", call.index(), call.attempt(), call.remaining().is_some())),
        "eat" => {
            let mut bytes = Vec::new();
            match bytes.try_reserve_exact(number as usize) {
                Ok(()) => bytes.resize(number as usize, 1_u8),
                Err(_) => return fail("no memory", 1),
            }
            Ok(bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>().to_string())
        }
        "arguments" => Ok(std::env::args().skip(1).collect::<Vec<_>>().join(" ")),
        "paused" => {
            call.retry_after(Duration::from_secs(36_000));
            fail("come back tomorrow", 1)
        }
        "pid" => Ok(std::process::id().to_string()),
        "directory" => Ok(std::env::current_dir().unwrap().display().to_string()),
        "environment" => Ok(std::env::var("PA_TEST").unwrap_or_default()),
        _ => Ok(format!("at last, attempt {}", call.attempt())),
    }
}

/// What is alive of these in this process.
static ALIVE: AtomicI64 = AtomicI64::new(0);

pub fn alive() -> i64 {
    ALIVE.load(SeqCst)
}

/// A number that is counted. By it codec and function know what is asked of them.
#[derive(Debug, PartialEq)]
pub struct Counted(pub u64);

impl Counted {
    pub fn new(number: u64) -> Self {
        ALIVE.fetch_add(1, SeqCst);
        Self(number)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        ALIVE.fetch_sub(1, SeqCst);
    }
}

/// Refuses some numbers, each at another of its four steps: 1 to 4 by an error, 11 to 14 by a panic. A value has 1000 added.
pub struct Picky;

impl Picky {
    fn step(step: u64, number: u64) -> Result<(), BoxError> {
        if number % 1000 == step + 10 {
            panic!("step {step} panicked");
        }
        if number % 1000 == step { Err(format!("step {step} refused").into()) } else { Ok(()) }
    }
}

impl Codec<Counted> for Picky {
    fn encode(&self, object: &Counted, out: &mut Vec<u8>) -> Result<(), BoxError> {
        Self::step(if object.0 < 1000 { 1 } else { 3 }, object.0)?;
        out.extend_from_slice(&object.0.to_ne_bytes());
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<Counted, BoxError> {
        assert_eq!(bytes.as_ptr() as usize % 16, 0);
        let object = Counted::new(u64::from_ne_bytes(bytes.try_into()?));
        Self::step(if object.0 < 1000 { 2 } else { 4 }, object.0)?;
        Ok(object)
    }
}

/// A number that goes by its digits, zero by none at all; it counts how often it is read.
pub struct Digits;

impl Codec<u64> for Digits {
    fn encode(&self, number: &u64, out: &mut Vec<u8>) -> Result<(), BoxError> {
        if *number > 0 {
            out.extend_from_slice(number.to_string().as_bytes());
        }
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<u64, BoxError> {
        if bytes.is_empty() { Ok(0) } else { Ok(std::str::from_utf8(bytes)?.parse()?) }
    }
}

impl Codec<()> for Digits {
    fn encode(&self, (): &(), out: &mut Vec<u8>) -> Result<(), BoxError> {
        out.push(b'u');
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<(), BoxError> {
        if bytes == b"u" { Ok(()) } else { Err("no unit".into()) }
    }
}

#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Shape {
    pub name: String,
    pub corners: Vec<(f64, f64)>,
    pub parent: Option<Box<Shape>>,
}

fn grow(shape: Shape) -> Shape {
    Shape { name: format!("{} grown", shape.name), corners: vec![(1.5, -2.0)], parent: Some(Box::new(shape)) }
}

pub struct Tasks {
    pub obey: Task<String, String>,
    pub obey_all: Task<String, String>,
    pub square: Task<u64, u64>,
    pub digits: Task<u64, u64>,
    pub nothing: Task<(), ()>,
    pub by_json: Task<Shape, Shape>,
    pub by_both: Task<Shape, (String, usize)>,
    pub counted: Task<Counted, Counted>,
    pub count_all: Task<Counted, Counted>,
    pub alive: Task<(), u64>,
    pub logged: Task<(), ()>,
    pub never_starts: Task<(), ()>,
}

static TASKS: OnceLock<Tasks> = OnceLock::new();

pub fn tasks() -> &'static Tasks {
    TASKS.get().expect("main registers them")
}

fn log(what: &str) {
    let path = std::env::var_os("PA_TEST_LOG").expect("the test says where to");
    std::fs::OpenOptions::new().append(true).open(path).unwrap().write_all(what.as_bytes()).unwrap();
}

/// Fails for numbers that end in 21, panics for those in 22, at the first attempt alone for 23, crashes for 24.
fn count(item: Counted, call: &Call) -> Result<Counted, String> {
    match item.0 % 1000 {
        21 => Err("failed".into()),
        22 => panic!("panicked"),
        23 if call.attempt() == 1 => Err("not yet".into()),
        24 => std::process::abort(),
        _ => Ok(Counted::new(1000 + item.0)),
    }
}

pub fn register() {
    let obeying = libpa::task("obey", |order: String, call: &Call| obey(&order, call));
    let obeying = obeying.error_code(|error| error.code).retry_after(|error| error.wait);
    let all = libpa::batch_task("obey all", |orders: Vec<String>, call: &Call| {
        if orders.iter().any(|order| order == "fail all") {
            return Err(Told { text: "all of them".into(), code: 5, wait: None });
        }
        let answers = orders.iter().filter(|order| *order != "no answer").map(|order| obey(order, call));
        Ok(answers.collect())
    });
    let log = libpa::task("logged", |(), _| Ok::<_, Infallible>(())).worker_start(|| log("+")).worker_stop(|| log("-"));
    let never = libpa::task("never starts", |(), _| Ok::<_, Infallible>(()));
    let grown = |shape: Shape, _: &Call| Ok::<_, Infallible>(grow(shape));
    let corners = |shape: Shape, _: &Call| Ok::<_, Infallible>((shape.name, shape.corners.len()));
    let registered = Tasks {
        obey: obeying.register(Raw).unwrap(),
        obey_all: all.error_code(|error| error.code).register(Raw).unwrap(),
        square: libpa::task("square", |x: u64, _| Ok::<_, Infallible>(x * x)).register(Postcard).unwrap(),
        digits: libpa::task("digits", |x: u64, _| Ok::<_, Infallible>(x / 2)).register_with(Digits, Digits).unwrap(),
        nothing: libpa::task("nothing", |(), _| Ok::<_, Infallible>(())).register_with(Digits, Raw).unwrap(),
        by_json: libpa::task("by json", grown).register(Json).unwrap(),
        by_both: libpa::task("by both", corners).register_with(Postcard, Json).unwrap(),
        counted: libpa::task("counted", count).register_with(Picky, Picky).unwrap(),
        count_all: libpa::batch_task("count all", |items: Vec<Counted>, call: &Call| {
            Ok(items.into_iter().map(|item| count(item, call)).collect())
        })
        .register_with(Picky, Picky)
        .unwrap(),
        alive: libpa::task("alive", |(), _| Ok::<_, Infallible>(alive().unsigned_abs())).register_with(Raw, Json).unwrap(),
        logged: log.register(Raw).unwrap(),
        never_starts: never.worker_start(|| Err::<(), _>("there is no database")).register(Raw).unwrap(),
    };
    assert!(TASKS.set(registered).is_ok());
}
