//! MCP servers: which there are, how they are, who runs them.

mod commands;
mod config;
pub mod discovery;
mod emit;
mod evidence;
mod fleet;
pub mod health;
mod past;
mod probe;
pub mod process;
pub mod restart;
mod source;

pub use config::Config;
pub use source::Mcp;

headwater_plugin::export_source!(Mcp {
    emits: ["mcp_servers", "error_alerts"],
    reads: ["agent_hooks", "mcp_traffic", "mcp_servers"],
    commands: [
        /// All MCP servers, with what is known of each.
        list_mcp_servers(monitor),
        /// One MCP server.
        get_mcp_server(monitor): commands::GetServer,
        /// Starts, ends or restarts an MCP server that runs here.
        control_mcp_server: commands::ControlServer,
    ],
});
