//! One client's connection: its socket, what waits to be written, what it reads.

use super::channel::Membership;
use headwater_event::{ChannelPattern, Position};
use headwater_filter::FilterId;
use headwater_protocol::{CloseCode, Dialect, LagPolicy, Reply, RequestId, websocket};
use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    rc::Rc,
};
use tokio::{net::TcpStream, sync::Notify, time::Instant};

/// With more bytes of replies and notices waiting than this, nothing more is read from the client: who asks without
/// reading waits for itself.
const CONTROL_LANE: usize = 64 * 1024;
/// With more than this it is closed. What comes unasked, such as answers to commands, would otherwise add up; one
/// reply of any size is taken below it, so that a large snapshot passes.
const CONTROL_LIMIT: usize = 1024 * 1024;

/// One connection. Owned by its shard; its reader task and, while its socket is full, its drain task hold it too.
pub(super) struct Connection {
    /// Unique in the daemon.
    pub(super) id: u64,
    /// The socket.
    pub(super) stream: TcpStream,
    /// How it speaks.
    pub(super) dialect: &'static dyn Dialect,
    /// Where it comes from.
    pub(super) peer: SocketAddr,
    /// Whether this turn has something for it.
    pub(super) dirty: Cell<bool>,
    /// When something last came from it.
    pub(super) heard: Cell<Instant>,
    /// When its socket last took a byte; looked at while it drains.
    pub(super) progress: Cell<Instant>,
    /// Its close frame is written; its own end is awaited since then.
    pub(super) finished: Cell<Option<Instant>>,
    /// Tells its reader that replies have been written.
    pub(super) drained: Notify,
    /// When it was pinged, if it has not answered since.
    pub(super) pinged: Cell<Option<Instant>>,
    /// What it is sent.
    pub(super) output: RefCell<Output>,
    /// What it reads.
    pub(super) reading: RefCell<Reading>,
    /// Commands that have not ended, by the client's names for them.
    pub(super) commands: RefCell<Vec<RequestId>>,
}

/// What waits to be written, and how events reach the socket.
#[derive(Default)]
pub(super) struct Output {
    /// Whether events come by the turn or by cursors.
    pub(super) mode: Mode,
    /// The rest of a frame that was written in part.
    pub(super) partial: Vec<u8>,
    /// Replies and notices as finished frames.
    pub(super) control: Vec<u8>,
    /// Where the connection ends after what waits is written.
    pub(super) closing: Option<CloseCode>,
    /// Nothing more can be written.
    pub(super) dead: bool,
}

/// How events reach the socket.
#[derive(Default)]
pub(super) enum Mode {
    /// The socket takes all: each turn writes its part of the batch.
    #[default]
    Live,
    /// The socket was full, or history is being sent: a drain task reads the logs at these cursors.
    Draining(Cursors),
}

/// A connection's places in the logs, by the index of the channel.
#[derive(Clone, Debug, Default)]
pub(super) struct Cursors {
    pub(super) places: BTreeMap<u32, Cursor>,
    /// Where the last page ended: the next one begins behind it, so that no channel is always last.
    pub(super) after: u32,
}

/// A place in a channel's log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor {
    /// The next offset to send.
    pub(super) next: u64,
    /// Whether `lag` has been said since it last had caught up.
    pub(super) warned: bool,
}

/// What a connection has subscribed to.
#[derive(Default)]
pub(super) struct Reading {
    /// Numbered by [`Subscription::number`].
    pub(super) subscriptions: Vec<Subscription>,
    /// At most one for each channel, by its index.
    pub(super) memberships: HashMap<u32, Membership>,
    /// The next subscription's number.
    pub(super) numbered: u32,
}

/// One subscription: a channel or a pattern, with its filter and its policy.
#[derive(Clone)]
pub(super) struct Subscription {
    /// On this connection.
    pub(super) number: u32,
    /// What it asks for.
    pub(super) pattern: ChannelPattern,
    /// Which events; `None` wants all. The number counts as used while the subscription stands.
    pub(super) filter: Option<FilterId>,
    /// What happens when it falls off the log.
    pub(super) lag_policy: Option<LagPolicy>,
}

impl Connection {
    /// A connection that has just been adopted.
    pub(super) fn new(id: u64, stream: TcpStream, dialect: &'static dyn Dialect, peer: SocketAddr) -> Rc<Self> {
        Rc::new(Self {
            id,
            stream,
            dialect,
            peer,
            dirty: Cell::new(false),
            heard: Cell::new(Instant::now()),
            progress: Cell::new(Instant::now()),
            finished: Cell::new(None),
            drained: Notify::new(),
            pinged: Cell::new(None),
            output: RefCell::default(),
            reading: RefCell::default(),
            commands: RefCell::default(),
        })
    }

    /// Its name on the wire.
    pub(super) fn name(&self) -> String {
        format!("conn_{:x}", self.id)
    }

    /// Puts a reply into the control lane. The caller writes the lane out, or knows that a drain task will.
    pub(super) fn reply(&self, reply: &Reply<'_>) {
        let mut text = Vec::with_capacity(256);
        self.dialect.reply(reply, &mut text);
        self.control(|control| websocket::text_frame(control, &text));
    }

    /// Puts a frame into the control lane.
    pub(super) fn control(&self, frame: impl FnOnce(&mut Vec<u8>)) {
        let mut output = self.output.borrow_mut();
        if output.closing.is_some() || output.dead {
            return;
        }
        if output.control.len() > CONTROL_LIMIT {
            websocket::close_frame(&mut output.control, CloseCode::Overload, "replies are not read");
            output.closing = Some(CloseCode::Overload);
            return;
        }
        frame(&mut output.control);
    }

    /// Whether so many replies wait that the client has to read first.
    pub(super) fn must_read(&self) -> bool {
        self.output.borrow().control.len() > CONTROL_LANE
    }

    /// Ends the connection after what waits is written.
    pub(super) fn close(&self, code: CloseCode, reason: &str) {
        self.control(|control| websocket::close_frame(control, code, reason));
        self.output.borrow_mut().closing.get_or_insert(code);
    }

    /// Whether it is on its way out.
    pub(super) fn ending(&self) -> bool {
        let output = self.output.borrow();
        output.dead || output.closing.is_some()
    }

    /// The subscription of this number.
    pub(super) fn subscription(&self, number: u32) -> Option<Subscription> {
        self.reading.borrow().subscriptions.iter().find(|s| s.number == number).cloned()
    }

    /// The offset before which everything of this channel has been written or given up; `None`: as the shard stands.
    pub(super) fn cursor(&self, channel: u32) -> Option<u64> {
        match &self.output.borrow().mode {
            Mode::Live => None,
            Mode::Draining(cursors) => cursors.places.get(&channel).map(|cursor| cursor.next),
        }
    }
}

/// The position after which events come.
pub(super) fn before(epoch: headwater_event::Epoch, next: u64) -> Position {
    Position { epoch, offset: next - 1 }
}
