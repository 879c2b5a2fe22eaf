//! What clients may ask. Only what we run ourselves is started and ended; whoever asks for more is told why not.

use crate::{
    discovery::Launch,
    emit,
    fleet::{Fleet, From, Server},
    probe::{Order, Report, Seen, Way},
};
use headwater_plugin::prelude::*;

/// A server.
#[config]
#[derive(Debug)]
pub struct GetServer {
    /// Its id, or its name where only one has it.
    server_id: String,
}

/// What is to be done with a server.
#[config]
#[derive(Debug)]
pub struct ControlServer {
    /// Its id, or its name where only one has it.
    server_id: String,
    /// What is to be done.
    action: Action,
    /// Whether it gets time to end by itself.
    #[default = true]
    graceful: bool,
}

/// What can be done with a server.
#[config]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It is started.
    Start,
    /// It is ended, and stays so.
    Stop,
    /// It is ended and started again.
    Restart,
}

/// Commands whose answer depends on what becomes of a server.
#[derive(Debug, Default)]
pub(crate) struct Commands {
    waiting: Vec<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    command: Command,
    server: String,
    action: Action,
}

impl Commands {
    /// Answers a command, now or when it is done.
    pub(crate) fn run(&mut self, command: Command, fleet: &Fleet) {
        match command.name.as_str() {
            "list_mcp_servers" => {
                let servers: Vec<Value> = fleet.servers().map(emit::state).collect();
                command.complete(json!({ "servers": servers }));
            }
            "get_mcp_server" => match command.parse::<GetServer>() {
                Ok(GetServer { server_id }) => {
                    let found = fleet.server(&server_id).map(emit::state);
                    command.answer(found.ok_or_else(|| unknown(&server_id)));
                }
                Err(error) => command.invalid(error),
            },
            "control_mcp_server" => match command.parse::<ControlServer>() {
                Ok(order) => self.control(command, &order, fleet),
                Err(error) => command.invalid(error),
            },
            _ => command.unknown(),
        }
    }

    fn control(&mut self, command: Command, wanted: &ControlServer, fleet: &Fleet) {
        let Some(server) = fleet.server(&wanted.server_id) else { return command.fail(unknown(&wanted.server_id)) };
        let hand = match &server.runner {
            Some(hand) if server.owns_process() => hand,
            _ => return command.fail(not_ours(server)),
        };
        let graceful = wanted.graceful;
        let order = match wanted.action {
            Action::Start => Order::Start,
            Action::Stop => Order::Stop { graceful },
            Action::Restart => Order::Restart { graceful },
        };
        let done = match wanted.action {
            Action::Start => hand.running,
            Action::Stop => !hand.running,
            Action::Restart => false,
        };
        // One that is waiting to be started again must be told as well that it shall not be.
        let nothing_to_do = done && wanted.action == Action::Start;
        if !(nothing_to_do || hand.order(order)) {
            let failure = Failure::new("RATE_LIMIT_EXCEEDED", "too many orders for this server wait");
            return command.fail(failure);
        }
        if done {
            return command.complete(result(server));
        }
        command.accept();
        self.waiting.push(Waiting { command, server: server.id.clone(), action: wanted.action });
    }

    /// What a report means for those who wait; to be asked before the fleet takes it.
    pub(crate) fn outcome(report: &Report) -> Option<(String, Result<Action, String>)> {
        let outcome = match &report.seen {
            Seen::Ready(_) | Seen::Locked => Ok(Action::Start),
            Seen::Ended(ended) if ended.way == Way::Asked => Ok(Action::Stop),
            Seen::Ended(ended) => Err(ended.reason.clone()),
            _ => return None,
        };
        Some((report.server.clone(), outcome))
    }

    /// Answers those who wait for that.
    pub(crate) fn settle(&mut self, id: &str, outcome: &Result<Action, String>, fleet: &Fleet) {
        for waiting in std::mem::take(&mut self.waiting) {
            if waiting.server != id {
                self.waiting.push(waiting);
                continue;
            }
            let state = fleet.server(id).map(result);
            match (waiting.action, outcome) {
                (Action::Stop, Ok(Action::Stop) | Err(_)) | (Action::Start | Action::Restart, Ok(Action::Start)) => {
                    waiting.command.complete(state.unwrap_or(Value::Null));
                }
                (Action::Start | Action::Restart, Err(reason)) => {
                    let failure = Failure::new("MCP_SERVER_ERROR", format!("it was started, and ended: {reason}"));
                    waiting.command.fail(failure.details(json!({ "server_id": id })));
                }
                // Somebody else has ended what was being started.
                (Action::Start, Ok(_)) => {
                    waiting.command.fail(Failure::new("MCP_SERVER_ERROR", "somebody else stopped it meanwhile"));
                }
                (Action::Restart | Action::Stop, Ok(_)) => self.waiting.push(waiting),
            }
        }
    }

    /// Answers those whose server is not there any more.
    pub(crate) fn tidy(&mut self, fleet: &Fleet) {
        for waiting in std::mem::take(&mut self.waiting) {
            if fleet.server(&waiting.server).is_some_and(|server| server.runner.is_some()) {
                self.waiting.push(waiting);
            } else {
                waiting.command.fail(Failure::new("RESOURCE_NOT_FOUND", "the server is not ours any more"));
            }
        }
    }
}

fn result(server: &Server) -> Value {
    let mut result = json!({
        "mcp_server_id": server.id,
        "mcp_server_name": server.name,
        "server_status": server.machine.status().name(),
    });
    if let Some(pid) = server.pid() {
        result["pid"] = pid.into();
    }
    result
}

fn unknown(id: &str) -> Failure {
    Failure::new("RESOURCE_NOT_FOUND", format!("no MCP server has the id `{id}`, and not exactly one has that name"))
        .suggest("list_mcp_servers tells which there are")
}

/// Why a server is not started or ended by us, and what could be done about it.
fn not_ours(server: &Server) -> Failure {
    let details = json!({ "server_id": server.id, "owned": false, "transport": server.transport() });
    if let Some(reason) = &server.hindered {
        let suggestion = match &server.from {
            From::File(_) => "see to that where the daemon is started, or in the file of its client",
            _ => "see to that where the daemon is started, or under [source.mcp.servers]",
        };
        return Failure::new("MCP_SERVER_ERROR", format!("{} cannot be started: {reason}", server.name))
            .details(details)
            .suggest(suggestion);
    }
    let (why, suggestion) = match (&server.launch, &server.from, server.spawn_line()) {
        (Some(Launch::Http(_)), ..) => {
            ("it is reached at a URL: whoever runs it starts and ends it", "ask there".to_owned())
        }
        (_, From::File(_), _) if server.disabled => {
            ("its client's file has it switched off", "switch it on in that file".to_owned())
        }
        (_, From::File(_), Some(line)) => (
            "its client starts and ends it; it was not allowed to start it here",
            format!("to have one of its own run here, allow it under [source.mcp.spawn]: {line}"),
        ),
        _ => (
            "whoever runs it starts and ends it; no settings name it here",
            "to have it run here, name it under [source.mcp.servers]".to_owned(),
        ),
    };
    Failure::new("MCP_SERVER_ERROR", format!("{} is not ours: {why}", server.name)).details(details).suggest(suggestion)
}
