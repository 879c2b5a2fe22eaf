//! The load of one life of the daemon: publishers over WebSocket and HTTP that note what was acknowledged, and subscribers
//! that note what they saw, all of them until the daemon is gone.

use super::dice::Dice;
use headwater_tests::{Client, Daemon, PATIENCE, try_post};
use serde_json::{Value, json};
use std::{collections::HashMap, net::SocketAddr};
use tokio::{sync::watch, task::JoinSet, time::timeout};

/// Where it goes.
pub(super) const CHANNELS: [&str; 3] = ["load:a", "load:b", "load:c"];

/// How many requests a publisher has on their way: enough that a kill always finds some.
const WINDOW: usize = 8;

/// The most that is acknowledged or seen before the kill.
const LATEST: usize = 1_200;

/// Where an event stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) channel: String,
    pub(super) epoch: String,
    pub(super) offset: u64,
}

/// An event, as a subscriber sees it or the history has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) place: Place,
    /// Its data, of which no two events have the same.
    pub(super) what: String,
    pub(super) id: String,
    pub(super) key: Option<String>,
}

/// What clients have learnt.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) acknowledged: Vec<(Place, String)>,
    pub(super) seen: Vec<Seen>,
}

/// When the daemon is killed.
#[derive(Debug)]
pub(super) enum Moment {
    Acknowledged(usize),
    Seen(usize),
}

/// How far the load has come.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    acknowledged: usize,
    seen: usize,
}

/// All clients of one life.
pub(super) struct Load {
    clients: JoinSet<Told>,
    progress: watch::Receiver<Progress>,
}

/// One publisher: what it publishes, and what it has learnt.
struct Publisher {
    who: String,
    dice: Dice,
    published: usize,
    requests: usize,
    told: Told,
    progress: watch::Sender<Progress>,
}

impl Moment {
    /// Sometimes at once, sometimes in full swing.
    pub(super) fn of(dice: &mut Dice) -> Self {
        let count = dice.below(LATEST);
        if dice.below(2) == 0 { Self::Acknowledged(count) } else { Self::Seen(count) }
    }
}

impl Place {
    /// Of an event or of a position in an answer.
    pub(super) fn of(value: &Value) -> Self {
        let text = |name: &str| value[name].as_str().unwrap_or_else(|| panic!("{name} is missing: {value}")).to_owned();
        let offset = value["offset"].as_u64().unwrap_or_else(|| panic!("offset is missing: {value}"));
        Self { channel: text("channel"), epoch: text("epoch"), offset }
    }
}

impl Seen {
    /// From its JSON.
    pub(super) fn of(event: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("a field is missing: {event}")).to_owned();
        Self {
            place: Place::of(event),
            what: text(&event["data"]["what"]),
            id: text(&event["message_id"]),
            key: event["key"].as_str().map(str::to_owned),
        }
    }
}

impl Load {
    /// Connects everybody and lets them begin.
    pub(super) async fn start(daemon: &Daemon, life: usize, dice: &mut Dice) -> Self {
        let (sender, progress) = watch::channel(Progress::default());
        let mut clients = JoinSet::new();
        for pattern in ["load:*", "load:b"] {
            let mut client = daemon.client().await;
            client.subscribe(&[pattern]).await;
            clients.spawn(sees(client, sender.clone()));
        }
        let mut publisher = |name: &str| Publisher {
            who: format!("{life}/{name}"),
            dice: dice.others(),
            published: 0,
            requests: 0,
            told: Told::default(),
            progress: sender.clone(),
        };
        for name in ["websocket 1", "websocket 2"] {
            clients.spawn(publisher(name).over_websocket(daemon.client().await));
        }
        for name in ["http 1", "http 2"] {
            clients.spawn(publisher(name).over_http(daemon.address()));
        }
        Self { clients, progress }
    }

    /// Waits for the moment.
    pub(super) async fn reaches(&self, moment: Moment) {
        let mut progress = self.progress.clone();
        let reached = progress.wait_for(|progress| match moment {
            Moment::Acknowledged(count) => progress.acknowledged >= count,
            Moment::Seen(count) => progress.seen >= count,
        });
        timeout(PATIENCE, reached).await.expect("the load goes on").expect("its clients are there");
    }

    /// Waits until everybody has noticed that the daemon is gone; what they had learnt before.
    pub(super) async fn end(mut self) -> Vec<Told> {
        let mut all = Vec::new();
        while let Some(told) = self.clients.join_next().await {
            all.push(told.expect("a client does not panic"));
        }
        all
    }
}

async fn sees(mut client: Client, progress: watch::Sender<Progress>) -> Told {
    let mut told = Told::default();
    while let Ok(event) = client.try_next().await {
        if event["type"] == "lag" {
            // A busy machine: what it missed comes from the history.
            continue;
        }
        assert_eq!(event["type"], "load", "nothing but events comes: {event}");
        told.seen.push(Seen::of(&event));
        progress.send_modify(|progress| progress.seen += 1);
    }
    told
}

impl Publisher {
    /// Lists of some length, and events on their own; several requests at a time.
    async fn over_websocket(mut self, mut client: Client) -> Told {
        let mut flying = HashMap::new();
        loop {
            while flying.len() < WINDOW {
                self.requests += 1;
                let id = self.requests as u64;
                let length = self.dice.below(20);
                let (mut message, items) = if length == 0 {
                    let mut item = self.item();
                    let sent = vec![item.clone()];
                    // In a message of its own the type has another name.
                    item["event"] = item["type"].take();
                    item["idempotency_key"] = format!("{} {id}", self.who).into();
                    (item, sent)
                } else {
                    let items: Vec<Value> = (0..length).map(|_| self.item()).collect();
                    (json!({"events": items}), items)
                };
                (message["type"], message["request_id"]) = ("publish".into(), id.into());
                if client.try_send(&message).await.is_err() {
                    return self.told;
                }
                flying.insert(id, items);
            }
            let Ok(answer) = client.try_next().await else { return self.told };
            assert_eq!(answer["type"], "publish_response", "{answer}");
            let items = flying.remove(&answer["request_id"].as_u64().unwrap()).expect("each is answered once");
            self.acknowledged(&items, &answer);
        }
    }

    /// Arrays and lines, each in a connection of its own.
    async fn over_http(mut self, daemon: SocketAddr) -> Told {
        loop {
            self.requests += 1;
            let key = format!("{} {}", self.who, self.requests);
            let items: Vec<Value> = (0..=self.dice.below(30)).map(|_| self.item()).collect();
            let (media_type, body) = if self.dice.below(2) == 0 {
                ("application/json", Value::from(items.clone()).to_string())
            } else {
                ("application/x-ndjson", items.iter().map(Value::to_string).collect::<Vec<_>>().join("\n"))
            };
            let headers = [("content-type", media_type), ("idempotency-key", &key)];
            let Some(answer) = try_post(daemon, "/v1/events", &headers, &body).await else { return self.told };
            assert_eq!(answer.status, 202, "{}", answer.body);
            self.acknowledged(&items, &answer.json());
        }
    }

    /// Some are large, and some are snapshots.
    fn item(&mut self) -> Value {
        self.published += 1;
        let what = format!("{}/{}", self.who, self.published);
        let padding = if self.dice.below(50) == 0 { 8_000 } else { self.dice.below(300) };
        let channel = CHANNELS[self.dice.below(CHANNELS.len())];
        let mut item =
            json!({"channel": channel, "type": "load", "data": {"what": what, "padding": "x".repeat(padding)}});
        if self.dice.below(5) == 0 {
            item["key"] = format!("key {}", self.dice.below(7)).into();
        }
        item
    }

    fn acknowledged(&mut self, items: &[Value], answer: &Value) {
        let positions = answer["positions"].as_array().expect("an acknowledgement has positions");
        assert_eq!(positions.len(), items.len(), "{answer}");
        for (item, position) in items.iter().zip(positions) {
            assert_eq!(item["channel"], position["channel"], "{answer}");
            let what = item["data"]["what"].as_str().unwrap().to_owned();
            self.told.acknowledged.push((Place::of(position), what));
        }
        self.progress.send_modify(|progress| progress.acknowledged += items.len());
    }
}
