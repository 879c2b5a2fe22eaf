//! Which agent a command line runs. A session's or window's name never says so: people call them as they like, and an agent
//! ends while its window stays.

use super::settings::AgentConfig;

/// Programs that run the file or package that their arguments name.
const RUNNERS: [&str; 22] = [
    "node", "nodejs", "bun", "bunx", "deno", "npx", "npm", "pnpm", "pnpx", "yarn", "python", "python3", "uv", "uvx",
    "pipx", "ruby", "sh", "bash", "zsh", "dash", "env", "sudo",
];

/// What follows a runner's name and is neither option nor file.
const VERBS: [&str; 5] = ["run", "exec", "x", "dlx", "tool"];

/// Options whose value is another word, and no file.
const VALUED: [&str; 9] = ["-r", "--require", "--import", "--loader", "-u", "-C", "-p", "--package", "-I"];

/// Arguments that are looked at. The file stands among the first.
const MOST: usize = 16;

/// The agents and how to know them.
#[derive(Debug)]
pub(super) struct Programs {
    agents: Vec<AgentConfig>,
}

impl Programs {
    pub(super) fn new(agents: &[AgentConfig]) -> Self {
        Self { agents: agents.to_vec() }
    }

    pub(super) fn output_means_busy(&self, agent: &str) -> bool {
        self.agents.iter().any(|known| known.name == agent && known.output_means_busy)
    }

    pub(super) fn agent_of<S: AsRef<str>>(&self, argv: &[S]) -> Option<&str> {
        let mut words: Vec<&str> = argv.iter().map(AsRef::as_ref).take(MOST).collect();
        // A program that has given itself a title has all of it in one word: "npm exec @openai/codex".
        if let [title] = words[..]
            && !title.starts_with('/')
        {
            words = title.split_whitespace().take(MOST).collect();
        }
        let (program, arguments) = words.split_first()?;
        let program = file_name(program);
        if let Some(agent) = self.by_program(program) {
            return Some(agent);
        }
        if !RUNNERS.contains(&without_version(program)) {
            return None;
        }
        let mut skip = false;
        for argument in arguments {
            if std::mem::take(&mut skip) {
                // `npx --package @openai/codex codex` says it twice; the file is what runs.
                continue;
            }
            // `sh -c "claude --continue"`: the command is one word.
            let word = argument.split_whitespace().next().unwrap_or_default();
            if word.starts_with('-') {
                skip = VALUED.contains(&word);
                continue;
            }
            if VERBS.contains(&word) || is_assignment(word) {
                continue;
            }
            if let Some(agent) = self.by_file(word) {
                return Some(agent);
            }
            // A runner that runs a runner: `sudo node cli.js`.
            if !RUNNERS.contains(&without_version(file_name(word))) {
                return None;
            }
        }
        None
    }

    fn by_program(&self, name: &str) -> Option<&str> {
        let runs = |agent: &&AgentConfig| agent.programs.iter().any(|program| program == name);
        self.agents.iter().find(runs).map(|agent| agent.name.as_str())
    }

    /// By a script's path, or by a package as a runner is asked for it.
    fn by_file(&self, word: &str) -> Option<&str> {
        let path = format!("/{}/", word.trim_matches('/').replace('\\', "/"));
        let holds = |package: &String| path.contains(&format!("/{package}/")) || without_tag(word) == package;
        let packaged = |agent: &&AgentConfig| agent.packages.iter().any(holds);
        let by_package = self.agents.iter().find(packaged).map(|agent| agent.name.as_str());
        by_package.or_else(|| self.by_program(file_name(word))).or_else(|| {
            // `…/claude/cli.js`: the file's name says nothing, its directory does.
            let mut parts = word.rsplit('/');
            let generic = parts.next().is_some_and(|file| GENERIC.contains(&stem(file)));
            if generic { parts.next().and_then(|directory| self.by_program(directory)) } else { None }
        })
    }
}

/// `env NAME=value program`
fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
}

/// Names of files that say nothing about the program.
const GENERIC: [&str; 5] = ["cli", "index", "main", "__main__", "start"];

/// The last part of a path, without what a login shell puts before it and scripts have behind it.
fn file_name(path: &str) -> &str {
    stem(path.rsplit(['/', '\\']).next().unwrap_or(path).trim_start_matches('-'))
}

fn stem(file: &str) -> &str {
    const ENDINGS: [&str; 7] = [".js", ".mjs", ".cjs", ".ts", ".py", ".exe", ".sh"];
    ENDINGS.iter().find_map(|ending| file.strip_suffix(ending)).filter(|stem| !stem.is_empty()).unwrap_or(file)
}

/// `python3.12` is `python3`.
fn without_version(program: &str) -> &str {
    program.split_once('.').map_or(program, |(name, _)| name)
}

/// `@openai/codex@latest` is `@openai/codex`.
fn without_tag(word: &str) -> &str {
    match word.rfind('@') {
        Some(at) if at > 0 => &word[..at],
        _ => word,
    }
}
