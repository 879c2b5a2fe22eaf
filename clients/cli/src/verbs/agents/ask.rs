//! Asks the source `agents` who there is, and says why it does not answer.

use super::answer::Answer;
use crate::{Failure, verbs::read};
use headwater_client::{Answer as Reply, Client, Error, Item, SourceSummary, Step};
use serde_json::value::RawValue;
use std::time::Duration;
use tokio::time::timeout;

/// The source.
const SOURCE: &str = "agents";
/// Its command.
const COMMAND: &str = "agents/get_status";
/// How long the source may think about it. It has the answer in memory.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Unanswered {
    /// There will be one in a moment: the daemon or the source starts.
    Starting(&'static str),
    /// There may be one later: the source has failed, is busy, or is away.
    Yet(Failure),
    /// The source is not enabled.
    Disabled,
    /// Asking again would be no better.
    Never(Failure),
}

impl From<Unanswered> for Failure {
    fn from(unanswered: Unanswered) -> Self {
        match unanswered {
            Unanswered::Yet(failure) | Unanswered::Never(failure) => failure,
            Unanswered::Starting(who) => Self::Away(format!("{who} is starting; try again in a moment")),
            Unanswered::Disabled => Self::Other(format!(
                "the source `{SOURCE}` is not enabled; enable it: headwater source enable {SOURCE}"
            )),
        }
    }
}

impl Unanswered {
    /// The same for somebody who goes on waiting.
    pub(super) fn waiting(self) -> String {
        match self {
            Self::Starting(who) => format!("{who} is starting; waiting"),
            other => format!("{}; waiting", Failure::from(other)),
        }
    }
}

impl From<Failure> for Unanswered {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Away(_) => Self::Yet(failure),
            failure => Self::Never(failure),
        }
    }
}

impl From<Error> for Unanswered {
    fn from(error: Error) -> Self {
        match error {
            // The source is busy, restarts, or was ended while it was asked.
            error @ Error::Refused(_) => Self::Yet(error.into()),
            error => Failure::from(error).into(),
        }
    }
}

/// Asks once.
pub(super) async fn ask(client: &Client) -> Result<Answer, Unanswered> {
    let asked = timeout(PATIENCE, async {
        let mut stream = client.stream().await?;
        let parameters = RawValue::from_string("{}".to_owned()).expect("invariant: this is JSON");
        let request = stream.command(COMMAND, &parameters).await?;
        loop {
            match stream.next().await {
                Item::Answer(Reply { request_id, step, .. }) if request_id == request => match step {
                    Step::Completed { result } => {
                        stream.close().await;
                        return Ok(Answer::read(&result)?);
                    }
                    Step::Failed(problem) if problem.code == "UNKNOWN_COMMAND" => return Err(why(client).await),
                    Step::Failed(problem) => return Err(Error::from(*problem).into()),
                    Step::Accepted { .. } | Step::Progress { .. } => {}
                },
                Item::Notice(notice) => {
                    return Err(Unanswered::Yet(Failure::Other(format!("{} ({})", notice.message, notice.code))));
                }
                Item::Closed(closed) => {
                    return Err(Failure::Away(format!("the connection to the daemon ended: {closed}")).into());
                }
                _ => {}
            }
        }
    });
    let late =
        |_| Err(Failure::Away(format!("the source `{SOURCE}` does not answer within {} s", PATIENCE.as_secs())).into());
    asked.await.unwrap_or_else(late)
}

/// Why nobody knows the command: a source has its commands only once it is up.
async fn why(client: &Client) -> Unanswered {
    // Asked before the list: while the daemon starts, the list may be empty.
    if let Err(Error::Refused(problem)) = client.get_json::<serde::de::IgnoredAny>("/readyz").await
        && problem.status == 503
    {
        return Unanswered::Starting("the daemon");
    }
    let sources = match client.sources().await {
        Ok(sources) => sources,
        Err(error) => return error.into(),
    };
    for source in &sources {
        match read::<SourceSummary>(source) {
            Ok(source) if source.name == SOURCE && source.state != "disabled" => return not_up(&source),
            Ok(_) => {}
            Err(failure) => return failure.into(),
        }
    }
    Unanswered::Disabled
}

fn not_up(source: &SourceSummary) -> Unanswered {
    // One that is up by now was not when it was asked.
    if matches!(source.state.as_str(), "starting" | "up") {
        return Unanswered::Starting("the source `agents`");
    }
    let because = source.reason.as_deref().filter(|reason| !reason.is_empty());
    let because = because.map(|reason| format!(": {reason}")).unwrap_or_default();
    Unanswered::Yet(Failure::Other(format!(
        "the source `{SOURCE}` is {}{because}; look: headwater source list",
        source.state
    )))
}
