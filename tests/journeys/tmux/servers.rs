//! Servers that are not there yet, come, are killed, and come again as others.

use super::{asked, ids};
use headwater_tests::{Tmux, World};
use serde_json::json;

#[tokio::test]
async fn a_server_is_waited_for_and_picked_up() {
    let tmux = Tmux::absent();
    let daemon = World::new().tmux(&tmux, "").start().await;
    let mut client = daemon.client().await;
    client.subscribe_with(json!({"channels": "tmux", "from": "earliest"})).await;
    let waiting = client.next_of("tmux.mode").await;
    assert_eq!(
        (&waiting["data"]["mode"], &waiting["data"]["reason"]),
        (&json!("waiting"), &json!("no tmux server runs"))
    );
    daemon.source_is("tmux", "up").await;
    assert_eq!(asked(&mut client, "status", json!({})).await["result"]["mode"], "waiting");
    tmux.begin().await;
    let created = client.next_of("session.created").await;
    assert_eq!((ids(&created).as_str(), &created["data"]["server"]["pid"]), ("$0", &json!(tmux.pid().await)));
    tmux.run(&["rename-window", "-t", "@0", "told"]).await;
    assert_eq!(client.next_of("window.renamed").await["evidence"], "observed");
}
