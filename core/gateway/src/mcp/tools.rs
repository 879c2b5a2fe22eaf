//! The one table of tools: what each is called, what it says of itself, what it needs, takes and gives.

use super::{agents, caller::Client, channels, command, fault::Fault, publish, read, rooms, schema, wait};
use crate::{BoxFuture, Permission};
use rmcp::{
    Peer, RoleServer,
    model::{self, JsonObject, ProgressNotificationParam, ProgressToken, ToolAnnotations},
};
use serde::Serialize;
use serde_json::Value;
use std::{
    future::ready,
    sync::{Arc, LazyLock},
};
use tokio_util::sync::CancellationToken;

/// One line of the table, for checks and docs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToolEntry {
    /// Its name.
    pub name: &'static str,
    /// What it is called where people read.
    pub title: &'static str,
    /// What it needs.
    pub permission: Permission,
}

/// A tool.
pub(super) struct Tool {
    pub(super) name: &'static str,
    title: &'static str,
    description: &'static str,
    pub(super) permission: Permission,
    effect: Effect,
    /// Whether it takes as long as what it waits for, which says nothing of the daemon.
    pub(super) waits: bool,
    pub(super) input: fn() -> Arc<JsonObject>,
    output: fn() -> Arc<JsonObject>,
    pub(super) run: fn(Call) -> BoxFuture<Outcome>,
    /// What it says where no daemon is, if that is no error; it is told why.
    pub(super) absent: Option<fn(&str) -> Value>,
}

/// What a tool does to the world.
#[derive(Clone, Copy)]
enum Effect {
    /// Nothing.
    Reads,
    /// Something is added.
    Adds,
    /// Anything: a source may type into a terminal or end a process.
    Acts,
}

/// A call on its way.
pub(super) struct Call {
    pub(super) client: Client,
    pub(super) arguments: JsonObject,
    pub(super) progress: Progress,
    /// Cancelled when its client no longer waits for it, but may not have gone.
    pub(super) withdrawn: CancellationToken,
}

/// What a call comes to.
pub(super) type Outcome = Result<Value, Fault>;

/// A tool's answer, as JSON.
pub(super) fn answer(value: &impl Serialize) -> Value {
    serde_json::to_value(value).expect("invariant: an answer has only strings as keys")
}

static TOOLS: [Tool; 13] = [
    Tool {
        name: "list_channels",
        title: "List channels",
        description: "Lists the channels of the bus with how many events each holds, when the last one was observed and of \
                      which type, and which sources publish there. Begin here to learn what can be read or waited for.",
        permission: Permission::Monitor,
        effect: Effect::Reads,
        waits: false,
        input: schema::input::<channels::Arguments>,
        output: schema::output::<channels::Answer>,
        run: |call| Box::pin(ready(channels::run(&call))),
        absent: None,
    },
    Tool {
        name: "read_events",
        title: "Read events",
        description: "Reads events that have happened, the newest first unless `order` says otherwise, from memory and from \
                      the stored history. Narrow it down with time, types, severity and `where` instead of reading much. The \
                      answer is bounded by `limit` and `max_bytes`; where there is more, `cursor` goes on. `live_cursor` is \
                      for wait_for_event: it waits for what comes after this answer and misses nothing. `gaps` tells events \
                      that are lost.",
        permission: Permission::Monitor,
        effect: Effect::Reads,
        waits: false,
        input: schema::input::<read::Arguments>,
        output: schema::output::<read::Answer>,
        run: |call| Box::pin(read::run(call)),
        absent: None,
    },
    Tool {
        name: "wait_for_event",
        title: "Wait for an event",
        description: "Waits until an event comes that fits, and answers at once when it does: `status` is `event`. After \
                      `timeout_seconds` without one it is `timed_out`, which is no error; `gap` means that events were lost \
                      of which one may have been it. Without `cursor` it waits for what happens from now on; with the \
                      `cursor` of an earlier answer, or the `live_cursor` of read_events, events that came in between \
                      count, so nothing is missed between two calls. Use it instead of asking again and again, for instance \
                      for another agent's end: channel `task`, types [\"task_completed\", \"task_failed\"].",
        permission: Permission::Monitor,
        effect: Effect::Reads,
        waits: true,
        input: schema::input::<wait::Arguments>,
        output: schema::output::<wait::Answer>,
        run: |call| Box::pin(wait::run(call)),
        absent: None,
    },
    Tool {
        name: "publish_event",
        title: "Publish an event",
        description: "Publishes one event to a channel, which comes to be with its first event. Everybody who reads the \
                      channel sees it; it cannot be taken back. Give `idempotency_key` when you may have to call it again: \
                      the same key in the same channel is published once within two minutes. Answers with the event's \
                      position.",
        permission: Permission::Publish,
        effect: Effect::Adds,
        waits: false,
        input: schema::input::<publish::Arguments>,
        output: schema::output::<publish::Answer>,
        run: |call| Box::pin(publish::run(call)),
        absent: None,
    },
    Tool {
        name: "list_agents",
        title: "List agents",
        description: "Lists the coding agents on this machine: who works, waits (and for what), is done, idle or failed, \
                      since when, on which task, in which directory and tmux pane. Those that wait for somebody come first. \
                      An agent that has ended is not listed; channel `agent` tells its end as agent_removed.",
        permission: Permission::Monitor,
        effect: Effect::Reads,
        waits: false,
        input: schema::input::<agents::Arguments>,
        output: schema::output::<agents::Answer>,
        run: |call| Box::pin(ready(agents::run(&call))),
        absent: None,
    },
    Tool {
        name: "list_commands",
        title: "List commands",
        description: "Lists the sources with their state and the commands that each takes, with the JSON Schema of their \
                      parameters, for run_command.",
        permission: Permission::Monitor,
        effect: Effect::Reads,
        waits: false,
        input: schema::input::<command::ListArguments>,
        output: schema::output::<command::Listed>,
        run: |call| Box::pin(ready(command::list(&call))),
        absent: None,
    },
    Tool {
        name: "run_command",
        title: "Run a command of a source",
        description: "Has a source do something and waits for the outcome: `status` is `completed` with the `result`. A \
                      command that fails or is refused is an error that says why. After `timeout_seconds` it is `running`: \
                      the command goes on, its outcome is no longer told, and events of the source show what becomes of \
                      it; running it again may do it twice. Commands may type into terminals or end processes: \
                      list_commands says what each does.",
        permission: Permission::Control,
        effect: Effect::Acts,
        waits: true,
        input: schema::input::<command::RunArguments>,
        output: schema::output::<command::Ran>,
        run: |call| Box::pin(command::run(call)),
        absent: None,
    },
    Tool {
        name: "websocket_health_check",
        title: "Health of the gateway",
        description: "Says whether the gateway is healthy, where it listens, how many WebSocket connections and rooms \
                      (channels) there are, and its limits. `stopped`: no daemon runs.",
        permission: Permission::Monitor,
        effect: Effect::Reads,
        waits: false,
        input: schema::input::<rooms::Nothing>,
        output: schema::output::<rooms::Health>,
        run: |call| Box::pin(ready(Ok(rooms::health(&call)))),
        absent: Some(rooms::stopped),
    },
    Tool {
        name: "websocket_get_status",
        title: "WebSocket connections and rooms",
        description: "Lists the WebSocket connections of the gateway and, for each room (channel), who is subscribed to it.",
        permission: Permission::Monitor,
        effect: Effect::Reads,
        waits: false,
        input: schema::input::<rooms::Arguments>,
        output: schema::output::<rooms::Status>,
        run: |call| Box::pin(rooms::status(call)),
        absent: None,
    },
    Tool {
        name: "websocket_list_rooms",
        title: "List rooms",
        description: "Lists the rooms (channels) with the number of WebSocket connections that are subscribed to each. \
                      list_channels says more about what is in them.",
        permission: Permission::Monitor,
        effect: Effect::Reads,
        waits: false,
        input: schema::input::<rooms::Arguments>,
        output: schema::output::<rooms::Listed>,
        run: |call| Box::pin(rooms::list(call)),
        absent: None,
    },
    Tool {
        name: "websocket_broadcast_test_event",
        title: "Broadcast a test event",
        description: "Publishes an event to a room (channel) whose data says `test: true` and the time, to try whether \
                      subscribers get it. For events that mean something use publish_event.",
        permission: Permission::Publish,
        effect: Effect::Adds,
        waits: false,
        input: schema::input::<rooms::TestEvent>,
        output: schema::output::<rooms::Broadcast>,
        run: |call| Box::pin(rooms::broadcast(call)),
        absent: None,
    },
    Tool {
        name: "websocket_get_metrics",
        title: "Figures of the gateway",
        description: "Says how long the gateway has run, how many events were published since, how many a second that is on \
                      average, and how many WebSocket connections there are and were at most.",
        permission: Permission::Monitor,
        effect: Effect::Reads,
        waits: false,
        input: schema::input::<rooms::Nothing>,
        output: schema::output::<rooms::Figures>,
        run: |call| Box::pin(ready(Ok(rooms::metrics(&call)))),
        absent: None,
    },
    Tool {
        name: "get_snapshot",
        title: "Get the latest state",
        description: "Gives the kept events of channels: the last one of each key, such as the whole known state of each \
                      agent, pane or MCP server. What is true now, where read_events tells what happened.",
        permission: Permission::Monitor,
        effect: Effect::Reads,
        waits: false,
        input: schema::input::<channels::SnapshotArguments>,
        output: schema::output::<channels::Snapshot>,
        run: |call| Box::pin(ready(channels::snapshot(&call))),
        absent: None,
    },
];

/// Every line of the table.
pub fn tools() -> impl Iterator<Item = ToolEntry> {
    TOOLS.iter().map(|tool| ToolEntry { name: tool.name, title: tool.title, permission: tool.permission })
}

/// The tool of this name.
pub(super) fn find(name: &str) -> Option<&'static Tool> {
    TOOLS.iter().find(|tool| tool.name == name)
}

/// All tools as clients are told of them.
pub(super) fn described() -> &'static [model::Tool] {
    static DESCRIBED: LazyLock<Vec<model::Tool>> = LazyLock::new(|| TOOLS.iter().map(describe).collect());
    &DESCRIBED
}

fn describe(tool: &Tool) -> model::Tool {
    let annotations = ToolAnnotations::with_title(tool.title).open_world(false);
    let annotations = match tool.effect {
        Effect::Reads => annotations.read_only(true).idempotent(true).destructive(false),
        Effect::Adds => annotations.read_only(false).idempotent(false).destructive(false),
        Effect::Acts => annotations.read_only(false).idempotent(false).destructive(true),
    };
    model::Tool::new(tool.name, tool.description, (tool.input)())
        .with_title(tool.title)
        .with_raw_output_schema((tool.output)())
        .with_annotations(annotations)
}

/// Tells a client that waits how far its call is, if it wants to know. Some clients give up on a call that says nothing.
pub(super) struct Progress(Option<(Peer<RoleServer>, ProgressToken)>);

impl Progress {
    pub(super) fn new(wanted: Option<(Peer<RoleServer>, ProgressToken)>) -> Self {
        Self(wanted)
    }

    /// So much of so much is done.
    pub(super) async fn tell(&self, done: f64, total: Option<f64>, message: String) {
        let Some((peer, token)) = &self.0 else { return };
        let mut told = ProgressNotificationParam::new(token.clone(), done).with_message(message);
        if let Some(total) = total {
            told = told.with_total(total);
        }
        if let Err(error) = peer.notify_progress(told).await {
            tracing::trace!(%error, "the client of a call does not take its progress");
        }
    }
}
