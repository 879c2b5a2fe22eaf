//! The program that has a pane's terminal, read from `/proc`: the process group in the foreground, and which agent it is.

use super::rules::Rules;
use std::{
    collections::VecDeque,
    fs,
    time::{Duration, Instant},
};

/// Processes that are looked at below a pane. Beyond them, one is taken for no agent.
const MOST: usize = 256;

/// Programs whose option `-c` is a command.
const SHELLS: [&str; 7] = ["sh", "bash", "dash", "ash", "zsh", "ksh", "fish"];

/// Ticks of the kernel's clock in a second, as `/proc` has them: 100 on every Linux that there is.
const TICKS: u64 = 100;

/// A process in the foreground of a pane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its id: the agent's, otherwise the group's leader's.
    pub pid: u32,
    /// When it was started, in the kernel's ticks since the machine was. Together with the id it names the process for good.
    pub started: u64,
    /// How long ago that was when it was read, if that can be told.
    pub age: Option<Duration>,
    /// Its command line. It may hold secrets: not for events.
    pub argv: Vec<String>,
    /// The agent that it is, by the rules.
    pub agent: Option<String>,
}

/// What `/proc/PID/stat` says.
struct Stat {
    group: i64,
    terminal_group: i64,
    started: u64,
}

/// The process that has the terminal of a pane, by the pane's own process (`pane_pid` of tmux): the first of the
/// foreground's process group that is an agent, otherwise the group's leader. `None` when there is none any more.
///
/// Reads three small files when the leader is an agent, and the lists of children of the pane's shell when that is at its
/// prompt; otherwise a few for each process below the pane.
pub fn foreground(rules: &Rules, pane_pid: u32) -> Option<Process> {
    let group = stat(pane_pid)?.terminal_group;
    // -1: the pane has no terminal any more.
    let leader = u32::try_from(group).ok().filter(|group| *group > 0)?;
    let first = read(rules, leader);
    if first.as_ref().is_some_and(|process| process.agent.is_some()) {
        return first;
    }
    // The leader may be a script or `npx`, or may have ended before the rest of its pipe. A shell that runs the pane's own
    // command (`tmux new-window 'claude; date'`) has no job control: what it starts is in its own group.
    let own = leader == pane_pid;
    let mut some = first;
    let mut next = VecDeque::from([pane_pid]);
    let mut looked_at = 0;
    while let Some(pid) = next.pop_front() {
        looked_at += 1;
        if looked_at > MOST {
            break;
        }
        let inside = stat(pid).is_some_and(|stat| stat.group == group);
        if pid != leader && inside {
            match read(rules, pid) {
                Some(process) if process.agent.is_some() => return Some(process),
                process => some = some.or(process),
            }
        }
        // Jobs of a shell at its prompt are groups of their own, with all that is below them.
        if inside || !own {
            next.extend(children(pid));
        }
    }
    some
}

fn read(rules: &Rules, pid: u32) -> Option<Process> {
    let stat = stat(pid)?;
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    // A program that has given itself a title may have filled the rest with zeros.
    let end = line.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let argv: Vec<String> =
        line[..end].split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect();
    // A shell is asked for more than the agent: it is there before it and after it.
    let agent = rules.agent_of(&argv).filter(|_| !is_command(&argv)).map(str::to_owned);
    Some(Process { pid, started: stat.started, age: age(stat.started), argv, agent })
}

/// Whether this is a shell that was given a command: `sh -c "claude; date"`.
fn is_command(argv: &[String]) -> bool {
    let Some((program, arguments)) = argv.split_first() else { return false };
    let name = program.rsplit('/').next().unwrap_or_default().trim_start_matches('-');
    let mut options = arguments.iter().take_while(|argument| argument.starts_with('-'));
    SHELLS.contains(&name) && options.any(|option| !option.starts_with("--") && option.contains('c'))
}

fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read(format!("/proc/{pid}/stat")).ok()?;
    // The name is in brackets and may hold anything, brackets and line feeds too.
    let end = text.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(&text[end + 1..]).ok()?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    // Field 3, the state, is the first behind the name.
    let field = |number: usize| fields.get(number - 3);
    Some(Stat {
        group: field(5)?.parse().ok()?,
        terminal_group: field(8)?.parse().ok()?,
        started: field(22)?.parse().ok()?,
    })
}

fn children(pid: u32) -> Vec<u32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let of_thread = |entry: fs::DirEntry| fs::read_to_string(entry.path().join("children")).unwrap_or_default();
    let lists: Vec<String> = threads.flatten().take(MOST).map(of_thread).collect();
    lists.iter().flat_map(|list| list.split_ascii_whitespace()).filter_map(|pid| pid.parse().ok()).collect()
}

/// How long ago a tick was. In some containers the machine's uptime is the container's, and then nobody knows.
fn age(started: u64) -> Option<Duration> {
    let uptime = fs::read_to_string("/proc/uptime").ok()?;
    let seconds: f64 = uptime.split_ascii_whitespace().next()?.parse().ok()?;
    let started = Duration::from_millis(started.saturating_mul(1_000 / TICKS));
    Duration::try_from_secs_f64(seconds).ok()?.checked_sub(started)
}

impl Process {
    /// When it was started, by the clock of `now`.
    pub(super) fn started_at(&self, now: Instant) -> Option<Instant> {
        self.age.and_then(|age| now.checked_sub(age))
    }

    /// Whether both are the same process.
    pub fn is(&self, other: &Self) -> bool {
        (self.pid, self.started) == (other.pid, other.started)
    }
}
