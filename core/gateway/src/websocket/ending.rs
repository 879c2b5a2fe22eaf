//! How a shard ends: drained, its clients told where to resume; or failed, when one of its tasks has panicked.

use super::{
    connection::{Connection, Mode},
    shard::{Shard, Shared},
};
use headwater_protocol::{CloseCode, websocket};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
    time::Duration,
};
use tokio::time::{Instant, sleep_until};

/// How many connections are closed at once when the daemon ends, and how long it waits before the next ones: clients
/// that come back at once would otherwise all come at the same moment.
const CLOSE_AT_ONCE: usize = 256;
const CLOSE_PAUSE: Duration = Duration::from_millis(20);

/// How a life of a shard has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// As ordered.
    Drained,
    /// One of its tasks panicked.
    Failed,
}

/// Writes what is left, then closes everyone, a few at a time.
pub(super) async fn drain(shard: &Shared, code: CloseCode, grace: Duration) {
    let deadline = Instant::now() + grace;
    let all: Vec<Rc<Connection>> = {
        let mut shard = shard.borrow_mut();
        shard.turn();
        shard.connections.values().cloned().collect()
    };
    for some in all.chunks(CLOSE_AT_ONCE) {
        for connection in some {
            let mut shard = shard.borrow_mut();
            shard.lose(connection, code, "the daemon ends; resume at these positions");
            shard.flush_control(connection);
        }
        if some.len() == CLOSE_AT_ONCE {
            tokio::time::sleep(CLOSE_PAUSE).await;
        }
    }
    let emptied = shard.borrow().emptied.clone();
    loop {
        let left = shard.borrow().connections.len();
        if left == 0 {
            return;
        }
        tokio::select! {
            () = emptied.notified() => {}
            () = sleep_until(deadline) => break,
        }
    }
    let left: Vec<Rc<Connection>> = shard.borrow().connections.values().cloned().collect();
    tracing::warn!(connections = left.len(), "clients did not close in time and were cut");
    for connection in left {
        shard.borrow_mut().remove(&connection);
    }
}

/// Closes everyone with 1011, as far as that goes without trusting anything but the sockets: who resumes elsewhere or
/// later loses nothing, and who was left connected to a shard that does no turns would never know.
pub(super) fn fail(shard: &Shared) {
    let mut shard = shard.borrow_mut();
    let connections = std::mem::take(&mut shard.connections);
    tracing::error!(
        connections = connections.len(),
        "a task of this gateway shard panicked; its clients are closed with 1011 and the shard begins anew"
    );
    let mut frame = Vec::new();
    websocket::close_frame(&mut frame, CloseCode::Internal, "a fault of the daemon; resume at the last positions");
    for connection in connections.values() {
        shard.given_up(connection, &frame);
    }
}

impl Shard {
    /// Forgets a connection, and keeps its session as far as it can be told.
    fn given_up(&self, connection: &Connection, frame: &[u8]) {
        if let Some(token) = connection.token.take() {
            // What panicked once may do so again.
            let session = catch_unwind(AssertUnwindSafe(|| self.session(connection))).ok();
            self.sessions.end(token, session);
        }
        let output = connection.output.borrow();
        if let Mode::Draining(_) = output.mode {
            self.metrics.lagging(-1);
        }
        // In the middle of another frame it would only be taken for a part of it.
        if output.partial.is_empty() && !output.dead {
            // A full socket takes nothing; its client sees the connection break.
            let _ = connection.stream.try_write(frame);
        }
        // Said by nobody else: the tasks that would are dropped.
        let _ = rustix::net::shutdown(&connection.stream, rustix::net::Shutdown::Both);
        self.metrics.closed(Some(CloseCode::Internal));
        self.forgotten();
    }
}
