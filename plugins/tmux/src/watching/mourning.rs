//! What is still to be heard of a server that is gone: the processes in its panes learn it when their terminals close, and
//! end after it.

use super::lives::{Exit, FAREWELL, Lives};
use crate::{inbox::Inbox, server::identity::Server, tree::Tree};
use headwater_plugin::{Emitter, prelude::*};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{task::JoinSet, time::timeout};

/// How long the reading threads may take to end.
const LAST: Duration = Duration::from_secs(1);

/// A server that is watched no more.
pub(crate) struct Mourning {
    pub(super) server: Server,
    pub(super) lives: Lives,
    pub(super) inbox: Arc<Inbox>,
    /// Among them the one that waits for processes to end.
    pub(super) readers: JoinSet<()>,
}

impl Mourning {
    /// Tells of each process when it ends, until the last one has, or those that go on are left to themselves. Meanwhile the
    /// next server is waited for and watched.
    pub(crate) async fn tell(mut self, mut emitter: Emitter) {
        if timeout(FAREWELL, self.listen(&mut emitter)).await.is_err() {
            debug!(pid = self.server.pid, "there are processes that outlive their server");
        }
        self.end().await;
    }

    async fn listen(&mut self, emitter: &mut Emitter) {
        loop {
            for exit in self.inbox.take().exits {
                let Exit::Pane(told) = self.lives.ended(&self.server, &Tree::default(), exit, Instant::now()) else {
                    continue;
                };
                if let Err(error) = told.emit_by(emitter, Evidence::Observed).await {
                    warn!("the end of a process cannot be told: {error}");
                    return;
                }
            }
            if self.lives.are_over() {
                return;
            }
            self.inbox.rung().await;
        }
    }

    /// Waits for the threads.
    pub(super) async fn end(mut self) {
        drop(self.lives);
        let readers = async { while self.readers.join_next().await.is_some() {} };
        if timeout(LAST, readers).await.is_err() {
            warn!("a reading thread does not end");
        }
    }
}
