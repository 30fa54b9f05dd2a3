// E0277: values are made by other threads

fn main() {
    let _ = libpa::map(&[1, 2], |x| Ok::<_, ()>(std::rc::Rc::new(*x)));
}
