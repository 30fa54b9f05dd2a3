// E0373: a stream that is forgotten would go on with what is gone

fn main() {
    let factor = 2;
    let stream = libpa::Options::new().stream(0..9, |x, _| Ok::<i32, ()>(x * factor));
    std::mem::forget(stream);
}
