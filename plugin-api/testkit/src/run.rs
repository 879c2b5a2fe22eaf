//! A source that runs in a test, and all that the test can do with it.

use crate::{
    answers::Answers,
    desk::{Desk, LogRecord, Outcome, Papers, fits},
    event::{BusEvent, TestEvent},
    host,
    waiting::PATIENCE,
};
use headwater_plugin::__private::{
    Exported,
    abi::{
        AttributeRef, DeliveryRef, EventRef, PluginV1Ref,
        abi_stable::std_types::{RResult, RSlice, RStr},
        sent,
    },
    table,
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fmt,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// The epoch of the test's bus.
const EPOCH: u64 = 0x7e57;

/// How long the end of a run waits for a source that does not stop, before it is left behind.
const FAREWELL: Duration = Duration::from_secs(2);

/// Starts sources.
#[derive(Debug)]
pub struct Testkit;

impl Testkit {
    /// Starts a source with these settings, as a daemon would.
    ///
    /// # Panics
    /// When the source does not take the settings.
    pub fn start<S: Exported>(settings: Value) -> Run {
        match Self::try_start::<S>(settings) {
            Ok(run) => run,
            Err(reason) => panic!("the source does not start: {reason}"),
        }
    }

    /// Starts a source with these settings, or says why it does not start.
    #[allow(clippy::needless_pass_by_value)] // `json!({…})` is to stand in the call
    pub fn try_start<S: Exported>(settings: Value) -> Result<Run, String> {
        let plugin = table::<S>();
        let manifest: Value = serde_json::from_str(&plugin.describe()())
            .map_err(|error| format!("a manifest that is no JSON: {error}"))?;
        let emits = manifest["emits"].as_array().into_iter().flatten();
        let desk = Arc::new(Desk::new(emits.filter_map(Value::as_str).map(str::to_owned).collect()));
        let ctx = host::open(Arc::clone(&desk));
        let settings = settings.to_string();
        match plugin.create()(host::table(), ctx, RSlice::from_slice(settings.as_bytes())) {
            RResult::ROk(instance) => Ok(Run {
                plugin,
                manifest,
                instance,
                ctx,
                desk,
                requests: 0,
                commands: Vec::new(),
                offsets: BTreeMap::new(),
                left: false,
            }),
            RResult::RErr(reason) => {
                host::close(ctx);
                Err(reason.into_string())
            }
        }
    }
}

/// A running source. It is stopped when the run is dropped.
pub struct Run {
    plugin: PluginV1Ref,
    manifest: Value,
    instance: u64,
    ctx: u64,
    desk: Arc<Desk>,
    requests: u64,
    commands: Vec<u64>,
    offsets: BTreeMap<String, u64>,
    left: bool,
}

impl Run {
    /// What the plugin says of itself.
    pub fn manifest(&self) -> &Value {
        &self.manifest
    }

    /// The next event, in the order in which the source emitted them.
    ///
    /// # Panics
    /// When none comes, or when a daemon would have refused one: its data is no JSON, or its channel is not declared.
    pub async fn next_event(&mut self) -> TestEvent {
        self.next_event_where("an event", |_| true).await
    }

    /// The next event for which `wanted` holds; the ones before it are passed over. `what` is for the message of a test
    /// that waits in vain.
    pub async fn next_event_where(&mut self, what: &str, wanted: impl Fn(&TestEvent) -> bool) -> TestEvent {
        let next = |papers: &mut Papers| loop {
            let event = papers.events.pop_front()?;
            if wanted(&event) {
                return Some(event);
            }
        };
        self.wait(what, next).await
    }

    /// All events that came and were not read yet.
    pub fn events(&mut self) -> Vec<TestEvent> {
        self.desk.papers().events.drain(..).collect()
    }

    /// The snapshot of this channel and key: what a late subscriber would get.
    pub fn snapshot(&self, channel: &str, key: &str) -> Option<TestEvent> {
        self.desk.papers().snapshots.get(&(channel.to_owned(), key.to_owned())).cloned()
    }

    /// Sends a command and waits for its last answer.
    ///
    /// # Panics
    /// When no last answer comes, or when the source has too many commands waiting.
    pub async fn command(&mut self, name: &str, parameters: Value) -> Answers {
        let request = self.send_command(name, &parameters);
        self.answers(request).await
    }

    /// Sends a command and does not wait; [`Run::answers`] does.
    pub fn send_command(&mut self, name: &str, parameters: &Value) -> u64 {
        let request = self.ask(&json!({ "kind": "command", "name": name, "parameters": parameters }));
        self.commands.push(request);
        request
    }

    /// Waits for the last answer to a command.
    pub async fn answers(&mut self, request: u64) -> Answers {
        let what = format!("the last answer to command {request}");
        self.wait(&what, |papers| Answers::complete(papers.answers.get(&request)?)).await
    }

    /// Asks whether the source's runtime still turns, as a daemon does every few seconds.
    ///
    /// # Panics
    /// When it does not answer.
    pub async fn heartbeat(&mut self) {
        let request = self.ask(&json!({ "kind": "heartbeat" }));
        let answer = self.wait("the answer to a heartbeat", |papers| papers.answers.remove(&request)).await;
        assert_eq!(answer, [json!({ "status": "alive" })]);
    }

    /// Sends any message of the wire; returns the plugin's code for it and the request's number.
    pub fn send(&mut self, message: &Value) -> (u32, u64) {
        self.requests += 1;
        let text = message.to_string();
        let code = self.plugin.send()(self.instance, self.requests, RSlice::from_slice(text.as_bytes()));
        (code, self.requests)
    }

    fn ask(&mut self, message: &Value) -> u64 {
        let (code, request) = self.send(message);
        assert_eq!(code, sent::TAKEN, "the source did not take {message}: {}", self.summary());
        request
    }

    /// Says which log records are wanted: `off`, `error`, `warn`, `info`, `debug` or `trace`.
    pub fn log_level(&mut self, level: &str) {
        self.ask(&json!({ "kind": "log_level", "level": level }));
    }

    /// The log so far.
    pub fn log(&self) -> Vec<LogRecord> {
        self.desk.papers().log.iter().cloned().collect()
    }

    /// Waits for a log record that contains this text.
    pub async fn logged(&mut self, text: &str) -> LogRecord {
        let what = format!("a log record with `{text}`");
        self.wait(&what, |papers| papers.log.iter().find(|record| record.message.contains(text)).cloned()).await
    }

    /// From now on at most this many unread events are taken; 0 refuses every event, as a full queue does.
    pub fn limit_queue(&mut self, events: usize) {
        self.desk.papers().limit = events;
    }

    /// How many events of each channel the source said that it dropped.
    pub fn dropped(&self) -> BTreeMap<String, u64> {
        self.desk.papers().dropped.clone()
    }

    /// The subscriptions that the source has now, as it asked for them.
    pub fn subscriptions(&self) -> Vec<Value> {
        self.desk.papers().subscriptions.values().cloned().collect()
    }

    /// Waits until the source has this many subscriptions.
    pub async fn subscribed(&mut self, count: usize) -> Vec<Value> {
        let what = format!("{count} subscriptions");
        let all = |papers: &mut Papers| {
            (papers.subscriptions.len() == count).then(|| papers.subscriptions.values().cloned().collect())
        };
        self.wait(&what, all).await
    }

    /// Delivers an event of the bus to each subscription that asks for its channel; waits while the source is behind.
    /// Returns how many subscriptions got it. Filters are not applied: the test delivers what the bus would.
    pub async fn deliver(&mut self, event: BusEvent) -> usize {
        let last = self.offsets.entry(event.channel.clone()).or_default();
        let offset = event.offset.unwrap_or(*last + 1);
        *last = offset;
        let wanted = self.interested(&event.channel);
        for subscription in &wanted {
            let deadline = Instant::now() + PATIENCE;
            while !self.hand_over(*subscription, offset, &event) {
                assert!(Instant::now() < deadline, "the source does not read: {}", self.summary());
                headwater_plugin::tokio::task::yield_now().await;
                std::thread::sleep(Duration::from_millis(1)); // the source is on a thread of its own
            }
        }
        wanted.len()
    }

    /// Sends a native message about a subscription, such as a gap, to every subscription.
    pub fn notice(&mut self, message: &Value) {
        let numbers: Vec<u64> = self.desk.papers().subscriptions.keys().copied().collect();
        for subscription in numbers {
            self.ask(&json!({ "kind": "notice", "subscription": subscription, "notice": message }));
        }
    }

    /// Delivers an event once to each subscription that asks for its channel, and does not wait: how many took it.
    pub fn try_deliver(&mut self, event: &BusEvent) -> usize {
        let last = self.offsets.entry(event.channel.clone()).or_default();
        let offset = event.offset.unwrap_or(*last + 1);
        *last = offset;
        let wanted = self.interested(&event.channel);
        wanted.into_iter().filter(|subscription| self.hand_over(*subscription, offset, event)).count()
    }

    /// The commands that were sent and have no last answer.
    pub fn unanswered(&self) -> Vec<u64> {
        let papers = self.desk.papers();
        let answered = |request: &u64| papers.answers.get(request).is_some_and(|all| Answers::complete(all).is_some());
        self.commands.iter().copied().filter(|request| !answered(request)).collect()
    }

    fn interested(&self, channel: &str) -> Vec<u64> {
        let papers = self.desk.papers();
        let asks = |request: &Value| {
            request["channels"].as_array().into_iter().flatten().filter_map(Value::as_str).any(|p| fits(p, channel))
        };
        papers.subscriptions.iter().filter(|(_, request)| asks(request)).map(|(number, _)| *number).collect()
    }

    fn hand_over(&self, subscription: u64, offset: u64, event: &BusEvent) -> bool {
        let attributes: Vec<AttributeRef<'_>> = event
            .attributes
            .iter()
            .map(|(name, value)| AttributeRef { name: RStr::from_str(name), value: RStr::from_str(value) })
            .collect();
        let time = event.time.unwrap_or_else(SystemTime::now);
        let time = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        let id = format!("00000000-0000-7000-8000-{offset:012x}");
        let delivery = DeliveryRef {
            subscription,
            event: EventRef {
                channel: RStr::from_str(&event.channel),
                kind: RStr::from_str(&event.kind),
                key: RStr::from_str(&event.key),
                attributes: RSlice::from_slice(&attributes),
                payload: RSlice::from_slice(&event.json),
                time_ns: i64::try_from(time).unwrap_or(0),
                flags: event.flags,
            },
            source: RStr::from_str(&event.source),
            id: RStr::from_str(&id),
            epoch: EPOCH,
            offset,
        };
        self.plugin.deliver()(self.instance, RSlice::from_slice(&[delivery])) == 1
    }

    /// Asks the source to stop, and waits until it has.
    ///
    /// # Panics
    /// When it does not, or when a daemon would have refused something that it did.
    pub async fn stop(&mut self) -> Outcome {
        self.plugin.stop()(self.instance);
        self.ended().await
    }

    /// Waits until the source ends by itself.
    pub async fn ended(&mut self) -> Outcome {
        let outcome = self.wait("the end of the source", |papers| papers.outcome.clone()).await;
        let gone = self.plugin.join()(self.instance, PATIENCE.as_millis() as u64);
        assert!(gone, "the source said that it has ended, but its thread goes on");
        self.left = true;
        outcome
    }

    async fn wait<T>(&self, what: &str, mut find: impl FnMut(&mut Papers) -> Option<T>) -> T {
        let found = self.desk.bell.listen(|| find(&mut self.desk.papers())).await;
        // Not with the papers in hand: the panic becomes a log record, which is laid among them.
        let faults = self.desk.papers().faults.join("\n");
        assert!(faults.is_empty(), "{faults}");
        match found {
            Some(found) => found,
            None => panic!("{what} did not come within {PATIENCE:?}; {}", self.summary()),
        }
    }

    fn summary(&self) -> String {
        self.desk.papers().summary()
    }
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").field("instance", &self.instance).field("desk", &self.desk).finish_non_exhaustive()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if !self.left {
            self.plugin.stop()(self.instance);
            self.plugin.join()(self.instance, FAREWELL.as_millis() as u64);
        }
        host::close(self.ctx);
    }
}
