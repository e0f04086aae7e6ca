//! What a database's error means: for one row, or for all of them.

use sqlx::error::DatabaseError;

use super::dialect::Dialect;
use crate::behind::SinkError;

/// Why a statement, or a batch, came to nothing.
#[derive(Debug)]
pub(super) enum Failure {
    /// A row of it cannot be written, and the database's reason.
    Refused(String),
    /// It would go the same way with every row: the table, the rights, the settings.
    Misfit(String),
    /// Nobody could write now.
    Sink(SinkError),
}

// === impl Failure ===

impl Failure {
    /// Sorts an error. What PostgreSQL says in `DETAIL` is left out, and its message where it is about a value: they quote the row.
    pub(super) fn of<D: Dialect>(error: sqlx::Error) -> Self {
        let sqlx::Error::Database(said) = &error else { return Self::Sink(SinkError::unavailable(error)) };
        let text = text(&**said);
        if D::is_of_a_row(&**said) {
            Self::Refused(text)
        } else if D::is_of_the_schema(&**said) {
            Self::Misfit(format!("{text}; it would say so of every row"))
        } else {
            Self::Sink(SinkError::unavailable(text))
        }
    }

    /// For a statement that has no row in it.
    pub(super) fn of_all<D: Dialect>(error: sqlx::Error) -> Self {
        match Self::of::<D>(error) {
            Self::Refused(text) => Self::Misfit(text),
            other => other,
        }
    }
}

impl From<Failure> for SinkError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(text) | Failure::Misfit(text) => Self::unavailable(text),
            Failure::Sink(error) => error,
        }
    }
}

fn text(said: &dyn DatabaseError) -> String {
    match said.code() {
        // Of these only what is too long is not quoted.
        Some(code) if code.starts_with("22") && code.len() == 5 && code != "22001" => {
            format!("a value that its column does not take ({code})")
        }
        Some(code) => format!("{} ({code})", said.message()),
        None => said.message().to_owned(),
    }
}
