//! Functions that take several items in one call.

mod common;

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use common::hush;
use libpa::{Batch, ItemError, Options, Retry};

#[test]
fn a_call_gets_consecutive_items_and_answers_for_each() {
    let items: Vec<usize> = (0..1000).collect();
    let options = Options::new().workers(2).batch(Batch::of(32));
    let of_slice = options.map_batch(&items, |items, call| {
        assert!(items.iter().enumerate().all(|(at, x)| call.index() + at == *x));
        Ok::<_, ()>(items.iter().map(|x| Ok(x * 2)).collect())
    });
    let of_source = options.map_batch_iter(items.iter().copied(), |items, call| {
        assert!(items.iter().enumerate().all(|(at, x)| call.index() + at == **x));
        Ok::<_, ()>(items.iter().map(|x| Ok(**x * 2)).collect())
    });
    for outcomes in [of_slice, of_source] {
        let outcomes = outcomes.unwrap();
        assert_eq!(outcomes.batch_size(), 32);
        assert!(outcomes.into_result().unwrap().into_iter().enumerate().all(|(x, value)| value == 2 * x));
    }
}

#[test]
fn an_automatic_size_is_told() {
    let outcomes = Options::new().map_batch(&[1_u8; 10_000], |items, _| Ok::<_, ()>(items.iter().map(|x| Ok(*x)).collect()));
    assert!(outcomes.unwrap().batch_size() > 0);
}

#[test]
fn an_item_that_is_wrong_fails_alone_and_is_tried_again_alone() {
    let calls = AtomicUsize::new(0);
    let options = Options::new().workers(1).batch(Batch::of(4)).retry(Retry::attempts(3).backoff(Duration::ZERO));
    let outcomes = options.map_batch(&["1", "x", "3", "4"], |texts, _| {
        calls.fetch_add(1, SeqCst);
        Ok(texts.iter().map(|text| text.parse::<i32>()).collect())
    });
    let outcomes = outcomes.unwrap();
    assert_eq!(outcomes.iter().map(|outcome| outcome.attempts).collect::<Vec<_>>(), [1, 3, 1, 1]);
    assert_eq!((calls.load(SeqCst), outcomes.failed()), (3, 1));
}

#[test]
fn a_call_that_fails_or_panics_fails_all_its_items_and_no_others() {
    hush();
    let options = Options::new().workers(1).batch(Batch::of(2));
    let outcomes = options.map_batch(&[0, 1, 2, 3, 4, 5], |items, _| match items[0] {
        2 => Err("the whole call"),
        4 => panic!("the whole call"),
        _ => Ok(items.iter().map(|x| Ok(*x)).collect()),
    });
    let results: Vec<_> = outcomes.unwrap().into_iter().map(|outcome| outcome.result).collect();
    assert!(matches!(results[..2], [Ok(0), Ok(1)]));
    assert!(results[2..4].iter().all(|result| matches!(result, Err(ItemError::Failed("the whole call")))));
    assert!(results[4..].iter().all(|result| matches!(result, Err(ItemError::Panicked(_)))));
}

#[test]
fn too_few_or_too_many_answers_are_those_of_nobody() {
    let alive = common::Alive::default();
    for answers in [0, 2, 4] {
        let options = Options::new().workers(1).batch(Batch::of(3));
        let outcomes = options.map_batch(&[(); 3], |_, _| Ok::<_, ()>((0..answers).map(|_| Ok(alive.one())).collect()));
        assert!(outcomes.unwrap().failures().all(|(_, error)| matches!(error, ItemError::Unanswered)));
        assert_eq!(alive.count(), 0);
    }
}
