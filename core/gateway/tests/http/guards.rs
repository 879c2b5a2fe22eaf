//! The checks before every route: what a page in a browser on this machine must not be able to do. The whole matrix of
//! names stands in `guard.rs`; here it is shown that every route is behind it.

use crate::{
    wire::{Answer, UPGRADE},
    world::World,
};
use headwater_gateway::routes;

/// Every route, a path beside the table, and a method beside it.
fn everything() -> Vec<(&'static str, String)> {
    let mut all: Vec<_> = routes().map(|entry| (entry.method, entry.path.replace("{name}", "metrics"))).collect();
    all.push(("GET", "/nowhere".into()));
    all.push(("DELETE", "/v1/info".into()));
    all.push(("OPTIONS", "/v1/events".into()));
    all.push(("OPTIONS", "*".into()));
    all
}

async fn ask(world: &World, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut all: Vec<_> = headers.to_vec();
    if path == "/v1/stream" {
        all.extend_from_slice(UPGRADE);
    }
    world.ask(method, path, &all, b"").await
}

/// Harm prevented: DNS rebinding (CVE-2025-49596, CVE-2025-66414).
#[tokio::test]
async fn a_rebound_name_reaches_no_route() {
    let world = World::start();
    for (method, path) in everything() {
        for host in ["evil.example", "evil.example:8765", "localhost.evil.example", "127.0.0.1.nip.io", "0.0.0.0"] {
            ask(&world, method, &path, &[("host", host)]).await.problem(403, "HOST_NOT_ALLOWED");
        }
    }
    assert!(world.ports.asked().is_empty());
}

#[tokio::test]
async fn no_host_or_two_reach_no_route() {
    let world = World::start();
    for (method, path) in everything() {
        let two = [("host", "localhost"), ("host", "localhost")];
        ask(&world, method, &path, &two).await.problem(400, "BAD_HOST");
        let none = format!("{method} {path} HTTP/1.1\r\ncontent-length: 0\r\n\r\n");
        world.raw(none).await.problem(400, "BAD_HOST");
    }
    assert!(world.ports.asked().is_empty());
}

/// Harm prevented: cross-site WebSocket hijacking and form posts (CVE-2025-24010, CVE-2025-52882).
#[tokio::test]
async fn a_page_of_another_site_reaches_no_route() {
    let world = World::start();
    for (method, path) in everything() {
        for origin in ["http://evil.example", "null", "http://localhost:1", "https://localhost.evil.example", "file://"]
        {
            ask(&world, method, &path, &[("origin", origin)]).await.problem(403, "ORIGIN_NOT_ALLOWED");
        }
    }
    assert!(world.ports.asked().is_empty());
}

#[tokio::test]
async fn pages_of_the_gateway_and_listed_ones_reach_it() {
    let world = World::with(|options| {
        options.allowed_origins = vec!["https://tools.example".into()];
        options.allowed_hosts = vec!["bus.lan".into()];
    });
    let own = format!("http://{}", world.address);
    let host = world.address.to_string();
    for headers in [
        &[("host", &*host), ("origin", &*own)][..],
        &[("host", "bus.lan"), ("origin", "http://bus.lan")],
        &[("host", "bus.lan:8443"), ("origin", "https://tools.example")],
        &[("host", "[::1]:8765")],
    ] {
        assert_eq!(ask(&world, "GET", "/v1/info", headers).await.status, 200, "{headers:?}");
        assert_eq!(ask(&world, "GET", "/v1/stream", headers).await.status, 101, "{headers:?}");
    }
}

#[tokio::test]
async fn only_http_1_1_is_spoken() {
    let world = World::start();
    world.raw("GET /v1/info HTTP/1.0\r\nhost: localhost\r\n\r\n").await.problem(505, "HTTP_VERSION_NOT_SUPPORTED");
    // The name in the request line rules over the Host header.
    let both = "GET http://evil.example/v1/info HTTP/1.1\r\nhost: localhost\r\n\r\n";
    world.raw(both).await.problem(403, "HOST_NOT_ALLOWED");
}

/// Harm prevented: two programs on the way that read one request as two (request smuggling).
#[tokio::test]
async fn an_ambiguous_length_is_refused() {
    let world = World::start();
    for request in [
        "POST /v1/reload HTTP/1.1\r\nhost: localhost\r\ncontent-length: 4\r\ncontent-length: 5\r\n\r\nabcde",
        "POST /v1/reload HTTP/1.1\r\nhost: localhost\r\ncontent-length: +4\r\n\r\nabcd",
        "POST /v1/reload HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "POST /v1/reload HTTP/1.1\r\n host: localhost\r\n\r\n",
        "POST /v1/reload HTTP/1.1\r\nhost : localhost\r\n\r\n",
    ] {
        assert_eq!(world.raw(request).await.status, 400, "{request}");
    }
    assert!(world.ports.asked().is_empty());
}
