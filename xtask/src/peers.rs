//! The servers that the benchmarks compare with: fetched once into the target directory, where the benchmarks look for
//! them. Nothing is installed into the system, and none of them is started here.

use crate::{Stop, house::House, languages, program, tools};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The folder in the target directory; the benchmarks know it by this name.
const FOLDER: &str = "peers";
/// What `bench/peers` holds: servers and a client for Node, and the list of what they need.
const PROGRAMS: [&str; 3] = ["broadcast.mjs", "sse.mjs", "wrap.mjs"];
const LIST: &str = "package.json";
/// A program, and Debian's package of the same name.
const NATS: &str = "nats-server";

/// Fetches what is missing. What cannot be had is named; the benchmarks then leave it out, and say so too.
pub(crate) fn fetch(house: &House) -> Result<(), Stop> {
    let folder = house.target.join(FOLDER);
    fs::create_dir_all(&folder).map_err(|error| stop(&folder, &error))?;
    let (sqlite, tmux) = (tools::system(&[tools::SQLITE]), tools::system(&[tools::TMUX]));
    let nodes = node(house, &folder);
    for (peer, fetched) in [("the Node programs", nodes), (NATS, nats(&folder)), ("sqlite3", sqlite), ("tmux", tmux)] {
        if let Err(stop) = fetched {
            eprintln!("\n{peer} cannot be fetched and will be left out: {stop}");
        }
    }
    Ok(())
}

/// Copies our programs, and installs what they need beside them.
fn node(house: &House, folder: &Path) -> Result<(), Stop> {
    tools::system(&[tools::NODE, tools::NPM])?;
    let ours = house.root.join("bench/peers");
    for name in PROGRAMS {
        fs::copy(ours.join(name), folder.join(name)).map_err(|error| stop(&ours.join(name), &error))?;
    }
    languages::packages(&ours.join(LIST), folder)
}

/// Takes the system's, or unpacks Debian's package without installing it: that would start a server.
fn nats(folder: &Path) -> Result<(), Stop> {
    let server = folder.join(NATS);
    if server.exists() {
        return Ok(());
    }
    if let Some(found) = on_the_path(NATS) {
        return std::os::unix::fs::symlink(found, &server).map_err(|error| stop(&server, &error));
    }
    if !program::exists("apt-get") {
        return Err(Stop("there is no apt-get here; put it on the path".into()));
    }
    let unpacked = folder.join("unpacked");
    let _ = fs::remove_dir_all(&unpacked); // of an earlier try
    fs::create_dir_all(&unpacked).map_err(|error| stop(&unpacked, &error))?;
    let download = || program::run(Command::new("apt-get").args(["download", "--quiet", NATS]).current_dir(&unpacked));
    // The lists of packages may be missing or old.
    download().or_else(|_| {
        program::run(Command::new("apt-get").args(["update", "--quiet"]))?;
        download()
    })?;
    let entries = fs::read_dir(&unpacked).map_err(|error| stop(&unpacked, &error))?;
    let package = entries.flatten().map(|entry| entry.path()).find(|path| path.extension().is_some_and(|e| e == "deb"));
    let package = package.ok_or_else(|| Stop("apt-get has downloaded no package".into()))?;
    program::run(Command::new("dpkg-deb").arg("--extract").arg(package).arg(&unpacked))?;
    fs::rename(unpacked.join("usr/sbin").join(NATS), &server).map_err(|error| stop(&server, &error))?;
    fs::remove_dir_all(&unpacked).map_err(|error| stop(&unpacked, &error))
}

fn on_the_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

fn stop(path: &Path, error: &std::io::Error) -> Stop {
    Stop(format!("{}: {error}", path.display()))
}
