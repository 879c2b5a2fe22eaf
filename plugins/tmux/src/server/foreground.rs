//! The command in the foreground of a pane, named as tmux names it in `pane_current_command`. tmux tells when it changes only
//! to those who ask; the kernel says it in two small files.

use std::fs;

/// The command in the foreground of the terminal of this process.
pub(crate) fn command(pane_pid: u32) -> Option<String> {
    let stat = fs::read(format!("/proc/{pane_pid}/stat")).ok()?;
    // The name in the parentheses may hold anything.
    let close = stat.iter().rposition(|byte| *byte == b')')?;
    let fields = std::str::from_utf8(&stat[close + 1..]).ok()?;
    // State, parent, group, session, terminal, and the group in its foreground.
    let group: u32 = fields.split_ascii_whitespace().nth(5)?.parse().ok()?;
    let line = fs::read(format!("/proc/{group}/cmdline")).ok()?;
    let first = line.split(|byte| *byte == 0).next()?;
    let name = named(&String::from_utf8_lossy(first));
    (!name.is_empty()).then_some(name)
}

/// As tmux shortens it: no quotes, no `exec`, no dash of a login shell, no arguments, no directories.
fn named(first: &str) -> String {
    let name = first.strip_prefix('"').unwrap_or(first).split('"').next().unwrap_or_default();
    let name = name.strip_prefix("exec ").unwrap_or(name).trim_start_matches([' ', '-']);
    let name = name.split(' ').next().unwrap_or_default();
    let name = if name.starts_with('/') { name.rsplit('/').next().unwrap_or(name) } else { name };
    name.chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_named_as_tmux_names_them() {
        for (first, name) in
            [("-bash", "bash"), ("/usr/bin/node", "node"), ("claude", "claude"), ("vi x", "vi"), ("", "")]
        {
            assert_eq!(named(first), name, "{first}");
        }
        assert_eq!(command(u32::MAX), None);
    }
}
