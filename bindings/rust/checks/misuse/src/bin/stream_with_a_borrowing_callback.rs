// E0373: a stream that is forgotten would go on with what is gone

fn main() {
    let mut done = 0;
    let run = libpa::Options::new().on_progress(|now, _| done = now);
    let stream = run.stream(0..9, |x, _| Ok::<i32, ()>(*x));
    std::mem::forget(stream);
}
