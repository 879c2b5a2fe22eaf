//! MCP servers: which there are, how they are, who runs them.

pub mod discovery;
