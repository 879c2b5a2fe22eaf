//! Runs other programs: says what it runs, and stops the task when one fails.

use crate::Stop;
use std::{
    ffi::OsStr,
    io::ErrorKind,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// Runs a program to its end, with its output shown.
pub(crate) fn run(command: &mut Command) -> Result<(), Stop> {
    let shown = shown(command);
    eprintln!("\n▸ {shown}");
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Stop(format!("`{shown}` ended with {status}"))),
        Err(error) => Err(Stop(format!("`{shown}` does not start: {error}"))),
    }
}

/// Runs a program quietly for at most this long; whether it succeeded.
pub(crate) fn succeeds_within(command: &mut Command, most: Duration) -> bool {
    let Ok(mut child) = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn() else {
        return false;
    };
    let deadline = Instant::now() + most;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(50)),
            Ok(None) | Err(_) => {
                let _ = child.kill();
                let _ = child.wait();
                return false;
            }
        }
    }
}

/// What a program prints.
pub(crate) fn output(command: &mut Command) -> Result<String, Stop> {
    let shown = shown(command);
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| Stop(format!("`{shown}` does not start: {error}")))?;
    if !output.status.success() {
        return Err(Stop(format!("`{shown}` ended with {}", output.status)));
    }
    String::from_utf8(output.stdout).map_err(|_| Stop(format!("`{shown}` printed something that is no text")))
}

/// Whether a program is there: it starts, whatever it then says.
pub(crate) fn exists(name: impl AsRef<OsStr>) -> bool {
    let started = Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    !matches!(started, Err(error) if error.kind() == ErrorKind::NotFound)
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
