//! A follower against a server that speaks HTTP by hand, as opencode's does.

use super::*;
use headwater_plugin::tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    runtime::Builder,
};

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(30);

const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

fn on_a_runtime(test: impl Future<Output = ()>) {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { timeout(PATIENCE, test).await.expect("it came in time") });
}

/// A piece of a chunked body.
fn chunk(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}

fn event(kind: &str, properties: &str) -> String {
    chunk(&format!("data: {{\"type\":\"{kind}\",\"properties\":{properties}}}\n\n"))
}

/// Takes the next connection, and its request.
async fn accept(listener: &TcpListener) -> (TcpStream, String) {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(stream.read_u8().await.unwrap());
    }
    (stream, String::from_utf8(request).unwrap())
}

async fn world() -> (TcpListener, mpsc::Receiver<Heard>, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let (sender, heard) = mpsc::channel(16);
    let mut tasks = JoinSet::new();
    tasks.spawn(Follower::new(url, Unknown::default(), sender).run());
    (listener, heard, tasks)
}

async fn signal(heard: &mut mpsc::Receiver<Heard>) -> Signal {
    match heard.recv().await.unwrap() {
        Heard::Signals(mut signals) if signals.len() == 1 => signals.remove(0),
        other => panic!("not one signal: {other:?}"),
    }
}

#[test]
fn events_become_signals_and_a_server_that_ends_takes_its_sessions_along() {
    on_a_runtime(async {
        let (listener, mut heard, _tasks) = world().await;
        let (mut server, request) = accept(&listener).await;
        assert!(request.starts_with("GET /event HTTP/1.1\r\n") && request.contains("text/event-stream"), "{request}");
        server.write_all(HEAD.as_bytes()).await.unwrap();
        assert_eq!(heard.recv().await, Some(Heard::Connected));
        let busy = event("session.status", r#"{"sessionID":"s1","status":{"type":"busy"}}"#);
        // In two halves, as the network may cut it.
        server.write_all(&busy.as_bytes()[..30]).await.unwrap();
        server.flush().await.unwrap();
        server.write_all(&busy.as_bytes()[30..]).await.unwrap();
        assert_eq!(signal(&mut heard).await.what, What::Working);
        server.write_all(event("session.idle", r#"{"sessionID":"s1"}"#).as_bytes()).await.unwrap();
        assert_eq!(signal(&mut heard).await.what, What::Turn(Ended::Completed));
        drop((server, listener));
        assert!(matches!(heard.recv().await, Some(Heard::Lost(_))));
        let gone = signal(&mut heard).await;
        assert_eq!(gone.what, What::Gone { reason: Some("server_gone".into()) });
        assert_eq!(gone.agent.session.as_deref(), Some("s1"));
    });
}

/// Harm prevented: a connection that breaks would look like the death of every agent.
#[test]
fn a_connection_that_breaks_is_made_again_and_nobody_has_died() {
    on_a_runtime(async {
        let (listener, mut heard, _tasks) = world().await;
        for _ in 0..2 {
            let (mut server, _) = accept(&listener).await;
            server.write_all(HEAD.as_bytes()).await.unwrap();
            assert_eq!(heard.recv().await, Some(Heard::Connected));
            server.write_all(event("session.idle", r#"{"sessionID":"s1"}"#).as_bytes()).await.unwrap();
            assert_eq!(signal(&mut heard).await.what, What::Turn(Ended::Completed));
            drop(server);
            assert!(matches!(heard.recv().await, Some(Heard::Lost(_))));
        }
    });
}

/// Harm prevented: each word of an answer would be an event to work through.
#[test]
fn signs_of_life_are_passed_on_once_a_second() {
    on_a_runtime(async {
        let (listener, mut heard, _tasks) = world().await;
        let (mut server, _) = accept(&listener).await;
        server.write_all(HEAD.as_bytes()).await.unwrap();
        assert_eq!(heard.recv().await, Some(Heard::Connected));
        let delta = event("message.part.delta", r#"{"sessionID":"s1","delta":"x"}"#);
        server.write_all(delta.repeat(100).as_bytes()).await.unwrap();
        server.write_all(event("session.idle", r#"{"sessionID":"s1"}"#).as_bytes()).await.unwrap();
        let mut signs = 0;
        while signal(&mut heard).await.what == What::Heartbeat {
            signs += 1;
        }
        assert!((1..50).contains(&signs), "{signs}");
    });
}

/// Harm prevented: what a model's provider says, prompts included, stands in the history though nobody has asked for text.
#[test]
fn no_text_is_passed_on() {
    on_a_runtime(async {
        let (listener, mut heard, _tasks) = world().await;
        let (mut server, _) = accept(&listener).await;
        server.write_all(HEAD.as_bytes()).await.unwrap();
        assert_eq!(heard.recv().await, Some(Heard::Connected));
        let error = r#"{"sessionID":"s1","error":{"name":"APIError","data":{"message":"no: my secret"}}}"#;
        server.write_all(event("session.error", error).as_bytes()).await.unwrap();
        let failed = Ended::Failed { code: Some("APIError".into()), message: None };
        assert_eq!(signal(&mut heard).await.what, What::Turn(failed));
    });
}

#[test]
fn a_server_that_refuses_is_told_once() {
    on_a_runtime(async {
        let (listener, mut heard, mut tasks) = world().await;
        let mut attempts = 0;
        while attempts < 2 {
            let (mut server, _) = accept(&listener).await;
            server.write_all(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            attempts += 1;
        }
        let Some(Heard::Lost(reason)) = heard.recv().await else { panic!("not told") };
        assert!(reason.contains("password"), "{reason}");
        assert!(heard.try_recv().is_err(), "told twice");
        drop(heard);
        tasks.join_next().await.unwrap().unwrap();
    });
}

#[test]
fn only_servers_of_this_machine_are_read() {
    for (text, error) in [
        ("https://127.0.0.1:4096", UrlError::Form),
        ("127.0.0.1:4096", UrlError::Form),
        ("http://127.0.0.1", UrlError::Form),
        ("http://127.0.0.1:4096/event", UrlError::Form),
        ("http://me:secret@localhost:1", UrlError::Form),
        ("http://192.168.0.7:4096", UrlError::Elsewhere),
        ("http://example.com:4096", UrlError::Elsewhere),
        ("http://127.0.0.1.example.com:4096", UrlError::Elsewhere),
    ] {
        assert_eq!(text.parse::<ServerUrl>(), Err(error), "{text}");
    }
    for text in ["http://127.0.0.1:4096", "http://localhost:4096", "http://[::1]:4096"] {
        assert_eq!(text.parse::<ServerUrl>().unwrap().to_string(), text);
    }
    assert_eq!("http://localhost:1/".parse::<ServerUrl>().unwrap().to_string(), "http://localhost:1");
}
