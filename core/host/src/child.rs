//! The child's end of the link: what `headwater plugin-host` runs.

use std::{ffi::OsString, process::ExitCode};

/// Runs one plugin for the daemon that started this process, until the link closes. `arguments` are those after
/// `plugin-host`; people do not call this.
pub fn plugin_host_main(_arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    unimplemented!()
}
