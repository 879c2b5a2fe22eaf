//! Commands find their source, and every one is answered.

use crate::world::World;
use headwater_host::{Answer, CommandRefused, CommandTarget, SourceState};
use serde_json::{Value, json, value::RawValue};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

fn send(world: &World, target: &str, parameters: &str) -> Result<UnboundedReceiver<Value>, CommandRefused> {
    let (sent, heard) = unbounded_channel();
    let answers = move |answer: Answer| {
        let json = match answer {
            Answer::Accepted { .. } => json!("accepted"),
            Answer::Progress(progress) => json!(progress.completion_percent),
            Answer::Completed { result } => serde_json::from_str(result.get()).unwrap(),
            Answer::Error(error) => json!({ "code": error.error_code, "message": error.message }),
        };
        sent.send(json).unwrap();
    };
    let parameters = RawValue::from_string(parameters.into()).unwrap();
    world.host.command(&CommandTarget::parse(target), &parameters, Some("a test"), Box::new(answers)).map(|accepted| {
        assert!(accepted.request > 0);
        heard
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_reaches_the_source_that_declares_it() {
    let mut world = World::new();
    world.start(World::fixture("one", json!({ "mode": "tick" }))).await;
    let mut heard = send(&world, "echo", r#"{"path":"/"}"#).unwrap();
    assert_eq!(heard.recv().await.unwrap(), "accepted");
    assert_eq!(heard.recv().await.unwrap(), 50.0);
    let result = heard.recv().await.unwrap();
    assert_eq!((&result["parameters"], &result["caller"]), (&json!({ "path": "/" }), &json!("a test")));
    assert_eq!(heard.recv().await, None, "and nothing after the last answer");

    world.start(World::fixture("two", json!({ "mode": "tick" }))).await;
    let error = send(&world, "echo", "{}").unwrap_err();
    assert_eq!(error.to_string(), "`echo` is a command of one, two; say `one/echo`");
    let mut heard = send(&world, "two/echo", "{}").unwrap();
    while let Some(answer) = heard.recv().await {
        if let Some(pid) = answer["pid"].as_u64() {
            assert_eq!(Some(pid as u32), world.status("two").pid);
        }
    }
    assert_eq!(
        send(&world, "ecko", "{}").unwrap_err().to_string(),
        "no source has a command `ecko`; did you mean `echo`?"
    );
    assert!(send(&world, "two/eco", "{}").unwrap_err().to_string().contains("did you mean `two/echo`?"));
    assert!(matches!(send(&world, "one/echo", "[]"), Err(CommandRefused::Malformed(_))));
    assert_eq!(world.host.commands()["one"].len(), 3);
    world.host.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_in_flight_when_its_source_dies_is_unknown() {
    let mut world = World::new();
    world.start(World::fixture("one", json!({ "mode": "tick" }))).await;
    let mut silent = send(&world, "silence", "{}").unwrap();
    let mut crash = send(&world, "crash", "{}").unwrap();
    for heard in [&mut silent, &mut crash] {
        let answer = heard.recv().await.unwrap();
        assert_eq!(answer["code"], "outcome_unknown");
        assert!(answer["message"].as_str().unwrap().contains("exited with 9"), "{answer}");
    }
    world.host.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_command_spans_two_generations_and_those_between_wait() {
    let mut world = World::new();
    world.start(World::fixture("one", json!({ "mode": "tick" }))).await;
    let before = world.status("one").pid;
    let mut silent = send(&world, "silence", "{}").unwrap();
    let (restarted, heard) = tokio::join!(world.host.restart("one"), async {
        let answer = silent.recv().await.unwrap();
        assert_eq!(answer["code"], "outcome_unknown", "the old one ends with its commands");
        // The old one has ended and the new one does not run yet.
        send(&world, "echo", "{}").unwrap()
    });
    restarted.unwrap();
    let mut heard = heard;
    let mut last = Value::Null;
    while let Some(answer) = heard.recv().await {
        last = answer;
    }
    let pid = last["pid"].as_u64().map(|pid| pid as u32);
    assert!(pid == world.status("one").pid && pid != before);
    world.host.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_does_not_run_refuses_with_its_reason() {
    let mut world = World::new();
    world.set(World::fixture("done", json!({ "mode": "finish" })));
    world.apply().await;
    world.state("done", SourceState::Down).await;
    let error = send(&world, "echo", "{}").unwrap_err();
    assert_eq!(error.to_string(), "the source `done` is down: finished");
    let mut off = World::fixture("done", json!({ "mode": "finish" }));
    off.enabled = false;
    world.set(off);
    world.apply().await;
    assert_eq!(send(&world, "echo", "{}").unwrap_err().to_string(), "the source `done` is disabled");
    world.host.shutdown().await;
}
