// E0597: dropping it does not wait

fn main() {
    let words = vec![String::from("a")];
    let stream = libpa::Options::new().stream_async(words.iter(), |word, _| Ok::<_, ()>(word.len()));
    drop(stream);
}
