//! The time: that of the calendar, in which HTTP counts, and that of the runtime.

use std::time::{SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::rfc::Timestamp;

/// Now. A clock before 1970 is at its beginning.
#[allow(clippy::disallowed_methods, reason = "the one place that reads the calendar; what is fresh is judged by ages")]
pub(crate) fn now() -> Timestamp {
    Timestamp(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// The time of the runtime, for what is remembered for some seconds.
#[allow(clippy::disallowed_methods, reason = "beside the sleeps and timeouts of this crate, which go by it")]
pub(crate) fn instant() -> Instant {
    Instant::now()
}
