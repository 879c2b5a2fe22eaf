//! `GET /v1/events`: events out over HTTP, as lines or as server-sent events, from memory and from the store. A stream is
//! a follower and a body that asks it when the client has taken what it was given; it needs no task and no queue.

use super::{
    answer,
    app::App,
    channels::bad_query,
    gzip::Gzip,
    ndjson,
    problem::Problem,
    query::{Asked, Begin, Form, wants},
    sse::Sse,
};
use crate::{
    metrics::{Metrics, OpenStream},
    origin::filter_of,
    refusal,
};
use axum::{
    body::Body,
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    response::Response,
};
use bytes::Bytes;
use headwater_event::{ChannelName, ChannelPattern, Timestamp};
use headwater_follow::{Follow, FollowError, Follower, Item, Lag, Page, Until};
use headwater_protocol::{ErrorCode, Options, cursor};
use headwater_router::From as Origin;
use std::{convert::Infallible, sync::Arc, time::Duration, vec};
use tokio::time::{Instant, sleep_until};

/// How long a stream of server-sent events says nothing at most. Proxies cut what is silent for a minute or less.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How much text is made at a time. A client that does not read holds this much, and references to one page.
const PIECE: usize = 64 * 1024;

pub(super) async fn events(
    State(app): State<Arc<App>>,
    method: Method,
    headers: HeaderMap,
    query: Result<Query<Vec<(String, String)>>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(pairs) = query.map_err(|error| bad_query(&error))?;
    let asked = Asked::read(pairs, &headers)?;
    within_limits(&app, &asked.channels)?;
    let (form, limit) = (asked.form, asked.limit);
    let single = matches!(asked.channels.as_slice(), [ChannelPattern::Exact(_)]);
    let follower = app.followers.follow(follow(asked)?).map_err(|error| refused(&error))?;
    let writer = match form {
        Form::Lines => Writer::Lines,
        Form::Sse => {
            let length = cursor::write(&follower.positions()).len();
            if length > cursor::MAX_CURSOR {
                return Err(too_many_channels(follower.positions().len()));
            }
            Writer::Sse(Sse::new(single))
        }
    };
    let zipped = wants(&headers, &header::ACCEPT_ENCODING, &["gzip", "x-gzip"]);
    let body = if method == Method::HEAD {
        Body::empty()
    } else {
        let stream = Stream {
            open: Metrics::stream(&app.metrics),
            follower,
            items: Vec::new().into_iter(),
            writer,
            gzip: zipped.then(Gzip::new),
            left: limit.unwrap_or(u64::MAX),
            begun: false,
            ended: false,
        };
        let pieces = futures_util::stream::unfold(stream, |mut stream| async {
            let piece = stream.piece().await?;
            Some((Ok::<_, Infallible>(piece), stream))
        });
        Body::from_stream(pieces)
    };
    Ok(response(form, zipped, body))
}

fn response(form: Form, zipped: bool, body: Body) -> Response {
    let media_type = match form {
        Form::Lines => "application/x-ndjson",
        Form::Sse => "text/event-stream",
    };
    let mut response = answer::of(StatusCode::OK, media_type, body);
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // nginx gathers what it passes on, and would hold events back.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    headers.insert(header::VARY, HeaderValue::from_static("accept, accept-encoding, last-event-id"));
    if zipped {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

/// The bounds of a WebSocket connection hold for a stream too.
fn within_limits(app: &App, channels: &[ChannelPattern]) -> Result<(), Problem> {
    let limits = &app.options.limits;
    let patterns = channels.iter().filter(|channel| matches!(channel, ChannelPattern::Glob(_))).count();
    for (count, limit, what) in
        [(channels.len(), limits.max_subscriptions, "channels"), (patterns, limits.max_patterns, "patterns")]
    {
        if count > limit {
            let detail = format!("`channel`: a stream has at most {limit} {what}, and this one {count}; use patterns");
            return Err(Problem::new(ErrorCode::Validation, detail));
        }
    }
    Ok(())
}

fn follow(asked: Asked) -> Result<Follow, Problem> {
    let filter = filter_of(&asked.filter, &Options::default())?;
    let until = match asked.until {
        // What lies ahead is waited for only by who follows.
        Some(time) if asked.follow || time <= Timestamp::now() => Until::Time(time),
        _ if asked.follow => Until::Forever,
        _ => Until::Heads,
    };
    let start = asked.start;
    let from = move |channel: &ChannelName| match &start {
        Begin::Latest => Origin::Latest,
        Begin::Earliest => Origin::Earliest,
        Begin::Since(time) => Origin::Since(*time),
        // It was not there when the stream ended, or its first event came after that.
        Begin::Behind(cursor) => cursor.get(channel).map_or(Origin::Earliest, Origin::After),
    };
    Ok(Follow { channels: asked.channels, filter, from: Box::new(from), lag: Lag::Store, until })
}

fn refused(error: &FollowError) -> Problem {
    Problem::from(refusal::by_follow(error))
}

fn too_many_channels(count: usize) -> Problem {
    let detail = format!(
        "`channel`: this means {count} channels, too many for a cursor that comes back in one header; name fewer, or ask for \
         `format=ndjson`, which has none"
    );
    Problem::new(ErrorCode::Validation, detail)
}

/// One stream on its way to a client.
struct Stream {
    follower: Follower,
    /// What is left of the page at hand.
    items: vec::IntoIter<Item>,
    writer: Writer,
    gzip: Option<Gzip>,
    /// Events that may still be given.
    left: u64,
    begun: bool,
    ended: bool,
    /// Counted while it is there.
    open: OpenStream,
}

enum Writer {
    Lines,
    Sse(Sse),
}

impl Stream {
    /// The next bytes, once the client has taken those before.
    async fn piece(&mut self) -> Option<Bytes> {
        if self.ended {
            return None;
        }
        let mut text = Vec::new();
        if !self.begun {
            self.begun = true;
            if let Writer::Sse(sse) = &mut self.writer {
                sse.begin(&self.follower.positions(), &mut text);
                return Some(self.pack(&text));
            }
        }
        let quiet = Instant::now() + KEEP_ALIVE;
        loop {
            self.write(&mut text);
            if !text.is_empty() {
                return Some(self.pack(&text));
            }
            if self.left == 0 {
                return self.end();
            }
            tokio::select! {
                page = self.follower.next() => match page {
                    Some(Page { items }) => self.items = items.into_iter(),
                    None => return self.end(),
                },
                () = sleep_until(quiet), if matches!(self.writer, Writer::Sse(_)) => {
                    if let Writer::Sse(sse) = &mut self.writer {
                        sse.quiet(&self.follower.positions(), &mut text);
                    }
                    return Some(self.pack(&text));
                }
            }
        }
    }

    /// Writes from the page at hand, a piece at most.
    fn write(&mut self, text: &mut Vec<u8>) {
        let mut events = 0;
        while text.len() < PIECE && self.left > 0 {
            let Some(item) = self.items.next() else { break };
            match (item, &mut self.writer) {
                (Item::Event(event), writer) => {
                    match writer {
                        Writer::Lines => ndjson::event(text, &event),
                        Writer::Sse(sse) => sse.event(&event, text),
                    }
                    events += 1;
                    self.left -= 1;
                }
                (Item::Gap(gap), writer) => {
                    self.open.gap(&gap);
                    match writer {
                        Writer::Lines => ndjson::gap(text, gap),
                        Writer::Sse(sse) => sse.gap(gap, text),
                    }
                }
            }
        }
        self.open.sent(events, text.len());
        // Not where the limit cut the page: behind that the follower has come further than its client.
        if let Writer::Sse(sse) = &mut self.writer
            && sse.is_open()
        {
            let whole = self.items.as_slice().is_empty() && self.left > 0;
            sse.end(whole.then(|| self.follower.positions()).as_deref(), text);
        }
    }

    fn pack(&mut self, text: &[u8]) -> Bytes {
        match &mut self.gzip {
            Some(gzip) => gzip.pack(text),
            None => Bytes::copy_from_slice(text),
        }
    }

    /// The last bytes, if there are any.
    fn end(&mut self) -> Option<Bytes> {
        self.ended = true;
        self.gzip.take().map(Gzip::finish)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::app::tests::app;
    use headwater_event::{Draft, Payload};

    fn publish(app: &App, kind: &str) {
        let data = Payload::new(Bytes::from_static(b"1")).unwrap();
        let draft = Draft::new(ChannelName::new("a").unwrap(), kind, "test", data);
        app.router.publish(vec![draft]).unwrap();
    }

    fn stream(app: &App, query: &[(&str, &str)]) -> Stream {
        let pairs = query.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let asked = Asked::read(pairs, &HeaderMap::new()).unwrap_or_else(|error| panic!("{error}"));
        let writer = if asked.form == Form::Sse { Writer::Sse(Sse::new(true)) } else { Writer::Lines };
        let follower = app.followers.follow(follow(asked).unwrap()).unwrap();
        Stream {
            open: Metrics::stream(&app.metrics),
            follower,
            items: Vec::new().into_iter(),
            writer,
            gzip: None,
            left: u64::MAX,
            begun: false,
            ended: false,
        }
    }

    async fn text(stream: &mut Stream) -> String {
        String::from_utf8(stream.piece().await.expect("it goes on").to_vec()).unwrap()
    }

    /// Harm prevented: a channel that is quiet, or of which nothing is wanted, moves on in the log, and a client that
    /// comes back an hour later with its old cursor is told a gap of events that it never wanted.
    #[tokio::test(start_paused = true)]
    async fn a_quiet_stream_says_now_and_then_where_it_stands() {
        let app = app();
        let mut stream = stream(&app, &[("channel", "a"), ("type", "wanted"), ("format", "sse")]);
        let begun = text(&mut stream).await;
        assert!(begun.starts_with("retry: 1000\nid: a@") && begun.ends_with(":0\n\n"), "{begun}");
        let start = Instant::now();
        assert_eq!(text(&mut stream).await, ":\n\n");
        assert!((KEEP_ALIVE..2 * KEEP_ALIVE).contains(&start.elapsed()), "{:?}", start.elapsed());
        for _ in 0..7 {
            publish(&app, "unwanted");
        }
        let moved = text(&mut stream).await;
        assert!(moved.starts_with("id: a@") && moved.ends_with(":7\n\n"), "{moved}");
        assert_eq!(start.elapsed().as_secs(), 2 * KEEP_ALIVE.as_secs());
        publish(&app, "wanted");
        let event = text(&mut stream).await;
        assert!(event.starts_with("data: {\"type\":\"wanted\"") && event.ends_with(":8\n\n"), "{event}");
    }

    #[tokio::test(start_paused = true)]
    async fn quiet_lines_say_nothing() {
        let app = app();
        let mut stream = stream(&app, &[("channel", "a"), ("follow", "1")]);
        assert!(tokio::time::timeout(10 * KEEP_ALIVE, stream.piece()).await.is_err());
        publish(&app, "t");
        assert!(text(&mut stream).await.ends_with("}\n"));
    }

    /// Harm prevented: a client that reads slowly holds a page as text, and as many times as large as there are such.
    #[tokio::test]
    async fn text_is_made_a_piece_at_a_time() {
        let app = app();
        let data = Payload::new(Bytes::from(format!("\"{}\"", "x".repeat(900)))).unwrap();
        let draft = Draft::new(ChannelName::new("a").unwrap(), "t", "test", data);
        app.router.publish(vec![draft; 1_000]).unwrap();
        for format in ["ndjson", "sse"] {
            let mut stream = stream(&app, &[("channel", "a"), ("from", "earliest"), ("format", format)]);
            let (mut whole, mut pieces) = (String::new(), 0);
            while whole.matches("\"type\":\"t\"").count() < 1_000 {
                let piece = text(&mut stream).await;
                assert!(piece.len() < PIECE + 2_000, "a piece of {}", piece.len());
                assert!(piece.ends_with('\n'));
                whole.push_str(&piece);
                pieces += 1;
            }
            assert!(pieces > 10);
        }
    }
}
