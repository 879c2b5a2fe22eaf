//! `headwater command`: asks a source to do something and shows what comes of it.

use crate::{CommandArgs, Failure, run::Session, signals::Interrupt, text::visible};
use headwater_client::{Answer, Error, Item, Step};
use serde_json::value::RawValue;

pub(crate) async fn run(args: &CommandArgs, session: &mut Session) -> Result<(), Failure> {
    let parameters = parameters(args.parameters.as_deref().unwrap_or("{}"))?;
    let mut interrupt = Interrupt::watch()?;
    let mut stream = session.client.stream().await?;
    let request = stream.command(&args.name, &parameters).await?;
    loop {
        let item = tokio::select! {
            item = stream.next() => item,
            () = interrupt.received() => {
                stream.close().await;
                return Err(Failure::Other("interrupted; whether the command is carried out is not known".into()));
            }
        };
        match item {
            Item::Answer(answer) if answer.request_id == request => {
                let done = show(&answer, session)?;
                session.output.flush().await?;
                if done {
                    stream.close().await;
                    return Ok(());
                }
            }
            Item::Notice(notice) => return Err(Failure::Other(format!("{} ({})", notice.message, notice.code))),
            Item::Closed(closed) => {
                return Err(Failure::Away(format!(
                    "the connection ended ({closed}); whether the command was carried out is not known"
                )));
            }
            _ => {}
        }
    }
}

fn parameters(text: &str) -> Result<Box<RawValue>, Failure> {
    let usage =
        |why: &str| Failure::Usage(format!("the parameters are a JSON object, as in '{{\"mount\":\"/\"}}'{why}"));
    let raw: Box<RawValue> = serde_json::from_str(text).map_err(|error| usage(&format!(": {error}")))?;
    if raw.get().starts_with('{') { Ok(raw) } else { Err(usage("")) }
}

/// Prints a step; true when it was the last.
fn show(answer: &Answer, session: &mut Session) -> Result<bool, Failure> {
    if !session.terminal.human {
        session.json(&answer.line);
    }
    let style = session.terminal.style;
    let line = match &answer.step {
        Step::Failed(problem) => return Err(Error::from((**problem).clone()).into()),
        Step::Accepted { message } => style.dim(visible(message.as_deref().unwrap_or("accepted"))),
        Step::Progress { current_step, completion_percent } => {
            let percent = completion_percent.map(|percent| format!("{percent:3.0} %  ")).unwrap_or_default();
            style.dim(format!("{percent}{}", visible(current_step.as_deref().unwrap_or("at work"))))
        }
        Step::Completed { result } => {
            let value: Result<serde_json::Value, _> = serde_json::from_str(result);
            let pretty =
                value.and_then(|value| serde_json::to_string_pretty(&value)).unwrap_or_else(|_| result.clone());
            pretty.lines().map(visible).collect::<Vec<_>>().join("\n")
        }
    };
    if session.terminal.human {
        session.output.line(&line);
    }
    Ok(matches!(answer.step, Step::Completed { .. }))
}
