//! `send_keys`: typing into a pane, where the settings allow it.
//!
//! Text goes as the hexadecimal values of its bytes and keys by names of a fixed form, so that nothing in them means anything
//! to tmux. The server checks that it is the one that was meant, and that the pane's program would get it, in the same step.
//! What is typed by one command after the other arrives in that order.

use super::{Refusal, target};
use crate::{tree::id::PaneId, watching::Watching};
use headwater_plugin::prelude::*;
use std::fmt::Write as _;

/// Bytes of text at once. tmux takes 16 KiB of arguments, and each byte is three.
const CHUNK: usize = 4000;

/// Bytes of text in a command.
const MOST_TEXT: usize = 16 * 1024;

/// Keys in a command.
const MOST_KEYS: usize = 100;

/// Keys with names.
const NAMED: [&str; 16] = [
    "Enter", "Escape", "Tab", "BTab", "BSpace", "Space", "Up", "Down", "Left", "Right", "Home", "End", "PPage",
    "NPage", "IC", "DC",
];

/// What to type, and where. First the text, then the keys, then Enter.
#[config]
pub(crate) struct SendKeys {
    /// The pane's id, as `%3`, or with its server as `4711:%3`.
    pane: String,
    /// Characters as they are; control characters are refused.
    text: Option<String>,
    /// Names of keys: `Enter`, `Escape`, `Up`, `F5`, `C-c`, `M-x`.
    keys: Option<Vec<String>>,
    /// Whether Enter is pressed at the end.
    #[default = false]
    enter: bool,
}

/// Answers from a thread.
pub(super) fn answer(watching: &mut Watching<'_>, command: Command) {
    if !watching.config().allow_send_keys {
        let failure = Failure::new("PERMISSION_DENIED", "typing into panes is not allowed by the settings");
        return command.fail(failure.suggest("set allow_send_keys = true in the source's table"));
    }
    let wanted: SendKeys = match command.parse() {
        Ok(wanted) => wanted,
        Err(error) => return command.invalid(error),
    };
    let typed = target::pane(watching, &wanted.pane).and_then(|pane| Ok((pane, wanted.commands(pane)?)));
    let (pane, commands) = match typed {
        Ok(typed) => typed,
        Err(Refusal(failure)) => return command.fail(failure),
    };
    let server = watching.server.pid;
    watching.in_turn(command, move |program| {
        for keys in &commands {
            program.type_into(server, pane, keys)?;
        }
        Ok(json!({ "sent": true }))
    });
}

impl SendKeys {
    /// The tmux commands. Nothing in them but hexadecimal numbers, names of [`NAMED`]'s form and the id.
    fn commands(&self, pane: PaneId) -> Result<Vec<String>, Refusal> {
        let invalid = |message: &str| Err(Refusal::new("VALIDATION_ERROR", message));
        let text = self.text.as_deref().unwrap_or_default();
        let mut keys = self.keys.clone().unwrap_or_default();
        if self.enter {
            keys.push("Enter".into());
        }
        if text.len() > MOST_TEXT || keys.len() > MOST_KEYS {
            return invalid("that is too much at once: 16 KiB of text and 100 keys");
        }
        if text.chars().any(char::is_control) {
            return invalid("control characters are no text; name their keys");
        }
        if let Some(key) = keys.iter().find(|key| !is_key(key)) {
            return invalid(&format!("`{key}` is no name of a key"));
        }
        if text.is_empty() && keys.is_empty() {
            return invalid("there is nothing to type");
        }
        let mut commands: Vec<String> = text
            .as_bytes()
            .chunks(CHUNK)
            .map(|bytes| {
                let mut command = format!("send-keys -t {pane} -H");
                for byte in bytes {
                    let _ = write!(command, " {byte:02x}");
                }
                command
            })
            .collect();
        if !keys.is_empty() {
            commands.push(format!("send-keys -t {pane} {}", keys.join(" ")));
        }
        Ok(commands)
    }
}

/// Whether it is the name of a key: one of [`NAMED`], `F1` to `F12`, a letter or digit, each with `C-`, `M-` and `S-` in this order.
fn is_key(name: &str) -> bool {
    let mut key = name;
    for prefix in ["C-", "M-", "S-"] {
        key = key.strip_prefix(prefix).unwrap_or(key);
    }
    let function = key.strip_prefix('F').filter(|number| number.bytes().all(|byte| byte.is_ascii_digit()));
    let function = function.and_then(|number| number.parse::<u8>().ok());
    let single = key.len() == 1 && key.bytes().all(|byte| byte.is_ascii_alphanumeric());
    NAMED.contains(&key) || single || function.is_some_and(|number| (1..=12).contains(&number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::id::Id;

    fn commands(text: Option<&str>, keys: &[&str], enter: bool) -> Result<Vec<String>, ()> {
        let keys = (!keys.is_empty()).then(|| keys.iter().map(|key| (*key).to_owned()).collect());
        let wanted = SendKeys { pane: "%3".into(), text: text.map(str::to_owned), keys, enter };
        wanted.commands(Id(3)).map_err(drop)
    }

    #[test]
    fn text_and_keys_go_in_a_form_that_means_nothing_to_tmux() {
        let expected = ["send-keys -t %3 -H 61 3b c3 a9".to_owned(), "send-keys -t %3 C-c F12 Enter".to_owned()];
        assert_eq!(commands(Some("a;é"), &["C-c", "F12"], true).unwrap(), expected);
        let long = commands(Some(&"x".repeat(CHUNK + 1)), &[], false).unwrap();
        assert_eq!((long.len(), long[1].as_str()), (2, "send-keys -t %3 -H 78"));
        for hostile in
            ["", "C-", ";", "Enter;", "#(touch x)", "-t", "F13", "F+1", "C-;", "é", "Enter Enter", "$1", "C-C-a"]
        {
            assert!(commands(None, &[hostile], false).is_err(), "{hostile}");
        }
        for hostile in ["a\n", "\u{1b}[A", "\u{9b}A", "\0"] {
            assert!(commands(Some(hostile), &[], false).is_err(), "{hostile:?}");
        }
        assert!(commands(None, &[], false).is_err() && commands(Some(&"x".repeat(MOST_TEXT + 1)), &[], false).is_err());
    }
}
