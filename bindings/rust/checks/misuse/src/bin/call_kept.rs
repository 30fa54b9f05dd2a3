// E0521: a call is over when the function returns

fn main() {
    let kept = std::sync::Mutex::new(None);
    let _ = libpa::Options::new().map(&[1], |_, call| {
        *kept.lock().unwrap() = Some(call);
        Ok::<_, ()>(())
    });
}
