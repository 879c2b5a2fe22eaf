//! The source.

use crate::Config;
use headwater_plugin::prelude::*;

/// The source.
#[derive(Debug)]
pub struct Agents;

impl Source for Agents {
    type Config = Config;

    async fn run(config: Config, mut ctx: Context) -> Result<()> {
        debug!(interval = %config.status_interval, "watching");
        ctx.stopped().await;
        Ok(())
    }
}
