//! What the durable engine costs: events per second and CPU per event at each durability, how long a publisher is held up
//! at most while checkpoints and retention run, and the memory of it all.
//!
//! `cargo run --release -p headwater-engine --example store_cost [DIRECTORY] [EVENTS]`. The directory should be on the disk
//! that is asked about. Events have 200 bytes; a publisher has at most so many batches in flight, as one with a window has.

use bytes::Bytes;
use headwater_engine::{Ack, Durability, Engine, Keep, Page, PageLimit, SqliteEngine, SqliteOptions};
use headwater_event::{ChannelName, Draft, Payload};
use std::{
    collections::VecDeque,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// How many events wait for their ack at the same time.
const WINDOW: usize = 10_000;

/// The file is kept to this size, so that retention has to keep pace.
const FILE: u64 = 64 << 20;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let events: usize =
        arguments.next().map_or(500_000, |count| count.parse().expect("the second argument is a number"));
    let path = directory.join(format!("store-cost-{}.db", std::process::id()));
    println!(
        "durability  batch channels |  events/s  us CPU | publish p50   p99    max us | ack p99 ms | MiB RSS  file   wal"
    );
    for (durability, name) in [
        (Durability::Memory, "memory"),
        (Durability::Flush(Duration::from_millis(100)), "flush"),
        (Durability::Durable, "durable"),
    ] {
        for (batch, channels) in [(100, 1), (1_000, 1), (200, 20), (1_000, 100), (1, 1)] {
            let events = if batch == 1 { events / 10 } else { events };
            let run = Run { durability, name, batch, channels, events };
            run.measure(&path);
            remove(&path);
        }
    }
    paced(&path);
    remove(&path);
    reading(&path, events);
    remove(&path);
}

struct Run {
    durability: Durability,
    name: &'static str,
    batch: usize,
    channels: usize,
    events: usize,
}

impl Run {
    fn measure(&self, path: &Path) {
        let engine = open(path, self.durability);
        let drafts = drafts(self.channels);
        let (mut held_up, mut waits) = (Vec::new(), Vec::new());
        let mut window: VecDeque<(Instant, Ack)> = VecDeque::new();
        let (began, cpu) = (Instant::now(), cpu());
        for number in 0..self.events / self.batch {
            let start = number * self.batch / self.channels.min(self.batch);
            // A batch is some events of each of its channels.
            let each = self.batch.div_ceil(self.channels);
            let batch = (0..self.batch).map(|part| drafts[(start + part / each) % self.channels].clone()).collect();
            let at = Instant::now();
            let ack = engine.publish(batch).expect("a plain batch is taken");
            held_up.push(at.elapsed());
            window.push_back((at, ack));
            while window.len() * self.batch >= WINDOW {
                let (at, ack) = window.pop_front().expect("invariant: it is not empty");
                ack.wait().expect("the disk works");
                waits.push(at.elapsed());
            }
        }
        for (_, ack) in window {
            ack.wait().expect("the disk works");
        }
        while engine.stats().pending_events > 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        let (took, cpu) = (began.elapsed(), self::cpu().saturating_sub(cpu));
        let stats = engine.stats();
        println!(
            "{:10} {:6} {:8} | {:9.0} {:7.2} | {:11.1} {:6.1} {:8.1} | {:10.2} | {:7.1} {:5} {:5}   {} commits, {} expired",
            self.name,
            self.batch,
            self.channels,
            self.events as f64 / took.as_secs_f64(),
            cpu.as_secs_f64() * 1e6 / self.events as f64,
            micros(&mut held_up, 0.5),
            micros(&mut held_up, 0.99),
            micros(&mut held_up, 1.0),
            micros(&mut waits, 0.99) / 1e3,
            resident(),
            stats.file_bytes >> 20,
            stats.wal_bytes >> 20,
            stats.batches,
            stats.expired,
        );
    }
}

/// 20,000 events a second, one by one, as sources send them: the CPU that history takes then.
fn paced(path: &Path) {
    const RATE: u32 = 20_000;
    const SECONDS: u32 = 5;
    let engine = open(path, Durability::Flush(Duration::from_millis(100)));
    let drafts = drafts(10);
    let (began, cpu) = (Instant::now(), cpu());
    let (mut held_up, mut waits) = (Vec::new(), Vec::new());
    let mut waiting: VecDeque<(Instant, Ack)> = VecDeque::new();
    for number in 0..RATE * SECONDS {
        let due = began + Duration::from_secs(1) * number / RATE;
        // In steps of a millisecond: a sleep for each would cost more than the publishing.
        let first = number % (RATE / 1_000) == 0;
        if first {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        let at = Instant::now();
        let ack = engine.publish(vec![drafts[number as usize % 10].clone()]).expect("a plain batch is taken");
        held_up.push(at.elapsed());
        // One publisher in twenty waits for its ack; how long is seen to within a millisecond.
        if first {
            waiting.push_back((at, ack));
        }
        while let Some((at, ack)) = waiting.pop_front() {
            match ack.try_now() {
                Ok(outcome) => {
                    outcome.expect("the disk works");
                    waits.push(at.elapsed());
                }
                Err(ack) => {
                    waiting.push_front((at, ack));
                    break;
                }
            }
        }
    }
    let (took, cpu) = (began.elapsed(), self::cpu().saturating_sub(cpu));
    println!(
        "paced at {RATE} single events/s, flush: {:.2} of a core, publish p99 {:.1} us, max {:.1} us, {} commits, \
         ack p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms",
        cpu.as_secs_f64() / took.as_secs_f64(),
        micros(&mut held_up, 0.99),
        micros(&mut held_up, 1.0),
        engine.stats().batches,
        micros(&mut waits, 0.5) / 1e3,
        micros(&mut waits, 0.99) / 1e3,
        micros(&mut waits, 1.0) / 1e3,
    );
}

/// All of a channel, page by page, up and down.
fn reading(path: &Path, events: usize) {
    let (engine, _) = SqliteEngine::open(SqliteOptions::new(path)).expect("the directory can be written");
    engine.start(Box::new(drop));
    let drafts = drafts(1);
    for _ in 0..events / 1_000 {
        engine.publish(vec![drafts[0].clone(); 1_000]).expect("a plain batch is taken").wait().expect("the disk works");
    }
    let name = &drafts[0].channel;
    let (began, mut next) = (Instant::now(), 1);
    while let Page::Events { events, next: then } =
        engine.read(name, next, PageLimit::default()).expect("it can be read")
        && !events.is_empty()
    {
        next = then;
    }
    let up = next as f64 / began.elapsed().as_secs_f64();
    let began = Instant::now();
    while let Page::Events { events, next: then } =
        engine.read_back(name, next, PageLimit::default()).expect("it can be read")
        && !events.is_empty()
    {
        next = then;
    }
    println!("reading {up:.0} events/s upwards, {:.0} downwards", events as f64 / began.elapsed().as_secs_f64());
}

fn open(path: &Path, durability: Durability) -> SqliteEngine {
    let options = SqliteOptions {
        durability,
        total_size: Some(FILE),
        keep: Keep { age: Some(Duration::from_hours(1)), ..Keep::default() },
        ..SqliteOptions::new(path)
    };
    let (engine, _) = SqliteEngine::open(options).expect("the directory can be written");
    engine.start(Box::new(drop));
    engine
}

fn drafts(channels: usize) -> Vec<Draft> {
    let data = Payload::new(Bytes::from(format!("{{\"a\":\"{}\"}}", "x".repeat(192)))).expect("invariant: it is JSON");
    let name = |number| ChannelName::new(&format!("channel:{number}")).expect("invariant: a good name");
    (0..channels).map(|number| Draft::new(name(number), "performance.sample", "metrics", data.clone())).collect()
}

fn micros(times: &mut [Duration], part: f64) -> f64 {
    times.sort_unstable();
    let index = ((times.len() as f64 * part).ceil() as usize).clamp(1, times.len().max(1)) - 1;
    times.get(index).map_or(0.0, |time| time.as_secs_f64() * 1e6)
}

/// The CPU that this process has used: user and system, in ticks of 10 ms.
fn cpu() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").expect("this is Linux");
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap_or(0) + fields[12].parse::<u64>().unwrap_or(0);
    Duration::from_millis(ticks * 10)
}

fn resident() -> f64 {
    let status = fs::read_to_string("/proc/self/statm").expect("this is Linux");
    status.split(' ').nth(1).and_then(|pages| pages.parse::<f64>().ok()).unwrap_or(0.0) / 256.0
}

fn remove(path: &Path) {
    for suffix in ["", "-wal", "-shm", "-lock"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        let _ = fs::remove_file(name);
    }
}
