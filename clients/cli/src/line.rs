//! An event as one line for people: `10:02:11 agent.status  api-refactor  busy → waiting  needs permission: Bash`.
//!
//! Any payload is shown: what changed comes first, then what is said in words, then the other values as `name=value`,
//! until the line is full.

use crate::{
    Style, Terminal,
    clock::Clock,
    node::Node,
    text::{cut, visible, width},
};
use headwater_client::Event;
use headwater_event::Severity;
use jiff::Timestamp;

/// How much of a line the channel, the type and the subject may take, in hundredths. Columns grow with what is seen, and
/// the payload, which is what people look for, keeps the rest.
const CHANNEL_SHARE: usize = 17;
const KIND_SHARE: usize = 34;
const SUBJECT_SHARE: usize = 22;
/// A list of more than so many values is shown by its length.
const LISTED: usize = 3;
/// Fields that are sentences, shown without their name.
const SENTENCES: [&str; 7] = ["message", "description", "summary", "reason", "text", "title", "detail"];
/// Fields of which the second replaces the first.
const TRANSITIONS: [(&str, &str); 4] = [("from", "to"), ("old", "new"), ("previous", "current"), ("before", "after")];

/// Writes events as lines; columns stay where they are from line to line.
pub(crate) struct Lines {
    terminal: Terminal,
    clock: Clock,
    /// Whether the channel is shown: with one channel it says nothing new.
    channels: bool,
    channel_width: usize,
    kind_width: usize,
    subject_width: usize,
}

impl Lines {
    pub(crate) fn new(terminal: Terminal, clock: Clock, channels: bool) -> Self {
        Self { terminal, clock, channels, channel_width: 0, kind_width: 0, subject_width: 0 }
    }

    /// The line of an event.
    pub(crate) fn event(&mut self, event: &Event, now: Timestamp) -> String {
        let Ok(fields) = event.fields() else {
            return visible(event.line()).into_owned();
        };
        let style = self.terminal.style;
        let severity = fields.severity.as_deref().and_then(|word| word.parse().ok()).unwrap_or(Severity::Info);
        let time = self.clock.show(&fields.timestamp, now);
        let mut room = self.terminal.width.saturating_sub(width(&time));
        let mut line = style.dim(&time);
        let mut column = |text: &str, seen: &mut usize, widest: usize, paint: &dyn Fn(&str) -> String| {
            let text = visible(text);
            *seen = (*seen).max(width(&text).min(widest));
            let text = cut(&text, widest.min(room.saturating_sub(1)));
            let space = seen.saturating_sub(width(&text));
            line.push(' ');
            line.push_str(&paint(&text));
            line.push_str(&" ".repeat(space + 1));
            room = room.saturating_sub(width(&text) + space + 2);
        };
        let share = |hundredths: usize| self.terminal.width * hundredths / 100;
        let kind_share = if self.channels { KIND_SHARE - CHANNEL_SHARE / 2 } else { KIND_SHARE };
        if self.channels {
            column(&fields.channel, &mut self.channel_width, share(CHANNEL_SHARE), &|text| style.dim(text));
        }
        column(&fields.kind, &mut self.kind_width, share(kind_share), &|text| style.severity(severity, text));
        let values: Vec<&str> = fields.attributes.iter().map(|(_, value)| value.as_str()).collect();
        let subject = if values.is_empty() { fields.source.to_string() } else { values.join(" ") };
        column(&subject, &mut self.subject_width, share(SUBJECT_SHARE), &|text| style.bold(text));

        let node = fields.data.and_then(|data| serde_json::from_str::<Node>(data.get()).ok());
        let mut words = node.map(|node| summary(&node, &values)).unwrap_or_default();
        if severity >= Severity::Warning {
            words = format!("{} {words}", severity.as_str().to_uppercase());
        }
        line.push(' ');
        line.push_str(&painted(&cut(&visible(&words), room.saturating_sub(1)), severity, style));
        line.truncate(line.trim_end().len());
        line
    }
}

fn painted(words: &str, severity: Severity, style: Style) -> String {
    if severity >= Severity::Warning { style.severity(severity, words) } else { words.to_owned() }
}

/// A payload in short. What stands in the subject already is left out.
fn summary(node: &Node, subject: &[&str]) -> String {
    let mut parts = Parts::default();
    match node {
        Node::Object(entries) => parts.object(entries),
        other => parts.values.push(short(other)),
    }
    parts.values.retain(|value| !subject.iter().any(|known| value.split_once('=').is_some_and(|(_, v)| v == *known)));
    let mut groups = parts.changes;
    groups.extend(parts.sentences);
    if !parts.values.is_empty() {
        groups.push(parts.values.join(" "));
    }
    groups.join("  ")
}

#[derive(Default)]
struct Parts {
    changes: Vec<String>,
    sentences: Vec<String>,
    values: Vec<String>,
}

impl Parts {
    fn object(&mut self, entries: &[(String, Node)]) {
        let mut used: Vec<&str> = Vec::new();
        for (name, value) in entries {
            if let Some((old, new, other)) = transition(name, value, entries) {
                self.changes.push(format!("{old} → {new}"));
                used.extend([name.as_str(), other]);
            }
        }
        for (name, value) in entries {
            if used.contains(&name.as_str()) {
                continue;
            }
            match value {
                Node::Text(text) if SENTENCES.contains(&name.as_str()) => self.sentences.push(text.clone()),
                Node::Object(inner) => self.object(inner),
                other => self.values.push(format!("{name}={}", short(other))),
            }
        }
    }
}

/// When `name` is the old half of a change: both values, and the name of the new half.
fn transition<'a>(name: &str, value: &'a Node, entries: &'a [(String, Node)]) -> Option<(&'a str, &'a str, &'a str)> {
    let old = value.scalar()?;
    TRANSITIONS.iter().find_map(|(before, after)| {
        // `from` and `to`, `previous_state` and `current_state`, `old_status` and `status`.
        let rest = name.strip_prefix(before)?;
        if !rest.is_empty() && !rest.starts_with('_') {
            return None;
        }
        let is_new = |other: &str| other == format!("{after}{rest}") || (!rest.is_empty() && other == &rest[1..]);
        let (other, new) = entries.iter().find(|(other, _)| is_new(other))?;
        Some((old, new.scalar()?, other.as_str()))
    })
}

fn short(node: &Node) -> String {
    match node {
        Node::Plain(text) | Node::Text(text) => text.clone(),
        Node::List(list) if list.len() <= LISTED && list.iter().all(|node| node.scalar().is_some()) => {
            list.iter().filter_map(Node::scalar).collect::<Vec<_>>().join(",")
        }
        Node::List(list) => format!("[{}]", list.len()),
        Node::Object(entries) => format!("{{{}}}", entries.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn terminal(width: usize, colored: bool) -> Terminal {
        Terminal { human: true, shown: true, width, style: Style { colored } }
    }

    fn event(kind: &str, extra: &str, data: &str) -> Event {
        let line = format!(
            r#"{{"type":"{kind}","channel":"tmux","timestamp":"2026-11-20T10:02:11Z","message_id":"m","epoch":"00000000000000ab","offset":7,"source":"tmux"{extra},"data":{data}}}"#
        );
        Event::from_line(&line).unwrap()
    }

    fn lines(width: usize, events: &[Event]) -> String {
        let mut lines = Lines::new(terminal(width, false), Clock::utc(), false);
        let now = "2026-11-20T12:00:00Z".parse().unwrap();
        events.iter().map(|event| lines.event(event, now) + "\n").collect()
    }

    #[test]
    fn events_read_like_sentences() {
        let shown = lines(
            80,
            &[
                event(
                    "agent.status",
                    r#","attributes":{"session":"api-refactor"}"#,
                    r#"{"session":"api-refactor","from":"busy","to":"waiting","reason":"needs permission: Bash"}"#,
                ),
                event(
                    "mcp_server_status_change",
                    "",
                    r#"{"server_id":"s1","status_change":{"from":"starting","to":"running"},"details":{"health_score":0.98}}"#,
                ),
                event("session.created", r#","severity":"error""#, r#"{"message":"no space left","free":0}"#),
                event("state", "", r#"{"old_status":"a","new_status":"b","previous_mode":"x","mode":"y"}"#),
                event("list", "", r#"{"panes":[1,2,3],"many":[1,2,3,4],"deep":[{"a":1}]}"#),
                event("scalar", "", "42"),
                event("nothing", "", "null"),
            ],
        );
        expect![[r"
            10:02:11 agent.status  api-refactor  busy → waiting  needs permission: Bash
            10:02:11 mcp_server_status_change  tmux          starting → running  server_id=…
            10:02:11 session.created           tmux          ERROR no space left  free=0
            10:02:11 state                     tmux          a → b  x → y
            10:02:11 list                      tmux          panes=1,2,3 many=[4] deep=[1]
            10:02:11 scalar                    tmux          42
            10:02:11 nothing                   tmux
        "]]
        .assert_eq(&shown);
    }

    #[test]
    fn hostile_text_stays_text_and_lines_stay_lines() {
        let hostile = event(
            r"pane.\u001b[2J",
            r#","attributes":{"pane":"%1\r\n10:02:11 fake"}"#,
            r#"{"text":"\u001b]52;c;aGk=\u0007 \u202efdp.exe"}"#,
        );
        let shown = lines(80, &[hostile]);
        expect![[r"
            10:02:11 pane.␛[2J  %1␍␊10:02:11 fake  ␛]52;c;aGk=␇ <202e>fdp.exe
        "]]
        .assert_eq(&shown);
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let data = format!(r#"{{"message":"{}"}}"#, "日本語 long ".repeat(50));
        let long = event(&"k".repeat(100), &format!(r#","attributes":{{"a":"{}"}}"#, "v".repeat(100)), &data);
        for most in [20, 40, 80, 200] {
            for line in lines(most, std::slice::from_ref(&long)).lines() {
                assert!(width(line) <= most, "{most}: {} {line}", width(line));
            }
        }
    }

    #[test]
    fn colours_say_the_severity() {
        let now = "2026-11-20T12:00:00Z".parse().unwrap();
        let mut lines = Lines::new(terminal(80, true), Clock::utc(), true);
        let line = lines.event(&event("t", r#","severity":"warning""#, r#"{"a":1}"#), now);
        expect![[r#""\u{1b}[2m10:02:11\u{1b}[0m \u{1b}[2mtmux\u{1b}[0m  \u{1b}[33mt\u{1b}[0m  \u{1b}[1mtmux\u{1b}[0m  \u{1b}[33mWARNING a=1\u{1b}[0m""#]]
            .assert_eq(&format!("{line:?}"));
    }
}
