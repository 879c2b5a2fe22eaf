//! Pings: whether a client is there, and how far it has read. A ping says the positions of some channels, and its pong
//! proves that the client has read everything before it: from there a broken session is resumed.

use super::{
    connection::{Connection, Mode},
    shard::Shard,
};
use headwater_protocol::{CloseCode, websocket};
use std::{fmt::Write, rc::Rc};
use tokio::time::Instant;

/// The longest payload of a control frame.
const MAX_PAYLOAD: usize = 125;
/// Pings are spread over the interval: in one sweep no more than this many times its fair share.
const SPREAD: usize = 2;

/// The pings of one connection.
#[derive(Debug)]
pub(super) struct Pulse {
    /// When it was pinged last, or made.
    last: Instant,
    /// The ping that has not been answered.
    asked: Option<Asked>,
    /// The last channel whose position was in a ping.
    told: u32,
}

#[derive(Debug)]
struct Asked {
    payload: Box<str>,
    /// The time for its answer counts from here.
    since: Instant,
}

impl Pulse {
    /// Of a connection that has just been made.
    pub(super) fn new(now: Instant) -> Self {
        Self { last: now, asked: None, told: 0 }
    }

    /// The answer's time counts from now: until now the client had other things to read.
    pub(super) fn wait_from(&mut self, now: Instant) {
        if let Some(asked) = &mut self.asked {
            asked.since = now;
        }
    }

    /// Takes an answer; `true` when it is the one to the last ping.
    fn answered(&mut self, payload: &[u8]) -> bool {
        self.asked.take_if(|asked| asked.payload.as_bytes() == payload).is_some()
    }
}

/// What a connection is due for.
#[derive(Clone, Copy)]
enum Due {
    Ping,
    /// It has not answered.
    Late,
}

impl Shard {
    /// Looks at every connection: each is pinged now and then, and who does not answer is closed.
    pub(super) fn sweep(&mut self) {
        let now = Instant::now();
        let (every, answer) = (self.options.ping_interval, self.options.pong_timeout);
        let share = super::shard::SWEEP.as_secs_f64() / every.as_secs_f64().max(0.001);
        let mut pings = (self.connections.len() as f64 * share) as usize * SPREAD + 16;
        let mut due = Vec::new();
        for connection in self.connections.values() {
            if let Some(since) = connection.finished.get() {
                if now.duration_since(since) > answer {
                    due.push((connection.clone(), Due::Late));
                }
                continue;
            }
            let pulse = connection.pulse.borrow();
            let heard = connection.heard.get();
            match &pulse.asked {
                // While a socket drains a ping waits behind everything else, and its progress is what counts; while a
                // request is at work the answer is not read. One who speaks is there, whether it answers or not.
                Some(asked) => {
                    let live = matches!(connection.output.borrow().mode, Mode::Live) && !connection.busy.get();
                    if live && now.duration_since(asked.since.max(heard)) > answer {
                        due.push((connection.clone(), Due::Late));
                    }
                }
                None if now.duration_since(pulse.last) > every && pings > 0 => {
                    pings -= 1;
                    due.push((connection.clone(), Due::Ping));
                }
                None => {}
            }
        }
        for (connection, due) in due {
            match due {
                Due::Ping => self.ping(&connection, now),
                Due::Late if connection.ending() => self.remove(&connection),
                Due::Late => {
                    connection.close(CloseCode::Timeout, "no answer to a ping");
                    self.flush_control(&connection);
                }
            }
        }
    }

    fn ping(&mut self, connection: &Rc<Connection>, now: Instant) {
        let payload = self.positions_in_short(connection);
        connection.control(|control| websocket::ping_frame(control, payload.as_bytes()));
        {
            let mut pulse = connection.pulse.borrow_mut();
            pulse.last = now;
            pulse.asked = Some(Asked { payload: payload.into(), since: now });
        }
        // Everything before these places is written before the ping.
        let channels: Vec<u32> = connection.reading.borrow().memberships.keys().copied().collect();
        let places: Vec<u64> = channels.iter().map(|channel| self.place(connection, *channel)).collect();
        let mut reading = connection.reading.borrow_mut();
        for (channel, place) in channels.iter().zip(places) {
            if let Some(membership) = reading.memberships.get_mut(channel) {
                membership.asked = place;
            }
        }
        drop(reading);
        self.flush_control(connection);
    }

    /// Lines of `name epoch:offset`, as far as they go; the next ping goes on behind them.
    fn positions_in_short(&self, connection: &Connection) -> String {
        let mut text = String::new();
        let reading = connection.reading.borrow();
        let mut told = connection.pulse.borrow().told;
        for _ in 0..reading.memberships.len() {
            let behind = reading.memberships.keys().filter(|channel| **channel > told).min();
            let Some(next) = behind.or_else(|| reading.memberships.keys().min()).copied() else { break };
            let length = text.len();
            let channel = self.channels.get(next);
            let position = super::connection::before(channel.epoch, connection.place(next, channel.next));
            let separator = if text.is_empty() { "" } else { "\n" };
            let _ = write!(text, "{separator}{} {position}", channel.log.name());
            if text.len() > MAX_PAYLOAD {
                text.truncate(length);
                if length > 0 {
                    break;
                }
                // A name too long to be told is passed over.
            }
            told = next;
        }
        connection.pulse.borrow_mut().told = told;
        text
    }
}

/// A pong has come: what was written before its ping has been read.
pub(super) fn pong(connection: &Connection, payload: &[u8]) {
    if connection.pulse.borrow_mut().answered(payload) {
        for membership in connection.reading.borrow_mut().memberships.values_mut() {
            membership.confirmed = membership.asked;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_answer_to_the_last_ping_counts_and_only_once() {
        let now = Instant::now();
        let mut pulse = Pulse::new(now);
        assert!(!pulse.answered(b""), "nothing was asked");
        pulse.asked = Some(Asked { payload: "a 1:2".into(), since: now });
        assert!(!pulse.answered(b"") && !pulse.answered(b"a 1:1"));
        assert!(pulse.answered(b"a 1:2"));
        assert!(!pulse.answered(b"a 1:2"));
    }
}
