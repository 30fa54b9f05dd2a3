// E0277: the function is called by many threads at a time

fn main() {
    let count = std::cell::Cell::new(0);
    let _ = libpa::map(&[1, 2], |x| {
        count.set(count.get() + x);
        Ok::<_, ()>(())
    });
}
