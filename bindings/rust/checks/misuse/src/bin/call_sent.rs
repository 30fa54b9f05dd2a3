// E0277: a call stays on its thread

fn main() {
    let _ = libpa::Options::new().map(&[1], |_, call| {
        std::thread::scope(|scope| scope.spawn(|| call.stopped()).join().unwrap());
        Ok::<_, ()>(())
    });
}
