//! `headwater verify`: proves a history file, also while a daemon writes it. Exit code 0 when it is clean, 1 when it has
//! faults, 65 when it is no history, 66 when it cannot be read.

use crate::{args::VerifyArgs, assemble::discovery, catalog::Knowledge, exit, history, place, say::say};
use headwater_cli::{Globals, Progress, Terminal, visible};
use headwater_config::load;
use headwater_engine::{Report, VerifyError, verify};
use serde_json::json;
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

pub(crate) fn run(args: &VerifyArgs, globals: &Globals) -> ExitCode {
    let path = match path(args, globals) {
        Ok(path) => path,
        Err(diagnostics) => {
            eprintln!("{diagnostics}");
            return ExitCode::from(exit::CONFIG);
        }
    };
    let progress = Progress::new("verifying");
    let outcome = verify(&path, |done, total| progress.at(done, total, String::new()));
    drop(progress);
    match outcome {
        Ok(report) => {
            let terminal = Terminal::of_stdout(globals.color, globals.json);
            if terminal.human {
                tell(&path, &report);
            } else {
                say(machine_readable(&path, &report));
            }
            if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::from(exit::FAILURE) }
        }
        Err(error) => {
            let code = match &error {
                VerifyError::Unreadable { .. } => exit::NO_INPUT,
                VerifyError::Foreign { .. } => exit::NO_HISTORY,
            };
            exit::fail(code, visible(&error.to_string()))
        }
    }
}

/// The given file; that of the daemon that runs, where neither a config nor a state directory says otherwise; or that of a
/// daemon with this config and state directory.
fn path(args: &VerifyArgs, globals: &Globals) -> Result<PathBuf, String> {
    if let Some(path) = &args.path {
        return Ok(path.clone());
    }
    if args.config.config.is_none()
        && args.state_dir.is_none()
        && let Some(file) = of_the_daemon(globals)?
    {
        return Ok(file);
    }
    let loaded = load(&args.config.paths(), &Knowledge(&discovery(&[])));
    let loaded = loaded.map_err(|found| if exit::coloured() { found.coloured() } else { found.plain() })?;
    let state = args.state_dir.clone().unwrap_or_else(place::user_state);
    Ok(history::file(&loaded.config, &state))
}

/// The file that a running daemon writes; `None` where none runs.
fn of_the_daemon(globals: &Globals) -> Result<Option<PathBuf>, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot start: {error}"))?;
    match runtime.block_on(headwater_cli::daemon_info(globals)) {
        Ok(info) => match info["history_file"].as_str() {
            Some(file) => Ok(Some(file.into())),
            None => Err("the daemon that runs keeps no history; name a file".into()),
        },
        Err(headwater_cli::Failure::Away(_)) => Ok(None),
        Err(failure) => Err(failure.to_string()),
    }
}

fn tell(path: &Path, report: &Report) {
    let file = path.display().to_string();
    let Report { channels, events, epochs, holes, missing, snapshots, problems, problem_count } = report;
    for problem in problems {
        say(visible(&problem.to_string()));
    }
    if *problem_count > problems.len() as u64 {
        say(format_args!("… and {} more", problem_count - problems.len() as u64));
    }
    let verdict = match problem_count {
        0 => "clean".to_owned(),
        1 => "1 fault".to_owned(),
        several => format!("{several} faults"),
    };
    say(format_args!("{}: {verdict}", visible(&file)));
    say(format_args!(" {channels} channels, {events} events, {epochs} epochs, {snapshots} snapshots"));
    if *holes > 0 {
        say(format_args!(" {holes} holes, noted: {missing} events were given out and not kept"));
    }
}

fn machine_readable(path: &Path, report: &Report) -> String {
    let problem = |problem: &headwater_engine::Problem| json!({"channel": problem.channel, "what": problem.what});
    json!({
        "path": path.display().to_string(),
        "clean": report.is_clean(),
        "channels": report.channels,
        "events": report.events,
        "epochs": report.epochs,
        "holes": report.holes,
        "missing": report.missing,
        "snapshots": report.snapshots,
        "problems": report.problems.iter().map(problem).collect::<Vec<_>>(),
        "problem_count": report.problem_count,
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_engine::Problem;

    #[test]
    fn programs_are_told_each_fault_and_how_many_there_are() {
        let problem = Problem { channel: Some("a".into()), what: "offset 7 stands twice".into() };
        let report = Report { channels: 1, events: 9, problems: vec![problem], problem_count: 3, ..Report::default() };
        let told: serde_json::Value = serde_json::from_str(&machine_readable(Path::new("h.db"), &report)).unwrap();
        assert_eq!((&told["clean"], &told["problem_count"]), (&json!(false), &json!(3)));
        assert_eq!(told["problems"], json!([{"channel": "a", "what": "offset 7 stands twice"}]));
    }
}
