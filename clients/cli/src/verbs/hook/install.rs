//! `headwater hook install` and `headwater hook uninstall`.

use super::{
    diff::diff,
    file::{Change, backup, write},
    places::{Place, Places},
    program::Program,
    settings::{Present, Wanted, ours, uninstall},
    status::taken,
};
use crate::{Failure, Globals, HookedAgent, InstallArgs, PlaceArgs, ReportOptions, UninstallArgs, run::Session};
use serde_json::json;
use std::{env, fs, path::PathBuf};

pub(crate) fn install(args: &InstallArgs, globals: &Globals, session: &mut Session) -> Result<(), Failure> {
    let places = Places::of(args.place.project);
    let wanted = wanted(args.place.agent, globals, &args.options)?;
    put_in(&wanted, &places, args.place.dry_run, session)
}

pub(crate) fn take_out(args: &UninstallArgs, session: &mut Session) -> Result<(), Failure> {
    remove(&args.place, &Places::of(args.place.project), session)
}

/// What this installation writes.
pub(super) fn wanted(agent: HookedAgent, globals: &Globals, options: &ReportOptions) -> Result<Wanted, Failure> {
    headwater_client::Endpoint::parse(&globals.url)?;
    Ok(Wanted {
        agent,
        program: Program::new(binary()?, globals, options),
        url: globals.url.clone(),
        text: options.text,
    })
}

/// The path of this binary, which agents are to run.
fn binary() -> Result<PathBuf, Failure> {
    let binary =
        env::current_exe().map_err(|error| Failure::Other(format!("this binary's path cannot be found: {error}")))?;
    if !binary.exists() {
        return Err(Failure::Other(format!("{} is not there any more; run the new one", binary.display())));
    }
    Ok(binary)
}

fn put_in(wanted: &Wanted, places: &Places, dry_run: bool, session: &mut Session) -> Result<(), Failure> {
    let places = places.files(wanted.agent);
    // All of them before any is written: what cannot be changed stops the whole.
    let changes = places.iter().map(|place| wanted.install(place)).collect::<Result<Vec<_>, _>>()?;
    for (place, change) in places.iter().zip(&changes) {
        if dry_run {
            show(change, session);
            continue;
        }
        let mut kept = None;
        if !change.is_none() {
            kept = keep(place, change)?;
            change.make()?;
        }
        let status = match wanted.present(place)? {
            Present::Taken(_) => "taken",
            _ if change.is_none() => "unchanged",
            _ => "written",
        };
        tell(session, wanted.agent, change, status, kept);
    }
    if !dry_run && session.terminal.human {
        for line in advice(wanted, &places)? {
            session.output.line(&line);
        }
    }
    Ok(())
}

fn remove(args: &PlaceArgs, places: &Places, session: &mut Session) -> Result<(), Failure> {
    let places = places.files(args.agent);
    let changes = places.iter().map(uninstall).collect::<Result<Vec<_>, _>>()?;
    for change in &changes {
        if args.dry_run {
            show(change, session);
            continue;
        }
        if !change.is_none() {
            change.make()?;
            let backup = backup(&change.file);
            // It says no more than the file now.
            if change.after.is_none() || super::file::read(&backup)? == change.after {
                let _ = fs::remove_file(backup);
            }
        }
        let status = if change.is_none() { "unchanged" } else { "removed" };
        tell(session, args.agent, change, status, None);
    }
    Ok(())
}

/// Keeps the settings from before the first change. A later one finds our hooks and keeps nothing.
fn keep(place: &Place, change: &Change) -> Result<Option<PathBuf>, Failure> {
    let backup = backup(&change.file);
    match &change.before {
        Some(text) if !ours(place, text)? => {
            let failed = |error| Failure::Other(format!("{} cannot be written: {error}", backup.display()));
            write(&backup, text).map_err(failed)?;
            Ok(Some(backup))
        }
        Some(_) => Ok(None),
        None => {
            // One of long ago would tell of other settings.
            let _ = fs::remove_file(backup);
            Ok(None)
        }
    }
}

fn show(change: &Change, session: &mut Session) {
    let file = change.file.display().to_string();
    let lines = diff(change.before.as_deref().unwrap_or_default(), change.after.as_deref().unwrap_or_default());
    if !session.terminal.human {
        session.json(&json!({"file": file, "changed": !change.is_none(), "diff": lines}).to_string());
        return;
    }
    if lines.is_empty() {
        session.output.line(&format!("{} stays as it is", crate::visible(&file)));
        return;
    }
    let style = session.terminal.style;
    session.output.line(&style.bold(format!("--- {}", crate::visible(&file))));
    for line in lines {
        let line = crate::visible(&line).into_owned();
        let coloured = match line.chars().next() {
            Some('+') => style.good(line),
            Some('-') => style.bad(line),
            Some('@') => style.dim(line),
            _ => line,
        };
        session.output.line(&coloured);
    }
}

fn tell(session: &mut Session, agent: HookedAgent, change: &Change, status: &str, kept: Option<PathBuf>) {
    let file = change.file.display().to_string();
    if !session.terminal.human {
        let backup = kept.map(|path| path.display().to_string());
        let mut line = json!({"agent": agent.as_str(), "file": file, "status": status});
        if let Some(backup) = backup {
            line["backup"] = json!(backup);
        }
        session.json(&line.to_string());
        return;
    }
    let shown = crate::visible(&file).into_owned();
    let words = match status {
        "written" => format!("the hooks are in {shown}"),
        "taken" => format!("{shown} is left as it is"),
        "removed" if change.after.is_none() => format!("{shown} had nothing else, and is removed"),
        "removed" => format!("the hooks are no longer in {shown}"),
        _ => format!("{shown} is as it should be"),
    };
    session.output.line(&format!("{agent}: {words}"));
    if let Some(kept) = kept {
        let kept = format!("  what it was before: {}", kept.display());
        session.output.line(&session.terminal.style.dim(crate::visible(&kept)));
    }
}

/// What is left to do for a person.
fn advice(wanted: &Wanted, places: &[Place]) -> Result<Vec<String>, Failure> {
    let mut lines = Vec::new();
    for place in places {
        if let Present::Taken(program) = wanted.present(place)? {
            lines.push(format!("  {}", crate::visible(&taken(place, &program))));
        }
    }
    lines.push(match wanted.agent {
        HookedAgent::Claude => "  sessions that start from now on report".to_owned(),
        HookedAgent::Codex => "  codex runs them once you trust them: start it and type /hooks".to_owned(),
        HookedAgent::Opencode => "  an opencode that starts from now on reports".to_owned(),
    });
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Output, Style, Terminal, globals::DEFAULT_URL};
    use expect_test::expect;
    use headwater_client::Client;
    use std::path::Path;

    /// A home of its own.
    struct Home {
        directory: tempfile::TempDir,
        session: Session,
    }

    impl Home {
        fn new(human: bool) -> Self {
            let terminal = Terminal { human, shown: human, width: 80, style: Style { colored: false } };
            let client = Client::new(DEFAULT_URL, None).unwrap();
            let session = Session { client, terminal, output: Output::memory() };
            Self { directory: tempfile::tempdir().unwrap(), session }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.directory.path().join(name)
        }

        fn write(&self, name: &str, text: &str) {
            write(&self.path(name), text).unwrap();
        }

        fn read(&self, name: &str) -> Option<String> {
            fs::read_to_string(self.path(name)).ok()
        }

        fn install(&mut self, agent: HookedAgent, binary: &str, dry_run: bool) -> Result<String, Failure> {
            let outcome =
                put_in(&wanted(agent, binary), &Places::below(self.directory.path()), dry_run, &mut self.session);
            outcome.map(|()| self.said())
        }

        fn uninstall(&mut self, agent: HookedAgent) -> Result<String, Failure> {
            let args = PlaceArgs { agent, project: false, dry_run: false };
            let outcome = remove(&args, &Places::below(self.directory.path()), &mut self.session);
            outcome.map(|()| self.said())
        }

        fn said(&mut self) -> String {
            self.session.output.taken().replace(&self.directory.path().display().to_string(), "~")
        }

        fn present(&self, agent: HookedAgent) -> Vec<Present> {
            let places = Places::below(self.directory.path()).files(agent);
            places.iter().map(|place| wanted(agent, "/bin/headwater").present(place).unwrap()).collect()
        }

        fn files(&self, directory: &str) -> Vec<String> {
            let entries = fs::read_dir(self.path(directory)).into_iter().flatten().flatten();
            let mut names: Vec<_> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
            names.sort();
            names
        }
    }

    fn wanted(agent: HookedAgent, binary: &str) -> Wanted {
        let globals = Globals { url: DEFAULT_URL.into(), token: None, json: false, color: crate::ColorChoice::Never };
        let program = Program::new(PathBuf::from(binary), &globals, &ReportOptions::default());
        Wanted { agent, program, url: DEFAULT_URL.into(), text: false }
    }

    const CLAUDE: HookedAgent = HookedAgent::Claude;
    const SETTINGS: &str = ".claude/settings.json";
    const BINARY: &str = "/bin/headwater";

    #[test]
    fn the_way_there_and_back_leaves_the_file_to_the_byte() {
        let mut home = Home::new(true);
        let before = "{\n  \"model\": \"opus\",\n  \"hooks\": { }\n}";
        home.write(SETTINGS, before);
        expect![[r"
            claude: the hooks are in ~/.claude/settings.json
              what it was before: ~/.claude/settings.json.headwater-backup
              sessions that start from now on report
        "]]
        .assert_eq(&home.install(CLAUDE, BINARY, false).unwrap());
        assert_eq!(home.read(".claude/settings.json.headwater-backup").unwrap(), before);
        assert_eq!(home.present(CLAUDE), [Present::Installed]);
        let installed = home.read(SETTINGS).unwrap();
        assert!(home.install(CLAUDE, BINARY, false).unwrap().contains("as it should be"));
        assert_eq!(home.read(SETTINGS).unwrap(), installed);
        // Another binary: the backup stays that of before the first change.
        home.install(CLAUDE, "/opt/headwater", false).unwrap();
        assert_eq!(home.present(CLAUDE), [Present::Other("/opt/headwater".into())]);
        assert_eq!(home.read(".claude/settings.json.headwater-backup").unwrap(), before);
        home.uninstall(CLAUDE).unwrap();
        assert_eq!(
            (home.read(SETTINGS).unwrap().as_str(), home.files(".claude")),
            (before, vec!["settings.json".into()])
        );
        assert!(home.uninstall(CLAUDE).unwrap().contains("as it should be"));
    }

    #[test]
    fn what_changed_since_stays_changed() {
        let mut home = Home::new(false);
        home.write(SETTINGS, "{\"hooks\":{\"Stop\":[]}}");
        home.install(CLAUDE, BINARY, false).unwrap();
        let changed = home.read(SETTINGS).unwrap().replacen('{', "{\"model\":\"opus\",", 1);
        home.write(SETTINGS, &changed);
        home.uninstall(CLAUDE).unwrap();
        assert_eq!(home.read(SETTINGS).unwrap(), "{\"model\":\"opus\",\"hooks\":{\"Stop\":[]}}");
        assert!(home.read(".claude/settings.json.headwater-backup").is_some(), "it says more than the file now");
    }

    #[test]
    fn a_file_of_ours_alone_goes_as_it_came() {
        let mut home = Home::new(false);
        for agent in HookedAgent::ALL {
            assert!(home.present(agent).iter().all(|present| *present == Present::Missing), "{agent}");
            home.install(agent, BINARY, false).unwrap();
            assert!(home.present(agent).iter().all(|present| *present == Present::Installed), "{agent}");
            home.uninstall(agent).unwrap();
        }
        assert_eq!((home.files(".claude"), home.files(".codex")), (vec![], vec![]));
        assert_eq!(home.files("opencode/plugins"), Vec::<String>::new());
    }

    #[test]
    fn a_broken_file_is_named_and_nothing_is_written() {
        let mut home = Home::new(false);
        home.write(SETTINGS, "{\n  \"model\": \n}");
        let failure = home.install(CLAUDE, BINARY, false).unwrap_err();
        let words = failure.to_string();
        assert!(words.contains("settings.json: it is no JSON") && words.contains("line 3"), "{words}");
        assert!(words.ends_with("nothing was written") && failure.code() == 1);
        assert_eq!(home.files(".claude"), ["settings.json"]);
        // One of two broken: neither is written.
        home.write(".codex/config.toml", "model = ");
        assert!(home.install(HookedAgent::Codex, BINARY, false).is_err());
        assert_eq!(home.files(".codex"), ["config.toml"]);
        home.write("opencode/plugins/headwater.js", "// mine");
        assert!(home.install(HookedAgent::Opencode, BINARY, false).unwrap_err().to_string().contains("somebody else"));
        home.uninstall(HookedAgent::Opencode).unwrap();
        assert_eq!(home.read("opencode/plugins/headwater.js").unwrap(), "// mine");
    }

    #[test]
    fn codex_has_two_places_and_another_program_keeps_its_own() {
        let mut home = Home::new(true);
        let config = "# my codex\nmodel = \"m1\"\n\n[tui]\ntheme = \"x\"\n";
        home.write(".codex/config.toml", config);
        home.install(HookedAgent::Codex, BINARY, false).unwrap();
        let installed = home.read(".codex/config.toml").unwrap();
        let notify = r#"notify = ["/bin/headwater", "hook", "run", "codex_notify"]"#;
        assert_eq!(installed, config.replace("\"m1\"\n", &format!("\"m1\"\n{notify}\n")));
        let hooks: serde_json::Value = serde_json::from_str(&home.read(".codex/hooks.json").unwrap()).unwrap();
        assert_eq!(hooks["hooks"]["Interrupt"][0]["hooks"][0]["command"], "/bin/headwater hook run codex");
        assert_eq!(hooks.as_object().unwrap().len(), 1, "codex refuses a file with other keys");
        home.uninstall(HookedAgent::Codex).unwrap();
        assert_eq!((home.read(".codex/config.toml").unwrap().as_str(), home.read(".codex/hooks.json")), (config, None));
    }

    /// Harm prevented: a file in which nothing of ours is was changed all the same, and never came back.
    #[test]
    fn a_place_that_another_program_has_is_left_to_the_byte() {
        let mut home = Home::new(true);
        let config = "notify = [\"beep\", \"-x\"]";
        home.write(".codex/config.toml", config);
        expect![[r"
            codex: the hooks are in ~/.codex/hooks.json
            codex: ~/.codex/config.toml is left as it is
              `notify` in ~/.codex/config.toml runs another program, `beep -x`, and stays so; the hooks in hooks.json tell of turns too. To have `notify` too, take that line out and install again
              codex runs them once you trust them: start it and type /hooks
        "]]
        .assert_eq(&home.install(HookedAgent::Codex, BINARY, false).unwrap());
        assert_eq!(home.present(HookedAgent::Codex), [Present::Installed, Present::Taken("beep -x".into())]);
        assert_eq!(home.files(".codex"), ["config.toml", "hooks.json"], "no backup of what was not changed");
        home.uninstall(HookedAgent::Codex).unwrap();
        assert_eq!((home.read(".codex/config.toml").as_deref(), home.files(".codex").len()), (Some(config), 1));
    }

    #[test]
    fn a_dry_run_shows_and_writes_nothing() {
        let mut home = Home::new(true);
        home.write(".codex/config.toml", "model = \"m1\"\n");
        let said = home.install(HookedAgent::Codex, BINARY, true).unwrap();
        let end = said.split("--- ~/.codex/config.toml\n").nth(1).unwrap();
        expect![[r#"
            @@ -1 +1 @@
             model = "m1"
            +notify = ["/bin/headwater", "hook", "run", "codex_notify"]
        "#]]
        .assert_eq(end);
        assert!(said.starts_with("--- ~/.codex/hooks.json\n@@ -1 +1 @@\n+{\n+  \"hooks\": {\n"), "{said}");
        assert_eq!(home.files(".codex"), ["config.toml"]);
        home.session.terminal.human = false;
        let line = home.install(CLAUDE, BINARY, true).unwrap();
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!((line["changed"].as_bool(), line["file"].as_str()), (Some(true), Some("~/.claude/settings.json")));
        assert_eq!(home.files(".claude"), Vec::<String>::new());
    }

    #[test]
    fn the_plugin_knows_the_address() {
        let home = tempfile::tempdir().unwrap();
        let mut wanted = wanted(HookedAgent::Opencode, BINARY);
        wanted.url = "http://box:1/\"x".into();
        let place = &Places::below(home.path()).files(HookedAgent::Opencode)[0];
        let text = wanted.install(place).unwrap().after.unwrap();
        assert!(text.contains(r#"const url = "http://box:1/\"x/v1/hooks/opencode""#), "{text}");
        assert!(place.file().ends_with(Path::new("opencode/plugins/headwater.js")) && !text.contains("@URL@"));
    }
}
