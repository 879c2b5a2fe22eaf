//! Which instance a thread works for, so that its log records and panics find their way.

use crate::link::Link;
use std::{cell::RefCell, sync::Arc};

thread_local! {
    static CURRENT: RefCell<Option<Arc<Link>>> = const { RefCell::new(None) };
}

/// This thread works for the instance from now on; `None`: for nobody.
pub(crate) fn set(link: Option<Arc<Link>>) {
    // A thread that is ending has nobody to work for.
    let _ = CURRENT.try_with(|current| current.replace(link));
}

/// Calls `f` with the instance that this thread works for.
pub(crate) fn with<T>(f: impl FnOnce(&Arc<Link>) -> T) -> Option<T> {
    CURRENT.try_with(|current| current.try_borrow().ok().and_then(|link| link.as_ref().map(f))).ok().flatten()
}
