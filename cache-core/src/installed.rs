//! The cache of a process, for functions that have none at hand.

use std::{
    future::Future,
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::{
    cache::{Cache, stand_in, with_stand_in},
    error::Error,
};

static INSTALLED: OnceLock<Cache> = OnceLock::new();
static SAID: AtomicBool = AtomicBool::new(false);

impl Cache {
    /// Makes this the cache of the process, for every annotated function that names none.
    ///
    /// # Errors
    ///
    /// When one is installed already: the functions that used it would suddenly miss. For tests there is [`with_cache`].
    pub fn install(self) -> Result<(), Error> {
        INSTALLED.set(self).map_err(|_| {
            Error::config(
                "install",
                "a cache is installed in this process already; in tests use `with_cache(cache, future)`",
            )
        })
    }
}

/// Runs `future` with `cache` in place of the installed one, in this task and in the tasks that the cache starts for it; for
/// tests.
pub async fn with_cache<F: Future>(cache: Cache, future: F) -> F::Output {
    with_stand_in(cache, future).await
}

/// The cache that annotated functions without one use: that of [`with_cache`], else the installed one. That there is none is
/// said once.
#[must_use]
pub fn installed() -> Option<Cache> {
    let cache = stand_in().or_else(|| INSTALLED.get().cloned());
    if cache.is_none() && !SAID.swap(true, Ordering::Relaxed) {
        tracing::warn!("no cache is installed: cached functions run uncached; call `Cache::install` at the start");
    }
    cache
}
