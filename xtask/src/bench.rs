//! `cargo xtask bench`: builds what is measured, fetches what it is compared with, then measures.

use crate::{Stop, house::House, peers, program};

pub(crate) fn run(house: &House, arguments: &[String]) -> Result<(), Stop> {
    house.build_release()?;
    peers::fetch(house)?;
    let arguments = arguments.strip_prefix(&["--".to_owned()]).unwrap_or(arguments);
    program::run(house.cargo(&["run", "--release", "--package", "headwater-bench", "--"]).args(arguments))
}
