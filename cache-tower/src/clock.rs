//! The time, for headers: HTTP counts in seconds of the calendar.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::rfc::Timestamp;

/// Now. A clock before 1970 is at its beginning.
#[allow(clippy::disallowed_methods, reason = "the one place that reads the calendar; what is fresh is judged by ages")]
pub(crate) fn now() -> Timestamp {
    Timestamp(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}
