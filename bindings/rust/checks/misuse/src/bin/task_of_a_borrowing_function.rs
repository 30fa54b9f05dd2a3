// E0597: a task stays registered for ever, and its function with it
use libpa::Raw;

fn main() {
    let prefix = String::from("a ");
    let borrowed = &prefix;
    let task = libpa::task("prefixed", move |text: String, _call| Ok::<_, std::fmt::Error>(format!("{borrowed}{text}")));
    let _ = task.register(Raw);
}
