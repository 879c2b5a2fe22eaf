//! What one client may take from the others: time, memory, descriptors.

use crate::world::{World, until};
use rustix::{
    process::{Resource, Rlimit, getrlimit, setrlimit},
    time::{ClockId, clock_gettime},
};
use std::time::{Duration, Instant};

const SHORT: Duration = Duration::from_millis(200);

/// Harm prevented: half-open connections pile up until there is no descriptor left.
#[tokio::test]
async fn who_says_nothing_is_closed() {
    let world = World::with(|options| options.handshake_timeout = SHORT);
    let start = Instant::now();
    assert!(world.client().await.closed().await.is_empty());
    assert!(start.elapsed() >= SHORT);
}

/// Harm prevented: a head that comes byte by byte (slowloris). Each byte would start a naive deadline anew.
#[tokio::test]
async fn a_head_that_trickles_in_is_cut_off() {
    let world = World::with(|options| options.handshake_timeout = SHORT);
    let mut client = world.client().await;
    let start = Instant::now();
    client.send(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nx: ").await;
    let mut pace = tokio::time::interval(Duration::from_millis(20));
    while start.elapsed() < 20 * SHORT {
        pace.tick().await;
        client.send(b"x").await;
        let mut buffer = [0; 64];
        match client.stream.try_read(&mut buffer) {
            Ok(0) => return,
            Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => return,
            Ok(_) | Err(_) => {}
        }
    }
    panic!("it may trickle on for ever");
}

#[tokio::test]
async fn a_connection_serves_many_requests_and_ends_when_it_rests() {
    let world = World::with(|options| options.handshake_timeout = SHORT);
    let mut client = world.client().await;
    for _ in 0..3 {
        assert_eq!(client.ask("GET", "/healthz", &[], b"").await.text(), "ok\n");
    }
    assert!(client.closed().await.is_empty());
}

/// Harm prevented: heads without end fill the memory.
#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let world = World::start();
    let bombs = [format!("x: {}\r\n", "y".repeat(20_000)), "x: y\r\n".repeat(2000), "x: y\r\n".repeat(150)];
    for bomb in bombs {
        let answer = world.raw(format!("GET /healthz HTTP/1.1\r\nhost: localhost\r\n{bomb}\r\n")).await;
        assert_eq!(answer.status, 431, "{answer:?}");
    }
    let long = format!("GET /{} HTTP/1.1\r\nhost: localhost\r\n\r\n", "p".repeat(20_000));
    assert_eq!(world.raw(long).await.status, 431);
    assert_eq!(world.raw("nonsense\r\n\r\n").await.status, 400);
    let fits = format!("GET /healthz HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n", "y".repeat(8000));
    assert_eq!(world.raw(fits).await.status, 200);
}

#[tokio::test]
async fn connections_beyond_the_limit_are_told_so_and_the_others_go_on() {
    let world = World::with(|options| options.max_connections = 2);
    let (mut first, mut second) = (world.client().await, world.client().await);
    for client in [&mut first, &mut second] {
        assert_eq!(client.ask("GET", "/healthz", &[], b"").await.status, 200);
    }
    let mut third = world.client().await;
    let answer = third.ask("GET", "/healthz", &[], b"").await;
    let problem = answer.problem(503, "SYSTEM_UNAVAILABLE");
    assert!(problem["detail"].as_str().unwrap().contains("gateway.max_connections"), "{problem}");
    assert_eq!(answer.header("connection"), Some("close"));
    third.closed().await;
    assert_eq!(first.ask("GET", "/healthz", &[], b"").await.status, 200);
    drop(second);
    until(async || world.get("/healthz").await.status == 200).await;
}

/// Harm prevented: a storm is answered politely until there is no descriptor left for those who are served.
#[tokio::test]
async fn a_storm_beyond_the_limit_is_closed_without_a_word() {
    let world = World::with(|options| options.max_connections = 1);
    let mut served = world.client().await;
    assert_eq!(served.ask("GET", "/healthz", &[], b"").await.status, 200);
    let mut told = Vec::new();
    for _ in 0..64 {
        told.push(world.client().await);
    }
    assert!(world.client().await.closed().await.is_empty());
    told[63].ask("GET", "/healthz", &[], b"").await.problem(503, "SYSTEM_UNAVAILABLE");
    assert_eq!(served.ask("GET", "/healthz", &[], b"").await.status, 200);
}

/// Harm prevented: out of descriptors the accept loop spins, or gives up, or the clients that are there suffer.
///
/// It takes descriptors from the whole process and counts its time: under plain `cargo test` it and the tests beside it may
/// fail of each other. nextest, by which `cargo xtask test` runs all tests, gives each a process of its own.
#[tokio::test]
async fn without_descriptors_accepting_rests_and_the_clients_stay() {
    let world = World::start();
    let mut before = world.client().await;
    assert_eq!(before.ask("GET", "/healthz", &[], b"").await.status, 200);
    // Connected in the kernel's queue; nothing was awaited, so that the gateway has not seen them.
    let waiting: Vec<_> = (0..5).map(|_| std::net::TcpStream::connect(world.address).unwrap()).collect();
    let limit = getrlimit(Resource::Nofile);
    let open = std::fs::read_dir("/proc/self/fd").unwrap().count() as u64 - 1;
    setrlimit(Resource::Nofile, Rlimit { current: Some(open), ..limit }).unwrap();
    let (spent, start) = (cpu(), Instant::now());
    let mut pace = tokio::time::interval(Duration::from_millis(50));
    while start.elapsed() < Duration::from_secs(1) {
        pace.tick().await;
        assert_eq!(before.ask("GET", "/healthz", &[], b"").await.status, 200);
    }
    let spent = cpu().saturating_sub(spent);
    setrlimit(Resource::Nofile, limit).unwrap();
    // A loop without rest takes all that the machine gives it, which on a busy one is not the whole second.
    assert!(spent < Duration::from_millis(100), "{spent:?} of CPU in a second of rest");
    for stream in waiting {
        stream.set_nonblocking(true).unwrap();
        let mut client =
            crate::wire::Client { stream: tokio::net::TcpStream::from_std(stream).unwrap(), buffer: Vec::new() };
        assert_eq!(client.ask("GET", "/healthz", &[], b"").await.status, 200);
    }
}

/// The CPU time that this process has taken.
fn cpu() -> Duration {
    let spent = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(spent.tv_sec as u64, spent.tv_nsec as u32)
}

/// Harm prevented: clients that ask for much and read nothing keep tasks and descriptors for ever.
#[tokio::test]
async fn who_does_not_read_its_answer_is_given_up() {
    let world = World::with(|options| options.stall_timeout = SHORT);
    let data = format!("\"{}\"", "x".repeat(100_000));
    let items: Vec<String> =
        (0..40).map(|n| format!(r#"{{"channel":"c","type":"t","key":"{n}","data":{data}}}"#)).collect();
    for part in items.chunks(20) {
        let body = format!("[{}]", part.join(","));
        assert_eq!(world.post("/v1/events", "application/json", body).await.status, 202);
    }
    let mut lazy = world.client().await;
    let many = "GET /v1/snapshot HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(10);
    lazy.send(many.as_bytes()).await;
    // The only connection besides the asking one is gone when the gateway has given it up.
    let mut asking = world.client().await;
    let held = "headwater_connections{protocol=\"http\"} ";
    until(async || {
        let text = asking.ask("GET", "/metrics", &[], b"").await.text();
        text.lines().any(|line| line.strip_prefix(held) == Some("1"))
    })
    .await;
    drop(lazy);
}
