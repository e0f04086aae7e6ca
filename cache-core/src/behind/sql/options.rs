//! What a sink was told of its table.

use std::time::Duration;

use crate::duration::secs;
use crate::key::Template;

/// Options of a sink, each set by the method of its name.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) schema: Option<String>,
    pub(super) table: String,
    /// `None` until it is set, which it has to be.
    pub(super) keyed_by: Option<Result<Template, String>>,
    pub(super) version: String,
    pub(super) counter: Option<String>,
    pub(super) value: Option<String>,
    pub(super) columns: Option<Vec<String>>,
    pub(super) journal: String,
    pub(super) timeout: Duration,
}

/// A name as SQL takes any: in quotes, with those in it doubled.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

// === impl Options ===

impl Options {
    pub(super) fn new(table: String) -> Self {
        Self {
            schema: None,
            table,
            keyed_by: None,
            version: "cache_version".to_owned(),
            counter: None,
            value: None,
            columns: None,
            journal: "cache_journal".to_owned(),
            timeout: secs(30),
        }
    }

    /// The table's name, to be put into a statement.
    pub(super) fn quoted_table(&self) -> String {
        self.qualified(&self.table)
    }

    /// The journal table's, which stands in the same schema.
    pub(super) fn quoted_journal(&self) -> String {
        self.qualified(&self.journal)
    }

    fn qualified(&self, name: &str) -> String {
        match &self.schema {
            Some(schema) => format!("{}.{}", quoted(schema), quoted(name)),
            None => quoted(name),
        }
    }
}
