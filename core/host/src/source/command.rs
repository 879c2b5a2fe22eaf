//! A command on its way to an instance, and the answers on their way back.

use crate::command::{Answer, CommandError, CommandRefused, Progress};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::{collections::HashMap, fmt};

/// The code of a command whose source ended before it answered. It may have been carried out.
const OUTCOME_UNKNOWN: &str = "outcome_unknown";

/// Where answers go.
pub(crate) type Answers = Box<dyn Fn(Answer) + Send + Sync>;

/// A command that no instance has yet.
pub(crate) struct Command {
    pub(crate) request: u64,
    pub(crate) name: String,
    /// The message for the source, as JSON.
    pub(crate) json: Vec<u8>,
    pub(crate) answers: Answers,
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Command").field("request", &self.request).field("name", &self.name).finish_non_exhaustive()
    }
}

impl Command {
    /// Checks the parameters and writes the message.
    pub(crate) fn new(
        request: u64,
        name: &str,
        parameters: &RawValue,
        caller: Option<&str>,
        answers: Answers,
    ) -> Result<Self, CommandRefused> {
        #[derive(Serialize)]
        struct Message<'a> {
            kind: &'a str,
            request: u64,
            name: &'a str,
            parameters: &'a RawValue,
            #[serde(skip_serializing_if = "Option::is_none")]
            caller: Option<&'a str>,
        }
        if !parameters.get().starts_with('{') {
            let what: String = parameters.get().chars().take(40).collect();
            return Err(CommandRefused::Malformed(format!("`{what}` is none")));
        }
        let message = Message { kind: "command", request, name, parameters, caller };
        let json = serde_json::to_vec(&message).map_err(|error| CommandRefused::Malformed(error.to_string()))?;
        Ok(Self { request, name: name.to_owned(), json, answers })
    }

    /// Answers a command that no instance gets.
    pub(crate) fn refuse(&self, code: &str, message: &str) {
        (self.answers)(error(code, message));
    }
}

/// The commands that one instance has and has not finished. They do not pass to another instance.
#[derive(Default)]
pub(crate) struct Pending(HashMap<u64, (String, Answers)>);

impl Pending {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The instance has it now.
    pub(crate) fn add(&mut self, command: Command) {
        self.0.insert(command.request, (command.name, command.answers));
    }

    /// Passes an answer on. An answer to what was not asked, or was finished, goes nowhere.
    pub(crate) fn answer(&mut self, request: u64, answer: Answer) {
        if answer.is_last() {
            if let Some((_, answers)) = self.0.remove(&request) {
                answers(answer);
            }
        } else if let Some((_, answers)) = self.0.get(&request) {
            answers(answer);
        }
    }

    /// The instance has ended: nobody knows what became of the rest.
    pub(crate) fn end(&mut self, source: &str, reason: &str) {
        for (_, (name, answers)) in self.0.drain() {
            answers(error(
                OUTCOME_UNKNOWN,
                &format!(
                    "the source `{source}` ended ({reason}) before it answered `{name}`; it may have been carried out"
                ),
            ));
        }
    }
}

/// What a source says to a request.
#[derive(Debug)]
pub(crate) enum Reply {
    /// To a heartbeat.
    Alive,
    /// To no request: events that it dropped itself, because its queue was full.
    Dropped { channel: String, count: u64 },
    /// To a command.
    Answer(Answer),
}

impl Reply {
    /// Reads the JSON of a reply. What cannot be read becomes an error, so that the asker is answered.
    pub(crate) fn read(json: &[u8]) -> Self {
        Self::parse(json).unwrap_or_else(|reason| {
            Self::Answer(error("INTERNAL_ERROR", &format!("the source's answer cannot be read: {reason}")))
        })
    }

    fn parse(json: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Raw {
            status: String,
            message: Option<String>,
            estimated_completion_ms: Option<u64>,
            result: Option<Box<RawValue>>,
            channel: Option<String>,
            count: Option<u64>,
        }
        let text = |error: serde_json::Error| error.to_string();
        let raw: Raw = serde_json::from_slice(json).map_err(text)?;
        Ok(Self::Answer(match raw.status.as_str() {
            "alive" => return Ok(Self::Alive),
            "dropped" => {
                let channel = raw.channel.unwrap_or_default();
                return Ok(Self::Dropped { channel, count: raw.count.unwrap_or(0) });
            }
            "accepted" => {
                Answer::Accepted { message: raw.message, estimated_completion_ms: raw.estimated_completion_ms }
            }
            "progress" => Answer::Progress(serde_json::from_slice::<Progress>(json).map_err(text)?),
            "completed" => Answer::Completed { result: raw.result.unwrap_or_else(|| RawValue::NULL.to_owned()) },
            "error" => Answer::Error(serde_json::from_slice::<CommandError>(json).map_err(text)?),
            other => return Err(format!("`{other}` is no status")),
        }))
    }
}

fn error(code: &str, message: &str) -> Answer {
    Answer::Error(CommandError {
        error_code: code.to_owned(),
        message: message.to_owned(),
        details: None,
        suggested_action: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.to_owned()).unwrap()
    }

    fn heard() -> (Arc<Mutex<Vec<String>>>, Answers) {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let into = heard.clone();
        let answers: Answers = Box::new(move |answer| {
            into.lock().unwrap().push(match answer {
                Answer::Accepted { message, .. } => format!("accepted {}", message.unwrap_or_default()),
                Answer::Progress(progress) => format!("{}%", progress.completion_percent.unwrap_or(0.0)),
                Answer::Completed { result } => result.get().to_owned(),
                Answer::Error(error) => format!("{}: {}", error.error_code, error.message),
            });
        });
        (heard, answers)
    }

    #[test]
    fn a_command_has_an_object_for_parameters() {
        let command = |json| Command::new(7, "measure", &raw(json), Some("cli"), heard().1);
        let json = command(r#"{"path":"/"}"#).unwrap().json;
        assert_eq!(
            String::from_utf8(json).unwrap(),
            r#"{"kind":"command","request":7,"name":"measure","parameters":{"path":"/"},"caller":"cli"}"#
        );
        let error = command("[1]").unwrap_err().to_string();
        assert_eq!(error, "the parameters of a command are a JSON object: `[1]` is none");
    }

    #[test]
    fn answers_arrive_until_the_last_one() {
        let (heard, answers) = heard();
        let mut pending = Pending::default();
        pending.add(Command::new(7, "measure", &raw("{}"), None, answers).unwrap());
        for json in [
            r#"{"status":"accepted","message":"soon"}"#,
            r#"{"status":"progress","completion_percent":50}"#,
            r#"{"status":"completed","result":{"free":1}}"#,
            r#"{"status":"completed","result":"twice"}"#,
        ] {
            let Reply::Answer(answer) = Reply::read(json.as_bytes()) else { panic!("{json}") };
            pending.answer(7, answer);
        }
        assert_eq!(*heard.lock().unwrap(), ["accepted soon", "50%", r#"{"free":1}"#]);
        assert_eq!(pending.len(), 0);
    }

    #[test]
    fn what_an_ended_source_did_not_answer_is_unknown() {
        let (heard, answers) = heard();
        let mut pending = Pending::default();
        pending.add(Command::new(7, "measure", &raw("{}"), None, answers).unwrap());
        pending.end("disk", "killed by signal 9 (SIGKILL)");
        assert_eq!(
            *heard.lock().unwrap(),
            [
                "outcome_unknown: the source `disk` ended (killed by signal 9 (SIGKILL)) before it answered `measure`; it may have been carried out"
            ]
        );
    }

    #[test]
    fn what_cannot_be_read_answers_too() {
        for json in [r#"{"status":"done"}"#, "{", r#"{"status":"error","message":"no code"}"#] {
            let Reply::Answer(Answer::Error(error)) = Reply::read(json.as_bytes()) else { panic!("{json}") };
            assert_eq!(error.error_code, "INTERNAL_ERROR");
        }
        assert!(matches!(Reply::read(br#"{"status":"alive"}"#), Reply::Alive));
        let dropped = Reply::read(br#"{"status":"dropped","channel":"x","count":3}"#);
        assert!(matches!(dropped, Reply::Dropped { count: 3, .. }));
    }
}
