//! The source against a directory that the tests make: what it emits, keeps, answers, and how it ends.

use super::Template;
use headwater_testkit::prelude::*;
use std::{fs, path::PathBuf};

/// A directory with two files in it, gone when the test is through.
struct Scratch(PathBuf);

impl Scratch {
    fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("template-{test}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        let scratch = Self(path);
        scratch.add("one");
        scratch.add("two");
        scratch
    }

    fn add(&self, name: &str) {
        fs::write(self.0.join(name), "").unwrap();
    }

    fn settings(&self, every: &str) -> Value {
        json!({ "path": self.0, "every": every })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn it_counts_at_once_and_keeps_a_snapshot() {
    let scratch = Scratch::new("snapshot");
    let mut run = Testkit::start::<Template>(scratch.settings("1h"));
    let event = run.next_event().await;
    assert_eq!((event.channel.as_str(), event.kind.as_str()), ("files", "files.counted"));
    assert_eq!(event.data, json!({ "path": scratch.0, "files": 2 }));
    assert_eq!(run.snapshot("files", scratch.0.to_str().unwrap()), Some(event));
}

#[tokio::test]
async fn it_counts_again_and_again() {
    let scratch = Scratch::new("again");
    let mut run = Testkit::start::<Template>(scratch.settings("1ms"));
    assert_eq!(run.next_event().await.data["files"], 2);
    scratch.add("three");
    run.next_event_where("the third file", |event| event.data["files"] == 3).await;
}

#[tokio::test]
async fn it_counts_when_it_is_asked() {
    let scratch = Scratch::new("asked");
    let mut run = Testkit::start::<Template>(scratch.settings("1h"));
    run.next_event().await;
    scratch.add("three");
    assert_eq!(run.command("count", json!({})).await.completed()["files"], 3);
    assert_eq!(run.next_event().await.data["files"], 3);
    assert_eq!(run.command("dance", json!({})).await.error().0, "UNKNOWN_COMMAND");
}

#[tokio::test]
async fn it_stops_when_it_is_asked_and_fails_when_it_cannot_look() {
    let scratch = Scratch::new("stops");
    let mut run = Testkit::start::<Template>(scratch.settings("1h"));
    assert_eq!(run.stop().await, Outcome::Stopped);
    let mut lost = Testkit::start::<Template>(json!({ "path": "/no/such/directory" }));
    assert_eq!(
        lost.ended().await,
        Outcome::Failed("/no/such/directory: No such file or directory (os error 2)".into())
    );
    let reason = Testkit::try_start::<Template>(json!({ "every": "5" })).unwrap_err();
    assert_eq!(reason, "settings: `5` has no unit; write \"5s\" or \"5ms\"");
}
