//! What is said about a command, from its acceptance to its end.

use super::{begin, count, end, json};
use crate::{Reply, text};

/// Appends one of the four replies to commands.
pub(super) fn reply(reply: &Reply<'_>, out: &mut Vec<u8>) {
    let id = match reply {
        Reply::CommandAccepted { request_id, execution_id, message, estimated_completion_ms } => {
            begin(out, "command_response");
            text::pair(out, "status", "accepted");
            text::pair(out, "execution_id", execution_id);
            if let Some(message) = message {
                text::pair(out, "message", message);
            }
            if let Some(ms) = estimated_completion_ms {
                count(out, "estimated_completion_ms", *ms);
            }
            request_id
        }
        Reply::CommandProgress { request_id, execution_id, progress, details } => {
            begin(out, "command_progress");
            text::pair(out, "execution_id", execution_id);
            json(out, "progress", progress);
            if let Some(details) = details {
                json(out, "details", details);
            }
            request_id
        }
        Reply::CommandCompleted { request_id, execution_id, result } => {
            begin(out, "command_completed");
            text::pair(out, "execution_id", execution_id);
            text::pair(out, "status", "success");
            json(out, "result", result);
            request_id
        }
        Reply::CommandError { request_id, failure } => {
            begin(out, "command_error");
            text::pair(out, "error_code", &failure.code);
            text::pair(out, "message", &failure.message);
            if let Some(details) = &failure.details {
                json(out, "details", details);
            }
            if let Some(action) = &failure.suggested_action {
                text::pair(out, "suggested_action", action);
            }
            request_id
        }
        _ => unreachable!("called with the four replies to commands only"),
    };
    end(out, Some(id));
}
