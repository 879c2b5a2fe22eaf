//! A publisher that keeps a pace, in a thread of its own: the crowd's work must not delay what it sends.

use crate::publisher::{Content, Publisher};
use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};
use tokio::task::LocalSet;

/// A running publisher; dropping it ends it.
pub struct Pacer {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<io::Result<u64>>>,
}

impl Pacer {
    /// Connects and publishes so many events a second, each in a message of its own.
    pub fn start(address: SocketAddr, content: Content, rate: u32) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(LocalSet::new().run_until(pace(address, content, rate, &stopped)))
        });
        Self { stop, thread: Some(thread) }
    }

    /// Ends it; returns how many events it has published.
    pub fn stop(mut self) -> io::Result<u64> {
        self.stop.store(true, Relaxed);
        let thread = self.thread.take().expect("it is taken here and at the end only");
        thread.join().map_err(|_| io::Error::other("the publisher panicked"))?
    }
}

impl Drop for Pacer {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            // Another error is on its way already.
            let _ = thread.join();
        }
    }
}

async fn pace(address: SocketAddr, content: Content, rate: u32, stop: &AtomicBool) -> io::Result<u64> {
    let mut publisher = Publisher::connect(address, content).await?;
    // The kernel may end a sleep this much later, so that wake-ups fall together; an event of 10,000 a second is due
    // every 100 µs. Where it cannot be set, events come in twos.
    let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
    let period = Duration::from_secs(1) / rate;
    let mut due = Instant::now();
    while !stop.load(Relaxed) {
        // An event that is late is sent late, and the pace is made up for: the rate holds.
        due += period;
        let now = Instant::now();
        if due > now {
            std::thread::sleep(due - now);
        }
        publisher.publish(1).await?;
        // For the reader, which shares this thread.
        tokio::task::yield_now().await;
    }
    Ok(publisher.published())
}
