//! How many files a directory holds: a snapshot every few seconds, and whenever a client asks to `count`.
use headwater_plugin::prelude::*;

#[config]
struct Config {
    /// The directory to look into.
    #[default = "/tmp"]
    path: String,
    #[default = "5s"]
    every: Period,
}

struct Template;
impl Source for Template {
    type Config = Config;
    async fn run(config: Config, mut ctx: Context) -> Result<()> {
        while let Some(turn) = ctx.every(config.every).await {
            let files = std::fs::read_dir(&config.path).map_err(|e| format!("{}: {e}", config.path))?.count();
            ctx.retain("files", "files.counted", &config.path, &json!({ "path": config.path, "files": files })).await?;
            turn.complete(json!({ "files": files }));
        }
        Ok(())
    }
}
export_source!(Template { emits: ["files"], commands: [count] });

#[cfg(test)]
mod tests;
