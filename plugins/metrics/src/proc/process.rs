//! `/proc/PID`: one process, what it has used, and the processes that it has started.

use std::{
    fs::{self, File},
    io::Read as _,
    path::Path,
};

/// One look at a process. With its start the number names it for good: numbers are given away anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its number.
    pub pid: u32,
    /// When it started, in clock ticks since the machine did.
    pub started: u64,
    /// Who has started it, or taken it over.
    pub parent: u32,
    /// Ticks that it has used itself.
    pub own: u64,
    /// Ticks of the children that have ended and that it has waited for, with those of theirs.
    pub waited: u64,
    /// It has ended, and its parent has not waited for it yet: its ticks are not in the parent's account.
    pub ended: bool,
}

/// Looks at a process; `None` where it is not there.
pub fn look(proc: &Path, pid: u32, buffer: &mut Vec<u8>) -> Option<Seen> {
    read(&proc.join(format!("{pid}/stat")), buffer)?;
    let text = std::str::from_utf8(&buffer[buffer.iter().rposition(|byte| *byte == b')')? + 1..]).ok()?;
    parse(pid, text)
}

/// How many pages it has resident. `stat` has that too, but only roughly: each core keeps some pages back from the count,
/// which for a small process is all of them.
pub fn pages(proc: &Path, pid: u32, buffer: &mut Vec<u8>) -> Option<u64> {
    read(&proc.join(format!("{pid}/statm")), buffer)?;
    std::str::from_utf8(buffer).ok()?.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// Writes the processes that this one has started into `children`. A thread that has started one keeps it in a list of its
/// own. `false` where the kernel keeps no such lists.
pub fn children(proc: &Path, pid: u32, buffer: &mut Vec<u8>, children: &mut Vec<u32>) -> bool {
    let threads = proc.join(format!("{pid}/task"));
    let Ok(entries) = fs::read_dir(&threads) else { return true }; // it has ended
    for entry in entries.flatten() {
        if read(&entry.path().join("children"), buffer).is_none() {
            // A thread may have ended since; where all of them lack the list, there are no lists.
            if entry.path().join("stat").exists() && !entry.path().join("children").exists() {
                return false;
            }
            continue;
        }
        let text = std::str::from_utf8(buffer).unwrap_or_default();
        children.extend(text.split_ascii_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
    }
    true
}

fn read(path: &Path, buffer: &mut Vec<u8>) -> Option<()> {
    buffer.clear();
    File::open(path).ok()?.read_to_end(buffer).ok()?;
    Some(())
}

/// The fields behind the name, which may hold anything: `proc_pid_stat(5)`, from the third on.
fn parse(pid: u32, fields: &str) -> Option<Seen> {
    let mut fields = fields.split_ascii_whitespace();
    let state = fields.next()?;
    let mut number = |skip: usize| fields.nth(skip)?.parse::<u64>().ok();
    let parent = u32::try_from(number(0)?).ok()?;
    // utime is the 14th.
    let (user, system) = (number(9)?, number(0)?);
    let (waited_user, waited_system) = (number(0)?, number(0)?);
    let started = number(4)?;
    Some(Seen {
        pid,
        started,
        parent,
        own: user + system,
        waited: waited_user + waited_system,
        ended: matches!(state, "Z" | "X"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn the_fields_are_found_behind_any_name() {
        let text = " S 7 6 6 0 -1 4194304 1 2 3 4 250 50 13 14 20 0 1 0 424242 9000 12 18446744073709551615 1 1";
        let seen = Seen { pid: 9, started: 424_242, parent: 7, own: 300, waited: 27, ended: false };
        assert_eq!(parse(9, text), Some(seen));
        assert_eq!(parse(9, &text.replacen(" S ", " Z ", 1)), Some(Seen { ended: true, ..seen }));
        assert_eq!(parse(9, " S 7 6"), None);
    }

    #[test]
    fn this_process_is_seen_with_its_child() {
        let (proc, me, mut buffer) = (Path::new("/proc"), std::process::id(), Vec::new());
        let seen = look(proc, me, &mut buffer).unwrap();
        assert!(seen.started > 0 && pages(proc, me, &mut buffer) > Some(100), "{seen:?}");
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        let mut found = Vec::new();
        assert!(children(proc, me, &mut buffer, &mut found));
        assert!(found.contains(&child.id()), "started by a thread that is not the first");
        assert_eq!(look(proc, child.id(), &mut buffer).unwrap().parent, me);
        child.kill().unwrap();
        while !look(proc, child.id(), &mut buffer).unwrap().ended {
            std::thread::yield_now();
        }
        child.wait().unwrap();
        assert_eq!(look(proc, child.id(), &mut buffer), None);
        assert!(children(proc, child.id(), &mut buffer, &mut found), "that it has ended is no fault");
    }
}
