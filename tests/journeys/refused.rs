//! Positions that lie ahead, epochs that nobody knows, expressions that do not compile, ranges without an end or the wrong
//! way round: each has a clear answer with its code, at once, over WebSocket and over HTTP.

use headwater_tests::{Daemon, World};
use serde_json::{Value, json};

/// A daemon with three events in `work`, and their epoch.
async fn with_three_events() -> (Daemon, String) {
    let daemon = World::new().start().await;
    let items: Vec<Value> = (1..=3).map(|n| json!({"channel": "work", "type": "n", "data": {"n": n}})).collect();
    let answer = daemon.post("/v1/events", "application/json", &json!(items).to_string()).await;
    let epoch = answer.json()["positions"][0]["epoch"].as_str().unwrap().to_owned();
    (daemon, epoch)
}

#[tokio::test]
async fn over_websocket_each_has_its_code_and_the_connection_goes_on() {
    let (daemon, epoch) = with_three_events().await;
    let subscribe = |key: &str, value: Value| json!({"type": "subscribe", "channels": "work", key: value});
    let ask =
        |parameters: Value| json!({"type": "request_historical_data", "channel": "work", "parameters": parameters});
    let replay =
        |start: &str, end: &str| json!({"type": "replay", "channels": "work", "start_time": start, "end_time": end});
    let mut client = daemon.client().await;
    for (mut message, code, words) in [
        (subscribe("from", json!({"epoch": epoch, "offset": 4})), "POSITION_AHEAD", "stands at 3"),
        (subscribe("from", json!({"work": {"epoch": epoch, "offset": u64::MAX}})), "POSITION_AHEAD", "stands at 3"),
        (subscribe("from", json!({"epoch": "mine", "offset": 1})), "VALIDATION_ERROR", "16 hexadecimal digits"),
        (subscribe("from", json!({"epoch": epoch, "offset": -1})), "VALIDATION_ERROR", "`from`"),
        (subscribe("from", json!({"time": "tomorrow"})), "VALIDATION_ERROR", "`from.time`"),
        (subscribe("filter", json!({"where": "data.n = 1"})), "VALIDATION_ERROR", "column 8: `=`"),
        (subscribe("filter", json!({"where": "data.n +"})), "VALIDATION_ERROR", "column 9"),
        (ask(json!({"filter": {"where": "data.n = 1"}})), "VALIDATION_ERROR", "column 8: `=`"),
        (ask(json!({"start_time": "1h", "end_time": "2h"})), "VALIDATION_ERROR", "`end_time` is before `start_time`"),
        (ask(json!({"start_time": "1970-01-01T00:00:00Z", "granularity": "second"})), "VALIDATION_ERROR", "points"),
        (ask(json!({"cursor": "nonsense"})), "VALIDATION_ERROR", "`cursor`"),
        (ask(json!({"limit": 1_000_000})), "VALIDATION_ERROR", "`limit`"),
        (replay("1h", "2h"), "VALIDATION_ERROR", "`end_time` is before `start_time`"),
    ] {
        message["request_id"] = words.into();
        client.send(&message).await;
        let answer = client.next().await;
        assert_eq!(answer["request_id"], words, "{message}: {answer}");
        // A channel that cannot be had stands in the answer, beside those that can.
        let told = if answer["type"] == "error" { &answer } else { &answer["failed_channels"][0] };
        assert_eq!(told["error_code"], code, "{message}: {answer}");
        assert!(told["message"].as_str().unwrap().contains(words), "{message}: {answer}");
    }
    client.subscribe(&["work"]).await;
    let mut publisher = daemon.client().await;
    publisher.publish("work", "n", json!({"n": 4})).await;
    assert_eq!(client.next().await["offset"], 4, "it was none the worse");
}

#[tokio::test]
async fn over_http_each_has_its_code() {
    let (daemon, epoch) = with_three_events().await;
    let ahead = format!("work@{epoch}:4");
    let back = |cursor: &str| vec![("accept", "text/event-stream".to_owned()), ("last-event-id", cursor.to_owned())];
    for (path, headers, code, words) in [
        (format!("/v1/events?channel=work&from={ahead}"), vec![], "POSITION_AHEAD", "stands at 3"),
        (format!("/v1/events?channel=work&follow=1&from={ahead}"), vec![], "POSITION_AHEAD", "stands at 3"),
        ("/v1/events?channel=work".into(), back(&ahead), "POSITION_AHEAD", "stands at 3"),
        ("/v1/events?channel=work".into(), back("nonsense"), "VALIDATION_ERROR", "`Last-Event-ID`"),
        ("/v1/events?channel=work&from=nonsense".into(), vec![], "VALIDATION_ERROR", "`from`"),
        ("/v1/events?channel=work&where=data.n+%3D+1".into(), vec![], "VALIDATION_ERROR", "column 8: `=`"),
        ("/v1/events?channel=work&since=1h&until=2h".into(), vec![], "VALIDATION_ERROR", "`until` is before `since`"),
        ("/v1/history?channel=work&where=data.n+%2B".into(), vec![], "VALIDATION_ERROR", "column 9"),
        ("/v1/history?channel=work&since=1h&until=2h".into(), vec![], "VALIDATION_ERROR", "before it begins"),
        (
            "/v1/history?channel=work&since=1970-01-01T00:00:00Z&granularity=second".into(),
            vec![],
            "VALIDATION_ERROR",
            "points",
        ),
        ("/v1/history?channel=work&cursor=nonsense".into(), vec![], "VALIDATION_ERROR", "`cursor`"),
        ("/v1/history?channel=work&limit=1000000".into(), vec![], "VALIDATION_ERROR", "`limit`"),
        ("/v1/history".into(), vec![], "VALIDATION_ERROR", "`channel`"),
    ] {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = daemon.request("GET", &path, &headers, "").await;
        assert_eq!((answer.status, &answer.json()["code"]), (400, &json!(code)), "{path}: {}", answer.body);
        assert!(answer.json()["detail"].as_str().unwrap().contains(words), "{path}: {}", answer.body);
    }
}

/// An epoch that the daemon does not know is no fault of the client's: it is told the gap, and goes on with what there is.
#[tokio::test]
async fn an_unknown_epoch_is_a_gap_and_then_all_there_is() {
    let (daemon, epoch) = with_three_events().await;
    let unknown = "00000000000000aa";
    let mut client = daemon.client().await;
    let from = json!({"epoch": unknown, "offset": 2});
    let answer = client.subscribe_with(json!({"channels": "work", "from": from})).await;
    assert_eq!(answer["status"], "success", "{answer}");
    let mut over_websocket = Vec::new();
    for _ in 0..4 {
        over_websocket.push(client.next().await);
    }
    let lines = daemon.get(&format!("/v1/events?channel=work&from=work@{unknown}:2")).await.body;
    let over_http: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for told in [over_websocket, over_http] {
        assert_eq!((&told[0]["type"], &told[0]["reason"]), (&json!("gap"), &json!("epoch_change")), "{told:?}");
        assert_eq!((&told[0]["from"], &told[0]["to"]), (&json!(1), &json!(0)), "nothing that there is is missing");
        let offsets: Vec<&Value> = told[1..].iter().map(|event| &event["offset"]).collect();
        assert_eq!(offsets, [1, 2, 3]);
        assert!(told.iter().all(|message| message["epoch"] == epoch.as_str()), "{told:?}");
    }
}
