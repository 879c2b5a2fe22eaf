//! One file for each client's format: from bytes to servers, and to what is wrong. Pure; nothing is read or run.

mod claude_code;
mod codex;
mod entry;
mod gemini;
mod mcp_servers;
mod opencode;
mod reading;
mod vscode;

pub(crate) use reading::{Problem, Reading};

use super::{
    place::Place,
    server::{Client, Origin},
};

/// Files that name more servers than this are taken for something else.
pub(crate) const MOST: usize = 512;

/// Reads a file of one of the clients.
pub(crate) fn read(place: &Place, text: &[u8]) -> Reading {
    let read = match place.client {
        Client::McpJson | Client::ClaudeDesktop | Client::Cursor => mcp_servers::read,
        Client::ClaudeCode => claude_code::read,
        Client::Vscode => vscode::read,
        Client::Codex => codex::read,
        Client::Gemini => gemini::read,
        Client::Opencode => opencode::read,
    };
    let origin = Origin { client: place.client, file: place.file.clone(), project: place.project.clone() };
    read(&origin, text)
}

#[cfg(test)]
mod tests;
