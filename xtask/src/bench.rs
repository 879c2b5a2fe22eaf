//! `cargo xtask bench`: builds what is measured, fetches what it is compared with, then measures.

use crate::{Stop, house::House, peers, program};
use std::process::Command;

pub(crate) fn run(house: &House, arguments: &[String]) -> Result<(), Stop> {
    house.build_release(&["--package", "headwater-bench", "--lib", "--bins", "--examples"])?;
    peers::fetch(house)?;
    let arguments = arguments.strip_prefix(&["--".to_owned()]).unwrap_or(arguments);
    let mut bench = Command::new(house.target.join("release/headwater-bench"));
    // It builds nothing then: all is there.
    program::run(bench.args(arguments).current_dir(&house.root).env_remove("CARGO"))
}
