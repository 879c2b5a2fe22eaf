//! The programs that tests and checks need: found, or installed.

use crate::{Stop, house::House, program};
use std::{env, ffi::OsString, process::Command};

/// Programs of the system, each with the package that has it.
const SYSTEM: [(&str, &str); 2] = [("jq", "jq"), ("python3", "python3")];

/// Sees to it that the programs of the system are there.
pub(crate) fn system() -> Result<(), Stop> {
    let missing: Vec<&str> =
        SYSTEM.iter().filter(|(name, _)| !program::exists(name)).map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let root = program::output(Command::new("id").arg("-u"))?.trim() == "0";
    if !root || !program::exists("apt-get") {
        return Err(Stop(format!("the tests need {}; install them with your system's packages", missing.join(", "))));
    }
    program::run(Command::new("apt-get").args(["update", "--quiet"]))?;
    program::run(
        Command::new("apt-get")
            .args(["install", "--yes", "--quiet", "--no-install-recommends"])
            .args(missing)
            .env("DEBIAN_FRONTEND", "noninteractive"),
    )
}

/// Sees to it that a program from the registry is there: on the path, or built into the target directory once.
pub(crate) fn from_registry(house: &House, program: &str, version: &str) -> Result<(), Stop> {
    let own = house.target.join("tools/bin").join(program);
    if own.exists() || program::exists(program) {
        return Ok(());
    }
    let root = house.target.join("tools");
    program::run(house.cargo(&["install", program, "--version", version, "--locked", "--root"]).arg(root))
}

/// The path with the target directory's own tools behind what the system has.
pub(crate) fn path(house: &House) -> OsString {
    let own = house.target.join("tools/bin");
    let there = env::var_os("PATH").unwrap_or_default();
    let all = env::split_paths(&there).chain(std::iter::once(own));
    env::join_paths(all).unwrap_or(there)
}
