//! A subscriber that comes back after each kill with the positions that it has, and sometimes goes away before. It misses
//! nothing, and is told of a gap only where the crash has lost what it had seen.

use super::{
    dice::Dice,
    ledger::Ledger,
    load::{CHANNELS, Seen},
};
use headwater_tests::{Client, Daemon};
use serde_json::json;
use std::{
    collections::{HashMap, HashSet},
    fmt,
};
use tokio::task::JoinSet;

/// What it knows.
#[derive(Debug, Default)]
pub(super) struct Resumer {
    /// The last event of each channel that it has seen.
    last: HashMap<&'static str, Seen>,
    /// The data of all that it has seen.
    got: HashSet<String>,
    /// How often it came back with a position, and was told of a gap.
    resumed: usize,
    gaps: usize,
}

/// What must come next on a channel.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Event(u64),
    /// A gap, since this offset, which it has seen, means another event now or none.
    Gap(u64),
}

/// At work.
pub(super) struct Resuming(JoinSet<Resumer>);

impl Resuming {
    /// Waits until it has gone away, or has noticed that the daemon is gone.
    pub(super) async fn end(mut self) -> Resumer {
        self.0.join_next().await.expect("there is one").expect("it does not panic")
    }
}

impl Resumer {
    /// Comes back. `ledger` knows what is stored at this moment, or what was before events came that nobody has seen.
    pub(super) async fn resume(mut self, daemon: &Daemon, ledger: &Ledger, dice: &mut Dice) -> Resuming {
        let (client, next) = self.come_back(daemon, ledger).await;
        let patience = if dice.below(2) == 0 { usize::MAX } else { dice.below(300) };
        let mut task = JoinSet::new();
        task.spawn(async move {
            self.follow(client, next, |got, _| got >= patience).await;
            self
        });
        Resuming(task)
    }

    /// Comes back a last time and reads all there is: then it has all that was ever acknowledged.
    pub(super) async fn catches_up(&mut self, daemon: &Daemon, ledger: &Ledger) {
        let (client, next) = self.come_back(daemon, ledger).await;
        let at_the_end = |channel: &&str, next: &Next| *next == Next::Event(ledger.last(channel) + 1);
        self.follow(client, next, |_, next| next.iter().all(|(channel, next)| at_the_end(channel, next))).await;
        for what in ledger.acknowledged() {
            assert!(self.got.contains(what), "{what} was acknowledged and never came");
        }
    }

    async fn come_back(&mut self, daemon: &Daemon, ledger: &Ledger) -> (Client, HashMap<&'static str, Next>) {
        let mut client = daemon.client().await;
        let mut expected = HashMap::new();
        for channel in CHANNELS {
            let (from, next) = match self.last.get(channel) {
                None => (json!("earliest"), Next::Event(1)),
                Some(Seen { place, id, .. }) => {
                    self.resumed += 1;
                    let stored = ledger.stored(channel, place.offset).map(|stored| &stored.id);
                    let next = if stored == Some(id) { Next::Event(place.offset + 1) } else { Next::Gap(place.offset) };
                    (json!({"epoch": place.epoch, "offset": place.offset}), next)
                }
            };
            expected.insert(channel, next);
            client.send(&json!({"type": "subscribe", "channels": channel, "from": from})).await;
        }
        (client, expected)
    }

    /// Reads until it has enough, or the daemon is gone.
    async fn follow(
        &mut self,
        mut client: Client,
        mut next: HashMap<&'static str, Next>,
        enough: impl Fn(usize, &HashMap<&'static str, Next>) -> bool,
    ) {
        let mut got = 0;
        while !enough(got, &next) {
            let Ok(message) = client.try_next().await else { return };
            let channel = CHANNELS.into_iter().find(|channel| message["channel"] == *channel);
            match (message["type"].as_str().unwrap(), channel) {
                ("subscription_response", _) => assert_eq!(message["status"], "success", "{message}"),
                ("lag", _) => {}
                ("gap", Some(channel)) => {
                    let seen = match next.get(channel) {
                        Some(Next::Gap(seen)) => *seen,
                        other => panic!("{other:?} and not {message}"),
                    };
                    assert_eq!(message["reason"], "epoch_change", "{message}");
                    let then = message["to"].as_u64().unwrap() + 1;
                    assert_eq!(message["from"], then, "all that is stored and new to it comes: {message}");
                    assert!(
                        then <= seen,
                        "what it has seen there was lost, and what stands there now is new: {message}"
                    );
                    next.insert(channel, Next::Event(then));
                    self.gaps += 1;
                }
                ("load", Some(channel)) => {
                    let seen = Seen::of(&message);
                    assert_eq!(next[channel], Next::Event(seen.place.offset), "{message}");
                    next.insert(channel, Next::Event(seen.place.offset + 1));
                    self.got.insert(seen.what.clone());
                    self.last.insert(channel, seen);
                    got += 1;
                }
                _ => panic!("unexpected {message}"),
            }
        }
    }
}

impl fmt::Display for Resumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { resumed, gaps, got, .. } = self;
        write!(
            f,
            "{resumed} resumes by position missed none of {} events and were told {gaps} gaps, each where it had seen \
             what was lost",
            got.len()
        )
    }
}
