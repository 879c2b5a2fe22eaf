//! A process that is killed while it writes, again and again: what it acknowledged is there, and no position is used twice.
//!
//! The child is this test program, told by the environment to be one. It says on its output what it hands back and what
//! is acknowledged, so that it cannot be ahead of what the parent knows.

use crate::world::{World, draft, name};
use headwater_engine::{Durability, Engine, Keep, Page, PageLimit, SqliteEngine, SqliteOptions, verify};
use headwater_event::{Epoch, Event, Retention};
use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

/// Tells the child its file and its durability.
const CHILD: &str = "HEADWATER_KILLED_CHILD";

/// How many rounds each durability has, instead of [`ROUNDS`].
const ROUNDS_VARIABLE: &str = "HEADWATER_KILL_ROUNDS";
const ROUNDS: usize = 20;

const CHANNELS: [&str; 3] = ["a", "b", "c"];

/// Retention works at the same time.
const KEPT: u64 = 3_000;

fn durability(word: &str) -> Durability {
    match word {
        "memory" => Durability::Memory,
        "flush" => Durability::Flush(Duration::from_millis(20)),
        _ => Durability::Durable,
    }
}

fn options(path: &Path, word: &str) -> SqliteOptions {
    SqliteOptions {
        durability: durability(word),
        keep: Keep { events: Some(KEPT), ..Keep::default() },
        ..SqliteOptions::new(path)
    }
}

/// The child: publishes from two threads until it is killed.
#[test]
fn child() {
    let Ok(told) = std::env::var(CHILD) else { return };
    let (word, path) = told.split_once(':').unwrap();
    let (engine, _) = SqliteEngine::open(options(Path::new(path), word)).unwrap();
    engine.start(Box::new(|events| {
        let lines = events.iter().map(|event| {
            let (channel, position) = (&event.channel, event.position);
            format!("seen {channel} {} {} {}\n", position.epoch, position.offset, event.id)
        });
        let lines: String = lines.collect();
        std::io::stdout().write_all(lines.as_bytes()).unwrap();
    }));
    let acks = Mutex::new(());
    std::thread::scope(|scope| {
        for thread in 0..2_u64 {
            let (engine, acks) = (&engine, &acks);
            scope.spawn(move || {
                for number in 0_u64.. {
                    // Batches of many sizes, over channels that take turns; some events are snapshots.
                    let batch = (0..=number * 7 % 40).map(|part| {
                        let mut draft = draft(CHANNELS[((number + part / 5 + thread) % 3) as usize], number);
                        if part == 3 {
                            draft.retention = Retention::Keep(format!("key {}", number % 9).into());
                        }
                        draft
                    });
                    let names: Vec<_> = batch.clone().map(|draft| draft.channel).collect();
                    let ack = engine.publish(batch.collect()).unwrap();
                    // Some wait and some do not.
                    if number % 3 == 0 {
                        let positions = ack.wait().unwrap();
                        let lines = names.iter().zip(positions).map(|(channel, position)| {
                            format!("acked {channel} {} {}\n", position.epoch, position.offset)
                        });
                        let _one_at_a_time = acks.lock().unwrap();
                        std::io::stdout().write_all(lines.collect::<String>().as_bytes()).unwrap();
                    }
                }
            });
        }
    });
}

type Places = HashMap<(String, Epoch, u64), String>;

/// Everything that was ever said.
#[derive(Default)]
struct Told {
    /// Which event had which position.
    seen: Places,
    acked: Vec<(String, Epoch, u64)>,
}

impl Told {
    fn line(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        let place = || (words[1].to_string(), Epoch::parse(words[2]).unwrap(), words[3].parse().unwrap());
        match (words[0], words.len()) {
            ("seen", 5) => self.is_seen(&place(), words[4]),
            ("acked", 4) => self.acked.push(place()),
            // The frame that the test program puts around its tests.
            _ => {}
        }
    }

    fn is_seen(&mut self, place: &(String, Epoch, u64), id: &str) {
        if let Some(other) = self.seen.insert(place.clone(), id.into()) {
            assert_eq!(other, id, "{place:?} was used for two events");
        }
    }
}

fn rounds() -> usize {
    std::env::var(ROUNDS_VARIABLE).ok().map_or(ROUNDS, |rounds| rounds.parse().unwrap())
}

fn is_killed_under_load(word: &str) {
    let world = World::new();
    let mut told = Told::default();
    for round in 0..rounds() {
        told.acked.clear();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "killed::child", "--nocapture", "--test-threads=1"])
            .env(CHILD, format!("{word}:{}", world.path().display()))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        // Killed at another moment each time: sometimes right after the start, sometimes in full swing.
        for line in lines.by_ref().take(50 + round * 997 % 5_000) {
            told.line(&line);
        }
        child.kill().unwrap();
        // What it said before it died; the last line may be torn.
        let mut rest: Vec<String> = lines.collect();
        rest.pop();
        for line in &rest {
            told.line(line);
        }
        child.wait().unwrap();
        check(&world, word, &mut told);
        if round % 3 == 2 {
            // The next child finds a file that did not end in order, as after two kills in a row.
            world.as_if_killed();
        }
    }
    assert!(told.seen.len() > rounds() * 50, "the child did not write");
}

fn check(world: &World, word: &str, told: &mut Told) {
    let (engine, opened) = SqliteEngine::open(options(&world.path(), word)).unwrap();
    assert!(opened.unclean && opened.moved_aside.is_none(), "{opened:?}");
    let mut stored: HashMap<(String, u64), Arc<Event>> = HashMap::new();
    for head in engine.heads() {
        let mut next = head.first;
        while next <= head.last {
            let (events, then) = match engine.read(&head.name, next, PageLimit::default()).unwrap() {
                Page::Events { events, next } => (events, next),
                // Retention goes on in this life.
                Page::Expired { first } => {
                    next = first;
                    continue;
                }
                page @ Page::Missing { .. } => panic!("{page:?} in `{}` at {next}", head.name),
            };
            for event in events {
                assert_eq!(event.position.offset, next);
                next += 1;
                let place = (head.name.to_string(), event.position.epoch, event.position.offset);
                told.is_seen(&place, &event.id.to_string());
                stored.insert((head.name.to_string(), event.position.offset), event);
            }
            assert_eq!(then, next);
        }
    }
    if word != "memory" {
        for (channel, epoch, offset) in &told.acked {
            let first = engine.open(&name(channel)).unwrap().first;
            if *offset >= first {
                let event = stored.get(&(channel.clone(), *offset));
                let event =
                    event.unwrap_or_else(|| panic!("`{channel}` {epoch}:{offset} was acknowledged and is lost"));
                assert_eq!(event.position.epoch, *epoch);
            }
            assert!(engine.kept(&name(channel), *epoch) >= Some(*offset), "an acknowledged position is not kept");
        }
    }
    // The next life gives none of these positions again; and one that the parent ended in order neither.
    let record: Arc<Mutex<Vec<Arc<Event>>>> = Arc::default();
    let handed = record.clone();
    engine.start(Box::new(move |events| handed.lock().unwrap().extend(events)));
    for channel in CHANNELS {
        engine.publish(vec![draft(channel, 0), draft(channel, 1)]).unwrap().wait().unwrap();
    }
    for event in record.lock().unwrap().iter() {
        let place = (event.channel.to_string(), event.position.epoch, event.position.offset);
        told.is_seen(&place, &event.id.to_string());
    }
    drop(engine);
    let report = verify(&world.path(), |_, _| {}).unwrap();
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(report.holes, 0, "a kill makes no hole");
}

#[test]
fn killed_at_memory_no_position_is_used_twice() {
    is_killed_under_load("memory");
}

#[test]
fn killed_at_flush_nothing_acknowledged_is_lost() {
    is_killed_under_load("flush");
}

#[test]
fn killed_at_durable_nothing_acknowledged_is_lost() {
    is_killed_under_load("durable");
}
