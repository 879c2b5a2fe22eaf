//! Lists of rules: which are taken, and that each refusal names the rule and says what to do.

use super::super::{RuleError, Rules, Settings, Status, agent_type};
use super::{process, shipped};
use crate::watch::{Observation, PaneAgent};
use headwater_plugin::serde_json::{self, Value, json};
use std::time::{Duration, Instant};

fn settings(value: Value) -> Settings {
    serde_json::from_value(value).unwrap()
}

fn refused(rule: &Value) -> RuleError {
    let mut whole = json!({ "name": "mine", "region": "tail", "regex": "x", "state": "busy" });
    for (key, value) in rule.as_object().unwrap() {
        whole[key] = value.clone();
    }
    Rules::new(&settings(json!({ "rules": [whole] }))).unwrap_err()
}

#[test]
fn a_refusal_names_the_rule_and_says_what_to_do() {
    let said = |rule: Value| refused(&rule).to_string();
    assert_eq!(
        said(json!({ "agent": "cloude" })),
        "rule `mine` is for the agent `cloude`, which does not exist: name one of `claude`, `codex`, `opencode`, \
         `gemini`, or \"*\" for all, or add it to `agents`"
    );
    assert_eq!(
        said(json!({ "regex": "a".repeat(513) })),
        "rule `mine`: its regex has 513 bytes, and 512 are allowed: write two rules with the same state"
    );
    assert_eq!(
        said(json!({ "regex": r"\w{1000}" })),
        "rule `mine`: its regex is too large once it is compiled: make repetitions such as {100} smaller, and write \
         [0-9A-Za-z] for \\w and [0-9] for \\d in them"
    );
    assert_eq!(
        said(json!({ "regex": "Proceed (y/n" })),
        "rule `mine`: its regex `Proceed (y/n` is not understood: unclosed group; to mean a character such as ( or [ \
         itself, write \\ before it"
    );
    assert_eq!(
        said(json!({ "regex": "a*" })),
        "rule `mine`: its regex matches the empty text, and so everything: say what must be there; `.` is anything at all"
    );
    assert_eq!(said(json!({ "lines": 0 })), "rule `mine`: `lines` is 0: write a number from 1 to 40");
    assert_eq!(said(json!({ "lines": 41 })), "rule `mine`: `lines` is 41: write a number from 1 to 40");
    assert_eq!(
        said(json!({ "region": "osc", "refines": "idle" })),
        "rule `mine` refines what more trusted regions say, and there is none above \"osc\": leave out `refines`"
    );
    assert_eq!(
        said(json!({ "refines": "busy" })),
        "rule `mine` refines `busy` to the same `busy`: leave out `refines`"
    );
    assert_eq!(
        said(json!({ "name": " ", "regex": "secret" })),
        "a rule with the regex `secret` has no name: give it one, events name the rule that decided"
    );
}

#[test]
fn lists_are_bounded_and_their_names_differ() {
    let rule = |name: &str| json!({ "name": name, "region": "tail", "regex": "x", "state": "busy" });
    let many: Vec<Value> = (0..257).map(|n| rule(&n.to_string())).collect();
    let error = Rules::new(&settings(json!({ "shipped": false, "rules": many }))).unwrap_err();
    assert_eq!(error, RuleError::TooMany { count: 257 });
    let error = Rules::new(&settings(json!({ "rules": [rule("a"), rule("a")] }))).unwrap_err();
    assert_eq!(error.to_string(), "two rules are called `a`: call one of them otherwise");
    let agent = json!({ "name": "mine", "programs": ["mine"] });
    let error = Rules::new(&settings(json!({ "agents": [agent, agent] }))).unwrap_err();
    assert_eq!(error.to_string(), "two agents are called `mine`: call one of them otherwise");
    let error = Rules::new(&settings(json!({ "agents": [{ "name": "mine", "programs": [] }] }))).unwrap_err();
    assert_eq!(error.to_string(), "agent `mine` has neither `programs` nor `packages`: name the program that runs it");
}

/// A pattern that is cheap to write must not stop all panes while it is compiled.
#[test]
fn the_dearest_pattern_that_is_allowed_compiles_at_once() {
    for regex in
        [r"\w{1000}", r"(?i)(?:\w{20}){20}", "(((((((((a{50}){50}){50}){50}){50}){50}){50}){50}){50})", r"[^\n]{9999}"]
    {
        let start = Instant::now();
        assert!(
            matches!(refused(&json!({ "regex": regex })), RuleError::TooLarge { .. } | RuleError::Syntax { .. }),
            "{regex}"
        );
        assert!(start.elapsed() < Duration::from_millis(500), "{regex}: {:?}", start.elapsed());
    }
}

#[test]
fn a_rule_of_the_settings_takes_the_place_of_the_shipped_one() {
    let own = json!({ "name": "claude-title-idle", "agent": "claude", "region": "title", "regex": "^READY", "state": "idle" });
    let rules = std::sync::Arc::new(Rules::new(&settings(json!({ "rules": [own] }))).unwrap());
    let claude = process(&rules, 7, &["claude"]);
    let mut pane = PaneAgent::new(rules);
    let now = Instant::now();
    assert_eq!(pane.observe(Observation::Foreground(Some(&claude)), now), None);
    assert_eq!(pane.observe(Observation::Title("✳ Claude Code"), now), None);
    let change = pane.observe(Observation::Title("READY"), now).unwrap();
    assert_eq!((change.status, change.rule.as_deref()), (Status::Idle, Some("claude-title-idle")));
}

#[test]
fn unknown_is_no_state_that_a_rule_may_say() {
    let rule = json!({ "name": "mine", "region": "tail", "regex": "x", "state": "unknown" });
    let error = serde_json::from_value::<Settings>(json!({ "rules": [rule] })).unwrap_err().to_string();
    assert!(
        error.starts_with("unknown variant `unknown`, expected one of `busy`, `idle`, `waiting`, `error`"),
        "{error}"
    );
}

#[test]
fn the_defaults_of_the_settings_are_those_of_the_schema() {
    let written: Settings = serde_json::from_value(json!({})).unwrap();
    let made = Settings::default();
    assert_eq!(format!("{written:?}"), format!("{made:?}"));
    assert!(shipped().agent_of(&["claude"]).is_some());
}

#[test]
fn roles_are_named_as_the_orchestrator_names_them() {
    assert_eq!(agent_type(Some("claude"), "project-manager", "claude"), "CLAUDE_AGENT");
    assert_eq!(agent_type(None, "Project-Manager", "bash"), "PROJECT_MANAGER");
    assert_eq!(agent_type(None, "pm", "vim"), "PROJECT_MANAGER");
    assert_eq!(agent_type(None, "npm", "vim"), "UNKNOWN");
    assert_eq!(agent_type(None, "dev-server", "node"), "DEV_SERVER");
    assert_eq!(agent_type(None, "main", "-zsh"), "SHELL");
    assert_eq!(agent_type(None, "", ""), "UNKNOWN");
}

/// What the manual says of the shipped rules is what they are.
#[test]
fn the_manual_lists_the_shipped_rules() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/tmux.md");
    let manual = std::fs::read_to_string(path).unwrap();
    let rows: Vec<Vec<&str>> =
        manual.lines().map(|line| line.split(" | ").map(|cell| cell.trim_matches(['|', ' ', '`'])).collect()).collect();
    let shipped = Settings::default().rules();
    for rule in &shipped {
        let row =
            rows.iter().find(|row| row[0] == rule.name).unwrap_or_else(|| panic!("{} is not in the manual", rule.name));
        assert_eq!(row.last(), Some(&rule.state.as_str()), "{}", rule.name);
        assert!(row[1].starts_with(rule.region.evidence().as_str()), "{}", rule.name);
        assert_eq!(row[1].contains("any agent"), rule.agent == "*", "{}", rule.name);
        if row[1].contains("lines") {
            assert!(row[1].ends_with(&format!("{} lines", rule.lines)), "{}", rule.name);
        }
        assert_eq!(row[2].contains("refines idle"), rule.refines == Some(Status::Idle), "{}", rule.name);
        assert_eq!(row[2].contains("within 10 s"), rule.holds.is_some(), "{}", rule.name);
    }
    let prefixes = ["claude-", "codex-", "opencode-", "gemini-", "progress-", "orchestrator-"];
    let listed = rows.iter().filter(|row| row.len() == 4 && prefixes.iter().any(|prefix| row[0].starts_with(prefix)));
    assert_eq!(listed.count(), shipped.len());
}
