//! One request on its way: to the daemon, or to who answers in its place.

use super::{
    Absent,
    message::{Comes, Request, agreed},
    sse::Events,
};
use crate::Failure;
use headwater_client::{Client, Error, Exchange, Reached};
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout},
};

/// The route.
const ROUTE: &str = "/mcp";
/// How long the head of an answer may take: tools wait 290 s at most.
const HEAD: Duration = Duration::from_secs(310);
/// How long an answer that has begun may say nothing. The daemon says something every 15 s.
const SILENCE: Duration = Duration::from_mins(1);
/// How long a daemon that was there is looked for: one that restarts is back within a moment.
const BACK: Duration = Duration::from_secs(2);
/// How often.
const LOOK: Duration = Duration::from_millis(50);
/// The largest answer.
const LARGEST: usize = 16 << 20;

/// Where requests go.
#[derive(Clone)]
pub(super) struct Daemon {
    client: Client,
    absent: Absent,
    /// The version that was agreed on, in the era of handshakes.
    version: Arc<Mutex<Option<String>>>,
    /// Whether it was there the last time.
    seen: Arc<AtomicBool>,
}

impl Daemon {
    pub(super) fn new(client: Client, absent: Absent) -> Self {
        Self { client, absent, version: Arc::default(), seen: Arc::default() }
    }

    /// Answers a request. What comes before the answer is said on the way.
    pub(super) async fn answer(self, request: Request, say: mpsc::Sender<String>) -> String {
        let version = self.version.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let headers = request.headers(version.as_deref());
        let outcome = match self.reach().await {
            Ok(reached) => {
                let post = timeout(HEAD, reached.post(ROUTE, &headers, request.text.clone().into()));
                match post.await {
                    Ok(Ok(mut exchange)) => self.outcome(&request, &mut exchange, &say).await,
                    Ok(Err(error)) => Err(lost(&reason(error))),
                    Err(_) => Err(lost("it does not answer")),
                }
            }
            Err(error) => {
                let why = Failure::from(error).to_string();
                let answer = (self.absent)(why.clone(), headers, request.text.clone()).await;
                String::from_utf8(answer).ok().filter(|text| !text.is_empty()).ok_or(why)
            }
        };
        let answer = match outcome {
            // A line is a message.
            Ok(answer) => answer.trim().replace('\n', " "),
            Err(why) => return request.failed(&why),
        };
        if request.method == "initialize"
            && let Some(version) = agreed(&answer)
        {
            *self.version.lock().unwrap_or_else(PoisonError::into_inner) = Some(version);
        }
        answer
    }

    /// Finds the daemon, with some patience for one that was there a moment ago.
    async fn reach(&self) -> Result<Reached, Error> {
        let patience = Instant::now() + if self.seen.load(Relaxed) { BACK } else { Duration::ZERO };
        loop {
            match self.client.reach().await {
                Ok(reached) => {
                    self.seen.store(true, Relaxed);
                    return Ok(reached);
                }
                Err(_) if Instant::now() < patience => sleep(LOOK).await,
                Err(error) => {
                    self.seen.store(false, Relaxed);
                    return Err(error);
                }
            }
        }
    }

    /// The answer of the daemon, or why there is none.
    async fn outcome(
        &self,
        request: &Request,
        exchange: &mut Exchange,
        say: &mpsc::Sender<String>,
    ) -> Result<String, String> {
        match exchange.content_type.as_str() {
            "text/event-stream" => {
                let mut events = Events::default();
                loop {
                    let piece = timeout(SILENCE, exchange.next()).await.map_err(|_| lost("it has fallen silent"))?;
                    let piece = piece.map_err(|error| lost(&reason(error)))?;
                    let piece = piece.ok_or_else(|| lost("it ended the answer"))?;
                    for message in events.take(&piece).map_err(|_| lost("its answer is too large"))? {
                        match request.comes(&message) {
                            Comes::Answer => return Ok(message),
                            // Nobody takes it only when the client has gone.
                            Comes::Before => _ = say.send(message).await,
                            Comes::Refusal(why) => return Err(why),
                            Comes::Nonsense => return Err(self.strange(exchange.status)),
                        }
                    }
                }
            }
            "application/json" => {
                let text = self.text(exchange).await?;
                match request.comes(&text) {
                    Comes::Answer => Ok(text),
                    Comes::Refusal(why) => Err(why),
                    Comes::Before | Comes::Nonsense => Err(self.strange(exchange.status)),
                }
            }
            _ => {
                let status = exchange.status;
                let text = self.text(exchange).await.unwrap_or_default();
                // An RFC 9457 document, or whatever else somebody there says.
                let problem: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
                Err(match (problem["code"].as_str(), problem["detail"].as_str()) {
                    (Some(code), Some(detail)) => format!("{code}: {detail}"),
                    _ => format!(
                        "{} answered with HTTP status {status}: {}",
                        self.client.endpoint(),
                        text.chars().take(200).collect::<String>().trim()
                    ),
                })
            }
        }
    }

    /// What is there speaks, and it is not MCP.
    fn strange(&self, status: u16) -> String {
        format!("{} answered with HTTP status {status}, and not to the request", self.client.endpoint())
    }

    async fn text(&self, exchange: &mut Exchange) -> Result<String, String> {
        let whole = timeout(SILENCE, exchange.whole(LARGEST)).await.map_err(|_| lost("it has fallen silent"))?;
        String::from_utf8(whole.map_err(|error| lost(&reason(error)))?).map_err(|_| lost("its answer is no text"))
    }
}

/// Why a connection that was there is not any more.
fn reason(error: Error) -> String {
    match error {
        Error::Away { reason, .. } => reason,
        other => other.to_string(),
    }
}

fn lost(why: &str) -> String {
    format!(
        "SYSTEM_UNAVAILABLE: the connection to the daemon was lost ({why}); whether the call was carried out is not known. \
         Reading and waiting can be tried again at once, with the cursor as it was"
    )
}
