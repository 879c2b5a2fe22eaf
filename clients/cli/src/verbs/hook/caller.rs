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
        Self {
            processes: ancestors(parent_id()),
            tmux: (pane.is_some() || server.is_some()).then_some(Tmux { pane, server }),
            cwd: env::current_dir().ok().map(|path| path.to_string_lossy().into_owned()),
            host: fs::read_to_string("/proc/sys/kernel/hostname").ok().map(|name| name.trim().to_owned()),
        }
    }
}

/// A process and those above it, as far as they can be seen.
fn ancestors(first: u32) -> Vec<Process> {
    let mut found = Vec::new();
    let mut next = first;
    while next != 0
        && found.len() < ANCESTORS
        && let Some((process, parent)) = process(next)
    {
        found.push(process);
        next = parent;
    }
    found
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
        let found = ancestors(child.id());
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!((found[0].pid, found[1].pid), (child.id(), std::process::id()));
        // Between fork and exec it is still called by our name.
        assert!(found[0].started >= found[1].started && found[1].started > 0, "{found:?}");
        assert!(found.len() <= ANCESTORS);
    }
}
