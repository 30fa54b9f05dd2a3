// E0597: it may detach

fn main() {
    let words = vec![String::from("a")];
    let _ = libpa::Options::new().map_owned(words.iter(), |word, _| Ok::<_, ()>(word.len()));
}
