//! Where hashes have their seeds from: from chance, unless a simulation has to repeat itself.

#[cfg(feature = "test-util")]
use std::sync::atomic::{AtomicBool, Ordering};

#[cfg(feature = "test-util")]
static REPEATABLE: AtomicBool = AtomicBool::new(false);

/// From now on the hashes of this process have no seed of chance. To be called before the first key is made.
#[cfg(feature = "test-util")]
pub fn repeatable() {
    REPEATABLE.store(true, Ordering::Relaxed);
}

/// Whether this process has to do the same again.
pub(crate) fn is_repeatable() -> bool {
    #[cfg(feature = "test-util")]
    return REPEATABLE.load(Ordering::Relaxed) || cfg!(all(test, shuttle));
    #[cfg(not(feature = "test-util"))]
    cfg!(all(test, shuttle))
}
