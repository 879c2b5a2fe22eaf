//! MCP servers: which there are, how they are, who runs them.

pub mod discovery;
pub mod health;
#[allow(dead_code)]
mod probe;
#[allow(dead_code)]
pub mod process;
pub mod restart;
