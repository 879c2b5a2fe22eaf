//! What makes an agent that emitters tell of and a pane of tmux one: the pane's name in the agent's environment, or the
//! pane's process above the agent. And which of the processes above a hook is the agent.

use crate::{
    registry::{Pane, Process},
    signal::{Ancestor, TmuxPlace},
};
use std::collections::BTreeMap;

/// The most panes that are known at a time; the ones seen longest ago make room.
const PANES: usize = 4_096;

/// What stands between an agent and its hook: shells and the programs that start others. None of them is an agent.
const RUNNERS: [&str; 22] = [
    "sh",
    "bash",
    "dash",
    "ash",
    "zsh",
    "fish",
    "ksh",
    "busybox",
    "env",
    "timeout",
    "nice",
    "nohup",
    "setsid",
    "stdbuf",
    "xargs",
    "sudo",
    "make",
    "headwater",
    "curl",
    "wget",
    "jq",
    "nc",
];

/// What stands above an agent. Their end is not the agent's. The last one is a server that the terminals of Codex share: so
/// `headwater hook run` calls it.
const HOSTS: [&str; 10] = [
    "tmux",
    "screen",
    "systemd",
    "init",
    "sshd",
    "login",
    "containerd-shim",
    "docker-init",
    "tini",
    "codex app-server",
];

/// The agent's own process among those above its hook, nearest first: the nearest that is called like its program, else
/// the nearest that is none of those that merely start others.
pub(crate) fn agent_process(above: &[Ancestor], program: &str) -> Option<Process> {
    let is_host = |name: &str| HOSTS.iter().any(|host| name == *host || name.starts_with(&format!("{host}:")));
    let below_host: Vec<&Ancestor> = above.iter().take_while(|process| !is_host(&process.name)).collect();
    // `.opencode`, `codex-x86_64-un`: the kernel keeps 15 bytes, and packages decorate.
    let called = |process: &&&Ancestor| !program.is_empty() && process.name.contains(program);
    let other = |process: &&&Ancestor| !RUNNERS.contains(&process.name.trim_start_matches('-'));
    let found = below_host.iter().find(called).or_else(|| below_host.iter().find(other))?;
    Some(Process { pid: found.pid, started: found.started })
}

/// The pane that an agent's environment names.
pub(crate) fn named_pane(place: &TmuxPlace) -> Pane {
    Pane {
        id: place.pane.clone(),
        server_pid: place.server_pid,
        socket: place.socket.clone(),
        session: None,
        window: None,
    }
}

/// The panes that the tmux source has told of.
#[derive(Debug, Default)]
pub(crate) struct Panes {
    /// By server and id.
    all: BTreeMap<(u32, String), Seen>,
    count: u64,
}

#[derive(Debug)]
struct Seen {
    pane: Pane,
    /// The process that tmux started in it.
    pid: Option<u32>,
    /// Which sight of all it was.
    turn: u64,
}

impl Panes {
    /// A pane was told of; what this event does not say of it stays.
    pub(crate) fn see(&mut self, pane: &Pane, pid: Option<u32>) {
        let Some(server) = pane.server_pid else { return };
        self.count += 1;
        let seen = self.all.entry((server, pane.id.clone()));
        let seen = seen.or_insert_with(|| Seen { pane: pane.clone(), pid: None, turn: 0 });
        seen.turn = self.count;
        seen.pid = pid.or(seen.pid);
        seen.pane.socket = pane.socket.clone().or_else(|| seen.pane.socket.take());
        seen.pane.session = pane.session.clone().or_else(|| seen.pane.session.take());
        seen.pane.window = pane.window.or(seen.pane.window);
        if self.all.len() > PANES
            && let Some(oldest) = self.all.iter().min_by_key(|(_, seen)| seen.turn).map(|(key, _)| key.clone())
        {
            self.all.remove(&oldest);
        }
    }

    /// A pane has gone.
    pub(crate) fn forget(&mut self, pane: &Pane) {
        self.all.retain(|_, seen| !seen.pane.is(pane));
    }

    /// All that is known of this pane.
    pub(crate) fn whole(&self, pane: &Pane) -> Option<&Pane> {
        self.all.values().find(|seen| seen.pane.is(pane)).map(|seen| &seen.pane)
    }

    /// The pane whose process is the nearest of these.
    pub(crate) fn above(&self, pids: &[u32]) -> Option<&Pane> {
        let at = |pid: &u32| self.all.values().find(|seen| seen.pid == Some(*pid)).map(|seen| &seen.pane);
        pids.iter().find_map(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn above(names: &[&str]) -> Vec<Ancestor> {
        let process = |(pid, name): (usize, &&str)| Ancestor { pid: pid as u32, started: 7, name: (*name).into() };
        names.iter().enumerate().map(process).collect()
    }

    fn found(names: &[&str], program: &str) -> Option<u32> {
        agent_process(&above(names), program).map(|process| process.pid)
    }

    #[test]
    fn the_agent_is_the_nearest_that_is_called_so_else_the_nearest_that_is_no_shell() {
        assert_eq!(found(&["sh", "claude", "zsh", "tmux: server"], "claude"), Some(1));
        assert_eq!(found(&["node", "codex-x86_64-un", "node", "bash"], "codex"), Some(1));
        assert_eq!(found(&["sh", "node", "-zsh", "tmux: server"], "claude"), Some(1));
        assert_eq!(found(&["sh", "bash", "tmux: server", "claude"], "claude"), None, "nothing above tmux is in a pane");
        assert_eq!(found(&["sh", "codex app-server", "codex"], "codex"), None, "it has others too");
        assert_eq!(found(&[], "claude"), None);
    }

    #[test]
    fn a_pane_is_found_by_its_process_and_keeps_what_an_event_does_not_say() {
        let pane = |window, session: Option<&str>| Pane {
            id: "%3".into(),
            server_pid: Some(9),
            socket: None,
            session: session.map(Into::into),
            window,
        };
        let mut panes = Panes::default();
        panes.see(&pane(None, Some("work")), Some(40));
        panes.see(&pane(Some(2), None), None);
        assert_eq!(panes.above(&[50, 40, 1]), Some(&pane(Some(2), Some("work"))));
        panes.forget(&Pane { server_pid: Some(8), ..pane(None, None) });
        assert!(panes.whole(&pane(None, None)).is_some(), "a pane of another server has gone");
        panes.forget(&pane(None, None));
        assert_eq!(panes.above(&[40]), None);
    }

    #[test]
    fn panes_are_bounded() {
        let mut panes = Panes::default();
        for server in 0..=PANES as u32 {
            panes.see(&Pane { id: "%0".into(), server_pid: Some(server), ..Pane::default() }, None);
        }
        assert_eq!(panes.all.len(), PANES);
        assert!(panes.whole(&Pane { id: "%0".into(), server_pid: Some(0), ..Pane::default() }).is_none());
    }
}
