//! A plugin as a file: found, judged without running it, copied, loaded.

pub(crate) mod copies;
pub(crate) mod discovery;
pub(crate) mod elf;
pub(crate) mod image;
pub(crate) mod loader;
pub(crate) mod manifest;
pub(crate) mod preflight;
pub(crate) mod trust;
