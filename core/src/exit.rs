//! Exit codes, from sysexits where it has one.

use std::{io::IsTerminal, process::ExitCode};

/// Something went wrong that has no code of its own.
pub(crate) const FAILURE: u8 = 1;
/// The file is none of ours (`EX_DATAERR`).
pub(crate) const NO_HISTORY: u8 = 65;
/// The file cannot be read (`EX_NOINPUT`).
pub(crate) const NO_INPUT: u8 = 66;
/// The config cannot be used.
pub(crate) const CONFIG: u8 = 78;

/// Prints a failure and gives its code. The message says what to do.
pub(crate) fn fail(code: u8, message: impl std::fmt::Display) -> ExitCode {
    eprintln!("headwater: {message}");
    ExitCode::from(code)
}

/// Whether what stands on standard error may be coloured.
pub(crate) fn coloured() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
