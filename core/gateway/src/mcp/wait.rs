//! `wait_for_event`: the next event that fits, or the end of patience. A wait is a follower, which holds a mark for each of
//! its channels and no events; it ends with its client.

use super::{
    arguments::{self, within, wrong},
    event::{LEAST_BYTES, MOST_BYTES, Missing, Shown, USUAL_BYTES, shown},
    fault::Fault,
    read::{behind, live},
    tools::{Call, Outcome, answer},
    which::Which,
};
use crate::refusal;
use headwater_event::{ChannelName, ChannelPattern, Event, Gap, Position};
use headwater_follow::{Follow, Follower, Item, Lag, Page, Until};
use headwater_protocol::{ErrorCode, cursor::Cursor};
use headwater_router::From as Origin;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};

/// Calls that wait at the same moment, of all clients together. A connection of HTTP/1.1 has one at most, so that more need
/// as many connections; without this bound all that the gateway takes could be waits.
pub(crate) const WAITS: usize = 256;

/// How long a call waits, in seconds: usually, and at most. Clients give up on headers that do not come within 300 s.
const USUAL_WAIT: u64 = 30;
const LONGEST_WAIT: u64 = 290;
/// The events of an answer, usually and at most.
const USUAL: u64 = 10;
const MOST: u64 = 100;
/// How often a client that wants to know is told that the wait goes on. Some give up after a minute of silence.
const BEAT: Duration = Duration::from_secs(10);

#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct Arguments {
    #[serde(flatten)]
    which: Which,
    /// Where to begin: the `cursor` of an earlier `wait_for_event`, or the `live_cursor` of `read_events`, of the same channel.
    /// Without it, from now on.
    cursor: Option<String>,
    /// How long to wait, in seconds, 1 to 290. Default 30. Clients have limits of their own for a call, often 60.
    #[schemars(range(min = 1, max = 290))]
    timeout_seconds: Option<u64>,
    /// The most events of this answer, 1 to 100, where several are there already. Default 10.
    #[schemars(range(min = 1, max = 100))]
    limit: Option<u64>,
    /// The most text of events in this answer, in bytes, 1024 to 1048576. Default 32768, about 8000 tokens.
    #[schemars(range(min = 1024, max = 1_048_576))]
    max_bytes: Option<u64>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Answer {
    status: Status,
    /// What has come, in the order of offsets within a channel.
    events: Vec<Shown>,
    /// Where the next call goes on, with the same channel. Nothing that comes meanwhile is missed.
    cursor: String,
    /// Events that are lost; what was waited for may have been among them.
    gaps: Vec<Missing>,
    /// How long it waited.
    waited_seconds: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Status {
    Event,
    TimedOut,
    Gap,
}

pub(super) async fn run(call: Call) -> Outcome {
    let asked: Arguments = arguments::read(&call.arguments)?;
    let limit = within("limit", asked.limit, USUAL, 1..=MOST)?;
    let most = within("max_bytes", asked.max_bytes, USUAL_BYTES, LEAST_BYTES..=MOST_BYTES)?;
    let patience = Duration::from_secs(within("timeout_seconds", asked.timeout_seconds, USUAL_WAIT, 1..=LONGEST_WAIT)?);
    let channels = asked.which.pattern()?;
    let cursor = asked.cursor.map(|text| behind(&text)).transpose()?;
    if let Some(cursor) = &cursor {
        meant(cursor, &channels)?;
    }
    let app = &call.client.app;
    let _place = app.waits.try_acquire().map_err(|_| {
        let why = format!("there are {WAITS} calls that wait, as many as there may be; come back in some seconds");
        Fault::new(ErrorCode::RateLimit, why)
    })?;
    let begin = cursor.clone();
    let from = move |channel: &ChannelName| match &begin {
        None => Origin::Latest,
        // It was not there when the cursor was made, or its first event came after that.
        Some(cursor) => cursor.get(channel).map_or(Origin::Earliest, Origin::After),
    };
    let follow = Follow {
        channels: vec![channels],
        filter: asked.which.filter()?,
        from: Box::new(from),
        lag: Lag::Store,
        until: Until::Forever,
    };
    let follower = app.followers.follow(follow).map_err(|error| Fault::from(refusal::by_follow(&error)))?;
    // Before the wait, not after it.
    live(&follower.positions())?;
    let begun = Instant::now();
    let mut wait = Wait {
        follower,
        places: cursor.as_ref().map(Cursor::places).unwrap_or_default(),
        events: Vec::new(),
        gaps: Vec::new(),
    };
    let status = wait.out(begun, patience, &call).await?;
    let events = shown(wait.events.iter().take(limit as usize), most);
    let cursor = wait.cursor(events.len())?;
    let gaps = wait.gaps.iter().map(Missing::from).collect();
    let waited_seconds = (begun.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
    Ok(answer(&Answer { status, events, cursor, gaps, waited_seconds }))
}

/// Refuses a cursor of other channels.
fn meant(cursor: &Cursor, channels: &ChannelPattern) -> Result<(), Fault> {
    match cursor.channels().find(|channel| !channels.matches(channel.as_str())) {
        Some(other) => {
            Err(wrong(format!("`cursor` is of a call about other channels: `channel` does not mean `{other}`")))
        }
        None => Ok(()),
    }
}

/// A wait under way.
struct Wait {
    follower: Follower,
    /// Where the caller stood; holds for channels of which the follower does not know yet.
    places: BTreeMap<ChannelName, Position>,
    events: Vec<Arc<Event>>,
    gaps: Vec<Gap>,
}

impl Wait {
    async fn out(&mut self, begun: Instant, patience: Duration, call: &Call) -> Result<Status, Fault> {
        let mut beat = interval_at(begun + BEAT, BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                page = self.follower.next() => {
                    let Some(Page { items }) = page else {
                        let why = "the daemon is ending; call again with the same cursor when it is back";
                        return Err(Fault::new(ErrorCode::Unavailable, why));
                    };
                    for item in items {
                        match item {
                            Item::Event(event) => self.events.push(event),
                            Item::Gap(gap) => self.gaps.push(gap),
                        }
                    }
                    return Ok(if self.events.is_empty() { Status::Gap } else { Status::Event });
                }
                () = sleep_until(begun + patience) => return Ok(Status::TimedOut),
                () = call.withdrawn.cancelled() => return Ok(Status::TimedOut),
                _ = beat.tick() => {
                    let (done, total) = (begun.elapsed().as_secs_f64().round(), patience.as_secs_f64());
                    call.progress.tell(done, Some(total), "still waiting".to_owned()).await;
                }
            }
        }
    }

    /// Behind what is told: the first `told` events.
    fn cursor(&self, told: usize) -> Result<String, Fault> {
        let mut places = self.places.clone();
        places.extend(self.follower.positions());
        for event in self.events[told..].iter().rev() {
            let position = Position { offset: event.position.offset - 1, ..event.position };
            places.insert(event.channel.clone(), position);
        }
        live(&places.into_iter().collect::<Vec<_>>())
    }
}
