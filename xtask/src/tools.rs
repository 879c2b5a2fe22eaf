//! The programs that tests and checks need: found, or installed.

use crate::{Stop, house::House, program};
use std::{env, ffi::OsString, process::Command};

/// A program of the system.
pub(crate) struct System {
    name: &'static str,
    /// With these arguments it succeeds if it is there as it is needed.
    probe: &'static [&'static str],
    /// Debian's package that has it.
    package: &'static str,
}

pub(crate) const BROWSER: System = System { name: "chromium", probe: &["--version"], package: "chromium" };
pub(crate) const CURL: System = System { name: "curl", probe: &["--version"], package: "curl" };
pub(crate) const GIT: System = System { name: "git", probe: &["--version"], package: "git" };
pub(crate) const JQ: System = System { name: "jq", probe: &["--version"], package: "jq" };
pub(crate) const KILL: System = System { name: "kill", probe: &["--version"], package: "procps" };
pub(crate) const NODE: System = System { name: "node", probe: &["--version"], package: "nodejs" };
pub(crate) const NPM: System = System { name: "npm", probe: &["--version"], package: "npm" };
pub(crate) const PYTHON: System = System { name: "python3", probe: &["--version"], package: "python3" };
pub(crate) const SQLITE: System = System { name: "sqlite3", probe: &["--version"], package: "sqlite3" };
pub(crate) const SCRIPT: System = System { name: "script", probe: &["--version"], package: "bsdutils" };
pub(crate) const TMUX: System = System { name: "tmux", probe: &["-V"], package: "tmux" };
/// Debian splits off what a virtual environment needs.
pub(crate) const VENV: System = System { name: "python3", probe: &["-c", "import ensurepip"], package: "python3-venv" };

/// A program from the registry.
pub(crate) struct Tool {
    name: &'static str,
    /// The least version, and by cargo's rules the next one that does not do.
    version: &'static str,
    /// How it is built.
    options: &'static [&'static str],
}

pub(crate) const DENY: Tool = Tool { name: "cargo-deny", version: "0.20", options: &[] };
/// Without updating itself.
pub(crate) const NEXTEST: Tool = Tool {
    name: "cargo-nextest",
    version: "0.9",
    options: &["--no-default-features", "--features", "default-no-update"],
};
/// Without TLS, which would need OpenSSL's headers; the tests speak `ws://`.
pub(crate) const WEBSOCAT: Tool =
    Tool { name: "websocat", version: "1.14", options: &["--no-default-features", "--features", "unix_stdio"] };

/// Sees to it that these programs of the system are there.
pub(crate) fn system(wanted: &[System]) -> Result<(), Stop> {
    let missing: Vec<&str> = wanted
        .iter()
        .filter(|system| !program::works(system.name, system.probe))
        .map(|system| system.package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let root = program::output(Command::new("id").arg("-u"))?.trim() == "0";
    if !root || !program::exists("apt-get") {
        return Err(Stop(format!("this needs {}; install them with your system's packages", missing.join(", "))));
    }
    program::run(Command::new("apt-get").args(["update", "--quiet"]))?;
    program::run(
        Command::new("apt-get")
            .args(["install", "--yes", "--quiet", "--no-install-recommends"])
            .args(missing)
            .env("DEBIAN_FRONTEND", "noninteractive"),
    )
}

/// Sees to it that these programs from the registry are there: on the path in a version that does, or built into the
/// target directory once.
pub(crate) fn from_registry(house: &House, wanted: &[Tool]) -> Result<(), Stop> {
    let path = path(house);
    for Tool { name, version, options } in wanted {
        match program::version(name, &path) {
            Some(found) if does(&found, version) => continue,
            Some(found) => eprintln!("\n{name} {found} is not a {version}, so that one is built"),
            None => {}
        }
        let mut install = house.cargo(&["install", name, "--version", &format!("^{version}"), "--locked"]);
        program::run(install.args(*options).arg("--root").arg(house.target.join("tools")))?;
    }
    Ok(())
}

/// The path with the target directory's own tools before what the system has, which may be too old.
pub(crate) fn path(house: &House) -> OsString {
    let there = env::var_os("PATH").unwrap_or_default();
    let all = std::iter::once(house.target.join("tools/bin")).chain(env::split_paths(&there));
    env::join_paths(all).unwrap_or(there)
}

/// Whether a version is at least the wanted one and compatible with it: `^wanted`, as cargo says.
fn does(found: &str, wanted: &str) -> bool {
    let (found, wanted) = (numbers(found), numbers(wanted));
    let decisive = wanted.iter().position(|number| *number > 0).unwrap_or(0);
    found.get(..=decisive) == wanted.get(..=decisive) && found >= wanted
}

fn numbers(version: &str) -> Vec<u64> {
    let release = version.split(['-', '+']).next().unwrap_or_default();
    release.split('.').map_while(|number| number.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_does_when_cargo_would_take_it_for_the_wanted_one() {
        for found in ["1.14.0", "1.14.1", "1.20.0"] {
            assert!(does(found, "1.14"), "{found}");
        }
        for found in ["1.13.9", "4.0.0-alpha3", "0.14.0", "", "new"] {
            assert!(!does(found, "1.14"), "{found}");
        }
        assert!(does("0.9.143", "0.9") && does("0.20.2", "0.20"));
        assert!(!does("0.10.0", "0.9") && !does("0.8.99", "0.9") && !does("1.9.0", "0.9"));
    }
}
