//! What comes from a client: bytes into frames, frames into messages, each within its limits. Limits stand below the
//! message layer, since a fragment without content is a frame too.

use super::{
    connection::Connection,
    pulse,
    session::Session,
    shard::{Shard, Shared},
};
use crate::limits::{Bucket, Rate};
use headwater_protocol::{
    CloseCode, ErrorCode, Reply,
    websocket::{FrameError, Incoming, Reader, pong_frame},
};
use std::{
    io::ErrorKind,
    rc::Rc,
    time::{Duration, Instant},
};

/// How long one client is read before the others of its shard have their turn.
const FAIR: Duration = Duration::from_micros(500);

/// What one client has left of its rates.
struct Buckets {
    messages: Bucket,
    frames: Bucket,
}

/// Reads a connection until it ends.
pub(super) async fn run(shared: Shared, connection: Rc<Connection>, mut carry: Vec<u8>) {
    let mut reader = Reader::default();
    let mut session = Session::new(&shared.borrow());
    let mut buckets = {
        let now = Instant::now();
        let limits = &shared.borrow().options.limits;
        Buckets { messages: Bucket::new(limits.messages(), now), frames: Bucket::new(limits.frames(), now) }
    };
    // What came with the handshake may be a whole message already.
    let mut next = if carry.is_empty() { Next::Wait } else { Next::Again };
    let mut began = Instant::now();
    loop {
        match next {
            Next::Wait => {
                if connection.stream.readable().await.is_err() {
                    break;
                }
                began = Instant::now();
            }
            Next::More => {
                // What comes close together is taken together. But a socket that always has more would keep its reader
                // at work for ever: the others have their turn.
                if began.elapsed() > FAIR {
                    tokio::task::yield_now().await;
                    began = Instant::now();
                }
            }
            Next::Again => {
                // Its answers first. The drain task tells when they are written, and ends who never reads.
                while connection.must_wait() && !connection.ending() {
                    connection.drained.notified().await;
                }
                tokio::task::yield_now().await;
            }
            Next::End => break,
        }
        let mut shard = shared.borrow_mut();
        let mut buffer = std::mem::take(&mut shard.inward);
        next = shard.read(&connection, &mut buffer, &mut carry, &mut reader, &mut session, &mut buckets);
        shard.inward = buffer;
    }
    shared.borrow_mut().remove(&connection);
}

/// What a reader does next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    /// Waits for the socket, which has no more.
    Wait,
    /// Reads on.
    More,
    /// Goes on with what it holds, once the client has read its answers.
    Again,
    /// The connection has ended.
    End,
}

impl Shard {
    /// Takes what the socket has.
    fn read(
        &mut self,
        connection: &Rc<Connection>,
        buffer: &mut [u8],
        carry: &mut Vec<u8>,
        reader: &mut Reader,
        session: &mut Session,
        buckets: &mut Buckets,
    ) -> Next {
        let held = carry.len();
        buffer[..held].copy_from_slice(carry);
        let room = &mut buffer[held..];
        let end = match connection.stream.try_read(room) {
            Ok(0) if room.is_empty() => held,
            Ok(0) => return Next::End,
            Ok(read) => held + read,
            Err(error) if error.kind() == ErrorKind::WouldBlock => held,
            Err(_) => return Next::End,
        };
        let read_on = if end > held { Next::More } else { Next::Wait };
        let limit = self.options.max_message_bytes;
        let (frame_rate, now) = (self.options.limits.frames(), Instant::now());
        let (mut used, mut stopped) = (0, false);
        while !connection.ending() {
            // Answers that are owed may be known a moment later: what is left here is not forgotten then.
            stopped = connection.must_wait();
            if stopped {
                break;
            }
            match reader.next(&mut buffer[used..end], limit) {
                Ok(None) => break,
                Ok(Some((taken, incoming))) => {
                    used += taken;
                    connection.heard.set(now.into());
                    if buckets.frames.take(frame_rate, 1, now).is_err() {
                        refuse(connection, CloseCode::Policy, "too many frames");
                        break;
                    }
                    self.incoming(connection, &incoming, session, buckets, now);
                }
                Err(FrameError { code, reason }) => {
                    refuse(connection, code, reason);
                    break;
                }
            }
        }
        session.publish(self, connection);
        if connection.ending() {
            // Its close frame is on the way: what else it says is not heard, until it ends the stream.
            carry.clear();
            self.flush_control(connection);
            return if self.connection(connection.id).is_some() { read_on } else { Next::End };
        }
        let again = stopped || connection.must_wait();
        if used < end {
            carry.clear();
            carry.extend_from_slice(&buffer[used..end]);
        } else if held > 0 {
            *carry = Vec::new();
        }
        self.flush_control(connection);
        if again { Next::Again } else { read_on }
    }

    fn incoming(
        &mut self,
        connection: &Rc<Connection>,
        incoming: &Incoming<'_>,
        session: &mut Session,
        buckets: &mut Buckets,
        now: Instant,
    ) {
        match incoming {
            Incoming::Text(text) => {
                self.metrics.received(1);
                let rate = self.options.limits.messages();
                match buckets.messages.take(rate, 1, now) {
                    Ok(()) => session.message(self, connection, text, now),
                    Err(wait) => {
                        let message = format!("more messages than allowed; go on in {} ms", wait.as_millis().max(1));
                        session.publish(self, connection);
                        self.metrics.error(ErrorCode::RateLimit);
                        connection.reply(&Reply::Error {
                            code: ErrorCode::RateLimit,
                            message,
                            positions: Vec::new(),
                            session: None,
                            request_id: None,
                        });
                    }
                }
            }
            Incoming::Ping(payload) => connection.control(|control| pong_frame(control, payload)),
            Incoming::Pong(payload) => pulse::pong(connection, payload),
            Incoming::Close(code) => {
                session.publish(self, connection);
                // A browser that leaves a page says 1001, a library that meets an error something else: they come back.
                connection.save.set(*code != Some(CloseCode::Normal.number()) || connection.save.get());
                connection.close(CloseCode::Normal, "");
            }
            Incoming::Fragment => {}
        }
    }
}

/// Closes a connection for what it sent.
fn refuse(connection: &Connection, code: CloseCode, reason: &str) {
    tracing::debug!(peer = %connection.peer, code = code.number(), reason, "closing a connection");
    connection.close(code, reason);
}

impl crate::options::Limits {
    fn messages(&self) -> Rate {
        Rate::new(self.messages_per_second, self.message_burst)
    }

    fn frames(&self) -> Rate {
        // A burst of one second: fragments of one message come together.
        Rate::new(self.frames_per_second, self.frames_per_second)
    }
}
