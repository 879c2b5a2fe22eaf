//! Log records on their way to the host.

use crate::actor::{Actor, EXPENSIVE};
use headwater_testkit::prelude::*;
use std::sync::atomic::Ordering::SeqCst;

#[tokio::test]
async fn records_arrive_with_target_level_and_fields() {
    let mut run = Testkit::start::<Actor>(json!({}));
    let first = run.logged("on stage").await;
    assert_eq!((first.level, first.target.as_str()), (3, "sdk::actor"));
    assert_eq!(first.message, "on stage begin=Nothing");
    run.command("log", json!({})).await.completed();
    let line = run.logged("a line").await;
    assert_eq!((line.level, line.target.as_str()), (2, "stage"));
    assert_eq!(line.message, "a line n=3 who=\"actor\"");
}

/// A level that nobody wants costs nothing: its values are not even computed.
#[tokio::test]
async fn the_host_sets_the_level_and_below_it_nothing_is_computed() {
    let mut run = Testkit::start::<Actor>(json!({}));
    run.command("log", json!({})).await.completed();
    assert_eq!(EXPENSIVE.load(SeqCst), 0);
    run.log_level("debug");
    run.command("log", json!({})).await.completed();
    assert_eq!(run.logged("a whisper").await.level, 4);
    assert_eq!(EXPENSIVE.load(SeqCst), 1);
    run.log_level("off");
    let before = run.log().len();
    run.command("log", json!({})).await.completed();
    assert_eq!(run.log().len(), before);
    assert_eq!(EXPENSIVE.load(SeqCst), 1);
}

#[tokio::test]
async fn records_of_blocking_work_find_the_source() {
    let mut run = Testkit::start::<Actor>(json!({}));
    run.command("log_elsewhere", json!({})).await.completed();
    run.logged("from a blocking thread").await;
}

/// Two sources of one plugin in one process: what the one wants to hear, the other need not say.
#[tokio::test]
async fn each_instance_has_its_own_level() {
    let mut talkative = Testkit::start::<Actor>(json!({}));
    talkative.log_level("debug");
    let mut quiet = Testkit::start::<Actor>(json!({}));
    quiet.command("log", json!({})).await.completed();
    quiet.logged("a line").await;
    assert!(!quiet.log().iter().any(|record| record.message.contains("a whisper")));
}
