//! Reading a source's plugin file. Called by its task and by its switch to another file.

use super::generation::PluginFile;
use crate::{host::Inner, plugin::image::ImageError};
use std::{path::Path, sync::Arc};

/// Why a plugin file was not taken.
pub(crate) struct Unread {
    pub(crate) reason: String,
    /// It may be another time, as it is.
    pub(crate) passing: bool,
}

/// Reads and judges a plugin file, off the runtime's threads.
pub(crate) async fn read(inner: &Arc<Inner>, path: &Path, pin: Option<String>) -> Result<PluginFile, Unread> {
    let (inner, path) = (inner.clone(), path.to_owned());
    let work = move || {
        let result = inner.images.read(&path, pin.as_deref());
        let unread = |error: ImageError| Unread { reason: error.to_string(), passing: error.is_passing() };
        result.map(|(image, stamp)| PluginFile { path, stamp, image }).map_err(unread)
    };
    let lost = |error| Err(Unread { reason: format!("reading it failed: {error}"), passing: true });
    tokio::task::spawn_blocking(work).await.unwrap_or_else(lost)
}
