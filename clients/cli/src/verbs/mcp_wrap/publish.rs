//! Brings reports to the daemon, in a thread of its own: an address that does not answer holds up nobody. What cannot be
//! brought is dropped and counted; only who the server is will be told when a daemon is there again.

use super::{priority, report::Parcel};
use crate::{Globals, failure::say};
use headwater_client::Client;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

/// Parcels that wait while one is on its way. What comes while it is full is dropped and counted.
const WAITING: usize = 8;

/// The time that a daemon has for one. It takes a millisecond.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often a daemon is looked for that has not been told of the server.
const AGAIN: Duration = Duration::from_secs(15);

/// The observer's end of the thread.
pub(super) struct Publisher {
    parcels: SyncSender<Parcel>,
    done: Receiver<()>,
    unsent: Arc<AtomicU64>,
}

impl Publisher {
    /// Starts the thread; `None` where nothing can be reported.
    pub(super) fn start(globals: &Globals) -> Option<Self> {
        let token = globals.token.as_deref().filter(|token| !token.is_empty());
        let client = match Client::new(&globals.url, token) {
            Ok(client) => client,
            Err(error) => {
                say(&format!(
                    "headwater: {}; the server runs, and nothing is reported",
                    crate::text::visible(&error.to_string())
                ));
                return None;
            }
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
        let (parcels, waiting) = sync_channel(WAITING);
        let (tell, done) = sync_channel(1);
        let unsent = Arc::<AtomicU64>::default();
        let mut post = Post { client, runtime, session: None, unsent: Arc::clone(&unsent) };
        let work = move || {
            priority::last();
            post.run(&waiting);
            let _ = tell.send(());
        };
        thread::Builder::new().name("publisher".to_owned()).spawn(work).ok()?;
        Some(Self { parcels, done, unsent })
    }

    /// Hands a parcel on.
    pub(super) fn send(&self, parcel: Parcel) {
        let count = parcel.count;
        if self.parcels.try_send(parcel).is_err() {
            self.unsent.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// The calls that were not brought since this was asked last.
    pub(super) fn unsent(&self) -> u64 {
        self.unsent.swap(0, Ordering::Relaxed)
    }

    /// Waits until all is brought, and no longer than this.
    pub(super) fn finish(self, deadline: Instant) {
        drop(self.parcels);
        let _ = self.done.recv_timeout(deadline.saturating_duration_since(Instant::now()));
    }
}

struct Post {
    client: Client,
    runtime: tokio::runtime::Runtime,
    /// Who the server is, where no daemon has been told.
    session: Option<String>,
    unsent: Arc<AtomicU64>,
}

impl Post {
    fn run(&mut self, waiting: &Receiver<Parcel>) {
        loop {
            let parcel = match &self.session {
                None => waiting.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(_) => waiting.recv_timeout(AGAIN),
            };
            match parcel {
                Ok(mut parcel) => {
                    self.session = parcel.session.take().or(self.session.take());
                    if !self.bring(&parcel) {
                        self.unsent.fetch_add(parcel.count, Ordering::Relaxed);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.bring(&Parcel::default());
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn bring(&mut self, parcel: &Parcel) -> bool {
        let lines = parcel.lines(self.session.as_deref());
        if lines.is_empty() {
            return true;
        }
        let publishing = self.client.publish_ndjson(lines.join("\n"));
        let brought = self.runtime.block_on(async { tokio::time::timeout(PATIENCE, publishing).await });
        let brought = matches!(brought, Ok(Ok(_)));
        if brought {
            self.session = None;
        }
        brought
    }
}
