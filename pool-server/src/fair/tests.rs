use super::*;

fn take_all(slots: &Slots<&'static str>, holder: &'static str) -> Vec<Slot<&'static str>> {
    std::iter::from_fn(|| slots.try_take(&holder)).collect()
}

#[test]
fn each_leaves_a_part_of_what_it_finds() {
    let slots = Slots::new(64, 75);
    let all: Vec<_> =
        ["a", "b", "c", "d", "e"].map(|holder| take_all(&slots, holder)).into_iter().collect();
    assert_eq!(all.iter().map(Vec::len).collect::<Vec<_>>(), [48, 12, 3, 1, 0]);
    drop(all);
    assert_eq!(take_all(&slots, "e").len(), 48, "what was held is free again");
    assert!(slots.0.state().held.is_empty());
}

#[test]
fn few_slots_are_shared_too() {
    for (count, percent, taken) in
        [(1, 75, 1), (2, 75, 1), (4, 75, 3), (4, 100, 4), (4, 1, 1), (8, 50, 4)]
    {
        let slots = Slots::new(count, percent);
        assert_eq!(take_all(&slots, "a").len(), taken, "{count} slots, {percent} %");
    }
}

#[tokio::test]
async fn who_holds_fewest_is_next_and_then_who_came_first() {
    let slots = Arc::new(Slots::new(4, 75));
    let mut a = take_all(&slots, "a");
    let b = slots.try_take(&"b").unwrap();
    assert_eq!(a.len(), 3);
    let (told, mut order) = tokio::sync::mpsc::unbounded_channel();
    for (at, who) in ["a", "c", "d"].into_iter().enumerate() {
        let (its, told) = (Arc::clone(&slots), told.clone());
        tokio::spawn(async move {
            let slot = its.take(&who).await.unwrap();
            told.send((who, slot)).unwrap();
        });
        while slots.0.state().waiting.len() <= at {
            tokio::task::yield_now().await;
        }
    }
    drop(b);
    let (first, _held) = order.recv().await.unwrap();
    a.pop();
    let (second, _held) = order.recv().await.unwrap();
    assert_eq!((first, second), ("c", "d"), "a holds three, and came before both");
    drop(a);
    assert_eq!(order.recv().await.unwrap().0, "a");
}

#[tokio::test]
async fn who_ceases_to_wait_takes_nothing_along() {
    let slots = Arc::new(Slots::new(1, 75));
    let held = slots.try_take(&"a").unwrap();
    let waiting = |who: &'static str| {
        let slots = Arc::clone(&slots);
        tokio::spawn(async move { slots.take(&who).await })
    };
    let (gone, stays) = (waiting("b"), waiting("c"));
    while slots.0.state().waiting.len() < 2 {
        tokio::task::yield_now().await;
    }
    gone.abort();
    assert!(gone.await.is_err());
    assert_eq!(slots.0.state().waiting.len(), 1);
    drop(held);
    let slot = stays.await.unwrap().unwrap();
    assert!(slots.try_take(&"d").is_none());
    drop(slot);
    assert!(slots.try_take(&"d").is_some());
    // Given a slot, and gone before it looked.
    let held = slots.try_take(&"a").unwrap();
    let mut late = Box::pin(slots.take(&"b"));
    assert!(futures_util::poll!(&mut late).is_pending());
    drop(held);
    drop(late);
    assert_eq!(slots.0.state().free, 1);
}
