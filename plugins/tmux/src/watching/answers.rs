//! What the commands need: what is known, and threads to ask tmux in.

use super::{Done, Watching};
use crate::{
    Config, commands,
    ladder::Mode,
    server::ask::{AskError, Program},
    text::Redaction,
    tree::id::PaneId,
    watch::Explanation,
};
use headwater_plugin::{prelude::*, serde_json::Map};
use std::{
    sync::{Arc, mpsc},
    time::Instant,
};

impl Watching<'_> {
    /// Answers a command from a thread.
    pub(crate) fn in_thread(
        &mut self,
        command: Command,
        job: impl FnOnce(&Program) -> Result<Value, AskError> + Send + 'static,
    ) {
        let Some(command) = self.with_room(command) else { return };
        self.answering += 1;
        let program = self.program.clone();
        self.work.spawn_blocking(move || {
            match job(&program) {
                Ok(value) => command.complete(value),
                Err(error) => command.fail(commands::Refusal::from(error).0),
            }
            Done::Answered
        });
    }

    /// The same, after those that came here before are over.
    pub(crate) fn in_turn(
        &mut self,
        command: Command,
        job: impl FnOnce(&Program) -> Result<Value, AskError> + Send + 'static,
    ) {
        let Some(command) = self.with_room(command) else { return };
        let (over, next) = mpsc::channel();
        let before = self.last_turn.replace(next);
        self.in_thread(command, move |program| {
            let _over: mpsc::Sender<()> = over;
            // Nothing is sent: it closes with the job before.
            let _ = before.map(|before| before.recv());
            job(program)
        });
    }

    /// The command, unless too many are under way.
    fn with_room(&self, command: Command) -> Option<Command> {
        if self.answering < commands::AT_ONCE {
            return Some(command);
        }
        command.fail(Failure::new("SYSTEM_UNAVAILABLE", "too many commands are under way"));
        None
    }

    pub(crate) fn control_clients(&self) -> usize {
        self.clients.len()
    }

    pub(crate) fn missed_bytes(&self) -> u64 {
        self.missed_bytes
    }

    pub(crate) fn redaction(&self) -> Arc<Redaction> {
        self.panes.redaction()
    }

    /// What is told of a pane beside the tree.
    pub(crate) fn extra(&self, pane: PaneId) -> Map<String, Value> {
        self.extras.get(&pane).cloned().unwrap_or_default()
    }

    /// Why the agent in a pane is said to do what it does.
    pub(crate) fn explain(&self, pane: PaneId) -> Option<Explanation> {
        self.agents.explain(pane, Instant::now())
    }

    pub(crate) fn config(&self) -> &Config {
        self.config
    }

    pub(crate) fn mode(&self) -> Mode {
        self.ladder.mode()
    }
}
