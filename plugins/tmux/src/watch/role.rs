//! What the role of a pane is called in `agent_type`, as Tmux-Orchestrator names roles.

/// The role of a pane: of an agent its name, as in `CLAUDE_AGENT`; otherwise what the window's name says; otherwise `SHELL`
/// for a shell, and `UNKNOWN` for what nothing is known of. `command` is what tmux calls the current command.
pub fn agent_type(agent: Option<&str>, window_name: &str, command: &str) -> String {
    if let Some(agent) = agent {
        let word: String =
            agent.chars().map(|c| if c.is_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect();
        return format!("{word}_AGENT");
    }
    let window = window_name.to_ascii_lowercase();
    let role = match window.as_str() {
        "pm" => "PROJECT_MANAGER",
        name if name.contains("project-manager") => "PROJECT_MANAGER",
        "server" | "dev" => "DEV_SERVER",
        name if name.contains("dev-server") => "DEV_SERVER",
        "shell" => "SHELL",
        _ if SHELLS.contains(&command.trim_start_matches('-')) => "SHELL",
        _ => "UNKNOWN",
    };
    role.to_owned()
}

const SHELLS: [&str; 8] = ["sh", "bash", "zsh", "fish", "dash", "ksh", "nu", "tcsh"];
