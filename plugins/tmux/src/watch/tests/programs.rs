//! Which agent a command line runs, and which has a pane's terminal: with command lines as the real packages make them,
//! and with real processes in a real tmux.

use super::{super::foreground, shipped};
use crate::watch::{Rules, Settings};
use headwater_plugin::serde_json::{self, json};
use std::{
    fs,
    os::unix::fs::symlink,
    path::PathBuf,
    process::{Command, Output},
    time::{Duration, Instant},
};

#[track_caller]
fn agent_of(line: &str) -> Option<String> {
    let argv: Vec<&str> = line.split(' ').collect();
    shipped().agent_of(&argv).map(str::to_owned)
}

#[test]
fn agents_are_known_by_what_runs() {
    for line in [
        // As they were seen: the native program, by its name and by its path.
        "claude",
        "/home/me/.local/bin/claude --continue",
        "/opt/node_modules/@anthropic-ai/claude-code-linux-x64/claude -p hello",
        // As npm's link to a script, and as the script that it leads to.
        "node /usr/local/bin/claude",
        "/usr/bin/node --max-old-space-size=8192 /home/me/.nvm/bin/claude --resume x",
        "node /usr/lib/node_modules/@anthropic-ai/claude-code/cli.js",
        "node --import tsx /home/me/claude/cli.js",
        "bun /home/me/.bun/bin/claude",
        "npx @anthropic-ai/claude-code",
        "npx -y @anthropic-ai/claude-code@latest --continue",
        "npm exec @anthropic-ai/claude-code",
        "pnpm dlx @anthropic-ai/claude-code",
        "sh -c claude",
        "env CLAUDE_CONFIG_DIR=/x claude",
        "sudo -u me node /usr/bin/claude",
    ] {
        assert_eq!(agent_of(line).as_deref(), Some("claude"), "{line}");
    }
    for line in [
        "codex",
        "node /home/me/node_modules/.bin/codex",
        "node /home/me/node_modules/@openai/codex/bin/codex.js exec",
        "/home/me/node_modules/@openai/codex-linux-x64/vendor/x86_64-unknown-linux-musl/bin/codex",
    ] {
        assert_eq!(agent_of(line).as_deref(), Some("codex"), "{line}");
    }
    assert_eq!(agent_of("opencode").as_deref(), Some("opencode"));
    assert_eq!(agent_of("/opt/opencode-linux-x64/bin/opencode run hi").as_deref(), Some("opencode"));
    assert_eq!(agent_of("node /usr/lib/node_modules/.bin/gemini").as_deref(), Some("gemini"));
    assert_eq!(
        agent_of("/usr/bin/node --max-old-space-size=12052 /usr/lib/node_modules/@google/gemini-cli/bundle/gemini.js")
            .as_deref(),
        Some("gemini")
    );
    // A title that a program gives itself is one word.
    assert_eq!(shipped().agent_of(&["npm exec @openai/codex"]), Some("codex"));
    assert_eq!(shipped().agent_of(&["sh", "-c", "claude --continue"]), Some("claude"));
}

/// Somebody who reads about an agent is not working with one.
#[test]
fn what_only_names_an_agent_is_none() {
    for line in [
        "vim claude",
        "less /home/me/claude/cli.js",
        "grep -r claude .",
        "bash",
        "-bash",
        "node server.js --agent claude",
        "node /home/me/claude-notes/server.js",
        "npm run claude-docs",
        "git -C /home/me/codex log",
        "ssh host claude",
        "claudette",
        "python3 -m http.server",
        "tail -f codex.log",
        "",
    ] {
        assert_eq!(agent_of(line), None, "{line}");
    }
    assert_eq!(shipped().agent_of::<&str>(&[]), None);
    assert_eq!(shipped().agent_of(&["", ""]), None);
}

#[test]
fn the_settings_may_name_further_agents() {
    let agent = json!({ "name": "aider", "programs": ["aider"], "packages": ["aider-chat"] });
    let settings: Settings = serde_json::from_value(json!({ "agents": [agent], "shipped": false })).unwrap();
    let rules = Rules::new(&settings).unwrap();
    assert_eq!(rules.agent_of(&["/usr/bin/python3.12", "/home/me/.local/bin/aider"]), Some("aider"));
    assert_eq!(rules.agent_of(&["uvx", "aider-chat"]), Some("aider"));
    assert_eq!(rules.agent_of(&["claude"]), None, "the shipped ones do not count");
}

/// A tmux server of its own, which ends with it.
struct Server {
    directory: tempfile::TempDir,
}

impl Server {
    /// A server in whose only pane this is typed at a shell's prompt. `{}` in it is a directory in which programs called
    /// `claude` and `other` block, and `up` tells the test that all that stands before it runs.
    fn run(command: &str) -> Self {
        let server = Self::new();
        server.begin("sh");
        server.tmux(&["send-keys", "-l", &server.line(command)]);
        server.tmux(&["send-keys", "Enter"]);
        server.tmux(&["wait-for", "up"]);
        server
    }

    /// A server whose only pane was made to run this, as in `tmux new-window '…'`: its shell has no job control.
    fn made_for(command: &str) -> Self {
        let server = Self::new();
        server.begin(&server.line(command));
        server.tmux(&["wait-for", "up"]);
        server
    }

    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let tmux = Self::tmux_itself();
        for name in ["claude", "other"] {
            symlink(&tmux, directory.path().join(name)).unwrap();
        }
        Self { directory }
    }

    fn begin(&self, command: &str) {
        self.tmux(&["-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24", command]);
    }

    fn line(&self, command: &str) -> String {
        let here = self.directory.path().display().to_string();
        command.replace("{}", &here).replace("{s}", &format!("{here}/s"))
    }

    /// Where the program is: a link to it is a program of another name that can block and tell.
    fn tmux_itself() -> PathBuf {
        let paths = std::env::var_os("PATH").unwrap();
        std::env::split_paths(&paths)
            .map(|path| path.join("tmux"))
            .find(|path| path.is_file())
            .expect("tmux is installed")
    }

    #[track_caller]
    fn tmux(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new("tmux");
        let output = command.arg("-S").arg(self.directory.path().join("s")).args(arguments).env_remove("TMUX").output();
        let output = output.unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        output
    }

    fn pane_pid(&self) -> u32 {
        let output = self.tmux(&["display-message", "-p", "#{pane_pid}"]).stdout;
        String::from_utf8(output).unwrap().trim().parse().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let mut command = Command::new("tmux");
        let _ = command.arg("-S").arg(self.directory.path().join("s")).arg("kill-server").output();
    }
}

/// Tells `up`, then blocks until the server ends.
const BLOCK: &str = r"-S {s} wait-for -S up \; wait-for never";

#[test]
fn a_shell_at_its_prompt_is_no_agent() {
    let server = Server::run("PATH=$PATH; tmux -S {s} wait-for -S up");
    let rules = shipped();
    // The shell has its terminal back as soon as the program has ended.
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut process = foreground(&rules, server.pane_pid()).unwrap();
    while process.pid != server.pane_pid() {
        assert!(Instant::now() < deadline, "{process:?}");
        process = foreground(&rules, server.pane_pid()).unwrap();
    }
    assert_eq!((process.agent, process.argv), (None, vec!["sh".to_owned()]));
}

#[test]
fn the_program_in_the_foreground_is_found_and_names_itself() {
    let server = Server::run(&format!("{{}}/claude {BLOCK}"));
    let process = foreground(&shipped(), server.pane_pid()).unwrap();
    assert_eq!(process.agent.as_deref(), Some("claude"));
    assert!(process.argv[0].ends_with("/claude"), "{:?}", process.argv);
    assert_ne!(process.pid, server.pane_pid());
    assert!(process.age.unwrap().as_secs() < 60, "{:?}", process.age);
    assert!(foreground(&shipped(), server.pane_pid()).unwrap().is(&process));
}

#[test]
fn an_agent_that_the_pane_runs_without_a_shell_is_found() {
    let server = Server::run(&format!("exec {{}}/claude {BLOCK}"));
    let process = foreground(&shipped(), server.pane_pid()).unwrap();
    assert_eq!((process.agent.as_deref(), process.pid), (Some("claude"), server.pane_pid()));
}

/// A wrapper that is called as one likes, and the agent below it.
#[test]
fn an_agent_below_a_script_is_found() {
    let server = Server::run(&format!("sh -c 'true; {{}}/claude {BLOCK}; true'"));
    let process = foreground(&shipped(), server.pane_pid()).unwrap();
    assert_eq!(process.agent.as_deref(), Some("claude"), "{:?}", process.argv);
}

/// Its shell has no job control: all of it is one process group, whose leader is the shell.
#[test]
fn an_agent_that_the_command_of_the_pane_starts_is_found() {
    for command in ["{}/claude", "cd / && true; {}/claude"] {
        let server = Server::made_for(&format!("{command} {BLOCK}; true"));
        let process = foreground(&shipped(), server.pane_pid()).unwrap();
        assert_eq!(process.agent.as_deref(), Some("claude"), "{:?}", process.argv);
        assert_ne!(process.pid, server.pane_pid(), "the shell stays when the agent goes");
        assert!(process.argv[0].ends_with("/claude"), "{:?}", process.argv);
    }
}

#[test]
fn a_shell_that_was_asked_for_an_agent_is_none_when_that_has_ended() {
    let server = Server::made_for("{}/claude -V; {}/other -S {s} wait-for -S up; read x");
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut process = foreground(&shipped(), server.pane_pid()).unwrap();
    // The program that told `up` may not have ended yet.
    while process.pid != server.pane_pid() || process.argv[0].ends_with("/other") {
        assert!(Instant::now() < deadline, "{process:?}");
        process = foreground(&shipped(), server.pane_pid()).unwrap();
    }
    assert_eq!(process.agent, None, "{:?}", process.argv);
}

/// The leader of the group has ended, the agent behind the pipe has not.
#[test]
fn an_agent_in_a_pipe_is_found() {
    let server = Server::run(&format!("true | {{}}/claude {BLOCK}"));
    let process = foreground(&shipped(), server.pane_pid()).unwrap();
    assert_eq!(process.agent.as_deref(), Some("claude"), "{:?}", process.argv);
}

#[test]
fn an_agent_in_the_background_is_not_in_the_foreground() {
    let server = Server::run(&format!("{{}}/claude -S {{s}} wait-for never & {{}}/other {BLOCK}"));
    let process = foreground(&shipped(), server.pane_pid()).unwrap();
    assert_eq!(process.agent, None);
    assert!(process.argv[0].ends_with("/other"), "{:?}", process.argv);
}

/// Sessions and windows are called as one likes, and so are directories.
#[test]
fn names_of_sessions_and_directories_say_nothing() {
    let server = Server::run(&format!("mkdir {{}}/codex; cd {{}}/codex; {{}}/other {BLOCK}"));
    server.tmux(&["rename-session", "claude"]);
    server.tmux(&["rename-window", "codex"]);
    assert_eq!(foreground(&shipped(), server.pane_pid()).unwrap().agent, None);
}

#[test]
fn a_process_that_does_not_exist_has_no_foreground() {
    let none: u32 = fs::read_to_string("/proc/sys/kernel/pid_max").unwrap().trim().parse().unwrap();
    assert_eq!(foreground(&shipped(), none + 1), None);
}
