// E0277: a call stays on its thread, and for its time

fn main() {
    let kept = std::sync::Mutex::new(None);
    let _ = libpa::Options::new().map(&[1], |_, call| {
        *kept.lock().unwrap() = Some(call);
        Ok::<_, ()>(())
    });
}
