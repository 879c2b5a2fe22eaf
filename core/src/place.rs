//! Where things are when nobody says: the config, the state, by the XDG base directories.

use std::path::{Path, PathBuf};

/// The config of the user: `$XDG_CONFIG_HOME/headwater/headwater.toml`. It need not exist.
pub(crate) fn user_config() -> PathBuf {
    base("XDG_CONFIG_HOME", ".config").join("headwater/headwater.toml")
}

/// The state of the user's daemon: `$XDG_STATE_HOME/headwater`.
pub(crate) fn user_state() -> PathBuf {
    base("XDG_STATE_HOME", ".local/state").join("headwater")
}

/// The XDG specification: a relative value is ignored.
fn base(variable: &str, under_home: &str) -> PathBuf {
    let given = std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    given.unwrap_or_else(|| std::env::home_dir().unwrap_or_else(|| Path::new("/").into()).join(under_home))
}
