//! A source that emits 200-byte events as fast as they are taken: what `plugin-link` measures the way from plugin to
//! router with. The data is made once, so that the way is measured and not the making.

use headwater_plugin::prelude::*;

/// The size of an event's data, as in the other benchmarks.
const SIZE: usize = 200;

#[config]
struct Config {}

struct Flood;
impl Source for Flood {
    type Config = Config;
    async fn run(_: Config, mut ctx: Context) -> Result<()> {
        let data = format!("{{\"fill\":\"{}\"}}", "x".repeat(SIZE - 11));
        assert_eq!(data.len(), SIZE);
        loop {
            ctx.event("bench", "tick").emit_json(data.as_bytes()).await?;
        }
    }
}
export_source!(Flood { emits: ["bench"] });
