//! A subscription that outlives its connection.

use crate::scripted::{Daemon, stream};
use headwater_client::{Backoff, Client, Error, Follow, Followed, Subscription};
use serde_json::json;
use std::time::Duration;

const E1: &str = "00000000000000e1";
const E2: &str = "00000000000000e2";

async fn follow(daemon: &Daemon, subscription: Subscription) -> Follow {
    let client = Client::new(daemon.url(), None).unwrap();
    let quick = Backoff::new(Duration::from_millis(1), Duration::from_millis(5));
    Follow::start(client, subscription, quick).await.unwrap()
}

/// What comes until the n-th event, each as a short word.
async fn until(follow: &mut Follow, events: usize) -> Vec<String> {
    let mut seen = Vec::new();
    let mut left = events;
    while left > 0 {
        seen.push(match follow.next().await.unwrap() {
            Followed::Event(event) => {
                left -= 1;
                event.position().offset.to_string()
            }
            Followed::Gap(gap) => format!("gap {}-{} {}", gap.from, gap.to, gap.reason),
            Followed::Lag(lag) => format!("lag {}", lag.behind),
            Followed::Notice(notice) => notice.code,
            Followed::Lost { reason, .. } => format!("lost: {reason}"),
            Followed::Back => "back".into(),
        });
    }
    seen
}

#[tokio::test]
async fn after_a_restart_it_goes_on_from_where_it_was() {
    let daemon = Daemon::play(vec![
        stream(|peer| {
            let asked = peer.subscribed(&json!({"a": {"epoch": E1, "offset": 4}}));
            assert_eq!(asked.get("from"), None);
            assert_eq!(asked["options"]["include_historical"], true);
            peer.event(E1, 5);
            peer.event(E1, 6);
            peer.close(1012, "restart");
        }),
        stream(|peer| {
            let asked = peer.subscribed(&json!({"a": {"epoch": E1, "offset": 6}}));
            assert_eq!(asked["from"], json!({"a": {"epoch": E1, "offset": 6}}));
            // Channels born in between are not named, and are read from their beginning.
            assert_eq!(asked["options"]["include_historical"], true);
            // At least once is what the daemon promises: what comes twice is shown once.
            peer.event(E1, 6);
            peer.event(E1, 7);
            peer.expect_close();
        }),
    ]);
    let subscription = Subscription { include_historical: true, ..Subscription::to(["a"]) };
    let mut follow = follow(&daemon, subscription).await;
    let seen = until(&mut follow, 3).await;
    assert_eq!(seen, ["5", "6", "lost: closed with code 1012, restart", "back", "7"]);
    follow.close().await;
    daemon.done();
}

#[tokio::test]
async fn a_connection_that_breaks_without_a_word_is_resumed_from_the_heartbeats_position() {
    let daemon = Daemon::play(vec![
        stream(|peer| {
            peer.subscribed(&json!({"a": {"epoch": E1, "offset": 0}}));
            peer.event(E1, 1);
            // Everything up to 9 was filtered out: only the heartbeat tells.
            peer.say(&json!({"type": "heartbeat_response", "positions": {"a": {"epoch": E1, "offset": 9}}}));
        }),
        stream(|peer| {
            let asked = peer.subscribed(&json!({"a": {"epoch": E1, "offset": 9}}));
            assert_eq!(asked["from"]["a"]["offset"], 9);
            peer.event(E1, 10);
        }),
    ]);
    let mut follow = follow(&daemon, Subscription::to(["a"])).await;
    let seen = until(&mut follow, 2).await;
    assert_eq!((seen[0].as_str(), seen[2].as_str(), seen[3].as_str()), ("1", "back", "10"));
    assert!(seen[1].starts_with("lost: "), "{seen:?}");
    daemon.done();
}

#[tokio::test]
async fn gaps_are_told_and_a_new_epoch_starts_over() {
    let daemon = Daemon::play(vec![
        stream(|peer| {
            peer.subscribed(&json!({"a": {"epoch": E1, "offset": 7}}));
            peer.event(E1, 8);
            peer.close(1001, "");
        }),
        stream(|peer| {
            peer.subscribed(&json!({"a": {"epoch": E2, "offset": 2}}));
            peer.say(
                &json!({"type": "gap", "channel": "a", "epoch": E2, "from": 1, "to": 1, "reason": "epoch_change"}),
            );
            // Offsets count from 1 again: a smaller one is no repetition.
            peer.event(E2, 2);
            peer.close(1001, "");
        }),
        stream(|peer| {
            let asked = peer.subscribed(&json!({}));
            assert_eq!(asked["from"], json!({"a": {"epoch": E2, "offset": 2}}));
            peer.event(E2, 3);
        }),
    ]);
    let mut follow = follow(&daemon, Subscription::to(["a"])).await;
    let seen = until(&mut follow, 3).await;
    let lost = "lost: closed with code 1001";
    assert_eq!(seen, ["8", lost, "back", "gap 1-1 epoch_change", "2", lost, "back", "3"]);
    daemon.done();
}

/// Harm prevented: after a daemon was killed, a reader is told that thousands of events are lost which it has just had.
#[tokio::test]
async fn numbering_that_goes_on_under_a_new_epoch_is_no_gap() {
    let daemon = Daemon::play(vec![
        stream(|peer| {
            // From the beginning: the channel's epoch is the newest, its first events are of an older one.
            peer.subscribed(&json!({"a": {"epoch": E2, "offset": 6}}));
            peer.event(E1, 7);
            peer.event(E1, 8);
        }),
        stream(|peer| {
            let asked = peer.subscribed(&json!({"a": {"epoch": E1, "offset": 8}}));
            assert_eq!(asked["from"], json!({"a": {"epoch": E1, "offset": 8}}));
            // Those in between the filter left out.
            peer.event(E2, 11);
        }),
    ]);
    let mut follow = follow(&daemon, Subscription::to(["a"])).await;
    let seen = until(&mut follow, 3).await;
    assert_eq!((&seen[..2], &seen[3..]), (&["7", "8"].map(String::from)[..], &["back", "11"].map(String::from)[..]));
    daemon.done();
}

#[tokio::test]
async fn a_channel_that_was_forgotten_is_a_gap_too() {
    let daemon = Daemon::play(vec![
        stream(|peer| {
            peer.subscribed(&json!({"a": {"epoch": E1, "offset": 7}}));
            peer.event(E1, 8);
        }),
        stream(|peer| {
            // The new daemon has no such channel yet: it knows of no break that it could tell.
            peer.subscribed(&json!({}));
            peer.event(E2, 1);
            peer.event(E2, 2);
        }),
    ]);
    let mut follow = follow(&daemon, Subscription::to(["a*"])).await;
    let seen = until(&mut follow, 3).await;
    assert_eq!(
        (seen[0].as_str(), &seen[2..]),
        ("8", &["back", "gap 1-0 epoch_change", "1", "2"].map(String::from)[..])
    );
    daemon.done();
}

#[tokio::test]
async fn a_daemon_that_lost_its_tail_is_read_from_its_beginning() {
    let daemon = Daemon::play(vec![
        stream(|peer| {
            peer.subscribed(&json!({"a": {"epoch": E1, "offset": 7}}));
            peer.event(E1, 8);
            peer.close(1012, "");
        }),
        stream(|peer| {
            let asked = peer.expect("subscribe");
            peer.say(&json!({"type": "subscription_response", "status": "partial", "request_id": asked["request_id"],
                "subscribed_channels": ["b"], "positions": {},
                "failed_channels": [{"channel": "a", "error_code": "POSITION_AHEAD", "message": "ahead"}]}));
            let asked = peer.subscribed(&json!({"a": {"epoch": E1, "offset": 0}}));
            assert_eq!((&asked["channels"], &asked["from"]), (&json!(["a"]), &json!("earliest")));
            peer.event(E1, 1);
        }),
    ]);
    let mut follow = follow(&daemon, Subscription::to(["a", "b"])).await;
    let seen = until(&mut follow, 2).await;
    assert_eq!(seen, ["8", "lost: closed with code 1012", "back", "POSITION_AHEAD", "1"]);
    daemon.done();
}

#[tokio::test]
async fn a_pattern_that_matched_nothing_misses_nothing() {
    let daemon = Daemon::play(vec![
        stream(|peer| {
            peer.subscribed(&json!({}));
            peer.close(1012, "");
        }),
        stream(|peer| {
            // A channel born while the connection was down is new from its first event on.
            let asked = peer.subscribed(&json!({"a": {"epoch": E1, "offset": 0}}));
            assert_eq!((&asked["from"], &asked["options"]["include_historical"]), (&json!({}), &json!(true)));
            peer.event(E1, 1);
        }),
    ]);
    let mut follow = follow(&daemon, Subscription::to(["a*"])).await;
    assert_eq!(until(&mut follow, 1).await.last().unwrap(), "1");
    daemon.done();
}

#[tokio::test]
async fn more_channels_than_a_message_names_lose_nothing() {
    let place = |offset: u64| json!({"epoch": E1, "offset": offset});
    let all = |offset| serde_json::Value::Object((100..300).map(|n| (format!("a{n}"), place(offset))).collect());
    let (first, second) = (all(3), all(4));
    let daemon = Daemon::play(vec![
        stream(move |peer| {
            peer.subscribed(&first);
            peer.close(1012, "");
        }),
        stream(move |peer| {
            let asked = peer.subscribed(&second);
            assert_eq!(asked["from"].as_object().unwrap().len(), 128);
            assert_eq!(asked["from"].get("a299"), None);
            // So this channel comes from its beginning: what has been seen is not shown twice.
            for offset in 1..=4 {
                peer.event_on("a299", E1, offset);
            }
        }),
    ]);
    let mut follow = follow(&daemon, Subscription::to(["a*"])).await;
    assert_eq!(until(&mut follow, 1).await, ["lost: closed with code 1012", "back", "4"]);
    daemon.done();
}

#[tokio::test]
async fn what_will_be_refused_again_is_not_tried_again() {
    for (code, denied) in [(1008, false), (1009, false), (4401, true), (4403, true)] {
        let daemon = Daemon::play(vec![stream(move |peer| {
            peer.subscribed(&json!({}));
            peer.close(code, "no");
        })]);
        let mut follow = follow(&daemon, Subscription::to(["a"])).await;
        let error = follow.next().await.unwrap_err();
        assert_eq!(matches!(error, Error::Denied(_)), denied, "{code}: {error}");
        assert_eq!(matches!(error, Error::Lost(_)), !denied, "{code}: {error}");
        daemon.done();
    }
}

#[tokio::test]
async fn the_first_attempt_must_succeed() {
    let client = Client::new("http://127.0.0.1:9", None).unwrap();
    let Err(error) = Follow::start(client, Subscription::to(["a"]), Backoff::default()).await else { panic!() };
    assert!(matches!(&error, Error::Away { url, .. } if url == "http://127.0.0.1:9"), "{error}");
    assert_eq!(error.to_string(), "no daemon answers at http://127.0.0.1:9: connection refused");
}
