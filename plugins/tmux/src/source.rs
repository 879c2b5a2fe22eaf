//! The source.

use crate::Config;
use headwater_plugin::prelude::*;

/// The source.
#[derive(Debug)]
pub struct Tmux;

impl Source for Tmux {
    type Config = Config;

    async fn run(config: Config, mut ctx: Context) -> Result<()> {
        debug!(socket = config.socket_name, "watching");
        ctx.stopped().await;
        Ok(())
    }
}
