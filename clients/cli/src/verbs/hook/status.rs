//! `headwater hook status`: which agents have the hooks, and when one was last heard.

use super::{
    install::wanted,
    places::{Place, Places},
    settings::{Present, Wanted},
};
use crate::{Column, Failure, Globals, HookedAgent, ReportOptions, StatusArgs, Table, clock::Clock, run::Session};
use headwater_client::{Error, HistoryQuery};
use jiff::Timestamp;
use serde_json::json;

/// Where hooks are published.
const CHANNEL: &str = "agent_hooks";

/// What is said of one file.
#[derive(Debug)]
struct Line {
    agent: HookedAgent,
    status: &'static str,
    detail: String,
    file: String,
    heard: Option<String>,
}

pub(crate) async fn run(args: &StatusArgs, globals: &Globals, session: &mut Session) -> Result<(), Failure> {
    let agents = args.agent.map_or_else(|| HookedAgent::ALL.to_vec(), |agent| vec![agent]);
    let places = Places::of(args.project);
    let mut lines = Vec::new();
    for agent in agents {
        let wanted = wanted(agent, globals, &ReportOptions::default())?;
        let heard = last_heard(agent, session).await;
        lines.extend(look(&wanted, &places, heard.as_deref()));
    }
    if !session.terminal.human {
        for line in &lines {
            let mut shown = json!({"agent": line.agent.as_str(), "status": line.status, "file": line.file});
            if !line.detail.is_empty() {
                shown["detail"] = json!(line.detail);
            }
            if let Some(heard) = &line.heard {
                shown["last_heard"] = json!(heard);
            }
            session.json(&shown.to_string());
        }
        return Ok(());
    }
    let clock = Clock::local();
    let mut table = Table::new(&["AGENT", "HOOKS", "LAST HEARD", "FILE"].map(Column::text));
    for line in &lines {
        let heard = line.heard.as_deref().map(|time| clock.show(time, Timestamp::now())).unwrap_or_default();
        table.row(&[line.agent.as_str(), line.status, &heard, &line.file]);
    }
    for line in table.lines(session.terminal.width, session.terminal.style) {
        session.output.line(&line);
    }
    for line in lines.iter().filter(|line| !line.detail.is_empty()) {
        session.output.line(&format!("{}: {}", line.agent, crate::visible(&line.detail)));
    }
    Ok(())
}

fn look(wanted: &Wanted, places: &Places, heard: Option<&str>) -> Vec<Line> {
    let here = places.directory(wanted.agent).is_dir();
    let lines = places.files(wanted.agent).into_iter().map(|place| {
        let install = format!("headwater hook install {}", wanted.agent);
        let (status, detail) = match wanted.present(&place) {
            Ok(Present::Installed) => ("installed", String::new()),
            Ok(Present::Missing) if here => ("missing", format!("to install them: {install}")),
            Ok(Present::Missing) => ("no agent", String::new()),
            Ok(Present::Incomplete) => ("incomplete", format!("to complete them: {install}")),
            Ok(Present::Other(binary)) => {
                ("other", format!("installed by another headwater, {}; to have this one: {install}", binary.display()))
            }
            Ok(Present::Taken(program)) => ("taken", taken(&place, &program)),
            Err(failure) => ("unreadable", failure.to_string().replace("; nothing was written", "")),
        };
        let file = place.file().display().to_string();
        Line { agent: wanted.agent, status, detail, file, heard: heard.map(str::to_owned) }
    });
    lines.collect()
}

/// Which place another program has, which program, and what to do.
pub(super) fn taken(place: &Place, program: &str) -> String {
    let file = place.file().display();
    match place {
        Place::Notify { .. } => format!(
            "`notify` in {file} runs another program, `{program}`, and stays so; the hooks in hooks.json tell of turns too. To have \
             `notify` too, take that line out and install again"
        ),
        Place::Entries { .. } | Place::Plugin { .. } => {
            format!("{file} is somebody else's; to have the hooks, move it away and install again")
        }
    }
}

/// When a hook of this agent was last heard, as far as the daemon keeps it. `None` also when no daemon answers: the
/// settings can be looked at without one.
async fn last_heard(agent: HookedAgent, session: &Session) -> Option<String> {
    let types = match agent {
        HookedAgent::Codex => vec!["hook.codex".to_owned(), "hook.codex_notify".to_owned()],
        other => vec![format!("hook.{other}")],
    };
    let query = HistoryQuery {
        channel: CHANNEL.to_owned(),
        types,
        descending: true,
        limit: Some(1),
        ..HistoryQuery::default()
    };
    let page: Result<_, Error> = session.client.history(query).next_page().await;
    let event = page.ok()??.events.into_iter().next()?;
    Some(event.fields().ok()?.timestamp.into_owned())
}

/// The agents that are on this machine and have no hooks at all.
pub fn hooks_missing() -> Vec<HookedAgent> {
    let places = Places::of(false);
    let bare = |agent: &HookedAgent| {
        let no_hooks = |place: &Place| {
            let text = super::file::read(place.file()).ok().flatten().unwrap_or_default();
            // What cannot be read is not missing: `install` could not help.
            matches!(super::settings::ours(place, &text), Ok(false))
        };
        places.directory(*agent).is_dir() && places.files(*agent).iter().all(no_hooks)
    };
    HookedAgent::ALL.into_iter().filter(bare).collect()
}
