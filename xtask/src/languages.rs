//! Libraries of other languages that the journeys and the benchmarks use, each set in a directory of its own below the
//! target directory: installed once for each state of the list that names it.

use crate::{Stop, house::House, program};
use std::{fs, path::Path, process::Command};

/// Where the lists stand, from the root.
const LISTS: &str = "tests/tools";

/// Python's, in a virtual environment: `target/tools/python/bin/python3`.
pub(crate) fn python(house: &House) -> Result<(), Stop> {
    let (list, place) = (house.root.join(LISTS).join("requirements.txt"), house.target.join("tools/python"));
    once(&list, &place, || {
        program::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&place))?;
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"];
        program::run(Command::new(place.join("bin/python3")).args(pip).arg(&list))
    })
}

/// Node's: `target/tools/node/node_modules`.
pub(crate) fn node(house: &House) -> Result<(), Stop> {
    packages(&house.root.join(LISTS).join("package.json"), &house.target.join("tools/node"))
}

/// The packages of a `package.json`, in `node_modules` of this place.
pub(crate) fn packages(list: &Path, place: &Path) -> Result<(), Stop> {
    once(list, place, || {
        let failed = |error| Stop(format!("{} cannot be written: {error}", place.display()));
        fs::create_dir_all(place).map_err(failed)?;
        fs::copy(list, place.join("package.json")).map_err(failed)?;
        let npm = ["install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts", "--loglevel=error"];
        program::run(Command::new("npm").args(npm).current_dir(place))
    })
}

/// Installs unless this very list has been installed before.
fn once(list: &Path, place: &Path, install: impl FnOnce() -> Result<(), Stop>) -> Result<(), Stop> {
    let wanted = fs::read(list).map_err(|error| Stop(format!("{} cannot be read: {error}", list.display())))?;
    let stamp = place.join("installed");
    if fs::read(&stamp).is_ok_and(|there| there == wanted) {
        return Ok(());
    }
    install()?;
    fs::write(&stamp, wanted).map_err(|error| Stop(format!("{} cannot be written: {error}", stamp.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_installed_once_and_again_when_it_changes_or_when_it_failed() {
        let directory = tempfile::tempdir().unwrap();
        let list = directory.path().join("list");
        let mut installed = 0;
        for (text, works, after) in [("a", false, 1), ("a", true, 2), ("a", true, 2), ("b", true, 3)] {
            fs::write(&list, text).unwrap();
            let outcome = once(&list, directory.path(), || {
                installed += 1;
                if works { Ok(()) } else { Err(Stop("no".into())) }
            });
            assert_eq!((outcome.is_ok(), installed), (works, after), "{text}");
        }
    }
}
