//! A look at all processes of this machine, for those that are servers somebody else runs.

use super::{Process, matching, proc};
use crate::discovery::Stdio;
use std::collections::HashMap;

/// What is looked for.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// Whose command line it is.
    pub(crate) server: String,
    /// The command line.
    pub(crate) launch: Stdio,
}

/// A process that is a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// The process.
    pub(crate) process: Process,
    /// Whoever started it is gone: nobody talks to it any more.
    pub(crate) orphan: bool,
}

/// Looks for servers among all processes but `ours` and those below them. Blocking: some microseconds a process.
pub(crate) fn sweep(wanted: &[Wanted], ours: &[Process]) -> HashMap<String, Vec<Found>> {
    let mut found: HashMap<String, Vec<Found>> = HashMap::new();
    if wanted.is_empty() {
        return found;
    }
    let ours: Vec<u32> = ours.iter().flat_map(|root| proc::tree(root.pid)).map(|(pid, _)| pid).collect();
    let mut hits: Vec<(u32, &str)> = Vec::new();
    for pid in proc::all().into_iter().filter(|pid| !ours.contains(pid)) {
        let Some(argv) = proc::argv(pid) else { continue };
        let is_it = |one: &&Wanted| matching::is_it(&one.launch.command, &one.launch.args, &argv);
        let alike: Vec<&Wanted> = wanted.iter().filter(is_it).collect();
        // Two projects may start the same: where it runs tells whose it is.
        let here = || std::fs::read_link(format!("/proc/{pid}/cwd")).ok();
        let whose = match alike.as_slice() {
            [] => continue,
            [one] => one,
            [first, ..] => match here() {
                Some(here) => alike.iter().find(|one| one.launch.cwd.as_ref() == Some(&here)).unwrap_or(first),
                None => first,
            },
        };
        hits.push((pid, &whose.server));
    }
    let matched: Vec<u32> = hits.iter().map(|(pid, _)| *pid).collect();
    for (pid, server) in hits {
        let Some(stat) = proc::stat(pid).filter(|stat| !stat.ended) else { continue };
        // A wrapper and what it wraps may look the same: the upper one stands for both.
        if matched.contains(&stat.parent) {
            continue;
        }
        let process = Process { pid, started: stat.started };
        found.entry(server.to_owned()).or_default().push(Found { process, orphan: is_init(stat.parent) });
    }
    found
}

/// Whether a process is the one that takes in those whose parent is gone.
fn is_init(pid: u32) -> bool {
    pid == 1 || std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim_end() == "systemd")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// Harm prevented: of two projects with the same server, the first was told to run both.
    #[test]
    fn of_servers_that_are_started_alike_the_one_is_found_that_runs_there() {
        let rooms = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let rooms = rooms.each_ref().map(|room| room.path().canonicalize().unwrap());
        let wanted = [("one", &rooms[0]), ("two", &rooms[1])].map(|(server, room)| Wanted {
            server: server.to_owned(),
            launch: Stdio {
                command: "sleep".to_owned(),
                args: vec!["61234569".to_owned()],
                cwd: Some(room.clone()),
                ..Stdio::default()
            },
        });
        let mut child = Command::new("sleep").arg("61234569").current_dir(&rooms[1]).spawn().unwrap();
        while proc::argv(child.id()).is_none_or(|argv| argv.len() < 2) {
            std::thread::yield_now();
        }
        let found = sweep(&wanted, &[]);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(found.keys().collect::<Vec<_>>(), ["two"]);
    }

    #[test]
    fn running_servers_are_found_and_our_own_are_not() {
        let wanted = |args: &str| Wanted {
            server: "naps".to_owned(),
            launch: Stdio { command: "sleep".to_owned(), args: vec![args.to_owned()], ..Stdio::default() },
        };
        let mut children: Vec<_> = (0..2).map(|_| Command::new("sleep").arg("61234567").spawn().unwrap()).collect();
        let processes: Vec<Process> = children.iter().map(|child| proc::process(child.id()).unwrap()).collect();
        // A process has no command line yet while it becomes another program.
        while processes.iter().any(|process| proc::argv(process.pid).is_none_or(|argv| argv.len() < 2)) {
            std::thread::yield_now();
        }
        let both = sweep(&[wanted("61234567")], &[]);
        let one = sweep(&[wanted("61234567")], &processes[..1]);
        let none = sweep(&[wanted("61234568")], &[]);
        for child in &mut children {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        let found = |found: &HashMap<String, Vec<Found>>| {
            let mut all: Vec<Process> = found.get("naps").into_iter().flatten().map(|it| it.process).collect();
            all.sort_unstable();
            all
        };
        let mut sorted = processes.clone();
        sorted.sort_unstable();
        assert_eq!(found(&both), sorted);
        assert_eq!(found(&one), processes[1..]);
        assert!(none.is_empty());
    }
}
