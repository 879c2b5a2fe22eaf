//! The same figures counted by somebody else: from other files than the source reads where there are any, all the time, so
//! that what they said at any moment is known within some milliseconds.

use serde_json::Value;
use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread::{JoinHandle, spawn},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// The pause between two counts.
const PAUSE: Duration = Duration::from_millis(5);

/// With a longer time between the counts around a moment it is not known well enough.
const GAP: f64 = 0.1;

/// What is counted. All but the memory only rise.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    /// Seconds of the day.
    at: f64,
    busy: f64,
    total: f64,
    operations: f64,
    network: f64,
    loopback: f64,
    memory_kib: f64,
}

/// Somebody who counts.
pub(super) struct Counters {
    counts: Arc<Mutex<Vec<Count>>>,
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What was counted in the window of an event.
pub(super) struct Counted {
    seconds: f64,
    before: Count,
    after: Count,
}

impl Counters {
    pub(super) fn start() -> Self {
        let counts: Arc<Mutex<Vec<Count>>> = Arc::default();
        let ((end, ended), writes) = (channel(), counts.clone());
        let thread = spawn(move || {
            while goes_on(&ended, PAUSE) {
                let count = count();
                writes.lock().unwrap().push(count);
            }
        });
        Self { counts, end: Some(end), thread: Some(thread) }
    }

    /// What was counted in the window of this event; nothing where the bounds are not known well enough.
    pub(super) fn between(&self, event: &Value) -> Option<Counted> {
        let until = seconds_of_day(event["timestamp"].as_str().unwrap());
        let seconds = event["data"]["window_ms"].as_f64().unwrap() / 1_000.0;
        // The count behind the event's moment may be still to come.
        while self.counts.lock().unwrap().last().is_none_or(|last| last.at < until) {
            std::thread::yield_now();
        }
        let counts = self.counts.lock().unwrap();
        let at = |moment: f64| {
            let behind = counts.iter().position(|count| count.at >= moment).filter(|place| *place > 0)?;
            let (a, b) = (counts[behind - 1], counts[behind]);
            (b.at - a.at < GAP).then(|| between(a, b, moment))
        };
        Some(Counted { seconds, before: at(until - seconds)?, after: at(until)? })
    }
}

impl Drop for Counters {
    fn drop(&mut self) {
        self.end.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Counted {
    /// Compares the event's figures: within 5 %, and what the counters cannot tell apart.
    pub(super) fn compare(&self, system: &Value) {
        let rise = |of: fn(&Count) -> f64| of(&self.after) - of(&self.before);
        let rate = |of: fn(&Count) -> f64| rise(of) / self.seconds;
        let megabits = |of: fn(&Count) -> f64| rate(of) * 8.0 / 1e6;
        let same = |name: &str, counted: f64, least: f64| {
            let told = system[name].as_f64().unwrap_or_else(|| panic!("{name} is not told: {system}"));
            let most = (counted.max(told) * 0.05).max(least);
            assert!((told - counted).abs() <= most, "{name}: told {told}, counted {counted}");
        };
        // A tick of each core at each end.
        same("cpu_usage_percent", rise(|it| it.busy) / rise(|it| it.total) * 100.0, 2.0);
        same("memory_usage_mb", self.after.memory_kib / 1024.0, 16.0);
        same("loopback_throughput_mbps", megabits(|it| it.loopback), 0.05);
        assert!(megabits(|it| it.loopback) > 1.0, "there is traffic");
        if devices("/sys/block").next().is_some() {
            same("disk_io_ops_per_sec", rate(|it| it.operations), 3.0);
        }
        if devices("/sys/class/net").next().is_some() {
            same("network_throughput_mbps", megabits(|it| it.network), 0.05);
        }
        let busy = system["cpu_usage_percent"].as_f64().unwrap();
        assert!(busy > 10.0, "two processes spin: {busy}");
    }
}

fn between(a: Count, b: Count, moment: f64) -> Count {
    let part = (moment - a.at) / (b.at - a.at);
    let mix = |of: fn(&Count) -> f64| of(&a) + (of(&b) - of(&a)) * part;
    Count {
        at: moment,
        busy: mix(|it| it.busy),
        total: mix(|it| it.total),
        operations: mix(|it| it.operations),
        network: mix(|it| it.network),
        loopback: mix(|it| it.loopback),
        memory_kib: mix(|it| it.memory_kib),
    }
}

/// Devices below this directory of `/sys`: what stands for hardware, and not for a layer above it.
fn devices(directory: &str) -> impl Iterator<Item = std::path::PathBuf> {
    let all = fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    all.filter(|path| path.join("device").exists())
}

fn count() -> Count {
    let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64() % 86_400.0;
    let number = |path: &Path| fs::read_to_string(path).ok().and_then(|text| text.trim().parse::<f64>().ok());
    let mut count = Count { at, ..Count::default() };
    // Each core for itself, which are in the second line and those that follow.
    for core in fs::read_to_string("/proc/stat").unwrap().lines().filter(|line| line.starts_with("cpu")).skip(1) {
        let ticks: Vec<f64> = core.split_whitespace().skip(1).map(|word| word.parse().unwrap()).collect();
        let all: f64 = ticks[..8].iter().sum();
        count.total += all;
        count.busy += all - ticks[3] - ticks[4];
    }
    for disk in devices("/sys/block") {
        let text = fs::read_to_string(disk.join("stat")).unwrap_or_default();
        let fields: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        count.operations += fields[0] + fields[4];
    }
    for interface in devices("/sys/class/net") {
        let bytes = |name: &str| number(&interface.join("statistics").join(name)).unwrap_or(0.0);
        count.network += bytes("rx_bytes") + bytes("tx_bytes");
    }
    count.loopback = number(Path::new("/sys/class/net/lo/statistics/rx_bytes")).unwrap_or(0.0);
    let memory = fs::read_to_string("/proc/meminfo").unwrap();
    let kib = |name: &str| {
        let line = memory.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap()
    };
    count.memory_kib = kib("MemTotal:") - kib("MemAvailable:");
    count
}

/// The time of day of an RFC 3339 timestamp in UTC.
fn seconds_of_day(timestamp: &str) -> f64 {
    let time = timestamp.split_once('T').unwrap().1.trim_end_matches('Z');
    let parts: Vec<f64> = time.split(':').map(|part| part.parse().unwrap()).collect();
    parts[0] * 3_600.0 + parts[1] * 60.0 + parts[2]
}

/// Work for the disk and the loopback, at an even pace, until it is dropped.
pub(super) struct Load {
    ends: Vec<Sender<()>>,
    threads: Vec<JoinHandle<()>>,
}

/// Whether whoever holds the other end holds it still, after this pause.
fn goes_on(ended: &Receiver<()>, pause: Duration) -> bool {
    ended.recv_timeout(pause) == Err(RecvTimeoutError::Timeout)
}

impl Load {
    /// Writes into this file, and through a socket of its own.
    pub(super) fn start(file: &Path) -> Self {
        let ((one, synced_ends), (two, sent_ends)) = (channel(), channel());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut sender = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut receiver, _) = listener.accept().unwrap();
        let mut file = fs::File::create(file).unwrap();
        let synced = spawn(move || {
            while goes_on(&synced_ends, Duration::from_millis(1)) {
                file.write_all(&[7; 4096]).unwrap();
                file.sync_all().unwrap();
            }
        });
        let sent = spawn(move || {
            let block = vec![7; 64 * 1024];
            while goes_on(&sent_ends, Duration::from_millis(2)) {
                sender.write_all(&block).unwrap();
            }
        });
        let received = spawn(move || {
            let mut block = vec![0; 64 * 1024];
            while receiver.read(&mut block).unwrap() > 0 {}
        });
        Self { ends: vec![one, two], threads: vec![synced, sent, received] }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.ends.clear();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
