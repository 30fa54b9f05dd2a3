// E0277: errors are made by other threads

fn main() {
    let _ = libpa::map(&[1, 2], |x| Err::<(), _>(std::rc::Rc::new(*x)));
}
