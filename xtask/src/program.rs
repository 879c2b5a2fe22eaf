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

/// Whether a program is there and succeeds with these arguments.
pub(crate) fn works(name: &str, arguments: &[&str]) -> bool {
    let ended = Command::new(name).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    ended.is_ok_and(|status| status.success())
}

/// The version of a program on this path, as it tells it itself; `None` when it is not there.
pub(crate) fn version(name: &str, path: &OsStr) -> Option<String> {
    let output = Command::new(name).arg("--version").env("PATH", path).stderr(Stdio::null()).output().ok()?;
    Some(version_in(&String::from_utf8_lossy(&output.stdout)).to_owned())
}

/// The first word that begins like a version; empty when there is none.
fn version_in(text: &str) -> &str {
    let like = |word: &&str| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.');
    text.split_ascii_whitespace().find(like).unwrap_or_default()
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_found_in_what_programs_say() {
        assert_eq!(version_in("cargo-nextest 0.9.143 (60fa45f63 2026-08-04)\nrelease: 0.9.143\n"), "0.9.143");
        assert_eq!(version_in("websocat 1.14.1\n"), "1.14.1");
        assert_eq!(version_in("no version 4 you\n"), "");
        let path = std::env::var_os("PATH").unwrap_or_default();
        assert!(version("cargo", &path).is_some_and(|version| version.starts_with("1.")));
        assert_eq!(version("no-such-program", &path), None);
    }
}
