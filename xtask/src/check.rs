//! `cargo xtask check`: everything that can be said about the code without running the daemon.

use crate::{Stop, house::House, program, tidy, tools};
use std::time::Duration;

/// How long fetching the advisory database may take. Where it cannot be reached, waiting longer does not help.
const FETCH: Duration = Duration::from_mins(1);

pub(crate) fn run(house: &House) -> Result<(), Stop> {
    tools::system(&[tools::GIT])?;
    // The quick ones first: a mistake is told in seconds where it can be.
    program::run(&mut house.cargo(&["fmt", "--all", "--check"]))?;
    tidy::run(house)?;
    program::run(&mut house.cargo(&["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]))?;
    program::run(&mut house.cargo(&["test", "--package", "headwater-tests", "--test", "layers", "--quiet"]))?;
    let mut doc = house.cargo(&["doc", "--workspace", "--no-deps", "--quiet"]);
    program::run(doc.env("RUSTDOCFLAGS", "-D warnings"))?;
    deny(house)?;
    eprintln!("\nall checks passed");
    Ok(())
}

/// Licences, duplicates and origins of what we depend on, and known vulnerabilities where they can be looked up.
fn deny(house: &House) -> Result<(), Stop> {
    tools::from_registry(house, &[tools::DENY])?;
    let path = tools::path(house);
    program::run(house.cargo(&["deny", "check", "bans", "licenses", "sources"]).env("PATH", &path))?;
    if program::succeeds_within(
        house.cargo(&["deny", "fetch", "db"]).env("PATH", &path).env("GIT_TERMINAL_PROMPT", "0"),
        FETCH,
    ) {
        program::run(house.cargo(&["deny", "--offline", "check", "advisories"]).env("PATH", &path))
    } else {
        eprintln!("\nadvisories are NOT checked: their database cannot be fetched from here");
        Ok(())
    }
}
