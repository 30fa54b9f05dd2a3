//! A task at both ends of the border: what libpa calls of it in the program, and in a worker process.
//!
//! A codec of libpa that fails has a code and no words. So items never fail to be encoded or decoded here: what the user's codec says
//! travels in place of the item, and fails the call. Values are encoded before the call returns, for the same reason.

use std::cell::Cell;
use std::ffi::{CString, c_void};
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};

use libpa_sys as sys;

use crate::call::Call;
use crate::codec::Codec;
use crate::error::{BoxError, Panic};
use crate::hooks::{RetryAfter, WorkerStart, WorkerStop, quietly};
use crate::word::{self, Word};
use crate::worker_error::{CODE_CODEC, CODE_ERROR, CODE_PANIC, Refusal, code_of_refusal};

type One<T, R, E> = Box<dyn Fn(T, &Call) -> Result<R, E> + Send + Sync>;
type Many<T, R, E> = Box<dyn Fn(Vec<T>, &Call) -> Result<Vec<Result<R, E>>, E> + Send + Sync>;

pub(crate) enum Function<T, R, E> {
    One(One<T, R, E>),
    Many(Many<T, R, E>),
}

type ErrorCode<E> = Box<dyn Fn(&E) -> i32 + Send + Sync>;

/// The closures of a task besides its function.
pub(crate) struct TaskHooks<E> {
    pub(crate) error_code: Option<ErrorCode<E>>,
    pub(crate) retry_after: Option<RetryAfter<'static, E>>,
    pub(crate) worker_start: Option<WorkerStart<'static>>,
    pub(crate) worker_stop: Option<WorkerStop<'static>>,
}

impl<E> Default for TaskHooks<E> {
    fn default() -> Self {
        Self { error_code: None, retry_after: None, worker_start: None, worker_stop: None }
    }
}

/// All that belongs to a task. It is never freed, and libpa gets a pointer to it as every ctx.
pub(crate) struct Entry<T, R, E> {
    pub(crate) name: CString,
    pub(crate) function: Function<T, R, E>,
    pub(crate) items: Box<dyn Codec<T>>,
    pub(crate) values: Box<dyn Codec<R>>,
    pub(crate) hooks: TaskHooks<E>,
}

/// An item in a worker.
type Arrived<T> = Result<T, Refusal>;
/// A value in a worker.
type Encoded = Vec<u8>;

/// Why a call fails, as libpa is told.
struct Failure {
    code: i32,
    message: CString,
}

impl Failure {
    /// libpa cuts a longer text wherever it is.
    fn new(code: i32, mut message: String) -> Self {
        let most = sys::PA_MESSAGE_MAX as usize;
        if message.len() > most {
            message.truncate((0..=most).rev().find(|at| message.is_char_boundary(*at)).unwrap_or(0));
        }
        let mut bytes = message.into_bytes();
        bytes.retain(|byte| *byte != 0);
        Self { code, message: CString::new(bytes).unwrap_or_default() }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Error(text) => Self::new(CODE_CODEC, text),
            Refusal::Panic(text) => Self::new(CODE_PANIC, text),
        }
    }
}

fn panic_text(payload: Box<dyn std::any::Any + Send>) -> String {
    let panic = Panic::new(payload);
    let text = panic.message().to_owned();
    quietly(|| drop(panic));
    text
}

/// Runs a codec of the user's.
fn refusable<X>(run: impl FnOnce() -> Result<X, BoxError>) -> Result<X, Refusal> {
    match catch_unwind(AssertUnwindSafe(|| run().map_err(|error| error.to_string()))) {
        Ok(done) => done.map_err(Refusal::Error),
        Err(payload) => Err(Refusal::Panic(panic_text(payload))),
    }
}

impl<T: 'static, R: 'static, E: Display> Entry<T, R, E> {
    fn failure(&self, error: &E, call: &Call, gave_up: bool) -> Failure {
        let told = catch_unwind(AssertUnwindSafe(|| {
            let code = self.hooks.error_code.as_ref().map_or(CODE_ERROR, |code| code(error).max(CODE_ERROR));
            if let Some(wait) = self.hooks.retry_after.as_ref().and_then(|wait| wait(error)) {
                call.retry_after(wait);
            }
            Failure::new(if gave_up { sys::PA_CODE_STOPPED } else { code }, error.to_string())
        }));
        told.unwrap_or_else(|payload| Failure::new(CODE_PANIC, panic_text(payload)))
    }

    fn encode_value(&self, value: R) -> Result<Encoded, Failure> {
        let mut bytes = Vec::new();
        let encoded = refusable(|| self.values.encode(&value, &mut bytes));
        quietly(|| drop(value));
        encoded?;
        Ok(bytes)
    }

    fn answer(&self, answer: Result<R, E>, call: &Call, gave_up: bool) -> Result<Encoded, Failure> {
        match answer {
            Ok(value) => self.encode_value(value),
            Err(error) => {
                let failure = self.failure(&error, call, gave_up);
                quietly(|| drop(error));
                Err(failure)
            }
        }
    }

    fn run(&self, function: &One<T, R, E>, item: Arrived<T>, call: &Call) -> Result<Encoded, Failure> {
        let item = item?;
        match catch_unwind(AssertUnwindSafe(|| function(item, call))) {
            Ok(answer) => self.answer(answer, call, call.take_gave_up()),
            Err(payload) => Err(Failure::new(CODE_PANIC, panic_text(payload))),
        }
    }

    /// One answer for each item, or an error for all: libpa's code that they have none, if there are more or fewer.
    fn run_batch(&self, function: &Many<T, R, E>, items: Vec<T>, call: &Call) -> Result<Vec<Result<Encoded, Failure>>, Failure> {
        let count = items.len();
        match catch_unwind(AssertUnwindSafe(|| function(items, call))) {
            Ok(Ok(answers)) if answers.len() != count => {
                quietly(|| drop(answers));
                Err(Failure { code: sys::PA_CODE_UNANSWERED, message: CString::default() })
            }
            Ok(Ok(answers)) => {
                let gave_up = call.take_gave_up();
                Ok(answers.into_iter().map(|answer| self.answer(answer, call, gave_up)).collect())
            }
            Ok(Err(error)) => {
                let failure = self.failure(&error, call, call.take_gave_up());
                quietly(|| drop(error));
                Err(failure)
            }
            Err(payload) => Err(Failure::new(CODE_PANIC, panic_text(payload))),
        }
    }
}

/// Tells libpa of this task. Where T, R and E differ the functions may differ as well; the entry tells tasks apart in any case.
pub(crate) fn describe<T: 'static, R: 'static, E: Display>(entry: *mut Entry<T, R, E>) -> sys::pa_task {
    // SAFETY: all of it is integers, pointers and optional functions; pa_task_init writes it.
    let mut task = unsafe {
        let mut task: sys::pa_task = std::mem::zeroed();
        sys::pa_task_init(&raw mut task, size_of::<sys::pa_task>());
        task
    };
    // SAFETY: the caller has it.
    let entry_is_many = matches!(unsafe { &(*entry).function }, Function::Many(_));
    if entry_is_many {
        task.batch_fn = Some(run_many::<T, R, E>);
    } else {
        task.r#fn = Some(run_one::<T, R, E>);
    }
    let codec = |encode, decode, release| {
        let (encode, decode): (Option<Encode>, Option<Decode>) = (Some(encode), Some(decode));
        sys::pa_codec { encode, decode, release, ctx: entry.cast(), reserved: [std::ptr::null_mut(); 2] }
    };
    // The function takes its item.
    task.item = codec(encode_item::<T, R, E>, decode_item::<T, R, E>, None);
    task.value = codec(write_value, decode_value::<T, R, E>, Some(release_value));
    task.context = codec(encode_context, decode_context, None);
    task.worker_start = Some(worker_start::<T, R, E>);
    task.worker_stop = Some(worker_stop::<T, R, E>);
    task
}

type Encode = unsafe extern "C" fn(*mut c_void, *const c_void, *mut sys::pa_buffer) -> i32;
type Decode = unsafe extern "C" fn(*mut c_void, *const c_void, usize, *mut *mut c_void) -> i32;

// ---------------------------------------------------------------- what libpa calls
//
// SAFETY of all of them: ctx is the entry, which is never freed; the rest is as libpa promises.

/// The last byte of an item says what the others are.
const IS_ITEM: u8 = 0;
const IS_ERROR: u8 = 1;
const IS_PANIC: u8 = 2;

thread_local! {
    /// What an item is written to: most are short, and many come one after the other.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}
const KEPT: usize = 1 << 16;

unsafe extern "C" fn encode_item<T: 'static, R: 'static, E>(
    ctx: *mut c_void,
    item: *const c_void,
    out: *mut sys::pa_buffer,
) -> i32 {
    // SAFETY: see above; items of runs with tasks are always pointers to them.
    let (entry, item) = unsafe { (&*ctx.cast::<Entry<T, R, E>>(), &*item.cast::<T>()) };
    let mut bytes = SCRATCH.take();
    bytes.clear();
    let refused = refusable(|| entry.items.encode(item, &mut bytes)).err();
    let (is, text) = match refused {
        None => (IS_ITEM, None),
        Some(Refusal::Error(text)) => (IS_ERROR, Some(text)),
        Some(Refusal::Panic(text)) => (IS_PANIC, Some(text)),
    };
    if let Some(text) = text {
        bytes.clear();
        bytes.extend_from_slice(text.as_bytes());
    }
    bytes.push(is);
    // SAFETY: see above.
    let status = unsafe { sys::pa_buffer_append(out, bytes.as_ptr().cast(), bytes.len()) };
    if bytes.capacity() <= KEPT {
        SCRATCH.set(bytes);
    }
    i32::from(status != sys::PA_STATUS_OK)
}

/// # Safety
/// So many bytes are there.
unsafe fn bytes_of<'a>(data: *const c_void, size: usize) -> &'a [u8] {
    // SAFETY: the caller says so.
    if size == 0 { &[] } else { unsafe { std::slice::from_raw_parts(data.cast(), size) } }
}

unsafe extern "C" fn decode_item<T: 'static, R: 'static, E>(
    ctx: *mut c_void,
    data: *const c_void,
    size: usize,
    item: *mut *mut c_void,
) -> i32 {
    // SAFETY: see above.
    let (entry, bytes) = unsafe { (&*ctx.cast::<Entry<T, R, E>>(), bytes_of(data, size)) };
    let arrived: Arrived<T> = match bytes.split_last() {
        Some((&IS_ITEM, bytes)) => refusable(|| entry.items.decode(bytes)),
        Some((&IS_PANIC, text)) => Err(Refusal::Panic(String::from_utf8_lossy(text).into_owned())),
        Some((_, text)) => Err(Refusal::Error(String::from_utf8_lossy(text).into_owned())),
        None => Err(Refusal::Error("an item without a byte was sent".into())),
    };
    // SAFETY: see above.
    unsafe { *item = Box::into_raw(Box::new(arrived)).cast() };
    0
}

unsafe extern "C" fn run_one<T: 'static, R: 'static, E: Display>(
    ctx: *mut c_void,
    item: Word,
    value: *mut Word,
    call: *mut sys::pa_call,
) -> i32 {
    // SAFETY: see above; `decode_item` has made the item, and nobody else takes it.
    let (entry, item) = unsafe { (&*ctx.cast::<Entry<T, R, E>>(), *Box::from_raw(item.cast::<Arrived<T>>())) };
    let Function::One(function) = &entry.function else { return sys::PA_CODE_UNANSWERED };
    // SAFETY: see above.
    let shown = Call::new(call, unsafe { sys::pa_call_index(call) });
    // SAFETY: see above.
    unsafe {
        match entry.run(function, item, &shown) {
            Ok(bytes) => {
                *value = Box::into_raw(Box::new(bytes)).cast();
                0
            }
            Err(failure) => sys::pa_call_fail(call, failure.code, failure.message.as_ptr()),
        }
    }
}

unsafe extern "C" fn run_many<T: 'static, R: 'static, E: Display>(
    ctx: *mut c_void,
    items: *const Word,
    count: usize,
    values: *mut Word,
    call: *mut sys::pa_call,
) -> i32 {
    // SAFETY: see above.
    let entry = unsafe { &*ctx.cast::<Entry<T, R, E>>() };
    let Function::Many(function) = &entry.function else { return sys::PA_CODE_UNANSWERED };
    // SAFETY: see above.
    let fail_at = |at, failure: &Failure| unsafe { sys::pa_call_fail_at(call, at, failure.code, failure.message.as_ptr()) };
    let (mut arrived, mut places) = (Vec::with_capacity(count), Vec::with_capacity(count));
    for at in 0..count {
        // SAFETY: `decode_item` has made each item, and nobody else takes it.
        match *unsafe { Box::from_raw((*items.add(at)).cast::<Arrived<T>>()) } {
            Ok(item) => {
                arrived.push(item);
                places.push(at);
            }
            Err(refusal) => fail_at(at, &refusal.into()),
        }
    }
    if arrived.is_empty() {
        return 0;
    }
    // SAFETY: see above.
    let shown = Call::new(call, unsafe { sys::pa_call_index(call) });
    match entry.run_batch(function, arrived, &shown) {
        Ok(answers) => {
            for (at, answer) in places.into_iter().zip(answers) {
                match answer {
                    // SAFETY: there is a place for each item.
                    Ok(bytes) => unsafe { *values.add(at) = Box::into_raw(Box::new(bytes)).cast() },
                    Err(failure) => fail_at(at, &failure),
                }
            }
            0
        }
        // SAFETY: see above.
        Err(failure) => unsafe { sys::pa_call_fail(call, failure.code, failure.message.as_ptr()) },
    }
}

unsafe extern "C" fn write_value(_: *mut c_void, value: *const c_void, out: *mut sys::pa_buffer) -> i32 {
    // SAFETY: the function has stored it.
    let bytes = unsafe { &*value.cast::<Encoded>() };
    // SAFETY: see above.
    let status = unsafe { sys::pa_buffer_append(out, bytes.as_ptr().cast(), bytes.len()) };
    i32::from(status != sys::PA_STATUS_OK)
}

/// In the worker. In the program libpa takes `options.release_value`.
unsafe extern "C" fn release_value(_: *mut c_void, value: *mut c_void) {
    // SAFETY: the function has stored it, and libpa releases it once.
    drop(unsafe { Box::from_raw(value.cast::<Encoded>()) });
}

unsafe extern "C" fn decode_value<T: 'static, R: 'static, E>(
    ctx: *mut c_void,
    data: *const c_void,
    size: usize,
    value: *mut *mut c_void,
) -> i32 {
    // SAFETY: see above.
    let (entry, bytes) = unsafe { (&*ctx.cast::<Entry<T, R, E>>(), bytes_of(data, size)) };
    match refusable(|| entry.values.decode(bytes)) {
        Ok(made) => {
            // SAFETY: see above.
            unsafe { word::store(value, made) };
            0
        }
        Err(refusal) => code_of_refusal(refusal),
    }
}

/// The entry of the program is where that of the worker is not: nothing is written.
unsafe extern "C" fn encode_context(_: *mut c_void, _: *const c_void, _: *mut sys::pa_buffer) -> i32 {
    0
}

unsafe extern "C" fn decode_context(ctx: *mut c_void, _: *const c_void, _: usize, context: *mut *mut c_void) -> i32 {
    // SAFETY: see above.
    unsafe { *context = ctx };
    0
}

unsafe extern "C" fn worker_start<T, R, E>(ctx: *mut c_void) -> i32 {
    // SAFETY: see above.
    let entry = unsafe { &*ctx.cast::<Entry<T, R, E>>() };
    let Some(start) = &entry.hooks.worker_start else { return 0 };
    match refusable(start) {
        Ok(()) => 0,
        Err(Refusal::Error(text)) => {
            eprintln!("libpa: worker_start failed: {text}"); // libpa hands on a code alone
            CODE_ERROR
        }
        Err(Refusal::Panic(_)) => CODE_PANIC, // the panic hook has told
    }
}

unsafe extern "C" fn worker_stop<T, R, E>(ctx: *mut c_void) {
    // SAFETY: see above.
    let entry = unsafe { &*ctx.cast::<Entry<T, R, E>>() };
    if let Some(stop) = &entry.hooks.worker_stop {
        quietly(stop);
    }
}
