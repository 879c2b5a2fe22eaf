//! `cargo xtask up`: builds the daemon and all plugins in release and becomes the daemon.

use crate::{Stop, house::House};
use std::{os::unix::process::CommandExt, process::Command};

/// The documented default, which enables the metrics source.
const CONFIG: &str = "config/headwater.toml";

pub(crate) fn run(house: &House, arguments: &[String]) -> Result<(), Stop> {
    house.build_release(&[])?;
    let arguments = arguments.strip_prefix(&["--".to_owned()]).unwrap_or(arguments);
    let daemon = house.target.join("release/headwater");
    let mut command = Command::new(&daemon);
    command.current_dir(&house.root).arg("up");
    if !arguments.iter().any(|argument| argument == "--config" || argument.starts_with("--config=")) {
        command.args(["--config", CONFIG]);
    }
    command.args(arguments);
    // Becoming the daemon instead of starting it: Ctrl-C and signals are the daemon's, nothing stands in between.
    Err(Stop(format!("{} does not start: {}", daemon.display(), command.exec())))
}
