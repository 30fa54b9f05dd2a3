// E0308: a task says of which type its items are
use libpa::{Options, Raw};

fn main() {
    let task = libpa::task("echo", |text: String, _call| Ok::<_, std::fmt::Error>(text)).register(Raw).unwrap();
    libpa::worker_main();
    let _ = Options::new().map_task(&[1, 2], &task);
}
