//! Conversations with servers of both eras, and with what is none.

use super::*;
use headwater_plugin::serde_json::json;

fn answer(id: i64, result: Value) -> Incoming {
    Incoming::Answer { id: Some(id), result: Ok(result) }
}

fn refuse(id: impl Into<Option<i64>>, code: i64) -> Incoming {
    Incoming::Answer { id: id.into(), result: Err(Refusal { code, message: String::new() }) }
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn hello(version: &str) -> Value {
    json!({ "protocolVersion": version, "capabilities": { "tools": {} }, "serverInfo": { "name": "s", "version": "1" } })
}

fn card() -> Value {
    json!({
        "resultType": "complete", "supportedVersions": ["2025-11-25", "2026-07-28"], "capabilities": {}, "ttlMs": 0,
        "cacheScope": "private",
    })
}

fn agreed(era: Era) -> Dialogue {
    let (mut dialogue, _) = Dialogue::begin(Some(era));
    let result = match era {
        Era::Initialize => hello("2025-06-18"),
        Era::Discover => card(),
    };
    assert!(matches!(dialogue.hear(answer(1, result), ms(0)).0, Heard::Greeted(found, _) if found == era));
    dialogue
}

#[test]
fn a_server_of_the_older_era_is_greeted_after_it_refused_the_newer_way() {
    for refusal in [refuse(1, -32601), refuse(None, -32600)] {
        let (mut dialogue, first) = Dialogue::begin(None);
        assert_eq!(first.method, "server/discover");
        let (_, second) = dialogue.hear(refusal, ms(1));
        assert_eq!(second.unwrap().method, "initialize");
        let (heard, told) = dialogue.hear(answer(2, hello("2025-06-18")), ms(2));
        let Heard::Greeted(Era::Initialize, info) = heard else { panic!("{heard:?}") };
        assert_eq!((info.protocol_version.as_str(), info.server_info.unwrap().name.as_str()), ("2025-06-18", "s"));
        assert_eq!(told.unwrap().method, "notifications/initialized");
    }
}

#[test]
fn a_server_of_the_newer_era_needs_one_question() {
    let (mut dialogue, _) = Dialogue::begin(None);
    let (heard, told) = dialogue.hear(answer(1, card()), ms(1));
    let Heard::Greeted(Era::Discover, info) = heard else { panic!("{heard:?}") };
    assert_eq!((info.protocol_version.as_str(), told), ("2026-07-28", None));
    assert_eq!(dialogue.ping(ms(1)).unwrap().method, "server/discover");
}

#[test]
fn what_a_server_need_not_say_is_not_asked_of_it() {
    let (mut dialogue, _) = Dialogue::begin(None);
    let little = json!({ "supportedVersions": ["2026-07-28"], "capabilities": { "tools": {} } });
    let (heard, _) = dialogue.hear(answer(1, little), ms(1));
    let Heard::Greeted(Era::Discover, info) = heard else { panic!("{heard:?}") };
    assert!(info.capabilities.tools.is_some());
    let (mut dialogue, _) = Dialogue::begin(None);
    let odd = json!({ "supportedVersions": ["2026-07-28"], "capabilities": 7 });
    assert!(matches!(dialogue.hear(answer(1, odd), ms(1)).0, Heard::Greeted(Era::Discover, _)));
}

/// Harm prevented: servers refuse with a 400 what names a revision that they have not agreed to.
#[test]
fn requests_name_the_revision_that_was_agreed_to() {
    let mut dialogue = agreed(Era::Initialize);
    let requests = [dialogue.ping(ms(1)), dialogue.list_tools()];
    for request in requests {
        assert_eq!(request.unwrap().version, Some(ProtocolVersion::V_2025_06_18));
    }
    let (_, more) = dialogue.hear(answer(3, json!({ "tools": [{}], "nextCursor": "2" })), ms(0));
    assert_eq!(more.unwrap().version, Some(ProtocolVersion::V_2025_06_18));
}

/// A server that is slow to start answers the first question when the second has been asked.
#[test]
fn late_answers_confuse_nobody() {
    let (mut dialogue, _) = Dialogue::begin(None);
    assert_eq!(dialogue.insist().unwrap().method, "initialize");
    assert_eq!(dialogue.insist(), None, "once");
    assert_eq!(dialogue.hear(refuse(1, -32602), ms(1)), (Heard::Other, None), "there is another one open");
    assert!(matches!(dialogue.hear(answer(2, hello("2024-11-05")), ms(2)).0, Heard::Greeted(Era::Initialize, _)));

    let (mut dialogue, _) = Dialogue::begin(None);
    dialogue.insist();
    assert!(matches!(dialogue.hear(answer(1, card()), ms(1)).0, Heard::Greeted(Era::Discover, _)));
    assert_eq!(dialogue.hear(answer(2, hello("2025-11-25")), ms(2)), (Heard::Other, None));
    assert_eq!(dialogue.ping(ms(3)).unwrap().method, "server/discover");
}

#[test]
fn a_server_that_refuses_both_ways_has_refused() {
    let (mut dialogue, _) = Dialogue::begin(Some(Era::Initialize));
    let (heard, next) = dialogue.hear(refuse(1, -32600), ms(1));
    assert_eq!((heard, next.unwrap().method), (Heard::Other, "server/discover"));
    let (heard, _) = dialogue.hear(answer(2, json!("what?")), ms(2));
    assert!(matches!(heard, Heard::Refused(_)), "{heard:?}");
}

#[test]
fn a_conversation_that_begins_anew_takes_no_answers_of_the_one_before() {
    let mut dialogue = agreed(Era::Initialize);
    dialogue.ping(ms(1));
    let greeting = dialogue.anew(Some(Era::Initialize));
    assert_eq!((greeting.method, greeting.id), ("initialize", Some(3)));
    assert_eq!(dialogue.hear(answer(2, hello("2025-06-18")), ms(2)), (Heard::Other, None));
    assert!(matches!(dialogue.hear(answer(3, hello("2025-06-18")), ms(2)).0, Heard::Greeted(..)));
}

#[test]
fn cat_is_no_server() {
    let (mut dialogue, first) = Dialogue::begin(None);
    let echo = Incoming::read(first.json.as_bytes()).unwrap();
    assert_eq!(dialogue.hear(echo, ms(1)), (Heard::Echo, None));
}

#[test]
fn pings_are_timed_and_any_answer_is_one() {
    let mut dialogue = agreed(Era::Initialize);
    for (incoming, outcome) in [
        (answer(2, json!({})), Outcome::Ok),
        (answer(3, json!("anything")), Outcome::Ok),
        (refuse(4, -32601), Outcome::Ok),
        (refuse(5, -32603), Outcome::Error),
    ] {
        assert_eq!(dialogue.ping(ms(10)).unwrap().method, "ping");
        assert_eq!(dialogue.hear(incoming, ms(17)).0, Heard::Pong { outcome, latency: ms(7) });
    }
    dialogue.ping(ms(20));
    dialogue.give_up_pings();
    assert_eq!(dialogue.hear(answer(6, json!({})), ms(99)).0, Heard::Other, "too late");
    let asks = Incoming::Request { id: json!(1), method: "ping".to_owned() };
    assert!(dialogue.hear(asks, ms(0)).1.unwrap().json.contains("result"));
}

#[test]
fn tools_are_counted_over_all_pages() {
    let mut dialogue = agreed(Era::Initialize);
    assert_eq!(dialogue.list_tools().unwrap().method, "tools/list");
    let (heard, more) = dialogue.hear(answer(2, json!({ "tools": [{}, {}], "nextCursor": "2" })), ms(0));
    assert!(heard == Heard::Other && more.unwrap().json.contains(r#""cursor":"2""#));
    assert_eq!(dialogue.hear(answer(3, json!({ "tools": [{}] })), ms(0)).0, Heard::Tools(3));
    // A server that always names a further page.
    let mut ask = dialogue.list_tools();
    let mut pages = 0;
    while let Some(asked) = ask {
        pages += 1;
        let page = answer(asked.id.unwrap(), json!({ "tools": [{}], "nextCursor": "again" }));
        ask = dialogue.hear(page, ms(0)).1;
    }
    assert_eq!(pages, PAGES);
    let changed = Incoming::Notification { method: "notifications/tools/list_changed".to_owned() };
    assert_eq!(dialogue.hear(changed, ms(0)), (Heard::ToolsChanged, None));
    assert_eq!(dialogue.listen(), None, "servers of the older era tell it unasked");
    let mut dialogue = agreed(Era::Discover);
    assert_eq!(dialogue.listen().unwrap().method, "subscriptions/listen");
    dialogue.hear(refuse(2, -32601), ms(0));
    assert_eq!(dialogue.listen(), None, "one that refuses is not asked again");
}
