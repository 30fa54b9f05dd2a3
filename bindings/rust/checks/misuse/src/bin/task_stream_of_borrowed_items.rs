// E0597: a stream may outlive what its items are made of
use libpa::{Options, Raw};

fn main() {
    let task = libpa::task("echo", |text: String, _call| Ok::<_, std::fmt::Error>(text)).register(Raw).unwrap();
    libpa::worker_main();
    let texts = vec![String::from("a")];
    let stream = Options::new().stream_task(texts.iter().cloned(), &task);
    drop(stream);
}
