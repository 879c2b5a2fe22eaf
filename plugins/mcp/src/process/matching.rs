//! Whether a running process is the server that a config names, by its command line. Pure.
//!
//! A client starts a server as the config says, but what then runs is called otherwise: a script runs in its interpreter,
//! and runners of packages call themselves something else. Each rule here was seen on the real thing.

/// Interpreters that stand before a script.
const INTERPRETERS: [&str; 12] =
    ["python", "python2", "python3", "node", "nodejs", "bun", "deno", "ruby", "perl", "sh", "bash", "dash"];

/// Flags of `npx` that are not in the title that npm gives itself.
const NPX_FLAGS: [&str; 4] = ["-y", "--yes", "-q", "--quiet"];

/// Whether a process with this command line was started as `command args…`.
pub fn is_it(command: &str, args: &[String], argv: &[String]) -> bool {
    let Some(program) = argv.first() else { return false };
    let rest = &argv[1..];
    if same_program(command, program) && rest == args {
        return true;
    }
    // `#!/usr/bin/env node`: the interpreter, perhaps with options of its own, then the script.
    if interprets(program) {
        let script = rest.iter().position(|word| !word.starts_with('-'));
        if let Some(at) = script
            && same_program(command, &rest[at])
            && rest[at + 1..] == *args
        {
            return true;
        }
    }
    match base(command) {
        // npm's title is one word, with spaces: `npm exec @scope/server arg`.
        "npx" => {
            let wanted: Vec<&str> = args.iter().map(String::as_str).filter(|arg| !NPX_FLAGS.contains(arg)).collect();
            let title = argv.join(" ");
            !wanted.is_empty() && title.trim_end() == format!("npm exec {}", wanted.join(" "))
        }
        // `uvx x` goes on as `uv tool uvx x`.
        "uvx" => {
            base(program) == "uv"
                && matches!(rest, [tool, uvx, more @ ..] if tool == "tool" && uvx == "uvx" && more == args)
        }
        _ => false,
    }
}

/// A command is named by its path or by what is found in `PATH`; the process has either.
fn same_program(command: &str, program: &str) -> bool {
    if command.contains('/') && program.contains('/') { command == program } else { base(command) == base(program) }
}

fn base(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

fn interprets(program: &str) -> bool {
    let name = base(program);
    let plain = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    INTERPRETERS.contains(&name) || (plain != name && INTERPRETERS.contains(&plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    fn matches(configured: &str, running: &[&str]) -> bool {
        let words = words(configured);
        let argv: Vec<String> = running.iter().map(|word| (*word).to_owned()).collect();
        is_it(&words[0], &words[1..], &argv)
    }

    #[test]
    fn what_clients_start_is_found_under_the_name_that_it_then_has() {
        for (configured, running) in [
            ("node server.js --port 1", &["node", "server.js", "--port", "1"][..]),
            ("node server.js", &["/usr/bin/node", "server.js"]),
            ("/opt/x/server", &["/opt/x/server"]),
            (
                "mcp-server-time --tz UTC",
                &["/usr/bin/python3.11", "/home/me/.local/bin/mcp-server-time", "--tz", "UTC"],
            ),
            ("mcp-server-memory", &["node", "--enable-source-maps", "/usr/local/bin/mcp-server-memory"]),
            ("npx -y @modelcontextprotocol/server-memory", &["npm exec @modelcontextprotocol/server-memory"]),
            ("npx -y server-filesystem /tmp", &["npm exec server-filesystem /tmp"]),
            ("uvx mcp-server-git --repository /r", &["uv", "tool", "uvx", "mcp-server-git", "--repository", "/r"]),
        ] {
            assert!(matches(configured, running), "{configured} {running:?}");
        }
    }

    /// A process that is not the server must not be told as its life, nor its end as the server's.
    #[test]
    fn nothing_else_is_taken_for_it() {
        for (configured, running) in [
            ("node server.js", &["node", "server.js", "--port", "1"][..]),
            ("node server.js", &["node", "other.js"]),
            ("node server.js", &["vim", "server.js"]),
            ("server", &["grep", "server"]),
            ("/opt/x/server", &["/opt/y/server"]),
            ("npx -y a", &["npm exec b"]),
            ("npx -y", &["npm exec"]),
            ("uvx a", &["uv", "tool", "run", "b"]),
            ("cat", &["python3", "dog"]),
            ("x", &[]),
        ] {
            assert!(!matches(configured, running), "{configured} {running:?}");
        }
    }
}
