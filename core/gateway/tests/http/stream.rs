//! A client that reads `GET /v1/events` while it is being written, and what it reads is made of.

use crate::{
    wire::{Answer, Client},
    world::World,
};
use bytes::Bytes;
use headwater_event::{ChannelName, Draft, Payload, Position};
use serde_json::Value;

pub(crate) fn draft(channel: &str, data: &str) -> Draft {
    let data = Payload::new(Bytes::copy_from_slice(data.as_bytes())).unwrap();
    Draft::new(ChannelName::new(channel).unwrap(), "tested", "test", data)
}

pub(crate) fn publish(world: &World, batch: Vec<Draft>) -> Vec<Position> {
    world.router.publish(batch).unwrap().wait().unwrap()
}

/// As many numbered events on one channel.
pub(crate) fn publish_run(world: &World, channel: &str, numbers: std::ops::RangeInclusive<u64>) -> Vec<Position> {
    publish(world, numbers.map(|number| draft(channel, &number.to_string())).collect())
}

/// An answer that is read while it is made.
pub(crate) struct Stream {
    pub(crate) client: Client,
    pub(crate) head: Answer,
    pub(crate) body: Vec<u8>,
    pub(crate) ended: bool,
}

impl Stream {
    pub(crate) async fn open(world: &World, query: &str, headers: &[(&str, &str)]) -> Self {
        let mut client = world.client().await;
        let mut text = format!("GET /v1/events{query} HTTP/1.1\r\nhost: localhost\r\n");
        for (name, value) in headers {
            text.extend([*name, ": ", *value, "\r\n"]);
        }
        client.send(format!("{text}\r\n").as_bytes()).await;
        let head = client.answer(true).await;
        assert_eq!((head.status, head.header("transfer-encoding")), (200, Some("chunked")), "{head:?}");
        Self { client, head, body: Vec::new(), ended: false }
    }

    /// One chunk more; `false` at the end.
    pub(crate) async fn more(&mut self) -> bool {
        let size = usize::from_str_radix(self.client.line().await.trim(), 16).unwrap();
        let chunk = self.client.exactly(size + 2).await;
        self.body.extend_from_slice(&chunk[..size]);
        self.ended = size == 0;
        !self.ended
    }

    pub(crate) async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(at) = self.body.iter().position(|byte| *byte == b'\n') {
                let line = self.body.drain(..=at).collect();
                return Some(String::from_utf8(line).unwrap().trim_end().to_owned());
            }
            if !self.more().await {
                return None;
            }
        }
    }

    pub(crate) async fn json(&mut self) -> Value {
        let line = self.line().await.expect("the stream goes on");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    /// The fields of one server-sent record, up to its blank line.
    pub(crate) async fn record(&mut self) -> Record {
        let mut record = Record::default();
        loop {
            let line = self.line().await.expect("the stream goes on");
            match line.split_once(": ") {
                Some(("data", data)) => record.data = serde_json::from_str(data).unwrap(),
                Some(("id", id)) => record.id = Some(id.to_owned()),
                Some(("retry", _)) => {}
                None if line.is_empty() => return record,
                None if line == ":" => {}
                other => panic!("{other:?}"),
            }
        }
    }

    pub(crate) async fn rest(&mut self) -> String {
        while self.more().await {}
        String::from_utf8(std::mem::take(&mut self.body)).unwrap()
    }
}

#[derive(Debug, Default)]
pub(crate) struct Record {
    pub(crate) data: Value,
    pub(crate) id: Option<String>,
}

/// A number of `/metrics`.
pub(crate) async fn metric(world: &World, name: &str) -> u64 {
    let text = world.get("/metrics").await.text();
    let line = text.lines().find(|line| line.split([' ', '{']).next() == Some(name));
    let number = line.and_then(|line| line.rsplit(' ').next()?.parse().ok());
    number.unwrap_or_else(|| panic!("no {name} in\n{text}"))
}

/// The numbers that the lines carry.
pub(crate) fn numbers(lines: &str) -> Vec<u64> {
    let events = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    events.map(|event| event["data"].as_u64().unwrap_or_else(|| panic!("{event}"))).collect()
}
