//! Finds out which compiler builds the SDK, and for which target: every plugin's manifest says so.

use std::{env, process::Command};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=RUSTC");
    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let output = Command::new(rustc).arg("-vV").output().map(|o| String::from_utf8_lossy(&o.stdout).into_owned());
    let text = output.unwrap_or_default();
    let release = text.lines().find_map(|line| line.strip_prefix("release: ")).unwrap_or("unknown");
    println!("cargo::rustc-env=HEADWATER_RUSTC={release}");
    println!("cargo::rustc-env=HEADWATER_TARGET={}", env::var("TARGET").unwrap_or_else(|_| "unknown".into()));
}
