// E0505: a value that borrows from an item keeps it

fn main() {
    let words = vec![String::from("a")];
    let outcomes = libpa::Options::new().map_iter(&words, |word, _| Ok::<&str, ()>(word)).unwrap();
    drop(words);
    println!("{}", outcomes.len());
}
