//! Who called the hook: its ancestors, its pane, its directory, its machine. With these a report is joined with the
//! process and the pane that it came from. What cannot be read is absent.

use serde::Serialize;
use std::{
    env,
    fs::{self, File},
    io::Read,
    os::unix::process::parent_id,
};

/// The most ancestors told. An agent is one or two above its hook; more of them would only tell of terminals and logins.
const ANCESTORS: usize = 8;

/// A program that runs the sessions of several terminals in one process of its own, by its name and the argument that makes
/// it so: Codex does it since 0.169. Whoever was first has started it and stands above it, and its environment is that of
/// the first; of the others it says nothing.
const SHARED: (&str, &str) = ("codex", "app-server");

/// The caller of this process.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Caller {
    /// The nearest first.
    processes: Vec<Process>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tmux: Option<Tmux>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cwd: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<String>,
}

/// A process, told apart from later ones with its number by the time it started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Process {
    pid: u32,
    /// Clock ticks since boot.
    started: u64,
    name: String,
}

/// Where in tmux it runs, in the words of tmux's own variables.
#[derive(Clone, Debug, Serialize)]
struct Tmux {
    #[serde(skip_serializing_if = "Option::is_none")]
    pane: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<String>,
}

impl Caller {
    /// Looks at this process's surroundings.
    pub(super) fn look() -> Self {
        let variable = |name| env::var(name).ok().filter(|value: &String| !value.is_empty());
        let (pane, server) = (variable("TMUX_PANE"), variable("TMUX"));
        let (processes, shared) = ancestors(parent_id(), is_shared);
        Self {
            processes,
            tmux: (!shared && (pane.is_some() || server.is_some())).then_some(Tmux { pane, server }),
            cwd: env::current_dir().ok().map(|path| path.to_string_lossy().into_owned()),
            host: fs::read_to_string("/proc/sys/kernel/hostname").ok().map(|name| name.trim().to_owned()),
        }
    }
}

/// A process and those above it, as far as they can be seen, and up to one that several terminals share; whether there is
/// such a one.
fn ancestors(first: u32, is_shared: impl Fn(&Process) -> bool) -> (Vec<Process>, bool) {
    let mut found = Vec::new();
    let mut next = first;
    while next != 0
        && found.len() < ANCESTORS
        && let Some((mut process, parent)) = process(next)
    {
        let shared = is_shared(&process);
        if shared {
            process.name = format!("{} {}", SHARED.0, SHARED.1);
        }
        found.push(process);
        if shared {
            return (found, true);
        }
        next = parent;
    }
    (found, false)
}

fn is_shared(process: &Process) -> bool {
    process.name == SHARED.0
        && fs::read(format!("/proc/{}/cmdline", process.pid))
            .is_ok_and(|line| line.split(|&byte| byte == 0).nth(1) == Some(SHARED.1.as_bytes()))
}

/// When a process started, in clock ticks since boot: no later one with its number has started then.
pub(crate) fn started(pid: u32) -> Option<u64> {
    Some(process(pid)?.0.started)
}

/// A process and its parent's number.
fn process(pid: u32) -> Option<(Process, u32)> {
    let mut stat = [0; 1024];
    // Such a file comes in one piece; asking for its size and its end would be most of the work.
    let length = File::open(format!("/proc/{pid}/stat")).ok()?.read(&mut stat).ok()?;
    parse(pid, &stat[..length])
}

/// Reads a line of proc(5)'s `stat`. The name may hold any byte, spaces and brackets included: it ends at the last one.
fn parse(pid: u32, stat: &[u8]) -> Option<(Process, u32)> {
    let open = stat.iter().position(|&byte| byte == b'(')?;
    let close = stat.iter().rposition(|&byte| byte == b')')?;
    let name = String::from_utf8_lossy(stat.get(open + 1..close)?).into_owned();
    let rest = std::str::from_utf8(stat.get(close + 1..)?).ok()?;
    // The first of these is field 3; the parent is field 4 and the start field 22.
    let mut fields = rest.split_ascii_whitespace();
    let parent = fields.nth(1)?.parse().ok()?;
    let started = fields.nth(17)?.parse().ok()?;
    Some((Process { pid, started, name }, parent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_hides_nothing() {
        let stat = b"7 (a) S 9 (b) S 4 7 7 0 -1 4194560 1 0 0 0 1 2 0 0 20 0 1 0 4242 1000 1 18446744073709551615";
        let (process, parent) = parse(7, stat).unwrap();
        assert_eq!((process.name.as_str(), process.started, parent), ("a) S 9 (b", 4242, 4));
        assert!(parse(7, b"7 (a").is_none() && parse(7, b"7 (a) S 1").is_none());
    }

    #[test]
    fn ancestors_are_the_real_ones() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let (found, shared) = ancestors(child.id(), is_shared);
        let ours = std::process::id();
        let (below, cut) = ancestors(child.id(), |process| process.pid == ours);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!((found[0].pid, found[1].pid), (child.id(), std::process::id()));
        // Between fork and exec it is still called by our name.
        assert!(found[0].started >= found[1].started && found[1].started > 0, "{found:?}");
        assert!(found.len() <= ANCESTORS && !shared);
        assert!(cut && below.len() == 2 && below[1].name == "codex app-server", "nothing above it: {below:?}");
    }
}
