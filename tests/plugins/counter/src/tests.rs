//! The counter counts right; otherwise no journey could prove anything with it.

use super::Counter;
use headwater_testkit::prelude::*;

#[tokio::test]
async fn it_counts_without_a_hole_and_says_at_the_end_how_far() {
    let mut run = Testkit::start::<Counter>(json!({ "every": "1ms", "burst": 7, "label": "a" }));
    let first = run.next_event().await;
    assert_eq!((&first.data["n"], &first.data["label"]), (&json!(1), &json!("a")));
    for n in 2..100 {
        let event = run.next_event().await;
        assert_eq!((&event.data["n"], &event.data["generation"]), (&json!(n), &first.data["generation"]));
    }
    let far = run.command("get", json!({})).await.completed();
    assert!(far["n"].as_u64() >= Some(99) && far["generation"] == first.data["generation"], "{far}");
    assert_eq!(run.stop().await, Outcome::Stopped);
    let rest = run.events();
    let (last, counted) = rest.split_last().unwrap();
    assert_eq!(last.kind, "counter.ended");
    assert_eq!(last.data["final"].as_u64().unwrap(), 99 + counted.len() as u64);
}

#[tokio::test]
async fn each_life_has_its_own_name() {
    let mut names = Vec::new();
    for _ in 0..2 {
        let mut run = Testkit::start::<Counter>(json!({}));
        names.push(run.next_event().await.data["generation"].clone());
    }
    assert_ne!(names[0], names[1]);
}

#[tokio::test]
async fn slow_is_accepted_and_makes_three_steps_while_it_goes_on_counting() {
    let mut run = Testkit::start::<Counter>(json!({ "every": "1ms", "padding": 10 }));
    assert_eq!(run.next_event().await.data["padding"], "xxxxxxxxxx");
    let before = run.command("get", json!({})).await.completed()["n"].as_u64().unwrap();
    let answers = run.command("slow", json!({ "step": "5ms" })).await;
    assert!(answers.was_accepted() && answers.progress().len() == 3);
    assert_eq!(answers.completed(), json!({ "sheep": 3 }));
    assert!(run.command("get", json!({})).await.completed()["n"].as_u64().unwrap() > before);
    assert_eq!(run.command("slow", json!({ "step": 5 })).await.error().0, "VALIDATION_ERROR");
}
