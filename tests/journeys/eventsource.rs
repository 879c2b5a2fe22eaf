//! A page in a real browser reads the stream with the browser's own `EventSource`, and no other code of ours.

use headwater_tests::{Browser, World, eventually};
use serde_json::{Value, json};

/// Opens the stream and remembers what comes, in the page.
const OPEN: &str = "
window.seen = [];
window.source = new EventSource('/v1/events?channel=ticks');
source.onmessage = (message) => seen.push({ id: message.lastEventId, ...JSON.parse(message.data) });
new Promise((opened) => { source.onopen = () => opened(source.readyState); });
";

async fn seen(browser: &mut Browser, count: usize) -> Vec<Value> {
    eventually(&format!("{count} events in the page"), async || {
        let seen = browser.evaluate("seen").await;
        seen.as_array().filter(|seen| seen.len() >= count).cloned()
    })
    .await
}

#[tokio::test]
async fn a_page_goes_on_where_it_was_after_the_daemon_was_restarted() {
    let mut daemon = World::new().start().await;
    // Any page of the daemon will do: what matters is its origin.
    let mut browser = Browser::open(&format!("http://{}/healthz", daemon.address())).await;
    assert_eq!(browser.evaluate(OPEN).await, 1, "the stream is open");
    let event = |n: u64| json!({"channel": "ticks", "type": "tick", "data": {"n": n}}).to_string();
    for n in 1..=3 {
        assert_eq!(daemon.post("/v1/events", "application/json", &event(n)).await.status, 202);
    }
    seen(&mut browser, 3).await;
    for round in 1..=2u64 {
        daemon.signal("TERM").await;
        assert_eq!(daemon.ended().await, Some(0));
        daemon = daemon.again().await;
        // Published before the browser is back: they come from the history.
        for n in round * 3 + 1..=round * 3 + 3 {
            assert_eq!(daemon.post("/v1/events", "application/json", &event(n)).await.status, 202);
        }
        let seen = seen(&mut browser, 3 + 3 * round as usize).await;
        let numbers: Vec<u64> = seen.iter().map(|event| event["data"]["n"].as_u64().unwrap_or(0)).collect();
        assert_eq!(numbers, (1..=3 + 3 * round).collect::<Vec<_>>(), "nothing is missing, doubled or a gap: {seen:?}");
        let offsets: Vec<u64> = seen.iter().map(|event| event["offset"].as_u64().unwrap()).collect();
        assert_eq!(offsets, numbers);
        assert!(seen.iter().all(|event| event["id"].as_str().unwrap().starts_with("ticks@")), "{seen:?}");
    }
}
