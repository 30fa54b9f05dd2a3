// E0521: on_result borrows the outcome for its call

fn main() {
    let mut kept: Option<&String> = None;
    let _ = libpa::Options::new()
        .on_result(|outcome: libpa::Outcome<&String, &()>| kept = outcome.result.ok())
        .map(&[1], |x, _| Ok::<_, ()>(format!("{x}")));
    println!("{kept:?}");
}
