//! The verbs against a scripted daemon: what is asked of it, what is printed, and how it ends.

use crate::{
    Failure, Output, Style, Terminal,
    arguments::{CommandArgs, HistoryArgs, PublishArgs, SnapshotArgs, SubscribeArgs},
    run::Session,
    scripted::{Daemon, http, stream},
    verbs,
};
use clap::Args;
use expect_test::expect;
use headwater_client::Client;
use serde_json::json;

const E1: &str = "00000000000000e1";

fn session(daemon: &Daemon, human: bool) -> Session {
    let terminal = Terminal { human, shown: human, width: 80, style: Style { colored: false } };
    let client = Client::new(daemon.url(), None).unwrap();
    Session { client, terminal, output: Output::memory() }
}

fn args<T: Args>(words: &[&str]) -> T {
    let command = T::augment_args(clap::Command::new("verb"));
    let matches = command.try_get_matches_from([&["verb"], words].concat()).unwrap();
    T::from_arg_matches(&matches).unwrap()
}

fn published(offsets: std::ops::RangeInclusive<u64>) -> (&'static str, String) {
    let positions: Vec<_> = offsets.map(|offset| json!({"channel": "a", "epoch": E1, "offset": offset})).collect();
    ("202 Accepted", json!({"accepted": positions.len(), "positions": positions}).to_string())
}

#[tokio::test]
async fn sub_prints_lines_as_they_came_and_ends_after_its_count() {
    let daemon = Daemon::play(vec![
        stream(|peer| {
            let asked = peer.subscribed(&json!({"a": {"epoch": E1, "offset": 0}}));
            assert_eq!(asked["filter"], json!({"types": ["tick"]}));
            peer.event(E1, 1);
            peer.close(1012, "restart");
        }),
        stream(|peer| {
            let asked = peer.subscribed(&json!({}));
            assert_eq!(asked["from"]["a"]["offset"], 1);
            peer.event(E1, 2);
            peer.event(E1, 3);
            peer.expect_close();
        }),
    ]);
    let mut session = session(&daemon, false);
    let sub: SubscribeArgs = args(&["a", "--type", "tick", "--count", "2"]);
    verbs::subscribe::run(sub, &mut session).await.unwrap();
    let printed = session.output.taken();
    let offsets: Vec<u64> = printed
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["offset"].as_u64().unwrap())
        .collect();
    // Two and not three: the third was there, and stays unread.
    assert_eq!(offsets, [1, 2]);
    daemon.done();
}

#[tokio::test]
async fn sub_without_reconnection_ends_with_the_connection() {
    let daemon = Daemon::play(vec![stream(|peer| {
        peer.subscribed(&json!({}));
        peer.close(1001, "end");
    })]);
    let sub: SubscribeArgs = args(&["a", "--no-reconnect"]);
    let failure = verbs::subscribe::run(sub, &mut session(&daemon, false)).await.unwrap_err();
    assert_eq!((failure.code(), failure.to_string().contains("1001")), (69, true), "{failure}");
    daemon.done();
}

#[tokio::test]
async fn a_place_in_many_channels_is_refused_before_anything_is_asked() {
    let daemon = Daemon::play(Vec::new());
    let sub: SubscribeArgs = args(&["a*", "--from", "00000000000000e1:3"]);
    let failure = verbs::subscribe::run(sub, &mut session(&daemon, false)).await.unwrap_err();
    assert_eq!(failure.code(), 2);
    daemon.done();
}

#[tokio::test]
async fn pub_sends_one_event_with_all_it_was_given() {
    let daemon = Daemon::play(vec![http(|request| {
        let body: serde_json::Value = serde_json::from_str(request.split("\r\n\r\n").nth(1).unwrap()).unwrap();
        let expected = json!({"channel": "a", "type": "t", "severity": "error", "attributes": {"x": "1"}, "key": "k",
            "data": {"n": 1}});
        assert_eq!(body, expected);
        published(7..=7)
    })]);
    let words = ["a", "t", "{\n\"n\": 1}", "--severity", "error", "--attribute", "x=1", "--key", "k"];
    let mut session = session(&daemon, true);
    verbs::publish::run(&args::<PublishArgs>(&words), &mut session, &b""[..], true).await.unwrap();
    expect![[r"
        published on a at 00000000000000e1:7
    "]]
    .assert_eq(&session.output.taken());
    daemon.done();
}

#[tokio::test]
async fn pub_publishes_each_value_that_is_piped_in() {
    let daemon = Daemon::play(vec![
        http(|request| {
            let body = request.split("\r\n\r\n").nth(1).unwrap();
            expect![[r#"
                {"channel":"a","type":"t","data":{"n":1}}
                {"channel":"a","type":"t","data":{ "n": 2 }}"#]]
            .assert_eq(body);
            published(1..=2)
        }),
        http(|request| {
            assert!(request.ends_with("\r\n\r\n{\"channel\":\"b\",\"type\":\"u\"}"), "{request}");
            published(3..=3)
        }),
        http(|_| ("400 Bad Request", json!({"detail": "item 0: `type` is missing"}).to_string())),
    ]);
    let mut session = session(&daemon, false);
    let input = &b"{\"n\":1}\n{\n\"n\": 2\n}\n"[..];
    verbs::publish::run(&args::<PublishArgs>(&["a", "t"]), &mut session, input, true).await.unwrap();
    let whole = args::<PublishArgs>(&["-"]);
    verbs::publish::run(&whole, &mut session, &br#"{"channel":"b","type":"u"}"#[..], true).await.unwrap();
    expect![[r#"
        {"channel":"a","epoch":"00000000000000e1","offset":1}
        {"channel":"a","epoch":"00000000000000e1","offset":2}
        {"channel":"a","epoch":"00000000000000e1","offset":3}
    "#]]
    .assert_eq(&session.output.taken());
    let failure = verbs::publish::run(&whole, &mut session, &b"{}"[..], true).await.unwrap_err();
    expect!["standard input, lines 1 to 1, 0 events published before: item 0: `type` is missing"]
        .assert_eq(&failure.to_string());
    daemon.done();
}

#[tokio::test]
async fn pub_says_how_it_is_used() {
    let daemon = Daemon::play(Vec::new());
    for (words, piped, said) in [
        (&["a", "t", "hello"][..], true, "a text is written '\"hello\"'"),
        (&["a"], true, "TYPE is missing"),
        (&["a", "t"], false, "nothing is piped in"),
        (&["-", "t"], true, "whole events"),
        (&["-", "--key", "k"], true, "leave the options out"),
    ] {
        let mut session = session(&daemon, true);
        let outcome = verbs::publish::run(&args::<PublishArgs>(words), &mut session, &b""[..], piped).await;
        let failure = outcome.unwrap_err();
        assert!(failure.code() == 2 && failure.to_string().contains(said), "{words:?}: {failure}");
    }
    let outcome =
        verbs::publish::run(&args::<PublishArgs>(&["a", "t"]), &mut session(&daemon, true), &b" \n"[..], true).await;
    assert!(matches!(outcome, Err(Failure::Other(words)) if words.contains("nothing was published")));
    daemon.done();
}

#[tokio::test]
async fn a_command_shows_its_steps_and_fails_as_it_fails() {
    let daemon = Daemon::play(vec![
        stream(|peer| {
            let id = peer.expect("command")["request_id"].clone();
            peer.say(&json!({"type": "command_response", "status": "accepted", "request_id": id, "message": "on it"}));
            let progress = json!({"current_step": "reading\u{1b}", "completion_percent": 40});
            peer.say(&json!({"type": "command_progress", "request_id": id, "progress": progress}));
            peer.say(&json!({"type": "command_completed", "request_id": id, "result": {"used": [1, "\u{202e}"]}}));
            peer.expect_close();
        }),
        stream(|peer| {
            let id = peer.expect("command")["request_id"].clone();
            peer.say(&json!({"type": "command_error", "request_id": id, "error_code": "INSUFFICIENT_PERMISSIONS",
                "message": "control is needed"}));
        }),
        stream(|peer| {
            let id = peer.expect("command")["request_id"].clone();
            peer.say(&json!({"type": "command_response", "status": "accepted", "request_id": id}));
            peer.close(1012, "restart");
        }),
    ]);
    let measure: CommandArgs = args(&["measure", r#"{"mount":"/"}"#]);
    let mut human = session(&daemon, true);
    verbs::command::run(&measure, &mut human).await.unwrap();
    expect![[r#"
        on it
         40 %  reading␛
        {
          "used": [
            1,
            "<202e>"
          ]
        }
    "#]]
    .assert_eq(&human.output.taken());
    let failure = verbs::command::run(&measure, &mut human).await.unwrap_err();
    assert_eq!(failure.code(), 77, "{failure}");
    let failure = verbs::command::run(&measure, &mut human).await.unwrap_err();
    // At most once is the promise: nobody may believe that it was done, or that it was not.
    assert!(failure.code() == 69 && failure.to_string().contains("not known"), "{failure}");
    let failure = verbs::command::run(&args(&["measure", "[1]"]), &mut human).await.unwrap_err();
    assert_eq!(failure.code(), 2, "{failure}");
    daemon.done();
}

#[tokio::test]
async fn a_config_that_is_refused_shows_its_diagnostics() {
    let daemon = Daemon::play(vec![
        http(|request| {
            assert!(request.starts_with("POST /v1/reload?dry_run=true "), "{request}");
            let body = json!({"detail": "1 error", "diagnostics": "error[E0102]: unknown key\n  ^^^"});
            ("422 Unprocessable Entity", body.to_string())
        }),
        http(|_| ("200 OK", r#"{"status":"unchanged","changes":[]}"#.into())),
    ]);
    let failure = verbs::reload::run(true, &mut session(&daemon, true)).await.unwrap_err();
    assert_eq!((failure.code(), failure.to_string().as_str()), (78, "error[E0102]: unknown key\n  ^^^"));
    let mut programs = session(&daemon, false);
    verbs::reload::run(false, &mut programs).await.unwrap();
    assert_eq!(programs.output.taken(), "{\"status\":\"unchanged\",\"changes\":[]}\n");
    daemon.done();
}

#[tokio::test]
async fn lists_are_tables_for_people_and_lines_for_programs() {
    let sources = r#"{"sources":[{"name":"a","state":"up","new":{"x": 1}},{"name":"b","state":"down"}]}"#;
    let daemon = Daemon::play(vec![
        http(move |_| ("200 OK", sources.into())),
        http(move |_| ("200 OK", sources.into())),
        http(|_| ("200 OK", r#"{"sources":[{"name":1}]}"#.into())),
        http(|_| ("200 OK", r#"{"channels":[]}"#.into())),
        http(|request| {
            assert!(request.starts_with("POST /v1/sources/b%2Fc/restart "), "{request}");
            ("404 Not Found", r#"{"detail":"no source `b/c`; known: a, b"}"#.into())
        }),
    ]);
    let mut programs = session(&daemon, false);
    verbs::sources::list(&mut programs).await.unwrap();
    // What this version does not know is passed on untouched.
    assert_eq!(
        programs.output.taken(),
        "{\"name\":\"a\",\"state\":\"up\",\"new\":{\"x\": 1}}\n{\"name\":\"b\",\"state\":\"down\"}\n"
    );
    let mut people = session(&daemon, true);
    verbs::sources::list(&mut people).await.unwrap();
    expect![[r"
        SOURCE  STATE  EVENTS
        a       up          0
        b       down        0
    "]]
    .assert_eq(&people.output.taken());
    assert_eq!(verbs::sources::list(&mut people).await.unwrap_err().code(), 1);
    verbs::channels::run(&mut people).await.unwrap();
    assert!(people.output.taken().contains("no channels yet"));
    let failure = verbs::sources::restart("b/c", &mut people).await.unwrap_err();
    assert_eq!((failure.code(), failure.to_string().as_str()), (1, "no source `b/c`; known: a, b"));
    daemon.done();
}

#[tokio::test]
async fn a_snapshot_prints_each_event_once() {
    let event = json!({"type": "t", "channel": "a", "timestamp": "2026-11-20T10:02:11Z", "message_id": "m",
        "epoch": E1, "offset": 1, "source": "s", "key": "k", "data": {"n": 1}});
    let body = json!({"events": [event]}).to_string();
    let again = body.clone();
    let daemon = Daemon::play(vec![
        http(move |request| {
            assert!(request.starts_with("GET /v1/snapshot?channel=a "), "{request}");
            ("200 OK", body)
        }),
        http(move |_| ("200 OK", again)),
    ]);
    let mut session = session(&daemon, false);
    verbs::snapshot::run(&args::<SnapshotArgs>(&["a", "a*"]), &mut session).await.unwrap();
    assert_eq!(session.output.taken().lines().count(), 1);
    daemon.done();
}

/// A page of history with these offsets, and where it goes on.
fn past(offsets: &[u64], cursor: Option<&str>) -> (&'static str, String) {
    let event = |offset: &u64| {
        json!({"type": "tick", "channel": "a", "timestamp": "2026-11-20T10:02:11Z", "message_id": format!("m{offset}"),
            "epoch": E1, "offset": offset, "source": "s", "data": {"n": offset}})
    };
    let events: Vec<_> = offsets.iter().map(event).collect();
    (
        "200 OK",
        json!({"truncated": cursor.is_some(), "count": events.len(), "events": events, "cursor": cursor}).to_string(),
    )
}

#[tokio::test]
async fn history_prints_all_pages_in_a_pipe_and_stops_at_its_limit() {
    let daemon = Daemon::play(vec![
        http(|request| {
            assert!(
                request.starts_with("GET /v1/history?channel=a&since=1h&type=t.*&order=desc&limit=3 "),
                "{request}"
            );
            past(&[1, 2], Some("next"))
        }),
        http(|request| {
            assert!(request.contains("&limit=1&cursor=next "), "{request}");
            past(&[3], Some("more"))
        }),
    ]);
    let mut session = session(&daemon, false);
    let history: HistoryArgs = args(&["a", "--since", "1h", "--type", "t.*", "--desc", "--limit", "3"]);
    verbs::history::run(&history, &mut session).await.unwrap();
    let printed = session.output.taken();
    let offsets: Vec<_> = printed
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["offset"].clone())
        .collect();
    assert_eq!(offsets, [1, 2, 3]);
    daemon.done();
}

#[tokio::test]
async fn history_shows_people_lines_and_says_when_there_is_nothing() {
    let daemon = Daemon::play(vec![http(|_| past(&[], None))]);
    let mut session = session(&daemon, true);
    verbs::history::run(&args(&["a"]), &mut session).await.unwrap();
    assert_eq!(session.output.taken(), "nothing is kept of that\n");
    daemon.done();
}

#[tokio::test]
async fn an_export_is_there_when_it_is_whole() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("past.csv");
    let name = file.to_str().unwrap().to_owned();
    let export = |extra: &[&str]| args::<HistoryArgs>(&[&["export", "a", "--output", &name], extra].concat());
    // The daemon fails on the second page: nothing is left behind.
    let refused = ("503 Service Unavailable", json!({"code": "SYSTEM_UNAVAILABLE", "detail": "away"}).to_string());
    let daemon = Daemon::play(vec![http(|_| past(&[1, 2], Some("next"))), http(move |_| refused)]);
    let failure = verbs::history::run(&export(&[]), &mut session(&daemon, false)).await.unwrap_err();
    assert_eq!((failure.code(), std::fs::read_dir(directory.path()).unwrap().count()), (69, 0), "{failure}");
    daemon.done();
    let daemon = Daemon::play(vec![http(|_| past(&[1], Some("next"))), http(|_| past(&[2], None))]);
    let mut people = session(&daemon, true);
    verbs::history::run(&export(&[]), &mut people).await.unwrap();
    assert!(people.output.taken().contains("wrote 2 events"));
    daemon.done();
    expect![[r#"
        channel,epoch,offset,timestamp,type,source,severity,evidence,key,message_id,attributes,data
        a,00000000000000e1,1,2026-11-20T10:02:11Z,tick,s,,,,m1,,"{""n"":1}"
        a,00000000000000e1,2,2026-11-20T10:02:11Z,tick,s,,,,m2,,"{""n"":2}"
    "#]]
    .assert_eq(&std::fs::read_to_string(&file).unwrap().replace("\r\n", "\n"));
    let daemon = Daemon::play(vec![http(|_| past(&[1, 2], None))]);
    verbs::history::run(&export(&["--flatten"]), &mut session(&daemon, false)).await.unwrap();
    let flat = std::fs::read_to_string(&file).unwrap();
    assert!(flat.starts_with("channel,") && flat.contains(",data.n\r\n") && flat.ends_with(",2\r\n"), "{flat}");
    daemon.done();
}

#[tokio::test]
async fn an_export_to_the_standard_output_is_what_a_pipe_reads() {
    let daemon = Daemon::play(vec![http(|_| past(&[1, 2], None))]);
    let mut session = session(&daemon, false);
    verbs::history::run(&args(&["export", "a", "--output", "-"]), &mut session).await.unwrap();
    assert_eq!(session.output.taken().lines().count(), 2);
    daemon.done();
    let wrong: HistoryArgs = args(&["export", "a", "--output", "x.ndjson", "--flatten"]);
    assert_eq!(verbs::history::run(&wrong, &mut session).await.unwrap_err().code(), 2);
}
