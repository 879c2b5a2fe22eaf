//! Replays: a stretch of the past that comes to a connection again, at a speed of its own. Each is a task that reads a
//! little ahead and sends what is due by the control lane; a client that does not read stops it there. One that goes on
//! live becomes an ordinary subscription where it ends.

mod lanes;

use super::{
    connection::{Connection, Terms},
    shard::{Shard, Shared},
    subscribe::Asked,
    turn::frame_of,
};
use crate::origin::filter_of;
use headwater_event::{ChannelName, ChannelPattern, Position, Timestamp};
use headwater_history::{ReplayClock, Speed};
use headwater_protocol::{
    ErrorCode, Options, ReplayAction, ReplayRequest, ReplayState, Reply, RequestError, RequestId,
};
use headwater_router::{ChannelLog, EngineError, From as Origin, Router};
use lanes::{Lanes, Next, Wanted};
use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, HashSet},
    rc::Rc,
    sync::Arc,
};
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

/// Replays of one connection at the same time. Each reads ahead.
const MAX_REPLAYS: usize = 4;
/// Replays of one shard at the same time: together they hold at most some ten megabytes.
const MAX_OF_SHARD: usize = 128;
/// Channels of one replay: each has a lane that is read by itself.
const MAX_CHANNELS: usize = 256;
/// With more than this in the control lane a replay waits until the socket has taken it.
const LANE: usize = 64 * 1024;

/// A replay as its connection steers it.
pub(super) struct Replay {
    id: String,
    clock: RefCell<ReplayClock>,
    /// Where to go on, and who asked; until it has gone there.
    sought: RefCell<Option<(Timestamp, Option<RequestId>)>>,
    stopped: Cell<bool>,
    changed: Notify,
    /// How far it has come, as far as anybody has looked.
    positions: RefCell<Vec<(ChannelName, Position)>>,
}

impl Replay {
    /// Ends it.
    pub(super) fn stop(&self) {
        self.stopped.set(true);
        self.changed.notify_one();
    }

    fn state(&self) -> ReplayState {
        if self.clock.borrow().is_paused() { ReplayState::Paused } else { ReplayState::Playing }
    }

    fn reply(&self, state: ReplayState, request_id: Option<RequestId>) -> Reply<'_> {
        Reply::Replay { replay_id: &self.id, state, positions: self.positions.borrow().clone(), request_id }
    }
}

/// What a replay plays.
struct Score {
    patterns: Vec<ChannelPattern>,
    terms: Terms,
    wanted: Wanted,
    until: Timestamp,
    then_live: bool,
}

/// What a replay waits for.
enum Wait {
    /// Nothing: it goes on.
    Nothing,
    /// Pages.
    Read,
    /// The socket.
    Room,
    /// This moment.
    Until(Instant),
    /// To be told.
    Change,
    /// It is over.
    End,
}

impl Shard {
    /// Begins a replay; the answer comes when it is known where the channels begin.
    pub(super) fn replay(&mut self, connection: &Rc<Connection>, request: ReplayRequest) {
        let ReplayRequest { channels, filter, since, until, speed, then_live, request_id } = request;
        let refuse = |shard: &Self, error: RequestError| shard.tell(connection, error.answering(request_id.clone()));
        if connection.replays.borrow().len() >= MAX_REPLAYS {
            let message = format!("a connection has at most {MAX_REPLAYS} replays; stop one first");
            return refuse(self, RequestError::new(ErrorCode::RateLimit, message));
        }
        if self.replaying.get() >= MAX_OF_SHARD {
            return refuse(self, RequestError::new(ErrorCode::Unavailable, "too many replays run; come later"));
        }
        let (wanted, speed) = match (filter_of(&filter, &Options::default()), Speed::new(speed)) {
            (Ok(wanted), Ok(speed)) => (wanted, speed),
            (Err(error), _) => return refuse(self, error),
            (_, Err(error)) => return refuse(self, RequestError::validation(error.to_string())),
        };
        let Some(shared) = self.myself.upgrade() else { return };
        self.executions += 1;
        let replay = Rc::new(Replay {
            id: format!("replay_{:x}_{}", connection.id, self.executions),
            clock: RefCell::new(ReplayClock::new(std::time::Instant::now(), since, speed)),
            sought: RefCell::default(),
            stopped: Cell::new(false),
            changed: Notify::new(),
            positions: RefCell::default(),
        });
        // Without an end it plays what was before now; what comes meanwhile is the subscription's to send.
        let end = until.unwrap_or_else(Timestamp::now);
        let score = Score {
            patterns: channels,
            terms: Terms { filter, options: Options::default() },
            wanted: Wanted { filter: wanted, since, until: (!then_live).then_some(end) },
            until: end,
            then_live,
        };
        connection.replays.borrow_mut().push(replay.clone());
        let (connection, replaying) = (connection.clone(), self.replaying.clone());
        replaying.set(replaying.get() + 1);
        self.tasks.spawn(async move {
            run(shared, connection, replay, score, request_id).await;
            replaying.set(replaying.get() - 1);
        });
    }

    /// Steers a replay.
    pub(super) fn steer(
        &mut self,
        connection: &Rc<Connection>,
        id: &str,
        action: ReplayAction,
        request_id: Option<RequestId>,
    ) {
        let replay = connection.replays.borrow().iter().find(|replay| replay.id == id).cloned();
        let Some(replay) = replay else {
            let error = RequestError::new(ErrorCode::NotFound, "no replay of this connection has this replay_id");
            return self.tell(connection, error.answering(request_id));
        };
        let now = std::time::Instant::now();
        match action {
            ReplayAction::Pause => replay.clock.borrow_mut().pause(now),
            ReplayAction::Resume => replay.clock.borrow_mut().resume(now),
            ReplayAction::Speed(speed) => match Speed::new(speed) {
                Ok(speed) => replay.clock.borrow_mut().set_speed(now, speed),
                Err(error) => {
                    let error = RequestError::validation(error.to_string()).answering(request_id);
                    return self.tell(connection, error);
                }
            },
            ReplayAction::Stop => {
                replay.stop();
                connection.replays.borrow_mut().retain(|other| other.id != id);
                return connection.reply(&replay.reply(ReplayState::Stopped, request_id));
            }
            ReplayAction::Seek(time) => {
                // It is answered when it is known where that is; one that is overtaken, now.
                if let Some((_, overtaken)) = replay.sought.borrow_mut().replace((time, request_id)) {
                    connection.reply(&replay.reply(ReplayState::Sought, overtaken));
                }
                return replay.changed.notify_one();
            }
        }
        replay.changed.notify_one();
        connection.reply(&replay.reply(replay.state(), request_id));
    }

    /// Sends what is due, as far as the control lane takes it.
    fn play(&mut self, connection: &Rc<Connection>, replay: &Replay, lanes: &mut Lanes, until: Timestamp) -> Wait {
        if replay.stopped.get() || connection.ending() {
            return Wait::End;
        }
        if replay.sought.borrow().is_some() {
            return Wait::Nothing;
        }
        let now = Instant::now();
        let (mut sent, mut wait) = (0, Wait::Room);
        while connection.output.borrow().control.len() <= LANE {
            match lanes.next() {
                Next::Unknown => wait = Wait::Read,
                Next::End => wait = Wait::End,
                Next::Gap(gap) => {
                    self.metrics.gap(gap.reason, (gap.to + 1).saturating_sub(gap.from.offset));
                    connection.reply(&Reply::Gap(gap));
                    lanes.pass();
                    continue;
                }
                // What a channel holds before its end, of a later time, waits for no time that may never come.
                Next::Event(event) => match replay.clock.borrow().due(event.time.min(until)).map(Instant::from_std) {
                    Some(due) if due <= now => {
                        let frame = frame_of(&event, connection.dialect);
                        connection.control(|control| control.extend_from_slice(&frame));
                        lanes.pass();
                        sent += 1;
                        continue;
                    }
                    Some(due) => wait = Wait::Until(due),
                    None => wait = Wait::Change,
                },
            }
            break;
        }
        self.metrics.delivered(sent, 0);
        *replay.positions.borrow_mut() = lanes.positions();
        self.flush_control(connection);
        match wait {
            _ if connection.ending() => Wait::End,
            // The socket has taken it at once.
            Wait::Room if connection.output.borrow().control.len() <= LANE => Wait::Nothing,
            wait => wait,
        }
    }

    /// A replay has come to its end.
    fn played(&mut self, connection: &Rc<Connection>, replay: &Replay, score: &Score) {
        if replay.stopped.get() || connection.ending() {
            return;
        }
        connection.replays.borrow_mut().retain(|other| other.id != replay.id);
        let live = score.then_live && self.hand_over(connection, replay, score);
        let state = if live { ReplayState::Live } else { ReplayState::Completed };
        connection.reply(&replay.reply(state, None));
        self.flush_control(connection);
    }

    /// Makes an ordinary subscription of a replay, which goes on where it ended. Channels that the connection reads
    /// already go on as they are.
    fn hand_over(&mut self, connection: &Rc<Connection>, replay: &Replay, score: &Score) -> bool {
        self.turn();
        let ends: HashMap<ChannelName, Position> = replay.positions.borrow().iter().cloned().collect();
        let reads: HashSet<ChannelName> = self.positions(connection).into_iter().map(|(name, _)| name).collect();
        let origin = |log: &ChannelLog| {
            if reads.contains(log.name()) {
                return Origin::Latest; // which is, for one who reads it, where it stands
            }
            // What it did not know has appeared since.
            ends.get(log.name()).map_or(Origin::Earliest, |place| Origin::After(*place))
        };
        let terms = self.terms(score.terms.clone());
        let asked = Asked { filter: score.wanted.filter.clone(), terms, origin: &origin };
        let mut notices = Vec::new();
        let mut live = true;
        for pattern in &score.patterns {
            let held = connection.reading.borrow().subscriptions.iter().any(|held| held.pattern == *pattern);
            if held {
                continue;
            }
            if let Err((code, message)) = self.subscribe_one(connection, pattern, &asked, &mut notices) {
                self.tell(connection, RequestError::new(code, format!("channel `{pattern}`: {message}")));
                live = false;
            }
        }
        for notice in notices {
            connection.reply(&notice);
        }
        live
    }
}

async fn run(
    shared: Shared,
    connection: Rc<Connection>,
    replay: Rc<Replay>,
    mut score: Score,
    request_id: Option<RequestId>,
) {
    let (fetches, router) = {
        let shard = shared.borrow();
        (shard.fetches.clone(), shard.router.clone())
    };
    let mut lanes = Lanes::default();
    // The first place is sought like any other.
    *replay.sought.borrow_mut() = Some((score.wanted.since, request_id));
    let mut state = ReplayState::Playing;
    loop {
        let sought = replay.sought.take();
        if let Some((since, request_id)) = sought {
            score.wanted.since = since;
            let (router, patterns, until) = (router.clone(), score.patterns.clone(), score.until);
            match fetches.blocking(move || find(&router, &patterns, since, until)).await {
                Ok(Ok(found)) => lanes = found,
                Ok(Err(error)) => return fail(&shared, &connection, &replay, error, request_id),
                Err(error) => {
                    let error = RequestError::new(ErrorCode::Unavailable, error.to_string());
                    return fail(&shared, &connection, &replay, error, request_id);
                }
            }
            // From here on: looking for the place took no time of the past.
            replay.clock.borrow_mut().seek(std::time::Instant::now(), since);
            *replay.positions.borrow_mut() = lanes.positions();
            if !replay.stopped.get() {
                connection.reply(&replay.reply(state, request_id));
            }
            state = ReplayState::Sought;
        }
        let wait = shared.borrow_mut().play(&connection, &replay, &mut lanes, score.until);
        match wait {
            Wait::Nothing => {}
            Wait::Read => {
                let (asked, router) = (lanes.asked(&score.wanted), router.clone());
                let read = move || Ok(asked.into_iter().map(|asked| asked.read(&router)).collect());
                // Only a panic is an error here; then there is nothing to be had.
                let Ok(given) = fetches.blocking(read).await else { break };
                lanes.take(given);
            }
            Wait::Room => tokio::select! {
                () = connection.drained.notified() => {}
                () = replay.changed.notified() => {}
            },
            Wait::Until(due) => tokio::select! {
                () = sleep_until(due) => {}
                () = replay.changed.notified() => {}
            },
            Wait::Change => replay.changed.notified().await,
            Wait::End => break,
        }
        // Others have their turn, also when everything is due at once.
        tokio::task::yield_now().await;
    }
    shared.borrow_mut().played(&connection, &replay, &score);
}

/// The lanes of the channels that some patterns mean. May block on a disk.
fn find(
    router: &Arc<Router>,
    patterns: &[ChannelPattern],
    since: Timestamp,
    until: Timestamp,
) -> Result<Result<Lanes, RequestError>, EngineError> {
    let mut seen = HashSet::new();
    let logs = patterns.iter().flat_map(|pattern| router.logs(pattern));
    let logs: Vec<Arc<ChannelLog>> = logs.filter(|log| seen.insert(log.name().clone())).collect();
    if logs.len() > MAX_CHANNELS {
        let message = format!("{} channels are more than the {MAX_CHANNELS} of one replay; name fewer", logs.len());
        return Ok(Err(RequestError::validation(message)));
    }
    Lanes::find(router, logs, since, until).map(Ok)
}

/// Ends a replay that cannot go on.
fn fail(
    shared: &Shared,
    connection: &Rc<Connection>,
    replay: &Replay,
    error: RequestError,
    request_id: Option<RequestId>,
) {
    connection.replays.borrow_mut().retain(|other| other.id != replay.id);
    let mut shard = shared.borrow_mut();
    shard.tell(connection, error.answering(request_id));
    shard.flush_control(connection);
}
