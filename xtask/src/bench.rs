//! `cargo xtask bench`: builds what is measured, then measures.

use crate::{Stop, house::House, program};

pub(crate) fn run(house: &House, arguments: &[String]) -> Result<(), Stop> {
    house.build_release()?;
    let arguments = arguments.strip_prefix(&["--".to_owned()]).unwrap_or(arguments);
    program::run(house.cargo(&["run", "--release", "--package", "headwater-bench", "--"]).args(arguments))
}
