//! Real files, renamed, linked, removed and written all the time.

use super::*;
use crate::discovery::Client;
use headwater_plugin::tokio::{self, time::timeout};
use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

/// More than any look takes on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(30);

struct World {
    directory: tempfile::TempDir,
    watch: Watch,
    seen: Vec<String>,
}

impl World {
    /// Watches `p/.mcp.json` and `h/.claude.json`, neither of which is there unless `prepare` makes it.
    async fn new(prepare: impl FnOnce(&Path)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        prepare(directory.path());
        let project = directory.path().join("p");
        let places = vec![
            Place { client: Client::McpJson, file: project.join(".mcp.json"), project: Some(project) },
            Place { client: Client::ClaudeCode, file: directory.path().join("h/.claude.json"), project: None },
        ];
        // Looking without a notice is left to a time that no test lives to see.
        let pace = Pace { poll: PATIENCE * 10, poll_blind: PATIENCE * 10, ..Pace::default() };
        let mut world = Self { directory, watch: Watch::with_pace(places, pace).unwrap(), seen: Vec::new() };
        let first = timeout(PATIENCE, world.watch.next()).await.unwrap();
        world.keep(&first);
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn keep(&mut self, changes: &[Change]) {
        self.seen.extend(changes.iter().map(|change| match change {
            Change::Appeared(server) => format!("+{} {}", server.name, server.origin.client),
            Change::Changed { now, .. } => format!("~{}", now.name),
            Change::Gone(server) => format!("-{}", server.name),
            Change::Fault(fault) => format!("!{}", fault.file.file_name().unwrap().display()),
            Change::Mended(_) => "ok".to_owned(),
        }));
    }

    /// All that was told, once so much was.
    async fn seen(&mut self, wanted: &[&str]) {
        while self.seen.len() < wanted.len() {
            let changes = timeout(PATIENCE, self.watch.next()).await;
            let changes = changes.unwrap_or_else(|_| panic!("only {:?}, not {wanted:?}", self.seen));
            self.keep(&changes);
        }
        assert_eq!(self.seen, wanted);
        self.seen.clear();
    }
}

fn servers(names: &[&str]) -> String {
    let entries: Vec<_> = names.iter().map(|name| format!("\"{name}\": {{\"command\": \"{name}-server\"}}")).collect();
    format!("{{\"mcpServers\": {{{}}}}}", entries.join(", "))
}

#[tokio::test]
async fn files_that_come_later_are_found_and_gone_ones_missed() {
    let mut world = World::new(|_| {}).await;
    world.seen(&[]).await;
    fs::create_dir(world.path("p")).unwrap();
    world.write("p/.mcp.json", &servers(&["a"]));
    world.seen(&["+a mcp_json"]).await;
    fs::create_dir(world.path("h")).unwrap();
    world.write("h/.claude.json", &servers(&["b"]));
    world.seen(&["+b claude_code"]).await;
    fs::remove_dir_all(world.path("p")).unwrap();
    world.seen(&["-a"]).await;
    fs::create_dir(world.path("p")).unwrap();
    world.write("p/.mcp.json", &servers(&["c"]));
    world.seen(&["+c mcp_json"]).await;
}

#[tokio::test]
async fn renames_over_a_file_are_seen_again_and_again() {
    let mut world = World::new(|root| {
        fs::create_dir(root.join("p")).unwrap();
        fs::write(root.join("p/.mcp.json"), servers(&["s0"])).unwrap();
    })
    .await;
    world.seen(&["+s0 mcp_json"]).await;
    for n in 1..4 {
        world.write("p/new", &servers(&[&format!("s{n}")]));
        fs::rename(world.path("p/new"), world.path("p/.mcp.json")).unwrap();
        world.seen(&[&format!("+s{n} mcp_json"), &format!("-s{}", n - 1)]).await;
    }
}

#[tokio::test]
async fn a_link_that_leads_elsewhere_is_another_file() {
    let mut world = World::new(|root| {
        for (directory, name) in [("one", "a"), ("two", "b")] {
            fs::create_dir(root.join(directory)).unwrap();
            fs::write(root.join(directory).join(".mcp.json"), servers(&[name])).unwrap();
        }
        symlink("one", root.join("p")).unwrap();
    })
    .await;
    world.seen(&["+a mcp_json"]).await;
    symlink("two", world.path("new")).unwrap();
    fs::rename(world.path("new"), world.path("p")).unwrap();
    world.seen(&["+b mcp_json", "-a"]).await;
    // And what it leads to is watched now.
    world.write("two/.mcp.json", &servers(&["b", "c"]));
    world.seen(&["+c mcp_json"]).await;
}

#[tokio::test]
async fn a_file_that_is_written_all_the_time_tells_only_of_its_servers() {
    let mut world = World::new(|root| fs::create_dir(root.join("h")).unwrap()).await;
    let text = |n: u32, servers: &str| format!("{{\"numStartups\": {n}, \"mcpServers\": {servers}}}");
    world.write("h/.claude.json", &text(0, r#"{"a": {"command": "x"}}"#));
    world.seen(&["+a claude_code"]).await;
    // Much faster than any client; half of it is on the disk now and then.
    for n in 1..200 {
        world.write("h/.claude.json", &text(n, r#"{"a": {"command": "x"}}"#));
        tokio::task::yield_now().await;
    }
    world.write("h/.claude.json", &text(200, r#"{"a": {"command": "y"}}"#));
    world.seen(&["~a"]).await;
}

#[tokio::test]
async fn what_is_broken_is_told_and_mended_and_costs_the_others_nothing() {
    let mut world = World::new(|root| {
        fs::create_dir(root.join("p")).unwrap();
        fs::create_dir(root.join("h")).unwrap();
        fs::write(root.join("p/.mcp.json"), servers(&["a"])).unwrap();
        fs::write(root.join("h/.claude.json"), "no JSON").unwrap();
    })
    .await;
    world.seen(&["+a mcp_json", "!.claude.json"]).await;
    world.write("p/.mcp.json", &servers(&["a", "b"]));
    world.seen(&["+b mcp_json"]).await;
    world.write("h/.claude.json", "{}");
    world.seen(&["ok"]).await;
}

/// Claude Code reads the `.mcp.json` of the project that it is started in: of those that it knows nobody need name one here.
#[tokio::test]
async fn projects_that_claude_code_knows_are_looked_into() {
    let knows = |root: &Path, projects: &[&str]| {
        let entries: Vec<_> = projects.iter().map(|name| format!("{:?}: {{}}", root.join(name))).collect();
        format!("{{\"projects\": {{{}}}}}", entries.join(","))
    };
    let mut world = World::new(|root| {
        for directory in ["h", "p", "q"] {
            fs::create_dir(root.join(directory)).unwrap();
        }
        fs::write(root.join("p/.mcp.json"), servers(&["a"])).unwrap();
        fs::write(root.join("q/.mcp.json"), servers(&["b"])).unwrap();
        fs::write(root.join("h/.claude.json"), knows(root, &["p", "q", "nowhere"])).unwrap();
    })
    .await;
    world.seen(&["+a mcp_json", "+b mcp_json"]).await;
    // They are watched like the others.
    world.write("q/.mcp.json", &servers(&["b", "c"]));
    world.seen(&["+c mcp_json"]).await;
    let root = world.path("");
    world.write("h/.claude.json", &knows(&root, &["p"]));
    world.seen(&["-b", "-c"]).await;
}
