//! Commands on their way to a source, and their answers on the way back. At most once: none is ever sent again.

use super::{connection::Connection, mailbox::Mail, shard::Shard};
use crate::{
    metrics::is_fault,
    ports::{AnswerSink, CommandAnswer, CommandCall},
};
use headwater_protocol::{CommandFailure, CommandRequest, ErrorCode, Reply, RequestId};
use std::{rc::Rc, sync::Arc, time::Instant};

/// The most commands of one connection that may be in flight. Each holds memory here and in a source.
const MAX_IN_FLIGHT: usize = 64;

impl Shard {
    /// Hands a command to its source.
    pub(super) fn command(&mut self, connection: &Rc<Connection>, command: CommandRequest) {
        let CommandRequest { target, parameters, request_id } = command;
        let refusal = {
            let in_flight = connection.commands.borrow();
            if in_flight.contains(&request_id) {
                Some((ErrorCode::Validation, "a command with this request_id is in flight; use another one"))
            } else if in_flight.len() >= MAX_IN_FLIGHT {
                Some((ErrorCode::RateLimit, "too many commands in flight; wait for an answer"))
            } else {
                None
            }
        };
        if let Some((code, message)) = refusal {
            self.metrics.error(code);
            let failure = failure(code, message.into(), None);
            connection.reply(&Reply::CommandError { request_id, failure });
            return;
        }
        self.executions += 1;
        let execution_id = format!("exec_{:x}_{}", connection.id, self.executions);
        let (mailbox, id) = (self.mailbox.clone(), connection.id);
        let (metrics, began) = (self.metrics.clone(), Instant::now());
        let answers: AnswerSink = {
            let request_id = request_id.clone();
            Arc::new(move |answer| {
                match &answer {
                    CommandAnswer::Completed { .. } => metrics.commanded(began.elapsed(), false),
                    CommandAnswer::Failed(failure) => metrics.commanded(began.elapsed(), is_fault(&failure.code)),
                    CommandAnswer::Accepted { .. } | CommandAnswer::Progress { .. } => {}
                }
                let (request_id, execution_id) = (request_id.clone(), execution_id.clone());
                mailbox.put(Mail::Answer { connection: id, request_id, execution_id, answer });
            })
        };
        let call = CommandCall { target, parameters, connection: connection.name().into() };
        match self.ports.command(call, answers) {
            Ok(()) => connection.commands.borrow_mut().push(request_id),
            Err(refused) => {
                self.metrics.error(refused.code);
                self.metrics.commanded(began.elapsed(), is_fault(refused.code.as_str()));
                let failure = failure(refused.code, refused.message, refused.suggested_action);
                connection.reply(&Reply::CommandError { request_id, failure });
            }
        }
    }

    /// Passes an answer on, if its connection is still there.
    pub(super) fn answer(&mut self, id: u64, request_id: &RequestId, execution_id: &str, answer: CommandAnswer) {
        let Some(connection) = self.connection(id) else { return };
        let request_id = request_id.clone();
        if matches!(answer, CommandAnswer::Completed { .. } | CommandAnswer::Failed(_)) {
            connection.commands.borrow_mut().retain(|open| *open != request_id);
        }
        connection.reply(&match answer {
            CommandAnswer::Accepted { message, estimated_completion_ms } => {
                Reply::CommandAccepted { request_id, execution_id, message, estimated_completion_ms }
            }
            CommandAnswer::Progress { progress, details } => {
                Reply::CommandProgress { request_id, execution_id, progress, details }
            }
            CommandAnswer::Completed { result } => Reply::CommandCompleted { request_id, execution_id, result },
            CommandAnswer::Failed(failure) => Reply::CommandError { request_id, failure },
        });
        self.flush_control(&connection);
    }
}

fn failure(code: ErrorCode, message: String, suggested_action: Option<String>) -> CommandFailure {
    CommandFailure { code: code.as_str().into(), message, details: None, suggested_action }
}
