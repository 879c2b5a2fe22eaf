//! Clients that do not keep pace: each is told, and then gets what its lag policy says.

use crate::{
    session::{draft, message, narrow_session, publish, session, story, subscribe_with},
    store::Store,
    wire::Client,
    world::{World, until},
};
use headwater_event::{Draft, Retention, Timestamp};
use headwater_router::LogLimits;
use serde_json::{Value, json};

/// What the log holds.
const HELD: u64 = 50;
/// What is published while the client does not read.
const ALL: u64 = 200;

fn limits(channel_events: u64) -> LogLimits {
    LogLimits { channel_events: channel_events as usize, channel_bytes: 64 << 20, ..LogLimits::default() }
}

fn without_store() -> World {
    World::over(limits(HELD), |_| {})
}

fn with_store() -> World {
    World::on(Store::new(), limits(HELD), |_| {})
}

/// A large event of the channel, whose time is its number in seconds.
fn large(number: u64) -> Draft {
    let data = format!("\"{}\"", "x".repeat(10_000));
    Draft { time: Timestamp(number as i64 * 1_000_000_000), ..draft("a", &data) }
}

/// A client with these options that has read nothing since it subscribed, and for which events wait in vain: all are
/// published, and its socket took the first few.
async fn stalled(world: &World, options: Value, event: impl Fn(u64) -> Draft) -> Client {
    let mut client = narrow_session(world).await;
    subscribe_with(&mut client, json!({"channels": "a", "options": options})).await;
    for number in 1..=ALL {
        publish(world, vec![event(number)]);
        if number == HELD * 2 {
            lagging(world).await;
        }
    }
    client
}

async fn lagging(world: &World) {
    until(async || world.get("/metrics").await.text().contains("headwater_lagging_connections 1")).await;
}

fn run(from: u64, to: u64) -> Vec<String> {
    (from..=to).map(|offset| offset.to_string()).collect()
}

/// What came before the first gap, which is everything, without the one `lag` that was said; and the rest.
fn until_gap(story: Vec<String>) -> (u64, Vec<String>) {
    let lags = story.iter().filter(|word| *word == "lag").count();
    let gap = story.iter().position(|word| word.starts_with("gap")).unwrap_or(story.len());
    let lag = story.iter().position(|word| word == "lag");
    assert!(lags == 1 && lag < Some(gap), "it is told once, and before it loses anything: {story:?}");
    let story: Vec<String> = story.into_iter().filter(|word| word != "lag").collect();
    let got = gap as u64 - 1;
    assert_eq!(story[..got as usize], run(1, got), "nothing is missing before the gap");
    (got, story[got as usize..].to_vec())
}

#[tokio::test]
async fn with_a_store_nothing_is_missing() {
    for options in [json!({}), json!({"lag_policy": "store"})] {
        let world = with_store();
        let mut client = stalled(&world, options, large).await;
        let (got, rest) = until_gap(story(&mut client, ALL).await);
        assert_eq!((got, rest), (ALL, Vec::new()));
        publish(&world, vec![large(ALL + 1)]);
        assert_eq!(message(&mut client).await["offset"], ALL + 1);
    }
}

#[tokio::test]
async fn with_a_gap_it_goes_on_with_the_oldest_that_is_held() {
    for (world, options) in [
        (without_store(), json!({})),
        (without_store(), json!({"lag_policy": "store"})),
        (with_store(), json!({"lag_policy": "gap"})),
    ] {
        let mut client = stalled(&world, options, large).await;
        let (got, rest) = until_gap(story(&mut client, ALL).await);
        let mut expected = vec![format!("gap {}-{} slow_consumer", got + 1, ALL - HELD)];
        expected.extend(run(ALL - HELD + 1, ALL));
        assert_eq!(rest, expected);
    }
}

#[tokio::test]
async fn with_latest_it_gets_the_newest_of_each() {
    let event = |number: u64| Draft {
        kind: format!("kind {}", number % 3).into(),
        retention: Retention::Keep(format!("key {}", number % 2).into()),
        attributes: [("pane".into(), format!("{}", number % 4).into())].into(),
        ..large(number)
    };
    for (policy, newest) in [
        (json!("latest"), 2),
        (json!({"policy": "latest", "key": "type"}), 3),
        (json!({"policy": "latest", "key": "attributes.pane"}), 4),
    ] {
        let world = with_store();
        let mut client = stalled(&world, json!({"lag_policy": policy}), event).await;
        let (got, rest) = until_gap(story(&mut client, ALL).await);
        let mut expected = vec![format!("gap {}-{ALL} slow_consumer", got + 1)];
        expected.extend(run(ALL - newest + 1, ALL));
        assert_eq!(rest, expected, "{policy}");
        publish(&world, vec![event(ALL + 1), event(ALL + 2)]);
        assert_eq!(story(&mut client, ALL + 2).await, run(ALL + 1, ALL + 2), "then live");
    }
}

#[tokio::test]
async fn with_samples_it_gets_one_event_of_each_stretch_of_time() {
    let world = with_store();
    let policy = json!({"policy": "sample", "interval_ms": 10_000});
    let mut client = stalled(&world, json!({"lag_policy": policy}), large).await;
    // Everything before the present has come when this has.
    let (got, rest) = until_gap(story(&mut client, ALL - 9).await);
    let mut expected = vec![format!("gap {}-{ALL} slow_consumer", got + 1)];
    expected.extend([151, 161, 171, 181, 191].map(|offset| offset.to_string()));
    assert_eq!(rest, expected);
    publish(&world, vec![large(ALL + 1), large(ALL + 2)]);
    assert_eq!(story(&mut client, ALL + 2).await, run(ALL + 1, ALL + 2), "then live");
}

#[tokio::test]
async fn with_disconnect_it_is_closed_and_told_where_to_resume() {
    let world = with_store();
    let mut client = stalled(&world, json!({"lag_policy": "disconnect"}), large).await;
    let mut last = 0;
    loop {
        let message = message(&mut client).await;
        match message["type"].as_str().unwrap() {
            "lag" => {}
            "error" => {
                assert_eq!(message["error_code"], "CONNECTION_LOST");
                assert_eq!(message["details"]["positions"]["a"]["offset"], last);
                break;
            }
            _ => {
                last += 1;
                assert_eq!(message["offset"], last);
            }
        }
    }
    let (opcode, payload) = client.frame().await;
    assert_eq!((opcode, &payload[..2]), (8, &4410_u16.to_be_bytes()[..]));
}

#[tokio::test]
async fn beyond_its_buffer_the_oldest_are_skipped_and_those_of_priority_last() {
    let event = |number: u64| match number {
        110 | 111 | 150 => Draft { kind: "alarm".into(), ..large(number) },
        _ => large(number),
    };
    for (options, tail) in [
        (json!({"buffer_size": 20}), vec!["gap 0-180 slow_consumer"]),
        (
            json!({"buffer_size": 20, "priority_events": ["alarm"]}),
            vec![
                "gap 0-109 slow_consumer",
                "110",
                "111",
                "gap 112-149 slow_consumer",
                "150",
                "gap 151-180 slow_consumer",
            ],
        ),
    ] {
        let world = World::over(limits(1_000), |_| {});
        let mut client = stalled(&world, options, event).await;
        let (got, rest) = until_gap(story(&mut client, ALL).await);
        let mut expected: Vec<String> = tail.into_iter().map(str::to_owned).collect();
        expected[0] = expected[0].replace("gap 0-", &format!("gap {}-", got + 1));
        expected.extend(run(181, ALL));
        assert_eq!(rest, expected);
    }
}

#[tokio::test]
async fn a_buffer_counts_the_events_that_are_wanted() {
    let event =
        |number: u64| Draft { kind: (if number.is_multiple_of(10) { "ten" } else { "other" }).into(), ..large(number) };
    let world = World::over(limits(1_000), |_| {});
    let mut client = narrow_session(&world).await;
    let options = json!({"buffer_size": 20});
    subscribe_with(&mut client, json!({"channels": "a", "filter": {"types": "ten"}, "options": options})).await;
    // Ten times as much as it would be skipped for if all counted, and not enough for its socket to be full.
    publish(&world, (1..=ALL).map(event).collect());
    let expected: Vec<String> = (1..=20).map(|n| (n * 10).to_string()).collect();
    assert_eq!(story(&mut client, ALL).await, expected);
}

#[tokio::test]
async fn a_reader_of_the_past_is_not_skipped_for_it() {
    let world = with_store();
    publish(&world, (1..=ALL).map(large).collect());
    let mut client = session(&world).await;
    let options = json!({"buffer_size": 5, "lag_policy": "disconnect"});
    subscribe_with(&mut client, json!({"channels": "a", "from": "earliest", "options": options})).await;
    assert_eq!(story(&mut client, ALL).await, run(1, ALL));
}
