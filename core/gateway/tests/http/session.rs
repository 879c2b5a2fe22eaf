//! One session as a test speaks it: messages out, messages in.

use crate::{
    wire::{Client, text_frame},
    world::World,
};
use headwater_event::{ChannelName, Draft, Payload};
use serde_json::{Value, json};

pub(crate) fn draft(channel: &str, data: &str) -> Draft {
    Draft::new(ChannelName::new(channel).unwrap(), "t", "s", Payload::new(data.to_owned().into()).unwrap())
}

pub(crate) fn publish(world: &World, drafts: Vec<Draft>) {
    world.router.publish(drafts).unwrap().wait().unwrap();
}

pub(crate) async fn session(world: &World) -> Client {
    let mut client = world.client().await;
    client.upgrade().await;
    client
}

pub(crate) async fn tell(client: &mut Client, message: &Value) {
    client.send(&text_frame(&message.to_string())).await;
}

/// The next message; pings are passed over and not answered.
pub(crate) async fn message(client: &mut Client) -> Value {
    let (mut opcode, mut payload) = client.frame().await;
    while opcode == 9 {
        (opcode, payload) = client.frame().await;
    }
    assert_eq!(opcode, 1, "a message: {}", String::from_utf8_lossy(&payload));
    serde_json::from_slice(&payload).unwrap()
}

pub(crate) async fn subscribe(client: &mut Client, channels: &str) -> Value {
    tell(client, &json!({"type": "subscribe", "channels": channels})).await;
    message(client).await
}

/// The messages up to the answer to a heartbeat: everything that was on its way.
pub(crate) async fn until_heartbeat(client: &mut Client) -> Vec<Value> {
    tell(client, &json!({"type": "heartbeat"})).await;
    let mut all = Vec::new();
    loop {
        let message = message(client).await;
        if message["type"] == "heartbeat_response" {
            return all;
        }
        all.push(message);
    }
}

/// Subscribes with all that a subscription can have; its answer.
pub(crate) async fn subscribe_with(client: &mut Client, mut subscription: Value) -> Value {
    subscription["type"] = "subscribe".into();
    tell(client, &subscription).await;
    message(client).await
}

/// A session whose client holds little that it has not read.
pub(crate) async fn narrow_session(world: &World) -> Client {
    let mut client = Client::connect_narrow(world.address).await;
    client.upgrade().await;
    client
}

/// What comes up to the event with this offset: offsets of events, and notices in a few words.
pub(crate) async fn story(client: &mut Client, last: u64) -> Vec<String> {
    let mut story: Vec<String> = Vec::new();
    loop {
        let message = message(client).await;
        match message["type"].as_str().unwrap() {
            "gap" => story.push(format!("gap {}-{} {}", message["from"], message["to"], plain(&message["reason"]))),
            "lag" => story.push("lag".into()),
            _ => {
                let offset = message["offset"].as_u64().unwrap();
                story.push(offset.to_string());
                if offset >= last {
                    return story;
                }
            }
        }
    }
}

fn plain(text: &Value) -> &str {
    text.as_str().unwrap()
}
