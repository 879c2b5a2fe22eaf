//! What `/proc` says of a process.

use super::Process;
use std::fs;

/// Processes below one that are looked at. Beyond them, a tree is not followed.
const MOST: usize = 512;

/// What `/proc/PID/stat` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) parent: u32,
    pub(crate) group: u32,
    /// CPU time so far, its own and in the kernel, in ticks.
    pub(crate) ticks: u64,
    /// When it started, in ticks.
    pub(crate) started: u64,
    /// Memory that it holds, in pages.
    pub(crate) pages: u64,
    /// It has ended, and its parent does not know yet.
    pub(crate) ended: bool,
}

/// What is known of a process; nothing where there is none.
pub(crate) fn stat(pid: u32) -> Option<Stat> {
    parse(&fs::read(format!("/proc/{pid}/stat")).ok()?)
}

fn parse(text: &[u8]) -> Option<Stat> {
    // The name is in brackets and may hold anything, brackets and line feeds too.
    let end = text.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(&text[end + 1..]).ok()?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    // Field 3, the state, is the first behind the name.
    let field = |number: usize| fields.get(number - 3);
    let ticks = |number: usize| field(number).and_then(|text| text.parse::<u64>().ok());
    Some(Stat {
        parent: field(4)?.parse().ok()?,
        group: field(5)?.parse().ok()?,
        ticks: ticks(14)?.saturating_add(ticks(15)?),
        started: ticks(22)?,
        pages: ticks(24)?,
        ended: matches!(*field(3)?, "Z" | "X"),
    })
}

/// How a process has ended whose parent does not know yet, as `wait` gives it: the last field.
pub(crate) fn exit_code(pid: u32) -> Option<i32> {
    let text = fs::read(format!("/proc/{pid}/stat")).ok()?;
    parse(&text).filter(|stat| stat.ended)?;
    std::str::from_utf8(&text).ok()?.split_ascii_whitespace().next_back()?.parse().ok()
}

/// The process of this id, if it runs.
pub(crate) fn process(pid: u32) -> Option<Process> {
    stat(pid).filter(|stat| !stat.ended).map(|stat| Process { pid, started: stat.started })
}

/// Whether this very process runs.
pub(crate) fn runs(it: Process) -> bool {
    process(it.pid) == Some(it)
}

/// The words of its command line. They may hold secrets: not for events.
pub(crate) fn argv(pid: u32) -> Option<Vec<String>> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    // A program that has given itself a title may have filled the rest with zeros.
    let end = line.iter().rposition(|byte| *byte != 0)? + 1;
    Some(line[..end].split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect())
}

/// A process and all below it, with what is known of each.
pub(crate) fn tree(root: u32) -> Vec<(u32, Stat)> {
    let mut found = Vec::new();
    let mut next = vec![root];
    while let Some(pid) = next.pop() {
        if found.len() >= MOST {
            break;
        }
        let Some(stat) = stat(pid) else { continue };
        found.push((pid, stat));
        next.extend(children(pid));
    }
    found
}

fn children(pid: u32) -> Vec<u32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let of_thread = |entry: fs::DirEntry| fs::read_to_string(entry.path().join("children")).unwrap_or_default();
    let lists: Vec<String> = threads.flatten().take(MOST).map(of_thread).collect();
    lists.iter().flat_map(|list| list.split_ascii_whitespace()).filter_map(|pid| pid.parse().ok()).collect()
}

/// All process ids of this machine.
pub(crate) fn all() -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_does_not_move_the_fields() {
        let line = b"7 (a) Z 1 (b) S 99 7 7 0 -1 4194560 1 2 3 4 50 60 0 0 20 0 1 0 777 1000 42 18446744073709551615";
        let stat = parse(line).unwrap();
        assert_eq!(
            (stat.parent, stat.group, stat.ticks, stat.started, stat.pages, stat.ended),
            (99, 7, 110, 777, 42, false)
        );
        assert!(parse(b"").is_none() && parse(b"7 (x").is_none());
    }

    #[test]
    fn we_find_ourselves() {
        let me = std::process::id();
        assert!(runs(process(me).unwrap()));
        assert!(!runs(Process { pid: me, started: 1 }));
        assert!(argv(me).is_some_and(|argv| !argv.is_empty()));
        assert!(all().contains(&me));
        let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        let below: Vec<u32> = tree(me).into_iter().map(|(pid, _)| pid).collect();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(below.contains(&me) && below.contains(&child.id()));
    }
}
