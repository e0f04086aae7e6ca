//! What can go wrong in the catalogue.

use std::fmt;
use std::sync::Arc;

/// Why the catalogue did not do it. It is `Clone`, so one failed load reaches all who waited for it.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    /// There is no such thing.
    NotFound(&'static str),
    /// The input is not acceptable, and why.
    Invalid(&'static str),
    /// The input contradicts what is stored.
    Conflict(&'static str),
    /// SQLite failed.
    Database(Arc<sqlx::Error>),
}

// === impl Failure ===

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound(what) => write!(f, "no such {what}"),
            Self::Invalid(why) | Self::Conflict(why) => f.write_str(why),
            Self::Database(error) => write!(f, "database: {error}"),
        }
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Database(error) => Some(error.as_ref()),
            _ => None,
        }
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(Arc::new(error))
    }
}
