//! The child process of the tests: `headwater plugin-host` and nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    headwater_host::plugin_host_main(std::env::args_os().skip(1))
}
