// E0597: a stream that is forgotten would go on with what is gone

fn main() {
    let words = vec![String::from("a")];
    let stream = libpa::Options::new().stream(words.iter(), |word, _| Ok::<_, ()>(word.len()));
    std::mem::forget(stream);
}
