//! Reading what was and waiting for what comes.

use crate::{
    mcp::{call, message, refused, send},
    world::{World, until},
};
use headwater_event::{ChannelName, Draft, Payload, Severity};
use headwater_protocol::CloseCode;
use headwater_router::LogLimits;
use serde_json::{Value, json};

async fn publish(world: &World, channel: &str, kind: &str, data: Value) {
    let payload = Payload::new(data.to_string().into()).unwrap();
    let mut draft = Draft::new(ChannelName::new(channel).unwrap(), kind, "test", payload);
    draft.severity = (kind == "bad").then_some(Severity::Error);
    world.router.publish(vec![draft]).unwrap().await.unwrap();
}

fn numbers(answer: &Value) -> Vec<u64> {
    answer["events"].as_array().unwrap().iter().map(|event| event["data"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn the_newest_come_first_and_the_cursor_goes_back() {
    let world = World::start();
    for number in 1..=7 {
        publish(&world, if number % 2 == 0 { "b" } else { "a" }, "t", json!(number)).await;
    }
    let first = call(&world, "read_events", json!({ "channel": "*", "limit": 3 })).await;
    assert_eq!((numbers(&first), &first["more"], &first["count"]), (vec![7, 6, 5], &json!(true), &json!(3)));
    publish(&world, "a", "t", json!(8)).await;
    let mut page = first.clone();
    let mut back = Vec::new();
    while let Some(cursor) = page["cursor"].as_str().map(str::to_owned) {
        page = call(&world, "read_events", json!({ "channel": "*", "limit": 2, "cursor": cursor })).await;
        back.extend(numbers(&page));
    }
    assert_eq!((back, &page["more"]), (vec![4, 3, 2, 1], &json!(false)));
    // What has come since the first answer.
    let live = first["live_cursor"].as_str().unwrap();
    let since = call(&world, "read_events", json!({ "channel": "*", "cursor": live })).await;
    assert_eq!(numbers(&since), [8]);
    let next = call(&world, "wait_for_event", json!({ "channel": "*", "cursor": live })).await;
    assert_eq!((numbers(&next), &next["status"]), (vec![8], &json!("event")));
}

#[tokio::test]
async fn the_oldest_first_goes_on_with_what_comes() {
    let world = World::start();
    for number in 1..=5 {
        publish(&world, "a", if number == 4 { "bad" } else { "t" }, json!(number)).await;
    }
    let ask = json!({ "channel": "a", "order": "oldest_first", "limit": 2 });
    let first = call(&world, "read_events", ask).await;
    assert_eq!((numbers(&first), &first["more"]), (vec![1, 2], &json!(true)));
    for cursor in ["cursor", "live_cursor"] {
        let rest = call(&world, "read_events", json!({ "channel": "a", "cursor": first[cursor] })).await;
        assert_eq!((numbers(&rest), &rest["more"]), (vec![3, 4, 5], &json!(false)), "{cursor}");
        assert!(rest.get("cursor").is_none() && rest["live_cursor"].is_string());
    }
    for (narrow, numbers_of) in [
        (json!({ "types": ["b*"] }), vec![4]),
        (json!({ "severity": "warning" }), vec![4]),
        (json!({ "where": "data > 3" }), vec![5, 4]),
        (json!({ "sources": ["nobody"] }), vec![]),
        (json!({ "attributes": { "a": "*" } }), vec![]),
        (json!({ "since": "1h", "until": "1ms" }), vec![5, 4, 3, 2, 1]),
        (json!({ "until": "1h" }), vec![]),
    ] {
        let mut ask = narrow.clone();
        ask["channel"] = "a".into();
        // The last event was observed a moment ago.
        until(async || numbers(&call(&world, "read_events", ask.clone()).await) == numbers_of).await;
    }
}

/// Harm prevented: "the last five minutes" begin later when the second page is asked for, and what has become too old by then
/// and was not read yet is left out without a word.
#[tokio::test]
async fn what_becomes_too_old_between_two_pages_is_told() {
    let world = World::start();
    for number in 1..=5 {
        let draft = |channel: &str| {
            let payload = Payload::new(json!(number).to_string().into()).unwrap();
            let mut draft = Draft::new(ChannelName::new(channel).unwrap(), "t", "test", payload);
            draft.time.0 -= 90 * 60 * 1_000_000_000;
            draft
        };
        world.router.publish(vec![draft("a"), draft("b")]).unwrap().await.unwrap();
    }
    publish(&world, "c", "t", json!(6)).await;
    let old = call(&world, "read_events", json!({ "channel": "a", "since": "1h" })).await;
    assert_eq!(numbers(&old), Vec::<u64>::new());
    let ask = json!({ "channel": "*", "order": "oldest_first", "since": "2h", "limit": 2 });
    let first = call(&world, "read_events", ask).await;
    assert_eq!(numbers(&first), [1, 1]);
    for cursor in ["cursor", "live_cursor"] {
        // What an hour does, in no time: by now these events are older than what is asked for.
        let rest = json!({ "channel": "*", "cursor": first[cursor], "since": "1h" });
        let rest = call(&world, "read_events", rest).await;
        let mut told = numbers(&rest);
        told.sort_unstable();
        assert_eq!((told, &rest["gaps"]), (vec![2, 2, 3, 3, 4, 4, 5, 5, 6], &json!([])), "{cursor}");
    }
    // What was too old at the beginning stays left out.
    let ask = json!({ "channel": "*", "order": "oldest_first", "since": "1h" });
    let live = call(&world, "read_events", ask).await["live_cursor"].clone();
    publish(&world, "a", "t", json!(7)).await;
    let rest = call(&world, "read_events", json!({ "channel": "*", "cursor": live, "since": "1h" })).await;
    assert_eq!(numbers(&rest), [7]);
}

/// Harm prevented: a client goes on behind the end of a range as if it were now, and nobody tells it what lies between.
#[tokio::test]
async fn an_answer_whose_range_ends_has_no_live_cursor() {
    let world = World::start();
    publish(&world, "a", "t", json!(1)).await;
    for order in ["newest_first", "oldest_first"] {
        let ask = json!({ "channel": "a", "order": order, "until": "1h" });
        let none = call(&world, "read_events", ask).await;
        assert_eq!((numbers(&none), none.get("live_cursor")), (vec![], None), "{order}");
        let ask = json!({ "channel": "a", "order": order, "since": "1h" });
        let some = call(&world, "read_events", ask).await;
        assert_eq!((numbers(&some), some["live_cursor"].is_string()), (vec![1], true), "{order}");
        let ask = json!({ "channel": "a", "cursor": some["live_cursor"], "until": "1h" });
        let rest = call(&world, "read_events", ask).await;
        assert_eq!((numbers(&rest), rest.get("live_cursor")), (vec![], None), "{order}");
    }
}

/// Harm prevented: a client that outlives its daemon cannot go on, or takes what it gets for all that happened.
#[tokio::test]
async fn a_live_cursor_of_another_numbering_goes_on_with_what_is_lost() {
    let before = World::start();
    publish(&before, "a", "t", json!(1)).await;
    publish(&before, "late", "t", json!(2)).await;
    let live = call(&before, "read_events", json!({ "channel": "*" })).await["live_cursor"].clone();
    let world = World::start();
    publish(&world, "a", "t", json!(3)).await;
    for tool in ["read_events", "wait_for_event"] {
        let told = call(&world, tool, json!({ "channel": "*", "cursor": live })).await;
        let gap = &told["gaps"][0];
        assert_eq!((&gap["channel"], &gap["reason"]), (&json!("a"), &json!("epoch_change")), "{tool}: {told}");
        assert_eq!((numbers(&told), told["gaps"].as_array().unwrap().len()), (vec![3], 1), "{tool}");
    }
    // It is told once, and a channel that is not there yet is not forgotten.
    let first = call(&world, "read_events", json!({ "channel": "*", "cursor": live })).await;
    publish(&world, "late", "t", json!(4)).await;
    let then = call(&world, "read_events", json!({ "channel": "*", "cursor": first["live_cursor"] })).await;
    assert_eq!((numbers(&then), &then["gaps"][0]["channel"]), (vec![4], &json!("late")), "{then}");
    assert_eq!(then["gaps"].as_array().unwrap().len(), 1, "{then}");
}

/// Harm prevented: one answer fills a model's context, or what did not fit is lost.
#[tokio::test]
async fn an_answer_is_bounded_and_nothing_is_left_out() {
    let world = World::start();
    for number in 0..20 {
        publish(&world, if number % 2 == 0 { "a" } else { "b" }, "t", json!({ "n": number, "x": "x".repeat(1_000) }))
            .await;
    }
    for order in ["oldest_first", "newest_first"] {
        let (mut seen, mut cursor) = (Vec::new(), Value::Null);
        loop {
            let mut ask = json!({ "channel": "*", "order": order, "max_bytes": 4_000 });
            if !cursor.is_null() {
                ask["cursor"] = cursor;
            }
            let page = call(&world, "read_events", ask).await;
            assert!(page["events"].to_string().len() < 4_500, "{}", page["events"].to_string().len());
            seen.extend(page["events"].as_array().unwrap().iter().map(|event| event["data"]["n"].as_u64().unwrap()));
            cursor = page["cursor"].clone();
            if cursor.is_null() {
                break;
            }
        }
        if order == "newest_first" {
            seen.reverse();
        }
        assert_eq!(seen, (0..20).collect::<Vec<_>>(), "{order}");
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    while seen.len() < 20 {
        let mut ask = json!({ "channel": "*", "max_bytes": 4_000, "limit": 2 });
        ask["cursor"] = if cursor.is_empty() {
            json!(call(&world, "publish_event", json!({ "channel": "c", "type": "t" })).await["live_cursor"])
        } else {
            json!(cursor)
        };
        let page = call(&world, "wait_for_event", ask).await;
        assert!(page["events"].as_array().unwrap().len() <= 2);
        seen.extend(page["events"].as_array().unwrap().iter().map(|event| event["data"]["n"].as_u64().unwrap()));
        cursor = page["cursor"].as_str().unwrap().to_owned();
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..20).collect::<Vec<_>>());
    // One that is too large alone is begun.
    publish(&world, "large", "t", json!("y".repeat(100_000))).await;
    let page = call(&world, "read_events", json!({ "channel": "large" })).await;
    assert_eq!((&page["events"][0]["truncated"]["data_bytes"], page["events"][0].get("data")), (&json!(100_002), None));
    let page = call(&world, "read_events", json!({ "channel": "large", "max_bytes": 1_000_000 })).await;
    assert_eq!(page["events"][0]["data"].as_str().unwrap().len(), 100_000);
}

#[tokio::test]
async fn a_wait_ends_with_its_event_and_nothing_is_missed_between_two() {
    let world = World::start();
    publish(&world, "a", "t", json!(1)).await;
    let waiting =
        send(&world, &message("wait_for_event", json!({ "channel": "a", "types": ["u"], "timeout_seconds": 60 })))
            .await;
    let mut waiting = waiting;
    // Published again and again: when the wait begins cannot be seen from here.
    let answer = tokio::select! {
        answer = waiting.answer(false) => answer,
        () = async { loop {
            publish(&world, "a", "t", json!(2)).await;
            publish(&world, "a", "u", json!(3)).await;
            tokio::task::yield_now().await;
        } } => unreachable!(),
    };
    let told = &crate::mcp::messages(&answer)[0]["result"]["structuredContent"];
    assert_eq!((&told["status"], &told["events"][0]["type"]), (&json!("event"), &json!("u")), "{told}");
    // Between the two calls something comes, of which nothing is wanted, and then something.
    let here = call(&world, "read_events", json!({ "channel": "a", "limit": 1 })).await["live_cursor"].clone();
    let wait = |cursor: &Value| json!({ "channel": "a", "types": ["u"], "cursor": cursor, "timeout_seconds": 1 });
    let nothing = call(&world, "wait_for_event", wait(&here)).await;
    assert_eq!((&nothing["status"], &nothing["events"]), (&json!("timed_out"), &json!([])));
    assert!(nothing["waited_seconds"].as_f64().unwrap() >= 1.0);
    publish(&world, "a", "t", json!(4)).await;
    publish(&world, "a", "u", json!(5)).await;
    let one = call(&world, "wait_for_event", wait(&nothing["cursor"])).await;
    assert_eq!((numbers(&one), &one["status"]), (vec![5], &json!("event")));
    let none = call(&world, "wait_for_event", wait(&one["cursor"])).await;
    assert_eq!(none["status"], "timed_out");
    // A channel that comes to be meanwhile belongs to the pattern.
    let all = call(&world, "wait_for_event", json!({ "channel": "*", "timeout_seconds": 1 })).await;
    publish(&world, "new", "t", json!(6)).await;
    let new = call(&world, "wait_for_event", json!({ "channel": "*", "cursor": all["cursor"] })).await;
    assert_eq!(numbers(&new), [6]);
}

#[tokio::test]
async fn events_that_are_lost_are_told() {
    let limits = LogLimits { channels: 8, channel_events: 4, ..LogLimits::default() };
    let world = World::over(limits, |_| {});
    publish(&world, "a", "t", json!(0)).await;
    let here = call(&world, "read_events", json!({ "channel": "a" })).await["live_cursor"].clone();
    for number in 1..=10 {
        publish(&world, "a", "t", json!(number)).await;
    }
    let told = call(&world, "wait_for_event", json!({ "channel": "a", "cursor": here })).await;
    assert_eq!(told["gaps"][0]["from_offset"], 2, "{told}");
    assert!(told["status"] == "gap" || !numbers(&told).is_empty(), "{told}");
    let read = call(&world, "read_events", json!({ "channel": "a", "cursor": here })).await;
    assert_eq!(
        (&read["gaps"][0]["from_offset"], &read["gaps"][0]["reason"]),
        (&json!(2), &json!("retention")),
        "{read}"
    );
}

#[tokio::test]
async fn questions_without_sense_are_told_with_the_fix() {
    let world = World::start();
    publish(&world, "a", "t", json!(1)).await;
    let back = call(&world, "read_events", json!({ "channel": "a" })).await["live_cursor"].clone();
    let paged = {
        publish(&world, "a", "t", json!(2)).await;
        call(&world, "read_events", json!({ "channel": "a", "limit": 1 })).await["cursor"].clone()
    };
    for (tool, arguments, words) in [
        ("read_events", json!({}), "`channel`"),
        ("read_events", json!({ "channel": "a b" }), "column 2"),
        ("read_events", json!({ "chanel": "a" }), "did you mean `channel`?"),
        ("read_events", json!({ "channel": "a", "since": "yesterday" }), "`since`"),
        ("read_events", json!({ "channel": "a", "since": "1m", "until": "2m" }), "before it begins"),
        ("read_events", json!({ "channel": "a", "where": "data = 1" }), "column 6"),
        ("read_events", json!({ "channel": "a", "limit": 0 }), "1 to 1000"),
        ("read_events", json!({ "channel": "a", "limit": "many" }), "`limit`"),
        ("read_events", json!({ "channel": "a", "max_bytes": 1 }), "1024 to 1048576"),
        ("read_events", json!({ "channel": "a", "order": "random" }), "newest_first"),
        ("read_events", json!({ "channel": "a", "cursor": "x" }), "`cursor`"),
        ("read_events", json!({ "channel": "a", "cursor": "events~x" }), "`cursor`"),
        ("read_events", json!({ "channel": "b", "cursor": back }), "other channels"),
        ("wait_for_event", json!({ "channel": "b", "cursor": back }), "does not mean `a`"),
        ("wait_for_event", json!({ "channel": "a", "cursor": paged }), "live_cursor"),
        ("wait_for_event", json!({ "channel": "a", "timeout_seconds": 291 }), "1 to 290"),
        ("wait_for_event", json!({ "channel": "a", "timeout_seconds": -1 }), "`timeout_seconds`"),
        ("wait_for_event", json!({ "channel": "a", "types": "t" }), "`types`"),
        ("wait_for_event", json!({ "channel": "a", "severity": "loud" }), "critical"),
    ] {
        let told = refused(&world, tool, arguments.clone()).await;
        assert!(told.starts_with("VALIDATION_ERROR: ") && told.contains(words), "{tool} {arguments}: {told}");
    }
    // A position that nobody has reached.
    let ahead = back.as_str().unwrap().rsplit_once(':').unwrap().0.to_owned() + ":99";
    let told = refused(&world, "wait_for_event", json!({ "channel": "a", "cursor": ahead })).await;
    assert!(told.starts_with("POSITION_AHEAD: "), "{told}");
}

/// Harm prevented: clients that have gone leave waits behind until there is no room for more.
#[tokio::test]
async fn waits_are_bounded_and_end_with_their_clients() {
    let world = World::with(|options| options.max_connections = 1_000);
    let wait = message("wait_for_event", json!({ "channel": "a", "timeout_seconds": 290 }));
    let mut waiting = Vec::new();
    for _ in 0..256 {
        waiting.push(send(&world, &wait).await);
    }
    let poll = json!({ "channel": "a", "timeout_seconds": 1 });
    let full = async || crate::mcp::result(&world, "wait_for_event", poll.clone()).await["isError"] == true;
    until(async || full().await).await;
    let told = refused(&world, "wait_for_event", poll.clone()).await;
    assert!(told.starts_with("RATE_LIMIT_EXCEEDED: there are 256"), "{told}");
    // Other tools go on.
    call(&world, "list_channels", json!({})).await;
    drop(waiting);
    until(async || !full().await).await;
}

#[tokio::test]
async fn a_daemon_that_ends_lets_nobody_wait() {
    let mut world = World::start();
    let mut waiting = send(&world, &message("wait_for_event", json!({ "channel": "a", "timeout_seconds": 290 }))).await;
    // Its answer has begun when the call is at work.
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.extend(waiting.exactly(1).await);
    }
    world.begin_end(CloseCode::Restart);
    world.ended().await;
}
