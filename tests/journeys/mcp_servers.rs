//! Real MCP servers, from other people's registries, under the source `mcp` of a real daemon: found in a project's `.mcp.json`,
//! started once their hashes are allowed, asked, and then hurt in each way that a server can be. What Headwater tells is compared with a
//! golden story; how soon it tells is `cargo xtask bench servers`.

mod bad;
mod canary;
mod files;
mod program;
mod scene;
mod six;
mod story;

use program::Program;
use scene::{Scene, signal};
use story::Word;
