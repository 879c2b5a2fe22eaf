//! Hook entries in settings of the form that Claude Code and Codex share:
//! `{"hooks": {"Stop": [{"hooks": [{"type": "command", "command": "…"}]}]}}`.
//!
//! Works on texts: what is not ours keeps its place, its order and its layout. Reads and writes no file.

use super::{
    program::binary_of,
    spans::{Layout, Part, Parts},
};
use serde::Serialize;
use std::path::PathBuf;

/// The key that all of it stands under.
const HOOKS: &str = "hooks";

/// Which entries an agent gets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entries {
    /// The events that it has hooks for.
    pub(super) events: &'static [&'static str],
    /// Seconds that it waits for a hook. Ours ends much earlier; this is for a machine that stands still.
    pub(super) timeout: u64,
}

/// Why settings cannot be changed. They are left as they are.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unfit {
    #[error("it is no JSON: {0}")]
    Broken(String),
    #[error("`{0}` is not what it should be there, {1}")]
    Shape(String, &'static str),
}

/// An entry of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) event: String,
    pub(super) command: String,
    pub(super) binary: PathBuf,
}

/// An entry as it is written.
#[derive(Serialize)]
struct Group<'a> {
    hooks: [Hook<'a>; 1],
}

#[derive(Serialize)]
struct Hook<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    command: &'a str,
    timeout: u64,
}

/// One handler in the text: the groups of its event, its group, and the handlers of that.
struct Handler<'t> {
    event: (usize, String),
    groups: Parts<'t>,
    group: usize,
    handlers: Parts<'t>,
    place: usize,
    command: String,
    binary: PathBuf,
}

impl Entries {
    /// The text with our entry for each event, and none besides. The same text when it is so already. `earlier` are the
    /// settings from before we came.
    pub(super) fn install(self, text: &str, earlier: Option<&str>, command: &str) -> Result<String, Unfit> {
        let before = found(text)?;
        let is_right = |event: &&str| {
            let mut ours = before.iter().filter(|found| found.event == **event);
            ours.next().is_some_and(|found| found.command == command) && ours.next().is_none()
        };
        if self.events.iter().all(is_right) && before.len() == self.events.len() {
            return Ok(text.to_owned());
        }
        let mut text = uninstall(text, earlier)?;
        if text.trim().is_empty() {
            "{}\n".clone_into(&mut text);
        }
        let layout = Layout::of(&text);
        if root(&text)?.get(HOOKS).is_none() {
            let item = format!("\"{HOOKS}\"{}{{}}", layout.colon());
            text = root(&text)?.with(&item, &layout, 1);
        }
        let group = Group { hooks: [Hook { kind: "command", command, timeout: self.timeout }] };
        for event in self.events {
            let hooks = hooks(&text)?.expect("invariant: it was put in");
            text = if let Some(groups) = hooks.get(event) {
                elements(groups, || format!("{HOOKS}.{event}"))?.with(&layout.write(&group, 3), &layout, 3)
            } else {
                let item = format!("\"{event}\"{}{}", layout.colon(), layout.write(&[&group], 2));
                hooks.with(&item, &layout, 2)
            };
        }
        Ok(text)
    }
}

/// The text without our entries. Lists and objects that this leaves empty go too, unless they stand in `earlier`, the
/// settings from before we came.
pub(super) fn uninstall(text: &str, earlier: Option<&str>) -> Result<String, Unfit> {
    let earlier = earlier.map(hooks).transpose()?.flatten();
    let had = |event: &str| earlier.as_ref().is_some_and(|hooks| hooks.get(event).is_some());
    let mut text = text.to_owned();
    // Each cut moves what stands behind it, so the text is read anew.
    loop {
        let Some(ours) = handlers(&text)?.into_iter().next() else { return Ok(text) };
        let next = if ours.handlers.entries.len() > 1 {
            ours.handlers.without(ours.place)
        } else if ours.groups.entries.len() > 1 || had(&ours.event.1) {
            ours.groups.without(ours.group)
        } else {
            let hooks = hooks(&text)?.expect("invariant: an entry was found in it");
            if hooks.entries.len() > 1 || earlier.is_some() {
                hooks.without(ours.event.0)
            } else {
                let root = root(&text)?;
                let index = root.entries.iter().rposition(|(name, _)| name == HOOKS);
                root.without(index.expect("invariant: an entry was found in it"))
            }
        };
        text = next;
    }
}

/// Our entries.
pub(super) fn found(text: &str) -> Result<Vec<Found>, Unfit> {
    let ours = handlers(text)?.into_iter();
    Ok(ours.map(|ours| Found { event: ours.event.1, command: ours.command, binary: ours.binary }).collect())
}

/// All handlers that are ours.
fn handlers(text: &str) -> Result<Vec<Handler<'_>>, Unfit> {
    let mut ours = Vec::new();
    let Some(hooks) = hooks(text)? else { return Ok(ours) };
    for (index, (event, groups)) in hooks.entries.iter().enumerate() {
        let groups = elements(groups, || format!("{HOOKS}.{event}"))?;
        for (group, (_, part)) in groups.entries.iter().enumerate() {
            // What has another form is somebody else's.
            let Some(handlers) = part.object().and_then(|part| part.get(HOOKS)?.array()) else { continue };
            for (place, (_, part)) in handlers.entries.iter().enumerate() {
                let command = part.object().and_then(|part| part.get("command")?.string());
                if let Some(command) = command
                    && let Some(binary) = binary_of(&command)
                {
                    let (groups, handlers) = (groups.clone(), handlers.clone());
                    ours.push(Handler {
                        event: (index, event.clone()),
                        groups,
                        group,
                        handlers,
                        place,
                        command,
                        binary,
                    });
                }
            }
        }
    }
    Ok(ours)
}

/// The members of the whole text; none for one that is empty.
fn root(text: &str) -> Result<Parts<'_>, Unfit> {
    let text = if text.trim().is_empty() { "{}" } else { text };
    let part = Part::of(text).map_err(|error| Unfit::Broken(error.to_string()))?;
    part.object().ok_or_else(|| Unfit::Shape("the whole file".to_owned(), "an object"))
}

fn hooks(text: &str) -> Result<Option<Parts<'_>>, Unfit> {
    let hooks = root(text)?.get(HOOKS).map(Part::object);
    hooks.map(|hooks| hooks.ok_or_else(|| Unfit::Shape(HOOKS.to_owned(), "an object"))).transpose()
}

fn elements<'t>(part: &Part<'t>, name: impl FnOnce() -> String) -> Result<Parts<'t>, Unfit> {
    part.array().ok_or_else(|| Unfit::Shape(name(), "a list"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    const TWO: Entries = Entries { events: &["Stop", "PreToolUse"], timeout: 5 };
    const OURS: &str = "/bin/headwater hook run claude";

    fn value(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn entries_are_added_as_the_file_is_laid_out_and_everything_else_stays() {
        let text = r#"{
    "model": "opus",   "zeta": 1.50,
    "hooks": {
        "Stop": [ {"matcher": "", "hooks": [{"type": "command", "command": "beep"}]} ]
    },
    "alpha": {}
}
"#;
        let installed = TWO.install(text, Some(text), OURS).unwrap();
        expect![[r#"
            {
                "model": "opus",   "zeta": 1.50,
                "hooks": {
                    "Stop": [ {"matcher": "", "hooks": [{"type": "command", "command": "beep"}]},
                        {
                            "hooks": [
                                {
                                    "type": "command",
                                    "command": "/bin/headwater hook run claude",
                                    "timeout": 5
                                }
                            ]
                        } ],
                    "PreToolUse": [
                        {
                            "hooks": [
                                {
                                    "type": "command",
                                    "command": "/bin/headwater hook run claude",
                                    "timeout": 5
                                }
                            ]
                        }
                    ]
                },
                "alpha": {}
            }
        "#]]
        .assert_eq(&installed);
        assert_eq!(TWO.install(&installed, Some(text), OURS).unwrap(), installed);
        assert_eq!(uninstall(&installed, Some(text)).unwrap(), text);
    }

    #[test]
    fn another_command_is_replaced_and_a_shared_group_keeps_its_other_handler() {
        let old = TWO.install("{}", Some("{}"), "/old/headwater hook run claude --text").unwrap();
        let new = TWO.install(&old, Some("{}"), OURS).unwrap();
        assert_eq!(new, TWO.install("{}", Some("{}"), OURS).unwrap());
        let shared = format!(
            r#"{{"hooks":{{"Stop":[{{"hooks":[{{"command":"{OURS}"}},{{"command":"beep"}},{{"command":"{OURS}"}}]}}]}}}}"#
        );
        assert_eq!(found(&shared).unwrap().len(), 2);
        assert_eq!(uninstall(&shared, None).unwrap(), r#"{"hooks":{"Stop":[{"hooks":[{"command":"beep"}]}]}}"#);
        // Two of ours for one event would report everything twice.
        let twice = new.replacen("\"Stop\": [", &format!("\"Stop\": [{{\"hooks\":[{{\"command\":\"{OURS}\"}}]}},"), 1);
        assert_eq!(found(&TWO.install(&twice, Some("{}"), OURS).unwrap()).unwrap().len(), 2);
    }

    #[test]
    fn what_cannot_be_understood_is_refused() {
        for (text, words) in [
            ("{\"a\": }", "line 1 column 7"),
            ("// mine\n{}", "no JSON"),
            ("[]", "whole file"),
            (r#"{"hooks": []}"#, "`hooks`"),
            (r#"{"hooks": null}"#, "`hooks`"),
            (r#"{"hooks": {"Stop": {}}}"#, "`hooks.Stop`"),
        ] {
            let error = TWO.install(text, Some(text), OURS).unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
            assert!(uninstall(text, None).is_err(), "{text}");
        }
        // Of another form, but in its place: not ours to judge.
        let odd = r#"{"hooks":{"Other":[1,{"hooks":"x"},{"hooks":[{"command":7},null]}],"Stop":[]}}"#;
        let installed = TWO.install(odd, Some(odd), OURS).unwrap();
        assert_eq!(uninstall(&installed, Some(odd)).unwrap(), odd);
    }

    /// Any JSON.
    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "\\PC{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                members("[a-z\"\\\\ ]{0,5}", inner).prop_map(Value::from),
            ]
        })
    }

    fn members(key: &'static str, value: impl Strategy<Value = Value>) -> impl Strategy<Value = Map<String, Value>> {
        prop::collection::vec((key, value), 0..4).prop_map(|members| members.into_iter().collect())
    }

    /// Settings as they can be: with hooks of others, empty lists, and hooks of ours from before.
    fn settings() -> impl Strategy<Value = Value> {
        let command = prop_oneof![Just("beep".to_owned()), Just("headwater pub a b".to_owned()), "[a-z ]{0,9}"];
        let handler = command.prop_map(|command| json!({"type": "command", "command": command}));
        let group =
            prop::collection::vec(handler, 0..3).prop_map(|handlers| json!({"matcher": "x", "hooks": handlers}));
        let groups = prop::collection::vec(prop_oneof![3 => group, 1 => any_value()], 0..3).prop_map(Value::from);
        let hooks = prop::option::of(members("(Stop|PreToolUse|Other)", groups));
        (members("[a-z]{1,5}", any_value()), hooks).prop_map(|(mut root, hooks)| {
            root.remove(HOOKS);
            root.extend(hooks.map(|hooks| (HOOKS.to_owned(), Value::from(hooks))));
            Value::from(root)
        })
    }

    proptest! {
        #[test]
        fn installing_and_uninstalling_leaves_what_was(settings in settings(), pretty: bool) {
            let text = if pretty { serde_json::to_string_pretty(&settings).unwrap() } else { settings.to_string() };
            let installed = TWO.install(&text, Some(&text), OURS).unwrap();
            let ours = found(&installed).unwrap();
            prop_assert_eq!(ours.iter().filter(|found| found.event == "Stop").count(), 1);
            prop_assert_eq!(ours.len(), 2);
            prop_assert_eq!(&TWO.install(&installed, Some(&text), OURS).unwrap(), &installed);
            // In place, and after another program has written the file anew in its own layout.
            let back = uninstall(&installed, Some(&text)).unwrap();
            prop_assert_eq!(value(&back), settings.clone());
            let rewritten = serde_json::to_string_pretty(&value(&installed)).unwrap();
            prop_assert_eq!(value(&uninstall(&rewritten, Some(&text)).unwrap()), settings);
        }

        #[test]
        fn no_text_makes_it_panic(text in "[{}\\[\\]\":,a-z \\\\]{0,40}") {
            if let Ok(installed) = TWO.install(&text, Some(&text), OURS) {
                value(&installed);
            }
        }
    }
}
