//! One client's connection: its socket, what waits to be written, what it reads.

use super::{
    channel::Membership,
    cursor::{Cursor, Cursors},
    pace::Paced,
    pulse::Pulse,
    replay::Replay,
    sessions::Token,
};
use headwater_event::{ChannelPattern, Position};
use headwater_filter::FilterId;
use headwater_protocol::{CloseCode, Dialect, FilterSpec, Options, Reply, RequestId, websocket};
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
/// The same for replies that are owed: asked for, and on their way once the engine has what was published.
const OWED: usize = 512 * 1024;
/// With more than this it is closed. What comes unasked, such as answers to commands, would otherwise add up; one
/// reply of any size is taken below it, so that a large snapshot passes.
const CONTROL_LIMIT: usize = 1024 * 1024;
/// About how long most replies are.
const REPLY: usize = 200;

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
    /// Whether this turn has put events into its control lane.
    pub(super) written: Cell<bool>,
    /// When something last came from it.
    pub(super) heard: Cell<Instant>,
    /// When its socket last took a byte; looked at while it drains.
    pub(super) progress: Cell<Instant>,
    /// Its close frame is written; its own end is awaited since then.
    pub(super) finished: Cell<Option<Instant>>,
    /// Tells who waits, its reader above all, that replies have been written, or that it is not busy any more.
    pub(super) drained: Notify,
    /// A request is at work that the next one may build on: nothing more is read until it is done.
    pub(super) busy: Cell<bool>,
    /// About how many bytes of replies are owed to it.
    pub(super) owed: Cell<usize>,
    /// Its pings.
    pub(super) pulse: RefCell<Pulse>,
    /// What it is sent.
    pub(super) output: RefCell<Output>,
    /// What it reads.
    pub(super) reading: RefCell<Reading>,
    /// What brings its session back elsewhere, once it has been given out.
    pub(super) token: Cell<Option<Token>>,
    /// Its session is kept although the client closes in order.
    pub(super) save: Cell<bool>,
    /// Its replays.
    pub(super) replays: RefCell<Vec<Rc<Replay>>>,
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

/// What a connection has subscribed to.
#[derive(Default)]
pub(super) struct Reading {
    /// Numbered by [`Subscription::number`].
    pub(super) subscriptions: Vec<Subscription>,
    /// At most one for each channel, by its index.
    pub(super) memberships: HashMap<u32, Membership>,
    /// The channels whose events do not come as they happen, by their index.
    pub(super) paced: BTreeMap<u32, Paced>,
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
    /// What it was asked for with. Shared by all that ask for nothing special.
    pub(super) terms: Rc<Terms>,
}

/// A subscription's own words: which events, and how they are delivered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Terms {
    /// Which events.
    pub(super) filter: FilterSpec,
    /// How they are delivered.
    pub(super) options: Options,
}

impl Terms {
    /// Whether events of this type go first and are skipped last.
    pub(super) fn is_priority(&self, kind: &str) -> bool {
        self.options.priority_events.iter().any(|first| first == kind)
    }
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
            written: Cell::new(false),
            heard: Cell::new(Instant::now()),
            progress: Cell::new(Instant::now()),
            finished: Cell::new(None),
            drained: Notify::new(),
            busy: Cell::new(false),
            owed: Cell::new(0),
            pulse: RefCell::new(Pulse::new(Instant::now())),
            output: RefCell::default(),
            reading: RefCell::default(),
            token: Cell::new(None),
            save: Cell::new(false),
            replays: RefCell::default(),
            commands: RefCell::default(),
        })
    }

    /// Its name on the wire.
    pub(super) fn name(&self) -> String {
        format!("conn_{:x}", self.id)
    }

    /// Puts a reply into the control lane. The caller writes the lane out, or knows that a drain task will.
    pub(super) fn reply(&self, reply: &Reply<'_>) {
        self.control(|control| websocket::text_frame_of(control, REPLY, |out| self.dialect.reply(reply, out)));
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

    /// Whether the client has to wait: a request of it is at work, or it has to read its replies first.
    pub(super) fn must_wait(&self) -> bool {
        self.busy.get() || self.owed.get() > OWED || self.has_much_to_read()
    }

    /// Whether many replies wait to be written.
    pub(super) fn has_much_to_read(&self) -> bool {
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

    /// What the subscription of this number was asked for with.
    pub(super) fn terms(&self, number: u32) -> Option<Rc<Terms>> {
        self.reading.borrow().subscriptions.iter().find(|s| s.number == number).map(|s| s.terms.clone())
    }

    /// The next offset of a channel that has not been written or given up, where the channel stands at `next` in its shard.
    pub(super) fn place(&self, channel: u32, next: u64) -> u64 {
        let reading = self.reading.borrow();
        let paced = reading.paced.get(&channel);
        let place = match &self.output.borrow().mode {
            Mode::Live => paced.map_or(next, |paced| paced.place(next)),
            Mode::Draining(cursors) => cursors.places.get(&channel).map_or(next, Cursor::place),
        };
        paced.and_then(Paced::held).map_or(place, |held| place.min(held))
    }
}

/// The position after which events come.
pub(super) fn before(epoch: headwater_event::Epoch, next: u64) -> Position {
    Position { epoch, offset: next - 1 }
}
