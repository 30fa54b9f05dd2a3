// compiles: so what the others lack is not libpa

fn main() {
    let text = String::from("a b");
    let outcomes = libpa::Options::new().map_iter(text.split(' '), |word, _| Ok::<_, ()>(word.len())).unwrap();
    assert!(outcomes.is_ok());
}
