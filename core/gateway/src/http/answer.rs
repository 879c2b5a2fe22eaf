//! The forms of good answers: one JSON document, or a long list of events that is written as it is read.

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use bytes::Bytes;
use headwater_event::Event;
use headwater_protocol::dialects;
use hyper::body::{Body as HttpBody, Frame};
use serde::Serialize;
use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    vec,
};

/// One JSON document.
pub(super) fn json(status: StatusCode, document: &impl Serialize) -> Response {
    let mut text = serde_json::to_vec(document).expect("invariant: an answer has only strings as keys");
    // Most of those who see it have asked with curl, and their prompt comes next.
    text.push(b'\n');
    of(status, "application/json", Body::from(text))
}

/// A body of this media type.
pub(super) fn of(status: StatusCode, media_type: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

/// `{"events":[…]}`. Pieces are made when the client takes them: thousands of large events as one text, times many
/// clients that read slowly, would fill the memory; so each holds but references.
pub(super) fn events(events: Vec<Arc<Event>>) -> Response {
    let body = EventList { events: events.into_iter(), begun: false, ended: false };
    of(StatusCode::OK, "application/json", Body::new(body))
}

/// How much text is made at a time.
const PIECE: usize = 64 * 1024;

struct EventList {
    events: vec::IntoIter<Arc<Event>>,
    begun: bool,
    ended: bool,
}

impl HttpBody for EventList {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let mut text = Vec::with_capacity(PIECE);
        while text.len() < PIECE {
            let Some(event) = self.events.next() else {
                text.extend_from_slice(if self.begun { b"]}" } else { b"{\"events\":[]}" });
                self.ended = true;
                break;
            };
            text.extend_from_slice(if self.begun { b"," } else { b"{\"events\":[" });
            self.begun = true;
            dialects::native().event(&event, &mut text);
        }
        Poll::Ready(Some(Ok(Frame::data(text.into()))))
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_event::{ChannelName, Draft, Epoch, Payload, Position};
    use http_body_util::BodyExt;

    async fn text(count: u64) -> serde_json::Value {
        let payload = Payload::new(Bytes::from(format!("\"{}\"", "x".repeat(1000)))).unwrap();
        let one = |offset| {
            let draft = Draft::new(ChannelName::new("c").unwrap(), "t", "s", payload.clone());
            Arc::new(Event::new(draft, Position { epoch: Epoch(1), offset }, uuid::Uuid::nil()))
        };
        let body = events((1..=count).map(one).collect()).into_body().collect().await.unwrap().to_bytes();
        serde_json::from_slice(&body).unwrap()
    }

    #[tokio::test]
    async fn a_list_is_one_document_however_many_pieces_it_takes() {
        for count in [0, 1, 2, 1000] {
            let events = text(count).await["events"].take();
            let offsets: Vec<u64> = events.as_array().unwrap().iter().map(|e| e["offset"].as_u64().unwrap()).collect();
            assert_eq!(offsets, (1..=count).collect::<Vec<_>>());
        }
    }
}
