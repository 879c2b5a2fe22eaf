//! The counter as a reader: says of each event that it is given which one it was, so that a test can see what a source that
//! reads the bus misses.

use headwater_plugin::prelude::*;

#[payload]
struct Read<'a> {
    channel: &'a str,
    offset: u64,
}

#[payload]
struct Missed<'a> {
    channel: &'a str,
    from: u64,
    to: u64,
    reason: &'a str,
}

/// Reads these channels from the oldest event on.
pub(crate) async fn read(channels: &str, ctx: &mut Context) -> Result<()> {
    let mut subscription = ctx.subscribe(&[channels], json!({ "from": "earliest" }))?;
    while let Some(delivery) = subscription.next().await {
        match delivery {
            Delivery::Event(event) => {
                let read = Read { channel: &event.channel, offset: event.position.offset };
                ctx.emit("counter", "counter.read", &read).await?;
            }
            Delivery::Gap(Gap { channel, from, to, reason }) => {
                let missed = Missed { channel: &channel, from, to, reason: &reason };
                ctx.emit("counter", "counter.missed", &missed).await?;
            }
            Delivery::Notice(_) => {}
        }
    }
    Ok(())
}
