// E0277: items are looked at by other threads

fn main() {
    let items = [std::cell::Cell::new(1)];
    let _ = libpa::map(&items, |x| Ok::<_, ()>(x.get()));
}
