//! A running source, and all that a test does to it.

use headwater_plugin_agents::Agents;
use headwater_testkit::prelude::*;
use std::process::{Child, Command};

/// The source with what came before it on the bus, and what it emitted since.
pub(crate) struct World {
    pub(crate) run: Run,
}

impl World {
    /// A source on a bus without a past.
    pub(crate) async fn new(settings: Value) -> Self {
        Self::after(settings, &[]).await
    }

    /// A source on a bus that holds these events.
    pub(crate) async fn after(settings: Value, past: &[TestEvent]) -> Self {
        let mut run = Testkit::start::<Agents>(settings);
        run.subscribed(1).await;
        for event in past.iter().filter(|event| event.channel == "agent" || event.channel == "task") {
            let past = BusEvent::new(&event.channel, &event.kind, &event.data);
            run.deliver(event.time.map_or(past.clone(), |time| past.time(time))).await;
        }
        // The bus gives the source its own marks back, behind the past.
        for _ in 0..2 {
            let mark = run.next_event_where("a mark", |event| event.kind == "registry.opened").await;
            run.deliver(BusEvent::new(&mark.channel, &mark.kind, &mark.data)).await;
        }
        run.subscribed(2).await;
        Self { run }
    }

    /// An emitter says something, from nowhere in particular.
    pub(crate) async fn hook(&mut self, emitter: &str, payload: Value) {
        self.hook_from(emitter, payload, json!({})).await;
    }

    /// An emitter says something, from this place.
    pub(crate) async fn hook_from(&mut self, emitter: &str, payload: Value, place: Value) {
        let mut data = place;
        data["payload"] = payload;
        let taken = self.run.deliver(BusEvent::new("agent_hooks", &format!("hook.{emitter}"), &data)).await;
        assert_eq!(taken, 1, "the source reads the hooks");
    }

    /// A hook of Claude Code.
    pub(crate) async fn claude(&mut self, session: &str, event: &str, more: Value) {
        self.hook("claude", claude(session, event, more)).await;
    }

    /// An event of the tmux source.
    pub(crate) async fn tmux(&mut self, kind: &str, data: Value) {
        assert_eq!(self.run.deliver(BusEvent::new("tmux", kind, &data)).await, 1, "the source reads tmux");
    }

    /// The next event of this type.
    pub(crate) async fn next(&mut self, kind: &str) -> TestEvent {
        self.run.next_event_where(kind, |event| event.kind == kind).await
    }

    /// The agents that `get_status` lists.
    pub(crate) async fn agents(&mut self) -> Vec<Value> {
        let status = self.run.command("get_status", json!({})).await.completed();
        status["agents"].as_array().unwrap().clone()
    }
}

/// The payload of a hook of Claude Code.
#[allow(clippy::needless_pass_by_value)] // `json!({…})` is to stand in the call
pub(crate) fn claude(session: &str, event: &str, more: Value) -> Value {
    let mut payload = json!({ "session_id": session, "hook_event_name": event, "cwd": "/home/dev/shop" });
    for (key, value) in more.as_object().unwrap() {
        payload[key] = value.clone();
    }
    payload
}

/// A process that stands for an agent. It ends with the test.
pub(crate) struct Program(Child);

impl Program {
    pub(crate) fn new() -> Self {
        Self(Command::new("sleep").arg("600").spawn().unwrap())
    }

    /// It and what stands above it, as a hook tells it.
    pub(crate) fn place(&self) -> Value {
        let me = std::process::id();
        json!({ "processes": [
            { "pid": self.0.id(), "started": started(self.0.id()), "name": "claude" },
            { "pid": me, "started": started(me), "name": "zsh" },
        ] })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    /// kill -9, and nobody waits for it: the agent's parent need not.
    pub(crate) fn kill(&mut self) {
        self.0.kill().unwrap();
    }

    /// kill -9, and it is gone for good.
    pub(crate) fn end(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// When a process started, in clock ticks: field 22 of its `stat`.
pub(crate) fn started(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit_once(')').unwrap().1.split_whitespace().nth(19).unwrap().parse().unwrap()
}
